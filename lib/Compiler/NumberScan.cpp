//===- NumberScan.cpp - what a model has that is no number ----------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "NumberScan.h"
#include "ane-mlir/Support/Diagnostics.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include <cmath>
#include <cstring>

using namespace mlir;
using namespace mlir::ane;

static llvm::ArrayRef<char> bytesOf(ElementsAttr elements) {
  if (auto resource = dyn_cast<DenseResourceElementsAttr>(elements)) {
    AsmResourceBlob *blob = resource.getRawHandle().getBlob();
    return blob ? blob->getData() : llvm::ArrayRef<char>();
  }
  auto dense = dyn_cast<DenseElementsAttr>(elements);
  return dense ? dense.getRawData() : llvm::ArrayRef<char>();
}

void NumberScan::start(ModuleOp module) {
  std::vector<Constant> found;
  module.walk([&](Operation *op) {
    for (NamedAttribute attribute : op->getAttrs()) {
      auto elements = dyn_cast<ElementsAttr>(attribute.getValue());
      if (!elements)
        continue;
      std::optional<DType> dtype = toDType(elements.getElementType());
      llvm::ArrayRef<char> bytes = bytesOf(elements);
      if (!dtype || !isa<FloatType>(elements.getElementType()) ||
          bytes.empty() ||
          !seen.insert(nameOf(op->getLoc()) + "\n" +
                       std::to_string(bytes.size()))
               .second)
        continue;
      auto dense = dyn_cast<DenseElementsAttr>(elements);
      found.push_back(
          {op->getLoc(), *dtype, bytes,
           dense && dense.isSplat() ? elements.getNumElements() : 1});
    }
  });
  if (found.empty())
    return;
  batches.push_back(std::move(found));
  auto scanAll = [this, &batch = batches.back()] {
    for (Constant &constant : batch)
      scan(constant);
  };
  running.emplace_back(scanAll);
}

namespace {
/// Bits of a format; `exponent` is all ones in what is no finite number.
template <typename Bits>
struct Format {
  Bits exponent, mantissa, one;
};
} // namespace

/// Exponents alone are looked at first: as fast as bytes are read.
template <typename Bits>
static bool anyOdd(llvm::ArrayRef<char> bytes, Bits exponent) {
  Bits odd = 0;
  for (size_t i = 0; i + sizeof(Bits) <= bytes.size(); i += sizeof(Bits)) {
    Bits bits;
    std::memcpy(&bits, bytes.data() + i, sizeof(Bits));
    odd |= Bits((bits & exponent) == exponent);
  }
  return odd;
}

template <typename Bits>
static void count(llvm::ArrayRef<char> bytes, const Format<Bits> &format,
                  int64_t &nans, int64_t &infinities, bool &hasQuantities) {
  for (size_t i = 0; i + sizeof(Bits) <= bytes.size(); i += sizeof(Bits)) {
    Bits bits;
    std::memcpy(&bits, bytes.data() + i, sizeof(Bits));
    Bits magnitude = bits & (format.exponent | format.mantissa);
    if ((bits & format.exponent) != format.exponent)
      hasQuantities |= magnitude != 0 && magnitude != format.one;
    else if (bits & format.mantissa)
      ++nans;
    else // minus infinity is what masks are made of
      infinities += bits == magnitude;
  }
}

void NumberScan::scan(Constant &constant) const {
  // A stop is asked for between parts of so many bytes.
  constexpr size_t kPart = 1 << 24;
  bool odd = false;
  auto look = [&](auto format) {
    using Bits = decltype(format.one);
    for (size_t from = 0; from < constant.bytes.size() && !odd && !stop;
         from += kPart)
      odd =
          anyOdd<Bits>(constant.bytes.slice(
                           from, std::min(kPart, constant.bytes.size() - from)),
                       format.exponent);
    if (odd)
      count<Bits>(constant.bytes, format, constant.nans, constant.infinities,
                  constant.hasQuantities);
  };
  if (constant.dtype == DType::Float32)
    look(Format<uint32_t>{0x7f800000, 0x007fffff, 0x3f800000});
  else if (constant.dtype == DType::Float16)
    look(Format<uint16_t>{0x7c00, 0x03ff, 0x3c00});
  else if (constant.dtype == DType::BFloat16)
    look(Format<uint16_t>{0x7f80, 0x007f, 0x3f80});
  else if (constant.dtype == DType::Float64)
    look(Format<uint64_t>{0x7ff0000000000000, 0x000fffffffffffff,
                          0x3ff0000000000000});
}

void NumberScan::join() {
  for (std::thread &each : running)
    each.join();
  running.clear();
}

void NumberScan::report() {
  join();
  for (const std::vector<Constant> &batch : batches)
    for (const Constant &constant : batch) {
      int64_t numbers = constant.copies * int64_t(constant.bytes.size()) * 8 /
                        getInfo(constant.dtype).bits;
      if (constant.nans)
        emitWarning(constant.where)
            << constant.nans * constant.copies << " of " << numbers
            << " numbers are NaN, as a training that fails leaves them; in "
               "fp32 so is what is computed with them";
      if (constant.infinities && constant.hasQuantities)
        emitWarning(constant.where)
            << constant.infinities * constant.copies << " of " << numbers
            << " numbers are infinite; weights of fp16 have 65504 there";
    }
  batches.clear();
}
