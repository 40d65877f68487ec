//===- ANEOps.td - every ane op, by family ---------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// A family is a file included here. Its ops' classes are in a header of its own (dialects/ANE/IR/Shape.h for Shape.td), made
// of these lines by CMakeLists.txt, so that a file is compiled again only when a family changes whose classes it names.
//
//===----------------------------------------------------------------------===//

#ifndef ANE_OPS_TD
#define ANE_OPS_TD

include "dialects/ANE/IR/Structure.td"
include "dialects/ANE/IR/Control.td"
include "dialects/ANE/IR/Arithmetic.td"
include "dialects/ANE/IR/Comparison.td"
include "dialects/ANE/IR/Unary.td"
include "dialects/ANE/IR/Activation.td"
include "dialects/ANE/IR/Trigonometry.td"
include "dialects/ANE/IR/Cast.td"
include "dialects/ANE/IR/Linear.td"
include "dialects/ANE/IR/Pool.td"
include "dialects/ANE/IR/Recurrent.td"
include "dialects/ANE/IR/Norm.td"
include "dialects/ANE/IR/Reduction.td"
include "dialects/ANE/IR/Shape.td"
include "dialects/ANE/IR/Rearrange.td"
include "dialects/ANE/IR/Gather.td"
include "dialects/ANE/IR/Dynamic.td"
include "dialects/ANE/IR/Random.td"
include "dialects/ANE/IR/Image.td"
include "dialects/ANE/IR/Quant.td"

#endif // ANE_OPS_TD
