// Each limit of each target is met, and one past it is refused by its name.
// RUN: ane-tblgen -gen-limit-tests -I %source %s > %t.mlir
// RUN: ane-opt %t.mlir --split-input-file --ane-place | FileCheck %t.mlir

include "dialects/ANE/Targets/Targets.td"

/// A function without its name; $(64-N) is reckoned from left to right, $(1x^N) stands N times.
class ANE_LimitTest<string id_, string text_> {
  string id = id_;
  string text = text_;
  /// A rule that would speak first.
  string off = "";
}
class ANE_NoLimitTest<string id_, string why_> {
  string id = id_;
  string why = why_;
}

class Relu<string id, string shape> : ANE_LimitTest<id, "(%x: tensor<" # shape # "f16>) -> tensor<" # shape # "f16> {\n"
  # "    %y = ane.relu %x : (tensor<" # shape # "f16>) -> tensor<" # shape # "f16>\n    return %y : tensor<" # shape # "f16>\n  }">;
class Conv<string id, string x, string w, string y, string strides = "1, 1"> : ANE_LimitTest<id, "(%x: tensor<" # x # "xf16>) -> tensor<" # y # "xf16> {\n"
  # "    %w = ane.constant dense<1.0> : tensor<" # w # "xf16>\n"
  # "    %y = ane.conv %x, %w {strides = array<i64: " # strides # ">, pad_type = \"valid\", pad = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : "
  # "(tensor<" # x # "xf16>, tensor<" # w # "xf16>) -> tensor<" # y # "xf16>\n    return %y : tensor<" # y # "xf16>\n  }">;
class Pool<string id, string op, string more> : ANE_LimitTest<id, "(%x: tensor<1x4x1x64xf16>) -> tensor<1x4x1x$(64-N+1)xf16> {\n"
  # "    %y = ane." # op # " %x {kernel_sizes = array<i64: 1, $(N)>, strides = array<i64: 1, 1>, pad_type = \"valid\", pad = array<i64: 0, 0, 0, 0>" # more # "} : "
  # "(tensor<1x4x1x64xf16>) -> tensor<1x4x1x$(64-N+1)xf16>\n    return %y : tensor<1x4x1x$(64-N+1)xf16>\n  }">;

def : Relu<"S1", "1x1x1x$(N)x">;
def : Relu<"S2", "1x$(N)x1x1x">;
def : Relu<"S3", "$(N)x1x1x1x">;
def : Relu<"S4", "1x1x$(N)x1x1x">;
def : Relu<"S5", "$(1x^N)">;
def : Conv<"S6", "1x1x1x$(N*2)", "1x1x1x$(N)", "1x1x1x$(N+1)">;
def : Conv<"S7", "1x1x$(N*2)x1", "1x1x$(N)x1", "1x1x$(N+1)x1">;
def : Conv<"S9W", "1x1x1x$(N*3)", "1x1x1x$(N)", "1x1x1x$(N*3-N/2+1)", "1, 2">;
def : Conv<"S9H", "1x1x$(N*3)x1", "1x1x$(N)x1", "1x1x$(N*3-N/2+1)x1", "2, 1">;
def : Pool<"S10", "max_pool", "">;
def : Pool<"S11", "avg_pool", ", exclude_padding_from_average = false">;
def : ANE_LimitTest<"S12", "(%x: tensor<1x1x32x$(N)xf16>, %z: tensor<1x1x$(N)x32xf16>) -> tensor<1x1x32x32xf16> {\n"
  # "    %y = ane.matmul %x, %z {transpose_x = false, transpose_y = false} : (tensor<1x1x32x$(N)xf16>, tensor<1x1x$(N)x32xf16>) -> tensor<1x1x32x32xf16>\n"
  # "    return %y : tensor<1x1x32x32xf16>\n  }"> { let off = "S1"; }
def : Conv<"S13", "1x$(N)x1x1", "1x$(N)x1x1", "1x1x1x1">;
def : Conv<"S14", "1x1x1x1", "$(N)x1x1x1", "1x$(N)x1x1">;
def : ANE_NoLimitTest<"S18", "the length of a chain, not of one operation: Transforms/form-programs-chain.test">;
def : ANE_NoLimitTest<"S20", "a matter of time, which is reckoned with: it refuses nothing">;
def : ANE_NoLimitTest<"S23A", "an inference that nothing follows yet">;
