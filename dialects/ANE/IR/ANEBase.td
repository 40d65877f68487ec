//===- ANEBase.td - dialect, types and the base record of an ane op --------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// One op is one record. mlir-tblgen reads it for C++, checks and docs; ane-tblgen reads the same record for the
// ONNX import table, the lowering to and raising from `mil`, the evaluation of element-wise ops, the engine
// evidence and the coverage table. Adding a one-to-one op means adding one record here and its tests.
//
//===----------------------------------------------------------------------===//

#ifndef ANE_BASE_TD
#define ANE_BASE_TD

include "mlir/IR/OpBase.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "dialects/ANE/IR/ANEEnums.td"
include "dialects/ANE/IR/ANEInterfaces.td"

def ANE_Dialect : Dialect {
  let name = "ane";
  let cppNamespace = "::mlir::ane";
  let summary = "Value-semantic tensor operations with the meaning of MIL";
  let description = [{
    The middle of the hourglass: typed tensor operations that mean what Apple's MIL operations of the same name mean,
    plus the structure around them (constants, programs, calls). The chip is an attribute of the module, never of an op.
    See dialects/ANE/README.md for the rationale.
  }];
  let useDefaultAttributePrinterParser = 1;
  let hasConstantMaterializer = 1;
  // Marks.td.
  let hasOperationAttrVerify = 1;
  let hasRegionArgAttrVerify = 1;
  let hasRegionResultAttrVerify = 1;
  let extraClassDeclaration = [{
    /// Adds the ops of one family (Family.cpp.in).
    template <typename... Ops>
    void addFamily() { addOperations<Ops...>(); }
  }];
}

//===----------------------------------------------------------------------===//
// Types: the letters of the MIL op catalogue
//===----------------------------------------------------------------------===//

def ANE_FloatElement : AnyTypeOf<[F16, F32]>;
def ANE_IntElement : AnyTypeOf<[I8, I16, I32, I64, UI8, UI16, UI32, UI64]>;

/// F: the floating-point types MIL computes in.
def ANE_Float : RankedTensorOf<[F16, F32]>;
/// N: numbers. 64-bit integers live only until ane-narrow-integers.
def ANE_Number : RankedTensorOf<[F16, F32, I8, I16, I32, I64, UI8, UI16, UI32, UI64]>;
def ANE_Int : RankedTensorOf<[I8, I16, I32, I64, UI8, UI16, UI32, UI64]>;
def ANE_Bool : RankedTensorOf<[I1]>;
/// A: anything a tensor of this dialect can hold; the narrow and exotic types occur only in weight trees.
def ANE_Any : RankedTensorOf<[AnyFloat, AnyInteger]>;

def ANE_F32Default0 : DefaultValuedAttr<F32Attr, "0.0f">;
def ANE_F32Default1 : DefaultValuedAttr<F32Attr, "1.0f">;
/// A number with a sign: the accessor of I64Attr has none, and -1 is a large axis
/// there.
def ANE_I64 : TypedSignlessIntegerAttrBase<I64, "int64_t", "64-bit signless integer attribute">;
def ANE_False : DefaultValuedAttr<BoolAttr, "false">;

//===----------------------------------------------------------------------===//
// What else a record says
//===----------------------------------------------------------------------===//

/// One row of the ONNX import table: this op is `onnxOp` of `domain` from opset `since` on. Inputs map by position.
/// Attributes map by name; `attrs` lists the exceptions as "ane_name=onnx_name".
class ANE_From<string op, int version, list<string> renames = [], string dom = ""> {
  string onnxOp = op;
  int since = version;
  list<string> attrs = renames;
  string domain = dom;
}

/// What is known of the engine and this op (engine/operations.md §1.11). `raw`, `compiled`, `e5rt` and `table` count as
/// placeable, best first; `host` names the rule that keeps the op off the engine. `why` is what the report says.
class ANE_Evidence<string level_, string rule_, string why_> {
  string level = level_;
  string rule = rule_;
  string why = why_;
}
/// Compiled, ran and was checked numerically through the in-memory door.
def ANE_RawEval : ANE_Evidence<"raw", "", "evaluated on RAW with a numeric check">;
/// The in-memory door compiled it; nobody checked what it computes.
def ANE_RawCompiled : ANE_Evidence<"compiled", "", "compiled on RAW, its numbers not checked">;
/// The engine's back end has the layer (E5RT sweep or Core ML); the in-memory door was not shown to take it.
class ANE_OnE5RT<string why> : ANE_Evidence<"e5rt", "", why>;
def ANE_Candidate : ANE_OnE5RT<"seen on E5RT, no RAW evidence">;
/// Only tables of the compiler name it.
def ANE_TableOnly : ANE_Evidence<"table", "", "in the compiler's tables alone">;
class ANE_HostOnly<string rule, string why> : ANE_Evidence<"host", rule, why>;
/// Decomposed into legal ops before placement.
class ANE_Decomposed<string rule, string why> : ANE_Evidence<"decomposed", rule, why>;

/// Base of every ane op.
///  milName     the MIL operation this is, one to one ("" for structure ops); argument names are MIL's own.
///  milOpset    the first iOS opset that has it (15..18).
///  milUnsigned arguments that MIL wants as uint32.
///  milSince    "name=16": arguments that came with a later opset than the operation.
///  scalar(Int) C++ expression over x (and y): the element-wise semantics in fp32 (int64); attributes are in scope by name.
///  imports     rows of the ONNX import table.
///  gradient    C++ expression per operand over operands and results by name, the incoming gradient g of the first result and
///              attributes, each operator and function an ane op (lib/Conversion/Gradients/Term.h); "0" where the operand has
///              no influence or only through steps. Summed to the operand's shape where that was broadcast.
///  ownGradient differentiate() is in the family's file of lib/Conversion/Gradients.  noGradient  why there is none.
///  movesElements  results are elements of the operands, each as it is.  picksElements  what is computed is rounded nowhere,
///              whatever the precision: comparisons, choices, whole numbers.
///  evidence    see above.  ownLegality / ownCost: the family's .cpp says more than the common answer.
class ANE_Op<string mnemonic, list<Trait> traits = []>
    : Op<ANE_Dialect, mnemonic, traits> {
  string milName = "";
  int milOpset = 15;
  list<string> milUnsigned = [];
  list<string> milSince = [];
  string scalar = "";
  string scalarInt = "";
  list<ANE_From> imports = [];
  list<string> gradient = [];
  bit ownGradient = 0;
  string noGradient = "";
  bit movesElements = 0;
  bit picksElements = 0;
  ANE_Evidence evidence = ANE_RawEval;
}

/// A tensor op: shape inference, evaluation, legality and cost are all answered.
class ANE_TensorOp<string mnemonic, list<Trait> traits = []>
    : ANE_Op<mnemonic, traits # [Pure, InferTypeOpAdaptorWithIsCompatible,
                                 DeclareOpInterfaceMethods<ANE_LegalityOpInterface>,
                                 DeclareOpInterfaceMethods<ANE_CostOpInterface>,
                                 ANE_EvaluateOpInterfaceMarker]> {
  bit ownLegality = 0;
  bit ownCost = 0;
  let milName = mnemonic;
  let assemblyFormat = "operands attr-dict `:` functional-type(operands, results)";
  /// Result types: a body for inferReturnTypes, or "" when the family's .cpp has it.
  code inferBody = "";
  let extraClassDefinition = [{
    bool $cppClass::isCompatibleReturnTypes(::mlir::TypeRange a, ::mlir::TypeRange b) {
      return ::mlir::ane::areCompatible(a, b);
    }
  }] # !if(!eq(inferBody, ""), "", [{
    ::mlir::LogicalResult $cppClass::inferReturnTypes(::mlir::MLIRContext *context,
        ::std::optional<::mlir::Location> loc, Adaptor adaptor, ::llvm::SmallVectorImpl<::mlir::Type> &types) {
      (void)context; (void)loc;
  }] # inferBody # "}") # !if(ownLegality, "", [{
    void $cppClass::findViolations(const ::mlir::ane::Target &target, ::mlir::ane::ViolationList &violations) {
      ::mlir::ane::findCommonViolations(*this, target, violations);
    }
  }]) # !if(ownCost, "", [{
    ::mlir::ane::Cost $cppClass::estimateCost(const ::mlir::ane::Target &target) {
      return ::mlir::ane::estimateElementwiseCost(*this);
    }
  }]);
}

//===----------------------------------------------------------------------===//
// What several families are made of
//===----------------------------------------------------------------------===//

class ANE_Unary<string mnemonic, TypeConstraint type = ANE_Float, dag params = (ins)>
    : ANE_TensorOp<mnemonic, []> {
  let arguments = !con((ins type:$x), params);
  let results = (outs type:$y);
  let inferBody = [{
      types.push_back(adaptor.getX().getType());
      return ::mlir::success();
  }];
}
class ANE_Broadcasting<string mnemonic, TypeConstraint type, string resultType, list<Trait> traits = []> : ANE_TensorOp<mnemonic, traits> {
  let arguments = (ins type:$x, type:$y);
  let results = (outs ANE_Any:$z);
  let inferBody = [{
      return ::mlir::ane::inferBroadcast(context, loc, getOperationName(), adaptor.getOperands(), }] # resultType # [{, types);
  }];
}

#endif // ANE_BASE_TD
