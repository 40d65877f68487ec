//===- ProtoReader.h - protozero over files that may be damaged -----------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// Include this instead of protozero's own headers. Malformed wire data throws
// protozero::exception; entry points catch it.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_SUPPORT_PROTOREADER_H
#define ANEMLIR_SUPPORT_PROTOREADER_H

#include "llvm/ADT/StringRef.h"
#include <protozero/exception.hpp>

namespace mlir::ane::proto {
/// A field has another wire type than its number promises.
struct WrongWireType : protozero::exception {
  const char *what() const noexcept override {
    return "field of a wrong wire type";
  }
};
} // namespace mlir::ane::proto

// protozero asserts that a field is read by its wire type; here the file
// decides, so the assertion is an error.
#define protozero_assert(condition)                                            \
  (static_cast<bool>(condition) ? void()                                       \
                                : throw ::mlir::ane::proto::WrongWireType())
#include <protozero/pbf_reader.hpp>

namespace mlir::ane::proto {

using View = llvm::StringRef;

inline View toView(protozero::data_view view) {
  return View(view.data(), view.size());
}
inline protozero::pbf_reader reader(View view) {
  return protozero::pbf_reader(protozero::data_view(view.data(), view.size()));
}

} // namespace mlir::ane::proto

#endif // ANEMLIR_SUPPORT_PROTOREADER_H
