// Every message says what was expected and what was there.
// RUN: ane-opt %s -split-input-file -verify-diagnostics
// RUN: not ane-opt %s -split-input-file 2>/dev/null

func.func @groups(%x: tensor<1x16x4x4xf32>, %w: tensor<5x3x1x1xf32>) {
  // expected-error @below {{'ane.conv' op expects 'groups' to divide 16 input channels, but got 5}}
  // expected-error @below {{failed to infer returned types}}
  %0 = ane.conv %x, %w {strides = array<i64: 1, 1>, pad_type = "valid", pad = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 5 : i64} : (tensor<1x16x4x4xf32>, tensor<5x3x1x1xf32>) -> tensor<1x5x4x4xf32>
  return
}

// -----

func.func @kernel(%x: tensor<1x1x2x2xf32>, %w: tensor<1x1x3x3xf32>) {
  // expected-error @below {{expects the padded input of axis 2 to hold a kernel of extent 3, but got 2}}
  // expected-error @below {{failed to infer returned types}}
  %0 = ane.conv %x, %w {strides = array<i64: 1, 1>, pad_type = "valid", pad = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x1x2x2xf32>, tensor<1x1x3x3xf32>) -> tensor<1x1x1x1xf32>
  return
}

// -----

func.func @broadcast(%x: tensor<2x3xf32>, %y: tensor<4xf32>) {
  // expected-error @below {{'ane.add' op expects shapes that broadcast, but got 'tensor<2x3xf32>' and 'tensor<4xf32>'}}
  // expected-error @below {{failed to infer returned types}}
  %0 = ane.add %x, %y : (tensor<2x3xf32>, tensor<4xf32>) -> tensor<2x4xf32>
  return
}

// -----

func.func @matmul(%x: tensor<2x3xf32>, %y: tensor<4x5xf32>) {
  // expected-error @below {{expects inner dimensions to agree, but got 3 and 4}}
  // expected-error @below {{failed to infer returned types}}
  %0 = ane.matmul %x, %y : (tensor<2x3xf32>, tensor<4x5xf32>) -> tensor<2x5xf32>
  return
}

// -----

func.func @reshape(%x: tensor<2x3xf32>) {
  // expected-error @below {{'ane.reshape' op expects 'shape' to hold the 6 elements of 'tensor<2x3xf32>', but got [4, -1]}}
  // expected-error @below {{failed to infer returned types}}
  %0 = ane.reshape %x {shape = array<i64: 4, -1>} : (tensor<2x3xf32>) -> tensor<4x2xf32>
  return
}

// -----

func.func @axis(%x: tensor<2x3xf32>) {
  // expected-error @below {{expects an axis in [-2, 2), but got 2}}
  %0 = ane.softmax %x {axis = 2 : i64} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  return
}

// -----

func.func @result_type(%x: tensor<2x3xf32>) {
  // expected-error @below {{inferred type(s) 'tensor<2x3xf32>' are incompatible with return type(s)}}
  // expected-error @below {{failed to infer returned types}}
  %0 = ane.relu %x : (tensor<2x3xf32>) -> tensor<3x2xf32>
  return
}

// -----

// expected-error @below {{unknown target 'h12'; did you mean 'h13'? Expects one of h13 (m1, h13g), }}
module attributes {ane.target = #ane.target<"h12">} {}

// -----

func.func @call(%x: tensor<2xf32>) {
  // expected-error @below {{expects 'nowhere' to be an ane.program}}
  %0 = ane.call @nowhere(%x) : (tensor<2xf32>) -> tensor<2xf32>
  return
}

// -----

func.func @einsum_form(%x: tensor<1x2x3x4xf32>, %y: tensor<1x2x5x4xf32>) {
  // expected-error @below {{expects two operands and the form nchw,nwhu->nchu or chw,whr->chr, but got 'bnqd,bnkd->bnqk' of 2}}
  // expected-error @below {{failed to infer returned types}}
  %0 = ane.einsum %x, %y {equation = "bnqd,bnkd->bnqk"} : (tensor<1x2x3x4xf32>, tensor<1x2x5x4xf32>) -> tensor<1x2x3x5xf32>
  return
}

// -----

func.func @einsum_shape(%x: tensor<2x3x4xf32>, %y: tensor<5x3x1xf32>) {
  // expected-error @below {{expects operands that fit 'chw,whr->chr', but got 'tensor<2x3x4xf32>' and 'tensor<5x3x1xf32>'}}
  // expected-error @below {{failed to infer returned types}}
  %0 = ane.einsum %x, %y {equation = "chw,whr->chr"} : (tensor<2x3x4xf32>, tensor<5x3x1xf32>) -> tensor<2x3x1xf32>
  return
}

// -----

func.func @reverse_axis(%x: tensor<2x3xf32>) {
  // expected-error @below {{'ane.reverse' op expects an axis in [-2, 2), but got 7}}
  %0 = ane.reverse %x {axes = array<i64: 7>} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  return
}

// -----

func.func @reverse_sequence_lengths(%x: tensor<2x3xf32>, %lengths: tensor<3xi32>) {
  // expected-error @below {{expects one length for each of the batch axis's 2 rows, but got 'tensor<3xi32>'}}
  %0 = ane.reverse_sequence %x, %lengths {seq_axis = 1 : i64, batch_axis = 0 : i64} : (tensor<2x3xf32>, tensor<3xi32>) -> tensor<2x3xf32>
  return
}

// -----

func.func @word(%x: tensor<2x3xf32>) {
  // expected-error @below {{'ane.gelu' op attribute 'mode' failed to satisfy constraint: one of EXACT, TANH_APPROXIMATION, SIGMOID_APPROXIMATION}}
  %0 = ane.gelu %x {mode = "exact"} : tensor<2x3xf32>
  return
}

// -----

func.func @word_of_another(%x: tensor<1x2x4x5xf16>, %g: tensor<1x3x3x2xf32>) {
  // expected-error @below {{'ane.resample' op attribute 'padding_mode' failed to satisfy constraint: one of constant, border, reflection, symmetric}}
  %0 = ane.resample %x, %g {align_corners = true, coordinates_mode = "unnormalized", padding_mode = "replicate", padding_value = 0.0 : f32, sampling_mode = "bilinear"} : (tensor<1x2x4x5xf16>, tensor<1x3x3x2xf32>) -> tensor<1x2x3x3xf16>
  return
}

// -----

func.func @mark_unknown(%x: tensor<2x3xf32>) {
  // expected-error @below {{'ane.relu' op has attribute 'ane.placed', which the ane dialect does not know}}
  %0 = ane.relu %x {ane.placed = "ane"} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  return
}

// -----

func.func @mark_type(%x: tensor<2x3xf32>) {
  // expected-error @below {{'ane.relu' op expects attribute 'ane.placement' to be one of ane, host, but got "cpu"}}
  %0 = ane.relu %x {ane.placement = "cpu"} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  return
}

// -----

// expected-error @below {{has attribute 'ane.peak' in a place that is not its own: operation}}
func.func @mark_place(%x: tensor<2x3xf32> {ane.peak = array<f32: 1.0>}) {
  return
}

// -----

// expected-error @below {{has attribute 'ane.loss_scale' in a place that is not its own: argument}}
func.func @mark_result(%x: tensor<2x3xf32>) -> (tensor<2x3xf32> {ane.loss_scale}) {
  return %x : tensor<2x3xf32>
}

// -----

// expected-error @below {{expects attribute 'ane.rules' to be true or false for identifiers of rules that can be switched, but got {L01 = "yes"}}}
module attributes {ane.rules = {L01 = "yes"}} {}

// -----

// expected-error @below {{expects attribute 'ane.rules' to be true or false for identifiers of rules that can be switched, but got {NOPE = true}}}
module attributes {ane.rules = {NOPE = true}} {}

// -----

// expected-error @below {{expects attribute 'ane.image' to be a dictionary with color_space, scale and bias, but got {color_space = 10 : i64}}}
func.func @mark_image(%x: tensor<1x1x8x8xf32> {ane.image = {color_space = 10 : i64}}) {
  return
}

// -----

// expected-error @below {{expects attribute 'ane.parameters' to be dictionaries with name and value, of an adapter base, scale and left besides, but got [{name = "w"}]}}
module attributes {ane.parameters = [{name = "w"}]} {}

// -----

// expected-error @below {{expects attribute 'ane.dtype' to be the name of an element type, but got "fp99"}}
func.func @mark_of_a_type(%x: tensor<2xf16> {ane.dtype = "fp99"}) { return }

// -----

// expected-error @below {{expects attribute 'ane.groups' to be a number from 1 on, but got 0 : i64}}
func.func @mark_of_groups(%x: tensor<2xf16> {ane.groups = 0 : i64}) { return }

// -----

// expected-error @below {{expects attribute 'ane.state_axis' to be a number from 0 on, but got -7 : i64}}
func.func @mark_of_an_axis(%x: tensor<2xf16>) -> (tensor<2xf16> {ane.state_axis = -7 : i64}) { return %x : tensor<2xf16> }

// -----

// expected-error @below {{expects state_axis 1 of result 0 to be one of its axes}}
func.func @mark_beyond_the_rank(%x: tensor<2xf16>) -> (tensor<2xf16> {ane.state_axis = 1 : i64}) { return %x : tensor<2xf16> }

// -----

// expected-error @below {{expects result 0 to become argument 0, whose state it is, but got the types 'tensor<3xf16>' and 'tensor<2xf16>'}}
func.func @state_of_another_type(%x: tensor<2xf16> {ane.state = "s"}, %y: tensor<3xf16>) -> (tensor<3xf16> {ane.state = "s"}) { return %y : tensor<3xf16> }

// -----

// expected-error @below {{expects result 0 to become argument 0}}
func.func @rows_of_another_state(%x: tensor<8x2xf16> {ane.state = "s"}, %y: tensor<1x3xf16>) -> (tensor<1x3xf16> {ane.state = "s", ane.state_axis = 0 : i64}) {
  return %y : tensor<1x3xf16>
}
