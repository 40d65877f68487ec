//===- Derivative.h - shared by the derivatives of each family ------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// A derivative sees one op and the gradient of its results, and gives each
// operand that wants one its part. Failure is sticky: after a creation that was
// refused, later ones return null, so that a derivative reads like algebra.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_LIB_CONVERSION_GRADIENTS_DERIVATIVE_H
#define ANEMLIR_LIB_CONVERSION_GRADIENTS_DERIVATIVE_H

#include "Term.h"
#include "llvm/ADT/StringMap.h"

namespace mlir::ane {
class ConvOp;
class ConvTransposeOp;

class Derivative {
public:
  Derivative(GraphBuilder &graph, Operation *op, ArrayRef<Value> incoming,
             llvm::function_ref<bool(Value)> active);

  /// Whether an operand is worth a gradient: a float that depends on a leaf.
  bool wants(unsigned operand) const { return wanted[operand]; }
  /// Index of the operand `value`, which may be absent (null: never wanted).
  bool wants(Value value) const;
  /// The gradient of a result; null where nothing depends on it.
  Value incoming(unsigned result) const { return gradients[result]; }
  /// Adds to what an operand receives: axes along which the operand was
  /// broadcast are summed, and what has too few elements is broadcast.
  void give(unsigned operand, Value gradient);
  void give(unsigned operand, Term gradient) { give(operand, gradient.value); }
  void give(Value operand, Value gradient);
  ArrayRef<Value> given() const { return results; }
  /// No derivative of this form of the op; the sentence goes on after "has no
  /// derivative: ".
  void refuse(const Twine &why);
  bool failed() const { return hasFailed; }
  bool refused() const { return hasRefused; }

  Term term(Value value) { return {this, value}; }
  Term number(double value, Value like);

  //===--- Building ------------------------------------------------------===//
  template <typename Op>
  Value create(ArrayRef<Value> operands,
               const Attributes<Op> &attributes = {}) {
    if (hasFailed || llvm::is_contained(operands, Value()))
      return fail();
    Value value = graph.create<Op>(loc, operands, attributes);
    return value ? value : fail();
  }
  Value fail() {
    hasFailed = true;
    return {};
  }

  /// A scalar constant of the element type of `like`.
  Value scalarLike(double value, Value like) {
    return graph.scalar(loc, value, elementOf(like));
  }
  Value reshape(Value x, ArrayRef<int64_t> shape);
  Value transpose(Value x, ArrayRef<int64_t> perm);
  /// Over `axes`, which stay as 1.
  Value sum(Value x, ArrayRef<int64_t> axes);
  Value mean(Value x, ArrayRef<int64_t> axes);
  /// Summed over what broadcasting `shape` to the shape of `x` adds.
  Value sumTo(Value x, ArrayRef<int64_t> shape);
  Value broadcastTo(Value x, ArrayRef<int64_t> shape);
  /// Zeros of a shape, as a fill of a value that is there: no large constants.
  Value zeros(ArrayRef<int64_t> shape, Type element);
  /// x[begin : begin + size : stride] along one axis.
  Value slice(Value x, int64_t axis, int64_t begin, int64_t size,
              int64_t stride = 1);
  /// Zeros before and after along each axis; negative ones cut off.
  Value padOrCrop(Value x, ArrayRef<int64_t> before, ArrayRef<int64_t> after);
  /// Element i of an axis goes to i * stride; the axis gets
  /// (extent - 1) * stride + 1.
  Value spread(Value x, int64_t axis, int64_t stride);
  Value concat(ArrayRef<Value> parts, int64_t axis);
  Value matmul(Value x, Value y, bool transposeX = false,
               bool transposeY = false);

  static ArrayRef<int64_t> shapeOf(Value v) {
    return cast<RankedTensorType>(v.getType()).getShape();
  }
  static int64_t rankOf(Value v) { return shapeOf(v).size(); }
  static Type elementOf(Value v) {
    return cast<RankedTensorType>(v.getType()).getElementType();
  }
  static int64_t count(ArrayRef<int64_t> shape) {
    int64_t product = 1;
    for (int64_t dim : shape)
      product *= dim;
    return product;
  }
  /// An axis that may count from the end.
  static int64_t wrap(int64_t axis, int64_t rank) {
    return axis < 0 ? axis + rank : axis;
  }

  GraphBuilder &graph;
  Operation *op;
  Location loc;

private:
  SmallVector<Value> gradients, results;
  SmallVector<bool> wanted;
  bool hasFailed = false, hasRefused = false;
};

//===--- Windows, shared by convolutions and pools ------------------------===//

/// How a kernel steps over the spatial axes (those from 2 on).
struct WindowSteps {
  SmallVector<int64_t, 3> kernel, strides, dilations;
  SmallVector<std::pair<int64_t, int64_t>, 3> pads;
};

WindowSteps stepsOf(ConvOp op);
/// The pads are what is cut off of the full result; negative where there is
/// more of it than windows reach.
WindowSteps stepsOf(ConvTransposeOp op);
/// Positions of taps of a kernel, first axis slowest.
SmallVector<SmallVector<int64_t>> taps(ArrayRef<int64_t> kernel);
/// `data` padded so that every tap of every position is inside.
Value padForWindows(Derivative &d, Value data, const WindowSteps &window,
                    ArrayRef<int64_t> positions);
/// What tap `tap` sees at each position.
Value takeTap(Derivative &d, Value padded, const WindowSteps &window,
              ArrayRef<int64_t> tap, ArrayRef<int64_t> positions);
/// Channels first, so that batch and positions are one axis. A batch of one
/// stays in front.
Value exchangeBatch(Derivative &d, Value x);

/// The sum over positions of data(position * stride + tap * dilation) times
/// `steady`(position): what the weight [A, B / groups, kernel…] of a
/// convolution from `data` [N,B,…] to `steady` [N,A,…] receives.
Value weightGradient(Derivative &d, Value data, Value steady,
                     const WindowSteps &window, int64_t groups);

/// Adds to each element of an input of extents `extents` what windows at
/// `x`'s positions hold of it: the transposed convolution of x with `weight`.
Value scatterWindows(Derivative &d, Value x, Value weight,
                     const WindowSteps &window, ArrayRef<int64_t> extents,
                     int64_t groups);

/// Derivatives by the names of their ops. Each family adds its own: the file
/// that differentiates a family includes what ane-tblgen makes of its records
/// at its end.
struct DerivativeRow {
  /// Null where `reason` says why there is none.
  void (*function)(Operation *, Derivative &);
  StringRef reason;
};
using GradientTable = llvm::StringMap<DerivativeRow>;
template <typename Op>
void callDerivative(Operation *op, Derivative &d) {
  differentiate(cast<Op>(op), d);
}

} // namespace mlir::ane

#endif // ANEMLIR_LIB_CONVERSION_GRADIENTS_DERIVATIVE_H
