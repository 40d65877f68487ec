//===- DeviceExecutable.cpp - a bundle on a device of the runtime ---------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Host/DeviceExecutable.h"
#include "ane-mlir/Artifact/Compare.h"
#include "ane-mlir/Artifact/TensorFiles.h"
#include "ane-mlir/Host/ane_host.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace mlir::ane;

namespace {
template <typename Handle, void (*close)(Handle *)>
struct Closer {
  void operator()(Handle *handle) const { close(handle); }
};
using BundleHandle =
    std::unique_ptr<ane_bundle, Closer<ane_bundle, ane_bundle_close>>;
using DeviceHandle =
    std::unique_ptr<ane_device, Closer<ane_device, ane_device_close>>;
using SessionHandle =
    std::unique_ptr<ane_session, Closer<ane_session, ane_session_close>>;

/// A session on one device.
struct Side {
  DeviceHandle device;
  SessionHandle session;
};

class DeviceExecutable : public Executable {
public:
  DeviceExecutable(Location loc, const DeviceOptions &options)
      : loc(loc), options(options) {}
  LogicalResult open(StringRef path);
  ArrayRef<Port> inputs() const override { return inputPorts; }
  ArrayRef<Port> outputs() const override { return outputPorts; }
  LogicalResult run(ArrayRef<Tensor> arguments,
                    SmallVectorImpl<Tensor> &results, Numerics numerics,
                    const BlockInterpreter::Observer &observer) override;
  bool printTimes(llvm::raw_ostream &os) const override;

private:
  LogicalResult check(ane_status status) {
    if (status == ANE_OK)
      return success();
    return emitError(loc) << ane_last_error();
  }
  LogicalResult openSide(Side &side, StringRef kind);
  LogicalResult readPort(bool isInput, size_t index);
  LogicalResult readOutput(size_t index, Tensor &result);
  LogicalResult readStep(Side &side, size_t step, size_t result, Tensor &tensor,
                         std::string &name);
  LogicalResult compareSteps();

  Location loc;
  DeviceOptions options;
  BundleHandle bundle;
  Side side, other;
  SmallVector<Port> inputPorts, outputPorts;
  /// What is bound, by port.
  std::vector<std::vector<char>> inputBytes, outputBytes;
};
} // namespace

static DType toDType(ane_dtype dtype) {
  return *lookupDType(ane_dtype_name(dtype));
}

LogicalResult DeviceExecutable::readPort(bool isInput, size_t index) {
  ane_port port;
  if (failed(check(isInput ? ane_bundle_input(bundle.get(), index, &port)
                           : ane_bundle_output(bundle.get(), index, &port))))
    return failure();
  SmallVector<int64_t> shape(port.shape, port.shape + port.rank);
  for (int64_t &dim : shape)
    if (dim == -1)
      dim = ShapedType::kDynamic;
  DType dtype = toDType(port.dtype);
  // The runtime itself brings values into the dtype that programs have.
  (isInput ? inputPorts : outputPorts)
      .push_back({port.name, dtype, dtype, shape, ""});
  (isInput ? inputBytes : outputBytes).emplace_back(port.bytes);
  return success();
}

LogicalResult DeviceExecutable::openSide(Side &side, StringRef kind) {
  std::string name = kind.str();
  ane_device_options on = {};
  on.size = sizeof on;
  on.kind = name.c_str();
  on.flags = options.poisonPadding ? ANE_POISON_PADDING : 0;
  ane_device *device = nullptr;
  if (failed(check(ane_device_open(&on, &device))))
    return failure();
  side.device.reset(device);
  ane_session_options with = {};
  with.size = sizeof with;
  with.host = ane_host_interpreter("engine");
  ane_session *session = nullptr;
  if (failed(check(ane_session_create(bundle.get(), device, &with, &session))))
    return failure();
  side.session.reset(session);
  for (size_t i = 0; i < inputPorts.size(); ++i)
    if (failed(check(ane_session_bind_input(session, i, inputBytes[i].data(),
                                            inputBytes[i].size()))))
      return failure();
  for (size_t i = 0; i < outputPorts.size(); ++i)
    if (!ShapedType::isDynamicShape(outputPorts[i].shape) &&
        &side == &this->side &&
        failed(check(ane_session_bind_output(session, i, outputBytes[i].data(),
                                             outputBytes[i].size()))))
      return failure();
  return success();
}

LogicalResult DeviceExecutable::open(StringRef path) {
  ane_bundle *opened = nullptr;
  if (failed(check(ane_bundle_open(path.str().c_str(), &opened))))
    return failure();
  bundle.reset(opened);
  for (size_t i = 0; i < ane_bundle_input_count(opened); ++i)
    if (failed(readPort(true, i)))
      return failure();
  for (size_t i = 0; i < ane_bundle_output_count(opened); ++i)
    if (failed(readPort(false, i)))
      return failure();
  if (failed(openSide(side, options.kind)))
    return failure();
  return options.compare ? openSide(other, "host") : success();
}

LogicalResult DeviceExecutable::readStep(Side &from, size_t step, size_t result,
                                         Tensor &tensor, std::string &name) {
  ane_value value = {};
  value.size = sizeof value;
  if (failed(check(
          ane_session_step_result(from.session.get(), step, result, &value))))
    return failure();
  std::vector<char> bytes(value.bytes + 1);
  if (failed(check(ane_session_read_step_result(
          from.session.get(), step, result, bytes.data(), value.bytes))))
    return failure();
  bytes.resize(value.bytes);
  name = value.name;
  tensor =
      Tensor::fromBytes(toDType(value.dtype), {value.shape, value.rank}, bytes);
  return success();
}

/// An output whose shape the run has told is a result of the step that made it.
LogicalResult DeviceExecutable::readOutput(size_t index, Tensor &result) {
  const Port &port = outputPorts[index];
  if (!ShapedType::isDynamicShape(port.shape)) {
    result = Tensor::fromBytes(port.dtype, port.shape, outputBytes[index]);
    return success();
  }
  SmallVector<int64_t> shape(port.shape.size());
  size_t rank = shape.size();
  if (failed(check(ane_session_output_shape(side.session.get(), index,
                                            shape.data(), &rank))))
    return failure();
  std::vector<char> data(
      size_t(getByteSize(port.dtype, *countElements(shape))) + 1);
  if (failed(check(ane_session_read_output(side.session.get(), index,
                                           data.data(), data.size() - 1))))
    return failure();
  data.pop_back();
  result = Tensor::fromBytes(port.dtype, shape, data);
  return success();
}

LogicalResult
DeviceExecutable::run(ArrayRef<Tensor> arguments,
                      SmallVectorImpl<Tensor> &results, Numerics numerics,
                      const BlockInterpreter::Observer &observer) {
  for (auto [bytes, argument] : llvm::zip(inputBytes, arguments))
    llvm::copy(argument.toBytes(), bytes.begin());
  if (failed(check(ane_session_run(side.session.get()))))
    return failure();
  for (size_t i = 0; i < outputPorts.size(); ++i) {
    Tensor result;
    if (failed(readOutput(i, result)))
      return failure();
    results.push_back(std::move(result));
  }
  if (!options.compare || options.compareAfter--)
    return success();
  if (failed(check(ane_session_run(other.session.get()))))
    return failure();
  return compareSteps();
}

/// What each step gave on both devices. Steps behind the first that differs
/// had different inputs.
LogicalResult DeviceExecutable::compareSteps() {
  size_t differing = 0;
  for (size_t step = 0; step < ane_session_step_count(side.session.get());
       ++step) {
    ane_step info = {};
    info.size = sizeof info;
    if (failed(check(ane_session_get_step(side.session.get(), step, &info))))
      return failure();
    size_t count = ane_session_step_result_count(side.session.get(), step);
    for (size_t i = 0; i < count; ++i) {
      Tensor here, there;
      std::string name;
      if (failed(readStep(side, step, i, here, name)) ||
          failed(readStep(other, step, i, there, name)))
        return failure();
      if (here.shape() == there.shape() && here.toBytes() == there.toBytes())
        continue;
      ++differing;
      printComparison(llvm::outs(), (Twine(info.program) + ", " + name).str(),
                      compareTensors(here, there, options.rtol, options.atol),
                      here, there, false);
    }
  }
  if (differing)
    llvm::outs() << differing << " results of steps differ between "
                 << options.kind << " and interpreter\n";
  else
    llvm::outs() << "all results of all steps are the same, bit by bit, on "
                 << options.kind << " and in the interpreter\n";
  return success();
}

bool DeviceExecutable::printTimes(llvm::raw_ostream &os) const {
  os << "time per program through the runtime, measured on this machine and "
        "predicted for the target:\n"
        "    mean us   predicted us  runs  program\n";
  for (size_t step = 0; step < ane_session_step_count(side.session.get());
       ++step) {
    ane_step info = {};
    info.size = sizeof info;
    if (ane_session_get_step(side.session.get(), step, &info) != ANE_OK)
      continue;
    os << llvm::format("  %9.1f  %13.1f %5llu  ",
                       info.runs ? info.total_us / double(info.runs) : 0,
                       info.predicted_us, (unsigned long long)info.runs)
       << info.program << (info.is_engine ? "" : " (host)") << '\n';
  }
  return true;
}

FailureOr<std::unique_ptr<Executable>>
mlir::ane::openOnDevice(StringRef path, MLIRContext *context,
                        const DeviceOptions &options) {
  auto executable = std::make_unique<DeviceExecutable>(
      NameLoc::get(StringAttr::get(context, path)), options);
  if (failed(executable->open(path)))
    return failure();
  return std::unique_ptr<Executable>(std::move(executable));
}
