// RUN: ane-opt %s --ane-assign-precision | FileCheck %s

// CHECK-LABEL: func @all(%arg0: tensor<2xf16>) -> tensor<2xf16>
// Finite constants saturate, infinities stay.
// CHECK: ane.constant dense<[6.550400e+04, 0xFC00]> : tensor<2xf16>
// CHECK: ane.add {{.*}} -> tensor<2xf16>
func.func @all(%x: tensor<2xf32>) -> tensor<2xf32> {
  %c = ane.constant dense<[1.0e30, 0xFF800000]> : tensor<2xf32>
  %y = ane.add %x, %c : (tensor<2xf32>, tensor<2xf32>) -> tensor<2xf32>
  return %y : tensor<2xf32>
}

// Large constants are not touched: a cast is put behind them for the weight writer.
// CHECK-LABEL: func @large
// CHECK: %[[W:.+]] = ane.constant dense_resource<w> : tensor<1024xf32>
// CHECK: ane.cast %[[W]] {dtype = f16}
func.func @large(%x: tensor<1024xf32>) -> tensor<1024xf32> {
  %w = ane.constant dense_resource<w> : tensor<1024xf32>
  %y = ane.mul %x, %w : (tensor<1024xf32>, tensor<1024xf32>) -> tensor<1024xf32>
  return %y : tensor<1024xf32>
}
