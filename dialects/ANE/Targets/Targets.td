//===- Targets.td - all generations and rules ------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

include "dialects/ANE/Targets/ANETarget.td"
include "dialects/ANE/Targets/Sources.td"
include "dialects/ANE/Targets/Rules.td"
include "dialects/ANE/Targets/Generations.td"
