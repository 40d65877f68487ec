//===- WeightForm.h - how the user wants weights --------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_TRANSFORMS_WEIGHTFORM_H
#define ANEMLIR_TRANSFORMS_WEIGHTFORM_H

#include "llvm/ADT/StringRef.h"
#include <optional>
#include <string>

namespace mlir::ane {

/// int8 or int4: integers with a scale for each output channel and, with
/// `block`, for each so many inputs. lut8, lut6, lut4, lut3: a table for the
/// tensor, or for each `group` output channels.
struct WeightForm {
  bool palette = false;
  /// 0: as the model has them.
  unsigned bits = 0;
  /// 0: one for all.
  int64_t block = 0, group = 0;
  /// For each weight the smallest form within the bound: of the compiler's
  /// option the least cosine of an output, of the pass the largest error of a
  /// weight, as a part of its root mean square.
  bool automatic = false;
  double bound = 0;
  /// As of WeightBound.
  double looser = 0;
  unsigned parts = 0;

  /// "none", "int4", "int4,per=block:32", "lut4,per=group:16",
  /// "int8,per=channel", "lut6,per=tensor", "auto:0.99", of the pass
  /// "auto:0.05:0.1:4" for a looser bound of 4 sixteenths; nothing for what is
  /// no such text.
  static std::optional<WeightForm> parse(llvm::StringRef text);
  /// "int4 in blocks of 32".
  std::string describe() const;
};

} // namespace mlir::ane

#endif // ANEMLIR_TRANSFORMS_WEIGHTFORM_H
