//===- Slot.h - the memory of one request ---------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_LIB_RUNTIME_SLOT_H
#define ANEMLIR_LIB_RUNTIME_SLOT_H

#include "Session.h"

namespace ane::runtime {

/// Memory for every place of a plan, and a request for each of its steps.
/// Everything is made in the constructor; a run allocates nothing (but for
/// arrays whose extents only it tells).
class Slot {
public:
  Slot(Session &session, Session::Opened &function);
  Slot(const Slot &) = delete;
  Slot &operator=(const Slot &) = delete;

  /// One run; null pointers leave inputs as they are and outputs where they
  /// are. An input that is a state begins anew where it is given.
  void run(const void *const *inputs, void *const *outputs);
  /// After a state was added to the plan.
  void rebuild();

  void *memoryOf(uint32_t place, bool ofLastRun) const;
  SurfaceRef surfaceOf(uint32_t place, bool ofLastRun) const;
  /// Extents of a place; of one that is open, those of the last run.
  const std::vector<int64_t> &shapeOf(uint32_t place) const {
    return cells[place].shape;
  }
  /// Packed values of a place of the last run, in its tensor's dtype.
  void read(uint32_t place, void *data) const;
  /// An output of the last run, in the port's dtype.
  void readOutput(size_t port, void *data) const;

private:
  /// A place: which memory it is in runs of even and odd number, and the shape
  /// and strides that the host's functions see.
  struct Cell {
    Slot *slot;
    uint32_t place;
    std::shared_ptr<Memory> memory[2];
    std::vector<int64_t> shape, strides;
  };
  struct Call {
    Retained requests[2];
    std::vector<ane_host_buffer> inputs, outputs;
  };
  /// A state of the function (plan.carries), and how its output gets into it.
  struct Keeping {
    KeptState *state;
    /// Rows at position 0 in the input's place, and from one position to the
    /// next; for `packed` memory where the place has no strides for them.
    Layout rows;
    uint64_t rowStride = 0;
    bool isPacked = false;
    std::vector<char> packed, passing;
  };
  void makeCell(uint32_t place);
  void connect(const Plan::Carry &carry, Keeping &keeping);
  void planRows(const Plan::Carry &carry, Keeping &keeping);
  void writeRows(const Plan::Carry &carry, Keeping &keeping);
  void checkRoom(const void *const *inputs) const;
  void chooseParity();
  void beginStates(const void *const *inputs);
  void endStates();
  int64_t rowsOf(const Plan::Carry &carry) const {
    return plan.function.outputs[carry.output].shape[size_t(carry.axis)];
  }
  void poison(uint32_t place);
  void buildCalls();
  void buildHost(const Plan::Step &step, Call &call);
  void copy(const Plan::Copy &copy);
  void copyIn(size_t port, const void *data);
  void copyOut(size_t port, void *data, unsigned parity) const;
  void execute(size_t step);
  void executeHost(const Plan::Step &step, Call &call);
  Layout layoutOf(uint32_t place) const;
  static void *resize(ane_host_buffer *buffer, size_t rank,
                      const int64_t *shape);
  /// Locks a place's surface where the device asks for it.
  class Access;

  Session &session;
  Session::Opened &function;
  const Plan &plan;
  std::vector<Cell> cells;
  std::vector<Call> calls;
  std::vector<Keeping> keepings;
  unsigned parity = 0, lastParity = 0;
};

} // namespace ane::runtime

#endif // ANEMLIR_LIB_RUNTIME_SLOT_H
