//===- Budget.h - how much memory a model may ask for ---------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// A few bytes of a model can ask for any amount of memory: an Expand, a Range,
// the header of a file. Whoever makes a value by a shape counts its elements
// with countElements and takes its bytes here before it takes memory.
//
// Values are made deep inside evaluators and handlers that return plain
// tensors, so what does not fit is thrown as an EvaluationError. It is caught
// where the operation or the node is known (evaluateOperation,
// ConstantEvaluator, the conversion of a node), which say where it was.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_SUPPORT_BUDGET_H
#define ANEMLIR_SUPPORT_BUDGET_H

#include "llvm/ADT/ArrayRef.h"
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace mlir::ane {

/// Something that a value cannot be or give. Empty when the reason was
/// reported.
struct EvaluationError {
  std::string message;
};

/// Elements of a shape; nothing where an extent is negative or the product does
/// not fit 62 bits.
std::optional<int64_t> countElements(llvm::ArrayRef<int64_t> shape);

/// Memory of the values that a process holds. Those that are computed while
/// converting (constants) have a limit that the user sets; those of a run have
/// what the machine has.
class MemoryBudget {
public:
  /// --max-constant-bytes; 0 for the default: 1 GB and 32 bytes for each byte
  /// of the files that were opened.
  static void setConstantLimit(uint64_t bytes);
  static uint64_t getConstantLimit();
  /// A model's file that was opened.
  static void addFile(uint64_t bytes);

  /// Whether a value computed while converting could have so many bytes, beside
  /// what is held now.
  static bool fits(uint64_t bytes);
  /// Why a value of this shape does not fit, for a message that has said where.
  static std::string whyNot(llvm::ArrayRef<int64_t> shape,
                            std::optional<uint64_t> bytes);
  /// Zeroed memory, given back with the last copy of the pointer; throws
  /// EvaluationError.
  static std::shared_ptr<void> take(llvm::ArrayRef<int64_t> shape,
                                    unsigned bytesPerElement);
  /// Room for what makes the next run faster (weights decoded, or in the order
  /// of a kernel), at most a quarter of the machine's memory together; given
  /// back with the last copy. Null where there is none left.
  static std::shared_ptr<void> keep(uint64_t bytes);
};

/// While one lives, values that its thread makes are constants.
class ConstantScope {
public:
  ConstantScope();
  ~ConstantScope();
  ConstantScope(const ConstantScope &) = delete;
  ConstantScope &operator=(const ConstantScope &) = delete;
};

} // namespace mlir::ane

#endif // ANEMLIR_SUPPORT_BUDGET_H
