// There and back: MIL raised to ane is lowered to the same MIL.
// RUN: ane-opt %s --convert-ane-to-mil -o %t.1.mlir
// RUN: ane-opt %t.1.mlir "--convert-mil-to-ane=function=main" 2>/dev/null | FileCheck %s
// RUN: not ane-opt %t.1.mlir "--convert-mil-to-ane=function=other" 2>&1 | FileCheck %s --check-prefix=NONE

// NONE: has no MIL function 'other'
// CHECK: ane.relu
// CHECK-NOT: mil.
ane.program host @p(%x: tensor<1x32x1x1xf16>) -> tensor<1x32x1x1xf16> {
  %0 = ane.relu %x : (tensor<1x32x1x1xf16>) -> tensor<1x32x1x1xf16>
  ane.return %0 : tensor<1x32x1x1xf16>
}
