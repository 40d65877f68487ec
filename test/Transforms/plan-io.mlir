// RUN: ane-opt %s --ane-plan-io --ane-verify-target | FileCheck %s

// Rows of 5 are padded to 32 and cut inside; the output is made by an arithmetic op and padded again.
// CHECK-LABEL: ane.program ane @padded(%arg0: tensor<1x1x3x32xf16>
// CHECK-SAME: #ane.surface<tensor<3x5xf16>, [1, 1, 3, 5], [1, 1, 3, 32]>
// CHECK: ane.slice_by_size %arg0 {begin = array<i64: 0, 0, 0, 0>, size = array<i64: 1, 1, 3, 5>}
// CHECK: ane.reshape {{.*}} -> tensor<3x5xf16>
// CHECK: ane.relu
// CHECK: ane.pad {{.*}}pad = array<i64: 0, 27>
// CHECK: %[[Y:.+]] = ane.mul {{.*}} -> tensor<1x1x3x32xf16>
// CHECK: ane.return %[[Y]]
ane.program ane @padded(%x: tensor<3x5xf16>) -> tensor<3x5xf16> {
  %y = ane.relu %x : (tensor<3x5xf16>) -> tensor<3x5xf16>
  ane.return %y : tensor<3x5xf16>
}

// Elements that divide into whole rows are viewed, not padded.
// CHECK-LABEL: ane.program ane @viewed(%arg0: tensor<1x1x1x160xf16>
ane.program ane @viewed(%x: tensor<32x5xf16>) -> tensor<32x5xf16> {
  %y = ane.relu %x : (tensor<32x5xf16>) -> tensor<32x5xf16>
  ane.return %y : tensor<32x5xf16>
}

// Whole rows stay as they are.
// CHECK-LABEL: ane.program ane @direct(%arg0: tensor<1x3x4x64xf16>
// CHECK-NEXT: %[[R:.+]] = ane.relu %arg0
// CHECK-NEXT: ane.return %[[R]]
ane.program ane @direct(%x: tensor<1x3x4x64xf16>) -> tensor<1x3x4x64xf16> {
  %y = ane.relu %x : (tensor<1x3x4x64xf16>) -> tensor<1x3x4x64xf16>
  ane.return %y : tensor<1x3x4x64xf16>
}

// A transpose is not what reads an input first (L20); other readers do.
// CHECK-LABEL: ane.program ane @turned(%arg0: tensor<1x4x6x96xf16>
// CHECK: %[[COPY:.+]] = ane.mul %arg0, %{{.+}}
// CHECK: ane.transpose %[[COPY]]
// CHECK: ane.relu %arg0
ane.program ane @turned(%x: tensor<1x4x6x96xf16>) -> (tensor<1x96x4x6xf16>, tensor<1x4x6x96xf16>) {
  %t = ane.transpose %x {perm = array<i64: 0, 3, 1, 2>} : (tensor<1x4x6x96xf16>) -> tensor<1x96x4x6xf16>
  %y = ane.tanh %t : (tensor<1x96x4x6xf16>) -> tensor<1x96x4x6xf16>
  %z = ane.relu %x : (tensor<1x4x6x96xf16>) -> tensor<1x4x6x96xf16>
  ane.return %y, %z : tensor<1x96x4x6xf16>, tensor<1x4x6x96xf16>
}

// bool crosses as fp16.
// CHECK-LABEL: ane.program ane @bool
// CHECK: ane.greater
// CHECK: ane.cast {{.*}} {dtype = f16}
ane.program ane @bool(%x: tensor<1x1x1x32xf16>) -> tensor<1x1x1x32xi1> {
  %z = ane.constant dense<0.0> : tensor<f16>
  %y = ane.greater %x, %z : (tensor<1x1x1x32xf16>, tensor<f16>) -> tensor<1x1x1x32xi1>
  ane.return %y : tensor<1x1x1x32xi1>
}

// A weight of run time has the surface [1,O,1,I] and is reshaped from it (L19).
// CHECK-LABEL: ane.program ane @run_time_weight(
// CHECK-SAME: tensor<1x96x1x64xf16> {ane.surface = #ane.surface<tensor<96x64xf16>
// CHECK: ane.reshape %arg1 {shape = array<i64: 96, 64, 1, 1>} : (tensor<1x96x1x64xf16>) -> tensor<96x64x1x1xf16>
ane.program ane @run_time_weight(%x: tensor<1x64x1x32xf16>, %w: tensor<96x64xf16>) -> tensor<1x96x1x32xf16> {
  %0 = ane.reshape %w {shape = array<i64: 96, 64, 1, 1>} : (tensor<96x64xf16>) -> tensor<96x64x1x1xf16>
  %1 = ane.conv %x, %0 {dilations = array<i64: 1, 1>, operandSegmentSizes = array<i32: 1, 1, 0>, pad = array<i64: 0, 0, 0, 0>, pad_type = "valid", strides = array<i64: 1, 1>} : (tensor<1x64x1x32xf16>, tensor<96x64x1x1xf16>) -> tensor<1x96x1x32xf16>
  ane.return %1 : tensor<1x96x1x32xf16>
}

// A transposition next to an input or output is the order of its surface: elements of the tensor between neighbours
// along each axis of the view.
// CHECK-LABEL: ane.program ane @ordered(%arg0: tensor<1x48x1x64xf16> {ane.surface = #ane.surface<tensor<64x48xf16>, [1, 48, 1, 64], [1, 48, 1, 64], order[0, 1, 0, 48]>})
// CHECK-SAME: tensor<1x48x1x64xf16> {ane.surface = #ane.surface<tensor<1x64x48xf16>, [1, 48, 1, 64], [1, 48, 1, 64], order[0, 1, 0, 48]>}
// CHECK-NEXT: %[[R:.+]] = ane.relu %arg0
// CHECK-NEXT: ane.return %[[R]]
ane.program ane @ordered(%x: tensor<64x48xf16>) -> tensor<1x64x48xf16> {
  %a = ane.reshape %x {shape = array<i64: 1, 64, 48>} : (tensor<64x48xf16>) -> tensor<1x64x48xf16>
  %b = ane.transpose %a {perm = array<i64: 0, 2, 1>} : (tensor<1x64x48xf16>) -> tensor<1x48x64xf16>
  %c = ane.reshape %b {shape = array<i64: 1, 48, 1, 64>} : (tensor<1x48x64xf16>) -> tensor<1x48x1x64xf16>
  %y = ane.relu %c : (tensor<1x48x1x64xf16>) -> tensor<1x48x1x64xf16>
  %d = ane.reshape %y {shape = array<i64: 1, 48, 64>} : (tensor<1x48x1x64xf16>) -> tensor<1x48x64xf16>
  %e = ane.transpose %d {perm = array<i64: 0, 2, 1>} : (tensor<1x48x64xf16>) -> tensor<1x64x48xf16>
  ane.return %e : tensor<1x64x48xf16>
}

// What lies otherwise is read by others too, or has no whole rows: the transposition stays. A reshape in front of an
// output is a matter of its view.
// CHECK-LABEL: ane.program ane @kept
// CHECK: %[[COPY:.+]] = ane.mul %arg0
// CHECK: ane.transpose %[[COPY]]
// CHECK: ane.transpose
// CHECK: %[[Z:.+]] = ane.relu {{.*}} -> tensor<1x3x1x96xf16>
// CHECK-NEXT: ane.return {{.*}}, {{.*}}, %[[Z]]
ane.program ane @kept(%x: tensor<1x32x1x64xf16>, %w: tensor<1x48x6x1xf16>) -> (tensor<1x32x1x64xf16>, tensor<1x64x1x32xf16>, tensor<3x96xf16>) {
  %t = ane.transpose %x {perm = array<i64: 0, 3, 2, 1>} : (tensor<1x32x1x64xf16>) -> tensor<1x64x1x32xf16>
  %a = ane.relu %x : (tensor<1x32x1x64xf16>) -> tensor<1x32x1x64xf16>
  %b = ane.relu %t : (tensor<1x64x1x32xf16>) -> tensor<1x64x1x32xf16>
  %s = ane.transpose %w {perm = array<i64: 0, 2, 1, 3>} : (tensor<1x48x6x1xf16>) -> tensor<1x6x48x1xf16>
  %r = ane.reshape %s {shape = array<i64: 1, 3, 1, 96>} : (tensor<1x6x48x1xf16>) -> tensor<1x3x1x96xf16>
  %c = ane.relu %r : (tensor<1x3x1x96xf16>) -> tensor<1x3x1x96xf16>
  %d = ane.reshape %c {shape = array<i64: 3, 96>} : (tensor<1x3x1x96xf16>) -> tensor<3x96xf16>
  ane.return %a, %b, %d : tensor<1x32x1x64xf16>, tensor<1x64x1x32xf16>, tensor<3x96xf16>
}
