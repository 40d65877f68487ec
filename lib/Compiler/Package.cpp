//===- Package.cpp - compiled modules to one package ----------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "Package.h"
#include "ane-mlir/Analysis/PortNames.h"
#include "ane-mlir/Artifact/Describe.h"
#include "ane-mlir/Artifact/VerifyMIL.h"
#include "ane-mlir/Support/Usage.h"
#include "ane-mlir/Transforms/MILInterface.h"
#include "ane-mlir/Transforms/UnifyShapes.h"
#include "dialects/MIL/IR/Opset.h"
#include <cfloat>
#include <cmath>

using namespace mlir;
using namespace mlir::ane;
using Buckets = PackageOptions::Buckets;

static std::optional<unsigned> findName(ArrayRef<std::string> names,
                                        StringRef name) {
  auto it = llvm::find(names, name);
  if (it == names.end())
    return std::nullopt;
  return it - names.begin();
}

//===----------------------------------------------------------------------===//
// Marks
//===----------------------------------------------------------------------===//

/// States of a package that was read: pairs of equal names.
static void markKnownStates(func::FuncOp main, ArrayRef<std::string> names) {
  unsigned inputs = main.getNumArguments();
  llvm::SmallDenseSet<unsigned> paired;
  for (unsigned i = 0; i < inputs; ++i) {
    if (!main.getArgAttr(i, marks::kState))
      continue;
    main.removeArgAttr(i, marks::kState);
    for (unsigned j = 0; j < main.getNumResults(); ++j)
      if (main.getResultAttr(j, marks::kState) &&
          names[i] == names[inputs + j]) {
        auto key = StringAttr::get(main.getContext(), names[i]);
        main.setArgAttr(i, marks::kState, key);
        main.setResultAttr(j, marks::kState, key);
        paired.insert(j);
      }
  }
  for (unsigned j = 0; j < main.getNumResults(); ++j)
    if (!paired.contains(j))
      main.removeResultAttr(j,
                            StringAttr::get(main.getContext(), marks::kState));
}

static LogicalResult markState(func::FuncOp main, ArrayRef<std::string> names,
                               StringRef in, StringRef out) {
  unsigned inputs = main.getNumArguments();
  auto input = findName(names.take_front(inputs), in),
       output = findName(names.drop_front(inputs), out);
  if (!input || !output)
    return main.emitError()
           << "no " << (input ? "output" : "input") << " is named '"
           << (input ? out : in) << "' to be a state"
           << suggest(input ? out : in, llvm::to_vector_of<StringRef>(
                                            input ? names.drop_front(inputs)
                                                  : names.take_front(inputs)));
  auto from = cast<RankedTensorType>(main.getArgumentTypes()[*input]),
       to = cast<RankedTensorType>(main.getResultTypes()[*output]);
  if (from.getShape() != to.getShape() || from.getRank() == 0 ||
      !isa<FloatType>(from.getElementType()))
    return main.emitError()
           << "input '" << in << "' of type " << from << " and output '" << out
           << "' of type " << to
           << " cannot be one state; expects floats of the same shape";
  auto key = StringAttr::get(main.getContext(), in);
  main.setArgAttr(*input, marks::kState, key);
  main.setResultAttr(*output, marks::kState, key);
  return success();
}

static LogicalResult markImage(func::FuncOp main, ArrayRef<std::string> names,
                               const ImageInput &image) {
  auto input = findName(names.take_front(main.getNumArguments()), image.name);
  if (!input)
    return main.emitError()
           << "no input is named '" << image.name << "' to be an image"
           << suggest(image.name,
                      llvm::to_vector_of<StringRef>(
                          names.take_front(main.getNumArguments())));
  Builder b(main.getContext());
  main.setArgAttr(
      *input, marks::kImage,
      b.getDictionaryAttr(
          {b.getNamedAttr("color_space", b.getI64IntegerAttr(image.colorSpace)),
           b.getNamedAttr("scale", b.getF64FloatAttr(image.scale)),
           b.getNamedAttr("bias", b.getDenseF64ArrayAttr(image.bias))}));
  return success();
}

/// What options say of inputs and outputs is said of some that are there.
static LogicalResult checkNotes(func::FuncOp main, ArrayRef<std::string> names,
                                const PackageOptions &options) {
  unsigned inputs = main.getNumArguments();
  auto known = [&](bool isOutput) {
    auto all = llvm::to_vector_of<StringRef>(
        isOutput ? names.drop_front(inputs) : names.take_front(inputs));
    if (isOutput && !options.classLabels.empty())
      all.append({options.labelName(), options.probabilitiesName()});
    return all;
  };
  for (const PortNote &note : options.notes) {
    if (!note.isAsked)
      continue;
    auto own = known(note.isOutput);
    if (!llvm::is_contained(own, note.name)) {
      bool anything = !note.optional && note.colorSpace == 0;
      if (anything)
        llvm::append_range(own, known(!note.isOutput));
      if (anything && llvm::is_contained(own, note.name))
        continue; // said of the other kind
      return main.emitError() << "no " << (note.isOutput ? "output" : "input")
                              << " is named '" << note.name << "' to be "
                              << (note.optional     ? "left out"
                                  : note.colorSpace ? "an image"
                                                    : "described")
                              << suggest(note.name, own);
    }
    // Pixels of several sizes are not described.
    if (note.colorSpace && options.ranges)
      return main.emitError()
             << "output '" << note.name
             << "' cannot be an image where extents have ranges";
    auto position = findName(note.isOutput ? names.drop_front(inputs)
                                           : names.take_front(inputs),
                             note.name);
    if (!position)
      continue; // of the classifier
    auto type = cast<RankedTensorType>(
        note.isOutput ? main.getResultTypes()[*position]
                      : main.getArgumentTypes()[*position]);
    if (note.colorSpace && !isImage(type, note.colorSpace))
      return main.emitError()
             << "output '" << note.name << "' of type " << type
             << " cannot be an image; expects floats of 1x3xHxW for RGB and "
                "BGR, of 1x1xHxW for GRAY";
    if (!note.optional)
      continue;
    if (main.getArgAttr(*position, marks::kState))
      return main.emitError() << "input '" << note.name
                              << "' is a state, which is never left out";
    if (main.getArgAttr(*position, marks::kImage))
      return main.emitError()
             << "input '" << note.name << "' is an image, which has no default";
    double value = note.defaultValue.value_or(0);
    bool whole = !isa<FloatType>(type.getElementType());
    double most = whole                           ? INT32_MAX
                  : type.getElementType().isF16() ? 65504
                                                  : FLT_MAX;
    if ((whole && value != std::trunc(value)) || std::fabs(value) > most)
      return main.emitError()
             << "input '" << note.name << "' of type " << type << " cannot be "
             << value << "; its elements are "
             << (whole ? "whole numbers up to " : "numbers up to ") << most;
  }
  return success();
}

LogicalResult mlir::ane::markInterface(ModuleOp module,
                                       const PackageOptions &options) {
  auto main = module.lookupSymbol<func::FuncOp>("main");
  if (!main)
    return module.emitError() << "expects a function @main";
  std::vector<std::string> names = getPortNames(main);
  markKnownStates(main, names);
  for (auto &[in, out] : options.states)
    if (failed(markState(main, names, in, out)))
      return failure();
  for (const ImageInput &image : options.images)
    if (failed(markImage(main, names, image)))
      return failure();
  return checkNotes(main, names, options);
}

//===----------------------------------------------------------------------===//
// Parts
//===----------------------------------------------------------------------===//

static llvm::DenseMap<unsigned, unsigned> findStates(func::FuncOp main) {
  llvm::DenseMap<unsigned, unsigned> states;
  for (unsigned i = 0; i < main.getNumArguments(); ++i)
    if (auto key = main.getArgAttrOfType<StringAttr>(i, marks::kState))
      for (unsigned j = 0; j < main.getNumResults(); ++j)
        if (main.getResultAttr(j, marks::kState) == key)
          states[i] = j;
  return states;
}

/// MIL has values of more axes, Core ML has not.
static LogicalResult checkRanks(mil::FuncOp func) {
  for (Operation &op : func.getBody().front())
    for (Value result : op.getResults())
      // A constant that nothing reads is not written; a table that only
      // constexpr_* reads is no value that runs (mil/operations.md §1).
      if (auto type = dyn_cast<RankedTensorType>(result.getType());
          type && type.getRank() > 5 &&
          (!mil::getConstant(result) ||
           llvm::any_of(result.getUsers(), [](Operation *user) {
             auto reader = dyn_cast<mil::OpOp>(user);
             return !reader || !reader.getType().starts_with("constexpr_");
           })))
        return op.emitError() << "has a result of type " << type
                              << "; values of a package have at most 5 axes";
  return success();
}

static FailureOr<PackagePart> describePart(const PackageFunction &function) {
  PackagePart part;
  part.name = function.name;
  ModuleOp module = function.module;
  part.source = module.lookupSymbol<func::FuncOp>("main");
  part.program = mil::lookupProgram(module, "main");
  if (!part.source || !part.program)
    return module.emitError() << "expects a function @main and its MIL "
                                 "program; run convert-ane-to-mil first",
           failure();
  part.inputs = part.source.getNumArguments();
  part.originals = getPortNames(part.source);
  part.names = mil::getParameterNames(part.function());
  llvm::append_range(part.names, mil::getResultNames(part.function()));
  part.states = findStates(part.source);
  for (Type type : part.source.getArgumentTypes())
    part.types.push_back(cast<RankedTensorType>(type));
  for (Type type : part.source.getResultTypes())
    part.types.push_back(cast<RankedTensorType>(type));
  part.weights = collectWeights(part.source);
  if (failed(checkRanks(part.function())))
    return failure();
  return part;
}

/// The output that holds the probabilities of the classes.
static FailureOr<unsigned> findProbabilities(PackagePart &part,
                                             const PackageOptions &options) {
  mil::FuncOp func = part.function();
  unsigned output = 0;
  auto names = ArrayRef(part.originals).drop_front(part.inputs);
  if (!options.probabilities.empty()) {
    auto found = findName(names, options.probabilities);
    if (!found)
      return func.emitError() << "no output is named '" << options.probabilities
                              << "' to be the probabilities of the classes"
                              << suggest(options.probabilities,
                                         llvm::to_vector_of<StringRef>(names)),
             failure();
    output = *found;
  } else {
    SmallVector<unsigned> candidates;
    for (unsigned i = 0; i < names.size(); ++i)
      if (llvm::none_of(part.states, [&](auto &s) { return s.second == i; }))
        candidates.push_back(i);
    if (candidates.size() != 1)
      return func.emitError()
                 << "has " << candidates.size()
                 << " outputs; name the one that holds the probabilities of "
                    "the classes: --class-probabilities=NAME",
             failure();
    output = candidates[0];
  }
  auto type = part.types[part.inputs + output];
  if (!type.hasStaticShape() || !type.getElementType().isF32() ||
      type.getNumElements() != (int64_t)options.classLabels.size())
    return func.emitError() << "output '" << names[output] << "' has type "
                            << type << ", which cannot be the probabilities of "
                            << options.classLabels.size() << " classes",
           failure();
  return output;
}

static LogicalResult classify(PackagePart &part,
                              const PackageOptions &options) {
  FailureOr<unsigned> output = findProbabilities(part, options);
  if (failed(output))
    return failure();
  // States are no results any more.
  unsigned before = llvm::count_if(
      part.states, [&](auto &state) { return state.second < *output; });
  addClassifier(part.function(), *output - before, options.classLabels,
                options.integerLabels, options.labelName(),
                options.probabilitiesName());
  part.classified = *output;
  return success();
}

/// Ranges in place of the shapes of the samples.
static void makeRanges(PackagePart &part, const PackageOptions &options) {
  for (auto [i, shapes] : llvm::enumerate(part.enumerated)) {
    SmallVector<ExtentRange> &ranges = part.ranges.emplace_back();
    auto own = i < part.inputs ? options.ranges->find(part.originals[i])
                               : options.ranges->end();
    if (own != options.ranges->end())
      ranges = own->second;
    else if (!shapes.empty())
      for (size_t axis = 0; axis < shapes[0].size(); ++axis) {
        ExtentRange &range = ranges.emplace_back();
        range = {shapes[0][axis], shapes[0][axis]};
        for (ArrayRef<int64_t> shape : shapes) {
          range.low = std::min(range.low, shape[axis]);
          range.high = std::max(range.high, shape[axis]);
        }
      }
  }
  part.enumerated.clear();
}

/// Makes the first part right for the shapes of all; "" or why it cannot be.
static std::string joinShapes(MutableArrayRef<PackagePart> parts,
                              const PackageOptions &options) {
  SmallVector<mil::FuncOp> functions;
  for (PackagePart &part : parts) {
    functions.push_back(part.function());
    if (!part.states.empty())
      return "a state has one shape";
  }
  PackagePart &first = parts[0];
  std::vector<std::vector<SmallVector<int64_t>>> enumerated;
  SmallVector<RankedTensorType> types;
  for (size_t i = 0; i < first.types.size(); ++i) {
    enumerated.emplace_back();
    SmallVector<int64_t> shape(first.types[i].getShape());
    for (PackagePart &part : parts) {
      if (part.types.size() != first.types.size() ||
          part.types[i].getRank() != (int64_t)shape.size())
        return "an input or output has another rank for another shape";
      enumerated.back().push_back(
          SmallVector<int64_t>(part.types[i].getShape()));
      for (auto [dim, other] : llvm::zip(shape, part.types[i].getShape()))
        if (dim != other)
          dim = ShapedType::kDynamic;
    }
    types.push_back(first.types[i].clone(shape));
    if (types.back().hasStaticShape())
      enumerated.back().clear();
  }
  std::string why = unifyShapes(functions);
  if (!why.empty())
    return why;
  // Inputs keep the first shape as their default.
  for (size_t i = first.inputs; i < types.size(); ++i)
    first.types[i] = types[i];
  first.enumerated = std::move(enumerated);
  if (options.ranges)
    makeRanges(first, options);
  return "";
}

/// One function for all shapes, where that is possible and wanted.
static LogicalResult mergeBuckets(std::vector<PackagePart> &parts,
                                  const PackageOptions &options) {
  if (parts.size() < 2 || options.buckets == Buckets::Functions)
    return success();
  std::string why = joinShapes(parts, options);
  if (why.empty()) {
    parts.resize(1);
    parts[0].name = "main";
    return success();
  }
  if (options.buckets == Buckets::Shapes && options.whyNotShapes)
    return *options.whyNotShapes = why, failure();
  if (options.ranges)
    return parts[0].source.emitError()
           << "cannot be one program for a range of shapes: " << why
           << "; extents that are listed (--dim NAME=N,N…) make a function for "
              "each";
  if (options.buckets == Buckets::Shapes)
    return parts[0].source.emitError()
           << "cannot be one function for all shapes: " << why
           << "; --buckets=functions writes one for each";
  if (options.note)
    options.note("one function for each shape: " + why);
  return success();
}

/// The lowest opset that has all that is used.
static FailureOr<int> chooseOpset(MutableArrayRef<PackagePart> parts,
                                  const PackageOptions &options) {
  // Functions and states came with ios18, as did several flexible inputs
  // (mil/types.md §2.3).
  bool newest = parts.size() > 1 || parts[0].name != "main";
  int opset = 15;
  for (PackagePart &part : parts) {
    unsigned flexible = 0;
    if (!part.enumerated.empty())
      for (unsigned i = 0; i < part.inputs; ++i)
        flexible += !part.enumerated[i].empty();
    newest |= !part.states.empty() || flexible > 1;
    opset = std::max(opset, mil::requiredOpset(part.function()));
  }
  opset = newest ? std::max(opset, 18) : opset;
  if (options.opset.value_or(opset) < opset)
    return parts[0].source.emitError() << "needs ios" << opset << ", but ios"
                                       << *options.opset << " was asked for",
           failure();
  return options.opset.value_or(opset);
}

LogicalResult mlir::ane::assemblePackage(ArrayRef<PackageFunction> functions,
                                         StringRef path,
                                         const PackageOptions &options,
                                         Outputs &outputs) {
  std::vector<PackagePart> parts;
  for (const PackageFunction &function : functions) {
    FailureOr<PackagePart> part = describePart(function);
    if (failed(part))
      return failure();
    addStates(part->function(), part->states);
    if (!options.classLabels.empty() && failed(classify(*part, options)))
      return failure();
    parts.push_back(std::move(*part));
  }
  FailureOr<ProgramWeights> weights =
      parts.size() > 1 ? shareWeights(parts) : parts[0].weights;
  if (failed(weights) || failed(mergeBuckets(parts, options)))
    return failure();
  FailureOr<int> opset = chooseOpset(parts, options);
  if (failed(opset))
    return failure();
  return writeMLPackage(parts, *weights, *opset, path, options, outputs);
}

void mlir::ane::takeClassifier(mil::FuncOp func, PackageOptions &package) {
  Operation *terminator = func.getBody().front().getTerminator();
  std::vector<std::string> labels = labelsOf(func);
  for (Value value : terminator->getOperands()) {
    auto op = value.getDefiningOp<mil::OpOp>();
    if (!op || op.getType() != "classify" || op.getNumResults() != 2 ||
        labels.empty())
      continue;
    auto ref =
        dyn_cast_or_null<mil::RefAttr>(mil::getArgument(op, "probabilities"));
    if (!ref || uint64_t(ref.getIndex()) >= op.getOperands().size())
      return;
    Value probabilities = op.getOperand(ref.getIndex());
    auto type = dyn_cast<RankedTensorType>(probabilities.getType());
    if (!type || !type.hasStaticShape() || !type.getElementType().isF32() ||
        type.getNumElements() != int64_t(labels.size()))
      return;
    package.label = cast<StringAttr>(op.getNames()[0]).getValue().str();
    package.labelProbabilities =
        cast<StringAttr>(op.getNames()[1]).getValue().str();
    package.probabilities = mil::getName(func, probabilities).str();
    auto kind = dyn_cast<RankedTensorType>(op.getResult(0).getType());
    bool integers = kind && kind.getElementType().isInteger(64);
    if (package.classLabels.empty()) {
      package.classLabels = std::move(labels);
      package.integerLabels = integers;
    } else if (integers && !package.integerLabels) {
      emitRemark(func.getLoc())
          << "the labels were whole numbers; those of --class-labels are texts";
    }
    SmallVector<Value> left;
    for (Value result : terminator->getOperands())
      if (result.getDefiningOp() != op)
        left.push_back(result);
      else if (!llvm::is_contained(left, probabilities))
        left.push_back(probabilities);
    terminator->setOperands(left);
    op.erase();
    return;
  }
}

LogicalResult mlir::ane::verifyPackage(StringRef path, Location loc) {
  FailureOr<MILSource> source = MILSource::open(path, loc.getContext());
  if (failed(source))
    return failure();
  std::vector<Finding> findings = verifyMIL(*source, path);
  for (const Finding &finding : findings)
    emitError(loc) << "would not be taken by Core ML: [" << finding.rule << "] "
                   << finding.place << ": " << finding.message
                   << "; nothing was written. This is a mistake of ane-mlir";
  return success(findings.empty());
}
