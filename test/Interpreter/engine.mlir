// What engines do to numbers (engine/legality.md §4.3).
// RUN: sed 's/TARGET/h16/' %s | ane-opt --ane-evaluate-constants="numerics=engine" | FileCheck %s --check-prefixes=CHECK,FIXED
// RUN: sed 's/TARGET/h15/' %s | ane-opt --ane-evaluate-constants="numerics=engine" | FileCheck %s --check-prefixes=CHECK,ZERO
// RUN: sed 's/TARGET/h17/' %s | ane-opt --ane-evaluate-constants="numerics=engine" | FileCheck %s --check-prefixes=CHECK,KEPT
// RUN: sed 's/TARGET/h13/' %s | ane-opt --ane-evaluate-constants="numerics=engine" | FileCheck %s --check-prefixes=CHECK,EVEN

module attributes {ane.target = #ane.target<"TARGET">} {
// A partial sum of 40000, although the result is 0: infinite, or zero on M3.
// CHECK-LABEL: func @partial_sum
// FIXED: dense<0x7C00>
// ZERO: dense<0.000000e+00>
// KEPT: dense<0x7C00>
// EVEN: dense<0x7C00>
func.func @partial_sum() -> tensor<1x1xf16> {
  %a = ane.constant dense<[[200.0, 200.0]]> : tensor<1x2xf16>
  %b = ane.constant dense<[[200.0], [-200.0]]> : tensor<2x1xf16>
  %y = ane.matmul %a, %b : (tensor<1x2xf16>, tensor<2x1xf16>) -> tensor<1x1xf16>
  return %y : tensor<1x1xf16>
}

// A product of 2^-18 is dropped by the fixed point; 2^10 of them would be 2^-8.
// CHECK-LABEL: func @small_products
// FIXED: dense<0.000000e+00>
// ZERO: dense<0.000000e+00>
// KEPT: dense<3.814700e-06>
// EVEN: dense<3.814700e-06>
func.func @small_products() -> tensor<1x1xf16> {
  %a = ane.constant dense<0.001953125> : tensor<1x1xf16>
  %b = ane.constant dense<0.001953125> : tensor<1x1xf16>
  %y = ane.matmul %a, %b : (tensor<1x1xf16>, tensor<1x1xf16>) -> tensor<1x1xf16>
  return %y : tensor<1x1xf16>
}

// 2049 lies half way between two fp16 values.
// CHECK-LABEL: func @ties
// FIXED: dense<2.050000e+03>
// ZERO: dense<2.050000e+03>
// KEPT: dense<2.050000e+03>
// EVEN: dense<2.048000e+03>
func.func @ties() -> tensor<1xf16> {
  %a = ane.constant dense<2048.0> : tensor<1xf16>
  %b = ane.constant dense<1.0> : tensor<1xf16>
  %y = ane.add %a, %b : (tensor<1xf16>, tensor<1xf16>) -> tensor<1xf16>
  return %y : tensor<1xf16>
}

// log(0) is a finite sentinel; 0 * inf is 0; a NaN never comes out.
// CHECK-LABEL: func @special
// CHECK: dense<-4.544000e+04>
// CHECK: dense<0.000000e+00>
func.func @special() -> (tensor<1xf16>, tensor<1xf16>) {
  %zero = ane.constant dense<0.0> : tensor<1xf16>
  %inf = ane.constant dense<0x7C00> : tensor<1xf16>
  %l = ane.log %zero : (tensor<1xf16>) -> tensor<1xf16>
  %p = ane.mul %zero, %inf : (tensor<1xf16>, tensor<1xf16>) -> tensor<1xf16>
  return %l, %p : tensor<1xf16>, tensor<1xf16>
}

// A table of 33 knots over [-8, 8]: sigmoid(0.25) = 0.56218 lies on the chord from 0 to 0.5.
// CHECK-LABEL: func @table
// CHECK: dense<5.610350e-01>
func.func @table() -> tensor<1xf16> {
  %x = ane.constant dense<0.25> : tensor<1xf16>
  %y = ane.sigmoid %x : (tensor<1xf16>) -> tensor<1xf16>
  return %y : tensor<1xf16>
}

// 3 * 2^-17 lies half way between two multiples of 2^-16 and goes away from zero.
// CHECK-LABEL: func @product_ties
// FIXED: dense<3.051760e-05>
// ZERO: dense<3.051760e-05>
// KEPT: dense<2.288820e-05>
// EVEN: dense<2.288820e-05>
func.func @product_ties() -> tensor<1x1xf16> {
  %a = ane.constant dense<0.01171875> : tensor<1x1xf16>
  %b = ane.constant dense<0.001953125> : tensor<1x1xf16>
  %y = ane.matmul %a, %b : (tensor<1x1xf16>, tensor<1x1xf16>) -> tensor<1x1xf16>
  return %y : tensor<1x1xf16>
}

// 1.5 * 2^-8 times 1.5 * 2^-9 is more than 2^-16, but the exponents add up to -17.
// CHECK-LABEL: func @small_exponents
// FIXED: dense<0.000000e+00>
// ZERO: dense<0.000000e+00>
// KEPT: dense<1.716610e-05>
// EVEN: dense<1.716610e-05>
func.func @small_exponents() -> tensor<1x1xf16> {
  %a = ane.constant dense<0.005859375> : tensor<1x1xf16>
  %b = ane.constant dense<0.0029296875> : tensor<1x1xf16>
  %y = ane.matmul %a, %b : (tensor<1x1xf16>, tensor<1x1xf16>) -> tensor<1x1xf16>
  return %y : tensor<1x1xf16>
}

// The sum of the exponentials is rounded on its way.
// CHECK-LABEL: func @softmax
// FIXED: dense<{{\[}}[1.470950e-01, 1.456300e-01
// ZERO: dense<{{\[}}[1.470950e-01, 1.456300e-01
// KEPT: dense<{{\[}}[1.470950e-01, 1.456300e-01
// EVEN: dense<{{\[}}[1.472170e-01, 1.457520e-01
func.func @softmax() -> tensor<1x7xf16> {
  %x = ane.constant dense<[[0.0, -0.01, -0.02, -0.03, -0.04, -0.05, -0.06]]> : tensor<1x7xf16>
  %y = ane.softmax %x {axis = -1 : i64} : (tensor<1x7xf16>) -> tensor<1x7xf16>
  return %y : tensor<1x7xf16>
}

// round takes ties away from zero and is wrong from 1024 on; floor is right.
// CHECK-LABEL: func @round
// CHECK: dense<[3.000000e+00, -3.000000e+00, 1.000000e+00, 1.023000e+03, 1.026000e+03, 2.048000e+03]>
// CHECK: dense<[2.000000e+00, -3.000000e+00, 0.000000e+00, 1.022000e+03, 1.025000e+03, 2.048000e+03]>
func.func @round() -> (tensor<6xf16>, tensor<6xf16>) {
  %x = ane.constant dense<[2.5, -2.5, 0.5, 1022.5, 1025.0, 2048.0]> : tensor<6xf16>
  %y = ane.round %x : (tensor<6xf16>) -> tensor<6xf16>
  %z = ane.floor %x : (tensor<6xf16>) -> tensor<6xf16>
  return %y, %z : tensor<6xf16>, tensor<6xf16>
}

// A number behind floor is lost, the same number in every place is not (L30).
// CHECK-LABEL: func @factor
// CHECK: dense<[3.000000e+00, 4.000000e+00]>
// CHECK: dense<[1.500000e+00, 2.000000e+00]>
func.func @factor() -> (tensor<2xf16>, tensor<2xf16>) {
  %x = ane.constant dense<[3.5, 4.5]> : tensor<2xf16>
  %half = ane.constant dense<0.5> : tensor<f16>
  %halves = ane.constant dense<0.5> : tensor<2xf16>
  %f = ane.floor %x : (tensor<2xf16>) -> tensor<2xf16>
  %y = ane.mul %half, %f : (tensor<f16>, tensor<2xf16>) -> tensor<2xf16>
  %z = ane.mul %f, %halves : (tensor<2xf16>, tensor<2xf16>) -> tensor<2xf16>
  return %y, %z : tensor<2xf16>, tensor<2xf16>
}

// The table of sin and cos ends at half pi.
// CHECK-LABEL: func @sin
// CHECK: dense<[1.000000e+00, 1.000000e+00, -1.000000e+00]>
func.func @sin() -> tensor<3xf16> {
  %x = ane.constant dense<[1.6, 3.0, -9.0]> : tensor<3xf16>
  %y = ane.sin %x : (tensor<3xf16>) -> tensor<3xf16>
  return %y : tensor<3xf16>
}
}
