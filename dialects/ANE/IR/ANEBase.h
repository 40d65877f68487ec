//===- ANEBase.h - the ane dialect without its ops ------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// The dialect, its interfaces and attributes, and what is asked of any op. The
// classes of ops are in a header per family, made of its records: Shape.h of
// Shape.td. A file includes the families whose classes it names.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_DIALECTS_ANE_IR_ANEBASE_H
#define ANEMLIR_DIALECTS_ANE_IR_ANEBASE_H

#include "dialects/ANE/IR/Marks.h"
#include "dialects/ANE/IR/OpInfo.h"
#include "dialects/ANE/IR/Target.h"
#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/CallInterfaces.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "dialects/ANE/IR/ANEEnums.h.inc"

namespace mlir::ane {
class Tensor;
class EvalContext;
class LegalityOpInterface;

/// Marks ops that lib/Interpreter evaluates; see ANEInterfaces.td.
template <typename ConcreteType>
class HasEvaluator : public OpTrait::TraitBase<ConcreteType, HasEvaluator> {};

/// Work of one execution of an op.
struct Cost {
  /// How the multiply-accumulates are executed; rates differ (engine/cost.md
  /// §5.1).
  enum class Kind { Move, Elementwise, Conv, Matmul } kind = Kind::Move;
  /// Floating-point operations; one multiply-accumulate is two.
  double flops = 0;
  /// Bytes of constant operands, streamed once.
  double weightBytes = 0;
  /// Bytes of run-time operands and results.
  double activationBytes = 0;
  /// Of convolutions and products: output channels and positions of the result
  /// (rows or pixels); small ones leave the engine idle (engine/cost.md §5.7).
  double channels = 0, positions = 0;
};

/// True when each inferred type is `declared` up to unknown dimensions.
bool areCompatible(TypeRange inferred, TypeRange declared);

/// NumPy broadcasting of all operands; `element` replaces their common element
/// type when not null.
LogicalResult inferBroadcast(MLIRContext *context, std::optional<Location> loc,
                             StringRef opName, ValueRange operands,
                             Type element, SmallVectorImpl<Type> &types);

/// Removes (or keeps as 1) the reduced axes; no axes means all.
LogicalResult inferReduction(std::optional<Location> loc, StringRef opName,
                             Type x, std::optional<ArrayRef<int64_t>> axes,
                             bool keepDims, Type element,
                             SmallVectorImpl<Type> &types);

/// Rules that hold for every op: evidence, ranks, extents, element types.
void findCommonViolations(Operation *op, const Target &target,
                          ViolationList &violations);

/// What the op's own interface finds, less the rules that the module switches
/// off, and with those that it switches on (`ane.rules`, by identifier). Rules
/// on which sources conflict are off unless switched on.
void findEnabledViolations(LegalityOpInterface op, const Target &target,
                           ViolationList &violations);
/// What `ane.rules` of the module around `op` says about a rule.
std::optional<bool> getRuleSwitch(Operation *op, StringRef id);
/// True when `ane.rules` may hold the identifier: a limit, a rule that some op
/// can break, or one that is off until it is switched on.
bool canSwitchRule(StringRef id);

/// One operation per result element; bytes from the types.
Cost estimateElementwiseCost(Operation *op);
/// Fills the byte counts of `cost` from the operand and result types of `op`.
void addTraffic(Operation *op, Cost &cost);

/// One function of the broadcast operands' elements.
bool isElementwise(Operation *op);

/// True when `value` is computed from constants alone (a weight tree) within
/// its block.
bool isConstantTree(Value value);

/// True for an op that gives the same for the same operands, of which it has
/// some: over constants it is part of a weight tree. Random numbers are not.
bool isFunctionOfOperands(Operation *op);

/// True for a constant that is written as it is compressed instead of being
/// evaluated: what ane-quantize marks.
bool isCompressed(Operation *op);

/// `axis` in [0, rank) or failure with a diagnostic at `loc`.
FailureOr<int64_t> normalizeAxis(std::optional<Location> loc, StringRef opName,
                                 int64_t axis, int64_t rank);

/// Begin and end padding per spatial axis that `pad_type` stands for.
SmallVector<std::pair<int64_t, int64_t>>
resolvePadding(PadType padType, ArrayRef<int64_t> pad, ArrayRef<int64_t> input,
               ArrayRef<int64_t> kernel, ArrayRef<int64_t> strides,
               ArrayRef<int64_t> dilations);

/// Elements of [begin : end : step] of an axis; nothing stands for "from the
/// start" and "to the end".
int64_t getSliceExtent(int64_t extent, std::optional<int64_t> begin,
                       std::optional<int64_t> end, int64_t step);
/// Where the first of them lies, in [0, extent) or outside when there is none.
int64_t getSliceStart(int64_t extent, std::optional<int64_t> begin,
                      int64_t step);

/// The target named by the module around `op`, or the default.
const Target &getTarget(Operation *op);
} // namespace mlir::ane

#include "dialects/ANE/IR/ANEInterfaces.h.inc"

#include "dialects/ANE/IR/ANEDialect.h.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/ANE/IR/ANEAttrs.h.inc"

#endif // ANEMLIR_DIALECTS_ANE_IR_ANEBASE_H
