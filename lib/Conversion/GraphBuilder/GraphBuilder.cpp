//===- GraphBuilder.cpp - building ane ops that may be refused ------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Conversion/GraphBuilder.h"
#include "dialects/ANE/IR/Structure.h"
#include "mlir/IR/Verifier.h"
#include "llvm/ADT/ScopeExit.h"

using namespace mlir;
using namespace mlir::ane;

/// Constants up to this many elements are folded while building; larger ones
/// stay weight trees (design invariant 3).
static constexpr int64_t kFoldElements = 1024;

Value GraphBuilder::scalar(Location loc, double value, Type element) {
  auto type = RankedTensorType::get({}, element);
  if (auto floatType = dyn_cast<FloatType>(element))
    return constant(
        loc, DenseElementsAttr::get(
                 type, ArrayRef<Attribute>{FloatAttr::get(floatType, value)}));
  if (element.isInteger(1))
    return constant(loc,
                    DenseElementsAttr::get(type, ArrayRef<bool>{value != 0}));
  unsigned width = element.getIntOrFloatBitWidth();
  return constant(
      loc,
      DenseElementsAttr::get(
          type,
          ArrayRef<APInt>{
              APInt(64, uint64_t(floatToInteger(value)), true).trunc(width)}));
}

Value GraphBuilder::ints(Location loc, ArrayRef<int64_t> values) {
  return constant(loc, DenseElementsAttr::get(
                           RankedTensorType::get({(int64_t)values.size()},
                                                 builder.getI64Type()),
                           values));
}

bool mlir::ane::hasMissingOperand(StringRef opName, ArrayRef<Value> operands) {
  unsigned i = 0;
  for (const ArgInfo &arg : lookupOpInfo(opName)->args) {
    if (arg.kind == ArgKind::VariadicOperand)
      return llvm::is_contained(
          operands.drop_front(std::min<size_t>(i, operands.size())), Value());
    if (arg.kind == ArgKind::Operand && (i >= operands.size() || !operands[i]))
      return true;
    i += arg.isOperand();
  }
  return false;
}

/// Elements that no value of a program may have more of: 256 GB in fp32.
static constexpr int64_t kMostElements = int64_t(1) << 36;

/// Values that cannot be counted, or that nothing could hold, end here.
static LogicalResult checkSizes(ArrayRef<Type> types, StringRef opName,
                                Location loc) {
  for (Type type : types) {
    auto tensor = cast<RankedTensorType>(type);
    if (!tensor.hasStaticShape())
      continue;
    std::optional<int64_t> count = countElements(tensor.getShape());
    bool wide = llvm::any_of(tensor.getShape(),
                             [](int64_t dim) { return dim > INT32_MAX; });
    if (!count || *count > kMostElements || wide)
      return emitError(loc)
             << "'" << opName << "' op would give a value of shape ["
             << tensor.getShape()
             << "], and extents may be up to 2^31 - 1, elements up to 2^36";
  }
  return success();
}

/// Attributes are the op's, those that have to be there are, and words are of
/// their lists: MLIR itself would ignore the first.
static LogicalResult checkAttributes(StringRef opName, Location loc,
                                     ArrayRef<NamedAttribute> attributes) {
  ArrayRef<ArgInfo> args = lookupOpInfo(opName)->args;
  for (NamedAttribute given : attributes) {
    const auto *arg = llvm::find_if(args, [&](const ArgInfo &arg) {
      return !arg.isOperand() && arg.name == given.getName();
    });
    if (arg == args.end())
      return emitError(loc) << "'" << opName << "' op has no attribute '"
                            << given.getName().getValue() << "'";
    auto word = dyn_cast<StringAttr>(given.getValue());
    if (word && !arg->takesWord(word.getValue()))
      return emitError(loc)
             << "'" << opName << "' op expects '" << arg->name << "' to be "
             << arg->listWords() << ", but got '" << word.getValue() << "'";
  }
  for (const ArgInfo &arg : args)
    if (arg.isRequired && llvm::none_of(attributes, [&](NamedAttribute given) {
          return given.getName() == arg.name;
        }))
      return emitError(loc)
             << "'" << opName << "' op expects attribute '" << arg.name << "'";
  return success();
}

SmallVector<Value> GraphBuilder::create(StringRef opName, Location loc,
                                        ArrayRef<Value> operands,
                                        ArrayRef<NamedAttribute> attributes,
                                        unsigned results) {
  MLIRContext *context = builder.getContext();
  if (hasMissingOperand(opName, operands))
    return {};
  if (failed(checkAttributes(opName, loc, attributes)))
    return {};
  RegisteredOperationName name =
      *RegisteredOperationName::lookup(opName, context);
  OperationState state(loc, opName);
  NamedAttrList list(attributes);
  SmallVector<int32_t> segments;
  for (Value operand : operands) {
    segments.push_back(operand ? 1 : 0);
    if (operand)
      state.operands.push_back(operand);
  }
  if (name.hasTrait<OpTrait::AttrSizedOperandSegments>()) {
    // Trailing optional operands may be left out of the list.
    unsigned expected = 0;
    for (const ArgInfo &arg : lookupOpInfo(opName)->args)
      expected += arg.isOperand();
    segments.resize(expected, 0);
    list.set("operandSegmentSizes", builder.getDenseI32ArrayAttr(segments));
  }
  DictionaryAttr dictionary = list.getDictionary(context);
  auto *inference = name.getInterface<InferTypeOpInterface>();
  bool hasProperties = name.getOpPropertyByteSize() > 0;
  auto storage = std::make_unique<char[]>(
      hasProperties ? name.getOpPropertyByteSize() : 1);
  OpaqueProperties properties(hasProperties ? storage.get() : nullptr);
  if (hasProperties)
    name.initOpProperties(properties, nullptr);
  llvm::scope_exit destroy([&] {
    if (hasProperties)
      name.destroyOpProperties(properties);
  });
  auto emit = [&] { return emitError(loc) << "'" << opName << "' op "; };
  if (hasProperties) {
    if (failed(name.setOpPropertiesFromAttribute(name, properties, dictionary,
                                                 emit)))
      return {};
    name.populateDefaultProperties(properties);
  }
  SmallVector<Type> types;
  if (failed(inference->inferReturnTypes(context, loc, state.operands,
                                         dictionary, properties, {}, types)) ||
      failed(checkSizes(types, opName, loc)))
    return {};
  state.addTypes(types);
  if (hasProperties)
    state.propertiesAttr = dictionary;
  Operation *op = builder.create(state);
  if (hasProperties)
    op->getName().populateDefaultProperties(op->getPropertiesStorage());
  if (failed(verify(op, /*verifyRecursively=*/false))) {
    op->erase();
    return {};
  }
  // Fold when every operand is a constant and operands and results are small.
  auto small = [](Type type) {
    auto tensor = cast<RankedTensorType>(type);
    return tensor.hasStaticShape() && tensor.getNumElements() <= kFoldElements;
  };
  // A length that depends on constant data is known once it is folded.
  bool foldable =
      !state.operands.empty() && llvm::all_of(types, [&](Type type) {
        return !cast<RankedTensorType>(type).hasStaticShape() || small(type);
      });
  int64_t elements = 0;
  for (Value operand : state.operands) {
    foldable = foldable && operand.getDefiningOp<ConstantOp>() &&
               small(operand.getType());
    if (foldable)
      elements += cast<RankedTensorType>(operand.getType()).getNumElements();
  }
  if (foldable && elements <= kFoldElements) {
    SmallVector<Value> folded;
    for (Value result : op->getResults()) {
      FailureOr<Tensor> value = evaluator.evaluate(result);
      if (failed(value)) {
        op->erase();
        return {};
      }
      folded.push_back(constant(loc, *value));
    }
    evaluator.clear(); // keys may be reused after the erase
    op->erase();
    return folded;
  }
  return SmallVector<Value>(op->getResults());
}
