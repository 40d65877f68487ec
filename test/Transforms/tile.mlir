// Weights within the working set stay whole; where they do not fit, test/E2E/test_engine.py looks at whole models.
// RUN: ane-opt %s --ane-tile="working-set=16384" | FileCheck %s
// Scores of 12 heads that may not be alive together are made head by head.
// RUN: ane-opt %s --ane-tile="live-bytes=1048576" | FileCheck %s --check-prefix=LIVE

// LIVE-LABEL: func @attention
// LIVE-NOT: tensor<1x12x256x256xf16>
// LIVE: ane.concat {{.*}}axis = 1
func.func @attention(%q: tensor<1x12x256x32xf16>, %k: tensor<1x12x32x256xf16>, %v: tensor<1x12x256x32xf16>) -> tensor<1x12x256x32xf16> {
  %s = ane.matmul %q, %k : (tensor<1x12x256x32xf16>, tensor<1x12x32x256xf16>) -> tensor<1x12x256x256xf16>
  %p = ane.softmax %s : (tensor<1x12x256x256xf16>) -> tensor<1x12x256x256xf16>
  %o = ane.matmul %p, %v : (tensor<1x12x256x256xf16>, tensor<1x12x256x32xf16>) -> tensor<1x12x256x32xf16>
  return %o : tensor<1x12x256x32xf16>
}

// Small enough as it is.
// CHECK-LABEL: func @small
// CHECK: ane.conv
// CHECK-NOT: ane.conv
// CHECK: return
func.func @small(%x: tensor<1x32x1x64xf16>) -> tensor<1x32x1x64xf16> {
  %w = ane.constant dense<1.0> : tensor<32x32x1x1xf16>
  %y = ane.conv %x, %w {strides = array<i64: 1, 1>, pad_type = "valid", pad = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x32x1x64xf16>, tensor<32x32x1x1xf16>) -> tensor<1x32x1x64xf16>
  return %y : tensor<1x32x1x64xf16>
}
