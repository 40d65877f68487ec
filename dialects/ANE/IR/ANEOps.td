//===- ANEOps.td - every ane op, by family ---------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANE_OPS_TD
#define ANE_OPS_TD

include "dialects/ANE/IR/ANEBase.td"
include "dialects/ANE/IR/Structure.td"
include "dialects/ANE/IR/Elementwise.td"
include "dialects/ANE/IR/Linear.td"
include "dialects/ANE/IR/Norm.td"
include "dialects/ANE/IR/Shape.td"
include "dialects/ANE/IR/Gather.td"
include "dialects/ANE/IR/Dynamic.td"
include "dialects/ANE/IR/Image.td"
include "dialects/ANE/IR/Quant.td"
include "dialects/ANE/IR/Control.td"

#endif // ANE_OPS_TD
