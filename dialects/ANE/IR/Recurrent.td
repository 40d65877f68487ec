//===- Recurrent.td - recurrent layers ------------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANE_RECURRENT_TD
#define ANE_RECURRENT_TD

include "dialects/ANE/IR/ANEBase.td"

def ANE_Sigmoid : ANE_Word<ANE_GateFunction, "sigmoid">;
def ANE_Tanh : ANE_Word<ANE_GateFunction, "tanh">;
class ANE_Recurrent<string mnemonic, dag args, dag res, list<Trait> traits = []> : ANE_TensorOp<mnemonic, traits> {
  let noGradient = "its steps are inside the op; train its weights too, which writes the steps out";
  let arguments = args;
  let results = res;
  let evidence = ANE_HostOnly<"L05", "recurrent operations do not compile; unroll for the engine">;
  let ownCost = 1;
}
def ANE_LstmOp : ANE_Recurrent<"lstm", (ins ANE_Float:$x, ANE_Float:$initial_h, ANE_Float:$initial_c,
    ANE_Float:$weight_ih, ANE_Float:$weight_hh, Optional<ANE_Float>:$bias, Optional<ANE_Float>:$peephole,
    Optional<ANE_Float>:$weight_ih_back, Optional<ANE_Float>:$weight_hh_back, Optional<ANE_Float>:$bias_back,
    Optional<ANE_Float>:$peephole_back, ANE_Word<ANE_Direction>:$direction, ANE_False:$output_sequence, ANE_Sigmoid:$recurrent_activation,
    ANE_Tanh:$cell_activation, ANE_Tanh:$activation, OptionalAttr<F32Attr>:$clip),
    (outs ANE_Float:$y, ANE_Float:$h, ANE_Float:$c), [AttrSizedOperandSegments]> {
  let summary = "Long short-term memory";
  let description = [{ x [s,b,I], states [b,D*H], weights [4H,·] in gate order i,f,o,z; one result row per step, or the last. }];
}
def ANE_GruOp : ANE_Recurrent<"gru", (ins ANE_Float:$x, ANE_Float:$initial_h, ANE_Float:$weight_ih, ANE_Float:$weight_hh,
    Optional<ANE_Float>:$bias, Optional<ANE_Float>:$input_bias, ANE_Word<ANE_OneDirection>:$direction, ANE_False:$output_sequence,
    ANE_Sigmoid:$recurrent_activation, ANE_Tanh:$activation, OptionalAttr<BoolAttr>:$reset_after),
    (outs ANE_Float:$y, ANE_Float:$h), [AttrSizedOperandSegments]> {
  let summary = "Gated recurrent unit; gate order r,o,z";
  let milSince = ["reset_after=18", "input_bias=18"];
}
def ANE_RnnOp : ANE_Recurrent<"rnn", (ins ANE_Float:$x, ANE_Float:$initial_h, ANE_Float:$weight_ih, ANE_Float:$weight_hh,
    Optional<ANE_Float>:$bias, ANE_Word<ANE_OneDirection>:$direction, ANE_False:$output_sequence, ANE_Tanh:$activation),
    (outs ANE_Float:$y, ANE_Float:$h)> {
  let summary = "Elman recurrence";
}

#endif // ANE_RECURRENT_TD
