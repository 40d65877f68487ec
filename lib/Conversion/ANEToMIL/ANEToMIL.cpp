//===- ANEToMIL.cpp - ane programs to mil programs ------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// One walk driven by the op table: every ane op with a MIL name becomes the MIL
// operation of that name, its attributes named consts. There is no function per
// op.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Conversion/ANEToMIL.h"
#include "ane-mlir/Analysis/PortNames.h"
#include "ane-mlir/Conversion/Passes.h"
#include "ane-mlir/Interpreter/Weights.h"
#include "ane-mlir/Support/WeightFile.h"
#include "dialects/ANE/IR/Control.h"
#include "dialects/ANE/IR/Structure.h"
#include "dialects/ANE/IR/WeightTrees.h"
#include "dialects/MIL/IR/Names.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringSet.h"
#include <cmath>

using namespace mlir;
using namespace mlir::ane;

/// Weights with at most this many elements are written into the text.
static constexpr int64_t kInlineElements = 16;

/// buildInfo that every known runtime accepts; its contents are not validated
/// (engine/mil-text.md §1.1). A list of (key, value), in order.
static constexpr std::pair<StringLiteral, StringLiteral> kBuildInfo[] = {
    {"coremlc-component-MIL", "3510.2.1"},
    {"coremlc-version", "3505.4.1"},
    {"coremltools-component-milinternal", ""},
    {"coremltools-version", "9.0"}};

namespace {
class Converter {
public:
  Converter(OpBuilder &builder, Operation *source, bool verbose)
      : builder(builder), context(builder.getContext()), source(source),
        verbose(verbose) {}
  FailureOr<mil::ProgramOp> run(StringRef symbol,
                                ArrayRef<std::string> parameters,
                                ArrayRef<std::string> results,
                                ArrayRef<StringRef> reserved);

private:
  std::string uniqueName(StringRef wanted);
  std::string nameOf(Operation *op);
  Value addConst(Location loc, StringRef name, Type type, Attribute value);
  /// A named const for an attribute argument, shared by equal ones.
  FailureOr<Value> parameter(Operation *op, StringRef opName,
                             const ArgInfo &arg, Attribute attr);
  FailureOr<Value> operand(Operation *op, StringRef opName, StringRef arg,
                           Value value);
  LogicalResult convertOp(Operation *op);
  /// Every op of a block but its terminator.
  /// Ops over constants alone are weight trees: they become data, not
  /// operations. Found in one pass, so that deep trees cost nothing.
  void markTrees(Block &block);
  LogicalResult convertBody(Block &block);
  /// A branch or a loop: blocks that see the values around them.
  LogicalResult convertControl(Operation *op, StringRef type,
                               ValueRange variables, ValueRange inputs);
  SmallVector<std::string> nameResults(Operation *op, StringRef opName);
  /// The `name` of an operation. Its end tells who runs the program that the
  /// model computes in 64 bits here (`ane.wide`).
  std::string operationName(Operation *op, StringRef opName,
                            ArrayRef<std::string> results);
  Value addIdentity(Location loc, StringRef name, Value x);

  OpBuilder &builder;
  MLIRContext *context;
  Operation *source;
  bool verbose;
  mil::ProgramOp program;
  WeightLayout layout;
  llvm::DenseMap<Value, Value> values;
  llvm::StringSet<> names;
  llvm::DenseMap<std::pair<Type, Attribute>, Value> parameters;
  llvm::DenseMap<Value, Value> constants;
  llvm::DenseMap<Operation *, bool> trees;
  /// Fixed names of the results of the function.
  llvm::DenseMap<Value, std::string> resultNames;
};
} // namespace

std::string Converter::uniqueName(StringRef wanted) {
  std::string base = mil::makeIdentifier(wanted), name = base;
  for (unsigned i = 0; !names.insert(name).second; ++i)
    name = base + "_" + std::to_string(i);
  return name;
}

std::string Converter::nameOf(Operation *op) {
  if (auto name = dyn_cast<NameLoc>(op->getLoc()))
    return name.getName().str();
  return op->getName().stripDialect().str();
}

/// #mil.named for attribute lists.
static Attribute named(MLIRContext *context, StringRef name, Type type,
                       Attribute value) {
  return mil::NamedAttr::get(context, StringAttr::get(context, name),
                             mil::LiteralAttr::get(context, type, value));
}
static Type stringType(MLIRContext *context) {
  return RankedTensorType::get({}, mil::StringType::get(context));
}
static Attribute stringValue(MLIRContext *context, StringRef text) {
  return DenseStringElementsAttr::get(cast<ShapedType>(stringType(context)),
                                      ArrayRef<StringRef>{text});
}

Value Converter::addConst(Location loc, StringRef name, Type type,
                          Attribute value) {
  auto op = mil::OpOp::create(
      builder, loc, TypeRange{type}, builder.getStringAttr("const"),
      builder.getArrayAttr({}), builder.getStrArrayAttr({name}),
      builder.getArrayAttr({named(context, "name", stringType(context),
                                  stringValue(context, name)),
                            named(context, "val", type, value)}),
      ArrayAttr(), ValueRange{}, 0);
  return op.getResult(0);
}

FailureOr<Value> Converter::parameter(Operation *op, StringRef opName,
                                      const ArgInfo &arg, Attribute attr) {
  Type type;
  Attribute value;
  auto intType = [&](int64_t) {
    return IntegerType::get(context, 32,
                            arg.isUnsigned ? IntegerType::Unsigned
                                           : IntegerType::Signless);
  };
  auto fits = [&](int64_t v) {
    return arg.isUnsigned ? v >= 0 && v <= UINT32_MAX
                          : v >= INT32_MIN && v <= INT32_MAX;
  };
  switch (arg.kind) {
  case ArgKind::Int: {
    int64_t v = cast<IntegerAttr>(attr).getInt();
    if (!fits(v))
      return op->emitOpError() << "expects '" << arg.name
                               << "' to fit 32 bits, but got " << v,
             failure();
    type = RankedTensorType::get({}, intType(v));
    value = DenseElementsAttr::get(
        cast<ShapedType>(type),
        ArrayRef<APInt>{APInt(32, uint64_t(v), false, true)});
    break;
  }
  case ArgKind::Ints: {
    SmallVector<APInt> list;
    for (int64_t v : cast<DenseI64ArrayAttr>(attr).asArrayRef()) {
      // INT64 ends of slices mean "to the end" and survive saturation.
      list.push_back(
          APInt(32, uint64_t(std::clamp<int64_t>(v, INT32_MIN, INT32_MAX)),
                false, true));
    }
    type = RankedTensorType::get({(int64_t)list.size()}, intType(0));
    value = DenseElementsAttr::get(cast<ShapedType>(type), list);
    break;
  }
  case ArgKind::Bool:
    type = RankedTensorType::get({}, builder.getI1Type());
    value =
        DenseElementsAttr::get(cast<ShapedType>(type),
                               ArrayRef<bool>{cast<BoolAttr>(attr).getValue()});
    break;
  case ArgKind::Bools: {
    ArrayRef<bool> list = cast<DenseBoolArrayAttr>(attr).asArrayRef();
    type = RankedTensorType::get({(int64_t)list.size()}, builder.getI1Type());
    value = DenseElementsAttr::get(cast<ShapedType>(type), list);
    break;
  }
  case ArgKind::Float: {
    // Typed as the op's data; an epsilon that fp16 would flush to zero becomes
    // its smallest subnormal.
    Type element = Float32Type::get(context);
    Value data = op->getNumOperands() ? op->getOperand(0) : op->getResult(0);
    if (Type own = cast<RankedTensorType>(data.getType()).getElementType();
        isa<FloatType>(own))
      element = own;
    APFloat v = cast<FloatAttr>(attr).getValue();
    bool loses;
    float single = v.convertToFloat();
    v.convert(cast<FloatType>(element).getFloatSemantics(),
              APFloat::rmNearestTiesToEven, &loses);
    if (arg.name == "epsilon" && v.isZero() && single != 0)
      v = APFloat::getSmallest(cast<FloatType>(element).getFloatSemantics());
    if (v.isInfinity() && std::isfinite(single))
      v = APFloat::getLargest(cast<FloatType>(element).getFloatSemantics(),
                              single < 0);
    type = RankedTensorType::get({}, element);
    value =
        DenseElementsAttr::get(cast<ShapedType>(type), ArrayRef<APFloat>{v});
    break;
  }
  case ArgKind::String:
    type = stringType(context);
    value = stringValue(context, cast<StringAttr>(attr).getValue());
    break;
  case ArgKind::DType:
    type = stringType(context);
    value = stringValue(
        context, getInfo(*toDType(cast<TypeAttr>(attr).getValue())).name);
    break;
  default:
    llvm_unreachable("operands are no parameters");
  }
  Value &shared = parameters[{type, value}];
  if (!shared)
    shared = addConst(op->getLoc(),
                      uniqueName((opName + "_" + arg.name + "_0").str()), type,
                      value);
  return shared;
}

/// Says at the root of a weight tree where in the weight file its bytes belong.
static void markWeight(OpResult root, uint64_t offset) {
  Operation *op = root.getOwner();
  SmallVector<int64_t> offsets(op->getNumResults(), 0);
  if (auto known = op->getAttrOfType<DenseI64ArrayAttr>(marks::kWeight))
    offsets.assign(known.asArrayRef().begin(), known.asArrayRef().end());
  offsets[root.getResultNumber()] = offset;
  op->setAttr(marks::kWeight,
              DenseI64ArrayAttr::get(op->getContext(), offsets));
}

FailureOr<Value> Converter::operand(Operation *op, StringRef opName,
                                    StringRef arg, Value value) {
  if (Value known = values.lookup(value))
    return known;
  Value &constant = constants[value];
  if (constant)
    return constant;
  auto type = cast<RankedTensorType>(value.getType());
  std::string name = uniqueName((opName + "_" + arg + "_0").str());
  std::optional<DType> dtype = toDType(type.getElementType());
  if (!type.hasStaticShape())
    return op->emitOpError() << "expects constant operand '" << arg
                             << "' to have a static shape, but got " << type,
           failure();
  bool hasBlob = getInfo(*dtype).blobCode != 0;
  // A compressed constant takes its parts from a file, however small, as does
  // one that is written anew.
  bool asIs = false;
  if ((type.getNumElements() > kInlineElements || isCompressed(op) ||
       findPatched(value, asIs)) &&
      hasBlob) {
    uint64_t offset = layout.add(*dtype, type.getNumElements());
    markWeight(cast<OpResult>(value), offset);
    constant = addConst(op->getLoc(), name, type,
                        mil::BlobFileAttr::get(context, kWeightPath, offset));
    return constant;
  }
  FailureOr<std::vector<char>> bytes = evaluateWeight(value);
  if (failed(bytes))
    return op->emitOpError()
               << "cannot evaluate constant operand '" << arg << "'",
           failure();
  constant = addConst(
      op->getLoc(), name, type,
      Tensor::fromBytes(*dtype, type.getShape(), *bytes).toElements(context));
  return constant;
}

Value Converter::addIdentity(Location loc, StringRef name, Value x) {
  Attribute arg = mil::NamedAttr::get(context, builder.getStringAttr("x"),
                                      mil::RefAttr::get(context, 0));
  auto identity = mil::OpOp::create(
      builder, loc, x.getType(), builder.getStringAttr("identity"),
      builder.getArrayAttr({arg}), builder.getStrArrayAttr({name}),
      builder.getArrayAttr({named(context, "name", stringType(context),
                                  stringValue(context, name))}),
      ArrayAttr(), ValueRange{x}, 0);
  return identity.getResult(0);
}

SmallVector<std::string> Converter::nameResults(Operation *op,
                                                StringRef opName) {
  SmallVector<std::string> list;
  for (auto [i, value] : llvm::enumerate(op->getResults()))
    if (auto it = resultNames.find(value); it != resultNames.end())
      list.push_back(it->second);
    else
      list.push_back(uniqueName(
          op->getNumResults() == 1 ? opName : (opName + "_" + Twine(i)).str()));
  return list;
}

std::string Converter::operationName(Operation *op, StringRef opName,
                                     ArrayRef<std::string> results) {
  std::string name = results.empty() ? opName.str() : results[0];
  return op->hasAttr(marks::kWide) ? uniqueName(name + mil::kWideSuffix.str())
                                   : name;
}

LogicalResult Converter::convertControl(Operation *op, StringRef type,
                                        ValueRange variables,
                                        ValueRange inputs) {
  std::string opName = nameOf(op);
  bool loop = type == "while_loop";
  SmallVector<Value> operands, around;
  SmallVector<Attribute> refs, blockParameters;
  for (Value v :
       loop ? variables : ValueRange(op->getOperands().take_front(1))) {
    FailureOr<Value> value =
        operand(op, opName, loop ? "loop_vars" : "pred", v);
    if (failed(value))
      return failure();
    refs.push_back(mil::RefAttr::get(context, operands.size()));
    operands.push_back(*value);
  }
  for (Value v : inputs) {
    FailureOr<Value> value = operand(op, opName, "input", v);
    if (failed(value))
      return failure();
    around.push_back(*value);
  }
  SmallVector<std::string> resultList = nameResults(op, opName);
  SmallVector<StringRef> names(resultList.begin(), resultList.end());
  Attribute argument = mil::NamedAttr::get(
      context, builder.getStringAttr(loop ? "loop_vars" : "pred"),
      loop ? Attribute(builder.getArrayAttr(refs)) : refs[0]);
  // Both blocks of a loop name their inputs alike.
  SmallVector<std::string> parameterList;
  for (size_t i = 0; i < variables.size(); ++i)
    parameterList.push_back(uniqueName((opName + "_x" + Twine(i)).str()));
  SmallVector<StringRef> parameterNames(parameterList.begin(),
                                        parameterList.end());
  SmallVector<std::unique_ptr<Region>> regions;
  for (Region &region : op->getRegions()) {
    Block &from = region.front();
    regions.push_back(std::make_unique<Region>());
    Block &to = regions.back()->emplaceBlock();
    for (auto [i, v] : llvm::enumerate(variables))
      values[from.getArgument(i)] = to.addArgument(v.getType(), op->getLoc());
    for (auto [argument, v] :
         llvm::zip(from.getArguments().drop_front(variables.size()), around))
      values[argument] = v;
    // Consts made inside are not seen behind the block.
    auto outerParameters = parameters;
    auto outerConstants = constants;
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(&to);
    if (failed(convertBody(from)))
      return failure();
    SmallVector<Value> yielded;
    for (auto [i, v] : llvm::enumerate(from.getTerminator()->getOperands())) {
      FailureOr<Value> value = operand(op, opName, "y", v);
      if (failed(value))
        return failure();
      // A block gives names of its own, each once.
      Operation *producer = value->getDefiningOp();
      bool own = producer && producer->getBlock() == &to &&
                 !mil::getConstant(*value) &&
                 !llvm::is_contained(yielded, *value);
      yielded.push_back(
          own ? *value
              : addIdentity(op->getLoc(),
                            uniqueName((opName + "_y" + Twine(i)).str()),
                            *value));
    }
    mil::ReturnOp::create(builder, op->getLoc(), yielded);
    parameters = std::move(outerParameters);
    constants = std::move(outerConstants);
    blockParameters.push_back(builder.getStrArrayAttr(parameterNames));
  }
  auto milOp = mil::OpOp::create(
      builder, op->getLoc(), op->getResultTypes(), builder.getStringAttr(type),
      builder.getArrayAttr({argument}), builder.getStrArrayAttr(names),
      builder.getArrayAttr({named(
          context, "name", stringType(context),
          stringValue(context, names.empty() ? StringRef(opName) : names[0]))}),
      builder.getArrayAttr(blockParameters), operands, regions.size());
  for (auto [to, from] : llvm::zip(milOp.getBlocks(), regions))
    to.takeBody(*from);
  for (auto [from, to] : llvm::zip(op->getResults(), milOp.getResults()))
    values[from] = to;
  return success();
}

void Converter::markTrees(Block &block) {
  for (Operation &op : block.without_terminator()) {
    bool tree = isa<ConstantOp>(op);
    if (!tree && isFunctionOfOperands(&op) && !isCompressed(&op) &&
        lookupOpInfo(op.getName().getStringRef()))
      tree = llvm::all_of(op.getOperands(), [&](Value v) {
        return v.getDefiningOp() && trees.lookup(v.getDefiningOp());
      });
    trees[&op] = tree;
  }
}

LogicalResult Converter::convertBody(Block &block) {
  markTrees(block);
  for (Operation &op : block.without_terminator()) {
    if (!trees.lookup(&op) && failed(convertOp(&op)))
      return failure();
  }
  return success();
}

LogicalResult Converter::convertOp(Operation *op) {
  if (auto cond = dyn_cast<CondOp>(op))
    return convertControl(op, "cond", {}, cond.getInputs());
  if (auto loop = dyn_cast<WhileLoopOp>(op))
    return convertControl(op, "while_loop", loop.getLoopVars(),
                          loop.getInputs());
  const OpInfo *info = lookupOpInfo(op->getName().getStringRef());
  if (!info)
    return op->emitOpError() << "has no MIL operation";
  if (op->getName().getOpPropertyByteSize())
    op->getName().populateDefaultProperties(op->getPropertiesStorage());
  std::string opName = nameOf(op);
  SmallVector<Attribute> args;
  SmallVector<Value> operands;
  auto reference = [&](Value value) -> Attribute {
    operands.push_back(value);
    return mil::RefAttr::get(context, operands.size() - 1);
  };
  // Which operands belong to which argument.
  ArrayRef<int32_t> segments;
  if (auto attr = op->getAttrOfType<DenseI32ArrayAttr>("operandSegmentSizes"))
    segments = attr.asArrayRef();
  unsigned index = 0, segment = 0;
  SmallVector<std::pair<StringRef, Attribute>> list;
  for (const ArgInfo &arg : info->args) {
    if (!arg.isOperand()) {
      Attribute attr = op->getAttr(arg.name);
      if (!attr)
        continue; // optional and absent
      FailureOr<Value> value = parameter(op, opName, arg, attr);
      if (failed(value))
        return failure();
      list.push_back({arg.name, reference(*value)});
      continue;
    }
    unsigned left = op->getNumOperands() - index;
    unsigned count = !segments.empty() ? segments[segment++]
                     : arg.kind == ArgKind::VariadicOperand ? left
                     : arg.kind == ArgKind::Operand ? 1
                                                    : std::min(left, 1u);
    SmallVector<Attribute> refs;
    for (unsigned i = 0; i < count; ++i) {
      FailureOr<Value> value =
          operand(op, opName, arg.name, op->getOperand(index + i));
      if (failed(value))
        return failure();
      refs.push_back(reference(*value));
    }
    index += count;
    if (arg.kind == ArgKind::VariadicOperand)
      list.push_back({arg.name, builder.getArrayAttr(refs)});
    else if (count)
      list.push_back({arg.name, refs[0]});
  }
  // coremlc's order.
  llvm::sort(list, [](auto &a, auto &b) { return a.first < b.first; });
  for (auto &[name, value] : list)
    args.push_back(
        mil::NamedAttr::get(context, builder.getStringAttr(name), value));
  SmallVector<std::string> resultList = nameResults(op, opName);
  SmallVector<StringRef> refs;
  for (std::string &name : resultList)
    refs.push_back(name);
  auto milOp = mil::OpOp::create(
      builder, op->getLoc(), op->getResultTypes(),
      builder.getStringAttr(info->milName), builder.getArrayAttr(args),
      builder.getStrArrayAttr(refs),
      builder.getArrayAttr(
          {named(context, "name", stringType(context),
                 stringValue(context, operationName(op, opName, resultList)))}),
      ArrayAttr(), operands, 0);
  for (auto [from, to] : llvm::zip(op->getResults(), milOp.getResults()))
    values[from] = to;
  return success();
}

FailureOr<mil::ProgramOp> Converter::run(StringRef symbol,
                                         ArrayRef<std::string> parameterNames,
                                         ArrayRef<std::string> results,
                                         ArrayRef<StringRef> reserved) {
  // Marks of an earlier conversion are of another file.
  source->walk([](Operation *op) { op->removeAttr(marks::kWeight); });
  Block &block = source->getRegion(0).front();
  // The lowest opset that has every op; the modern dialect was seen with ios18
  // only (engine/mil-text.md §1.2).
  int opset = verbose ? 16 : 18;
  for (Operation &op : block)
    if (const OpInfo *info = lookupOpInfo(op.getName().getStringRef()))
      opset = std::max(opset, info->milOpset);
  SmallVector<Attribute> entries;
  for (auto &[key, value] : kBuildInfo)
    entries.push_back(builder.getArrayAttr(
        {stringValue(context, key), stringValue(context, value)}));
  Type dict =
      mil::DictType::get(context, stringType(context), stringType(context));
  program = mil::ProgramOp::create(
      builder, source->getLoc(), builder.getStringAttr(symbol),
      builder.getStringAttr(verbose ? "1.0" : "1.3"),
      verbose ? builder.getUnitAttr() : UnitAttr(),
      builder.getArrayAttr(
          {named(context, "buildInfo", dict, builder.getArrayAttr(entries))}));
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(&program.getBody().emplaceBlock());
  SmallVector<StringRef> parameterRefs(parameterNames.begin(),
                                       parameterNames.end());
  auto func = mil::FuncOp::create(
      builder, source->getLoc(), builder.getStringAttr("main"),
      builder.getStringAttr("ios" + Twine(opset)),
      builder.getStrArrayAttr(parameterRefs), builder.getArrayAttr({}));
  Block &body = func.getBody().emplaceBlock();
  builder.setInsertionPointToStart(&body);
  for (const std::string &name : parameterNames)
    names.insert(name);
  for (const std::string &name : results)
    names.insert(name);
  for (StringRef name : reserved)
    names.insert(name);
  for (BlockArgument argument : block.getArguments())
    values[argument] = body.addArgument(argument.getType(), argument.getLoc());
  // A returned value takes the result's name; one returned twice, or an
  // argument or constant, passes an identity.
  SmallVector<Value> returned(block.getTerminator()->getOperands());
  SmallVector<bool> direct;
  markTrees(block);
  for (auto [value, name] : llvm::zip(returned, results)) {
    bool own = value.getDefiningOp() && !trees.lookup(value.getDefiningOp()) &&
               resultNames.try_emplace(value, name).second;
    direct.push_back(own);
  }
  if (failed(convertBody(block)))
    return failure();
  SmallVector<Value> outputs;
  for (auto [value, name, own] : llvm::zip(returned, results, direct)) {
    if (own) {
      outputs.push_back(values.lookup(value));
      continue;
    }
    FailureOr<Value> x = operand(source, name, "x", value);
    if (failed(x))
      return failure();
    outputs.push_back(addIdentity(source->getLoc(), name, *x));
  }
  mil::ReturnOp::create(builder, source->getLoc(), outputs);
  return program;
}

FailureOr<mil::ProgramOp> mlir::ane::convertANEToMIL(
    OpBuilder &builder, Operation *program, StringRef symbol, bool verbose,
    ArrayRef<std::string> parameterNames, ArrayRef<std::string> resultNames,
    ArrayRef<StringRef> reserved) {
  return Converter(builder, program, verbose)
      .run(symbol, parameterNames, resultNames, reserved);
}

//===----------------------------------------------------------------------===//
// The pass
//===----------------------------------------------------------------------===//

namespace mlir::ane {
#define GEN_PASS_DEF_CONVERTANETOMILPASS
#include "ane-mlir/Conversion/Passes.h.inc"
} // namespace mlir::ane

/// Equal-length names in order, so that byte-wise symbol order is the order of
/// the arguments (L42).
static std::vector<std::string> symbolNames(char prefix, size_t count) {
  size_t width = std::max<size_t>(3, std::to_string(count).size());
  std::vector<std::string> names;
  for (size_t i = 0; i < count; ++i) {
    std::string digits = std::to_string(i);
    names.push_back(prefix + std::string(width - digits.size(), '0') + digits);
  }
  return names;
}

namespace {
struct ConvertANEToMIL : ane::impl::ConvertANEToMILPassBase<ConvertANEToMIL> {
  using ConvertANEToMILPassBase::ConvertANEToMILPassBase;

  /// A model that is not placed is one program, with the model's names.
  LogicalResult convertMain(OpBuilder &builder, func::FuncOp main,
                            bool verbose) {
    std::vector<std::string> names = getPortNames(main);
    SmallVector<StringRef> kept(reserved.begin(), reserved.end());
    names = mil::makeIdentifiers(names, kept);
    ArrayRef<std::string> all(names);
    return convertANEToMIL(builder, main, main.getSymName(), verbose,
                           all.take_front(main.getNumArguments()),
                           all.drop_front(main.getNumArguments()), kept);
  }

  void runOnOperation() override {
    ModuleOp module = getOperation();
    if (ModuleOp old = module.lookupSymbol<ModuleOp>(mil::kPrograms))
      old.erase();
    bool verbose = dialect == MILDialect::Target
                       ? getTarget(module).verboseDialect
                       : dialect == MILDialect::Verbose;
    OpBuilder builder = OpBuilder::atBlockEnd(module.getBody());
    auto programModule =
        ModuleOp::create(builder, module.getLoc(), mil::kPrograms);
    builder.setInsertionPointToEnd(programModule.getBody());
    auto programs = llvm::to_vector(module.getOps<ProgramOp>());
    for (ProgramOp program : programs)
      if (failed(convertANEToMIL(
              builder, program, program.getSymName(), verbose,
              symbolNames('a', program.getArgumentTypes().size()),
              symbolNames('z', program.getResultTypes().size()))))
        return signalPassFailure();
    if (!programs.empty())
      return;
    auto main = module.lookupSymbol<func::FuncOp>("main");
    if (!main) {
      module.emitError() << "expects a function @main or ane.program ops";
      return signalPassFailure();
    }
    if (failed(convertMain(builder, main, verbose)))
      signalPassFailure();
  }
};
} // namespace
