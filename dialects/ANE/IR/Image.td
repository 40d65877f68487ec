//===- Image.td - sampling and cropping of images --------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANE_IMAGE_TD
#define ANE_IMAGE_TD

include "dialects/ANE/IR/ANEBase.td"

class ANE_Resample<string mnemonic, dag params> : ANE_TensorOp<mnemonic> {
  let arguments = !con((ins ANE_Float:$x), params);
  let results = (outs ANE_Float:$y);
  let evidence = ANE_Candidate;
  let ownLegality = 1;
}
def ANE_UpsampleNearestNeighborOp : ANE_Resample<"upsample_nearest_neighbor",
    (ins DefaultValuedAttr<ANE_I64, "1">:$scale_factor_height, DefaultValuedAttr<ANE_I64, "1">:$scale_factor_width)> { let movesElements = 1; let ownGradient = 1; let summary = "Each position repeated by whole factors"; }
def ANE_ResizeNearestNeighborOp : ANE_Resample<"resize_nearest_neighbor", (ins ANE_I64:$target_size_height, ANE_I64:$target_size_width)> { let movesElements = 1; let ownGradient = 1; let summary = "The nearest position for each of a new size"; }
def ANE_ResizeBilinearOp : ANE_Resample<"resize_bilinear", (ins ANE_I64:$target_size_height, ANE_I64:$target_size_width,
    ANE_Word<ANE_GridMode>:$sampling_mode)> { let ownGradient = 1; let summary = "A new size, interpolated by sampling mode"; }
class ANE_Image<string mnemonic, dag args, TypeConstraint result = ANE_Float> : ANE_TensorOp<mnemonic> {
  let arguments = args;
  let results = (outs result:$y);
  let evidence = ANE_HostOnly<"L05", "no evidence that it compiles for the engine">;
}
def ANE_UpsampleBilinearOp : ANE_Image<"upsample_bilinear", (ins ANE_Float:$x, DefaultValuedAttr<F32Attr, "1.0f">:$scale_factor_height,
    DefaultValuedAttr<F32Attr, "1.0f">:$scale_factor_width, DefaultValuedAttr<BoolAttr, "true">:$align_corners,
    OptionalAttr<BoolAttr>:$half_pixel_centers)> {
  let ownGradient = 1;
  let summary = "Bilinear interpolation to floor(extent * scale)";
  let milSince = ["half_pixel_centers=16"];
}
def ANE_ResizeOp : ANE_Image<"resize", (ins ANE_Number:$x, DenseI64ArrayAttr:$shape, ANE_I64:$resized_dims,
    ANE_Word<ANE_Interpolation>:$interpolation_mode, ANE_Word<ANE_GridMode>:$sampling_mode), ANE_Number> {
  let ownGradient = 1;
  let summary = "Interpolates the last resized_dims axes to `shape`; 0 keeps an extent";
  let milOpset = 17;
  let milUnsigned = ["resized_dims"];
}
def ANE_CropOp : ANE_Image<"crop", (ins ANE_Any:$x, DenseI64ArrayAttr:$crop_height, DenseI64ArrayAttr:$crop_width), ANE_Any> {
  let ownGradient = 1;
  let summary = "Drops rows and columns at the edges";
}
def ANE_CropResizeOp : ANE_Image<"crop_resize", (ins ANE_Float:$x, ANE_Any:$boxes, Optional<ANE_Int>:$box_indices,
    DefaultValuedAttr<ANE_I64, "1">:$target_height, DefaultValuedAttr<ANE_I64, "1">:$target_width, ANE_False:$normalized_coordinates,
    DefaultValuedAttr<F32Attr, "1.0f">:$spatial_scale, ANE_Word<ANE_BoxCoordinates>:$box_coordinate_mode,
    ANE_Word<ANE_GridMode>:$sampling_mode, ANE_F32Default0:$pad_value)> {
  let noGradient = "a position that is computed reads between several; resize with fixed sizes has a gradient";
  let summary = "Boxes of images, each interpolated to one size";
  let description = [{ x [B,C,H,W], boxes [N,4], box_indices [N] (absent: 0, 1, …); result [N,C,target_height,target_width]. }];
  let milOpset = 17;
}
defvar ANE_Sampling = (ins ANE_Choice<ANE_SampleMode>:$sampling_mode, ANE_Choice<ANE_SamplePadding>:$padding_mode,
    F32Attr:$padding_value, ANE_Choice<ANE_SampleCoordinates>:$coordinates_mode,
    BoolAttr:$align_corners);
def ANE_ResampleOp : ANE_Image<"resample", !con((ins ANE_Float:$x, ANE_Any:$coordinates), ANE_Sampling)> {
  let noGradient = "a position that is computed reads between several; resize with fixed sizes has a gradient";
  let summary = "x at the positions (x, y) of coordinates [B,H,W,2]";
}
def ANE_AffineOp : ANE_Image<"affine", !con((ins ANE_Float:$x, ANE_Float:$transform_matrix, ANE_I64:$output_height,
    ANE_I64:$output_width), ANE_Sampling)> {
  let noGradient = "a position that is computed reads between several; resize with fixed sizes has a gradient";
  let summary = "resample at the positions of an affine map [B,6] of the output's grid";
}
class ANE_Batches<string mnemonic, dag param> : ANE_Image<mnemonic, !con((ins ANE_Any:$x, DenseI64ArrayAttr:$block_shape), param), ANE_Any>;
def ANE_SpaceToBatchOp : ANE_Batches<"space_to_batch", (ins ANE_Int:$paddings)> { let ownGradient = 1; let summary = "Blocks of positions become batches"; }
def ANE_BatchToSpaceOp : ANE_Batches<"batch_to_space", (ins ANE_Int:$crops)> { let ownGradient = 1; let summary = "Batches become blocks of positions"; }

#endif // ANE_IMAGE_TD
