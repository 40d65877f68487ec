//===- Gather.td - indexing, sorting, one-hot ------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANE_GATHER_TD
#define ANE_GATHER_TD

include "dialects/ANE/IR/ANEBase.td"

class ANE_Indexing<string mnemonic, dag args, TypeConstraint result> : ANE_TensorOp<mnemonic> {
  let arguments = args;
  let results = (outs result:$y);
  let evidence = ANE_HostOnly<"L05", "gather, scatter and sorting do not compile">;
}
def ANE_GatherOp : ANE_Indexing<"gather", (ins ANE_Any:$x, ANE_Int:$indices, DefaultValuedAttr<ANE_I64, "0">:$axis,
    OptionalAttr<ANE_I64>:$batch_dims), ANE_Any> {
  let movesElements = 1;
  let ownGradient = 1;
  let milSince = ["batch_dims=16"];
  let summary = "x[:axis] + indices[batch_dims:] + x[axis+1:]";
}
def ANE_GatherAlongAxisOp : ANE_Indexing<"gather_along_axis", (ins ANE_Any:$x, ANE_Int:$indices, DefaultValuedAttr<ANE_I64, "0">:$axis), ANE_Any> { let movesElements = 1; let ownGradient = 1; let summary = "One element per index, other axes alike"; }
def ANE_GatherNdOp : ANE_Indexing<"gather_nd", (ins ANE_Any:$x, ANE_Int:$indices, OptionalAttr<ANE_I64>:$batch_dims), ANE_Any> {
  let movesElements = 1;
  let ownGradient = 1;
  let summary = "Slices at index tuples";
  let milSince = ["batch_dims=16"];
}
class ANE_Scatter<string mnemonic, dag more> : ANE_Indexing<mnemonic,
    !con((ins ANE_Any:$data, ANE_Int:$indices, ANE_Any:$updates), more, (ins ANE_Word<ANE_ScatterMode>:$mode)), ANE_Any>;
def ANE_ScatterOp : ANE_Scatter<"scatter", (ins DefaultValuedAttr<ANE_I64, "0">:$axis)> { let ownGradient = 1; let summary = "data with slices along an axis replaced or combined"; }
def ANE_ScatterAlongAxisOp : ANE_Scatter<"scatter_along_axis", (ins DefaultValuedAttr<ANE_I64, "0">:$axis)> { let ownGradient = 1; let summary = "data with single elements along an axis replaced or combined"; }
def ANE_ScatterNdOp : ANE_Scatter<"scatter_nd", (ins)> { let ownGradient = 1; let summary = "data with slices at index tuples replaced or combined"; }
def ANE_OneHotOp : ANE_Indexing<"one_hot", (ins ANE_Int:$indices, ANE_I64:$one_hot_vector_size,
    DefaultValuedAttr<ANE_I64, "-1">:$axis, ANE_Any:$on_value, ANE_Any:$off_value), ANE_Any> { let picksElements = 1; let ownGradient = 1; let summary = "One value at the index, another elsewhere, along a new axis"; }
def ANE_ArgsortOp : ANE_Indexing<"argsort", (ins ANE_Number:$x, DefaultValuedAttr<ANE_I64, "-1">:$axis, ANE_False:$ascending), ANE_Int> { let picksElements = 1; let gradient = ["0"]; let summary = "Indices that sort along an axis"; }
def ANE_TopkOp : ANE_TensorOp<"topk"> {
  let picksElements = 1;
  let ownGradient = 1;
  let summary = "The k largest (or smallest) along an axis, sorted; ties by lowest index";
  let arguments = (ins ANE_Number:$x, ANE_I64:$k, DefaultValuedAttr<ANE_I64, "-1">:$axis, ANE_False:$ascending);
  let results = (outs ANE_Number:$y, ANE_Int:$indices);
  let evidence = ANE_HostOnly<"L29", "topk over the width axis does not compile on h16g, and not at all on h13">;
}
def ANE_NonZeroOp : ANE_Indexing<"non_zero", (ins ANE_Any:$x), ANE_Int> { let picksElements = 1; let gradient = ["0"]; let summary = "Row-major indices of the non-zero elements"; }
def ANE_NonMaximumSuppressionOp : ANE_TensorOp<"non_maximum_suppression"> {
  let noGradient = "boxes are chosen by rank";
  let summary = "Greedy choice of boxes by score, without those that overlap a better one";
  let description = [{
    boxes [n,4,B] as centre x, centre y, width, height; scores [n,K,B]. A box is ranked by its best class, unless
    `per_class_suppression` keeps classes apart. Rows of unused results are 0, their index -1.
  }];
  let arguments = (ins ANE_Float:$boxes, ANE_Float:$scores, F32Attr:$iou_threshold, ANE_I64:$max_boxes,
      ANE_False:$per_class_suppression);
  let results = (outs ANE_Float:$coordinates, ANE_Float:$best_scores, ANE_Int:$indices);
  let milOpset = 17;
  let evidence = ANE_HostOnly<"L05", "no evidence that non_maximum_suppression compiles">;
}

#endif // ANE_GATHER_TD
