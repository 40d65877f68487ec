//===- Session.cpp - a loaded artifact and arrays -------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "Bridge.h"
#include "Call.h"
#include "ane-mlir/Artifact/Compare.h"
#include "ane-mlir/Artifact/Feed.h"
#include "ane-mlir/Host/DeviceExecutable.h"
#include "ane-mlir/Support/Diagnostics.h"
#include "ane-mlir/Support/Usage.h"
#include "dialects/ANE/IR/TargetNames.h"
#include "llvm/ADT/StringSet.h"
#include <chrono>
#include <cstring>
#include <mutex>

using namespace mlir;
using namespace mlir::ane;
using namespace anemlir::bridge;
namespace bridge = anemlir::bridge;

//===----------------------------------------------------------------------===//
// Arrays
//===----------------------------------------------------------------------===//

/// A view where the interpreter's own form is the array's, else a copy.
static llvm::Expected<Tensor> toTensor(const ArrayView &array,
                                       const std::string &name) {
  std::optional<DType> dtype = lookupDTypeByNumpy(array.numpy);
  if (!dtype)
    return llvm::createStringError("input '" + name + "' has dtype '" +
                                   array.numpy +
                                   "', which no model takes; convert it with "
                                   "astype");
  bool aligned = reinterpret_cast<uintptr_t>(array.data) % alignof(float) == 0;
  if (*dtype == DType::Float32 && aligned && array.bytes)
    // The caller keeps it until the call ends.
    return Tensor::view(array.shape, static_cast<const float *>(array.data),
                        std::shared_ptr<const void>(array.data, [](auto *) {}));
  return Tensor::fromBytes(
      *dtype, array.shape,
      llvm::ArrayRef(static_cast<const char *>(array.data), array.bytes));
}

static Array toArray(const Tensor &tensor) {
  // As readers of .npy know them: NumPy has no bf16, fp8 or sub-byte integers.
  Tensor stored = tensor;
  if (getInfo(tensor.dtype()).numpy.empty())
    stored = tensor.retyped(tensor.isFloat()             ? DType::Float32
                            : isUnsigned(tensor.dtype()) ? DType::UInt8
                                                         : DType::Int8);
  Array array;
  array.numpy = getInfo(stored.dtype()).numpy.str();
  array.shape.assign(stored.shape().begin(), stored.shape().end());
  auto fill = [&](const void *data, size_t bytes) {
    array.bytes = bytes;
    array.data = malloc(std::max<size_t>(bytes, 1));
    if (!array.data)
      throw std::bad_alloc();
    memcpy(array.data, data, bytes);
  };
  if (stored.dtype() == DType::Float32)
    fill(stored.floats().data(), stored.floats().size() * sizeof(float));
  else if (stored.dtype() == DType::Int64)
    fill(stored.ints().data(), stored.ints().size() * sizeof(int64_t));
  else {
    std::vector<char> bytes = stored.toBytes();
    fill(bytes.data(), bytes.size());
  }
  return array;
}

static std::vector<bridge::Port> toPorts(ArrayRef<ane::Port> ports) {
  std::vector<bridge::Port> result;
  for (const ane::Port &port : ports)
    result.push_back({port.name,
                      port.alias,
                      getInfo(port.dtype).name.str(),
                      getInfo(port.dtype).numpy.str(),
                      {port.shape.begin(), port.shape.end()}});
  return result;
}

bridge::Comparison anemlir::bridge::compare(const ArrayView &actual,
                                            const ArrayView &expected,
                                            double rtol, double atol) {
  auto a = toTensor(actual, "actual"), e = toTensor(expected, "expected");
  if (!a || !e) {
    llvm::consumeError(a.takeError());
    llvm::consumeError(e.takeError());
    return {};
  }
  ane::Comparison found = compareTensors(*a, *e, rtol, atol);
  return {found.ok(),    found.sameShape, found.worst,
          found.largest, found.cosine,    found.outside.size()};
}

//===----------------------------------------------------------------------===//
// Loading
//===----------------------------------------------------------------------===//

struct Session::Impl {
  std::unique_ptr<MLIRContext> context;
  std::string path;
  std::unique_ptr<Executable> executable;
  std::vector<bridge::Port> inputs, outputs;
  std::mutex mutex;

  llvm::Error bind(const std::vector<std::pair<std::string, ArrayView>> &given,
                   std::vector<Tensor> &arguments) const;
};

Session::Session(std::unique_ptr<Impl> impl) : impl(std::move(impl)) {}
Session::~Session() = default;
const std::vector<bridge::Port> &Session::inputs() const {
  return impl->inputs;
}
const std::vector<bridge::Port> &Session::outputs() const {
  return impl->outputs;
}

static llvm::Expected<LoadOptions> readLoad(const LoadRequest &request) {
  LoadOptions load;
  load.function = request.function;
  load.verify = request.verify;
  for (auto &[name, shape] : request.shapes)
    load.shapes[name] = llvm::to_vector(ArrayRef<int64_t>(shape));
  if (!request.target.empty() && !(load.target = lookupTarget(request.target)))
    return llvm::createStringError(describeUnknownTarget(request.target));
  return load;
}

static llvm::Error checkDevice(const LoadRequest &request) {
  if (request.device != "interpreter" && request.device != "engine")
    return llvm::createStringError(
        "expects device to be interpreter or engine, but got '" +
        request.device + "'");
  if (request.device == "engine" &&
      !StringRef(request.path).rtrim('/').ends_with(".anepkg"))
    return llvm::createStringError("device='engine' runs bundles (.anepkg)");
  return llvm::Error::success();
}

std::unique_ptr<Session> Session::load(const LoadRequest &request,
                                       const Cancel &cancel, Status &status) {
  auto impl = std::make_unique<Impl>();
  impl->context = makeContext();
  impl->path = request.path;
  call(*impl->context, request.path, cancel, status, [&]() -> llvm::Error {
    llvm::Expected<LoadOptions> load = readLoad(request);
    if (!load) {
      status.misuse = true;
      return load.takeError();
    }
    if (llvm::Error error = checkDevice(request)) {
      status.misuse = true;
      return error;
    }
    DeviceOptions device;
    device.function = request.function;
    device.verify = request.verify;
    auto loaded = request.device == "engine"
                      ? openOnDevice(request.path, impl->context.get(), device)
                      : loadArtifact(request.path, impl->context.get(), *load);
    if (failed(loaded))
      return reported();
    impl->executable = std::move(*loaded);
    impl->inputs = toPorts(impl->executable->inputs());
    impl->outputs = toPorts(impl->executable->outputs());
    return llvm::Error::success();
  });
  if (!status.ok)
    return nullptr;
  return std::unique_ptr<Session>(new Session(std::move(impl)));
}

Status anemlir::bridge::findIllegal(const LoadRequest &request,
                                    std::vector<Message> &illegal) {
  Status status;
  std::unique_ptr<MLIRContext> context = makeContext();
  call(*context, request.path, {}, status, [&]() -> llvm::Error {
    llvm::Expected<LoadOptions> load = readLoad(request);
    if (!load) {
      status.misuse = true;
      return load.takeError();
    }
    const Target &target = load->target ? *load->target : getDefaultTarget();
    auto found = findIllegalOps(request.path, target, context.get(), *load);
    if (failed(found))
      return reported();
    for (const IllegalOp &op : *found)
      illegal.push_back({"error", op.node, op.rule,
                         "'" + op.op + "' is not legal on " +
                             target.name.str() + ": " + op.reason,
                         errorMessage(op.rule).remedy});
    return llvm::Error::success();
  });
  return status;
}

//===----------------------------------------------------------------------===//
// Running
//===----------------------------------------------------------------------===//

llvm::Error
Session::Impl::bind(const std::vector<std::pair<std::string, ArrayView>> &given,
                    std::vector<Tensor> &arguments) const {
  ArrayRef<ane::Port> ports = executable->inputs();
  auto names = llvm::map_to_vector(
      ports, [](const ane::Port &port) { return StringRef(port.name); });
  arguments.resize(ports.size());
  for (auto &[name, array] : given) {
    const ane::Port *port = findPort(ports, name);
    if (!port)
      return llvm::createStringError("'" + name + "' is no input" +
                                     suggest(name, names));
    Tensor &argument = arguments[port - ports.begin()];
    if (argument)
      return llvm::createStringError("input '" + port->name +
                                     "' is given twice");
    auto tensor = toTensor(array, name);
    if (!tensor)
      return tensor.takeError();
    if (llvm::Error error =
            checkDType(*tensor, *port, "the array", "convert it with astype"))
      return error;
    auto carried = carry(*port, *tensor);
    if (!carried)
      return carried.takeError();
    argument = *carried;
  }
  for (auto [port, argument] : llvm::zip(ports, arguments)) {
    if (!argument && port.fallback) {
      auto carried = carry(port, leftOut(port));
      if (!carried)
        return carried.takeError();
      argument = *carried;
    }
    if (!argument)
      return llvm::createStringError(
          "input '" + port.name + "' is not given; it is " +
          getInfo(port.dtype).name + " [" + shapeText(port.shape) + "]");
  }
  return llvm::Error::success();
}

RunResult
Session::run(const std::vector<std::pair<std::string, ArrayView>> &inputs,
             const std::string &numericsName, const Cancel &cancel) {
  RunResult result;
  std::lock_guard<std::mutex> one(impl->mutex);
  call(*impl->context, impl->path, cancel, result, [&]() -> llvm::Error {
    std::optional<Numerics> numerics = lookupNumerics(numericsName);
    std::vector<Tensor> arguments;
    llvm::Error wrong =
        numerics
            ? impl->bind(inputs, arguments)
            : llvm::createStringError(
                  "expects numerics to be fp32, fp16 or engine, but got '" +
                  numericsName + "'");
    if (wrong) {
      result.misuse = true;
      return wrong;
    }
    SmallVector<Tensor> results;
    auto start = std::chrono::steady_clock::now();
    bool ran = succeeded(impl->executable->run(arguments, results, *numerics));
    result.seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start)
            .count();
    if (llvm::Error error = MappedFile::checkUnchanged())
      return error;
    if (!ran)
      return reported();
    if (llvm::Error error =
            convertResults(impl->executable->outputs(), results))
      return error;
    for (auto [port, tensor] : llvm::zip(impl->outputs, results))
      result.outputs.emplace_back(port.name, toArray(tensor));
    return llvm::Error::success();
  });
  return result;
}
