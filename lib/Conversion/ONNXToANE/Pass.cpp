//===- Pass.cpp - convert-onnx-to-ane -------------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Conversion/Passes.h"

using namespace mlir;
using namespace mlir::ane;

namespace mlir::ane {
#define GEN_PASS_DEF_CONVERTONNXTOANEPASS
#include "ane-mlir/Conversion/Passes.h.inc"
} // namespace mlir::ane

/// "NAME=N" into `map`; false for another form.
static bool addExtent(StringRef entry, llvm::StringMap<int64_t> &map) {
  auto [name, value] = entry.rsplit('=');
  int64_t extent;
  if (name.empty() || value.getAsInteger(10, extent) || extent < 0)
    return false;
  map[name] = extent;
  return true;
}

/// "NAME=1x3x224x224"; a scalar has nothing behind the sign.
static bool addShape(StringRef entry,
                     llvm::StringMap<SmallVector<int64_t>> &map) {
  auto [name, value] = entry.rsplit('=');
  SmallVector<StringRef> parts;
  value.split(parts, 'x', -1, /*KeepEmpty=*/false);
  SmallVector<int64_t> shape;
  for (StringRef part : parts)
    if (part.getAsInteger(10, shape.emplace_back()) || shape.back() < 0)
      return false;
  map[name] = shape;
  return !name.empty();
}

namespace {
struct ConvertONNXToANE
    : ane::impl::ConvertONNXToANEPassBase<ConvertONNXToANE> {
  using ConvertONNXToANEPassBase::ConvertONNXToANEPassBase;
  explicit ConvertONNXToANE(ONNXToANEOptions conversion)
      : conversion(std::move(conversion)) {}

  LogicalResult initialize(MLIRContext *context) override {
    if (conversion)
      return success();
    conversion.emplace();
    conversion->half = half;
    conversion->keepSteps = keepSteps;
    conversion->randomInputs = randomInputs;
    auto fail = [&](StringRef entry) {
      return emitError(UnknownLoc::get(context))
             << "convert-onnx-to-ane does not understand '" << entry << "'";
    };
    for (StringRef entry : dims)
      if (!addExtent(entry, conversion->dims))
        return fail(entry);
    for (StringRef entry : maxLengths)
      if (!addExtent(entry, conversion->maxLengths))
        return fail(entry);
    for (StringRef entry : inputShapes)
      if (!addShape(entry, conversion->inputShapes))
        return fail(entry);
    return success();
  }

  void runOnOperation() override {
    if (failed(convertONNXToANE(getOperation(), *conversion)))
      signalPassFailure();
  }

  std::optional<ONNXToANEOptions> conversion;
};
} // namespace

std::unique_ptr<Pass>
mlir::ane::createConvertONNXToANEPass(ONNXToANEOptions options) {
  return std::make_unique<ConvertONNXToANE>(std::move(options));
}
