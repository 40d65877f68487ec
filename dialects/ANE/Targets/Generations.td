//===- Generations.td - H13 (M1) to H18 ------------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// Limits: engine/legality.md §4.1. Rates: engine/cost.md §5.1, §5.2, §5.5; where a generation has no measurement the
// nearest older one is used and the source says so.
//
//===----------------------------------------------------------------------===//

class ANE_Common<int s1, string s1src, int kw, int kh, int smallW, int smallH, int pool, int matmulK, string kSrc, int work, string workSrc> {
  list<ANE_Limit> limits = [
    ANE_Limit<"S1", s1, "D", s1src, "width or height of any tensor">,
    ANE_Limit<"S2", 65536, "D", "BR, AF", "channels">,
    ANE_Limit<"S3", 65536, "D", "BR, MS, IM", "batch">,
    ANE_Limit<"S4", s1, "D", "BR", "depth of a rank-5 tensor">,
    ANE_Limit<"S5", 5, "A", "AP, BR", "rank">,
    ANE_Limit<"S6", kw, "D", "BR, MS", "convolution kernel width">,
    ANE_Limit<"S7", kh, "D", "BR, MS", "convolution kernel height">,
    ANE_Limit<"S9W", smallW, "D", "BR, MS", "kernel width when strided, dilated or transposed">,
    ANE_Limit<"S9H", smallH, "D", "BR, MS", "kernel height when strided, dilated or transposed">,
    ANE_Limit<"S10", 8, "B", "MS, measured on h16g", "max_pool window">,
    ANE_Limit<"S11", pool, "D", "BR, MS", "avg_pool window">,
    ANE_Limit<"S12", matmulK, "B", kSrc, "matmul K">,
    ANE_Limit<"S20", work, "B", workSrc, "bytes of one operand that stay on chip">,
    ANE_Limit<"S23A", 1570, "D", "inference: 33 knots with the error of MS, 6e-4, span half a period", "|x| of sin and cos, thousandths">,
    ANE_Limit<"S18", 383, "B", "MS; measured on h16g, 386 on H18", "ops in one program's chain">,
    ANE_Limit<"S13", 16384, "B", "AF, MX", "convolution input channels">,
    ANE_Limit<"S14", 32000, "B", "MX, M5X, FG", "convolution output channels">
  ];
}

// The clock (engine/cost.md §5.9): a floor that belongs to the door, and for each op the rates below. What carries a
// value is its source; test/Analysis/published.py says how far published times are from what all of them make together.

/// Floor of one evaluation through each door (engine.md §0.2), and the door that is meant unless the user says otherwise.
class ANE_Floors<string memory, string memorySrc, string e5rt, string e5rtSrc, string coreml, string coremlSrc, string door = "0"> {
  list<ANE_CostParameter> costs = [
    ANE_CostParameter<"door", door, "0 in memory, 1 E5RT, 2 Core ML", "those that programs of others can open">,
    ANE_CostParameter<"memory_dispatch_us", memory, "us", memorySrc>,
    ANE_CostParameter<"e5rt_dispatch_us", e5rt, "us", e5rtSrc>,
    ANE_CostParameter<"coreml_dispatch_us", coreml, "us", coremlSrc>
  ];
}

/// Multiply-accumulates: of convolutions and of products of two run-time values.
class ANE_Arithmetic<string conv, string convSrc, string product, string productSrc, string winograd, string winogradSrc> {
  list<ANE_CostParameter> costs = [
    ANE_CostParameter<"conv_tflops", conv, "TFLOPS", convSrc>,       // at many positions
    ANE_CostParameter<"matmul_tflops", product, "TFLOPS", productSrc>,
    ANE_CostParameter<"winograd_gain", winograd, "", winogradSrc>,   // of 3x3 convolutions at stride 1
    ANE_CostParameter<"narrow_efficiency", "0.85", "", "MX §5.6, M5X §5.7: 64 positions">, // of both rates up to 64 positions
    ANE_CostParameter<"middle_efficiency", "0.95", "", "MX4 §5.3: 512 channels at 1024 positions">, // at 1024; 1 from 4096 on
    ANE_CostParameter<"w8a8_speedup", "1.95", "", "MX4, CC §5.4; 8 or more quantised convolutions">,
    ANE_CostParameter<"w8a8_shallow_speedup", "1.4", "", "MX4 §5.3; 4 to 7 of them">
  ];
}

/// Bytes: weights from memory, results that change their layout or exceed what stays on chip, and inputs and outputs.
class ANE_Memory<string weights, string weightsSrc, string overlap, string overlapSrc, string moved, string movedSrc, string packed, string packedSrc> {
  list<ANE_CostParameter> costs = [
    ANE_CostParameter<"weight_gbs", weights, "GB/s", weightsSrc>,
    ANE_CostParameter<"overlap", overlap, "", overlapSrc>,           // of an op's weights with its arithmetic, in memory: 0 they add, 1 the longer counts
    ANE_CostParameter<"activation_gbs", moved, "GB/s", movedSrc>,    // transposes and copies, read and written; surfaces in memory
    ANE_CostParameter<"packing_gbs", packed, "GB/s", packedSrc>,     // inputs and outputs through the other doors
    ANE_CostParameter<"on_chip_mb", "32", "MB", "MX2 §5.6: products of 24 and 96 MB">, // operands and results of one op
    ANE_CostParameter<"spilled_product", "0.7", "", "MX2 §5.6: 4.0 of 5.7 TFLOPS">,      // part of the rate that is left beyond it
    ANE_CostParameter<"spilled_scores", "0.29", "", "inference: one report of 3 to 4 times the time of attention beyond it">
  ];
}

/// Elements per second of what has no multiply-accumulates, where no convolution absorbs it.
class ANE_Vector<string elementwise, string elementwiseSrc, string softmax, string softmaxSrc, string norm, string normSrc,
    string reduce, string reduceSrc> {
  list<ANE_CostParameter> costs = [
    ANE_CostParameter<"elementwise_geps", elementwise, "Gelem/s", elementwiseSrc>,
    ANE_CostParameter<"softmax_geps", softmax, "Gelem/s", softmaxSrc>,
    ANE_CostParameter<"norm_geps", norm, "Gelem/s", normSrc>,
    ANE_CostParameter<"reduce_geps", reduce, "Gelem/s", reduceSrc>,          // over channels or one axis of the plane
    ANE_CostParameter<"pool_geps", elementwise, "Gelem/s", elementwiseSrc>,  // pools, sums over the plane
    ANE_CostParameter<"depthwise_geps", elementwise, "Gelem/s", elementwiseSrc> // convolutions of one or two channels per group
  ];
}

/// How far predictions are from published times: two thirds of them are nearer. Checked by test/Analysis/published.py.
class ANE_ErrorBars<string memory, string memorySrc, string e5rt, string e5rtSrc, string coreml, string coremlSrc> {
  list<ANE_CostParameter> costs = [
    ANE_CostParameter<"memory_error_percent", memory, "%", memorySrc>,
    ANE_CostParameter<"e5rt_error_percent", e5rt, "%", e5rtSrc>,
    ANE_CostParameter<"coreml_error_percent", coreml, "%", coremlSrc>
  ];
}

/// The CPU beside the engine; coarse, for placement only (engine/cost.md §5.10). Rates of one cluster's matrix unit in fp32,
/// which fp16 does not speed up, and of memory as the vendor states it.
class ANE_Host<string tflops, string tflopsSrc, string gbs, string gbsSrc> {
  list<ANE_CostParameter> costs = [
    ANE_CostParameter<"host_tflops", tflops, "TFLOPS", tflopsSrc>,
    ANE_CostParameter<"host_gbs", gbs, "GB/s", gbsSrc>,
    ANE_CostParameter<"host_op_us", "1", "us", "inference: one call of a kernel of the host">
  ];
}
def ANE_HostM1 : ANE_Host<"1.475", "inference: published rate of the matrix unit of one core, M1 Max (zhen8838)", "68", "vendor">;
def ANE_HostM2 : ANE_Host<"1.475", "as M1", "100", "vendor">;
def ANE_HostM3 : ANE_Host<"1.475", "as M1", "100", "vendor">;
def ANE_HostM4 : ANE_Host<"1.755", "inference: published rate of 512^3 on one thread, M4 (authors of libxsmm)", "120", "vendor">;
def ANE_HostM4Max : ANE_Host<"1.755", "as M4", "273", "vendor, M4 Pro">;
def ANE_HostM5 : ANE_Host<"1.755", "as M4", "153", "vendor">;

def ANE_RoundedProducts : ANE_NumericContract<"fp32", 1, 0, 1, "B", "BR">;
// The fixed point was refitted to two programs captured from an engine (test/E2E/test_golden.py), by the notes an M3 Max: all
// 49152 sums of 2048 products come out bit for bit, with halves away from zero also in the cast of the input. Products
// rounded to fp16 or flushed as denormals (H3), truncated ones and other exponents to drop at do not explain them. That a
// sum out of range is 0 on M3 (L60) is H3's.
def ANE_FixedZeroOnOverflow : ANE_NumericContract<"q15.16-zero", 0, 1, 1, "B", "H3, captured programs">;
def ANE_FixedPoint : ANE_NumericContract<"q15.16", 0, 1, 0, "B", "MS; rounding as captured on h15">;
def ANE_KeptProducts : ANE_NumericContract<"fp32", 0, 1, 1, "B", "BR, CC">;

/// What a generation's chips share with its first one, and what they have of their own.
class ANE_Clock<ANE_Floors floors, ANE_Arithmetic arithmetic, ANE_Memory memory, ANE_Vector vector, ANE_ErrorBars errors, ANE_Host host> {
  list<ANE_CostParameter> costs = !listconcat(floors.costs, arithmetic.costs, memory.costs, vector.costs, errors.costs, host.costs);
}

// Where a door was measured on some chips only, the others have floors in between.
def ANE_FloorsM1 : ANE_Floors<"190", "BR 0.19-0.23 ms", "160", "AF 0.164 ms", "500", "inference: A14 0.53, M5 Pro 0.3">;
def ANE_FloorsM2 : ANE_Floors<"110", "AF 0.110 ms", "110", "AF 0.110 ms", "450", "inference: A14 0.53, M5 Pro 0.3">;
def ANE_FloorsM3 : ANE_Floors<"200", "MX42 0.2, FG 0.32 ms with host copies", "200", "as in memory", "450", "inference: A14 0.53, M5 Pro 0.3">;
def ANE_FloorsM4 : ANE_Floors<"90", "MX 0.095, MX4 0.09 ms", "95", "as in memory", "400", "inference: A14 0.53, M5 Pro 0.3">;
def ANE_FloorsM4Max : ANE_Floors<"150", "DE 0.175-0.205 ms, stacks of §5.6", "150", "as in memory", "400", "as M4">;
def ANE_FloorsM5 : ANE_Floors<"92", "M5X 0.0916 ms", "92", "AF 0.0917 ms", "300", "CC 0.29 ms">;
def ANE_FloorsM6 : ANE_Floors<"130", "MS", "130", "MS", "300", "as M5">;
def ANE_FloorsPhone : ANE_Floors<"530", "as through Core ML", "530", "as through Core ML", "530", "PM", "2">;

def ANE_ArithmeticA14 : ANE_Arithmetic<"11", "vendor: 11 TOPS; PM", "6.7", "as M1", "1", "as M1; weights of 3x3 count little in PM">;
def ANE_ArithmeticM1 : ANE_Arithmetic<"12", "BR", "6.7", "BR 4.8 TFLOPS at 96 MB", "1.2", "AF: 16 convolutions of 256 channels">;
def ANE_ArithmeticM2 : ANE_Arithmetic<"15.8", "vendor: 15.8 TOPS; AF", "3.4", "AF", "1.5", "AF: 16 convolutions of 256 channels">;
def ANE_ArithmeticM3 : ANE_Arithmetic<"17.5", "MX report", "3.8", "H3", "1.5", "as M2">;
def ANE_ArithmeticM4 : ANE_Arithmetic<"19", "MX, CC: true peak 19", "5.8", "AF, MX2", "1.5", "as M2">;
def ANE_ArithmeticM4Max : ANE_Arithmetic<"19", "as M4", "9", "AF", "1.5", "as M2">;
def ANE_ArithmeticM5 : ANE_Arithmetic<"19.2", "CC, M5X", "9.6", "AF", "2", "AF: 16 convolutions of 256 channels">;
def ANE_ArithmeticM6 : ANE_Arithmetic<"20.6", "MS", "9.6", "as M5", "2", "as M5">;

// Weights: one vocabulary product streamed by one token, through Core ML (SP). Packing: one relu of AF and BR.
class ANE_MemoryM1<string weights, string src> : ANE_Memory<weights, src, "0", "PM, AF: they add", "24", "BR", "10", "BR: 10 GB/s for a single relu">;
class ANE_MemoryM3<string weights, string src> : ANE_Memory<weights, src, "0", "as M1", "40", "as M4", "20", "as M4">;
class ANE_MemoryM4<string weights, string src, string moved, string movedSrc> : ANE_Memory<weights, src, "0", "as M1", moved, movedSrc, "20", "as M5">;
class ANE_MemoryM5<string weights, string src> : ANE_Memory<weights, src, "1", "M5X §5.7: the longer of both", "70", "M5X", "23", "AF: one relu of 262144 elements">;

def ANE_VectorA14 : ANE_Vector<"60", "inference: MS, by peak rates", "1.26", "PM", "1", "as M1", "8", "PM">;
def ANE_VectorM1 : ANE_Vector<"60", "inference: MS, by peak rates", "3", "AF: attention of 197 tokens", "1", "AF: 197 by 768", "8", "as A14">;
def ANE_VectorM3 : ANE_Vector<"80", "inference: MS, by peak rates", "5", "inference: between M1 and M5", "1.2", "inference: between M1 and M5", "8", "as A14">;
def ANE_VectorM4 : ANE_Vector<"100", "inference: MS, by peak rates", "9", "AF", "1.3", "inference: between M1 and M5", "10", "as M5">;
def ANE_VectorM5 : ANE_Vector<"120", "MS", "14", "AF: one of 262144 elements", "1.6", "AF: 197 by 768, 256 by 1024", "10", "inference: by peak rates from A14">;

def ANE_ErrorM1 : ANE_ErrorBars<"15", "published.py", "12", "published.py", "20", "as A14, and a floor by inference">;
def ANE_ErrorA14 : ANE_ErrorBars<"15", "as Core ML", "15", "as Core ML", "15", "published.py">;
def ANE_ErrorM3 : ANE_ErrorBars<"30", "published.py", "30", "as in memory", "30", "inference">;
def ANE_ErrorM4 : ANE_ErrorBars<"25", "published.py", "20", "published.py", "25", "inference">;
def ANE_ErrorM4Max : ANE_ErrorBars<"40", "published.py", "40", "as in memory", "30", "inference">;
def ANE_ErrorM5 : ANE_ErrorBars<"15", "published.py", "20", "published.py", "25", "inference">;
def ANE_ErrorPhone : ANE_ErrorBars<"30", "inference", "30", "inference", "30", "inference: A14's rates by peak">;

let dialect = "verbose" in {
def ANE_H13 : ANE_Target<"h13", "M1 family", ["m1", "h13g"], 2> {
  let numerics = ANE_RoundedProducts;
  let limits = ANE_Common<16384, "BR", 13, 29, 7, 15, 29, 16384, "BR", 2097152, "BR">.limits;
  let costs = ANE_Clock<ANE_FloorsM1, ANE_ArithmeticM1, ANE_MemoryM1<"61", "SP">, ANE_VectorM1, ANE_ErrorM1, ANE_HostM1>.costs;
}
def ANE_H13Max : ANE_Target<"h13max", "M1 Pro, Max and Ultra: h13", ["m1pro", "m1max", "m1ultra", "h13c", "h13s", "h13d"], 2> {
  let numerics = ANE_H13.numerics;
  let limits = ANE_H13.limits;
  let costs = ANE_Clock<ANE_FloorsM1, ANE_ArithmeticM1, ANE_MemoryM1<"55", "SP">, ANE_VectorM1, ANE_ErrorM1, ANE_HostM1>.costs;
}
def ANE_H14 : ANE_Target<"h14", "M2 family", ["m2", "m2pro", "m2max", "m2ultra", "h14g", "h14c", "h14s", "h14d"], 3> {
  let numerics = ANE_RoundedProducts;
  let limits = ANE_Common<16384, "BR", 15, 31, 8, 16, 31, 16384, "BR", 2097152, "BR">.limits;
  let costs = ANE_Clock<ANE_FloorsM2, ANE_ArithmeticM2, ANE_MemoryM1<"61", "SP">, ANE_VectorM1, ANE_ErrorM1, ANE_HostM2>.costs;
}
def ANE_H15 : ANE_Target<"h15", "M3 family", ["m3", "m3pro", "h15g", "h15s"], 4> {
  let numerics = ANE_FixedZeroOnOverflow;
  let limits = ANE_Common<16384, "BR, D4", 15, 31, 8, 16, 31, 16384, "D4", 2097152, "BR">.limits;
  let costs = ANE_Clock<ANE_FloorsM3, ANE_ArithmeticM3, ANE_MemoryM3<"63", "SP">, ANE_VectorM3, ANE_ErrorM3, ANE_HostM3>.costs;
}
def ANE_H15Max : ANE_Target<"h15max", "M3 Max and Ultra: h15 with more bandwidth", ["m3max", "m3ultra", "h15c", "h15d"], 4> {
  let numerics = ANE_H15.numerics;
  let limits = ANE_H15.limits;
  let costs = ANE_Clock<ANE_FloorsM3, ANE_ArithmeticM3, ANE_MemoryM3<"120", "SP">, ANE_VectorM3, ANE_ErrorM3, ANE_HostM3>.costs;
}
}
def ANE_H16 : ANE_Target<"h16", "M4 family", ["m4", "h16g"], 5> {
  let numerics = ANE_FixedPoint;
  let limits = ANE_Common<65536, "MS, BR", 15, 31, 8, 16, 31, 32768, "MS", 2097152, "BR, MX4">.limits;
  let costs = ANE_Clock<ANE_FloorsM4, ANE_ArithmeticM4, ANE_MemoryM4<"64", "SP lm_head", "40", "MS">, ANE_VectorM4, ANE_ErrorM4, ANE_HostM4>.costs;
}
def ANE_H16Max : ANE_Target<"h16max", "M4 Pro and Max: h16 with more bandwidth", ["m4max", "m4pro", "h16c", "h16s", "h16d"], 5> {
  let numerics = ANE_FixedPoint;
  let limits = ANE_H16.limits;
  let costs = ANE_Clock<ANE_FloorsM4Max, ANE_ArithmeticM4Max, ANE_MemoryM4<"122", "SP: M4 Pro 126, M4 Max 119", "80", "inference: twice H16">, ANE_VectorM4, ANE_ErrorM4Max, ANE_HostM4Max>.costs;
}
def ANE_H17 : ANE_Target<"h17", "M5 family", ["m5", "h17g"], 6> {
  let numerics = ANE_KeptProducts;
  let limits = ANE_Common<65536, "BR", 15, 31, 8, 16, 31, 65536, "BR", 4718592, "BR, measured on M5">.limits;
  let costs = ANE_Clock<ANE_FloorsM5, ANE_ArithmeticM5, ANE_MemoryM5<"70", "SP">, ANE_VectorM5, ANE_ErrorM5, ANE_HostM5>.costs;
}
def ANE_H17Max : ANE_Target<"h17max", "M5 Pro and Max: h17 with more bandwidth", ["m5pro", "m5max", "h17s", "h17c", "h17d"], 6> {
  let numerics = ANE_KeptProducts;
  let limits = ANE_H17.limits;
  let costs = ANE_Clock<ANE_FloorsM5, ANE_ArithmeticM5, ANE_MemoryM5<"150", "M5X">, ANE_VectorM5, ANE_ErrorM5, ANE_HostM5>.costs;
}
def ANE_H18 : ANE_Target<"h18", "M6 of MS", ["m6", "h18g"], 7> {
  let numerics = ANE_FixedPoint;
  let limits = ANE_Common<65536, "BR", 15, 31, 8, 16, 31, 65536, "BR", 4718592, "as H17">.limits;
  let costs = ANE_Clock<ANE_FloorsM6, ANE_ArithmeticM6, ANE_MemoryM5<"150", "MS">, ANE_VectorM5, ANE_ErrorM5, ANE_HostM5>.costs;
}

// Phones: Core ML's door is the only one. A generation's phone came out before its Mac; that A17 to A19 are H16 to H18 is inference.
let dialect = "verbose" in {
def ANE_A14 : ANE_Target<"a14", "A14 (iPhone 12): h13 behind Core ML", ["iphone12"], 2> {
  let numerics = ANE_H13.numerics;
  let limits = ANE_H13.limits;
  let costs = ANE_Clock<ANE_FloorsPhone, ANE_ArithmeticA14, ANE_MemoryM1<"50", "PM">, ANE_VectorA14, ANE_ErrorA14, ANE_HostM1>.costs;
}
def ANE_A15 : ANE_Target<"a15", "A15 (iPhone 13): h14 behind Core ML", ["iphone13"], 3> {
  let numerics = ANE_H14.numerics;
  let limits = ANE_H14.limits;
  let costs = ANE_Clock<ANE_FloorsPhone, ANE_ArithmeticM2, ANE_MemoryM1<"50", "as A14">, ANE_VectorA14, ANE_ErrorPhone, ANE_HostM1>.costs;
}
def ANE_A16 : ANE_Target<"a16", "A16 (iPhone 14 Pro): h15 behind Core ML", ["iphone14pro"], 4> {
  let numerics = ANE_H15.numerics;
  let limits = ANE_H15.limits;
  let costs = ANE_Clock<ANE_FloorsPhone, ANE_ArithmeticM3, ANE_MemoryM3<"55", "inference: A14, by memory">, ANE_VectorM3, ANE_ErrorPhone, ANE_HostM2>.costs;
}
}
def ANE_A17 : ANE_Target<"a17", "A17 Pro (iPhone 15 Pro): h16 behind Core ML", ["a17pro"], 5> {
  let numerics = ANE_H16.numerics;
  let limits = ANE_H16.limits;
  let costs = ANE_Clock<ANE_FloorsPhone, ANE_ArithmeticM4, ANE_MemoryM4<"55", "as A16", "40", "as M4">, ANE_VectorM4, ANE_ErrorPhone, ANE_HostM3>.costs;
}
def ANE_A18 : ANE_Target<"a18", "A18 (iPhone 16): h17 behind Core ML", ["a18pro"], 6> {
  let numerics = ANE_H17.numerics;
  let limits = ANE_H17.limits;
  let costs = ANE_Clock<ANE_FloorsPhone, ANE_ArithmeticM5, ANE_MemoryM5<"60", "inference: M5, by memory">, ANE_VectorM5, ANE_ErrorPhone, ANE_HostM4>.costs;
}
def ANE_A19 : ANE_Target<"a19", "A19 (iPhone 17): h18 behind Core ML", ["a19pro"], 7> {
  let numerics = ANE_H18.numerics;
  let limits = ANE_H18.limits;
  let costs = ANE_Clock<ANE_FloorsPhone, ANE_ArithmeticM6, ANE_MemoryM5<"65", "inference: M5, by memory">, ANE_VectorM5, ANE_ErrorPhone, ANE_HostM5>.costs;
}
