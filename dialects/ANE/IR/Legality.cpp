//===- Legality.cpp - rules that hold for every op ------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// Family-specific rules are in the family's file; this is the part each of them
// starts with.
//
//===----------------------------------------------------------------------===//

#include "dialects/ANE/IR/ANE.h"

using namespace mlir;
using namespace mlir::ane;

static std::string str(Type type) {
  std::string text;
  llvm::raw_string_ostream(text) << type;
  return text;
}

/// Extents of one value against S1..S5 and the element type against L06 and
/// L07.
static void findValueViolations(const llvm::Twine &what, Type type,
                                const Target &target,
                                ViolationList &violations) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  if (!tensor)
    return;
  std::string name = what.str();
  Type element = tensor.getElementType();
  if (element.isInteger(1)) {
    // bool lives between compare and select; its extents are checked below.
  } else if (isa<IntegerType>(element)) {
    violations.push_back({"L06", name + " has element type " + str(element) +
                                     ", integers stay on the host"});
    return;
  } else if (!element.isF16()) {
    violations.push_back({"L07", name + " has element type " + str(element) +
                                     ", the engine computes in f16"});
    return;
  }
  if (!tensor.hasStaticShape()) {
    violations.push_back(
        {"L46", name + " has an unknown dimension: " + str(type)});
    return;
  }
  auto check = [&](StringRef id, StringRef quantity, int64_t value) {
    if (const Limit *limit = target.limit(id); limit && value > limit->value)
      violations.push_back({id.str(), name + " has " + quantity.str() + " " +
                                          std::to_string(value) +
                                          ", the limit is " +
                                          std::to_string(limit->value)});
  };
  int64_t rank = tensor.getRank();
  check("S5", "rank", rank);
  if (tensor.getNumElements() == 0)
    violations.push_back({"S1", name + " is empty: " + str(type)});
  static constexpr StringLiteral ids[] = {"S1", "S1", "S2", "S3"};
  static constexpr StringLiteral names[] = {"width", "height", "channels",
                                            "batch"};
  for (int64_t i = 0; i < std::min<int64_t>(rank, 4); ++i) {
    bool depth = rank == 5 && i == 2;
    check(depth ? "S4" : ids[i], depth ? "depth" : names[i],
          tensor.getDimSize(rank - 1 - i));
  }
}

void mlir::ane::findCommonViolations(Operation *op, const Target &target,
                                     ViolationList &violations) {
  const OpInfo *info = lookupOpInfo(op->getName().getStringRef());
  if (!info)
    return;
  if (info->evidence == Evidence::Host ||
      info->evidence == Evidence::Decomposed)
    violations.push_back({info->rule.str(), info->why.str()});
  // Names of operands as the user knows them: MIL's argument names.
  unsigned index = 0;
  for (const ArgInfo &arg : info->args) {
    if (!arg.isOperand() || index >= op->getNumOperands())
      continue;
    unsigned count = arg.kind == ArgKind::Operand ? 1
                     : arg.kind == ArgKind::VariadicOperand
                         ? op->getNumOperands() - index
                         : 0;
    if (arg.kind == ArgKind::OptionalOperand) // weights and biases; checked by
                                              // their own family
      break;
    for (unsigned i = 0; i < count; ++i)
      findValueViolations("operand '" + arg.name + "'",
                          op->getOperand(index + i).getType(), target,
                          violations);
    index += count;
  }
  for (Value result : op->getResults())
    findValueViolations("result", result.getType(), target, violations);
}
