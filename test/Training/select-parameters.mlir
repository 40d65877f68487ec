// RUN: ane-opt %s --onnx-select-parameters | FileCheck %s
// RUN: ane-opt %s --onnx-select-parameters="trainable=w frozen=w?" | FileCheck %s --check-prefix=NAMED
// RUN: ane-opt %s --onnx-select-parameters="lora=2 lora-pattern=w lora-alpha=4" | FileCheck %s --check-prefix=LORA
// RUN: not ane-opt %s --onnx-select-parameters=trainable=v 2>&1 | FileCheck %s --check-prefix=NONE

// The weight becomes an input, the mask and the number stay.
// CHECK: module attributes {ane.parameters = [{name = "w", value = dense<{{.*}}> : tensor<3x2xf32>}]}
// CHECK: input_dims = {{.*}}, ["", ""]], input_names = ["x", "w"]
// CHECK: ^bb0(%[[X:.+]]: tensor<4x3xf32>, %[[W:.+]]: tensor<3x2xf32>):
// CHECK: onnx.constant dense<-1.000000e+04>
// CHECK: onnx.node "MatMul"(%[[X]], %[[W]])

// NAMED: input_names = ["x", "w"]

// W + 4 / 2 A B, B of zeros.
// LORA: {base = "w", left = true, name = "w.lora_A", scale = 2.000000e+00 : f64, value = dense<
// LORA-SAME: {base = "w", left = false, name = "w.lora_B", scale = 2.000000e+00 : f64, value = dense<0.000000e+00> : tensor<2x2xf32>}
// LORA: ^bb0(%[[X:.+]]: tensor<4x3xf32>, %[[A:.+]]: tensor<3x2xf32>, %[[B:.+]]: tensor<2x2xf32>):
// LORA: %[[Y:.+]] = onnx.node "MatMul"(%[[X]], %{{.+}})
// LORA: %[[LOW:.+]] = onnx.node "MatMul"(%[[X]], %[[A]])
// LORA: %[[HIGH:.+]] = onnx.node "MatMul"(%[[LOW]], %[[B]])
// LORA: %[[D:.+]] = onnx.node "Mul"(%[[HIGH]], %{{.+}})
// LORA: %[[S:.+]] = onnx.node "Add"(%[[Y]], %[[D]])
// LORA: onnx.node "Add"(%[[S]]

// NONE: no initializer of floats has a name like 'v'

module {
  onnx.graph @main attributes {input_dims = [["", ""]], input_names = ["x"], opsets = {ai.onnx = 17 : i64}, output_names = ["y"], output_types = [tensor<4x2xf32>]} {
  ^bb0(%x: tensor<4x3xf32> loc("x")):
    %w = onnx.constant dense<[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]> : tensor<3x2xf32> : tensor<3x2xf32> loc("w")
    %m = onnx.constant dense<-10000.0> : tensor<4x2xf32> : tensor<4x2xf32> loc("w1")
    %n = onnx.constant dense<2.0> : tensor<f32> : tensor<f32> loc("n")
    %0 = onnx.node "MatMul"(%x, %w) version 17 {} : (tensor<4x3xf32>, tensor<3x2xf32>) -> !onnx.value
    %1 = onnx.node "Add"(%0, %m) version 17 {} : (!onnx.value, tensor<4x2xf32>) -> !onnx.value
    %2 = onnx.node "Mul"(%1, %n) version 17 {} : (!onnx.value, tensor<f32>) -> !onnx.value
    onnx.yield %2 : !onnx.value
  }
}
