//===- Legality.cpp - rules that hold for every op ------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// Family-specific rules are in the family's file; this is the part each of them
// starts with.
//
//===----------------------------------------------------------------------===//

#include "dialects/ANE/IR/Arithmetic.h"
#include "dialects/ANE/IR/Linear.h"
#include "dialects/ANE/IR/Norm.h"
#include "dialects/ANE/IR/Shape.h"
#include "dialects/ANE/IR/Unary.h"
#include "mlir/IR/BuiltinOps.h"

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
  auto check = [&](LimitId id, StringRef quantity, int64_t value) {
    if (const Limit *limit = target.limit(id); limit && value > limit->value)
      violations.push_back(
          {stringify(id).str(), name + " has " + quantity.str() + " " +
                                    std::to_string(value) + ", the limit is " +
                                    std::to_string(limit->value)});
  };
  int64_t rank = tensor.getRank();
  check(LimitId::S5, "rank", rank);
  if (tensor.getNumElements() == 0)
    violations.push_back({"S1", name + " is empty: " + str(type)});
  static constexpr LimitId ids[] = {LimitId::S1, LimitId::S1, LimitId::S2,
                                    LimitId::S3};
  static constexpr StringLiteral names[] = {"width", "height", "channels",
                                            "batch"};
  for (int64_t i = 0; i < std::min<int64_t>(rank, 4); ++i) {
    bool depth = rank == 5 && i == 2;
    check(depth ? LimitId::S4 : ids[i], depth ? "depth" : names[i],
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

//===----------------------------------------------------------------------===//
// Switched rules
//===----------------------------------------------------------------------===//

static bool isPowerOfTwo(int64_t n) { return n > 0 && (n & (n - 1)) == 0; }

static bool isUneven(ArrayRef<int64_t> values) {
  return !values.empty() && !llvm::all_equal(values);
}

/// Rules that this compiler does not follow by itself, because sources conflict
/// or only one report exists: what breaks them.
static bool breaksOptionalRule(StringRef id, Operation *op) {
  auto shape = [&](unsigned i) {
    return cast<RankedTensorType>(op->getOperand(i).getType()).getShape();
  };
  if (id == "L01")
    return isa<ConcatOp>(op);
  if (id == "L04")
    return isa<SquareOp>(op);
  if (id == "L11") {
    auto softmax = dyn_cast<SoftmaxOp>(op);
    int64_t rank = softmax ? shape(0).size() : 0;
    int64_t axis = softmax ? softmax.getAxis() : 0;
    axis += axis < 0 ? rank : 0;
    return softmax && rank >= 3 && axis == rank - 3 &&
           !isPowerOfTwo(shape(0)[axis]);
  }
  if (id == "L16")
    return isa<MatmulOp>(op);
  if (id == "L18") {
    auto product = dyn_cast<MatmulOp>(op);
    return product && product.getTransposeX();
  }
  if (id == "L22")
    return isa<MatmulOp>(op) &&
           shape(0).drop_back(std::min<size_t>(2, shape(0).size())) !=
               shape(1).drop_back(std::min<size_t>(2, shape(1).size()));
  if (id == "L30") {
    auto product = dyn_cast<MulOp>(op);
    return product && (product.getX().getDefiningOp<FloorOp>() ||
                       product.getY().getDefiningOp<FloorOp>());
  }
  if (id == "L31") {
    auto conv = dyn_cast<ConvOp>(op);
    return conv &&
           (isUneven(conv.getStrides()) || isUneven(conv.getDilations()));
  }
  return false;
}
/// Rules that ops' own interfaces report.
static constexpr StringLiteral kOpRules[] = {
    "L02", "L03", "L05", "L06", "L07", "L10", "L13",
    "L17", "L19", "L21", "L24", "L25", "L26", "L27",
    "L28", "L29", "L32", "L46", "S15", "S23", "1.11.1"};

bool mlir::ane::canSwitchRule(StringRef id) {
  const Rule *rule = lookupRule(id);
  return (rule && rule->optional) || llvm::is_contained(kOpRules, id) ||
         getDefaultTarget().findLimit(id);
}

static DictionaryAttr getRules(Operation *op) {
  auto module = op->getParentOfType<ModuleOp>();
  return module ? module->getAttrOfType<DictionaryAttr>(marks::kRules)
                : DictionaryAttr();
}

std::optional<bool> mlir::ane::getRuleSwitch(Operation *op, StringRef id) {
  DictionaryAttr rules = getRules(op);
  auto state = rules ? rules.getAs<BoolAttr>(id) : BoolAttr();
  return state ? std::optional(state.getValue()) : std::nullopt;
}

void mlir::ane::findEnabledViolations(LegalityOpInterface op,
                                      const Target &target,
                                      ViolationList &violations) {
  op.findViolations(target, violations);
  DictionaryAttr rules = getRules(op);
  if (!rules)
    return;
  for (NamedAttribute rule : rules) {
    bool on = cast<BoolAttr>(rule.getValue()).getValue();
    StringRef id = rule.getName().getValue();
    if (!on)
      llvm::erase_if(violations, [&](Violation &v) { return v.rule == id; });
    else if (breaksOptionalRule(id, op))
      violations.push_back({id.str(), lookupRule(id)->text.str()});
  }
}
