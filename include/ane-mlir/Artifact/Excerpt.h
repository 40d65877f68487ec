//===- Excerpt.h - the first operations of a large model ------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_ARTIFACT_EXCERPT_H
#define ANEMLIR_ARTIFACT_EXCERPT_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include <optional>

namespace mlir::ane {

struct ExcerptLimits {
  /// Floating-point operations of one run.
  double work;
  /// Elements of constants; the largest one alone may have `largest`.
  double weights, largest;
  /// Elements of what one op makes.
  double values;
};

/// A model too large to be run is judged by its beginning: layers repeat.
class Excerpt {
public:
  /// The ops of `function`, in their order, up to the first that breaks a
  /// limit; what later ops read of them is returned. Nothing where that is no
  /// op that computes, or all of them.
  static std::optional<Excerpt>
  make(func::FuncOp function, const ExcerptLimits &limits,
       llvm::function_ref<double(Operation &)> work);

  func::FuncOp function() { return *module->getOps<func::FuncOp>().begin(); }
  /// Gives `ane.fp32` marks of the excerpt to the ops that they stand for, and
  /// to those of further layers: the same op of the same size whose name
  /// differs in numbers alone. Returns how many got one.
  unsigned spreadMarks();

  /// Ops that compute: of the excerpt, of the function.
  unsigned ops = 0, of = 0;

private:
  OwningOpRef<ModuleOp> module;
  func::FuncOp whole;
  SmallVector<std::pair<Operation *, Operation *>> twins;
};

} // namespace mlir::ane

#endif // ANEMLIR_ARTIFACT_EXCERPT_H
