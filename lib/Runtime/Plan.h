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
  /// A state: what is in `from` behind a run is in `to` before the next, or its
  /// rows are, from the state's position on. Where `swaps`, the two change
  /// their memory instead.
  struct Carry {
    uint32_t output, input;
    int32_t axis;
    Copy places;
    bool swaps;
    /// The source is an input itself, which another state may overwrite first.
    bool passes;
  };

  std::shared_ptr<const Bundle> bundle;
  const Bundle::Function &function;
  std::vector<Place> places;
  std::vector<Step> steps;
  /// Where a port's value is put, or taken from.
  std::vector<uint32_t> inputs, outputs;
  std::vector<Carry> carries;

  Plan(std::shared_ptr<const Bundle> bundle, size_t function);
  /// Adds a state; throws where the two ports do not hold the same.
  void carry(size_t output, size_t input);
  /// Whether runs of even and odd number have different memory.
  bool alternates() const;
  /// The dtype that values of a place are rounded to on their way.
  ane_dtype carrierOf(const Copy &copy) const;

private:
  uint32_t packedPlace(uint32_t tensor);
  uint32_t surfacePlace(uint32_t tensor, const Bundle::Surface &surface);
  uint32_t placeOf(const Bundle::Step &step, const Bundle::Binding &binding,
                   bool isInput);
  /// Makes `place` hold its tensor before a step, or at the end.
  void require(uint32_t place, std::vector<Copy> &copies);
  void addCarry(size_t output, size_t input, int32_t axis);
  /// Of each tensor: its places, the packed one first, and those that are
  /// valid at the point that the construction has reached.
  std::vector<std::vector<uint32_t>> ofTensor, valid;
};

} // namespace ane::runtime

#endif // ANEMLIR_LIB_RUNTIME_PLAN_H
