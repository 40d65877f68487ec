//===- Probes.td - what can be asked of a machine --------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// Every rule, limit and cost parameter is either a question that ane-probe asks, or says why it is none; ane-tblgen refuses a record
// that is neither. A program is written in lines (ane-probe's ProbeText.cpp makes MIL text of them):
//
//   const int32 ax 1                    a constant: type, name, value
//   weights w 64,64,1,1                 fp16 values shaped like trained ones, in the weight file
//   op z000 1,64,1,64 relu(x = a000)    an operation; results that begin with z are outputs
//
// Inputs are a000, a001 …, of the shapes given. $N is the limit's value in one program and one more (or `step` more) in the other.
//
//===----------------------------------------------------------------------===//

include "dialects/ANE/Targets/Targets.td"

class ANE_Asked<string id_, string kind_> {
  string id = id_;
  string kind = kind_;
  string why = "";
  list<string> inputs = ["1,64,1,64"];
  list<string> body = [];
  /// What inputs hold: a number; "ramp", -4 to 4; "positive", 0 to 8; "first": the second is 0 in its first column, 1 elsewhere.
  string data = "ramp";
  /// Of "wrong": what each output would be by the book: a number, "same" (as the first input), "first" (its first row).
  string book = "";
  /// Of "limit": distance of the program beyond it.
  int step = 1;
  /// Of "cost": floating-point operations, bytes or elements of one evaluation, by the parameter's unit.
  string work = "";
  /// Generations that the rule is one of, where its record does not say it; elsewhere it should compile.
  list<int> families = [];
  /// Asked only with --risky, last: it may hang the service or the machine.
  bit risky = 0;
}
class ANE_NoProbe<string id_, string why_> : ANE_Asked<id_, "none"> { let why = why_; }
/// The rule says that this does not compile.
class ANE_Compiles<string id_, list<string> body_, list<string> inputs_ = ["1,64,1,64"]> : ANE_Asked<id_, "compiles"> {
  let inputs = inputs_;
  let body = body_;
}
/// The rule says that this computes something else than the book.
class ANE_Wrong<string id_, list<string> body_, string data_, string book_, list<string> inputs_ = ["1,64,1,64"]> : ANE_Asked<id_, "wrong"> {
  let inputs = inputs_;
  let body = body_;
  let data = data_;
  let book = book_;
}
/// Compiles at the limit, and not beyond.
class ANE_AtLimit<string id_, list<string> inputs_, list<string> body_, int step_ = 1> : ANE_Asked<id_, "limit"> {
  let inputs = inputs_;
  let body = body_;
  let step = step_;
}
/// A function of ane-probe.
class ANE_BuiltIn<string id_, bit risky_ = 0> : ANE_Asked<id_, "built-in"> { let risky = risky_; }
class ANE_Timed<string id_, string work_, list<string> inputs_, list<string> body_> : ANE_Asked<id_, "cost"> {
  let inputs = inputs_;
  let body = body_;
  let work = work_;
}

defvar T = "1,64,1,64";
class ANE_Conv<string w, string y, string x, string shape, string strides = "[1, 1]"> {
  string line = "op " # y # " " # shape # " conv(dilations = one, groups = gr, pad = pd, pad_type = pt, strides = st, weight = " # w # ", x = " # x # ")";
  list<string> setup = ["const tensor<int32, [2]> one [1, 1]", "const tensor<int32, [2]> st " # strides, "const string pt valid",
                        "const tensor<int32, [4]> pd [0, 0, 0, 0]", "const int32 gr 1"];
}
class ANE_ConvProgram<string w, string shape> {
  list<string> body = !listconcat(ANE_Conv<"w", "z000", "a000", shape>.setup, ["weights w " # w, ANE_Conv<"w", "z000", "a000", shape>.line]);
}

// Rules.
def : ANE_Compiles<"L01", ["const int32 ax 1", "const bool il false", "op z000 1,128,1,64 concat(axis = ax, interleave = il, values = (a000, a001))"], [T, T]>;
def : ANE_Compiles<"L02", ["op p 1,64,1,64 abs(x = a000)", "op z000 1,64,1,64 rsqrt(x = p)"]>;
def : ANE_Compiles<"L03", ["const string m EXACT", "op z000 1,64,1,64 gelu(mode = m, x = a000)"]>;
def : ANE_Compiles<"L04", ["op s 1,64,1,100 square(x = a000)", "op z000 1,64,1,100 tanh(x = s)"], ["1,64,1,100"]>;
def : ANE_Compiles<"L05", ["const int32 ax 3", "const bool f false", "op z000 1,64,1,64 cumsum(axis = ax, exclusive = f, reverse = f, x = a000)"]>;
def : ANE_Compiles<"L06", ["const string i int32", "const string h fp16", "op q int32:1,64,1,64 cast(dtype = i, x = a000)", "op r int32:1,64,1,64 add(x = q, y = q)",
                           "op z000 1,64,1,64 cast(dtype = h, x = r)"]>;
def : ANE_Compiles<"L07", ["const string h fp16", "op c 1,64,1,64 cast(dtype = h, x = a000)", "op z000 1,64,1,64 relu(x = c)"], ["fp32:1,64,1,64"]>;
def : ANE_NoProbe<"L08", "needs packed constants that this compiler does not emit">;
def : ANE_NoProbe<"L09", "needs blockwise constants that this compiler does not emit">;
def : ANE_NoProbe<"L10", "needs compressed constants that this compiler does not emit">;
def : ANE_NoProbe<"L79", "needs weights of 4 bits, which the text of probes does not have">;
def : ANE_Compiles<"L11", ["const int32 ax 1", "op z000 1,96,1,64 softmax(axis = ax, x = a000)"], ["1,96,1,64"]>;
def : ANE_NoProbe<"L12", "one report of a combination that names no shapes">;
def : ANE_Compiles<"L13", ["const tensor<int32, [4]> s [1, 32, 2, 64]", "op z000 1,32,2,64 reshape(shape = s, x = a000)"]>;
def : ANE_NoProbe<"L14", "reports of combinations that name no shapes">;
def : ANE_Wrong<"L15", ["const fp16 low -0x1.388p+13", "op m 1,1,64,64 mul(x = a001, y = low)",
                        "op s 1,1,64,64 scaled_dot_product_attention(attn_mask = m, key = a000, query = a000, value = a000)", "op z000 1,1,64,64 abs(x = s)"],
                "first", "first", ["1,1,64,64", "1,1,64,64"]>;
def : ANE_Compiles<"L16", ["const bool f false", "op z000 1,1,64,64 matmul(transpose_x = f, transpose_y = f, x = a000, y = a001)"], ["1,1,64,64", "1,1,64,64"]>;
def : ANE_Compiles<"L17", ["const bool f false", "op z000 1,8,64,64 matmul(transpose_x = f, transpose_y = f, x = a000, y = a001)"], ["1,8,64,64", "1,1,64,64"]>;
def : ANE_Compiles<"L18", ["const bool f false", "const bool t true", "op p 1,1,64,64 matmul(transpose_x = f, transpose_y = f, x = a000, y = a001)", "op g 1,1,64,64 relu(x = p)",
                           "op z000 1,1,64,64 matmul(transpose_x = t, transpose_y = f, x = g, y = a001)"], ["1,1,64,64", "1,1,64,64"]>;
def : ANE_Compiles<"L19", !listconcat(ANE_Conv<"a001", "z000", "a000", T>.setup, [ANE_Conv<"a001", "z000", "a000", T>.line]), [T, "64,64,1,1"]>;
def : ANE_Wrong<"L20", ["const tensor<int32, [4]> p [0, 2, 1, 3]", "op t 1,1,64,64 transpose(perm = p, x = a000)", "op z000 1,1,64,64 abs(x = t)"], "positive", "same">;
def : ANE_NoProbe<"L21", "never emitted; reports disagree about what it does to evaluations that follow, which would spoil other probes">;
def : ANE_NoProbe<"L22", "one report that its author later put down to tile (L21)">;
def : ANE_Wrong<"L23", ["op z000 1,64,1,64 identity(x = a000)"], "3", "same">;
def : ANE_NoProbe<"L24", "needs normalisations without operands, which MIL's grammar has no text for">;
def : ANE_Wrong<"L25", ["op z000 1,64,1,64 softplus(x = a000)"], "12", "12">;
def : ANE_NoProbe<"L26", "five modes of sampling; what each samples is asked by models, not by one program">;
def : ANE_NoProbe<"L27", "MIL's depth_to_space has no argument for the other order">;
def : ANE_Compiles<"L28", ["const tensor<int32, [8]> p [0, 0, 1, 1, 0, 0, 0, 0]", "const string m constant", "const fp16 v 0x0p+0",
                           "op z000 1,66,1,64 pad(constant_val = v, mode = m, pad = p, x = a000)"]>;
def : ANE_Compiles<"L29", ["const int32 k 2", "const int32 ax 3", "const bool f false", "op v,i 1,64,1,2/int32:1,64,1,2 topk(ascending = f, axis = ax, k = k, x = a000)",
                           "op z000 1,64,1,2 abs(x = v)"]>;
def : ANE_Wrong<"L30", ["const fp16 h 0x1p-1", "op f 1,64,1,64 floor(x = a000)", "op z000 1,64,1,64 mul(x = f, y = h)"], "5", "2.5">;
def : ANE_Compiles<"L31", !listconcat(ANE_Conv<"w", "z000", "a000", T, "[1, 2]">.setup, ["weights w 64,64,1,1", ANE_Conv<"w", "z000", "a000", "1,64,1,32">.line])>;
def : ANE_NoProbe<"L32", "this compiler writes the normalisation as a convolution">;
def : ANE_Compiles<"L33", ["const tensor<int32, [1]> ax [1]", "const bool t true", "op z000 1,1,1,32 reduce_mean(axes = ax, keep_dims = t, x = a000)"], ["1,512,1,32"]>;
def : ANE_NoProbe<"L34", "one report of a whole rotary embedding, on one machine">;
def : ANE_NoProbe<"L35", "needs the constant of one model; two issues describe it by its shape only">;
def : ANE_Compiles<"L36", ["const fp16 s 0x1p-4", "const string d int8", "op q int8:1,64,1,64 quantize(input = a000, output_dtype = d, scale = s)",
                           "op z000 1,64,1,64 dequantize(input = q, scale = s)"]>;
def : ANE_BuiltIn<"L40">;
def : ANE_BuiltIn<"L41">;
def : ANE_BuiltIn<"L42">;
def : ANE_Compiles<"L43", ["op z000 64 relu(x = a000)"], ["64"]>;
def : ANE_Compiles<"L44", ["const string h fp16", "op c 1,64,1,64 cast(dtype = h, x = a000)", "op z000 1,64,1,64 relu(x = c)"], ["int8:1,64,1,64"]>;
def : ANE_NoProbe<"L45", "a matter of time and memory on large tensors, which the cost model does not price">;
def : ANE_NoProbe<"L46", "a text with unknown dimensions has no surfaces to be asked with">;
def : ANE_NoProbe<"L47", "S1 and S12 ask it">;
def : ANE_NoProbe<"L48", "one MLP of one report; its sizes are not given">;
def : ANE_NoProbe<"L49", "a matter of time at sizes that take minutes to stage">;
def : ANE_NoProbe<"L50", "one packed program of one report">;
def : ANE_NoProbe<"L51", "says that something is fine, and models with two outputs show it">;
def : ANE_Wrong<"L60", !listconcat(["const fp16 k 0x1p-1"], ANE_Conv<"w", "s", "a000", T>.setup, ["ones w 64,64,1,1", ANE_Conv<"w", "s", "a000", T>.line, "op z000 1,64,1,64 mul(x = s, y = k)"]),
                "1000", "32000">;
def : ANE_Wrong<"L61", ["const bool f false", "const fp16 k 0x1p-6", "op y 1,1,64,64 mul(x = a001, y = k)",
                        "op p 1,1,64,64 matmul(transpose_x = f, transpose_y = f, x = a000, y = y)", "op z000 1,1,64,64 abs(x = p)"], "0.015625", "0.000244140625", ["1,1,64,64", "1,1,64,64"]>;
def : ANE_Wrong<"L62", ["op s 1,64,1,64 add(x = a000, y = a000)", "op z000 1,64,1,64 sub(x = s, y = a000)"], "40000", "same">;
def : ANE_Wrong<"L63", ["const tensor<int32, [4]> b [0, 0, 0, 32]", "const tensor<int32, [4]> s [1, 64, 1, 32]", "op c 1,64,1,32 slice_by_size(begin = b, size = s, x = a000)",
                        "op z000 1,64,1,32 abs(x = c)"], "5000", "5000">;
def : ANE_NoProbe<"L64", "numerics of softmax with infinities; this compiler never emits them">;
def : ANE_NoProbe<"L65", "reported through another door (Core ML)">;
def : ANE_NoProbe<"L66", "a matter of whole models">;
def : ANE_NoProbe<"L67", "a matter of tests, not of machines">;
def : ANE_BuiltIn<"L70", 1>;
def : ANE_BuiltIn<"L71", 1>;
def : ANE_BuiltIn<"L72">;
def : ANE_NoProbe<"L73", "needs 4 GiB of weights">;
def : ANE_BuiltIn<"L74", 1>;
def : ANE_NoProbe<"L75", "a matter of compile time, seconds of which are the service's">;
def : ANE_BuiltIn<"L76">;
def : ANE_NoProbe<"L77", "corrupts what other processes stage">;
def : ANE_NoProbe<"L78", "may panic the machine">;
def : ANE_Compiles<"S15", !listconcat(ANE_Conv<"w", "z000", "a000", T, "[5, 5]">.setup, ["weights w 64,64,1,1", ANE_Conv<"w", "z000", "a000", "1,64,13,13">.line]), ["1,64,64,64"]>;
def : ANE_Compiles<"S23", ["op z000 1,64,1,64 sin(x = a000)"]> { let families = [2, 3]; }
def : ANE_Compiles<"1.11.1", ["weights w 64,64", "op z000 1,1,64,64 linear(weight = w, x = a000)"], ["1,1,64,64"]>;

// Limits.
def : ANE_AtLimit<"S1", ["1,1,1,$N"], ["op z000 1,1,1,$N relu(x = a000)"], 32>;
def : ANE_AtLimit<"S2", ["1,$N,1,32"], ["op z000 1,$N,1,32 relu(x = a000)"]>;
def : ANE_NoProbe<"S3", "a batch beyond it takes more memory than a surface may have">;
def : ANE_NoProbe<"S4", "function inputs are rank 4; depth is of rank 5">;
def : ANE_Compiles<"S5", ["const tensor<int32, [6]> s [1, 2, 2, 2, 8, 64]", "op r 1,2,2,2,8,64 reshape(shape = s, x = a000)", "op q 1,2,2,2,8,64 relu(x = r)",
                          "const tensor<int32, [4]> b [1, 64, 1, 64]", "op z000 1,64,1,64 reshape(shape = b, x = q)"]>;
def : ANE_AtLimit<"S6", ["1,16,64,64"], !listconcat(ANE_Conv<"w", "z000", "a000", T>.setup, ["weights w 16,16,1,$N", ANE_Conv<"w", "z000", "a000", "1,16,64,$64-N+1">.line])>;
def : ANE_AtLimit<"S7", ["1,16,64,64"], !listconcat(ANE_Conv<"w", "z000", "a000", T>.setup, ["weights w 16,16,$N,1", ANE_Conv<"w", "z000", "a000", "1,16,$64-N+1,64">.line])>;
def : ANE_NoProbe<"S9W", "S6 asks the larger of the two limits">;
def : ANE_NoProbe<"S9H", "S7 asks the larger of the two limits">;
def : ANE_NoProbe<"S10", "pools beyond it are written as cascades here; the reports give three windows only">;
def : ANE_NoProbe<"S11", "a limit of tables of the compiler; S10 and S7 are what models meet">;
def : ANE_AtLimit<"S12", ["1,1,32,$N", "1,1,$N,32"], ["const bool f false", "op z000 1,1,32,32 matmul(transpose_x = f, transpose_y = f, x = a000, y = a001)"], 32>;
def : ANE_AtLimit<"S13", ["1,$N,1,32"], ANE_ConvProgram<"32,$N,1,1", "1,32,1,32">.body>;
def : ANE_AtLimit<"S14", ["1,32,1,32"], ANE_ConvProgram<"$N,32,1,1", "1,$N,1,32">.body>;
def : ANE_NoProbe<"S18", "a chain beyond it kills the compiler's service">;
def : ANE_NoProbe<"S20", "a matter of time: what stays on chip">;
def : ANE_NoProbe<"S23A", "an inference about tables, with no symptom">;

// Cost parameters. `work` counts what one evaluation does.
def : ANE_Timed<"memory_dispatch_us", "0", [T], ["op z000 1,64,1,64 relu(x = a000)"]>;
class ANE_Chain<string w, string shape> {
  list<string> body = !listconcat(ANE_Conv<"w", "z000", "a000", shape>.setup, ["weights w " # w, ANE_Conv<"w", "t1", "a000", shape>.line, ANE_Conv<"w", "t2", "t1", shape>.line,
    ANE_Conv<"w", "t3", "t2", shape>.line, ANE_Conv<"w", "z000", "t3", shape>.line]);
}
def : ANE_Timed<"conv_tflops", "34359738368", ["1,1024,64,64"], ANE_Chain<"1024,1024,1,1", "1,1024,64,64">.body>;
def : ANE_Timed<"matmul_tflops", "8589934592", ["1,1,1024,1024", "1,1,1024,1024"], ["const bool f false", "op m1 1,1,1024,1024 matmul(transpose_x = f, transpose_y = f, x = a000, y = a001)",
  "op m2 1,1,1024,1024 matmul(transpose_x = f, transpose_y = f, x = m1, y = a001)", "op m3 1,1,1024,1024 matmul(transpose_x = f, transpose_y = f, x = m2, y = a001)",
  "op z000 1,1,1024,1024 matmul(transpose_x = f, transpose_y = f, x = m3, y = a001)"]>;
def : ANE_Timed<"weight_gbs", "33554432", ["1,4096,1,32"], ANE_ConvProgram<"4096,4096,1,1", "1,4096,1,32">.body>;
def : ANE_Timed<"softmax_geps", "4194304", ["1,4,1024,1024"], ["const int32 ax 3", "op z000 1,4,1024,1024 softmax(axis = ax, x = a000)"]>;
def : ANE_Timed<"elementwise_geps", "16777216", ["1,4,1024,1024", "1,4,1024,1024"], ["op e1 1,4,1024,1024 mul(x = a000, y = a001)", "op e2 1,4,1024,1024 add(x = e1, y = a000)",
  "op e3 1,4,1024,1024 mul(x = e2, y = a001)", "op z000 1,4,1024,1024 sub(x = e3, y = a000)"]>;
def : ANE_Timed<"reduce_geps", "4194304", ["1,4,1024,1024"], ["const tensor<int32, [1]> ax [2]", "const bool t true",
  "op z000 1,4,1,1024 reduce_sum(axes = ax, keep_dims = t, x = a000)"]>;
foreach other = ["door", "e5rt_dispatch_us", "coreml_dispatch_us", "packing_gbs", "e5rt_error_percent", "coreml_error_percent"] in
  def : ANE_NoProbe<other, "of another door than the in-memory runtime">;
def : ANE_NoProbe<"memory_error_percent", "a statistic of predictions: test/Analysis/published.py">;
foreach shape = ["winograd_gain", "narrow_efficiency", "middle_efficiency", "w8a8_speedup", "w8a8_shallow_speedup", "overlap", "activation_gbs", "on_chip_mb", "spilled_product",
                 "spilled_scores", "norm_geps", "pool_geps", "depthwise_geps"] in
  def : ANE_NoProbe<shape, "a ratio between several programs, or a part of one: fitted from whole models (test/Analysis/published.toml)">;
foreach host = ["host_tflops", "host_gbs", "host_op_us"] in
  def : ANE_NoProbe<host, "of the CPU">;
