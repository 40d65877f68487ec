//===- Term.h - the language of `gradient` in the op records --------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// Each operator and function is the ane op of its name; numbers become scalars
// of the other operand's element type.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_LIB_CONVERSION_GRADIENTS_TERM_H
#define ANEMLIR_LIB_CONVERSION_GRADIENTS_TERM_H

#include "ane-mlir/Conversion/Gradients.h"

namespace mlir::ane {
class Derivative;

struct Term {
  Derivative *d = nullptr;
  Value value;
};

/// The op `name` of operands.
Term apply(StringRef name, ArrayRef<Term> operands);
/// A scalar of the element type of `like`.
Term numberLike(double value, Term like);

#define ANE_TERM_UNARY(NAME)                                                   \
  inline Term NAME(Term x) { return apply("ane." #NAME, {x}); }
ANE_TERM_UNARY(abs)
ANE_TERM_UNARY(sign)
ANE_TERM_UNARY(square)
ANE_TERM_UNARY(exp)
ANE_TERM_UNARY(log)
ANE_TERM_UNARY(sin)
ANE_TERM_UNARY(cos)
ANE_TERM_UNARY(sinh)
ANE_TERM_UNARY(cosh)
ANE_TERM_UNARY(tanh)
ANE_TERM_UNARY(erf)
ANE_TERM_UNARY(sqrt)
ANE_TERM_UNARY(rsqrt)
ANE_TERM_UNARY(floor)
ANE_TERM_UNARY(sigmoid)
#undef ANE_TERM_UNARY

#define ANE_TERM_BINARY(FUNCTION, NAME)                                        \
  inline Term FUNCTION(Term x, Term y) { return apply("ane." NAME, {x, y}); }  \
  inline Term FUNCTION(Term x, double y) {                                     \
    return FUNCTION(x, numberLike(y, x));                                      \
  }                                                                            \
  inline Term FUNCTION(double x, Term y) {                                     \
    return FUNCTION(numberLike(x, y), y);                                      \
  }
ANE_TERM_BINARY(operator+, "add")
ANE_TERM_BINARY(operator-, "sub")
ANE_TERM_BINARY(operator*, "mul")
ANE_TERM_BINARY(operator/, "real_div")
ANE_TERM_BINARY(pow, "pow")
ANE_TERM_BINARY(minimum, "minimum")
ANE_TERM_BINARY(maximum, "maximum")
ANE_TERM_BINARY(operator<, "less")
ANE_TERM_BINARY(operator>, "greater")
ANE_TERM_BINARY(operator<=, "less_equal")
ANE_TERM_BINARY(operator>=, "greater_equal")
ANE_TERM_BINARY(operator==, "equal")
#undef ANE_TERM_BINARY

inline Term operator-(Term x) { return x * -1.0; }

inline Term select(Term condition, Term a, Term b) {
  return apply("ane.select", {condition, a, b});
}
inline Term select(Term condition, Term a, double b) {
  return select(condition, a, numberLike(b, a));
}
inline Term select(Term condition, double a, Term b) {
  return select(condition, numberLike(a, b), b);
}

} // namespace mlir::ane

#endif // ANEMLIR_LIB_CONVERSION_GRADIENTS_TERM_H
