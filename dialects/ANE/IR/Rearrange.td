//===- Rearrange.td - reversal, blocks, bands, windows --------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANE_REARRANGE_TD
#define ANE_REARRANGE_TD

include "dialects/ANE/IR/ANEBase.td"

def ANE_ReverseOp : ANE_Unary<"reverse", ANE_Any, (ins OptionalAttr<DenseI64ArrayAttr>:$axes)> {
  let movesElements = 1;
  let ownGradient = 1;
  let summary = "The order along axes turned round";
  let evidence = ANE_RawCompiled;
  let hasVerifier = 1;
}
def ANE_ReverseSequenceOp : ANE_Unary<"reverse_sequence", ANE_Any, (ins ANE_Int:$lengths, DefaultValuedAttr<ANE_I64, "0">:$seq_axis,
    DefaultValuedAttr<ANE_I64, "0">:$batch_axis)> {
  let movesElements = 1;
  let ownGradient = 1;
  let summary = "The first elements of each batch turned round";
  let evidence = ANE_HostOnly<"L05", "no evidence that reverse_sequence compiles">;
  let hasVerifier = 1;
}
class ANE_Blocks<string mnemonic, dag param, ANE_Evidence known> : ANE_TensorOp<mnemonic> {
  let arguments = !con((ins ANE_Any:$x), param);
  let results = (outs ANE_Any:$y);
  let evidence = known;
}
def ANE_DepthToSpaceOp : ANE_Blocks<"depth_to_space", (ins ANE_I64:$block_size), ANE_Candidate> { let movesElements = 1; let ownGradient = 1; let summary = "Channels become blocks of positions"; }
def ANE_SpaceToDepthOp : ANE_Blocks<"space_to_depth", (ins ANE_I64:$block_size), ANE_Candidate> { let movesElements = 1; let ownGradient = 1; let summary = "Blocks of positions become channels"; }
def ANE_PixelShuffleOp : ANE_Blocks<"pixel_shuffle", (ins ANE_I64:$upscale_factor),
    ANE_HostOnly<"L27", "the engine knows DCR order only">> { let movesElements = 1; let ownGradient = 1; let summary = "Channels become blocks of positions, channel first"; }
def ANE_PixelUnshuffleOp : ANE_Blocks<"pixel_unshuffle", (ins ANE_I64:$downscale_factor),
    ANE_HostOnly<"L27", "the engine knows DCR order only">> {
  let movesElements = 1;
  let ownGradient = 1;
  let summary = "Blocks of positions become channels, channel first";
  let milOpset = 16;
  let milUnsigned = ["downscale_factor"];
}
def ANE_BandPartOp : ANE_Unary<"band_part", ANE_Any, (ins DefaultValuedAttr<ANE_I64, "-1">:$lower, DefaultValuedAttr<ANE_I64, "-1">:$upper)> {
  let movesElements = 1;
  let ownGradient = 1;
  let summary = "A band of diagonals, zero elsewhere";
  let evidence = ANE_HostOnly<"L05", "no evidence that band_part compiles">;
}
def ANE_SlidingWindowsOp : ANE_TensorOp<"sliding_windows"> {
  let movesElements = 1;
  let ownGradient = 1;
  let summary = "Inserts an axis of length `size` after `axis`: the windows along it";
  let arguments = (ins ANE_Any:$x, ANE_I64:$axis, ANE_I64:$size, DefaultValuedAttr<ANE_I64, "1">:$stride);
  let results = (outs ANE_Any:$y);
  let evidence = ANE_HostOnly<"L05", "no evidence that sliding_windows compiles">;
}

#endif // ANE_REARRANGE_TD
