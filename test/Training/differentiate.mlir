// RUN: ane-opt %s -split-input-file --ane-differentiate="loss=mse loss-scale" | FileCheck %s
// RUN: ane-opt %s -split-input-file --ane-differentiate="loss=cross-entropy" | FileCheck %s --check-prefix=LABELS

// A broadcast operand receives a sum; the loss and what belongs to it stay in fp32, the rest is for the engine.
// CHECK-LABEL: func @main(
// CHECK-SAME: %[[X:.+]]: tensor<2x3xf32> {ane.name = "x"}, %[[W:.+]]: tensor<3x4xf32> {ane.name = "w", ane.parameter}
// CHECK-SAME: %[[B:.+]]: tensor<4xf32> {ane.name = "b", ane.parameter}
// CHECK-SAME: %[[T:.+]]: tensor<2x4xf32> {ane.dtype = "fp32", ane.name = "targets", ane.targets = 0 : i64}
// CHECK-SAME: %[[S:.+]]: tensor<f32> {{{.*}}ane.name = "loss_scale"
// CHECK-SAME: -> (tensor<f32> {ane.dtype = "fp32", ane.loss, ane.name = "loss"}
// CHECK-SAME: tensor<3x4xf32> {ane.dtype = "fp32", ane.gradient = "w", ane.name = "w.gradient"}
// CHECK: ane.matmul %[[X]], %[[W]]
// CHECK: ane.sub %{{.+}}, %[[T]] {ane.fp32 =
// CHECK: ane.reshape %[[S]] {ane.fp32 =
// CHECK: ane.reduce_sum %[[G:.+]] {axes = array<i64: 0>
// CHECK: ane.matmul %[[X]], %[[G]] {transpose_x = true}
// LABELS: %[[T:[a-z0-9]+]]: tensor<2xi32> {ane.dtype = "int32", ane.name = "targets"
// LABELS: ane.greater_equal %[[T]]
// LABELS: ane.one_hot
func.func @main(%x: tensor<2x3xf32> {ane.name = "x"}, %w: tensor<3x4xf32> {ane.name = "w", ane.parameter},
    %b: tensor<4xf32> {ane.name = "b", ane.parameter}) -> (tensor<2x4xf32> {ane.name = "y"}) {
  %p = ane.matmul %x, %w : (tensor<2x3xf32>, tensor<3x4xf32>) -> tensor<2x4xf32>
  %y = ane.add %p, %b : (tensor<2x4xf32>, tensor<4xf32>) -> tensor<2x4xf32>
  return %y : tensor<2x4xf32>
}
