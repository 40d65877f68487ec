//===- PackageInterface.cpp - inputs and outputs as Core ML has them ------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// Core ML has arrays of fp32, fp16 and int32 with at least one axis, images,
// and states in fp16 (mil/types.md §2.3, mil/package.md §3).
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Interpreter/Tensor.h"
#include "ane-mlir/Support/CoreMLFields.h"
#include "ane-mlir/Transforms/Passes.h"
#include "dialects/ANE/IR/Arithmetic.h"
#include "dialects/ANE/IR/Cast.h"
#include "dialects/ANE/IR/Shape.h"
#include "dialects/ANE/IR/Structure.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;
using namespace mlir::ane;

namespace mlir::ane {
#define GEN_PASS_DEF_PACKAGEINTERFACEPASS
#include "ane-mlir/Transforms/Passes.h.inc"
} // namespace mlir::ane

/// What Core ML takes at a boundary for a value of the user's dtype.
static Type boundaryElement(DType user, MLIRContext *context) {
  if (user == DType::Float16)
    return Float16Type::get(context);
  return isFloat(user) ? Type(Float32Type::get(context))
                       : Type(IntegerType::get(context, 32));
}

/// Inputs and outputs of @main become the user's, with casts inside. No array
/// at a boundary has rank 0. States are fp16, which is all that one can be.
static LogicalResult castBoundary(func::FuncOp main) {
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
        main.getArgAttr(argument.getArgNumber(), marks::kState)
            ? stateType(type)
            : boundaryType(type, main.getArgAttrOfType<StringAttr>(
                                     argument.getArgNumber(), marks::kDtype));
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
        main.getResultAttr(operand.getOperandNumber(), marks::kState)
            ? stateType(type)
            : boundaryType(type,
                           main.getResultAttrOfType<StringAttr>(
                               operand.getOperandNumber(), marks::kDtype));
    operand.set(convert(b, operand.get().getLoc(), operand.get(), wanted));
    outputs.push_back(operand.get().getType());
  }
  main.setType(FunctionType::get(context, inputs, outputs));
  return success();
}

namespace {
/// An input that Core ML gets as an image, of the attribute `ane.image`; the
/// model sees pixel * scale + bias.
struct Image {
  int64_t colorSpace;
  double scale;
  ArrayRef<double> bias;
};
} // namespace

static std::optional<Image> imageOf(func::FuncOp main, unsigned input) {
  auto attr = main.getArgAttrOfType<DictionaryAttr>(input, marks::kImage);
  if (!attr)
    return std::nullopt;
  return Image{attr.getAs<IntegerAttr>("color_space").getInt(),
               attr.getAs<FloatAttr>("scale").getValueAsDouble(),
               attr.getAs<DenseF64ArrayAttr>("bias").asArrayRef()};
}

/// Numbers that an image input goes through before the model sees it.
static LogicalResult scaleImage(func::FuncOp main, unsigned index,
                                const Image &image) {
  Value argument = main.getArgument(index);
  auto type = cast<RankedTensorType>(argument.getType());
  bool half = image.colorSpace == coreml::kGrayscaleFloat16,
       grey = half || image.colorSpace == coreml::kGrayscale;
  auto named = main.getArgAttrOfType<StringAttr>(index, marks::kName);
  std::string name = named ? named.str() : "input" + std::to_string(index);
  int64_t channels = grey ? 1 : 3;
  if (type.getRank() != 4 || type.getDimSize(0) != 1 ||
      type.getDimSize(1) != channels || !isa<FloatType>(type.getElementType()))
    return main.emitError()
           << "input '" << name << "' of type " << type
           << " cannot be an image; expects floats of shape [1, " << channels
           << ", height, width]";
  if (image.bias.size() > 1 && (int64_t)image.bias.size() != channels)
    return main.emitError()
           << "input '" << name << "': expects one bias"
           << (grey ? "" : " or three") << ", but got " << image.bias.size();
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
  // An image arrives as fp32 (an fp16 one as fp16), whatever the model said.
  main.setArgAttr(index, marks::kDtype,
                  b.getStringAttr(half ? "fp16" : "fp32"));
  return success();
}

namespace {
struct PackageInterface
    : ane::impl::PackageInterfacePassBase<PackageInterface> {
  void runOnOperation() override {
    auto main = getOperation().lookupSymbol<func::FuncOp>("main");
    if (!main) {
      getOperation().emitError() << "expects a function @main";
      return signalPassFailure();
    }
    for (unsigned i = 0; i < main.getNumArguments(); ++i)
      if (std::optional<Image> image = imageOf(main, i))
        if (failed(scaleImage(main, i, *image)))
          return signalPassFailure();
    if (failed(castBoundary(main)))
      signalPassFailure();
  }
};
} // namespace
