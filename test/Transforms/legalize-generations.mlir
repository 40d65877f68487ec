// What single generations refuse, in another form there and as it is elsewhere.
// RUN: sed s/TARGET/h17/ %s | ane-opt --ane-legalize=late=true | FileCheck %s --check-prefix=H17
// RUN: sed s/TARGET/h15/ %s | ane-opt --ane-legalize=late=true | FileCheck %s --check-prefix=H15
// RUN: sed s/TARGET/h14/ %s | ane-opt --ane-legalize=late=true | FileCheck %s --check-prefix=H14
// RUN: sed s/TARGET/h16/ %s | ane-opt --ane-legalize=late=true | FileCheck %s --check-prefix=H16

module attributes {ane.target = #ane.target<"TARGET">} {
// H17-LABEL: func @mean
// H17: ane.conv {{.*}}(tensor<1x512x1x128xf16>, tensor<1x512x1x1xf16>) -> tensor<1x1x1x128xf16>
// H17-NEXT: return
// H16-LABEL: func @mean
// H16: ane.reduce_mean
func.func @mean(%x: tensor<1x512x1x128xf16>) -> tensor<1x1x1x128xf16> {
  %y = ane.reduce_mean %x {axes = array<i64: 1>, keep_dims = true} : (tensor<1x512x1x128xf16>) -> tensor<1x1x1x128xf16>
  return %y : tensor<1x1x1x128xf16>
}

// The squares of what is divided by its largest magnitude are sums on the multipliers where that is predicted to be faster, and
// what it is divided by is a share of all magnitudes; of more channels the multipliers would lose too many. An accumulator that
// is zero when it overflows makes no divisor (H15).
// H16-LABEL: func @mean_of_squares
// H16-DAG: %[[SHARE:.*]] = ane.constant dense<7.812500e-03> : tensor<1x512x1x1xf16>
// H16-DAG: %[[ONE:.*]] = ane.constant dense<1.000000e+00> : tensor<1x512x1x1xf16>
// H16: %[[A:.*]] = ane.abs
// H16-NEXT: %[[C:.*]] = ane.conv %[[A]], %[[SHARE]]
// H16-NEXT: %[[M:.*]] = ane.clip %[[C]] {alpha = 3.45266977E-4 : f32, beta = 3.276800e+04 : f32}
// H16-NEXT: %[[Z:.*]] = ane.real_div %arg0, %[[M]]
// H16-NEXT: %[[Q:.*]] = ane.mul %[[Z]], %[[Z]]
// H16: %[[S:.*]] = ane.conv %[[Q]], %[[ONE]]
// H16: ane.real_div %[[S]],
// H16: ane.reduce_mean
// H15-LABEL: func @mean_of_squares_at_many_places
// H15-NOT: ane.conv
// H15: return
// H16-LABEL: func @mean_of_squares_at_many_places
// H16-NOT: ane.reduce_
// H16: return
// H16-LABEL: func @mean_of_many_squares
// H16: ane.reduce_mean
// H17-LABEL: func @mean_of_many_squares
// H17: ane.conv
func.func @mean_of_squares(%x: tensor<1x512x1x128xf16>) -> (tensor<1x1x1x128xf16>, tensor<1x1x1x128xf16>) {
  %least = ane.constant dense<1.0e-4> : tensor<f16>
  %a = ane.abs %x : (tensor<1x512x1x128xf16>) -> tensor<1x512x1x128xf16>
  %m = ane.reduce_max %a {axes = array<i64: 1>, keep_dims = true} : (tensor<1x512x1x128xf16>) -> tensor<1x1x1x128xf16>
  %n = ane.maximum %m, %least : (tensor<1x1x1x128xf16>, tensor<f16>) -> tensor<1x1x1x128xf16>
  %z = ane.real_div %x, %n : (tensor<1x512x1x128xf16>, tensor<1x1x1x128xf16>) -> tensor<1x512x1x128xf16>
  %s = ane.mul %z, %z : (tensor<1x512x1x128xf16>, tensor<1x512x1x128xf16>) -> tensor<1x512x1x128xf16>
  %y = ane.reduce_mean %s {axes = array<i64: 1>, keep_dims = true} : (tensor<1x512x1x128xf16>) -> tensor<1x1x1x128xf16>
  %t = ane.mul %x, %x : (tensor<1x512x1x128xf16>, tensor<1x512x1x128xf16>) -> tensor<1x512x1x128xf16>
  %w = ane.reduce_mean %t {axes = array<i64: 1>, keep_dims = true} : (tensor<1x512x1x128xf16>) -> tensor<1x1x1x128xf16>
  return %y, %w : tensor<1x1x1x128xf16>, tensor<1x1x1x128xf16>
}
func.func @mean_of_squares_at_many_places(%x: tensor<1x512x1x4096xf16>) -> tensor<1x1x1x4096xf16> {
  %least = ane.constant dense<1.0e-4> : tensor<f16>
  %a = ane.abs %x : (tensor<1x512x1x4096xf16>) -> tensor<1x512x1x4096xf16>
  %m = ane.reduce_max %a {axes = array<i64: 1>, keep_dims = true} : (tensor<1x512x1x4096xf16>) -> tensor<1x1x1x4096xf16>
  %n = ane.maximum %m, %least : (tensor<1x1x1x4096xf16>, tensor<f16>) -> tensor<1x1x1x4096xf16>
  %z = ane.real_div %x, %n : (tensor<1x512x1x4096xf16>, tensor<1x1x1x4096xf16>) -> tensor<1x512x1x4096xf16>
  %s = ane.mul %z, %z : (tensor<1x512x1x4096xf16>, tensor<1x512x1x4096xf16>) -> tensor<1x512x1x4096xf16>
  %y = ane.reduce_mean %s {axes = array<i64: 1>, keep_dims = true} : (tensor<1x512x1x4096xf16>) -> tensor<1x1x1x4096xf16>
  return %y : tensor<1x1x1x4096xf16>
}
func.func @mean_of_many_squares(%x: tensor<1x4096x1x128xf16>) -> tensor<1x1x1x128xf16> {
  %least = ane.constant dense<1.0e-4> : tensor<f16>
  %a = ane.abs %x : (tensor<1x4096x1x128xf16>) -> tensor<1x4096x1x128xf16>
  %m = ane.reduce_max %a {axes = array<i64: 1>, keep_dims = true} : (tensor<1x4096x1x128xf16>) -> tensor<1x1x1x128xf16>
  %n = ane.maximum %m, %least : (tensor<1x1x1x128xf16>, tensor<f16>) -> tensor<1x1x1x128xf16>
  %z = ane.real_div %x, %n : (tensor<1x4096x1x128xf16>, tensor<1x1x1x128xf16>) -> tensor<1x4096x1x128xf16>
  %s = ane.mul %z, %z : (tensor<1x4096x1x128xf16>, tensor<1x4096x1x128xf16>) -> tensor<1x4096x1x128xf16>
  %y = ane.reduce_mean %s {axes = array<i64: 1>, keep_dims = true} : (tensor<1x4096x1x128xf16>) -> tensor<1x1x1x128xf16>
  return %y : tensor<1x1x1x128xf16>
}

// H15-LABEL: func @rotate
// H15: ane.matmul %arg0, %{{.*}}(tensor<1x2x8x4xf16>, tensor<4x4xf16>) -> tensor<1x2x8x4xf16>
// H16-LABEL: func @rotate
// H16: ane.concat
func.func @rotate(%x: tensor<1x2x8x4xf16>) -> tensor<1x2x8x4xf16> {
  %m = ane.constant dense<-1.0> : tensor<f16>
  %a = ane.slice_by_size %x {begin = array<i64: 0, 0, 0, 0>, size = array<i64: 1, 2, 8, 2>} : (tensor<1x2x8x4xf16>) -> tensor<1x2x8x2xf16>
  %b = ane.slice_by_size %x {begin = array<i64: 0, 0, 0, 2>, size = array<i64: 1, 2, 8, 2>} : (tensor<1x2x8x4xf16>) -> tensor<1x2x8x2xf16>
  %n = ane.mul %b, %m : (tensor<1x2x8x2xf16>, tensor<f16>) -> tensor<1x2x8x2xf16>
  %y = ane.concat %n, %a {axis = 3 : i64} : (tensor<1x2x8x2xf16>, tensor<1x2x8x2xf16>) -> tensor<1x2x8x4xf16>
  return %y : tensor<1x2x8x4xf16>
}

// H14-LABEL: func @scale
// H14: ane.conv {{.*}}groups = 1024
// H14-NOT: ane.mul
// H16-LABEL: func @scale
// H16: ane.mul
func.func @scale(%x: tensor<1x1024x32xf16>) -> tensor<1x1024x32xf16> {
  %low = ane.constant dense<0.5> : tensor<1x512x1x1xf16>
  %high = ane.constant dense<2.0> : tensor<1x512x1x1xf16>
  %c = ane.concat %low, %high {axis = 1 : i64} : (tensor<1x512x1x1xf16>, tensor<1x512x1x1xf16>) -> tensor<1x1024x1x1xf16>
  %a = ane.reshape %x {shape = array<i64: 1, 1024, 1, 32>} : (tensor<1x1024x32xf16>) -> tensor<1x1024x1x32xf16>
  %b = ane.mul %a, %c : (tensor<1x1024x1x32xf16>, tensor<1x1024x1x1xf16>) -> tensor<1x1024x1x32xf16>
  %y = ane.reshape %b {shape = array<i64: 1, 1024, 32>} : (tensor<1x1024x1x32xf16>) -> tensor<1x1024x32xf16>
  return %y : tensor<1x1024x32xf16>
}

// H14-LABEL: func @codes
// H14: ane.real_div
// H14: ane.clip {{.*}}alpha = -1.280000e+02 : f32, beta = 1.270000e+02
// H14-NOT: ane.quantize
// H16-LABEL: func @codes
// H16: ane.quantize
func.func @codes(%x: tensor<1x4x8x8xf16>) -> tensor<1x4x8x8xf16> {
  %s = ane.constant dense<0.5> : tensor<f16>
  %q = ane.quantize %x, %s {output_dtype = i8} : (tensor<1x4x8x8xf16>, tensor<f16>) -> tensor<1x4x8x8xi8>
  %d = ane.dequantize %q, %s : (tensor<1x4x8x8xi8>, tensor<f16>) -> tensor<1x4x8x8xf16>
  return %d : tensor<1x4x8x8xf16>
}

// Rotary positions with tokens last: a permutation in groups of one head, where halves take long to copy.
// H16-LABEL: func @rotate_channels
// H16: ane.conv {{.*}}groups = 32 : i64{{.*}}(tensor<1x2048x1x512xf16>, tensor<2048x64x1x1xf16>)
// H16-NOT: ane.concat
// H16-LABEL: func @rotate_few
// H16: ane.concat
func.func @rotate_channels(%x: tensor<1x32x64x512xf16>) -> tensor<1x32x64x512xf16> {
  %m = ane.constant dense<-1.0> : tensor<f16>
  %h:2 = ane.split %x {axis = 2 : i64, split_sizes = array<i64: 32, 32>} : (tensor<1x32x64x512xf16>) -> (tensor<1x32x32x512xf16>, tensor<1x32x32x512xf16>)
  %n = ane.mul %h#1, %m : (tensor<1x32x32x512xf16>, tensor<f16>) -> tensor<1x32x32x512xf16>
  %y = ane.concat %n, %h#0 {axis = 2 : i64} : (tensor<1x32x32x512xf16>, tensor<1x32x32x512xf16>) -> tensor<1x32x64x512xf16>
  return %y : tensor<1x32x64x512xf16>
}
func.func @rotate_few(%x: tensor<1x2x8x32xf16>) -> tensor<1x2x8x32xf16> {
  %m = ane.constant dense<-1.0> : tensor<f16>
  %h:2 = ane.split %x {axis = 2 : i64, split_sizes = array<i64: 4, 4>} : (tensor<1x2x8x32xf16>) -> (tensor<1x2x4x32xf16>, tensor<1x2x4x32xf16>)
  %n = ane.mul %h#1, %m : (tensor<1x2x4x32xf16>, tensor<f16>) -> tensor<1x2x4x32xf16>
  %y = ane.concat %n, %h#0 {axis = 2 : i64} : (tensor<1x2x4x32xf16>, tensor<1x2x4x32xf16>) -> tensor<1x2x8x32xf16>
  return %y : tensor<1x2x8x32xf16>
}
}
