// Norms become convolutions behind the layouts, for the engine's own compiler alone: Core ML chooses by itself.
// RUN: ane-opt %s --ane-legalize=late=true | FileCheck %s --check-prefix=LATE
// RUN: ane-opt %s --ane-legalize | FileCheck %s
// RUN: ane-opt %s --ane-legalize="door=coreml late=true" | FileCheck %s

module attributes {ane.target = #ane.target<"h16">} {
// LATE-LABEL: func @norm
// LATE-NOT: ane.reduce_
// LATE: ane.conv
// LATE: ane.conv
// LATE-NOT: ane.reduce_
// LATE: return
// CHECK-LABEL: func @norm
// CHECK-NOT: ane.conv
// CHECK: ane.reduce_max
// CHECK: ane.reduce_mean
// CHECK: return
func.func @norm(%x: tensor<1x512x1x4096xf16>) -> tensor<1x1x1x4096xf16> {
  %least = ane.constant dense<1.0e-4> : tensor<f16>
  %a = ane.abs %x : (tensor<1x512x1x4096xf16>) -> tensor<1x512x1x4096xf16>
  %m = ane.reduce_max %a {axes = array<i64: 1>, keep_dims = true} : (tensor<1x512x1x4096xf16>) -> tensor<1x1x1x4096xf16>
  %n = ane.maximum %m, %least : (tensor<1x1x1x4096xf16>, tensor<f16>) -> tensor<1x1x1x4096xf16>
  %z = ane.real_div %x, %n : (tensor<1x512x1x4096xf16>, tensor<1x1x1x4096xf16>) -> tensor<1x512x1x4096xf16>
  %s = ane.mul %z, %z : (tensor<1x512x1x4096xf16>, tensor<1x512x1x4096xf16>) -> tensor<1x512x1x4096xf16>
  %y = ane.reduce_mean %s {axes = array<i64: 1>, keep_dims = true} : (tensor<1x512x1x4096xf16>) -> tensor<1x1x1x4096xf16>
  return %y : tensor<1x1x1x4096xf16>
}
}
