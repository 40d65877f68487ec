//===- Precompiled.h - headers that most files parse ----------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// Parsing MLIR's and the dialect's headers is two thirds of the time of a
// build. Nothing relies on this file: each source includes what it uses.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Interpreter/Interpreter.h"
#include "dialects/ANE/IR/ANE.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
