//===- Plan.h - what a session does, decided once -------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// A tensor of the manifest lives in one or more places: packed in the host's
// memory where host steps read or write it, and in a surface for each layout
// that engine programs have for it; programs with one layout share the surface,
// so that a result is the next program's input without a copy. The plan says
// which place each parameter is, and which copies are due before each step.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_LIB_RUNTIME_PLAN_H
#define ANEMLIR_LIB_RUNTIME_PLAN_H

#include "Bundle.h"

namespace ane::runtime {

struct Plan {
  struct Place {
    uint32_t tensor;
    bool isSurface;
    /// Of the tensor's values; without a meaning where it is open.
    Layout layout;
    /// Of a surface: its own rank-4 shape, padding included.
    std::array<int64_t, 4> shape;
    /// Its extents are known when it was written; in packed memory.
    bool isOpen;
  };
  struct Copy {
    uint32_t from, to;
  };
  struct Step {
    uint32_t program, procedure;
    std::vector<Copy> before;
    std::vector<uint32_t> inputs, outputs;
  };
  /// A state: what is in `from` behind a run is in `to` before the next. Where
  /// `swapped`, the two change their memory instead.
  struct Carry {
    uint32_t output, input;
    std::vector<Copy> swapped, copied;
  };

  std::shared_ptr<const Bundle> bundle;
  std::vector<Place> places;
  std::vector<Step> steps;
  /// Where a port's value is put, or taken from.
  std::vector<uint32_t> inputs, outputs;
  std::vector<Carry> carries;

  explicit Plan(std::shared_ptr<const Bundle> bundle);
  /// Adds a state; throws where the two ports do not hold the same.
  void carry(size_t output, size_t input);
  /// The dtype that values of a place are rounded to on their way.
  ane_dtype carrierOf(const Copy &copy) const;

private:
  uint32_t packedPlace(uint32_t tensor);
  uint32_t surfacePlace(uint32_t tensor, const Bundle::Surface &surface);
  uint32_t placeOf(const Bundle::Step &step, const Bundle::Binding &binding,
                   bool isInput);
  /// Makes `place` hold its tensor before a step, or at the end.
  void require(uint32_t place, std::vector<Copy> &copies);
  /// Of each tensor: its places, the packed one first, and those that are
  /// valid at the point that the construction has reached.
  std::vector<std::vector<uint32_t>> ofTensor, valid;
};

} // namespace ane::runtime

#endif // ANEMLIR_LIB_RUNTIME_PLAN_H
