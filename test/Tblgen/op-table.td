// What a record becomes: table row, import row, evaluator.
// RUN: ane-tblgen -gen-op-table -I %source -I %mlir_include %s | FileCheck %s --check-prefix=TABLE
// RUN: ane-tblgen -gen-evaluators -I %source -I %mlir_include %s | FileCheck %s --check-prefix=EVAL
// RUN: ane-tblgen -gen-coverage -I %source -I %mlir_include %s | FileCheck %s --check-prefix=DOC

include "dialects/ANE/IR/ANEBase.td"

// TABLE: kWordsPadMode[] = {"constant", "reflect", "replicate", };
// TABLE: kScaleOpArgs[] = {{[{][{]}}"x", ArgKind::Operand, false, false, 0, {{[{][}][}]}}, {"alpha", ArgKind::Float, true, false, 0, {{[{][}][}]}}, {"mode", ArgKind::String, false, false, 0, kWordsPadMode}, };
// TABLE: {"ane.scale", "scale", 15, Evidence::Raw, "", "evaluated on RAW with a numeric check", true, false, true, kScaleOpArgs}
// TABLE: kRenames0[] = {"alpha=gain", };
// TABLE: {"", "Scale", 7, "ane.scale", kRenames0},
// EVAL: LogicalResult evaluateOp(ScaleOp op, EvalContext &context, ArrayRef<Tensor> inputs, SmallVectorImpl<Tensor> &outputs);
// EVAL: const float alpha = context.roundParameter(op.getAlpha(), inputs[0].dtype());
// EVAL: return evaluateUnary(op, context, inputs, outputs,
// EVAL: return alpha * x;
// EVAL: table["ane.scale"] = callEvaluator<ScaleOp>;
// DOC: | `ane.scale` | `scale` | ios15 | Scale-7 | raw
def ANE_ScaleOp : ANE_TensorOp<"scale"> {
  let summary = "A scaled copy";
  let arguments = (ins ANE_Float:$x, F32Attr:$alpha, OptionalAttr<ANE_Choice<ANE_PadMode>>:$mode);
  let results = (outs ANE_Float:$y);
  let imports = [ANE_From<"Scale", 7, ["alpha=gain"]>];
  let scalar = "alpha * x";
  let picksElements = 1;
}
