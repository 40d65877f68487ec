// RUN: ane-opt %s --ane-place | FileCheck %s
// RUN: ane-opt %s --ane-place=mode=host | FileCheck %s --check-prefix=HOST
// RUN: sed s/h13/h16/ %s | ane-opt --ane-place | FileCheck %s --check-prefix=H16
// RUN: not ane-opt %s --ane-place=mode=ane 2>&1 | FileCheck %s --check-prefix=ERROR

// HOST-NOT: ane.placement = "ane"

module attributes {ane.target = #ane.target<"h13">} {
  // Evidence, limits of the target and element types decide; each host op says which rule.
  // CHECK-LABEL: func @main
  func.func @main(%x: tensor<1x4x8x8xf16>, %i: tensor<2xi32>) -> (tensor<1x4x8x8xf16>, tensor<1x2x8x8xf16>, tensor<1x4x8x8xf16>) {
    // CHECK: ane.relu %{{.*}} {ane.placement = "ane"}
    %r = ane.relu %x : (tensor<1x4x8x8xf16>) -> tensor<1x4x8x8xf16>
    // CHECK: ane.gather {{.*}}ane.placement = "host", ane.reason = "gather, scatter and sorting do not compile", ane.rule = "L05"
    // ERROR: error: 'ane.gather' op is not legal on h13: gather, scatter and sorting do not compile (L05)
    %g = ane.gather %r, %i {axis = 1 : i64} : (tensor<1x4x8x8xf16>, tensor<2xi32>) -> tensor<1x2x8x8xf16>
    // Native from H15 on.
    // CHECK: ane.sin {{.*}}ane.rule = "S23"
    // ERROR: error: 'ane.sin' op is not legal on h13: sin and cos are native from H15 on (S23)
    %s = ane.sin %x : (tensor<1x4x8x8xf16>) -> tensor<1x4x8x8xf16>
    return %s, %g, %r : tensor<1x4x8x8xf16>, tensor<1x2x8x8xf16>, tensor<1x4x8x8xf16>
  }

  // The kernel limit of h13 is 13, of h16 it is 15.
  // CHECK-LABEL: func @kernel
  // CHECK: ane.conv {{.*}}ane.reason = "'weight' has kernel width 15, the limit is 13", ane.rule = "S6"
  func.func @kernel(%x: tensor<1x1x1x64xf16>) -> tensor<1x1x1x50xf16> {
    %w = ane.constant dense<1.0> : tensor<1x1x1x15xf16>
    %y = ane.conv %x, %w {strides = array<i64: 1, 1>, pad_type = "valid", pad = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x1x1x64xf16>, tensor<1x1x1x15xf16>) -> tensor<1x1x1x50xf16>
    return %y : tensor<1x1x1x50xf16>
  }

  // One past it.
  // CHECK-LABEL: func @kernel14
  // CHECK: ane.conv {{.*}}ane.reason = "'weight' has kernel width 14, the limit is 13", ane.rule = "S6"
  func.func @kernel14(%x: tensor<1x1x1x64xf16>) -> tensor<1x1x1x51xf16> {
    %w = ane.constant dense<1.0> : tensor<1x1x1x14xf16>
    %y = ane.conv %x, %w {strides = array<i64: 1, 1>, pad_type = "valid", pad = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x1x1x64xf16>, tensor<1x1x1x14xf16>) -> tensor<1x1x1x51xf16>
    return %y : tensor<1x1x1x51xf16>
  }
  // CHECK-LABEL: func @kernel13
  // CHECK: ane.conv {{.*}}ane.placement = "ane"
  func.func @kernel13(%x: tensor<1x1x1x64xf16>) -> tensor<1x1x1x52xf16> {
    %w = ane.constant dense<1.0> : tensor<1x1x1x13xf16>
    %y = ane.conv %x, %w {strides = array<i64: 1, 1>, pad_type = "valid", pad = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x1x1x64xf16>, tensor<1x1x1x13xf16>) -> tensor<1x1x1x52xf16>
    return %y : tensor<1x1x1x52xf16>
  }

  // A program that only moves data is legal, arithmetic makes its output; beside a host step it is not worth a dispatch.
  // CHECK-LABEL: func @movement
  // CHECK: ane.transpose {{.*}}ane.placement = "ane"
  func.func @movement(%x: tensor<2x32xf16>) -> tensor<32x2xf16> {
    %y = ane.transpose %x {perm = array<i64: 1, 0>} : (tensor<2x32xf16>) -> tensor<32x2xf16>
    return %y : tensor<32x2xf16>
  }
  // CHECK-LABEL: func @movement_beside_host
  // CHECK: ane.transpose {{.*}}ane.rule = "L13"
  func.func @movement_beside_host(%x: tensor<2x32xf16>) -> tensor<32x2xf16> {
    %y = ane.transpose %x {perm = array<i64: 1, 0>} : (tensor<2x32xf16>) -> tensor<32x2xf16>
    %z = ane.cumsum %y : (tensor<32x2xf16>) -> tensor<32x2xf16>
    return %z : tensor<32x2xf16>
  }

  // Bytes between quantize and dequantize are evaluated on M3 to M5 only.
  // CHECK-LABEL: func @codes
  // CHECK: ane.quantize {{.*}}ane.rule = "L36"
  // H16-LABEL: func @codes
  // H16: ane.quantize {{.*}}ane.placement = "ane"
  // H16: ane.dequantize {{.*}}ane.placement = "ane"
  func.func @codes(%x: tensor<1x4x8x8xf16>) -> tensor<1x4x8x8xf16> {
    %s = ane.constant dense<0.5> : tensor<f16>
    %q = ane.quantize %x, %s {output_dtype = i8} : (tensor<1x4x8x8xf16>, tensor<f16>) -> tensor<1x4x8x8xi8>
    %d = ane.dequantize %q, %s : (tensor<1x4x8x8xi8>, tensor<f16>) -> tensor<1x4x8x8xf16>
    return %d : tensor<1x4x8x8xf16>
  }
}
