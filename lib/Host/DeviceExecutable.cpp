//===- DeviceExecutable.cpp - a bundle on a device of the runtime ---------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Host/DeviceExecutable.h"
#include "ane-mlir/Artifact/Compare.h"
#include "ane-mlir/Artifact/TensorFiles.h"
#include "ane-mlir/Host/ane_host.h"
#include "ane-mlir/Support/Embedding.h"
#include "ane-mlir/Support/Hash.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"
#include <chrono>
#include <optional>

using namespace mlir;
using namespace mlir::ane;
using Clock = std::chrono::steady_clock;

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
  size_t countFunctions() const override { return functions.size(); }
  StringRef nameFunction(size_t index) const override {
    return functions[index].name;
  }
  void selectFunction(size_t index) override { selected = index; }
  double predictMicros() const override;
  TextPlan plan() const override;
  ArrayRef<Port> inputs() const override { return now().inputPorts; }
  ArrayRef<Port> outputs() const override { return now().outputPorts; }
  void resetStates() override;
  LogicalResult run(ArrayRef<Tensor> arguments,
                    SmallVectorImpl<Tensor> &results, Numerics numerics,
                    const BlockInterpreter::Observer &observer) override;
  ArrayRef<ProgramTime> programTimes() const override { return times; }

private:
  struct Function {
    std::string name;
    SmallVector<Port> inputPorts, outputPorts;
    bool hasStates = false;
    /// Where its steps are among `times`.
    std::optional<size_t> firstTime;
    /// What is bound, by port.
    std::vector<std::vector<char>> inputBytes, outputBytes;
  };
  Function &now() { return functions[selected]; }
  const Function &now() const { return functions[selected]; }
  LogicalResult check(ane_status status) {
    if (status == ANE_OK)
      return success();
    return emitError(loc) << ane_last_error();
  }
  LogicalResult openDevice(Side &side, StringRef kind);
  LogicalResult readFunction(size_t index);
  LogicalResult readPort(size_t function, bool isInput, size_t index);
  LogicalResult select(Side &side);
  LogicalResult runOn(Side &side, ArrayRef<Tensor> arguments);
  LogicalResult readOutput(size_t index, Tensor &result);
  LogicalResult readStep(Side &side, size_t step, size_t result, Tensor &tensor,
                         std::string &name);
  LogicalResult compareSteps();
  LogicalResult noteTimes(Clock::time_point start);

  Location loc;
  DeviceOptions options;
  BundleHandle bundle;
  Side side, other;
  std::vector<Function> functions;
  size_t selected = 0;
  std::vector<ProgramTime> times;
  std::optional<Clock::time_point> began;
};
} // namespace

static DType toDType(ane_dtype dtype) {
  return *lookupDType(ane_dtype_name(dtype));
}

LogicalResult DeviceExecutable::readPort(size_t function, bool isInput,
                                         size_t index) {
  ane_port port;
  if (failed(check(isInput ? ane_bundle_function_input(bundle.get(), function,
                                                       index, &port)
                           : ane_bundle_function_output(bundle.get(), function,
                                                        index, &port))))
    return failure();
  SmallVector<int64_t> shape(port.shape, port.shape + port.rank);
  for (int64_t &dim : shape)
    if (dim == -1)
      dim = ShapedType::kDynamic;
  DType dtype = toDType(port.dtype);
  Function &to = functions[function];
  // The runtime itself brings values into the dtype that programs have.
  (isInput ? to.inputPorts : to.outputPorts)
      .push_back({port.name, dtype, dtype, shape, ""});
  (isInput ? to.inputBytes : to.outputBytes).emplace_back(port.bytes);
  return success();
}

LogicalResult DeviceExecutable::readFunction(size_t index) {
  ane_function info = {};
  info.size = sizeof info;
  if (failed(check(ane_bundle_get_function(bundle.get(), index, &info))))
    return failure();
  functions.emplace_back();
  functions.back().name = info.name;
  for (size_t i = 0; i < info.input_count; ++i)
    if (failed(readPort(index, true, i)))
      return failure();
  for (size_t i = 0; i < info.output_count; ++i)
    if (failed(readPort(index, false, i)))
      return failure();
  for (size_t i = 0; i < info.state_count; ++i) {
    ane_state state = {};
    state.size = sizeof state;
    if (failed(
            check(ane_bundle_function_state(bundle.get(), index, i, &state))))
      return failure();
    Port &in = functions.back().inputPorts[state.input],
         &out = functions.back().outputPorts[state.output];
    in.state = out.state = true;
    in.grows = out.grows = state.axis >= 0;
    functions.back().hasStates = true;
  }
  return success();
}

LogicalResult DeviceExecutable::openDevice(Side &side, StringRef kind) {
  std::string name = kind.str();
  ane_device_options on = {};
  on.size = sizeof on;
  on.kind = name.c_str();
  on.flags = options.poisonPadding ? ANE_POISON_PADDING : 0;
  // A tool's handlers remove its own files and end it.
  if (!areSignalsLeftAlone())
    on.flags |= ANE_CHAIN_SIGNALS;
  ane_device *device = nullptr;
  if (failed(check(ane_device_open(&on, &device))))
    return failure();
  side.device.reset(device);
  return success();
}

LogicalResult DeviceExecutable::open(StringRef path) {
  ane_bundle *opened = nullptr;
  if (failed(check(ane_bundle_open(path.str().c_str(), &opened))))
    return failure();
  bundle.reset(opened);
  for (size_t i = 0; i < ane_bundle_function_count(opened); ++i)
    if (failed(readFunction(i)))
      return failure();
  if (!options.function.empty() &&
      failed(check(ane_bundle_find_function(opened, options.function.c_str(),
                                            &selected))))
    return failure();
  if (failed(openDevice(side, options.kind)))
    return failure();
  return options.compare ? openDevice(other, "host") : success();
}

/// The session at the selected function; what it has is compiled here.
LogicalResult DeviceExecutable::select(Side &side) {
  Function &function = now();
  bool isNew = !side.session;
  if (isNew) {
    ane_session_options with = {};
    with.size = sizeof with;
    with.host = ane_host_interpreter("engine");
    with.function = function.name.c_str();
    ane_session *session = nullptr;
    if (failed(check(ane_session_create(bundle.get(), side.device.get(), &with,
                                        &session))))
      return failure();
    side.session.reset(session);
  }
  if (!isNew && ane_session_selected(side.session.get()) == selected)
    return success();
  ane_session *session = side.session.get();
  if (failed(check(ane_session_select(session, selected))))
    return failure();
  for (auto [i, bytes] : llvm::enumerate(function.inputBytes))
    if (!function.inputPorts[i].state &&
        failed(check(
            ane_session_bind_input(session, i, bytes.data(), bytes.size()))))
      return failure();
  for (auto [i, bytes] : llvm::enumerate(function.outputBytes))
    if (!ShapedType::isDynamicShape(function.outputPorts[i].shape) &&
        &side == &this->side &&
        failed(check(
            ane_session_bind_output(session, i, bytes.data(), bytes.size()))))
      return failure();
  return success();
}

void DeviceExecutable::resetStates() {
  for (Side *each : {&side, &other})
    if (each->session)
      ane_session_reset_states(each->session.get());
}

double DeviceExecutable::predictMicros() const {
  double sum = 0;
  if (!side.session || ane_session_selected(side.session.get()) != selected)
    return sum;
  for (size_t i = 0; i < ane_session_step_count(side.session.get()); ++i) {
    ane_step info = {};
    info.size = sizeof info;
    if (ane_session_get_step(side.session.get(), i, &info) == ANE_OK)
      sum += info.predicted_us;
  }
  return sum;
}

TextPlan DeviceExecutable::plan() const {
  TextPlan found(ane_bundle_plan_step_count(bundle.get()));
  for (auto [i, step] : llvm::enumerate(found))
    (void)ane_bundle_get_plan_step(bundle.get(), i, &step.from, &step.function);
  return found;
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
  const Port &port = now().outputPorts[index];
  if (!ShapedType::isDynamicShape(port.shape)) {
    result =
        Tensor::fromBytes(port.dtype, port.shape, now().outputBytes[index]);
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

LogicalResult DeviceExecutable::runOn(Side &side, ArrayRef<Tensor> arguments) {
  if (failed(select(side)))
    return failure();
  Function &function = now();
  for (auto [i, argument] : llvm::enumerate(arguments)) {
    std::vector<char> &bytes = function.inputBytes[i];
    if (argument)
      llvm::copy(argument.toBytes(), bytes.begin());
    if (argument && function.inputPorts[i].state &&
        failed(check(ane_session_bind_input(side.session.get(), i, bytes.data(),
                                            bytes.size()))))
      return failure();
  }
  return check(ane_session_run(side.session.get()));
}

LogicalResult
DeviceExecutable::run(ArrayRef<Tensor> arguments,
                      SmallVectorImpl<Tensor> &results, Numerics numerics,
                      const BlockInterpreter::Observer &observer) {
  if (failed(select(side)))
    return failure();
  auto start = Clock::now();
  if (failed(runOn(side, arguments)) || failed(noteTimes(start)))
    return failure();
  for (size_t i = 0; i < now().outputPorts.size(); ++i) {
    Tensor result;
    if (failed(readOutput(i, result)))
      return failure();
    results.push_back(std::move(result));
  }
  if (!options.compare)
    return success();
  bool compares = !options.compareAfter;
  options.compareAfter -= !compares;
  // States are to be the same when it comes to comparing.
  if ((compares || now().hasStates) && failed(runOn(other, arguments)))
    return failure();
  return compares ? compareSteps() : success();
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

/// What the steps of the run that has just ended took.
LogicalResult DeviceExecutable::noteTimes(Clock::time_point start) {
  if (!began)
    began = start;
  double at = std::chrono::duration<double, std::micro>(start - *began).count();
  Function &function = now();
  size_t count = ane_session_step_count(side.session.get());
  if (!function.firstTime) {
    function.firstTime = times.size();
    times.resize(times.size() + count);
  }
  for (size_t step = 0; step < count; ++step) {
    ane_step info = {};
    info.size = sizeof info;
    if (failed(check(ane_session_get_step(side.session.get(), step, &info))))
      return failure();
    ProgramTime &time = times[*function.firstTime + step];
    if (time.runs.empty()) {
      time.function = function.name;
      time.program = info.program;
      time.isEngine = info.is_engine;
      time.predicted = info.predicted_us;
    }
    time.runs.push_back({at, info.last_us});
    at += info.last_us;
  }
  return success();
}

FailureOr<std::unique_ptr<Executable>>
mlir::ane::openOnDevice(StringRef path, MLIRContext *context,
                        const DeviceOptions &options) {
  std::error_code error;
  SmallString<128> weights(path);
  llvm::sys::path::append(weights, "weights");
  if (options.verify)
    for (llvm::sys::fs::directory_iterator it(weights, error), end;
         !error && it != end; it.increment(error))
      if (llvm::Error wrong = checkHashName(it->path()))
        return emitError(NameLoc::get(StringAttr::get(context, path)))
                   << "weight file " << llvm::toString(std::move(wrong))
                   << "; --no-verify runs it all the same",
               failure();
  auto executable = std::make_unique<DeviceExecutable>(
      NameLoc::get(StringAttr::get(context, path)), options);
  if (failed(executable->open(path)))
    return failure();
  return std::unique_ptr<Executable>(std::move(executable));
}
