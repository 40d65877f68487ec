//===- Feed.h - a user's arrays into and out of an artifact ---------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_ARTIFACT_FEED_H
#define ANEMLIR_ARTIFACT_FEED_H

#include "ane-mlir/Artifact/Artifact.h"
#include "llvm/Support/Error.h"

namespace mlir::ane {

/// By the name in the artifact, that in the model, or, in a text, which has no
/// other names, the only one that can stand for it; null where none is.
const Port *findPort(ArrayRef<Port> ports, StringRef name);

/// An error where `tensor` loses values in the dtype of `port`: "input 'x'
/// expects int32, but `source` has fp32 with fractions; `remedy`".
llvm::Error checkDType(const Tensor &tensor, const Port &port, StringRef source,
                       StringRef remedy);

/// `tensor` as `port` carries it, with its shape checked.
llvm::Expected<Tensor> carry(const Port &port, Tensor tensor);

/// What an input with a `fallback` is where it is left out.
Tensor leftOut(const Port &port);

/// Results in the user's dtypes.
llvm::Error convertResults(ArrayRef<Port> ports,
                           MutableArrayRef<Tensor> results);

} // namespace mlir::ane

#endif // ANEMLIR_ARTIFACT_FEED_H
