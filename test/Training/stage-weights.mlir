// RUN: ane-opt %s --ane-stage-weights | FileCheck %s
// RUN: ane-opt %s --ane-stage-weights --ane-optimize-pipeline | FileCheck %s --check-prefix=CONV

// The forward product reads a transposed copy, the product with the transpose the weight itself: both are convolutions.
// CHECK: func @main(%[[X:[a-z0-9]+]]: tensor<64x128xf32> {{.*}}, %[[W:[a-z0-9]+]]: tensor<128x256xf32> {ane.name = "w", ane.parameter}
// CHECK-SAME: %[[V:[a-z0-9]+]]: tensor<30x40xf32> {ane.name = "v", ane.parameter}
// CHECK-SAME: %[[T:[a-z0-9]+]]: tensor<256x128xf32> {ane.copy_of = "w", ane.dtype = "fp32", ane.name = "w.copy0", ane.transposed})
// CHECK: ane.matmul %[[X]], %[[T]] {transpose_y = true}
// CHECK: ane.matmul %{{.+}}, %[[W]] {transpose_y = true}
// Rows that are not whole stay with the parameter.
// CHECK: ane.matmul %{{.+}}, %[[V]] :
// CONV-COUNT-2: ane.conv
// CONV-NOT: ane.conv
func.func @main(%x: tensor<64x128xf32> {ane.name = "x"}, %w: tensor<128x256xf32> {ane.name = "w", ane.parameter}, %u: tensor<64x30xf32> {ane.name = "u"},
    %v: tensor<30x40xf32> {ane.name = "v", ane.parameter}) -> (tensor<64x128xf32>, tensor<64x40xf32>) {
  %y = ane.matmul %x, %w : (tensor<64x128xf32>, tensor<128x256xf32>) -> tensor<64x256xf32>
  %z = ane.matmul %y, %w {transpose_y = true} : (tensor<64x256xf32>, tensor<128x256xf32>) -> tensor<64x128xf32>
  %s = ane.matmul %u, %v : (tensor<64x30xf32>, tensor<30x40xf32>) -> tensor<64x40xf32>
  return %z, %s : tensor<64x128xf32>, tensor<64x40xf32>
}
