//===- Raiser.h - state of the walk over a mil.func -----------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_LIB_CONVERSION_MILTOANE_RAISER_H
#define ANEMLIR_LIB_CONVERSION_MILTOANE_RAISER_H

#include "ane-mlir/Conversion/GraphBuilder.h"
#include "ane-mlir/Conversion/MILToANE.h"
#include "dialects/ANE/IR/Structure.h"
#include "llvm/ADT/MapVector.h"

namespace mlir::ane {

class Raiser {
public:
  Raiser(OpBuilder &outer, mil::FuncOp func, const WeightOpener &weights,
         const mil::ShapeBindings &shapes, bool checking = false)
      : outer(outer), b(outer.getContext()), func(func), weights(weights),
        shapes(shapes), checking(checking) {}
  FailureOr<ProgramOp> run(StringRef symbol);

private:
  /// Arguments of an operation; forms of older opsets are rewritten in place.
  using Arguments = SmallVector<std::pair<StringRef, Attribute>>;

  LogicalResult raiseOp(mil::OpOp op);
  /// When checking: what could not be raised becomes an argument of its
  /// declared type, so that the next operations are checked too.
  LogicalResult standIn(mil::OpOp op);
  /// By the record of the ane op.
  LogicalResult raiseByTable(mil::OpOp op, const OpInfo &info,
                             Arguments arguments);
  FailureOr<Value> raiseConstant(Location loc, mil::LiteralAttr literal);
  /// Some numbers in place of a weight whose file is not there.
  FailureOr<Value> raiseAbsent(Location loc, RankedTensorType type,
                               StringRef key, StringRef path,
                               llvm::Error error);
  FailureOr<Value> raiseOperand(Attribute value, mil::OpOp op);
  FailureOr<Attribute> raiseParameter(const ArgInfo &arg,
                                      mil::LiteralAttr literal, mil::OpOp op);
  /// Gives the results of `op` their values; declared types that know more
  /// dimensions are taken over.
  LogicalResult bind(mil::OpOp op, ArrayRef<Value> results);

  // Forms.cpp: what the table does not say.

  /// Defaults and arguments of other opsets, in the newest form.
  LogicalResult normalise(mil::OpOp op, Arguments &arguments);
  using Handler = LogicalResult (Raiser::*)(mil::OpOp op);
  static Handler lookupHandler(StringRef type);
  LogicalResult raiseReshape(mil::OpOp op);
  LogicalResult raiseShape(mil::OpOp op);
  LogicalResult raiseFill(mil::OpOp op);
  LogicalResult raiseIdentity(mil::OpOp op);
  LogicalResult raiseClassify(mil::OpOp op);
  LogicalResult raiseUpsample(mil::OpOp op);
  LogicalResult raiseReadState(mil::OpOp op);
  LogicalResult raiseWriteState(mil::OpOp op);
  LogicalResult raiseList(mil::OpOp op);
  LogicalResult raiseNms(mil::OpOp op);
  LogicalResult raiseCropResize(mil::OpOp op);
  LogicalResult raiseAffineDequantize(mil::OpOp op);
  LogicalResult raiseConstexprCast(mil::OpOp op);
  LogicalResult raisePackedConstant(mil::OpOp op);
  LogicalResult raiseCond(mil::OpOp op);
  LogicalResult raiseWhile(mil::OpOp op);

  /// Raises a block of `op` into `block`, which gets arguments for `captured`
  /// values of the block around it behind its own.
  LogicalResult raiseBlock(mil::OpOp op, Region &from, Block &block,
                           ArrayRef<Type> own, ArrayRef<Value> captured);
  /// Values from around the blocks of `op` that they read, but for constants.
  SmallVector<Value> findCaptured(mil::OpOp op);
  LogicalResult lookUp(ArrayRef<Value> captured,
                       SmallVectorImpl<Value> &raised);

  // Arguments by name.

  /// The argument, or the attribute of an ios16 constexpr.
  Attribute argument(mil::OpOp op, StringRef name);
  /// The value behind an argument known at compile time: a literal, a const, or
  /// what constants alone lead to. Null otherwise.
  mil::LiteralAttr literalOf(Attribute value, mil::OpOp op);
  /// Null when absent (not an error for optional ones).
  FailureOr<Value> operand(mil::OpOp op, StringRef name, bool optional = false);
  FailureOr<SmallVector<int64_t>> ints(mil::OpOp op, StringRef name);
  FailureOr<int64_t> integer(mil::OpOp op, StringRef name, int64_t absent);
  FailureOr<double> number(mil::OpOp op, StringRef name, double absent);
  std::optional<std::string> text(mil::OpOp op, StringRef name);
  /// Failure after a message where the argument names no dtype; an absent one
  /// is `absent`, or wrong where that is nothing.
  FailureOr<DType> dtype(mil::OpOp op, StringRef name,
                         std::optional<DType> absent = std::nullopt);
  InFlightDiagnostic error(mil::OpOp op) {
    return op.emitError() << "'" << op.getType() << "': ";
  }
  mil::LiteralAttr literal(ArrayRef<int64_t> values);
  mil::LiteralAttr literal(int64_t value);
  mil::LiteralAttr literal(StringRef value);
  RankedTensorType typeOf(Value value) {
    return cast<RankedTensorType>(value.getType());
  }

  OpBuilder &outer;
  GraphBuilder b;
  mil::FuncOp func;
  const WeightOpener &weights;
  const mil::ShapeBindings &shapes;
  /// Goes on behind errors, and looks at what is declared more closely.
  bool checking, failedCheck = false, staticInputs = true;
  int opset = 0;
  llvm::DenseMap<Value, Value> values;
  /// What a state holds after the statements so far, by parameter.
  llvm::MapVector<Value, Value> states;
  llvm::MapVector<StringRef, unsigned> unknown;
  unsigned blockDepth = 0;
  /// What absent weights show.
  std::shared_ptr<std::vector<char>> standIns;
};

} // namespace mlir::ane

#endif // ANEMLIR_LIB_CONVERSION_MILTOANE_RAISER_H
