// RUN: ane-opt %s --split-input-file --ane-mark-states=recognise | FileCheck %s
// RUN: not ane-opt %s --split-input-file --ane-mark-states=states=past=al 2>&1 | FileCheck %s --check-prefix=ERROR

// Rows behind the past are the output; what reads the whole still does.
// CHECK-LABEL: func @main(
// CHECK-SAME: tensor<1x2x8x4xf32> {ane.name = "past", ane.state = "past"}
// CHECK-SAME: -> (tensor<1x2x3x4xf32> {ane.name = "all", ane.state = "past", ane.state_axis = 2 : i64}, tensor<1x2x11x4xf32> {ane.name = "y"})
// CHECK: %[[A:.+]] = ane.concat %arg1, %arg2
// CHECK: %[[ALL:.+]] = ane.concat %arg0, %arg1, %arg2
// CHECK: %[[Y:.+]] = ane.relu %[[ALL]]
// CHECK: %[[ROWS:.+]] = ane.concat %arg1, %arg2
// CHECK: return %[[ROWS]], %[[Y]]
// ERROR: error: no output is named 'al' to be a state
func.func @main(%p: tensor<1x2x8x4xf32> {ane.name = "past"}, %a: tensor<1x2x1x4xf32> {ane.name = "a"}, %b: tensor<1x2x2x4xf32> {ane.name = "b"})
    -> (tensor<1x2x11x4xf32> {ane.name = "all"}, tensor<1x2x11x4xf32> {ane.name = "y"}) {
  %unused = ane.concat %a, %b {axis = 2 : i64} : (tensor<1x2x1x4xf32>, tensor<1x2x2x4xf32>) -> tensor<1x2x3x4xf32>
  %c = ane.concat %p, %a, %b {axis = 2 : i64} : (tensor<1x2x8x4xf32>, tensor<1x2x1x4xf32>, tensor<1x2x2x4xf32>) -> tensor<1x2x11x4xf32>
  %y = ane.relu %c : (tensor<1x2x11x4xf32>) -> tensor<1x2x11x4xf32>
  return %c, %y : tensor<1x2x11x4xf32>, tensor<1x2x11x4xf32>
}

// -----

// Names that differ in before and after alone, of one type; others are not paired, whatever their type.
// CHECK-LABEL: func @main(
// CHECK-SAME: {ane.name = "past_key_values.0.key", ane.state = "past_key_values.0.key"}
// CHECK-SAME: {ane.name = "x"}
// CHECK-SAME: -> (tensor<1x4xf32> {ane.name = "y"}, tensor<1x4xf32> {ane.name = "present.0.key", ane.state = "past_key_values.0.key"})
func.func @main(%p: tensor<1x4xf32> {ane.name = "past_key_values.0.key"}, %x: tensor<1x4xf32> {ane.name = "x"})
    -> (tensor<1x4xf32> {ane.name = "y"}, tensor<1x4xf32> {ane.name = "present.0.key"}) {
  %s = ane.add %p, %x : (tensor<1x4xf32>, tensor<1x4xf32>) -> tensor<1x4xf32>
  %y = ane.relu %s : (tensor<1x4xf32>) -> tensor<1x4xf32>
  return %y, %s : tensor<1x4xf32>, tensor<1x4xf32>
}
