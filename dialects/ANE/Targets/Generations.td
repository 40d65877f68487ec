//===- Generations.td - H13 (M1) to H18 ------------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// Limits: ane-target.md §4.1. Rates: §5.1, §5.2, §5.5; where a generation has no measurement the nearest older one
// is used and the source says so.
//
//===----------------------------------------------------------------------===//

class ANE_Common<int s1, string s1src, int kw, int kh, int smallW, int smallH, int pool, int matmulK, string kSrc> {
  list<ANE_Limit> limits = [
    ANE_Limit<"S1", s1, "D", s1src>,            // width or height of any tensor
    ANE_Limit<"S2", 65536, "D", "BR, AF">,      // channels
    ANE_Limit<"S3", 65536, "D", "BR, MS, IM">,  // batch
    ANE_Limit<"S4", s1, "D", "BR">,             // depth of a rank-5 tensor
    ANE_Limit<"S5", 5, "A", "AP, BR">,          // rank
    ANE_Limit<"S6", kw, "D", "BR, MS">,         // convolution kernel width
    ANE_Limit<"S7", kh, "D", "BR, MS">,         // convolution kernel height
    ANE_Limit<"S9W", smallW, "D", "BR, MS">,    // kernel width when strided, dilated or transposed
    ANE_Limit<"S9H", smallH, "D", "BR, MS">,    // kernel height when strided, dilated or transposed
    ANE_Limit<"S10", 8, "B", "MS, measured on h16g">, // max_pool window
    ANE_Limit<"S11", pool, "D", "BR, MS">,      // avg_pool window
    ANE_Limit<"S12", matmulK, "B", kSrc>,       // matmul K
    ANE_Limit<"S18", 383, "B", "MS; measured on h16g, 386 on H18">, // ops in one program's chain
    ANE_Limit<"S13", 16384, "B", "AF, MX">,     // convolution input channels
    ANE_Limit<"S14", 32000, "B", "MX, M5X, FG"> // convolution output channels
  ];
}

class ANE_Rates<string t0, string t0Src, string conv, string convSrc, string matmul, string weights, string wSrc, string act, string aSrc> {
  list<ANE_CostParameter> costs = [
    ANE_CostParameter<"dispatch_us", t0, "us", t0Src>,
    ANE_CostParameter<"conv_tflops", conv, "TFLOPS", convSrc>,
    ANE_CostParameter<"matmul_tflops", matmul, "TFLOPS", convSrc>,
    ANE_CostParameter<"weight_gbs", weights, "GB/s", wSrc>,
    ANE_CostParameter<"activation_gbs", act, "GB/s", aSrc>
  ];
}

let dialect = "verbose" in {
def ANE_H13 : ANE_Target<"h13", "M1 family", ["m1"], 2> {
  let limits = ANE_Common<16384, "BR", 13, 29, 7, 15, 29, 16384, "BR">.limits;
  let costs = ANE_Rates<"210", "BR 0.19-0.23 ms", "12", "BR", "4.8", "51", "BR", "24", "BR">.costs;
}
def ANE_H14 : ANE_Target<"h14", "M2 family", ["m2"], 3> {
  let limits = ANE_Common<16384, "BR", 15, 31, 8, 16, 31, 16384, "BR">.limits;
  let costs = ANE_Rates<"210", "as H13", "12", "as H13", "3.4", "51", "as H13", "24", "as H13">.costs;
}
def ANE_H15 : ANE_Target<"h15", "M3 family", ["m3"], 4> {
  let limits = ANE_Common<16384, "BR, D4", 15, 31, 8, 16, 31, 16384, "D4">.limits;
  let costs = ANE_Rates<"320", "FG 0.32 ms", "16.8", "MX report", "3.8", "58", "D4", "40", "as H16">.costs;
}
}
def ANE_H16 : ANE_Target<"h16", "M4 family", ["m4"], 5> {
  let limits = ANE_Common<65536, "MS, BR", 15, 31, 8, 16, 31, 32768, "MS">.limits;
  let costs = ANE_Rates<"95", "MX 0.095 ms", "18.6", "MX", "5.4", "64", "MX lm_head", "40", "MS">.costs;
}
def ANE_H17 : ANE_Target<"h17", "M5 family", ["m5"], 6> {
  let limits = ANE_Common<65536, "BR", 15, 31, 8, 16, 31, 65536, "BR">.limits;
  let costs = ANE_Rates<"92", "M5X 0.0916 ms", "18.8", "CC", "8.7", "145", "M5X", "70", "M5X">.costs;
}
def ANE_H18 : ANE_Target<"h18", "M6 of MS", ["m6"], 7> {
  let limits = ANE_Common<65536, "BR", 15, 31, 8, 16, 31, 65536, "BR">.limits;
  let costs = ANE_Rates<"130", "MS", "20.6", "MS", "8.7", "150", "MS", "40", "MS">.costs;
}
