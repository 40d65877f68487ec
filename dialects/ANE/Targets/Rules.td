//===- Rules.td - rules that are not numbers -------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

// Identifiers and evidence: engine/legality.md §4.2. What a rule says is what the user reads where an op breaks it.

def : ANE_Rule<"L01", "concat is refused", "?", "OR, M5X vs MX, LM, FG, IM, DF", "CE on M4 Max and M5 Max, works on M1 to M5 in five projects", "emitted with axis and interleave"> { let optional = 1; }
def : ANE_Rule<"L02", "rsqrt, log and inverse need an epsilon", "A", "IM", "CE everywhere", "always emitted">;
def : ANE_Rule<"L03", "gelu does not compile on RAW", "B", "OR, DE", "CE on M4 Max; compiles through E5RT", "decomposed">;
def : ANE_Rule<"L04", "square before a nonlinearity fails at some widths", "C", "AF", "CE on M5", "mul is emitted"> { let optional = 1; }
def : ANE_Rule<"L05", "operation does not compile for the engine", "A", "IM, AF, M5X", "CE everywhere", "placed on the host", "Replace the operation by others (an lstm by its steps, for example), or accept a host step; --placement=host shows what all of it costs there.">;
def : ANE_Rule<"L06", "integer arithmetic does not compile", "A", "MS, IM", "CE on M2 to M4", "placed on the host", "Keep integers for indices and lengths only; compute in floats where values stay below 2048.">;
def : ANE_Rule<"L07", "the engine computes in fp16; fp32 values stay outside", "A", "MX6, OR", "CE on M1, slow on M4", "fp16 surfaces", "An operation is in fp32 where fp16 would spoil an output (the accuracy table says which); inputs like yours may show that fp16 holds it: --calibration=DIR.">;
def : ANE_Rule<"L08", "int4 must be packed, uint8 is wrong in blockwise constants", "B", "M5X", "SW on M5 Max", "not emitted">;
def : ANE_Rule<"L09", "blockwise constants take one scale per output channel and no offset", "A", "M5X, CC", "CE on M5", "not emitted">;
def : ANE_Rule<"L10", "a compressed constant may feed only a convolution", "C", "D4, IM", "CE on M5", "placed on the host", "Compress weights of convolutions and products only.">;
def : ANE_Rule<"L11", "softmax over channels that are no power of two", "?", "ES vs MX", "CE reported, MX runs 32000", "emitted"> { let optional = 1; }
def : ANE_Rule<"L12", "slice_by_index of a function input before a norm and a convolution", "C", "ES", "CE", "emitted">;
def : ANE_Rule<"L13", "a program of nothing but data movement: a reshape alone does not compile", "C", "IM; its slices, pads, transposes and concats compiled alone", "CE on M2 and M3", "arithmetic makes each output; beside a host step such programs join it", "Nothing: such a step is cheap on the host; a neighbour that computes takes it along.">;
def : ANE_Rule<"L14", "split, matmul, softmax and tile in one program", "C", "IM, DF", "CE on M2 and M3", "emitted">;
def : ANE_Rule<"L15", "scaled_dot_product_attention ignores its mask", "A", "MX, OR", "SW on M4 and M5 through RAW", "attention is written out", "Export attention as products and softmax.">;
def : ANE_Rule<"L16", "matmul on M1 and M2", "?", "MX6 vs MX", "CE on one M1 Pro", "convolutions wherever a matrix is constant"> { let optional = 1; }
def : ANE_Rule<"L17", "batch dimensions of a product differ", "B", "DF", "CE", "grouped queries are rows of one product; else on the host", "Give both operands the same batch dimensions, or one of them none.">;
def : ANE_Rule<"L18", "transpose_x in the second product of an MLP", "B", "D4", "CE on M3 Ultra, fine on M5", "emitted for attention only"> { let optional = 1; }
def : ANE_Rule<"L19", "a run-time convolution weight needs the [1,O,1,I] form", "B", "M5X, H3", "CE on M5, ignored on M3 Max", "an input of that form is; other run-time weights go to the host", "Make the weight a constant, or an input of the shape [1, O, 1, I].">;
def : ANE_Rule<"L20", "a transpose as the first op on a function input", "C", "DF", "SW", "a reshape or a product with one stands before it">;
def : ANE_Rule<"L21", "tile disturbs later evaluations", "C", "FG, M5X vs IM, AF", "EE on M3 Max, CE on M5 Max, right elsewhere", "decomposed">;
def : ANE_Rule<"L22", "a product that broadcasts the batch", "C", "FG", "SW on M3 Max", "emitted"> { let optional = 1; }
def : ANE_Rule<"L23", "an output made by identity, or used elsewhere too", "C", "M5X", "NaN on M5 Max", "an arithmetic op makes each output">;
def : ANE_Rule<"L24", "normalisation without all operands as constants does not compile", "C", "IM", "CE on M2 and M3", "decomposed">;
def : ANE_Rule<"L25", "softplus is wrong above 10.4", "B", "M5X, BR", "SW on M5 Max", "decomposed">;
def : ANE_Rule<"L26", "resize samples asymmetric nearest or aligned or asymmetric bilinear only", "B", "AF", "SW or CE on M5", "other modes are products with weights", "Export the resize with asymmetric nearest, or aligned or asymmetric bilinear sampling.">;
def : ANE_Rule<"L27", "depth_to_space knows DCR order only", "B", "AF", "SW on M5", "placed on the host", "Export DepthToSpace with mode DCR, or pixel shuffle behind a convolution.">;
def : ANE_Rule<"L28", "pad other than constant on the last two axes is unproven", "C", "AF, MS", "CE or unknown on M4 and M5", "placed on the host", "Pad with a constant, on the last two axes.">;
def : ANE_Rule<"L29", "topk does not compile over the width axis or on M1", "B", "BR, MS", "CE on M1 and M4", "placed on the host", "Take the top k on another axis than the width, or on the host.">;
def : ANE_Rule<"L30", "a constant product directly behind floor is folded away", "C", "AF", "SW on M5", "emitted"> { let optional = 1; }
def : ANE_Rule<"L31", "convolutions with unequal strides or dilations", "D", "AF; MS compiles 2 to 8", "an importer's limit", "emitted"> { let optional = 1; }
def : ANE_Rule<"L32", "local_response_norm uses alpha undivided", "C", "AF", "SW on M5", "placed on the host", "Replace the normalisation by one of batches, layers or groups.">;
def : ANE_Rule<"L33", "a mean over channels fails at some shapes", "C", "M5X", "CE on M5 Max at 512 channels, 32 positions", "a 1x1 convolution with one over the number of channels", "", [6]>;
def : ANE_Rule<"L34", "halves of the width swapped by slices and concat", "C", "LU; issue 9 of that project", "CE on M3 Ultra", "a product with a permutation", "", [4]>;
def : ANE_Rule<"L35", "a constant [1, D, 1, 1] with D from 1024 on between two reshapes", "B", "AF; issues 162 and 201 of that project", "CE on M1 Max and M2 Pro", "a depthwise 1x1 convolution", "", [2, 3]>;
def : ANE_Rule<"L36", "quantize and dequantize are unproven before M3", "B", "MX, IM, D4", "evaluated on M3 to M5", "a pair is rounded and limited in halves; else on the host", "Choose a target from H15 on, or leave activations in fp16.", [2, 3]>;
def : ANE_Rule<"L40", "function input and output rows are a multiple of 32 fp16", "A", "FG, M5X, IM", "SW or EE on M2 to M5", "surfaces are padded">;
def : ANE_Rule<"L41", "a surface smaller than its padded strides", "A", "OR, IM, M5X, H3", "EE everywhere", "allocations are computed">;
def : ANE_Rule<"L42", "surfaces are bound by symbol, not in declared order", "A", "OR, IM, M5X", "SW or EE everywhere", "symbols of equal length, sorted">;
def : ANE_Rule<"L43", "a vector as an operand of a product or as an input", "B", "D4", "CE on M5", "vectors become matrices">;
def : ANE_Rule<"L44", "int8 function inputs and outputs", "?", "IM, D4", "CE or EE; inputs ran on one machine", "fp16 surfaces">;
def : ANE_Rule<"L45", "an innermost axis of 1 on large tensors", "B", "AP", "SL, 32 times the memory", "tokens are last">;
def : ANE_Rule<"L46", "unknown dimensions do not compile", "A", "BR", "CE everywhere", "placed on the host", "Bind every dimension: --dim NAME=N.">;
def : ANE_Rule<"L47", "an axis of 18432 in a product", "A", "D4", "CE on M3 Ultra", "S1 and S12">;
def : ANE_Rule<"L48", "batch sizes off the tile in an MLP", "B", "D4", "CE on M5 at 64, 96, 128", "emitted">;
def : ANE_Rule<"L49", "wide outputs at many positions stream badly", "B", "M5X", "SL on M5 Max", "emitted">;
def : ANE_Rule<"L50", "tiny slices in a packed program", "C", "D4", "EE on M5", "emitted">;
def : ANE_Rule<"L51", "outputs of different sizes", "A", "M5X, OM vs OR", "fine when bound by name", "emitted">;
def : ANE_Rule<"L60", "partial sums of 2^15 and more", "A", "BR, AF, MS, H3", "SW: infinite, on M3 Ultra zero", "ane-repair-fp16 scales what calibration finds">;
def : ANE_Rule<"L61", "products below about 2^-14 vanish in the accumulator", "A", "H3, CC, MS", "SW on M3 Ultra, M4, M5 Pro", "ane-repair-fp16 scales what calibration finds">;
def : ANE_Rule<"L62", "element-wise results beyond 65504", "A", "OR, MX, M5X", "infinite everywhere", "ane-repair-fp16 scales what calibration finds">;
def : ANE_Rule<"L63", "a slice along the width with an offset, of values above 4094", "B", "BR", "infinite on M1 and M2", "emitted", "", [2, 3]>;
def : ANE_Rule<"L64", "infinite masks before softmax", "A", "AP, AT", "SW everywhere", "ane-repair-masks clamps them to -30000">;
def : ANE_Rule<"L65", "a product of two quantised branches with different scales", "B", "CC", "SW on M5 Pro", "emitted">;
def : ANE_Rule<"L66", "fp16 residuals in deep wide models", "B", "MM, OR, MX", "SW on M5 Pro", "ane-repair-fp16 keeps the stream scaled down until its norm">;
def : ANE_Rule<"L67", "random weights overflow fp16", "B", "M5X", "false NaN", "test models are scaled">;
def : ANE_Rule<"L70", "about 119 compilations per process", "A", "MX, OR, IM", "on macOS 15, not on 26", "few programs">;
def : ANE_Rule<"L71", "127 resident programs", "A", "M5X, OM, MM, BR", "EE", "few programs">;
def : ANE_Rule<"L72", "17 or more weight files of one program", "A", "M4B, M5X, OR", "CE", "one file">;
def : ANE_Rule<"L73", "a window of 4 GiB of weights", "B", "OM", "load fails on M3 Max and Ultra", "refused when written", "Divide the model, or compress its weights.">;
def : ANE_Rule<"L74", "failed compilations in a row stall the service", "B", "BR", "everywhere", "for loaders">;
def : ANE_Rule<"L75", "12 or more branches into one op", "B", "BR", "SL: 9 s to compile on M1", "emitted">;
def : ANE_Rule<"L76", "identical program text is shared", "C", "M5X", "M5 Max", "for probes">;
def : ANE_Rule<"L77", "two processes that stage the same program", "C", "OM", "corruption", "for loaders">;
def : ANE_Rule<"L78", "creating a program while the engine powers down", "C", "H3", "hangs on M3 Ultra", "for loaders">;
def : ANE_Rule<"L79", "weights of 4 bits are refused in memory before H17", "B", "IM vs M5X, D4", "CE on M2 and M3; packed int4 blockwise constants run on M5", "int8 or fp16", "Choose a target from H17 on, a package, or --weights=int8.", [2, 3, 4, 5]>;
def : ANE_Rule<"S15", "strides have factors 2 and 3 only", "B", "BR, AP", "CE", "placed on the host", "Use strides of factors 2 and 3, or two convolutions in a row.">;
def : ANE_Rule<"S23", "sin and cos are native from H15 on", "D", "BR", "CE on M1 and M2", "placed on the host", "Choose a target from H15 on, or compute angles in front of the model.">;
def : ANE_Rule<"1.11.1", "linear falls off RAW", "C", "LU, DF", "CE", "decomposed">;
