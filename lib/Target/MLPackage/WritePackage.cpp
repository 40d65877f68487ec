//===- WritePackage.cpp - mil to .mlpackage -------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "Fields.h"
#include "PackageFolder.h"
#include "UnifyShapes.h"
#include "ane-mlir/Conversion/ANEToMIL.h"
#include "ane-mlir/Interpreter/Tensor.h"
#include "ane-mlir/Target/MILSource.h"
#include "ane-mlir/Target/MILText.h"
#include "ane-mlir/Target/Opset.h"
#include "dialects/MIL/IR/MIL.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/AttrTypeSubElements.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/SHA256.h"
#include <map>
#include <protozero/pbf_writer.hpp>

using namespace mlir;
using namespace mlir::ane;
using namespace mlir::ane::coreml;
using protozero::pbf_writer;

static constexpr StringLiteral kWeightPath = "@model_path/weights/weight.bin";

static std::string str(StringRef text) { return text.str(); }

//===----------------------------------------------------------------------===//
// Boundary
//===----------------------------------------------------------------------===//

/// What Core ML takes at a boundary for a value of the user's dtype.
static Type boundaryElement(DType user, MLIRContext *context) {
  if (user == DType::Float16)
    return Float16Type::get(context);
  return isFloat(user) ? Type(Float32Type::get(context))
                       : Type(IntegerType::get(context, 32));
}

/// Inputs and outputs of @main become the user's, with casts inside. No array
/// at a boundary has rank 0. Arguments and results that `isState` names are
/// fp16, which is all that a state can be (mil.md §2.3).
static LogicalResult
castBoundary(func::FuncOp main,
             llvm::function_ref<bool(bool isInput, unsigned)> isState) {
  MLIRContext *context = main.getContext();
  Block &block = main.getBody().front();
  auto boundaryType = [&](RankedTensorType type, StringAttr dtype) {
    DType user = dtype ? lookupDType(dtype.getValue())
                             .value_or(*toDType(type.getElementType()))
                       : *toDType(type.getElementType());
    SmallVector<int64_t> shape(type.getShape());
    if (shape.empty())
      shape.push_back(1);
    return RankedTensorType::get(shape, boundaryElement(user, context));
  };
  auto stateType = [&](RankedTensorType type) {
    return RankedTensorType::get(type.getShape(), Float16Type::get(context));
  };
  auto convert = [](OpBuilder &b, Location loc, Value v,
                    RankedTensorType wanted) -> Value {
    auto type = cast<RankedTensorType>(v.getType());
    if (type.getElementType() != wanted.getElementType())
      v = CastOp::create(b, loc, type.clone(wanted.getElementType()), v,
                         TypeAttr::get(wanted.getElementType()));
    if (type.getShape() != wanted.getShape())
      v = ReshapeOp::create(b, loc, wanted, v, wanted.getShape());
    return v;
  };
  OpBuilder b = OpBuilder::atBlockBegin(&block);
  SmallVector<Type> inputs, outputs;
  for (BlockArgument argument : block.getArguments()) {
    auto type = dyn_cast<RankedTensorType>(argument.getType());
    if (!type || !type.hasStaticShape() || type.getNumElements() == 0)
      return main.emitError()
             << "input " << argument.getArgNumber() << " has type "
             << argument.getType() << ", which no package can have";
    RankedTensorType wanted =
        isState(true, argument.getArgNumber())
            ? stateType(type)
            : boundaryType(type, main.getArgAttrOfType<StringAttr>(
                                     argument.getArgNumber(), "ane.dtype"));
    inputs.push_back(wanted);
    if (wanted == type)
      continue;
    argument.setType(wanted);
    SmallVector<OpOperand *> uses;
    for (OpOperand &use : argument.getUses())
      uses.push_back(&use);
    Value inside = convert(b, argument.getLoc(), argument, type);
    for (OpOperand *use : uses)
      use->set(inside);
  }
  Operation *terminator = block.getTerminator();
  b.setInsertionPoint(terminator);
  for (OpOperand &operand : terminator->getOpOperands()) {
    auto type = dyn_cast<RankedTensorType>(operand.get().getType());
    if (!type)
      return main.emitError()
             << "output " << operand.getOperandNumber() << " is no tensor";
    RankedTensorType wanted =
        isState(false, operand.getOperandNumber())
            ? stateType(type)
            : boundaryType(type,
                           main.getResultAttrOfType<StringAttr>(
                               operand.getOperandNumber(), "ane.dtype"));
    operand.set(convert(b, operand.get().getLoc(), operand.get(), wanted));
    outputs.push_back(operand.get().getType());
  }
  main.setType(FunctionType::get(context, inputs, outputs));
  return success();
}

static std::string arrayMessage(RankedTensorType type,
                                ArrayRef<SmallVector<int64_t>> enumerated) {
  std::string array;
  pbf_writer out(array);
  // Extents are left out where only the data tells them.
  if (type.hasStaticShape())
    out.add_packed_int64(array::Shape, type.getShape().begin(),
                         type.getShape().end());
  out.add_enum(array::DataType, type.getElementType().isF16()   ? kArrayFloat16
                                : type.getElementType().isF32() ? kArrayFloat32
                                                                : kArrayInt32);
  if (!enumerated.empty()) {
    std::string list;
    for (const SmallVector<int64_t> &shape : enumerated) {
      std::string one;
      pbf_writer(one).add_packed_int64(1, shape.begin(), shape.end());
      pbf_writer(list).add_message(1, one);
    }
    out.add_message(array::EnumeratedShapes, list);
  }
  return array;
}

/// A FeatureDescription; `type` is the field of FeatureType and its message.
static std::string featureMessage(StringRef name, StringRef original,
                                  uint32_t kind, const std::string &type) {
  std::string featureType, message;
  pbf_writer(featureType).add_message(kind, type);
  pbf_writer out(message);
  out.add_string(feature::Name, str(name));
  if (name != original)
    out.add_string(feature::ShortDescription, str(original));
  out.add_message(feature::Type, featureType);
  return message;
}

static std::string imageMessage(RankedTensorType type, uint32_t colorSpace) {
  std::string message;
  pbf_writer out(message);
  out.add_int64(image::Width, type.getDimSize(3));
  out.add_int64(image::Height, type.getDimSize(2));
  out.add_enum(image::ColorSpace, colorSpace);
  return message;
}

namespace {
/// One function on its way into the package.
struct Part {
  std::string name;
  ConvertedProgram converted;
  /// MIL's identifiers, then the user's names, of inputs and outputs.
  std::vector<std::string> names, originals;
  SmallVector<RankedTensorType> types;
  unsigned inputs = 0;
  /// Shapes of the ports in the order of the buckets, where they differ.
  std::vector<std::vector<SmallVector<int64_t>>> enumerated;
  ArrayRef<SmallVector<int64_t>> shapesOf(unsigned port) const {
    return enumerated.empty() ? ArrayRef<SmallVector<int64_t>>()
                              : ArrayRef(enumerated[port]);
  }
  /// The output that a state input receives, by input.
  llvm::DenseMap<unsigned, unsigned> states;
  const ImageInput *imageOf(StringRef original, const PackageOptions &options) {
    for (const ImageInput &image : options.images)
      if (image.name == original)
        return &image;
    return nullptr;
  }
};
} // namespace

/// Numbers that an image input goes through before the model sees it.
static LogicalResult scaleImage(func::FuncOp main, unsigned index,
                                const ImageInput &image) {
  Value argument = main.getArgument(index);
  auto type = cast<RankedTensorType>(argument.getType());
  bool grey =
      image.colorSpace == kGrayscale || image.colorSpace == kGrayscaleFloat16;
  int64_t channels = grey ? 1 : 3;
  if (type.getRank() != 4 || type.getDimSize(0) != 1 ||
      type.getDimSize(1) != channels || !isa<FloatType>(type.getElementType()))
    return main.emitError()
           << "input '" << image.name << "' of type " << type
           << " cannot be an image; expects floats of shape [1, " << channels
           << ", height, width]";
  if (image.bias.size() > 1 && (int64_t)image.bias.size() != channels)
    return main.emitError() << "input '" << image.name << "': expects one bias"
                            << (grey ? "" : " or three") << ", but got "
                            << image.bias.size();
  OpBuilder b = OpBuilder::atBlockBegin(&main.getBody().front());
  Location loc = argument.getLoc();
  SmallVector<OpOperand *> uses;
  for (OpOperand &use : argument.getUses())
    uses.push_back(&use);
  Value v = argument;
  auto number = [&](ArrayRef<double> values) {
    Tensor tensor(*toDType(type.getElementType()),
                  values.size() == 1
                      ? SmallVector<int64_t>{}
                      : SmallVector<int64_t>{1, (int64_t)values.size(), 1, 1});
    llvm::copy(values, tensor.mutableFloats().begin());
    DenseElementsAttr dense = tensor.toElements(b.getContext());
    return ConstantOp::create(b, loc, cast<RankedTensorType>(dense.getType()),
                              dense);
  };
  if (image.scale != 1)
    v = MulOp::create(b, loc, type, v, number(image.scale));
  if (llvm::any_of(image.bias, [](double bias) { return bias != 0; }))
    v = AddOp::create(b, loc, type, v, number(image.bias));
  for (OpOperand *use : uses)
    use->set(v);
  return success();
}

static Attribute namedLiteral(Builder &b, StringRef name, Type type,
                              Attribute value) {
  return mil::NamedAttr::get(
      b.getContext(), b.getStringAttr(name),
      mil::LiteralAttr::get(b.getContext(), type, value));
}

static RankedTensorType stringType(MLIRContext *context) {
  return RankedTensorType::get({}, mil::StringType::get(context));
}

/// A statement at the builder whose arguments are values.
static mil::OpOp addStatement(OpBuilder &b, Location loc, StringRef type,
                              TypeRange types, ArrayRef<StringRef> names,
                              ArrayRef<std::pair<StringRef, Value>> arguments,
                              ArrayRef<Attribute> literals = {}) {
  SmallVector<Attribute> args;
  SmallVector<Value> operands;
  for (auto [name, value] : arguments) {
    args.push_back(mil::NamedAttr::get(
        b.getContext(), b.getStringAttr(name),
        mil::RefAttr::get(b.getContext(), operands.size())));
    operands.push_back(value);
  }
  args.append(literals.begin(), literals.end());
  StringRef label = names.empty() ? type : names[0];
  return mil::OpOp::create(
      b, loc, types, b.getStringAttr(type), b.getArrayAttr(args),
      b.getStrArrayAttr(names),
      b.getArrayAttr(
          {namedLiteral(b, "name", stringType(b.getContext()),
                        DenseStringElementsAttr::get(
                            stringType(b.getContext()), label))}),
      ArrayAttr(), operands, 0);
}

/// Arguments that are states become so: read once at the beginning, written
/// once at the end.
static void addStates(Part &part) {
  auto func = *part.converted.program.getBody().getOps<mil::FuncOp>().begin();
  Block &body = func.getBody().front();
  Operation *terminator = body.getTerminator();
  SmallVector<Value> results(terminator->getOperands());
  llvm::SmallDenseSet<unsigned> written;
  OpBuilder b(func.getContext());
  for (unsigned i = 0; i < part.inputs; ++i) {
    auto state = part.states.find(i);
    if (state == part.states.end())
      continue;
    BlockArgument argument = body.getArgument(i);
    Type type = argument.getType();
    b.setInsertionPointToStart(&body);
    std::string name = part.names[i] + "_value";
    while (llvm::is_contained(part.names, name))
      name += "_";
    argument.setType(mil::StateType::get(b.getContext(), type));
    auto read = addStatement(b, argument.getLoc(), "read_state", type,
                             {StringRef(name)}, {{"input", argument}});
    argument.replaceUsesWithIf(read.getResult(0), [&](OpOperand &use) {
      return use.getOwner() != read;
    });
    b.setInsertionPoint(terminator);
    Value data = results[state->second];
    addStatement(b, argument.getLoc(), "write_state", {}, {},
                 {{"input", argument},
                  {"data", data == argument ? read.getResult(0) : data}});
    written.insert(state->second);
  }
  SmallVector<Value> left;
  for (auto [i, value] : llvm::enumerate(terminator->getOperands()))
    if (!written.contains(i))
      left.push_back(value);
  terminator->setOperands(left);
}

/// The probabilities become a label and a dictionary (mil.md §1.13).
static LogicalResult addClassifier(Part &part, const PackageOptions &options,
                                   unsigned &output) {
  auto func = *part.converted.program.getBody().getOps<mil::FuncOp>().begin();
  Operation *terminator = func.getBody().front().getTerminator();
  output = 0;
  if (!options.probabilities.empty()) {
    auto begin = part.originals.begin() + part.inputs;
    auto it = std::find(begin, part.originals.end(), options.probabilities);
    if (it == part.originals.end())
      return func.emitError() << "no output is named '" << options.probabilities
                              << "' to be the probabilities of the classes";
    output = it - begin;
  } else if (terminator->getNumOperands() != 1) {
    return func.emitError()
           << "has " << terminator->getNumOperands()
           << " outputs; name the one that holds the probabilities of the "
              "classes: --class-probabilities=NAME";
  }
  auto type = part.types[part.inputs + output];
  if (!type.hasStaticShape() || !type.getElementType().isF32() ||
      type.getNumElements() != (int64_t)options.classLabels.size())
    return func.emitError()
           << "output '" << part.originals[part.inputs + output]
           << "' has type " << type << ", which cannot be the probabilities of "
           << options.classLabels.size() << " classes";
  OpBuilder b(terminator);
  MLIRContext *context = b.getContext();
  SmallVector<Attribute> labels;
  for (const std::string &label : options.classLabels)
    labels.push_back(DenseStringElementsAttr::get(stringType(context),
                                                  StringRef(label)));
  auto list = mil::ListType::get(context, stringType(context), labels.size());
  auto dict = mil::DictType::get(context, stringType(context),
                                 RankedTensorType::get({}, b.getF64Type()));
  auto classify = addStatement(
      b, func.getLoc(), "classify", {stringType(context), dict},
      {options.labelName(), options.probabilitiesName()},
      {{"probabilities", terminator->getOperand(output)}},
      {namedLiteral(b, "classes", list, b.getArrayAttr(labels))});
  SmallVector<Value> results(terminator->getOperands());
  results[output] = classify.getResult(0);
  results.insert(results.begin() + output + 1, classify.getResult(1));
  terminator->setOperands(results);
  return success();
}

static FailureOr<Part> convertPart(const PackageFunction &function,
                                   const PackageOptions &options,
                                   OpBuilder &builder) {
  Part part;
  part.name = function.name;
  auto main = ModuleOp(function.module).lookupSymbol<func::FuncOp>("main");
  if (!main)
    return function.module->emitError() << "expects a function @main",
           failure();
  unsigned inputs = main.getNumArguments(), outputs = main.getNumResults();
  part.inputs = inputs;
  // Identifiers are MIL's; the user's names are kept as descriptions.
  auto addName = [&](StringAttr attr, StringRef prefix, unsigned i) {
    part.originals.push_back(attr ? attr.getValue().str()
                                  : (prefix + Twine(i)).str());
  };
  for (unsigned i = 0; i < inputs; ++i)
    addName(main.getArgAttrOfType<StringAttr>(i, "ane.name"), "input", i);
  for (unsigned i = 0; i < outputs; ++i)
    addName(main.getResultAttrOfType<StringAttr>(i, "ane.name"), "output", i);
  SmallVector<StringRef> reserved;
  if (!options.classLabels.empty())
    reserved = {options.labelName(), options.probabilitiesName()};
  part.names = mil::makeIdentifiers(part.originals, reserved);
  ArrayRef<std::string> originals(part.originals);
  auto find = [&](StringRef name, bool input) -> std::optional<unsigned> {
    auto list = input ? originals.take_front(inputs)
                      : originals.drop_front(inputs);
    auto it = llvm::find(list, name);
    if (it == list.end())
      return std::nullopt;
    return it - list.begin();
  };
  // States of a package that was read.
  for (unsigned i = 0; i < inputs; ++i)
    if (main.getArgAttr(i, "ane.state"))
      for (unsigned j = 0; j < outputs; ++j)
        if (main.getResultAttr(j, "ane.state") &&
            originals[i] == originals[inputs + j])
          part.states[i] = j;
  for (auto &[in, out] : options.states) {
    auto input = find(in, true), output = find(out, false);
    if (!input || !output)
      return main.emitError() << "no " << (input ? "output" : "input")
                              << " is named '" << (input ? out : in)
                              << "' to be a state",
             failure();
    auto from = cast<RankedTensorType>(main.getArgumentTypes()[*input]),
         to = cast<RankedTensorType>(main.getResultTypes()[*output]);
    if (from.getShape() != to.getShape() || from.getRank() == 0 ||
        !isa<FloatType>(from.getElementType()))
      return main.emitError()
                 << "input '" << in << "' of type " << from << " and output '"
                 << out << "' of type " << to
                 << " cannot be one state; expects floats of the same shape",
             failure();
    part.states[*input] = *output;
  }
  for (const ImageInput &image : options.images) {
    auto input = find(image.name, true);
    if (!input)
      return main.emitError() << "no input is named '" << image.name
                              << "' to be an image",
             failure();
    if (failed(scaleImage(main, *input, image)))
      return failure();
    // An image arrives as fp32 (an fp16 one as fp16), whatever the model said.
    main.setArgAttr(
        *input, "ane.dtype",
        builder.getStringAttr(
            image.colorSpace == kGrayscaleFloat16 ? "fp16" : "fp32"));
  }
  if (failed(castBoundary(main, [&](bool input, unsigned index) {
        if (input)
          return part.states.contains(index);
        return llvm::any_of(part.states, [&](auto &state) {
          return state.second == index;
        });
      })))
    return failure();
  for (Type type : main.getArgumentTypes())
    part.types.push_back(cast<RankedTensorType>(type));
  for (Type type : main.getResultTypes())
    part.types.push_back(cast<RankedTensorType>(type));
  ArrayRef<std::string> all(part.names);
  FailureOr<ConvertedProgram> converted =
      convertANEToMIL(builder, main, "program", /*verbose=*/false, kWeightPath,
                      all.take_front(inputs), all.drop_front(inputs), reserved);
  if (failed(converted))
    return failure();
  part.converted = std::move(*converted);
  for (auto milFunc : part.converted.program.getBody().getOps<mil::FuncOp>())
    for (Operation &op : milFunc.getBody().front())
      for (Value result : op.getResults())
        // A constant that nothing reads is not written.
        if (auto type = dyn_cast<RankedTensorType>(result.getType());
            type && type.getRank() > 5 &&
            (!mil::getConstant(result) || !result.use_empty()))
          return op.emitError() << "has a result of type " << type
                                << "; values of a package have at most 5 axes",
                 failure();
  return part;
}

/// Features of a function, with the field numbers of ModelDescription or of
/// FunctionDescription.
static void describe(Part &part, const PackageOptions &options,
                     std::optional<unsigned> classified, pbf_writer &out,
                     uint32_t inputField, uint32_t outputField,
                     uint32_t stateField, uint32_t labelField,
                     uint32_t probabilitiesField) {
  for (unsigned i = 0; i < part.inputs; ++i) {
    if (part.states.contains(i))
      continue;
    const ImageInput *image = part.imageOf(part.originals[i], options);
    out.add_message(
        inputField,
        featureMessage(part.names[i], part.originals[i],
                       image ? featuretype::Image : featuretype::MultiArray,
                       image ? imageMessage(part.types[i], image->colorSpace)
                             : arrayMessage(part.types[i], part.shapesOf(i))));
  }
  for (unsigned i = part.inputs; i < part.names.size(); ++i) {
    if (llvm::any_of(part.states,
                     [&](auto &s) { return s.second == i - part.inputs; }))
      continue;
    if (classified && *classified == i - part.inputs) {
      std::string empty, dictionary;
      pbf_writer(dictionary).add_message(2, empty); // keys are strings
      out.add_message(outputField,
                      featureMessage(options.labelName(), options.labelName(),
                                     featuretype::String, empty));
      out.add_message(outputField,
                      featureMessage(options.probabilitiesName(),
                                     options.probabilitiesName(),
                                     featuretype::Dictionary, dictionary));
      continue;
    }
    out.add_message(outputField,
                    featureMessage(part.names[i], part.originals[i],
                                   featuretype::MultiArray,
                                   arrayMessage(part.types[i], {})));
  }
  for (unsigned i = 0; i < part.inputs; ++i)
    if (part.states.contains(i)) {
      std::string state;
      pbf_writer(state).add_message(1, arrayMessage(part.types[i], {}));
      out.add_message(stateField,
                      featureMessage(part.names[i], part.originals[i],
                                     featuretype::State, state));
    }
  if (classified) {
    out.add_string(labelField, str(options.labelName()));
    out.add_string(probabilitiesField, str(options.probabilitiesName()));
  }
}

static std::string metadataMessage(const PackageOptions &options) {
  std::string meta;
  pbf_writer out(meta);
  for (auto [field, text] :
       {std::pair(metadata::ShortDescription, &options.description),
        std::pair(metadata::Version, &options.version),
        std::pair(metadata::Author, &options.author),
        std::pair(metadata::License, &options.license)})
    if (!text->empty())
      out.add_string(field, *text);
  std::map<std::string, std::string> entries(options.userDefined.begin(),
                                             options.userDefined.end());
  entries["producer"] = "ane-mlir " ANEMLIR_VERSION;
  for (auto &[key, text] : entries) {
    std::string pairMessage;
    pbf_writer pair(pairMessage);
    pair.add_string(entry::Key, key);
    pair.add_string(entry::Value, text);
    out.add_message(metadata::UserDefined, pairMessage);
  }
  return meta;
}

/// Weights of several functions in one file, equal ones once. References in
/// the programs are moved to where the data comes to lie.
static LogicalResult shareWeights(MutableArrayRef<Part> parts,
                                  ConvertedProgram &shared) {
  std::map<std::pair<std::array<uint8_t, 32>, unsigned>, uint64_t> known;
  for (Part &part : parts) {
    llvm::DenseMap<uint64_t, uint64_t> moved;
    for (auto [root, entry] : llvm::zip(part.converted.weights,
                                        part.converted.layout.getEntries())) {
      FailureOr<std::vector<char>> bytes = evaluateWeight(root);
      if (failed(bytes))
        return emitError(root.getLoc()) << "weight cannot be evaluated";
      auto digest = llvm::SHA256::hash(
          ArrayRef(reinterpret_cast<const uint8_t *>(bytes->data()),
                   bytes->size()));
      auto [it, isNew] =
          known.try_emplace({digest, unsigned(entry.dtype)}, 0);
      if (isNew) {
        it->second = shared.layout.add(entry.dtype, entry.count);
        shared.weights.push_back(root);
      }
      moved[entry.offset] = it->second;
    }
    AttrTypeReplacer replacer;
    replacer.addReplacement([&](mil::BlobFileAttr blob) -> Attribute {
      return mil::BlobFileAttr::get(blob.getContext(), blob.getPath(),
                                    moved.lookup(blob.getOffset()));
    });
    replacer.recursivelyReplaceElementsIn(part.converted.program);
  }
  return success();
}

/// Makes the first part right for the shapes of all; "" or why it cannot be.
static std::string joinShapes(std::vector<Part> &parts) {
  SmallVector<mil::FuncOp> functions;
  for (Part &part : parts) {
    functions.push_back(
        *part.converted.program.getBody().getOps<mil::FuncOp>().begin());
    if (!part.states.empty())
      return "a state has one shape";
  }
  std::vector<std::vector<SmallVector<int64_t>>> enumerated;
  SmallVector<RankedTensorType> types;
  for (size_t i = 0; i < parts[0].types.size(); ++i) {
    enumerated.emplace_back();
    SmallVector<int64_t> shape(parts[0].types[i].getShape());
    for (Part &part : parts) {
      if (part.types.size() != parts[0].types.size() ||
          part.types[i].getRank() != (int64_t)shape.size())
        return "an input or output has another rank for another shape";
      enumerated.back().push_back(
          SmallVector<int64_t>(part.types[i].getShape()));
      for (auto [dim, other] : llvm::zip(shape, part.types[i].getShape()))
        if (dim != other)
          dim = ShapedType::kDynamic;
    }
    types.push_back(parts[0].types[i].clone(shape));
    if (types.back().hasStaticShape())
      enumerated.back().clear();
  }
  std::string why = unifyShapes(functions);
  if (!why.empty())
    return why;
  // Inputs keep the first shape as their default.
  for (size_t i = parts[0].inputs; i < types.size(); ++i)
    parts[0].types[i] = types[i];
  parts[0].enumerated = std::move(enumerated);
  return "";
}

LogicalResult mlir::ane::writeMLPackage(ArrayRef<PackageFunction> functions,
                                        StringRef path,
                                        const PackageOptions &options,
                                        Outputs &outputs) {
  using Buckets = PackageOptions::Buckets;
  ModuleOp module = functions[0].module;
  OwningOpRef<ModuleOp> scratch = ModuleOp::create(module.getLoc());
  OpBuilder builder = OpBuilder::atBlockEnd(scratch->getBody());
  std::vector<Part> parts;
  std::optional<unsigned> classified;
  bool multiple = functions.size() > 1 || functions[0].name != "main";
  int opset = multiple || !options.states.empty() ? 18 : 15;
  for (const PackageFunction &function : functions) {
    FailureOr<Part> part = convertPart(function, options, builder);
    if (failed(part))
      return failure();
    if (!part->states.empty())
      opset = std::max(opset, 18);
    addStates(*part);
    if (!options.classLabels.empty()) {
      unsigned output;
      if (failed(addClassifier(*part, options, output)))
        return failure();
      classified = output;
    }
    auto func =
        *part->converted.program.getBody().getOps<mil::FuncOp>().begin();
    opset = std::max(opset, mil::requiredOpset(func));
    parts.push_back(std::move(*part));
  }
  ConvertedProgram converted;
  if (parts.size() > 1) {
    if (failed(shareWeights(parts, converted)))
      return failure();
  } else {
    converted.weights = parts[0].converted.weights;
    converted.layout = parts[0].converted.layout;
  }
  if (parts.size() > 1 && options.buckets != Buckets::Functions) {
    std::string why = joinShapes(parts);
    if (!why.empty() && options.buckets == Buckets::Shapes &&
        options.whyNotShapes) {
      *options.whyNotShapes = why;
      return failure();
    }
    if (!why.empty() && options.buckets == Buckets::Shapes)
      return module.emitError()
             << "cannot be one function for all shapes: " << why
             << "; --buckets=functions writes one for each";
    if (!why.empty() && options.note)
      options.note("one function for each shape: " + why);
    if (why.empty()) {
      parts.resize(1);
      parts[0].name = "main";
      multiple = false;
      // Several flexible inputs came with ios18 (mil.md §2.3).
      bool several = llvm::count_if(ArrayRef(parts[0].enumerated)
                                        .take_front(parts[0].inputs),
                                    [](auto &list) { return !list.empty(); }) >
                     1;
      opset = several || !parts[0].states.empty() ? 18 : 15;
      for (auto func :
           parts[0].converted.program.getBody().getOps<mil::FuncOp>())
        opset = std::max(opset, mil::requiredOpset(func));
    }
  }
  if (options.opset) {
    if (*options.opset < opset)
      return module.emitError() << "needs ios" << opset << ", but ios"
                                << *options.opset << " was asked for";
    opset = *options.opset;
  }
  converted.program = parts[0].converted.program;
  for (auto [i, part] : llvm::enumerate(parts)) {
    auto func = *part.converted.program.getBody().getOps<mil::FuncOp>().begin();
    func.setOpset("ios" + std::to_string(opset));
    func.setSymName(part.name);
    if (i)
      func->moveAfter(&converted.program.getBody().front().back());
  }
  auto encoded = encodeProgram(converted.program);
  if (failed(encoded))
    return failure();

  std::string model, descriptionMessage;
  {
    pbf_writer out(descriptionMessage);
    if (multiple)
      for (Part &part : parts) {
        std::string function;
        pbf_writer fields(function);
        fields.add_string(functiondescription::Name, part.name);
        describe(part, options, classified, fields, functiondescription::Input,
                 functiondescription::Output, functiondescription::State,
                 functiondescription::PredictedFeature,
                 functiondescription::PredictedProbabilities);
        out.add_message(description::Functions, function);
      }
    else
      describe(parts[0], options, classified, out, description::Input,
               description::Output, description::State,
               description::PredictedFeature,
               description::PredictedProbabilities);
    if (multiple)
      out.add_string(description::DefaultFunction, parts[0].name);
    out.add_message(description::Metadata, metadataMessage(options));
  }
  {
    pbf_writer out(model);
    out.add_int32(model::Version,
                  specificationOf("ios" + std::to_string(opset)));
    out.add_message(model::Description, descriptionMessage);
    out.add_message(model::MLProgram, *encoded);
  }
  return writeFolder(
      module.getLoc(), path, model, !converted.weights.empty(),
      [&](llvm::raw_ostream &os) {
        return writeWeights(module.getLoc(), converted, os);
      },
      outputs);
}

/// A description of a parameter or result, as its type has it.
static FailureOr<std::string> featureOf(mil::FuncOp func, StringRef name,
                                        Type type) {
  std::string message;
  auto state = dyn_cast<mil::StateType>(type);
  if (auto wrapped = state ? dyn_cast<RankedTensorType>(state.getWrapped())
                           : RankedTensorType()) {
    std::string inner;
    pbf_writer(inner).add_message(1, arrayMessage(wrapped, {}));
    return featureMessage(name, name, featuretype::State, inner);
  }
  if (isa<mil::DictType>(type)) {
    std::string empty;
    pbf_writer(message).add_message(2, empty);
    return featureMessage(name, name, featuretype::Dictionary, message);
  }
  auto tensor = dyn_cast<RankedTensorType>(type);
  if (tensor && isa<mil::StringType>(tensor.getElementType()))
    return featureMessage(name, name, featuretype::String, message);
  if (!tensor || !(tensor.getElementType().isF16() ||
                   tensor.getElementType().isF32() ||
                   tensor.getElementType().isInteger(32)))
    return func.emitError() << "'" << name << "' of type " << type
                            << " cannot cross the boundary of a package",
           failure();
  return featureMessage(name, name, featuretype::MultiArray,
                        arrayMessage(tensor, {}));
}

LogicalResult mlir::ane::writeMILPackage(mil::ProgramOp program,
                                         const WeightOpener &weights,
                                         StringRef path, Outputs &outputs) {
  // Data that programs refer to, in the order in which they do, each once.
  std::map<std::pair<std::string, uint64_t>, uint64_t> offsets;
  std::vector<std::pair<std::shared_ptr<const MappedFile>, ArrayRef<char>>> data;
  WeightLayout layout;
  LogicalResult readable = success();
  AttrTypeReplacer replacer;
  replacer.addReplacement([&](mil::LiteralAttr literal) -> std::optional<Attribute> {
    auto blob = dyn_cast<mil::BlobFileAttr>(literal.getValue());
    if (!blob)
      return std::nullopt;
    auto [it, isNew] =
        offsets.try_emplace({blob.getPath().str(), blob.getOffset()}, 0);
    if (isNew) {
      auto file = weights(blob.getPath());
      auto view = file ? readWeight((*file)->data(), blob.getOffset())
                       : llvm::Expected<WeightView>(file.takeError());
      if (!view) {
        program.emitError() << "BLOBFILE(" << blob.getPath() << ", "
                            << blob.getOffset()
                            << "): " << llvm::toString(view.takeError());
        readable = failure();
        return literal;
      }
      auto type = dyn_cast<RankedTensorType>(literal.getType());
      uint64_t count = type && type.hasStaticShape() ? type.getNumElements() : 0;
      if (getByteSize(view->dtype, count) != view->data.size()) {
        program.emitError() << "BLOBFILE(" << blob.getPath() << ", "
                            << blob.getOffset() << "): holds "
                            << view->data.size() << " bytes for "
                            << literal.getType();
        readable = failure();
        return literal;
      }
      it->second = layout.add(view->dtype, count);
      data.push_back({*file, view->data});
    }
    return mil::LiteralAttr::get(
        literal.getContext(), literal.getType(),
        mil::BlobFileAttr::get(literal.getContext(), kWeightPath, it->second));
  });
  replacer.recursivelyReplaceElementsIn(program);
  if (failed(readable))
    return failure();
  int specification = 0;
  std::string description, model;
  pbf_writer out(description);
  auto functions = llvm::to_vector(program.getBody().getOps<mil::FuncOp>());
  if (functions.empty())
    return program.emitError() << "has no function";
  bool multiple = functions.size() > 1 || functions[0].getSymName() != "main";
  for (mil::FuncOp func : functions) {
    int own = specificationOf(func.getOpset());
    if (!own || (specification && own != specification))
      return func.emitError()
             << "is of opset '" << func.getOpset()
             << "'; expects one of ios15 … ios18 and ios26, the same for all";
    specification = own;
    std::string message;
    pbf_writer inner(message);
    pbf_writer &to = multiple ? inner : out;
    if (multiple)
      inner.add_string(functiondescription::Name, str(func.getSymName()));
    Block &body = func.getBody().front();
    auto add = [&](StringRef name, Type type, bool input) -> LogicalResult {
      auto feature = featureOf(func, name, type);
      if (failed(feature))
        return failure();
      bool state = isa<mil::StateType>(type);
      to.add_message(
          state   ? uint32_t(multiple ? uint32_t(functiondescription::State)
                                      : uint32_t(description::State))
          : input ? uint32_t(multiple ? uint32_t(functiondescription::Input)
                                      : uint32_t(description::Input))
                  : uint32_t(multiple ? uint32_t(functiondescription::Output)
                                      : uint32_t(description::Output)),
          *feature);
      return success();
    };
    for (auto [name, argument] :
         llvm::zip(func.getParameters(), body.getArguments()))
      if (failed(add(cast<StringAttr>(name).getValue(), argument.getType(),
                     true)))
        return failure();
    for (Value v : body.getTerminator()->getOperands()) {
      auto op = v.getDefiningOp<mil::OpOp>();
      StringRef name =
          op ? cast<StringAttr>(
                   op.getNames()[cast<OpResult>(v).getResultNumber()])
                   .getValue()
             : cast<StringAttr>(
                   func.getParameters()[cast<BlockArgument>(v).getArgNumber()])
                   .getValue();
      if (failed(add(name, v.getType(), false)))
        return failure();
    }
    if (multiple)
      out.add_message(description::Functions, message);
  }
  if (multiple)
    out.add_string(description::DefaultFunction,
                   str(functions[0].getSymName()));
  out.add_message(description::Metadata, metadataMessage({}));
  auto encoded = encodeProgram(program);
  if (failed(encoded))
    return failure();
  {
    pbf_writer message(model);
    message.add_int32(model::Version, specification);
    message.add_message(model::Description, description);
    message.add_message(model::MLProgram, *encoded);
  }
  return writeFolder(
      program.getLoc(), path, model, !data.empty(),
      [&](llvm::raw_ostream &os) {
        WeightWriter writer(layout, os);
        for (auto &[file, bytes] : data)
          writer.write(bytes);
        return success();
      },
      outputs);
}
