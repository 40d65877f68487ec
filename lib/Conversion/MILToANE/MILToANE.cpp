//===- MILToANE.cpp - raising mil to ane ----------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// The reverse of ANEToMIL, driven by the same table: arguments that the ane op
// holds as attributes must be compile-time values here.
//
//===----------------------------------------------------------------------===//

#include "Raiser.h"
#include "ane-mlir/Support/WeightData.h"
#include "dialects/ANE/IR/Cast.h"
#include "dialects/ANE/IR/Structure.h"
#include "dialects/MIL/IR/Opset.h"
#include "mlir/IR/Verifier.h"
#include "llvm/Support/Endian.h"

using namespace mlir;
using namespace mlir::ane;

/// True for a file that is not there, as opposed to one that is wrong.
static bool isMissing(llvm::Error &error) {
  std::error_code code;
  error = llvm::handleErrors(std::move(error),
                             [&](std::unique_ptr<llvm::StringError> text) {
                               code = text->convertToErrorCode();
                               return llvm::Error(std::move(text));
                             });
  return code == std::errc::no_such_file_or_directory;
}

FailureOr<Value> Raiser::raiseAbsent(Location loc, RankedTensorType type,
                                     StringRef key, StringRef path,
                                     llvm::Error error) {
  std::string why = llvm::toString(std::move(error));
  Operation *module = outer.getInsertionBlock()->getParentOp();
  auto known = module->getAttrOfType<StringAttr>(marks::kAbsentWeights);
  if (!known) {
    module->setAttr(marks::kAbsentWeights, b.builder.getStringAttr(why));
    emitWarning(loc) << "BLOBFILE(" << path << "): " << why
                     << "; operations are placed and costed by their shapes, "
                        "nothing can be run or written";
  }
  // All views of the same numbers: different from each other, so that no
  // algebra takes them for zeros or ones; small in whatever type.
  uint64_t bytes =
      getByteSize(*toDType(type.getElementType()), type.getNumElements());
  if (!standIns || standIns->size() < bytes) {
    auto made = std::make_shared<std::vector<char>>(bytes + bytes % 2);
    uint32_t state = 1;
    for (size_t i = 0; i < made->size(); i += 2) {
      state = state * 1664525 + 1013904223;
      llvm::support::endian::write16le(made->data() + i,
                                       0x2c00 | (state >> 22));
    }
    standIns = std::move(made);
  }
  ArrayRef<char> view = ArrayRef<char>(*standIns).take_front(bytes);
  return Value(ConstantOp::create(
      b.builder, loc, type, makeResourceConstant(type, key, view, standIns)));
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
    if (!type.hasStaticShape())
      return fail("the const declares a type of unknown extents");
    // A key of its own, which the resource manager need not look for.
    std::string key = "weight_" + std::to_string(blob.getOffset());
    auto file = weights(blob.getPath());
    if (!file) {
      auto error = file.takeError();
      if (!isMissing(error))
        return fail(llvm::toString(std::move(error)));
      return raiseAbsent(loc, type, key, blob.getPath(), std::move(error));
    }
    auto data = readWeightAs((*file)->data(), blob.getOffset(), *dtype,
                             type.getNumElements());
    if (!data)
      return fail(llvm::toString(data.takeError()));
    return Value(ConstantOp::create(
        b.builder, loc, type, makeResourceConstant(type, key, *data, *file)));
  }
  auto dense = dyn_cast<DenseElementsAttr>(literal.getValue());
  if (!dense)
    return emitError(loc) << "constant has no value: " << literal.getValue(),
           failure();
  return Value(ConstantOp::create(
      b.builder, loc, cast<RankedTensorType>(dense.getType()), dense));
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
    if (!arg.takesWord(text))
      return error(op) << "expects argument '" << arg.name << "' to be "
                       << arg.listWords() << ", but got '" << text << "'",
             failure();
    if (arg.kind == ArgKind::String)
      return Attribute(b.builder.getStringAttr(text));
    FailureOr<DType> type = dtype(op, arg.name);
    if (failed(type))
      return failure();
    return Attribute(TypeAttr::get(toMLIRType(*type, b.builder.getContext())));
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
      return Attribute(b.builder.getDenseI64ArrayAttr(list));
    if (list.size() != 1)
      return bad("one integer");
    return Attribute(b.builder.getI64IntegerAttr(list[0]));
  }
  case ArgKind::Bool:
  case ArgKind::Bools: {
    if (!isBool)
      return bad("bool");
    SmallVector<bool> list(dense.getValues<bool>());
    if (arg.kind == ArgKind::Bools)
      return Attribute(b.builder.getDenseBoolArrayAttr(list));
    if (list.size() != 1)
      return bad("one bool");
    return Attribute(b.builder.getBoolAttr(list[0]));
  }
  default: {
    if (dense.getNumElements() != 1 || isBool)
      return bad("one number");
    if (isInteger)
      return Attribute(b.builder.getF32FloatAttr(
          float((*dense.value_begin<APInt>()).getSExtValue())));
    APFloat v = *dense.value_begin<APFloat>();
    bool loses;
    v.convert(APFloat::IEEEsingle(), APFloat::rmNearestTiesToEven, &loses);
    return Attribute(b.builder.getF32FloatAttr(v.convertToFloat()));
  }
  }
}

LogicalResult Raiser::raiseOp(mil::OpOp op) {
  if (op.getType() == "const")
    return success(); // raised where it is used
  if (Handler handler = lookupHandler(op.getType())) {
    // What reads the result of an unknown operation cannot be raised; the
    // unknown one is named in the end.
    bool poisoned = !unknown.empty();
    LogicalResult raised = (this->*handler)(op);
    return success(succeeded(raised) || poisoned);
  }
  const OpInfo *info = lookupOpInfoByMilName(op.getType());
  if (!info && checking)
    return error(op) << "is no operation that is known";
  if (!info) {
    ++unknown[op.getType()];
    return success();
  }
  Arguments arguments;
  for (Attribute attr : op.getArgs()) {
    auto named = cast<mil::NamedAttr>(attr);
    arguments.push_back({named.getName().getValue(), named.getValue()});
  }
  if (failed(normalise(op, arguments)))
    return failure();
  // Some operations have a second form for what is known only at run time.
  StringRef form = op.getType() == "slice_by_index" ? "ane.dynamic_slice"
                   : op.getType() == "slice_by_size"
                       ? "ane.dynamic_slice_by_size"
                       : "";
  if (!form.empty())
    for (auto &[name, value] : arguments)
      if ((name == "begin" || name == "end") && !literalOf(value, op))
        info = lookupOpInfo(form);
  return raiseByTable(op, *info, std::move(arguments));
}

LogicalResult Raiser::raiseByTable(mil::OpOp op, const OpInfo &info,
                                   Arguments arguments) {
  bool poisoned = !unknown.empty();
  auto find = [&](StringRef name) -> Attribute {
    for (auto &[argument, value] : arguments)
      if (argument == name)
        return value;
    return {};
  };
  SmallVector<Value> operands;
  SmallVector<NamedAttribute> attributes;
  unsigned matched = 0;
  for (const ArgInfo &arg : info.args) {
    Attribute value = find(arg.name);
    matched += value ? 1 : 0;
    if (arg.isOperand()) {
      if (!value && arg.kind == ArgKind::Operand)
        return error(op) << "expects argument '" << arg.name << "'";
      if (!value) {
        if (arg.kind == ArgKind::OptionalOperand)
          operands.push_back({});
        continue;
      }
      auto tuple = dyn_cast<ArrayAttr>(value);
      if (tuple && arg.kind != ArgKind::VariadicOperand)
        return error(op) << "expects argument '" << arg.name
                         << "' to be a single value, but got a tuple";
      SmallVector<Attribute> items{value};
      if (tuple)
        items.assign(tuple.begin(), tuple.end());
      for (Attribute item : items) {
        FailureOr<Value> operand = raiseOperand(item, op);
        if (failed(operand))
          return success(poisoned);
        operands.push_back(*operand);
      }
      continue;
    }
    if (!value && arg.isRequired)
      return error(op) << "expects argument '" << arg.name << "'";
    if (!value)
      continue; // the op's default
    mil::LiteralAttr literal = literalOf(value, op);
    if (!literal)
      return poisoned
                 ? success()
                 : LogicalResult(error(op) << "expects argument '" << arg.name
                                           << "' to be known at compile time");
    FailureOr<Attribute> parameter = raiseParameter(arg, literal, op);
    if (failed(parameter))
      return failure();
    attributes.push_back(b.builder.getNamedAttr(arg.name, *parameter));
  }
  if (matched != arguments.size())
    for (auto &[name, value] : arguments)
      if (llvm::none_of(info.args, [&, name = name](const ArgInfo &arg) {
            return arg.name == name;
          }))
        return error(op) << "argument '" << name << "' is not supported";
  // Constants beside data of another precision (from ios17 on) take the data's.
  bool own = StringRef(info.milName).starts_with("constexpr") ||
             llvm::is_contained({"quantize", "dequantize", "resample",
                                 "crop_resize", "fill_like", "cast", "select",
                                 "scaled_dot_product_attention"},
                                info.milName);
  llvm::SmallPtrSet<Type, 2> floats;
  for (Value v : operands)
    if (v && isa<FloatType>(typeOf(v).getElementType()))
      floats.insert(typeOf(v).getElementType());
  if (!own && floats.size() > 1) {
    Type element;
    for (Value v : operands)
      if (v && isa<FloatType>(typeOf(v).getElementType()) &&
          !isConstantTree(v)) {
        element = typeOf(v).getElementType();
        break;
      }
    for (Value &v : operands)
      if (element && v && isa<FloatType>(typeOf(v).getElementType()) &&
          typeOf(v).getElementType() != element && isConstantTree(v)) {
        v = b.create<CastOp>(op.getLoc(), {v}, {.dtype = element});
        if (!v)
          return failure();
      }
  }
  RegisteredOperationName name =
      *RegisteredOperationName::lookup(info.name, b.builder.getContext());
  SmallVector<Value> results;
  if (name.getInterface<InferTypeOpInterface>()) {
    results = b.create(info.name, op.getLoc(), operands, attributes);
    if (results.empty() && op.getNumResults())
      return failure();
  } else { // random numbers: the dtype is not that of an operand
    OperationState state(op.getLoc(), info.name, operands, op.getResultTypes(),
                         attributes);
    Operation *raised = b.builder.create(state);
    if (failed(verify(raised, /*verifyRecursively=*/false)))
      return failure();
    results.assign(raised->result_begin(), raised->result_end());
  }
  if (!results.empty() && mil::isNamedWide(op))
    if (Operation *raised = results[0].getDefiningOp())
      raised->setAttr(marks::kWide, b.builder.getUnitAttr());
  return bind(op, results);
}

LogicalResult Raiser::bind(mil::OpOp op, ArrayRef<Value> results) {
  if (results.size() < op.getNumResults())
    return error(op) << "has " << op.getNumResults() << " results, but "
                     << results.size() << " are what it gives";
  // An operation may leave out results behind the first ones.
  for (auto [to, from] : llvm::zip_first(op.getResults(), results)) {
    auto declared = dyn_cast<RankedTensorType>(to.getType());
    auto found = typeOf(from);
    Value value = from;
    if (declared && declared != found) {
      bool integers = isa<IntegerType>(declared.getElementType()) &&
                      isa<IntegerType>(found.getElementType()) &&
                      !declared.getElementType().isInteger(1) &&
                      !found.getElementType().isInteger(1);
      // Indices of any width are computed in 32 bits.
      if (integers && declared.getElementType() != found.getElementType()) {
        value = b.create<CastOp>(op.getLoc(), {value},
                                 {.dtype = declared.getElementType()});
        if (!value)
          return failure();
        found = typeOf(value);
      }
      if (!areCompatible(found, declared))
        return error(op)
               << "result '"
               << cast<StringAttr>(
                      op.getNames()[cast<OpResult>(to).getResultNumber()])
                      .getValue()
               << "' is declared as " << declared << ", but is " << found;
      if (checking && staticInputs && !declared.hasStaticShape())
        for (auto [axis, dim] : llvm::enumerate(found.getShape()))
          if (declared.isDynamicDim(axis) && !ShapedType::isDynamic(dim))
            return error(op)
                   << "result is declared as " << declared << ", but axis "
                   << axis << " is known to be " << dim;
      SmallVector<int64_t> shape(found.getShape());
      for (auto [dim, other] : llvm::zip(shape, declared.getShape()))
        if (ShapedType::isDynamic(dim))
          dim = other;
      if (!isa<BlockArgument>(value) && !value.getDefiningOp<ConstantOp>() &&
          shape != found.getShape())
        value.setType(found.clone(shape));
    }
    values[to] = value;
  }
  return success();
}

FailureOr<ProgramOp> Raiser::run(StringRef symbol) {
  MLIRContext *context = outer.getContext();
  OpBuilder &builder = b.builder;
  opset = mil::opsetNumber(func.getOpset());
  Block &body = func.getBody().front();
  SmallVector<Type> inputs, outputs;
  SmallVector<Attribute> argAttrs, resultAttrs;
  for (auto [attr, argument] :
       llvm::zip(func.getParameters(), body.getArguments())) {
    StringRef name = cast<StringAttr>(attr).getValue();
    Type type = argument.getType();
    NamedAttrList attributes;
    attributes.set(marks::kName, builder.getStringAttr(name));
    if (auto state = dyn_cast<mil::StateType>(type)) {
      type = state.getWrapped();
      attributes.set(marks::kState, builder.getUnitAttr());
    }
    auto tensor = dyn_cast<RankedTensorType>(type);
    if (!tensor || !toDType(tensor.getElementType()))
      return emitError(func.getLoc())
                 << "parameter '" << name << "' of type " << argument.getType()
                 << " is not supported",
             failure();
    staticInputs &= tensor.hasStaticShape();
    if (auto bound = shapes.find(name);
        bound != shapes.end() && !tensor.hasStaticShape()) {
      if (failed(verifyCompatibleShape(tensor.getShape(), bound->second)))
        return emitError(func.getLoc())
                   << "parameter '" << name << "' of type " << tensor
                   << " cannot have the shape [" << bound->second << "]",
               failure();
      tensor = tensor.clone(bound->second);
    }
    inputs.push_back(tensor);
    argAttrs.push_back(attributes.getDictionary(context));
  }
  auto program = ProgramOp::create(
      outer, func.getLoc(), builder.getStringAttr(symbol),
      TypeAttr::get(FunctionType::get(context, inputs, outputs)),
      builder.getStringAttr("host"), builder.getArrayAttr(argAttrs),
      builder.getArrayAttr(resultAttrs));
  Block &block = program.getBody().emplaceBlock();
  builder.setInsertionPointToStart(&block);
  for (auto [argument, type] : llvm::zip(body.getArguments(), inputs)) {
    values[argument] = block.addArgument(type, argument.getLoc());
    if (isa<mil::StateType>(argument.getType()))
      states[argument] = values[argument];
  }
  for (Operation &op : body.without_terminator())
    if (failed(raiseOp(cast<mil::OpOp>(op))) &&
        (!checking || failed(standIn(cast<mil::OpOp>(op)))))
      return failure();
  if (checking)
    return failedCheck ? FailureOr<ProgramOp>(failure()) : program;
  if (!unknown.empty()) {
    InFlightDiagnostic diagnostic =
        emitError(func.getLoc())
        << "cannot be run, these operations have no meaning here:";
    for (auto &[name, count] : unknown)
      diagnostic << " " << name << " (" << count << ")";
    return FailureOr<ProgramOp>(diagnostic);
  }
  SmallVector<Value> results;
  auto addResult = [&](StringRef name, Value value, bool state) {
    NamedAttrList attributes;
    attributes.set(marks::kName, builder.getStringAttr(name));
    if (state)
      attributes.set(marks::kState, builder.getUnitAttr());
    resultAttrs.push_back(attributes.getDictionary(context));
    results.push_back(value);
    outputs.push_back(value.getType());
  };
  for (Value value : body.getTerminator()->getOperands()) {
    Value raised = values.lookup(value);
    if (!raised)
      if (mil::LiteralAttr literal = mil::getConstant(value)) {
        FailureOr<Value> constant = raiseConstant(value.getLoc(), literal);
        if (succeeded(constant))
          raised = *constant;
      }
    if (!raised)
      return emitError(func.getLoc())
                 << "has a result of type " << value.getType()
                 << ", which cannot leave it",
             failure();
    StringRef name = "result";
    if (auto op = value.getDefiningOp<mil::OpOp>())
      name = cast<StringAttr>(
                 op.getNames()[cast<OpResult>(value).getResultNumber()])
                 .getValue();
    else if (auto argument = dyn_cast<BlockArgument>(value))
      name = cast<StringAttr>(func.getParameters()[argument.getArgNumber()])
                 .getValue();
    addResult(name, raised, false);
  }
  for (auto &[parameter, value] : states)
    addResult(
        cast<StringAttr>(
            func.getParameters()[cast<BlockArgument>(parameter).getArgNumber()])
            .getValue(),
        value, true);
  ane::ReturnOp::create(builder, func.getLoc(), results);
  program.setFunctionType(FunctionType::get(context, inputs, outputs));
  program.setResAttrsAttr(builder.getArrayAttr(resultAttrs));
  if (failed(verify(program)))
    return failure();
  return program;
}

FailureOr<ProgramOp>
mlir::ane::convertMILToANE(OpBuilder &builder, mil::FuncOp func,
                           StringRef symbol, const WeightOpener &weights,
                           const mil::ShapeBindings &shapes) {
  builder.getContext()->loadDialect<ANEDialect>();
  return Raiser(builder, func, weights, shapes).run(symbol);
}

LogicalResult Raiser::standIn(mil::OpOp op) {
  failedCheck = true;
  Block *block = b.builder.getInsertionBlock();
  if (!isa<ProgramOp>(block->getParentOp()))
    return failure();
  for (Value result : op.getResults())
    if (auto type = dyn_cast<RankedTensorType>(result.getType());
        type && toDType(type.getElementType()))
      values[result] = block->addArgument(type, op.getLoc());
  return success();
}

LogicalResult mlir::ane::checkMIL(mil::FuncOp func, const WeightOpener &weights,
                                  const mil::ShapeBindings &shapes) {
  func.getContext()->loadDialect<ANEDialect>();
  OwningOpRef<ModuleOp> scratch = ModuleOp::create(func.getLoc());
  OpBuilder builder = OpBuilder::atBlockEnd(scratch->getBody());
  return Raiser(builder, func, weights, shapes, /*checking=*/true)
      .run("checked");
}

FailureOr<func::FuncOp>
mlir::ane::convertMILToFunction(OpBuilder &builder, mil::FuncOp milFunc,
                                const WeightOpener &weights,
                                const mil::ShapeBindings &shapes) {
  FailureOr<ProgramOp> program =
      convertMILToANE(builder, milFunc, "raised", weights, shapes);
  if (failed(program))
    return failure();
  SmallVector<DictionaryAttr> argAttrs, resultAttrs;
  // The user's dtypes, whatever precision values get later.
  auto withDType = [&](DictionaryAttr attributes, Type type) {
    NamedAttrList list(attributes);
    list.set(
        marks::kDtype,
        builder.getStringAttr(
            getInfo(*toDType(cast<RankedTensorType>(type).getElementType()))
                .name));
    return list.getDictionary(builder.getContext());
  };
  auto function = cast<FunctionOpInterface>(**program);
  for (auto [i, type] : llvm::enumerate(program->getArgumentTypes()))
    argAttrs.push_back(withDType(function.getArgAttrDict(i), type));
  auto main = func::FuncOp::create(builder, program->getLoc(), "main",
                                   program->getFunctionType(), {}, argAttrs);
  for (auto [i, type] : llvm::enumerate(program->getResultTypes()))
    main.setResultAttrs(i, withDType(function.getResultAttrDict(i), type));
  main.getBody().takeBody(program->getBody());
  Operation *terminator = main.getBody().front().getTerminator();
  OpBuilder at(terminator);
  func::ReturnOp::create(at, terminator->getLoc(), terminator->getOperands());
  terminator->erase();
  program->erase();
  return main;
}
