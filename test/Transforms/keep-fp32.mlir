// RUN: ane-opt %s --ane-keep-fp32 | FileCheck %s

// What decides an index, back to where it is an integer or the network begins.
// CHECK-LABEL: func @index
// CHECK: ane.relu %arg0 :
// CHECK: ane.cast %arg1 {{.*}}ane.fp32 = "integers beyond 2048
// CHECK: ane.mul {{.*}}ane.fp32 = "its result decides an integer"
// CHECK: ane.floor {{.*}}ane.fp32
// CHECK: ane.cast {{.*}}ane.fp32 = "its result is an integer"
func.func @index(%x: tensor<4xf16>, %i: tensor<4xi32>) -> (tensor<4xf16>, tensor<4xi32>) {
  %r = ane.relu %x : (tensor<4xf16>) -> tensor<4xf16>
  %s = ane.constant dense<0.1> : tensor<f16>
  %f = ane.cast %i {dtype = f16} : (tensor<4xi32>) -> tensor<4xf16>
  %p = ane.mul %f, %s : (tensor<4xf16>, tensor<f16>) -> tensor<4xf16>
  %q = ane.floor %p : (tensor<4xf16>) -> tensor<4xf16>
  %k = ane.cast %q {dtype = i32} : (tensor<4xf16>) -> tensor<4xi32>
  return %r, %k : tensor<4xf16>, tensor<4xi32>
}

// A sine of positions is computed in fp32, that of a feature is not.
// CHECK-LABEL: func @sines
// CHECK: ane.cast %arg0 {{.*}}ane.fp32
// CHECK: ane.sin {{.*}}ane.fp32 = "its angle is a position"
// CHECK: ane.conv
// CHECK: ane.sin %{{[0-9]+}} :
func.func @sines(%i: tensor<8xi32>, %x: tensor<1x32x1x8xf16>) -> (tensor<8xf16>, tensor<1x32x1x8xf16>) {
  %f = ane.cast %i {dtype = f16} : (tensor<8xi32>) -> tensor<8xf16>
  %a = ane.sin %f : (tensor<8xf16>) -> tensor<8xf16>
  %w = ane.constant dense<0.1> : tensor<32x32x1x1xf16>
  %c = ane.conv %x, %w {strides = array<i64: 1, 1>, pad_type = "valid", pad = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1} : (tensor<1x32x1x8xf16>, tensor<32x32x1x1xf16>) -> tensor<1x32x1x8xf16>
  %s = ane.sin %c : (tensor<1x32x1x8xf16>) -> tensor<1x32x1x8xf16>
  return %a, %s : tensor<8xf16>, tensor<1x32x1x8xf16>
}

// The quiet bins of a spectrum: everything back to the audio. What the engine reads too is copied.
// CHECK-LABEL: func @logmel
// CHECK: ane.conv
// CHECK: ane.conv {{.*}}ane.fp32
// CHECK: ane.mul {{.*}}ane.fp32
// CHECK: ane.add {{.*}}ane.fp32
// CHECK: ane.log {{.*}}ane.fp32
func.func @logmel(%x: tensor<1x1x1x64xf16>) -> (tensor<1x2x1x57xf16>, tensor<1x2x1x57xf16>) {
  %w = ane.constant dense<0.1> : tensor<2x1x1x8xf16>
  %c = ane.conv %x, %w {strides = array<i64: 1, 1>, pad_type = "valid", pad = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1} : (tensor<1x1x1x64xf16>, tensor<2x1x1x8xf16>) -> tensor<1x2x1x57xf16>
  %p = ane.mul %c, %c : (tensor<1x2x1x57xf16>, tensor<1x2x1x57xf16>) -> tensor<1x2x1x57xf16>
  %e32 = ane.constant dense<1.0e-10> : tensor<f32>
  %e = ane.cast %e32 {dtype = f16} : (tensor<f32>) -> tensor<f16>
  %s = ane.add %p, %e : (tensor<1x2x1x57xf16>, tensor<f16>) -> tensor<1x2x1x57xf16>
  %l = ane.log %s : (tensor<1x2x1x57xf16>) -> tensor<1x2x1x57xf16>
  return %c, %l : tensor<1x2x1x57xf16>, tensor<1x2x1x57xf16>
}

// Filters behind filters, however many (a constant-Q transform), are a front end.
// CHECK-LABEL: func @octaves
// CHECK-COUNT-8: ane.conv {{.*}}ane.fp32
func.func @octaves(%x: tensor<1x32x1x8xf16>) -> tensor<1x32x1x8xf16> {
  %w = ane.constant dense<0.1> : tensor<32x32x1x1xf16>
  %c0 = ane.conv %x, %w {strides = array<i64: 1, 1>, pad_type = "same", pad = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1} : (tensor<1x32x1x8xf16>, tensor<32x32x1x1xf16>) -> tensor<1x32x1x8xf16> loc("c0")
  %c1 = ane.conv %c0, %w {strides = array<i64: 1, 1>, pad_type = "same", pad = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1} : (tensor<1x32x1x8xf16>, tensor<32x32x1x1xf16>) -> tensor<1x32x1x8xf16> loc("c1")
  %c2 = ane.conv %c1, %w {strides = array<i64: 1, 1>, pad_type = "same", pad = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1} : (tensor<1x32x1x8xf16>, tensor<32x32x1x1xf16>) -> tensor<1x32x1x8xf16> loc("c2")
  %c3 = ane.conv %c2, %w {strides = array<i64: 1, 1>, pad_type = "same", pad = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1} : (tensor<1x32x1x8xf16>, tensor<32x32x1x1xf16>) -> tensor<1x32x1x8xf16> loc("c3")
  %c4 = ane.conv %c3, %w {strides = array<i64: 1, 1>, pad_type = "same", pad = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1} : (tensor<1x32x1x8xf16>, tensor<32x32x1x1xf16>) -> tensor<1x32x1x8xf16> loc("c4")
  %c5 = ane.conv %c4, %w {strides = array<i64: 1, 1>, pad_type = "same", pad = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1} : (tensor<1x32x1x8xf16>, tensor<32x32x1x1xf16>) -> tensor<1x32x1x8xf16> loc("c5")
  %c6 = ane.conv %c5, %w {strides = array<i64: 1, 1>, pad_type = "same", pad = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1} : (tensor<1x32x1x8xf16>, tensor<32x32x1x1xf16>) -> tensor<1x32x1x8xf16> loc("c6")
  %c7 = ane.conv %c6, %w {strides = array<i64: 1, 1>, pad_type = "same", pad = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1} : (tensor<1x32x1x8xf16>, tensor<32x32x1x1xf16>) -> tensor<1x32x1x8xf16> loc("c7")
  %a = ane.abs %c7 : (tensor<1x32x1x8xf16>) -> tensor<1x32x1x8xf16>
  %e32 = ane.constant dense<1.0e-10> : tensor<f32>
  %e = ane.cast %e32 {dtype = f16} : (tensor<f32>) -> tensor<f16>
  %s = ane.add %a, %e : (tensor<1x32x1x8xf16>, tensor<f16>) -> tensor<1x32x1x8xf16>
  %l = ane.log %s : (tensor<1x32x1x8xf16>) -> tensor<1x32x1x8xf16>
  return %l : tensor<1x32x1x8xf16>
}

// With an activation between them they are a network.
// CHECK-LABEL: func @network
// CHECK-NOT: ane.conv {{.*}}ane.fp32
// CHECK: ane.log {{.*}}ane.fp32
func.func @network(%x: tensor<1x32x1x8xf16>) -> tensor<1x32x1x8xf16> {
  %w = ane.constant dense<0.1> : tensor<32x32x1x1xf16>
  %c0 = ane.conv %x, %w {strides = array<i64: 1, 1>, pad_type = "same", pad = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1} : (tensor<1x32x1x8xf16>, tensor<32x32x1x1xf16>) -> tensor<1x32x1x8xf16> loc("c0")
  %c1 = ane.conv %c0, %w {strides = array<i64: 1, 1>, pad_type = "same", pad = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1} : (tensor<1x32x1x8xf16>, tensor<32x32x1x1xf16>) -> tensor<1x32x1x8xf16> loc("c1")
  %c2 = ane.conv %c1, %w {strides = array<i64: 1, 1>, pad_type = "same", pad = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1} : (tensor<1x32x1x8xf16>, tensor<32x32x1x1xf16>) -> tensor<1x32x1x8xf16> loc("c2")
  %c3 = ane.conv %c2, %w {strides = array<i64: 1, 1>, pad_type = "same", pad = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1} : (tensor<1x32x1x8xf16>, tensor<32x32x1x1xf16>) -> tensor<1x32x1x8xf16> loc("c3")
  %r = ane.relu %c3 : (tensor<1x32x1x8xf16>) -> tensor<1x32x1x8xf16>
  %c4 = ane.conv %r, %w {strides = array<i64: 1, 1>, pad_type = "same", pad = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1} : (tensor<1x32x1x8xf16>, tensor<32x32x1x1xf16>) -> tensor<1x32x1x8xf16> loc("c4")
  %c5 = ane.conv %c4, %w {strides = array<i64: 1, 1>, pad_type = "same", pad = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1} : (tensor<1x32x1x8xf16>, tensor<32x32x1x1xf16>) -> tensor<1x32x1x8xf16> loc("c5")
  %c6 = ane.conv %c5, %w {strides = array<i64: 1, 1>, pad_type = "same", pad = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1} : (tensor<1x32x1x8xf16>, tensor<32x32x1x1xf16>) -> tensor<1x32x1x8xf16> loc("c6")
  %c7 = ane.conv %c6, %w {strides = array<i64: 1, 1>, pad_type = "same", pad = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>, groups = 1} : (tensor<1x32x1x8xf16>, tensor<32x32x1x1xf16>) -> tensor<1x32x1x8xf16> loc("c7")
  %a = ane.abs %c7 : (tensor<1x32x1x8xf16>) -> tensor<1x32x1x8xf16>
  %e32 = ane.constant dense<1.0e-10> : tensor<f32>
  %e = ane.cast %e32 {dtype = f16} : (tensor<f32>) -> tensor<f16>
  %s = ane.add %a, %e : (tensor<1x32x1x8xf16>, tensor<f16>) -> tensor<1x32x1x8xf16>
  %l = ane.log %s : (tensor<1x32x1x8xf16>) -> tensor<1x32x1x8xf16>
  return %l : tensor<1x32x1x8xf16>
}

// A result that varies by 425 about 101325: the sum and its unit are in fp32, the layer is not. A unit of images is not touched.
// CHECK-LABEL: func @offset
// CHECK: ane.tanh %arg0 :
// CHECK: ane.mul {{.*}}ane.fp32 = "it is a part of a sum in fp32"
// CHECK: ane.add {{.*}}ane.fp32 = "what it adds leaves few steps
// CHECK: ane.mul {{.*}} : (tensor<4xf16>, tensor<f16>)
// CHECK-NOT: ane.fp32
// CHECK: return
func.func @offset(%x: tensor<4xf16>) -> (tensor<4xf16>, tensor<4xf16>) {
  %unit = ane.constant dense<425.0> : tensor<f16>
  %wide = ane.constant dense<101325.0> : tensor<f32>
  %mean = ane.cast %wide {dtype = f16} : (tensor<f32>) -> tensor<f16>
  %half = ane.constant dense<127.5> : tensor<f16>
  %t = ane.tanh %x : (tensor<4xf16>) -> tensor<4xf16>
  %m = ane.mul %t, %unit : (tensor<4xf16>, tensor<f16>) -> tensor<4xf16>
  %y = ane.add %m, %mean : (tensor<4xf16>, tensor<f16>) -> tensor<4xf16>
  %p = ane.mul %t, %half : (tensor<4xf16>, tensor<f16>) -> tensor<4xf16>
  %q = ane.add %p, %half : (tensor<4xf16>, tensor<f16>) -> tensor<4xf16>
  return %y, %q : tensor<4xf16>, tensor<4xf16>
}

// The bias of the last layer is split off where it is such an offset.
// CHECK-LABEL: func @bias
// CHECK: %[[P:.*]] = ane.linear %arg0, %{{.*}} : (tensor<8x4xf16>, tensor<1x4xf16>) -> tensor<8x1xf16>
// CHECK: ane.add %[[P]], {{.*}}ane.fp32
func.func @bias(%x: tensor<8x4xf16>) -> tensor<8x1xf16> {
  %w = ane.constant dense<[[10.0, -7.0, 3.0, 5.0]]> : tensor<1x4xf16>
  %b = ane.constant dense<30000.0> : tensor<1xf16>
  %y = ane.linear %x, %w, %b : (tensor<8x4xf16>, tensor<1x4xf16>, tensor<1xf16>) -> tensor<8x1xf16>
  return %y : tensor<8x1xf16>
}

// Steps of a series are in fp32; a difference of two inputs is not.
// CHECK-LABEL: func @steps
// CHECK-COUNT-2: ane.slice_by_size {{.*}}ane.fp32 = "it goes with an input as it is"
// CHECK: ane.sub {{.*}}ane.fp32 = "it tells parts of an input apart
// CHECK: ane.sub %arg0, %arg1 :
func.func @steps(%x: tensor<8xf16>, %z: tensor<8xf16>) -> (tensor<7xf16>, tensor<8xf16>) {
  %later = ane.slice_by_size %x {begin = array<i64: 1>, size = array<i64: 7>} : (tensor<8xf16>) -> tensor<7xf16>
  %sooner = ane.slice_by_size %x {begin = array<i64: 0>, size = array<i64: 7>} : (tensor<8xf16>) -> tensor<7xf16>
  %d = ane.sub %later, %sooner : (tensor<7xf16>, tensor<7xf16>) -> tensor<7xf16>
  %e = ane.sub %x, %z : (tensor<8xf16>, tensor<8xf16>) -> tensor<8xf16>
  return %d, %e : tensor<7xf16>, tensor<8xf16>
}
// A function that is only declared.
func.func private @elsewhere(tensor<4xf16>) -> tensor<4xf16>

// What is 0 or 1 is exact wherever it is: what it chooses from fp32 goes on in fp32.
// CHECK-LABEL: func @chosen
// CHECK: ane.cast %arg0 {{.*}}ane.fp32
// CHECK: ane.cast %arg1 {dtype = f16} :
// CHECK: ane.mul {{.*}}ane.fp32
func.func @chosen(%i: tensor<8xi32>, %c: tensor<8xi1>) -> tensor<8xf16> {
  %f = ane.cast %i {dtype = f16} : (tensor<8xi32>) -> tensor<8xf16>
  %m = ane.cast %c {dtype = f16} : (tensor<8xi1>) -> tensor<8xf16>
  %y = ane.mul %f, %m : (tensor<8xf16>, tensor<8xf16>) -> tensor<8xf16>
  return %y : tensor<8xf16>
}

// A factor that is zero in fp16, and what goes on from it.
// CHECK-LABEL: func @horner
// CHECK: ane.mul %arg0, {{.*}}ane.fp32 = "fp16 cannot hold its constants"
// CHECK: ane.add {{.*}}ane.fp32
// CHECK: ane.mul {{.*}}ane.fp32
func.func @horner(%x: tensor<8xf16>) -> tensor<8xf16> {
  %a = ane.constant dense<1.2e-13> : tensor<f32>
  %b = ane.constant dense<-3.1e-9> : tensor<f32>
  %ah = ane.cast %a {dtype = f16} : (tensor<f32>) -> tensor<f16>
  %bh = ane.cast %b {dtype = f16} : (tensor<f32>) -> tensor<f16>
  %0 = ane.mul %x, %ah : (tensor<8xf16>, tensor<f16>) -> tensor<8xf16>
  %1 = ane.add %0, %bh : (tensor<8xf16>, tensor<f16>) -> tensor<8xf16>
  %2 = ane.mul %1, %x : (tensor<8xf16>, tensor<8xf16>) -> tensor<8xf16>
  return %2 : tensor<8xf16>
}
