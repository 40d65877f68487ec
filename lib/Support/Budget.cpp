//===- Budget.cpp - how much memory a model may ask for -------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Support/Budget.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/MathExtras.h"
#include <atomic>
#include <cstdlib>
#include <sys/mman.h>
#include <unistd.h>

using namespace mlir::ane;

std::optional<int64_t> mlir::ane::countElements(llvm::ArrayRef<int64_t> shape) {
  int64_t count = 1;
  bool empty = false;
  for (int64_t dim : shape) {
    if (dim < 0)
      return std::nullopt;
    empty |= dim == 0;
    if (dim && llvm::MulOverflow(count, dim, count))
      return std::nullopt;
  }
  if (count >= int64_t(1) << 62)
    return std::nullopt;
  return empty ? 0 : count;
}

namespace {
/// What a conversion may hold whatever its file, and for each byte of it:
/// constants of 4 bits are 16 times as large as numbers, and two copies of some
/// live at a time.
constexpr uint64_t kLeastLimit = uint64_t(1) << 30, kPerFileByte = 32;

std::atomic<uint64_t> chosenLimit{0}, fileBytes{0}, constantBytes{0},
    runBytes{0};
thread_local unsigned constantDepth = 0;

/// Of the machine's memory, what a run may hold.
uint64_t runLimit() {
  static const uint64_t limit = [] {
    long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    return pages > 0 && size > 0 ? uint64_t(pages) * size / 4 * 3
                                 : uint64_t(1) << 40;
  }();
  return limit;
}
} // namespace

void MemoryBudget::setConstantLimit(uint64_t bytes) { chosenLimit = bytes; }
uint64_t MemoryBudget::getConstantLimit() {
  uint64_t chosen = chosenLimit;
  return chosen ? chosen
                : kLeastLimit +
                      kPerFileByte * std::min<uint64_t>(fileBytes, runLimit());
}
void MemoryBudget::addFile(uint64_t bytes) { fileBytes += bytes; }

bool MemoryBudget::fits(uint64_t bytes) {
  uint64_t limit = getConstantLimit(), held = constantBytes;
  return bytes <= limit && held <= limit - bytes;
}

std::string MemoryBudget::whyNot(llvm::ArrayRef<int64_t> shape,
                                 std::optional<uint64_t> bytes) {
  std::string text = "needs a value of shape [";
  for (auto [i, dim] : llvm::enumerate(shape))
    text += (i ? ", " : "") + llvm::itostr(dim);
  text += bytes ? "], which takes " + llvm::utostr(*bytes) + " bytes"
                : std::string("], which has more elements than can be counted");
  return text + ", and all that is computed while converting may take " +
         llvm::utostr(getConstantLimit()) +
         " together (--max-constant-bytes=N sets another limit)";
}

std::shared_ptr<void> MemoryBudget::take(llvm::ArrayRef<int64_t> shape,
                                         unsigned bytesPerElement) {
  std::optional<int64_t> count = countElements(shape);
  bool constant = constantDepth > 0;
  std::optional<uint64_t> bytes;
  if (count && uint64_t(*count) < (uint64_t(1) << 60))
    bytes = std::max<uint64_t>(*count, 1) * bytesPerElement;
  if (!bytes || (constant && !fits(*bytes)))
    throw EvaluationError{whyNot(shape, bytes)};
  std::atomic<uint64_t> &held = constant ? constantBytes : runBytes;
  // calloc: large zero-filled values cost no memory until they are written.
  void *data = constant || runBytes + *bytes <= runLimit()
                   ? std::calloc(*bytes, 1)
                   : nullptr;
  if (!data)
    throw EvaluationError{
        "needs a value of " + llvm::utostr(*bytes) + " bytes beside the " +
        llvm::utostr(constantBytes + runBytes) +
        " that are held, which does not fit this machine's memory"};
  held += *bytes;
#ifdef MADV_HUGEPAGE
  // Of a large value most pages are written once: fewer of them, fewer faults.
  constexpr uint64_t kHuge = uint64_t(1) << 21;
  if (*bytes >= 4 * kHuge) {
    auto begin = llvm::alignTo(reinterpret_cast<uintptr_t>(data), kHuge);
    auto end =
        llvm::alignDown(reinterpret_cast<uintptr_t>(data) + *bytes, kHuge);
    (void)madvise(reinterpret_cast<void *>(begin), end - begin, MADV_HUGEPAGE);
  }
#endif
  return std::shared_ptr<void>(data, [&held, size = *bytes](void *data) {
    std::free(data);
    held -= size;
  });
}

std::shared_ptr<void> MemoryBudget::keep(uint64_t bytes) {
  static std::atomic<uint64_t> kept{0};
  uint64_t before = kept, limit = runLimit() / 3;
  do
    if (bytes > limit || before > limit - bytes)
      return nullptr;
  while (!kept.compare_exchange_weak(before, before + bytes));
  return std::shared_ptr<void>(&kept, [bytes](void *) { kept -= bytes; });
}

ConstantScope::ConstantScope() { ++constantDepth; }
ConstantScope::~ConstantScope() { --constantDepth; }
