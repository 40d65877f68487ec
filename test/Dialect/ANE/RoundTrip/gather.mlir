// One function per op: what is parsed verifies and prints alike.
// RUN: ane-opt %s | ane-opt | FileCheck %s

// CHECK-LABEL: func @gather(
// CHECK: ane.gather %arg0, %arg1 {axis = 1 : i64, batch_dims = 1 : i64} : (tensor<1x16x1xf16>, tensor<1x36xi32>) -> tensor<1x36x1xf16>
func.func @gather(%arg0: tensor<1x16x1xf16>, %arg1: tensor<1x36xi32>) -> tensor<1x36x1xf16> {
  %0 = ane.gather %arg0, %arg1 {axis = 1 : i64, batch_dims = 1 : i64} : (tensor<1x16x1xf16>, tensor<1x36xi32>) -> tensor<1x36x1xf16>
  return %0 : tensor<1x36x1xf16>
}

// CHECK-LABEL: func @gather_2(
// CHECK: ane.gather %arg0, %arg1 {axis = 1 : i64} : (tensor<5x4x3x2xf16>, tensor<3xi64>) -> tensor<5x3x3x2xf16>
func.func @gather_2(%arg0: tensor<5x4x3x2xf16>, %arg1: tensor<3xi64>) -> tensor<5x3x3x2xf16> {
  %0 = ane.gather %arg0, %arg1 {axis = 1 : i64} : (tensor<5x4x3x2xf16>, tensor<3xi64>) -> tensor<5x3x3x2xf16>
  return %0 : tensor<5x3x3x2xf16>
}

// CHECK-LABEL: func @gather_along_axis(
// CHECK: ane.gather_along_axis %arg0, %arg1 {axis = 1 : i64} : (tensor<2x2xf16>, tensor<2x2xi64>) -> tensor<2x2xf16>
func.func @gather_along_axis(%arg0: tensor<2x2xf16>, %arg1: tensor<2x2xi64>) -> tensor<2x2xf16> {
  %0 = ane.gather_along_axis %arg0, %arg1 {axis = 1 : i64} : (tensor<2x2xf16>, tensor<2x2xi64>) -> tensor<2x2xf16>
  return %0 : tensor<2x2xf16>
}

// CHECK-LABEL: func @gather_along_axis_2(
// CHECK: ane.gather_along_axis %arg0, %arg1 : (tensor<3x3xf16>, tensor<2x3xi64>) -> tensor<2x3xf16>
func.func @gather_along_axis_2(%arg0: tensor<3x3xf16>, %arg1: tensor<2x3xi64>) -> tensor<2x3xf16> {
  %0 = ane.gather_along_axis %arg0, %arg1 : (tensor<3x3xf16>, tensor<2x3xi64>) -> tensor<2x3xf16>
  return %0 : tensor<2x3xf16>
}

// CHECK-LABEL: func @gather_nd(
// CHECK: ane.gather_nd %arg0, %arg1 {batch_dims = 1 : i64} : (tensor<2x2x2xi32>, tensor<2x1xi64>) -> tensor<2x2xi32>
func.func @gather_nd(%arg0: tensor<2x2x2xi32>, %arg1: tensor<2x1xi64>) -> tensor<2x2xi32> {
  %0 = ane.gather_nd %arg0, %arg1 {batch_dims = 1 : i64} : (tensor<2x2x2xi32>, tensor<2x1xi64>) -> tensor<2x2xi32>
  return %0 : tensor<2x2xi32>
}

// CHECK-LABEL: func @gather_nd_2(
// CHECK: ane.gather_nd %arg0, %arg1 : (tensor<2x2xi32>, tensor<2x2xi64>) -> tensor<2xi32>
func.func @gather_nd_2(%arg0: tensor<2x2xi32>, %arg1: tensor<2x2xi64>) -> tensor<2xi32> {
  %0 = ane.gather_nd %arg0, %arg1 : (tensor<2x2xi32>, tensor<2x2xi64>) -> tensor<2xi32>
  return %0 : tensor<2xi32>
}

// CHECK-LABEL: func @scatter(
// CHECK: ane.scatter %arg0, %arg1, %arg2 {axis = 1 : i64} : (tensor<2x3xf16>, tensor<2xi32>, tensor<2x2xf16>) -> tensor<2x3xf16>
func.func @scatter(%arg0: tensor<2x3xf16>, %arg1: tensor<2xi32>, %arg2: tensor<2x2xf16>) -> tensor<2x3xf16> {
  %0 = ane.scatter %arg0, %arg1, %arg2 {axis = 1 : i64, mode = "add"} : (tensor<2x3xf16>, tensor<2xi32>, tensor<2x2xf16>) -> tensor<2x3xf16>
  return %0 : tensor<2x3xf16>
}

// CHECK-LABEL: func @scatter_along_axis(
// CHECK: ane.scatter_along_axis %arg0, %arg1, %arg2 {axis = 1 : i64} : (tensor<1x5xf16>, tensor<1x2xi64>, tensor<1x2xf16>) -> tensor<1x5xf16>
func.func @scatter_along_axis(%arg0: tensor<1x5xf16>, %arg1: tensor<1x2xi64>, %arg2: tensor<1x2xf16>) -> tensor<1x5xf16> {
  %0 = ane.scatter_along_axis %arg0, %arg1, %arg2 {axis = 1 : i64, mode = "add"} : (tensor<1x5xf16>, tensor<1x2xi64>, tensor<1x2xf16>) -> tensor<1x5xf16>
  return %0 : tensor<1x5xf16>
}

// CHECK-LABEL: func @scatter_along_axis_2(
// CHECK: ane.scatter_along_axis %arg0, %arg1, %arg2 {axis = 1 : i64, mode = "mul"} : (tensor<1x5xf16>, tensor<1x2xi64>, tensor<1x2xf16>) -> tensor<1x5xf16>
func.func @scatter_along_axis_2(%arg0: tensor<1x5xf16>, %arg1: tensor<1x2xi64>, %arg2: tensor<1x2xf16>) -> tensor<1x5xf16> {
  %0 = ane.scatter_along_axis %arg0, %arg1, %arg2 {axis = 1 : i64, mode = "mul"} : (tensor<1x5xf16>, tensor<1x2xi64>, tensor<1x2xf16>) -> tensor<1x5xf16>
  return %0 : tensor<1x5xf16>
}

// CHECK-LABEL: func @scatter_nd(
// CHECK: ane.scatter_nd %arg0, %arg1, %arg2 : (tensor<4x4x4xf16>, tensor<2x1xi64>, tensor<2x4x4xf16>) -> tensor<4x4x4xf16>
func.func @scatter_nd(%arg0: tensor<4x4x4xf16>, %arg1: tensor<2x1xi64>, %arg2: tensor<2x4x4xf16>) -> tensor<4x4x4xf16> {
  %0 = ane.scatter_nd %arg0, %arg1, %arg2 {mode = "add"} : (tensor<4x4x4xf16>, tensor<2x1xi64>, tensor<2x4x4xf16>) -> tensor<4x4x4xf16>
  return %0 : tensor<4x4x4xf16>
}

// CHECK-LABEL: func @scatter_nd_2(
// CHECK: ane.scatter_nd %arg0, %arg1, %arg2 {mode = "mul"} : (tensor<4x4x4xf16>, tensor<2x1xi64>, tensor<2x4x4xf16>) -> tensor<4x4x4xf16>
func.func @scatter_nd_2(%arg0: tensor<4x4x4xf16>, %arg1: tensor<2x1xi64>, %arg2: tensor<2x4x4xf16>) -> tensor<4x4x4xf16> {
  %0 = ane.scatter_nd %arg0, %arg1, %arg2 {mode = "mul"} : (tensor<4x4x4xf16>, tensor<2x1xi64>, tensor<2x4x4xf16>) -> tensor<4x4x4xf16>
  return %0 : tensor<4x4x4xf16>
}

// CHECK-LABEL: func @one_hot(
// CHECK: ane.one_hot %arg0, %arg1, %arg2 {axis = 1 : i64, one_hot_vector_size = 4 : i64} : (tensor<4xi32>, tensor<f16>, tensor<f16>) -> tensor<4x4xf16>
func.func @one_hot(%arg0: tensor<4xi32>, %arg1: tensor<f16>, %arg2: tensor<f16>) -> tensor<4x4xf16> {
  %0 = ane.one_hot %arg0, %arg1, %arg2 {axis = 1 : i64, one_hot_vector_size = 4 : i64} : (tensor<4xi32>, tensor<f16>, tensor<f16>) -> tensor<4x4xf16>
  return %0 : tensor<4x4xf16>
}

// CHECK-LABEL: func @argsort(
// CHECK: ane.argsort %arg0 {ascending = true, axis = 0 : i64} : (tensor<3x4xf16>) -> tensor<3x4xi32>
func.func @argsort(%arg0: tensor<3x4xf16>) -> tensor<3x4xi32> {
  %0 = ane.argsort %arg0 {axis = 0 : i64, ascending = true} : (tensor<3x4xf16>) -> tensor<3x4xi32>
  return %0 : tensor<3x4xi32>
}

// CHECK-LABEL: func @topk(
// CHECK: ane.topk %arg0 {axis = 0 : i64, k = 2 : i64} : (tensor<3x4xf16>) -> (tensor<2x4xf16>, tensor<2x4xi32>)
func.func @topk(%arg0: tensor<3x4xf16>) -> (tensor<2x4xf16>, tensor<2x4xi32>) {
  %0:2 = ane.topk %arg0 {axis = 0 : i64, k = 2 : i64} : (tensor<3x4xf16>) -> (tensor<2x4xf16>, tensor<2x4xi32>)
  return %0#0, %0#1 : tensor<2x4xf16>, tensor<2x4xi32>
}

// CHECK-LABEL: func @non_zero(
// CHECK: ane.non_zero %arg0 : (tensor<2x3xf16>) -> tensor<?x2xi32>
func.func @non_zero(%arg0: tensor<2x3xf16>) -> tensor<?x2xi32> {
  %0 = ane.non_zero %arg0 : (tensor<2x3xf16>) -> tensor<?x2xi32>
  return %0 : tensor<?x2xi32>
}

// CHECK-LABEL: func @non_maximum_suppression(
// CHECK: ane.non_maximum_suppression %arg0, %arg1 {iou_threshold = 5.000000e-01 : f32, max_boxes = 3 : i64} : (tensor<2x4x5xf16>, tensor<2x1x5xf16>) -> (tensor<2x4x3xf16>, tensor<2x1x3xf16>, tensor<2x3xi32>)
func.func @non_maximum_suppression(%arg0: tensor<2x4x5xf16>, %arg1: tensor<2x1x5xf16>) -> tensor<2x3xi32> {
  %0:3 = ane.non_maximum_suppression %arg0, %arg1 {iou_threshold = 0.5 : f32, max_boxes = 3 : i64} : (tensor<2x4x5xf16>, tensor<2x1x5xf16>) -> (tensor<2x4x3xf16>, tensor<2x1x3xf16>, tensor<2x3xi32>)
  return %0#2 : tensor<2x3xi32>
}
