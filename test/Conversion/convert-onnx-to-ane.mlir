// RUN: ane-translate --import-onnx %digits -o %t.mlir
// RUN: ane-opt %t.mlir "--convert-onnx-to-ane=dims=batch=3" | FileCheck %s
// RUN: ane-opt %t.mlir "--convert-onnx-to-ane=input-shapes=image=4x1x8x8" | FileCheck %s --check-prefix=SHAPE
// RUN: not ane-opt %t.mlir --convert-onnx-to-ane 2>&1 | FileCheck %s --check-prefix=UNBOUND
// RUN: not ane-opt %t.mlir "--convert-onnx-to-ane=dims=batch" 2>&1 | FileCheck %s --check-prefix=OPTION

// CHECK: func.func @main(%arg0: tensor<3x1x8x8xf32> {ane.dtype = "fp32", ane.name = "image"}) -> (tensor<3x10xf32>
// CHECK: ane.conv
// SHAPE: func.func @main(%arg0: tensor<4x1x8x8xf32>
// UNBOUND: input 'image' has the symbolic dimension 'batch'
// OPTION: convert-onnx-to-ane does not understand 'batch'
