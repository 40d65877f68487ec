//===- WritePackage.cpp - mil to .mlpackage -------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "EncodeProgram.h"
#include "PackageFolder.h"
#include "ane-mlir/Interpreter/Weights.h"
#include "ane-mlir/Support/CoreMLFields.h"
#include "ane-mlir/Support/WeightData.h"
#include "ane-mlir/Target/CoreML.h"
#include "dialects/MIL/IR/MIL.h"
#include "dialects/MIL/IR/Opset.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/AttrTypeSubElements.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/SHA256.h"
#include <map>
#include <protozero/pbf_writer.hpp>

using namespace mlir;
using namespace mlir::ane;
using namespace mlir::ane::coreml;
using protozero::pbf_writer;

static std::string str(StringRef text) { return text.str(); }

static const PortNote *noteOf(const PackageOptions &options, StringRef name,
                              bool isOutput) {
  for (const PortNote &note : options.notes)
    if (note.name == name && note.isOutput == isOutput)
      return &note;
  return nullptr;
}

static std::string rangeMessage(ExtentRange range) {
  std::string message;
  pbf_writer out(message);
  out.add_uint64(range::Low, range.low);
  out.add_int64(range::High, range.high);
  return message;
}

static std::string arrayMessage(RankedTensorType type,
                                ArrayRef<SmallVector<int64_t>> enumerated = {},
                                ArrayRef<ExtentRange> ranges = {},
                                const PortNote *note = nullptr) {
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
  if (!ranges.empty()) {
    std::string list;
    for (ExtentRange range : ranges)
      pbf_writer(list).add_message(1, rangeMessage(range));
    out.add_message(array::ShapeRange, list);
  }
  if (note && note->defaultValue) {
    if (isa<FloatType>(type.getElementType()))
      out.add_float(array::FloatDefault, *note->defaultValue);
    else
      out.add_int32(array::IntDefault, int32_t(*note->defaultValue));
  }
  return array;
}

/// A FeatureDescription; `type` is the field of FeatureType and its message.
static std::string featureMessage(StringRef name, StringRef original,
                                  uint32_t kind, const std::string &type,
                                  const PortNote *note = nullptr) {
  std::string featureType, message;
  pbf_writer(featureType).add_message(kind, type);
  if (note && note->optional)
    pbf_writer(featureType).add_bool(featuretype::IsOptional, true);
  pbf_writer out(message);
  out.add_string(feature::Name, str(name));
  // A name that had to change is kept in front.
  bool described = note && !note->description.empty();
  if (name != original)
    out.add_string(feature::ShortDescription,
                   described
                       ? str(original) + kBehindName.str() + note->description
                       : str(original));
  else if (described)
    out.add_string(feature::ShortDescription, note->description);
  out.add_message(feature::Type, featureType);
  return message;
}

static std::string imageMessage(RankedTensorType type, uint32_t colorSpace,
                                ArrayRef<SmallVector<int64_t>> enumerated = {},
                                ArrayRef<ExtentRange> ranges = {}) {
  std::string message;
  pbf_writer out(message);
  out.add_int64(image::Width, type.getDimSize(3));
  out.add_int64(image::Height, type.getDimSize(2));
  out.add_enum(image::ColorSpace, colorSpace);
  if (!enumerated.empty()) {
    std::string list;
    for (const SmallVector<int64_t> &shape : enumerated) {
      std::string one;
      pbf_writer size(one);
      size.add_uint64(image::Width, shape[3]);
      size.add_uint64(image::Height, shape[2]);
      pbf_writer(list).add_message(1, one);
    }
    out.add_message(image::EnumeratedSizes, list);
  }
  if (!ranges.empty()) {
    std::string sizes;
    pbf_writer size(sizes);
    size.add_message(sizerange::Width, rangeMessage(ranges[3]));
    size.add_message(sizerange::Height, rangeMessage(ranges[2]));
    out.add_message(image::SizeRange, sizes);
  }
  return message;
}

bool mlir::ane::isImage(RankedTensorType type, uint32_t colorSpace) {
  bool colours = colorSpace == kRGB || colorSpace == kBGR;
  return colorSpace != 0 && type.hasStaticShape() && type.getRank() == 4 &&
         type.getDimSize(0) == 1 && type.getDimSize(1) == (colours ? 3 : 1) &&
         isa<FloatType>(type.getElementType());
}

static const ImageInput *imageOf(const PackageOptions &options,
                                 StringRef input) {
  for (const ImageInput &image : options.images)
    if (image.name == input)
      return &image;
  return nullptr;
}

static ArrayRef<SmallVector<int64_t>> shapesOf(const PackagePart &part,
                                               unsigned port) {
  return part.enumerated.empty() ? ArrayRef<SmallVector<int64_t>>()
                                 : ArrayRef(part.enumerated[port]);
}

static ArrayRef<ExtentRange> rangesOf(const PackagePart &part, unsigned port) {
  return part.ranges.empty() ? ArrayRef<ExtentRange>()
                             : ArrayRef(part.ranges[port]);
}

/// Features of a function, with the field numbers of ModelDescription or of
/// FunctionDescription.
static void describe(PackagePart &part, const PackageOptions &options,
                     pbf_writer &out, uint32_t inputField, uint32_t outputField,
                     uint32_t stateField, uint32_t labelField,
                     uint32_t probabilitiesField) {
  for (unsigned i = 0; i < part.inputs; ++i) {
    if (part.states.contains(i))
      continue;
    const ImageInput *image = imageOf(options, part.originals[i]);
    const PortNote *note = noteOf(options, part.originals[i], false);
    out.add_message(
        inputField,
        featureMessage(part.names[i], part.originals[i],
                       image ? featuretype::Image : featuretype::MultiArray,
                       image
                           ? imageMessage(part.types[i], image->colorSpace,
                                          shapesOf(part, i), rangesOf(part, i))
                           : arrayMessage(part.types[i], shapesOf(part, i),
                                          rangesOf(part, i), note),
                       note));
  }
  for (unsigned i = part.inputs; i < part.names.size(); ++i) {
    if (llvm::any_of(part.states,
                     [&](auto &s) { return s.second == i - part.inputs; }))
      continue;
    if (part.classified == i - part.inputs) {
      // Keys of the dictionary are whole numbers (1) or strings (2).
      std::string empty, dictionary;
      pbf_writer(dictionary).add_message(options.integerLabels ? 1 : 2, empty);
      // What is said of the output is said of the probabilities.
      auto feature = [&](StringRef name, uint32_t kind, StringRef type) {
        const PortNote *note = noteOf(options, name, true);
        if (!note && name == options.probabilitiesName())
          note = noteOf(options, part.originals[i], true);
        out.add_message(outputField,
                        featureMessage(name, name, kind, type.str(), note));
      };
      feature(options.labelName(),
              options.integerLabels ? featuretype::Int64 : featuretype::String,
              empty);
      feature(options.probabilitiesName(), featuretype::Dictionary, dictionary);
      continue;
    }
    const PortNote *note = noteOf(options, part.originals[i], true);
    bool image = note && isImage(part.types[i], note->colorSpace);
    out.add_message(
        outputField,
        featureMessage(part.names[i], part.originals[i],
                       image ? featuretype::Image : featuretype::MultiArray,
                       image ? imageMessage(part.types[i], note->colorSpace)
                             : arrayMessage(part.types[i]),
                       note));
  }
  for (unsigned i = 0; i < part.inputs; ++i)
    if (part.states.contains(i)) {
      std::string state;
      pbf_writer(state).add_message(1, arrayMessage(part.types[i]));
      out.add_message(
          stateField,
          featureMessage(part.names[i], part.originals[i], featuretype::State,
                         state, noteOf(options, part.originals[i], false)));
    }
  if (part.classified) {
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
    // Names of a model's are bytes; messages hold texts.
    pair.add_string(entry::Key, llvm::json::fixUTF8(key));
    pair.add_string(entry::Value, llvm::json::fixUTF8(text));
    out.add_message(metadata::UserDefined, pairMessage);
  }
  return meta;
}

FailureOr<ProgramWeights>
mlir::ane::shareWeights(MutableArrayRef<PackagePart> parts) {
  ProgramWeights shared;
  std::map<std::pair<std::array<uint8_t, 32>, unsigned>, uint64_t> known;
  for (PackagePart &part : parts) {
    llvm::DenseMap<uint64_t, uint64_t> moved;
    for (auto [root, entry] :
         llvm::zip(part.weights.roots, part.weights.layout.getEntries())) {
      FailureOr<std::vector<char>> bytes = evaluateWeight(root);
      if (failed(bytes))
        return emitError(root.getLoc()) << "weight cannot be evaluated",
               failure();
      auto digest = llvm::SHA256::hash(ArrayRef(
          reinterpret_cast<const uint8_t *>(bytes->data()), bytes->size()));
      auto [it, isNew] = known.try_emplace({digest, unsigned(entry.dtype)}, 0);
      if (isNew) {
        it->second = shared.layout.add(entry.dtype, entry.count);
        shared.roots.push_back(root);
      }
      moved[entry.offset] = it->second;
    }
    AttrTypeReplacer replacer;
    replacer.addReplacement([&](mil::BlobFileAttr blob) -> Attribute {
      return mil::BlobFileAttr::get(blob.getContext(), blob.getPath(),
                                    moved.lookup(blob.getOffset()));
    });
    replacer.recursivelyReplaceElementsIn(part.program);
  }
  return shared;
}

LogicalResult mlir::ane::writeMLPackage(MutableArrayRef<PackagePart> parts,
                                        ProgramWeights &weights, int opset,
                                        StringRef path,
                                        const PackageOptions &options,
                                        Outputs &outputs) {
  mil::ProgramOp program = parts[0].program;
  Location loc = program.getLoc();
  bool multiple = parts.size() > 1 || parts[0].name != "main";
  for (auto [i, part] : llvm::enumerate(parts)) {
    mil::FuncOp func = part.function();
    func.setOpset("ios" + std::to_string(opset));
    func.setSymName(part.name);
    if (i)
      func->moveAfter(&program.getBody().front().back());
  }
  auto encoded = encodeProgram(program);
  if (failed(encoded))
    return failure();

  std::string model, descriptionMessage;
  {
    pbf_writer out(descriptionMessage);
    if (multiple)
      for (PackagePart &part : parts) {
        std::string function;
        pbf_writer fields(function);
        fields.add_string(functiondescription::Name, part.name);
        describe(part, options, fields, functiondescription::Input,
                 functiondescription::Output, functiondescription::State,
                 functiondescription::PredictedFeature,
                 functiondescription::PredictedProbabilities);
        out.add_message(description::Functions, function);
      }
    else
      describe(parts[0], options, out, description::Input, description::Output,
               description::State, description::PredictedFeature,
               description::PredictedProbabilities);
    if (multiple)
      out.add_string(description::DefaultFunction, parts[0].name);
    out.add_message(description::Metadata, metadataMessage(options));
  }
  {
    pbf_writer out(model);
    out.add_int32(model::Version,
                  mil::specificationOf("ios" + std::to_string(opset)));
    out.add_message(model::Description, descriptionMessage);
    out.add_message(model::MLProgram, *encoded);
  }
  return writeFolder(
      loc, path, model, !weights.roots.empty(),
      [&](llvm::raw_ostream &os) { return writeWeights(loc, weights, os); },
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
    pbf_writer(inner).add_message(1, arrayMessage(wrapped));
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
  if (!tensor ||
      !(tensor.getElementType().isF16() || tensor.getElementType().isF32() ||
        tensor.getElementType().isInteger(32)))
    return func.emitError() << "'" << name << "' of type " << type
                            << " cannot cross the boundary of a package",
           failure();
  return featureMessage(name, name, featuretype::MultiArray,
                        arrayMessage(tensor));
}

namespace {
/// Data that a program refers to, in the order in which it does, each once.
class SharedBlobs {
public:
  SharedBlobs(mil::ProgramOp program, const WeightOpener &weights)
      : program(program), weights(weights) {}
  /// Changes the references to the new file.
  LogicalResult collect();
  bool empty() const { return data.empty(); }
  void write(llvm::raw_ostream &os) const {
    WeightWriter writer(layout, os);
    for (auto &[file, bytes] : data)
      writer.write(bytes);
  }

private:
  /// The offset of a blob's copy; a diagnostic where it cannot be read.
  FailureOr<uint64_t> add(mil::BlobFileAttr blob, Type type);
  mil::ProgramOp program;
  const WeightOpener &weights;
  std::map<std::pair<std::string, uint64_t>, uint64_t> offsets;
  std::vector<std::pair<std::shared_ptr<const MappedFile>, ArrayRef<char>>>
      data;
  WeightLayout layout;
};
} // namespace

FailureOr<uint64_t> SharedBlobs::add(mil::BlobFileAttr blob, Type type) {
  auto fail = [&](const Twine &what) {
    return program.emitError() << "BLOBFILE(" << blob.getPath() << ", "
                               << blob.getOffset() << "): " << what.str();
  };
  auto [it, isNew] =
      offsets.try_emplace({blob.getPath().str(), blob.getOffset()}, 0);
  if (!isNew)
    return it->second;
  auto file = weights(blob.getPath());
  auto tensor = dyn_cast<RankedTensorType>(type);
  std::optional<DType> dtype =
      tensor ? toDType(tensor.getElementType()) : std::nullopt;
  if (!dtype || !tensor.hasStaticShape())
    return fail("the const declares no tensor of known extents"), failure();
  uint64_t count = tensor.getNumElements();
  auto view =
      file ? readWeightAs((*file)->data(), blob.getOffset(), *dtype, count)
           : llvm::Expected<ArrayRef<char>>(file.takeError());
  if (!view)
    return fail(llvm::toString(view.takeError())), failure();
  it->second = layout.add(*dtype, count);
  data.push_back({*file, *view});
  return it->second;
}

LogicalResult SharedBlobs::collect() {
  LogicalResult readable = success();
  AttrTypeReplacer replacer;
  replacer.addReplacement(
      [&](mil::LiteralAttr literal) -> std::optional<Attribute> {
        auto blob = dyn_cast<mil::BlobFileAttr>(literal.getValue());
        if (!blob)
          return std::nullopt;
        FailureOr<uint64_t> offset = add(blob, literal.getType());
        if (failed(offset)) {
          readable = failure();
          return literal;
        }
        MLIRContext *context = literal.getContext();
        return mil::LiteralAttr::get(
            context, literal.getType(),
            mil::BlobFileAttr::get(context, kWeightPath, *offset));
      });
  replacer.recursivelyReplaceElementsIn(program);
  return readable;
}

namespace {
/// Field numbers of a function's features, in ModelDescription or in
/// FunctionDescription.
struct FeatureFields {
  uint32_t input, output, state;
};
} // namespace

static LogicalResult describeFunction(mil::FuncOp func, FeatureFields fields,
                                      pbf_writer &out) {
  auto add = [&](StringRef name, Type type, uint32_t field) -> LogicalResult {
    auto feature = featureOf(func, name, type);
    if (failed(feature))
      return failure();
    out.add_message(isa<mil::StateType>(type) ? fields.state : field, *feature);
    return success();
  };
  Block &body = func.getBody().front();
  for (BlockArgument argument : body.getArguments())
    if (failed(add(mil::getName(func, argument), argument.getType(),
                   fields.input)))
      return failure();
  for (Value value : body.getTerminator()->getOperands())
    if (failed(add(mil::getName(func, value), value.getType(), fields.output)))
      return failure();
  return success();
}

/// The specification of the opset that all functions have.
static FailureOr<int> specificationOf(ArrayRef<mil::FuncOp> functions) {
  int specification = 0;
  for (mil::FuncOp func : functions) {
    int own = mil::specificationOf(func.getOpset());
    if (!own || (specification && own != specification))
      return func.emitError()
                 << "is of opset '" << func.getOpset()
                 << "'; expects one of ios15 … ios18 and ios26, the same for "
                    "all",
             failure();
    specification = own;
  }
  return specification;
}

LogicalResult mlir::ane::writeMILPackage(mil::ProgramOp program,
                                         const WeightOpener &weights,
                                         StringRef path, Outputs &outputs) {
  SharedBlobs blobs(program, weights);
  if (failed(blobs.collect()))
    return failure();
  auto functions = llvm::to_vector(program.getBody().getOps<mil::FuncOp>());
  if (functions.empty())
    return program.emitError() << "has no function";
  FailureOr<int> specification = specificationOf(functions);
  if (failed(specification))
    return failure();
  std::string description, model;
  pbf_writer out(description);
  bool multiple = functions.size() > 1 || functions[0].getSymName() != "main";
  for (mil::FuncOp func : functions) {
    if (!multiple) {
      if (failed(describeFunction(
              func,
              {description::Input, description::Output, description::State},
              out)))
        return failure();
      continue;
    }
    std::string message;
    pbf_writer inner(message);
    inner.add_string(functiondescription::Name, str(func.getSymName()));
    if (failed(describeFunction(func,
                                {functiondescription::Input,
                                 functiondescription::Output,
                                 functiondescription::State},
                                inner)))
      return failure();
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
    message.add_int32(model::Version, *specification);
    message.add_message(model::Description, description);
    message.add_message(model::MLProgram, *encoded);
  }
  return writeFolder(
      program.getLoc(), path, model, !blobs.empty(),
      [&](llvm::raw_ostream &os) {
        blobs.write(os);
        return success();
      },
      outputs);
}
