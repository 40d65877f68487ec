// Rules can be switched on the module: one that conflicting sources report, and one that ops break by themselves.
// RUN: ane-opt %s --ane-place -split-input-file | FileCheck %s
// RUN: not onnx-to-ane x.onnx -o x.anepkg --rule=L99=on 2>&1 | FileCheck %s --check-prefix=UNKNOWN
// RUN: not onnx-to-ane x.onnx -o x.anepkg --rule=L71=off 2>&1 | FileCheck %s --check-prefix=OTHER
// RUN: not onnx-to-ane x.onnx -o x.anepkg --rule=L01 2>&1 | FileCheck %s --check-prefix=FORM
// UNKNOWN: no rule is named 'L99'
// OTHER: rule L71 is not about what an operation may be
// FORM: expects --rule=ID=on or ID=off, but got 'L01'

// CHECK-LABEL: func @default
// CHECK: ane.concat {{.*}}ane.placement = "ane"
// CHECK: ane.tan {{.*}}ane.placement = "host"{{.*}}ane.rule = "L05"
func.func @default(%x: tensor<1x4x4x32xf16>) -> tensor<1x8x4x32xf16> {
  %y = ane.relu %x : (tensor<1x4x4x32xf16>) -> tensor<1x4x4x32xf16>
  %z = ane.concat %x, %y {axis = 1 : i64} : (tensor<1x4x4x32xf16>, tensor<1x4x4x32xf16>) -> tensor<1x8x4x32xf16>
  %t = ane.tan %z : (tensor<1x8x4x32xf16>) -> tensor<1x8x4x32xf16>
  return %t : tensor<1x8x4x32xf16>
}

// -----

module attributes {ane.rules = {L01 = true, L05 = false}} {
// CHECK-LABEL: func @switched
// CHECK: ane.concat {{.*}}ane.placement = "host"{{.*}}ane.rule = "L01"
// CHECK: ane.tan {{.*}}ane.placement = "ane"
func.func @switched(%x: tensor<1x4x4x32xf16>) -> tensor<1x8x4x32xf16> {
  %y = ane.relu %x : (tensor<1x4x4x32xf16>) -> tensor<1x4x4x32xf16>
  %z = ane.concat %x, %y {axis = 1 : i64} : (tensor<1x4x4x32xf16>, tensor<1x4x4x32xf16>) -> tensor<1x8x4x32xf16>
  %t = ane.tan %z : (tensor<1x8x4x32xf16>) -> tensor<1x8x4x32xf16>
  return %t : tensor<1x8x4x32xf16>
}
}
