// What commutes is one operation in either order, its constant behind.
// RUN: ane-opt %s --cse | FileCheck %s
// RUN: ane-opt %s --canonicalize | FileCheck %s --check-prefix=ORDER

// CHECK-LABEL: func @main
// CHECK: %[[S:.+]] = ane.add
// CHECK-NOT: ane.add
// CHECK: %[[P:.+]] = ane.mul %[[S]], %[[S]]
// CHECK: %[[D:.+]] = ane.sub
// CHECK: %[[E:.+]] = ane.sub
// CHECK: return %[[P]], %[[D]], %[[E]]
// ORDER: ane.add %arg0, %{{.*}}
func.func @main(%x: tensor<4xf32>, %y: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) {
  %a = ane.add %x, %y : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %b = ane.add %y, %x : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %p = ane.mul %a, %b : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %d = ane.sub %x, %y : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %e = ane.sub %y, %x : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return %p, %d, %e : tensor<4xf32>, tensor<4xf32>, tensor<4xf32>
}

// ORDER-LABEL: func @constant
// ORDER: %[[C:.+]] = ane.constant
// ORDER: ane.logical_and %arg0, %[[C]]
func.func @constant(%x: tensor<4xi1>) -> tensor<4xi1> {
  %c = ane.constant dense<true> : tensor<i1>
  %y = ane.logical_and %c, %x : (tensor<i1>, tensor<4xi1>) -> tensor<4xi1>
  return %y : tensor<4xi1>
}
