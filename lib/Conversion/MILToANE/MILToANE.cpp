//===- MILToANE.cpp - raising mil to ane ----------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// The reverse of ANEToMIL, driven by the same table: arguments that the ane op
// holds as attributes must be compile-time values here.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Conversion/MILToANE.h"
#include "ane-mlir/Target/WeightFile.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/Verifier.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;
using namespace mlir::ane;

namespace {
class Raiser {
public:
  Raiser(OpBuilder &builder, mil::FuncOp func, const WeightOpener &weights)
      : builder(builder), func(func), weights(weights) {}
  FailureOr<ProgramOp> run(StringRef symbol);

private:
  /// The literal behind an argument value: inline, or a const op.
  mil::LiteralAttr literalOf(Attribute value, mil::OpOp op);
  FailureOr<Value> raiseConstant(Location loc, mil::LiteralAttr literal);
  FailureOr<Value> raiseOperand(Attribute value, mil::OpOp op);
  FailureOr<Attribute> raiseParameter(const ArgInfo &arg,
                                      mil::LiteralAttr literal, mil::OpOp op);
  LogicalResult raiseOp(mil::OpOp op);

  OpBuilder &builder;
  mil::FuncOp func;
  const WeightOpener &weights;
  llvm::DenseMap<Value, Value> values;
  llvm::MapVector<StringRef, unsigned> unknown;
};
} // namespace

mil::LiteralAttr Raiser::literalOf(Attribute value, mil::OpOp op) {
  if (auto literal = dyn_cast_or_null<mil::LiteralAttr>(value))
    return literal;
  if (auto ref = dyn_cast_or_null<mil::RefAttr>(value))
    return mil::getConstant(op.getOperand(ref.getIndex()));
  return {};
}

FailureOr<Value> Raiser::raiseConstant(Location loc, mil::LiteralAttr literal) {
  auto type = dyn_cast<RankedTensorType>(literal.getType());
  std::optional<DType> dtype =
      type ? toDType(type.getElementType()) : std::nullopt;
  if (!dtype)
    return emitError(loc) << "expects a constant of numbers, but got "
                          << literal.getType(),
           failure();
  if (auto blob = dyn_cast<mil::BlobFileAttr>(literal.getValue())) {
    auto fail = [&](const Twine &what) {
      return emitError(loc) << "BLOBFILE(" << blob.getPath() << ", "
                            << blob.getOffset() << "): " << what.str(),
             failure();
    };
    auto file = weights(blob.getPath());
    if (!file)
      return fail(llvm::toString(file.takeError()));
    auto view = readWeight((*file)->data(), blob.getOffset());
    if (!view)
      return fail(llvm::toString(view.takeError()));
    if (view->dtype != *dtype || !type.hasStaticShape() ||
        view->data.size() != getByteSize(*dtype, type.getNumElements()))
      return fail("holds " + Twine(view->data.size()) + " bytes of " +
                  getInfo(view->dtype).name + ", but the const declares " +
                  getInfo(*dtype).name + " of " +
                  Twine(type.hasStaticShape() ? type.getNumElements() : -1) +
                  " elements");
    return Value(ConstantOp::create(
        builder, loc, type,
        makeResourceConstant(type, "weight", view->data, *file)));
  }
  auto dense = dyn_cast<DenseElementsAttr>(literal.getValue());
  if (!dense)
    return emitError(loc) << "constant has no value: " << literal.getValue(),
           failure();
  return Value(ConstantOp::create(
      builder, loc, cast<RankedTensorType>(dense.getType()), dense));
}

FailureOr<Value> Raiser::raiseOperand(Attribute value, mil::OpOp op) {
  if (auto ref = dyn_cast<mil::RefAttr>(value)) {
    Value milValue = op.getOperand(ref.getIndex());
    if (Value known = values.lookup(milValue))
      return known;
    mil::LiteralAttr literal = mil::getConstant(milValue);
    if (!literal)
      return failure(); // the producer was not raised, and that was recorded
    FailureOr<Value> constant = raiseConstant(milValue.getLoc(), literal);
    if (succeeded(constant))
      values[milValue] = *constant;
    return constant;
  }
  if (auto literal = dyn_cast<mil::LiteralAttr>(value))
    return raiseConstant(op.getLoc(), literal);
  return op.emitOpError() << "expects a single value, but got a tuple",
         failure();
}

FailureOr<Attribute> Raiser::raiseParameter(const ArgInfo &arg,
                                            mil::LiteralAttr literal,
                                            mil::OpOp op) {
  auto bad = [&](StringRef wanted) {
    return op.emitError() << "'" << op.getType() << "': expects argument '"
                          << arg.name << "' to be " << wanted << ", but got "
                          << literal.getType(),
           failure();
  };
  auto strings = dyn_cast<DenseStringElementsAttr>(literal.getValue());
  auto dense = dyn_cast<DenseElementsAttr>(literal.getValue());
  if (arg.kind == ArgKind::String || arg.kind == ArgKind::DType) {
    if (!strings || strings.getNumElements() != 1)
      return bad("a string");
    StringRef text = strings.getRawStringData()[0];
    if (arg.kind == ArgKind::String)
      return Attribute(builder.getStringAttr(text));
    std::optional<DType> dtype = lookupDType(text);
    if (!dtype)
      return op.emitError() << "'" << op.getType() << "': has dtype '" << text
                            << "', which is not known",
             failure();
    return Attribute(TypeAttr::get(toMLIRType(*dtype, builder.getContext())));
  }
  if (!dense)
    return bad("a number");
  bool isInteger = isa<IntegerType>(dense.getElementType()),
       isBool = dense.getElementType().isInteger(1);
  switch (arg.kind) {
  case ArgKind::Int:
  case ArgKind::Ints: {
    if (!isInteger || isBool)
      return bad("integers");
    SmallVector<int64_t> list;
    for (const APInt &v : dense.getValues<APInt>())
      list.push_back(dense.getElementType().isUnsignedInteger()
                         ? v.getZExtValue()
                         : v.getSExtValue());
    if (arg.kind == ArgKind::Ints)
      return Attribute(builder.getDenseI64ArrayAttr(list));
    if (list.size() != 1)
      return bad("one integer");
    return Attribute(builder.getI64IntegerAttr(list[0]));
  }
  case ArgKind::Bool:
  case ArgKind::Bools: {
    if (!isBool)
      return bad("bool");
    SmallVector<bool> list(dense.getValues<bool>());
    if (arg.kind == ArgKind::Bools)
      return Attribute(builder.getDenseBoolArrayAttr(list));
    if (list.size() != 1)
      return bad("one bool");
    return Attribute(builder.getBoolAttr(list[0]));
  }
  default: {
    if (dense.getNumElements() != 1 || !isa<FloatType>(dense.getElementType()))
      return bad("one float");
    APFloat v = *dense.value_begin<APFloat>();
    bool loses;
    v.convert(APFloat::IEEEsingle(), APFloat::rmNearestTiesToEven, &loses);
    return Attribute(builder.getF32FloatAttr(v.convertToFloat()));
  }
  }
}

LogicalResult Raiser::raiseOp(mil::OpOp op) {
  if (op.getType() == "const")
    return success(); // raised where it is used
  const OpInfo *info = lookupOpInfoByMilName(op.getType());
  if (!info) {
    ++unknown[op.getType()];
    return success();
  }
  auto fail = [&] { return op.emitError() << "'" << op.getType() << "': "; };
  OperationState state(op.getLoc(), info->name);
  NamedAttrList attributes;
  SmallVector<int32_t> segments;
  unsigned matched = 0;
  for (const ArgInfo &arg : info->args) {
    Attribute value = mil::getArgument(op, arg.name);
    matched += value ? 1 : 0;
    if (arg.isOperand()) {
      int32_t count = 0;
      auto add = [&](Attribute item) -> LogicalResult {
        FailureOr<Value> operand = raiseOperand(item, op);
        if (failed(operand))
          return failure();
        state.operands.push_back(*operand);
        ++count;
        return success();
      };
      if (!value && arg.kind == ArgKind::Operand)
        return fail() << "expects argument '" << arg.name << "'";
      if (value) {
        bool poisoned = !unknown.empty();
        auto tuple = dyn_cast<ArrayAttr>(value);
        if (tuple && arg.kind == ArgKind::VariadicOperand) {
          for (Attribute item : tuple)
            if (failed(add(item)))
              return success(poisoned);
        } else if (failed(add(value))) {
          return success(poisoned);
        }
      }
      segments.push_back(count);
      continue;
    }
    if (!value)
      continue; // the op's default
    mil::LiteralAttr literal = literalOf(value, op);
    if (!literal)
      return fail() << "expects argument '" << arg.name
                    << "' to be known at compile time";
    FailureOr<Attribute> parameter = raiseParameter(arg, literal, op);
    if (failed(parameter))
      return failure();
    attributes.set(arg.name, *parameter);
  }
  if (matched != op.getArgs().size())
    for (Attribute attr : op.getArgs()) {
      StringRef name = cast<mil::NamedAttr>(attr).getName();
      if (llvm::none_of(info->args,
                        [&](const ArgInfo &arg) { return arg.name == name; }))
        return fail() << "argument '" << name << "' is not supported";
    }
  RegisteredOperationName name =
      *RegisteredOperationName::lookup(info->name, builder.getContext());
  if (name.hasTrait<OpTrait::AttrSizedOperandSegments>())
    attributes.set("operandSegmentSizes",
                   builder.getDenseI32ArrayAttr(segments));
  state.addTypes(op.getResultTypes());
  // Properties are checked before they are set: an absent required parameter is
  // a user's mistake.
  if (int size = name.getOpPropertyByteSize()) {
    DictionaryAttr dictionary = attributes.getDictionary(builder.getContext());
    auto storage = std::make_unique<char[]>(size);
    OpaqueProperties properties(storage.get());
    name.initOpProperties(properties, nullptr);
    LogicalResult valid = name.setOpPropertiesFromAttribute(
        name, properties, dictionary, [&] { return fail(); });
    name.destroyOpProperties(properties);
    if (failed(valid))
      return failure();
    state.propertiesAttr = dictionary;
  }
  Operation *raised = builder.create(state);
  if (name.getOpPropertyByteSize())
    raised->getName().populateDefaultProperties(raised->getPropertiesStorage());
  if (failed(verify(raised, /*verifyRecursively=*/false)))
    return failure();
  for (auto [from, to] : llvm::zip(op.getResults(), raised->getResults()))
    values[from] = to;
  return success();
}

FailureOr<ProgramOp> Raiser::run(StringRef symbol) {
  MLIRContext *context = builder.getContext();
  Block &body = func.getBody().front();
  SmallVector<Type> inputs(body.getArgumentTypes()),
      outputs(body.getTerminator()->getOperandTypes());
  for (Type type : inputs)
    if (auto tensor = dyn_cast<RankedTensorType>(type);
        !tensor || !toDType(tensor.getElementType()))
      return func.emitError()
                 << "parameter type " << type << " is not supported",
             failure();
  SmallVector<Attribute> argAttrs;
  for (Attribute name : func.getParameters())
    argAttrs.push_back(
        builder.getDictionaryAttr({builder.getNamedAttr("ane.name", name)}));
  SmallVector<Attribute> resultAttrs;
  for (Value value : body.getTerminator()->getOperands()) {
    StringRef name = "result";
    if (auto op = value.getDefiningOp<mil::OpOp>())
      name = cast<StringAttr>(
                 op.getNames()[cast<OpResult>(value).getResultNumber()])
                 .getValue();
    else if (auto argument = dyn_cast<BlockArgument>(value))
      name = cast<StringAttr>(func.getParameters()[argument.getArgNumber()])
                 .getValue();
    resultAttrs.push_back(builder.getDictionaryAttr(
        {builder.getNamedAttr("ane.name", builder.getStringAttr(name))}));
  }
  auto program = ProgramOp::create(
      builder, func.getLoc(), builder.getStringAttr(symbol),
      TypeAttr::get(FunctionType::get(context, inputs, outputs)),
      builder.getStringAttr("host"), builder.getArrayAttr(argAttrs),
      builder.getArrayAttr(resultAttrs));
  OpBuilder::InsertionGuard guard(builder);
  Block &block = program.getBody().emplaceBlock();
  builder.setInsertionPointToStart(&block);
  for (BlockArgument argument : body.getArguments())
    values[argument] = block.addArgument(argument.getType(), argument.getLoc());
  for (Operation &op : body.without_terminator())
    if (failed(raiseOp(cast<mil::OpOp>(op))))
      return failure();
  if (!unknown.empty()) {
    InFlightDiagnostic diagnostic =
        func.emitError()
        << "cannot be run, these operations have no meaning here:";
    for (auto &[name, count] : unknown)
      diagnostic << " " << name << " (" << count << ")";
    return FailureOr<ProgramOp>(diagnostic);
  }
  SmallVector<Value> results;
  for (Value value : body.getTerminator()->getOperands()) {
    Value raised = values.lookup(value);
    if (!raised)
      if (mil::LiteralAttr literal = mil::getConstant(value)) {
        FailureOr<Value> constant = raiseConstant(value.getLoc(), literal);
        if (succeeded(constant))
          raised = *constant;
      }
    if (!raised)
      return failure();
    results.push_back(raised);
  }
  ane::ReturnOp::create(builder, func.getLoc(), results);
  if (failed(verify(program)))
    return failure();
  return program;
}

FailureOr<ProgramOp> mlir::ane::convertMILToANE(OpBuilder &builder,
                                                mil::FuncOp func,
                                                StringRef symbol,
                                                const WeightOpener &weights) {
  builder.getContext()->loadDialect<ANEDialect>();
  return Raiser(builder, func, weights).run(symbol);
}
