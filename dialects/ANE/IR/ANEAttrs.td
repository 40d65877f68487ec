//===- ANEAttrs.td - attributes of the ane dialect -------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANE_ATTRS_TD
#define ANE_ATTRS_TD

include "dialects/ANE/IR/ANEBase.td"

class ANE_Attr<string name, string attrMnemonic> : AttrDef<ANE_Dialect, name> { let mnemonic = attrMnemonic; }

def ANE_TargetAttr : ANE_Attr<"Target", "target"> {
  let summary = "The engine generation a module is compiled for";
  let description = [{ Sits on the module as `ane.target`. The facts behind the name are in dialects/ANE/Targets. }];
  let parameters = (ins StringRefParameter<"generation, h13 to h18">:$name);
  let assemblyFormat = "`<` $name `>`";
  let genVerifyDecl = 1;
}

def ANE_SurfaceAttr : ANE_Attr<"Surface", "surface"> {
  let summary = "How a logical tensor lies in an engine surface";
  let description = [{
    `logical` is the tensor the rest of the model sees; `shape` is the program's own argument, [N,C,H,W] in fp16 with
    W a multiple of 32. Packing copies the logical tensor, viewed as `view` (same elements, rank 4), to the front of
    each axis, converts it to fp16 and leaves zeros in the padding; unpacking is the reverse. `order`, where it is there,
    are the elements of the logical tensor between neighbours along each axis of `view`: the surface has them in another
    order, as a transposition would (engine/rewrites.md §6.2).
  }];
  let parameters = (ins "::mlir::RankedTensorType":$logical, ArrayRefParameter<"int64_t">:$view, ArrayRefParameter<"int64_t">:$shape,
                        OptionalArrayRefParameter<"int64_t">:$order);
  let assemblyFormat = "`<` $logical `,` `[` $view `]` `,` `[` $shape `]` (`,` `order` `[` $order^ `]`)? `>`";
}

#endif // ANE_ATTRS_TD
