//===- Generations.td - H13 (M1) to H18 ------------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// Limits: engine.md §4.1. Rates: §5.1, §5.2, §5.5; where a generation has no measurement the nearest older one
// is used and the source says so.
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

/// Rates of one chip family. Fitted to every second point of test/Analysis/published.toml where several were
/// published; the source names the measurements that carry the value.
class ANE_Rates<string t0, string t0Src, string conv, string convSrc, string matmul, string weights, string wSrc,
    string kernel, string kSrc, string act, string aSrc> {
  list<ANE_CostParameter> costs = [
    ANE_CostParameter<"dispatch_us", t0, "us", t0Src>,                 // floor of one evaluation
    ANE_CostParameter<"conv_tflops", conv, "TFLOPS", convSrc>,         // convolution at many positions
    ANE_CostParameter<"matmul_tflops", matmul, "TFLOPS", convSrc>,
    ANE_CostParameter<"weight_gbs", weights, "GB/s", wSrc>,            // weights of an op beyond the working set (S20)
    ANE_CostParameter<"kernel_gbs", kernel, "GB/s", kSrc>,             // smaller weights
    ANE_CostParameter<"activation_gbs", act, "GB/s", aSrc>,            // surfaces and transposes
    ANE_CostParameter<"vector_geps", "121.5", "Gelem/s", "MS; as H18 elsewhere">, // element-wise outside of convolutions
    ANE_CostParameter<"narrow_efficiency", "0.55", "", "MX §5.6: 512 channels at 64 positions">, // of conv_tflops up to 64 positions
    ANE_CostParameter<"middle_efficiency", "0.92", "", "MX4 §5.3: 512 channels at 1024 positions">, // at 1024; 1 from 4096 on
    ANE_CostParameter<"w8a8_speedup", "1.95", "", "MX4, CC §5.4; 8 or more quantised convolutions">,
    ANE_CostParameter<"w8a8_shallow_speedup", "1.4", "", "MX4 §5.3; 4 to 7 of them">
  ];
}

/// The CPU beside the engine; coarse, for placement only (engine.md §5.10). Rates of one cluster's matrix unit in fp32,
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

let dialect = "verbose" in {
def ANE_H13 : ANE_Target<"h13", "M1 family", ["m1"], 2> {
  let numerics = ANE_RoundedProducts;
  let limits = ANE_Common<16384, "BR", 13, 29, 7, 15, 29, 16384, "BR", 2097152, "BR">.limits;
  let costs = !listconcat(ANE_Rates<"190", "BR 0.19-0.23 ms", "12", "BR", "4.8", "51", "BR", "80", "BR, scaled", "24", "BR">.costs, ANE_HostM1.costs);
}
def ANE_H14 : ANE_Target<"h14", "M2 family", ["m2"], 3> {
  let numerics = ANE_RoundedProducts;
  let limits = ANE_Common<16384, "BR", 15, 31, 8, 16, 31, 16384, "BR", 2097152, "BR">.limits;
  let costs = !listconcat(ANE_Rates<"210", "as H13", "12", "as H13; product AF", "3.4", "51", "as H13", "80", "as H13", "24", "as H13">.costs, ANE_HostM2.costs);
}
def ANE_H15 : ANE_Target<"h15", "M3 family", ["m3", "m3pro", "m3max", "m3ultra"], 4> {
  let numerics = ANE_FixedZeroOnOverflow;
  let limits = ANE_Common<16384, "BR, D4", 15, 31, 8, 16, 31, 16384, "D4", 2097152, "BR">.limits;
  let costs = !listconcat(ANE_Rates<"210", "MX42 0.2, FG 0.32 ms with host copies", "17.5", "MX report; product H3", "3.8", "58", "D4", "200", "MX42", "40", "as H16">.costs, ANE_HostM3.costs);
}
}
def ANE_H16 : ANE_Target<"h16", "M4 family", ["m4"], 5> {
  let numerics = ANE_FixedPoint;
  let limits = ANE_Common<65536, "MS, BR", 15, 31, 8, 16, 31, 32768, "MS", 2097152, "BR, MX4">.limits;
  let costs = !listconcat(ANE_Rates<"95", "MX 0.095 ms", "18.8", "MX; product AF, MX2", "5.6", "64", "SP lm_head", "150", "MX stacks §5.6", "40", "MS">.costs, ANE_HostM4.costs);
}
def ANE_H16Max : ANE_Target<"h16max", "M4 Max: h16 with more bandwidth", ["m4max", "m4pro"], 5> {
  let numerics = ANE_FixedPoint;
  let limits = ANE_H16.limits;
  let costs = !listconcat(ANE_Rates<"180", "DE 0.175-0.205 ms", "18.8", "as H16; product AF", "8.9", "110", "SP, DE §5.6", "240", "DE stacks §5.6", "80", "inference: twice H16">.costs, ANE_HostM4Max.costs);
}
def ANE_H17 : ANE_Target<"h17", "M5 family", ["m5", "m5pro", "m5max"], 6> {
  let numerics = ANE_KeptProducts;
  let limits = ANE_Common<65536, "BR", 15, 31, 8, 16, 31, 65536, "BR", 4718592, "BR, measured on M5">.limits;
  let costs = !listconcat(ANE_Rates<"92", "M5X 0.0916 ms", "19.2", "CC, M5X; product AF", "9.4", "145", "M5X", "160", "M5X", "70", "M5X">.costs, ANE_HostM5.costs);
}
def ANE_H18 : ANE_Target<"h18", "M6 of MS", ["m6"], 7> {
  let numerics = ANE_FixedPoint;
  let limits = ANE_Common<65536, "BR", 15, 31, 8, 16, 31, 65536, "BR", 4718592, "as H17">.limits;
  let costs = !listconcat(ANE_Rates<"130", "MS", "20.6", "MS; product as H17", "9.4", "150", "MS", "160", "as H17", "40", "MS">.costs, ANE_HostM5.costs);
}
