//===- GraphBuilder.h - building ane ops that may be refused --------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// MLIR's generated builders abort when shape inference fails; here the shapes
// come from a user's file, so creation can fail with a diagnostic. Ops over
// small constants are folded at once by the interpreter, which is all that
// exporters' shape arithmetic (Shape -> Gather -> Concat -> Reshape) needs.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_CONVERSION_GRAPHBUILDER_H
#define ANEMLIR_CONVERSION_GRAPHBUILDER_H

#include "ane-mlir/Interpreter/Interpreter.h"
#include "dialects/ANE/IR/Structure.h"
#include "mlir/IR/Builders.h"

namespace mlir::ane {

/// Whether an operand that the op has to have is null.
bool hasMissingOperand(StringRef opName, ArrayRef<Value> operands);

class GraphBuilder {
public:
  explicit GraphBuilder(MLIRContext *context)
      : builder(context), evalContext(context, Numerics::Float32),
        evaluator(evalContext) {}

  OpBuilder builder;

  /// Creates an op by name. `operands` is positional, null where an optional
  /// operand is absent; absent attributes take their defaults. Null after a
  /// diagnostic at `loc`. Results that are small constants come back folded.
  SmallVector<Value> create(StringRef opName, Location loc,
                            ArrayRef<Value> operands,
                            ArrayRef<NamedAttribute> attributes,
                            unsigned results = 0);
  /// The same with attributes that are checked when this is compiled:
  /// `create<ConcatOp>(loc, parts, {.axis = 1})`.
  template <typename Op>
  SmallVector<Value> createMany(Location loc, ArrayRef<Value> operands,
                                const Attributes<Op> &attributes = {}) {
    return create(Op::getOperationName(), loc, operands,
                  toList(attributes, builder));
  }
  template <typename Op>
  Value create(Location loc, ArrayRef<Value> operands,
               const Attributes<Op> &attributes = {}) {
    SmallVector<Value> results = createMany<Op>(loc, operands, attributes);
    return results.empty() ? Value() : results[0];
  }

  Value constant(Location loc, ElementsAttr value) {
    return ConstantOp::create(builder, loc,
                              cast<RankedTensorType>(value.getType()), value);
  }
  Value constant(Location loc, const Tensor &tensor) {
    return constant(loc, tensor.toElements(builder.getContext()));
  }
  Value scalar(Location loc, double value, Type element);
  /// A rank-1 int64 constant.
  Value ints(Location loc, ArrayRef<int64_t> values);
  /// The concrete value of a weight tree, or failure when `value` depends on an
  /// input.
  FailureOr<Tensor> evaluate(Value value) {
    return isConstantTree(value) ? evaluator.evaluate(value)
                                 : FailureOr<Tensor>(failure());
  }

private:
  EvalContext evalContext;
  ConstantEvaluator evaluator;
};

} // namespace mlir::ane

#endif // ANEMLIR_CONVERSION_GRAPHBUILDER_H
