// RUN: ane-opt %s --convert-ane-to-mil | FileCheck %s
// RUN: ane-opt %s "--convert-ane-to-mil=dialect=verbose" | FileCheck %s --check-prefix=VERBOSE
// RUN: ane-opt %s "--convert-ane-to-mil=reserved=y" | FileCheck %s --check-prefix=RESERVED
// Converting again starts afresh.
// RUN: ane-opt %s --convert-ane-to-mil --convert-ane-to-mil | FileCheck %s

// The trees stay; the root says where its bytes go: the first descriptor is at 64, the next behind 64 + 2 · 32 bytes,
// on a multiple of 64. What is small is in the text.
// CHECK: ane.constant {ane.weight = array<i64: 64>} dense<1.000000e+00>
// CHECK: ane.mul %{{.*}} {ane.weight = array<i64: 192>}
// CHECK-NOT: ane.weight
// CHECK: module @mil
// CHECK: mil.program @main "1.3"
// CHECK: mil.func @main "ios18" ["x"]
// CHECK: "@model_path/weights/weight.bin"
// VERBOSE: mil.program @main "1.0"
// RESERVED: mil.op "add"{{.*}}["y_"]
func.func @main(%x: tensor<1x32x1x1xf16> {ane.name = "x"}) -> (tensor<1x32x1x1xf16> {ane.name = "y"}) {
  %a = ane.constant dense<1.0> : tensor<1x32x1x1xf16>
  %b = ane.constant dense<2.0> : tensor<1x32x1x1xf16>
  %small = ane.constant dense<3.0> : tensor<f16>
  %c = ane.mul %b, %small : (tensor<1x32x1x1xf16>, tensor<f16>) -> tensor<1x32x1x1xf16>
  %0 = ane.mul %x, %a : (tensor<1x32x1x1xf16>, tensor<1x32x1x1xf16>) -> tensor<1x32x1x1xf16>
  %1 = ane.mul %0, %c : (tensor<1x32x1x1xf16>, tensor<1x32x1x1xf16>) -> tensor<1x32x1x1xf16>
  %2 = ane.add %1, %small : (tensor<1x32x1x1xf16>, tensor<f16>) -> tensor<1x32x1x1xf16>
  func.return %2 : tensor<1x32x1x1xf16>
}
