//===- Control.td - branches and loops -------------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// Blocks see nothing but their arguments, so that every pass that looks at operands alone stays right; MIL's blocks,
// which see the values around them, are converted at the doors.
//
//===----------------------------------------------------------------------===//

#ifndef ANE_CONTROL_TD
#define ANE_CONTROL_TD

include "dialects/ANE/IR/ANEBase.td"

class ANE_ControlOp<string mnemonic, list<Trait> traits> : ANE_Op<mnemonic, traits # [IsolatedFromAbove, RecursiveMemoryEffects,
    SingleBlockImplicitTerminator<"::mlir::ane::YieldOp">, DeclareOpInterfaceMethods<ANE_LegalityOpInterface>,
    DeclareOpInterfaceMethods<ANE_CostOpInterface>]> {
  let hasVerifier = 1;
}
def ANE_CondOp : ANE_ControlOp<"cond", []> {
  let summary = "One of two blocks, both called with `inputs`";
  let arguments = (ins ANE_Bool:$pred, Variadic<ANE_Any>:$inputs);
  let results = (outs Variadic<ANE_Any>:$outputs);
  let regions = (region SizedRegion<1>:$thenRegion, SizedRegion<1>:$elseRegion);
  let assemblyFormat = "$pred `(` $inputs `)` attr-dict `:` functional-type(operands, results) $thenRegion `else` $elseRegion";
}
def ANE_WhileLoopOp : ANE_ControlOp<"while_loop", [AttrSizedOperandSegments]> {
  let summary = "Calls `body` on the loop variables while `condition` holds; `inputs` stay as they are";
  let arguments = (ins Variadic<ANE_Any>:$loop_vars, Variadic<ANE_Any>:$inputs);
  let results = (outs Variadic<ANE_Any>:$outputs);
  let regions = (region SizedRegion<1>:$condition, SizedRegion<1>:$body);
  let assemblyFormat = "`(` $loop_vars `)` `(` $inputs `)` attr-dict `:` functional-type(operands, results) $condition `do` $body";
}
def ANE_YieldOp : ANE_Op<"yield", [Pure, Terminator, ParentOneOf<["CondOp", "WhileLoopOp"]>]> {
  let summary = "The results of a block";
  let arguments = (ins Variadic<ANE_Any>:$values);
  let builders = [OpBuilder<(ins), "">];
  let assemblyFormat = "($values^ `:` type($values))? attr-dict";
}

#endif // ANE_CONTROL_TD
