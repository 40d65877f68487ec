// Reductions, normalisation, indexing.
// RUN: ane-opt %s --ane-evaluate-constants="numerics=fp32" | FileCheck %s

// CHECK-LABEL: func @reduce
// CHECK{LITERAL}: dense<[[3.000000e+00], [7.000000e+00]]>
// CHECK: dense<2.400000e+01> : tensor<f32>
// CHECK: dense<[1, 0]>
func.func @reduce() -> (tensor<2x1xf32>, tensor<f32>, tensor<2xi32>) {
  %x = ane.constant dense<[[1.0, 2.0], [4.0, 3.0]]> : tensor<2x2xf32>
  %s = ane.reduce_sum %x {axes = array<i64: -1>, keep_dims = true} : (tensor<2x2xf32>) -> tensor<2x1xf32>
  %p = ane.reduce_prod %x : (tensor<2x2xf32>) -> tensor<f32>
  %a = ane.reduce_argmax %x {axis = 1 : i64} : (tensor<2x2xf32>) -> tensor<2xi32>
  return %s, %p, %a : tensor<2x1xf32>, tensor<f32>, tensor<2xi32>
}

// log-sum-exp and softmax of large values stay finite.
// CHECK-LABEL: func @stable
// CHECK: dense<1.000000e+03>
// CHECK: dense<5.000000e-01>
func.func @stable() -> (tensor<f32>, tensor<2xf32>) {
  %x = ane.constant dense<[1000.0, 0.0]> : tensor<2xf32>
  %l = ane.reduce_log_sum_exp %x : (tensor<2xf32>) -> tensor<f32>
  %e = ane.constant dense<1000.0> : tensor<2xf32>
  %s = ane.softmax %e : (tensor<2xf32>) -> tensor<2xf32>
  return %l, %s : tensor<f32>, tensor<2xf32>
}

// CHECK-LABEL: func @layer_norm
// CHECK: dense<[1.000000e+00, 5.000000e+00]>
func.func @layer_norm() -> tensor<2xf32> {
  %x = ane.constant dense<[-3.0, 3.0]> : tensor<2xf32>
  %g = ane.constant dense<2.0> : tensor<2xf32>
  %b = ane.constant dense<3.0> : tensor<2xf32>
  %y = ane.layer_norm %x, %g, %b {axes = array<i64: 0>, epsilon = 0.0 : f32, operandSegmentSizes = array<i32: 1, 1, 1>} : (tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<2xf32>
  return %y : tensor<2xf32>
}

// Ties go to the lowest index.
// CHECK-LABEL: func @topk
// CHECK: dense<3>
// CHECK: dense<[1, 2]>
func.func @topk() -> (tensor<2xi32>, tensor<2xi32>) {
  %x = ane.constant dense<[1, 3, 3, 2]> : tensor<4xi32>
  %v, %i = ane.topk %x {k = 2 : i64} : (tensor<4xi32>) -> (tensor<2xi32>, tensor<2xi32>)
  return %v, %i : tensor<2xi32>, tensor<2xi32>
}

// CHECK-LABEL: func @gathers
// CHECK: dense<[30, 10]>
// CHECK: dense<[10, 25, 30]>
func.func @gathers() -> (tensor<2xi32>, tensor<3xi32>) {
  %x = ane.constant dense<[10, 20, 30]> : tensor<3xi32>
  %i = ane.constant dense<[-1, 0]> : tensor<2xi32>
  %g = ane.gather %x, %i : (tensor<3xi32>, tensor<2xi32>) -> tensor<2xi32>
  %at = ane.constant dense<[[1], [1]]> : tensor<2x1xi32>
  %u = ane.constant dense<[2, 3]> : tensor<2xi32>
  %s = ane.scatter_nd %x, %at, %u {mode = "add"} : (tensor<3xi32>, tensor<2x1xi32>, tensor<2xi32>) -> tensor<3xi32>
  return %g, %s : tensor<2xi32>, tensor<3xi32>
}

// The second box overlaps the best one too much; the third is apart. Unused places have index -1.
// CHECK-LABEL: func @non_maximum_suppression
// CHECK{LITERAL}: dense<[[0, 2, -1]]>
func.func @non_maximum_suppression() -> tensor<1x3xi32> {
  %boxes = ane.constant dense<[[[1.0, 1.2, 5.0], [1.0, 1.0, 5.0], [2.0, 2.0, 2.0], [2.0, 2.0, 2.0]]]> : tensor<1x4x3xf32>
  %scores = ane.constant dense<[[[0.9, 0.8, 0.7]]]> : tensor<1x1x3xf32>
  %c, %s, %i = ane.non_maximum_suppression %boxes, %scores {iou_threshold = 0.5 : f32, max_boxes = 3 : i64} : (tensor<1x4x3xf32>, tensor<1x1x3xf32>) -> (tensor<1x4x3xf32>, tensor<1x1x3xf32>, tensor<1x3xi32>)
  return %i : tensor<1x3xi32>
}
