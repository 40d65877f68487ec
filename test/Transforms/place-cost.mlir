// One token against a small weight is bound by the dispatch: the host is cheaper. Many positions pay for it.
// RUN: ane-opt %s --ane-place=mode=cost -split-input-file | FileCheck %s
// RUN: ane-opt %s --ane-place -split-input-file | FileCheck %s --check-prefix=AUTO
// AUTO-NOT: ane.placement = "host"

// CHECK-LABEL: func @few
// CHECK-SAME: cheapest_us = [[HOST:[0-9.Ee+]+]] : f64, crossover = {{.+}} : f64, host_us = [[HOST]] : f64, placed_us = [[HOST]] : f64
// CHECK: ane.conv {{.*}}ane.placement = "host", ane.reason = "the host is predicted to be faster, with dispatches and transfers counted", ane.rule = "cost"
func.func @few(%x: tensor<1x64x1x32xf16>) -> tensor<1x64x1x32xf16> {
  %w = ane.constant dense<1.0> : tensor<64x64x1x1xf16>
  %y = ane.conv %x, %w {strides = array<i64: 1, 1>, pad_type = "valid", pad = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x64x1x32xf16>, tensor<64x64x1x1xf16>) -> tensor<1x64x1x32xf16>
  return %y : tensor<1x64x1x32xf16>
}

// -----

// CHECK-LABEL: func @many
// CHECK: ane.conv {{.*}}ane.placement = "ane"
// CHECK: ane.conv {{.*}}ane.placement = "ane"
func.func @many(%x: tensor<1x512x64x64xf16>) -> tensor<1x512x64x64xf16> {
  %w = ane.constant dense<1.0> : tensor<512x512x1x1xf16>
  %y = ane.conv %x, %w {strides = array<i64: 1, 1>, pad_type = "valid", pad = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x512x64x64xf16>, tensor<512x512x1x1xf16>) -> tensor<1x512x64x64xf16>
  %z = ane.conv %y, %w {strides = array<i64: 1, 1>, pad_type = "valid", pad = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x512x64x64xf16>, tensor<512x512x1x1xf16>) -> tensor<1x512x64x64xf16>
  return %z : tensor<1x512x64x64xf16>
}
