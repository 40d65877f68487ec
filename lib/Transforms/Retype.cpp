//===- Retype.cpp - changing an element type everywhere -------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "Retype.h"
#include "ane-mlir/Interpreter/Tensor.h"
#include "dialects/ANE/IR/Cast.h"
#include "dialects/ANE/IR/Quant.h"
#include "dialects/ANE/IR/Structure.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;
using namespace mlir::ane;

/// Constants of at most this many elements are converted in place.
static constexpr int64_t kSmall = 256;

LogicalResult
mlir::ane::retype(ModuleOp module, function_ref<Type(Type)> map,
                  function_ref<LogicalResult(ConstantOp, OpBuilder &)> check) {
  auto mapTensor = [&](Type type) -> Type {
    auto tensor = dyn_cast<RankedTensorType>(type);
    return tensor ? Type(tensor.clone(map(tensor.getElementType()))) : type;
  };
  bool ok = true;
  module.walk([&](Operation *op) {
    for (Region &region : op->getRegions())
      for (Block &block : region)
        for (BlockArgument argument : block.getArguments())
          argument.setType(mapTensor(argument.getType()));
    if (auto function = dyn_cast<FunctionOpInterface>(op)) {
      auto type = cast<FunctionType>(function.getFunctionType());
      function.setType(FunctionType::get(
          op->getContext(), llvm::map_to_vector(type.getInputs(), mapTensor),
          llvm::map_to_vector(type.getResults(), mapTensor)));
      return;
    }
    if (auto constant = dyn_cast<ConstantOp>(op)) {
      Type wanted = mapTensor(constant.getType());
      if (wanted == constant.getType())
        return;
      OpBuilder builder(op);
      builder.setInsertionPointAfter(op);
      if (failed(check(constant, builder))) {
        ok = false;
        return;
      }
      auto tensorType = cast<RankedTensorType>(wanted);
      DType dtype = *toDType(tensorType.getElementType());
      if (auto splat = dyn_cast<DenseElementsAttr>(constant.getValue());
          splat && (splat.isSplat() || splat.getNumElements() <= kSmall)) {
        // One element of a splat stands for all.
        bool isSplat = splat.isSplat() && splat.getNumElements() > 1;
        DenseElementsAttr one =
            isSplat ? splat.resizeSplat(
                          RankedTensorType::get({1}, splat.getElementType()))
                    : splat;
        FailureOr<Tensor> tensor = Tensor::fromElements(one);
        if (succeeded(tensor) && isFloat(dtype) == tensor->isFloat()) {
          std::vector<char> bytes = tensor->retyped(dtype).toWeightBytes();
          DenseElementsAttr value =
              Tensor::fromBytes(dtype, tensor->shape(), bytes)
                  .toElements(op->getContext());
          if (isSplat)
            value = value.resizeSplat(tensorType);
          constant.getResult().setType(tensorType);
          constant.setValueAttr(value);
          return;
        }
      }
      auto cast = CastOp::create(builder, op->getLoc(), tensorType,
                                 constant.getResult(),
                                 TypeAttr::get(tensorType.getElementType()));
      constant.getResult().replaceAllUsesExcept(cast.getResult(), cast);
      return;
    }
    for (Value result : op->getResults()) {
      // The cast that was put behind a constant has its type already.
      Type wanted = mapTensor(result.getType());
      if (wanted != result.getType())
        result.setType(wanted);
    }
    if (auto cast = dyn_cast<CastOp>(op))
      cast.setDtype(map(cast.getDtype()));
    if (auto quantize = dyn_cast<QuantizeOp>(op))
      quantize.setOutputDtype(map(quantize.getOutputDtype()));
  });
  return success(ok);
}
