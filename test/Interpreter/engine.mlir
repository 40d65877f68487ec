// What engines do to numbers (ane-target.md §4.3).
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

// A product of 2^-18 is dropped by the fixed point; 2^10 of them would be 2^-8. M3 flushes it as denormal.
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
}
