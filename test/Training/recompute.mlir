// RUN: ane-opt %s --ane-place --ane-recompute=mode=all --ane-form-programs | FileCheck %s
// RUN: ane-opt %s --ane-place --ane-form-programs | FileCheck %s --check-prefix=STORED
// RUN: not ane-opt %s --ane-recompute=mode=some 2>&1 | FileCheck %s --check-prefix=MODE

// The second engine program needs the product and what tanh makes of it: the product is stored, tanh computed again.
// CHECK: ane.program ane @program0
// CHECK: ane.matmul
// CHECK: ane.tanh
// CHECK: ane.program host @program1
// CHECK: ane.program ane @program2
// CHECK: ane.tanh %{{.+}} {{{.*}}ane.recomputed
// CHECK-NOT: ane.matmul
// STORED-COUNT-1: ane.tanh
// STORED-NOT: ane.tanh
// MODE: Cannot find option named 'some'!
func.func @main(%x: tensor<64x64xf16>, %w: tensor<64x64xf16>) -> tensor<64x64xf16> {
  %p = ane.matmul %x, %w : (tensor<64x64xf16>, tensor<64x64xf16>) -> tensor<64x64xf16>
  %t = ane.tanh %p : (tensor<64x64xf16>) -> tensor<64x64xf16>
  %h = ane.tan %t : (tensor<64x64xf16>) -> tensor<64x64xf16>
  %a = ane.mul %h, %t : (tensor<64x64xf16>, tensor<64x64xf16>) -> tensor<64x64xf16>
  %y = ane.add %a, %p : (tensor<64x64xf16>, tensor<64x64xf16>) -> tensor<64x64xf16>
  return %y : tensor<64x64xf16>
}
