//===- Contents.h - what is in an artifact ----------------------*- C++ -*-===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_LIB_ARTIFACT_CONTENTS_H
#define ANEMLIR_LIB_ARTIFACT_CONTENTS_H

#include "ane-mlir/Artifact/Artifact.h"
#include <map>

namespace mlir::ane {

/// What is in an artifact, apart from what it computes.
struct Contents {
  struct Op {
    /// Its first result's identifier; "relu", "conv".
    std::string name, type;
    /// What it reads: values by name, constants by digest; its results' types.
    std::string arguments, results;
  };
  struct Function {
    /// Number of its program in a bundle, 0 elsewhere.
    unsigned program = 0;
    std::string name, opset;
    /// Without constants, in order, those of inner blocks too.
    std::vector<Op> ops;
  };
  struct Weight {
    uint64_t bytes = 0, elements = 0;
    std::string dtype;
    /// Lies in a weight file rather than in the text.
    bool isFile = false;
  };
  std::vector<Function> functions;
  std::map<std::string, size_t> operations;
  /// Constants of more than a few elements by digest and type: equal ones once.
  std::map<std::pair<std::string, std::string>, Weight> weights;
};

/// Failure after a diagnostic.
LogicalResult readContents(MILSource &source, unsigned program,
                           Contents &contents);
LogicalResult readContents(StringRef path, MLIRContext *context,
                           Contents &contents);

} // namespace mlir::ane

#endif // ANEMLIR_LIB_ARTIFACT_CONTENTS_H
