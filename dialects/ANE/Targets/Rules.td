//===- Rules.td - rules that are not numbers -------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

def : ANE_Rule<"L03", "gelu does not compile on RAW", "B", "OR, DE">;
def : ANE_Rule<"L05", "operation does not compile for the engine", "A", "IM, AF, M5X">;
def : ANE_Rule<"L06", "integer arithmetic does not compile", "A", "MS, IM">;
def : ANE_Rule<"L07", "the engine computes in fp16; fp32 values stay outside", "A", "MX6, OR">;
def : ANE_Rule<"L10", "a compressed constant may feed only a convolution", "C", "D4, IM">;
def : ANE_Rule<"L19", "a run-time convolution weight needs the [1,O,1,I] form", "B", "M5X, H3">;
def : ANE_Rule<"L21", "tile disturbs later evaluations", "C", "FG, M5X vs IM, AF">;
def : ANE_Rule<"L24", "normalisation without all operands as constants does not compile", "C", "IM">;
def : ANE_Rule<"L26", "resize samples asymmetric nearest or aligned or asymmetric bilinear only", "B", "AF">;
def : ANE_Rule<"L27", "depth_to_space knows DCR order only", "B", "AF">;
def : ANE_Rule<"L28", "pad other than constant on the last two axes is unproven", "C", "AF, MS">;
def : ANE_Rule<"L29", "topk does not compile over the width axis or on M1", "B", "BR, MS">;
def : ANE_Rule<"L32", "local_response_norm uses alpha undivided", "C", "AF">;
def : ANE_Rule<"L40", "function input and output rows are a multiple of 32 fp16", "A", "FG, M5X, IM">;
def : ANE_Rule<"L46", "unknown dimensions do not compile", "A", "BR">;
def : ANE_Rule<"S15", "strides have factors 2 and 3 only", "B", "BR, AP">;
def : ANE_Rule<"S23", "sin and cos are native from H15 on", "D", "BR">;
def : ANE_Rule<"1.11.1", "linear falls off RAW", "C", "LU, DF">;
