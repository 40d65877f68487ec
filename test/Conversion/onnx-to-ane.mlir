// The converter through its phases, on the digits model.
// RUN: onnx-to-ane %digits --compile-to=onnx | FileCheck %s --check-prefix=ONNX
// RUN: onnx-to-ane %digits --dim batch=2 --compile-to=ane | FileCheck %s --check-prefix=ANE
// RUN: onnx-to-ane %digits --dim batch=2 --compile-to=optimized | FileCheck %s --check-prefix=OPT
// RUN: onnx-to-ane %digits --dim batch=2 --compile-to=placed | FileCheck %s --check-prefix=PLACED
// RUN: onnx-to-ane %digits --dim batch=2 --compile-to=mil | FileCheck %s --check-prefix=MIL

// ONNX: onnx.graph @main
// ONNX-SAME: input_dims = {{\[\[}}"batch", "", "", ""]]
// ONNX: onnx.node "Conv"({{.*}}) version 17

// Attributes became typed ops, the dimension is bound, names are locations.
// ANE: func.func @main(%arg0: tensor<2x1x8x8xf32> {ane.dtype = "fp32", ane.name = "image"}) -> (tensor<2x10xf32> {ane.dtype = "fp32", ane.name = "logits"})
// ANE: ane.conv {{.*}}pad = array<i64: 1, 1, 1, 1>
// ANE: ane.max_pool
// ANE: ane.matmul {{.*}}transpose_y = true

// OPT: func.func @main(%arg0: tensor<2x1x8x8xf16>
// OPT: ane.conv {{.*}} -> tensor<2x16x8x8xf16>
// The product with a constant became a convolution; without a sequence its transposes are reshapes.
// OPT: ane.conv {{.*}}ane.note = "matmul as 1x1 convolution{{.*}} -> tensor<1x10x1x2xf16>
// OPT-NOT: ane.matmul

// PLACED: ane.program ane @program0
// PLACED: ane.call @program0

// MIL: mil.program @program0 "1.3"
// MIL: mil.op "conv"
