//===- AttributeList.h - attributes of an op by name and type -------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// Attributes<ConcatOp> has a member per attribute of the record (made by
// ane-tblgen -gen-attributes, in the header of the op's family):
//
//   graph.create<ConcatOp>(loc, parts, {.axis = 1})
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_DIALECTS_ANE_IR_ATTRIBUTELIST_H
#define ANEMLIR_DIALECTS_ANE_IR_ATTRIBUTELIST_H

#include "mlir/IR/Builders.h"
#include <optional>

namespace mlir::ane {

/// The attributes that an op is made with; specialised for each op.
template <typename Op>
struct Attributes;

/// An array of its own: what it is made of may be gone when the op is.
template <typename T>
class ListOf : public SmallVector<T, 6> {
public:
  ListOf(std::initializer_list<T> list) : SmallVector<T, 6>(list) {}
  template <typename Range, typename = std::enable_if_t<
                                std::is_convertible_v<Range, ArrayRef<T>>>>
  ListOf(const Range &range) : SmallVector<T, 6>(llvm::ArrayRef<T>(range)) {}
};
using Ints = ListOf<int64_t>;
using Bools = ListOf<bool>;

/// What a list of numbers in braces is made of; nothing converts to it where
/// the attribute is no list.
template <typename T>
struct ElementOf {
  struct type {
    type() = delete;
  };
};
template <typename T>
struct ElementOf<ListOf<T>> {
  using type = T;
};

/// The value of an attribute, or none.
template <typename T>
class GivenAttribute {
public:
  template <typename Given,
            typename = std::enable_if_t<std::is_convertible_v<Given, T>>>
  GivenAttribute(Given &&given) : value(T(std::forward<Given>(given))) {}
  GivenAttribute(std::initializer_list<typename ElementOf<T>::type> list)
      : value(T(list)) {}
  std::optional<T> value;

protected:
  GivenAttribute() = default;
};

/// One without a default: leaving it out does not compile.
template <typename T>
class RequiredAttribute : public GivenAttribute<T> {
public:
  using GivenAttribute<T>::GivenAttribute;
  RequiredAttribute() = delete;
};

/// One that has a default, or may be absent.
template <typename T>
class OptionalAttribute : public GivenAttribute<T> {
public:
  using GivenAttribute<T>::GivenAttribute;
  OptionalAttribute() = default;
  /// Of what is there or not: an optional attribute of another op.
  template <typename Given,
            typename = std::enable_if_t<std::is_convertible_v<Given, T>>>
  OptionalAttribute(const std::optional<Given> &given) {
    if (given)
      this->value = T(*given);
  }
};

/// Makes NamedAttributes of values.
class AttributeList {
public:
  explicit AttributeList(Builder &builder) : builder(builder) {}
  template <typename T>
  void add(StringRef name, const GivenAttribute<T> &given) {
    if (given.value)
      list.push_back(builder.getNamedAttr(name, make(*given.value)));
  }
  SmallVector<NamedAttribute> list;

private:
  Attribute make(int64_t x) { return builder.getI64IntegerAttr(x); }
  Attribute make(bool x) { return builder.getBoolAttr(x); }
  Attribute make(double x) { return builder.getF32FloatAttr(float(x)); }
  Attribute make(StringRef x) { return builder.getStringAttr(x); }
  Attribute make(const Ints &x) { return builder.getDenseI64ArrayAttr(x); }
  Attribute make(const Bools &x) { return builder.getDenseBoolArrayAttr(x); }
  Attribute make(Type x) { return TypeAttr::get(x); }
  /// MIL's word of an enumeration of ANEEnums.td.
  template <typename Word, typename = std::enable_if_t<std::is_enum_v<Word>>>
  Attribute make(Word x) {
    return builder.getStringAttr(stringifyEnum(x));
  }

  Builder &builder;
};

template <typename Op>
SmallVector<NamedAttribute> toList(const Attributes<Op> &attributes,
                                   Builder &builder) {
  AttributeList list(builder);
  attributes.write(list);
  return std::move(list.list);
}

} // namespace mlir::ane

#endif // ANEMLIR_DIALECTS_ANE_IR_ATTRIBUTELIST_H
