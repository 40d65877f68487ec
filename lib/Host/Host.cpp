//===- Host.cpp - host steps by the interpreter ---------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Artifact/LoadedProgram.h"
#include "ane-mlir/Host/ane_host.h"
#include "ane-mlir/Interpreter/Blas.h"
#include "ane-mlir/Support/WeightData.h"
#include "dialects/ANE/IR/Structure.h"
#include "dialects/MIL/IR/MIL.h"
#include "mlir/IR/Diagnostics.h"
#include "llvm/Support/Path.h"
#include <cstdlib>
#include <dlfcn.h>
#include <mutex>

using namespace mlir;
using namespace mlir::ane;

namespace {
/// One context for all programs: its pool of threads is shared.
struct Host {
  explicit Host(Numerics numerics) : numerics(numerics) {
    findBlas();
    DialectRegistry registry;
    registry.insert<ANEDialect, mil::MILDialect>();
    registerEvaluationModels(registry);
    context.appendDialectRegistry(registry);
    context.loadDialect<ANEDialect, mil::MILDialect>();
  }
  void findBlas();
  MLIRContext context;
  Numerics numerics;
  /// Of the system's library; why there is none where one was asked for.
  SGemm sgemm = nullptr;
  std::string whyNoBlas;
};

/// Keeps the first error of a thread for the caller's message.
class Message {
public:
  Message(MLIRContext *context, char *text, size_t size)
      : text(text), size(size),
        handler(context, [this](Diagnostic &diagnostic) {
          if (diagnostic.getSeverity() == DiagnosticSeverity::Error &&
              said.empty())
            said = diagnostic.str();
          return success();
        }) {}
  ane_status fail(ane_status status, StringRef otherwise = "") {
    StringRef words = said.empty() ? otherwise : StringRef(said);
    if (size) {
      size_t length = std::min(words.size(), size - 1);
      std::copy_n(words.data(), length, text);
      text[length] = 0;
    }
    return status;
  }

private:
  char *text;
  size_t size;
  std::string said;
  ScopedDiagnosticHandler handler;
};

struct Program {
  Host *host;
  LoadedProgram loaded;
  std::mutex mutex;
};
} // namespace

/// ANE_HOST_BLAS names a library with cblas_sgemm, or is "none"; on a Mac it is
/// Accelerate otherwise.
void Host::findBlas() {
  const char *asked = std::getenv("ANE_HOST_BLAS");
  std::string path = asked ? asked : "";
#ifdef __APPLE__
  if (!asked)
    path = "/System/Library/Frameworks/Accelerate.framework/Accelerate";
#endif
  if (path.empty() || path == "none")
    return;
  // It stays as long as the process does.
  void *library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  sgemm = library ? reinterpret_cast<SGemm>(dlsym(library, "cblas_sgemm"))
                  : nullptr;
  if (!sgemm && asked)
    whyNoBlas = "ANE_HOST_BLAS: " + (library ? path + " has no cblas_sgemm"
                                             : std::string(dlerror()));
}

/// Diagnostics have no thread: whoever may cause one holds this.
static std::mutex &diagnosticsMutex() {
  static std::mutex mutex;
  return mutex;
}

static DType toDType(ane_dtype dtype) {
  return *lookupDType(ane_dtype_name(dtype));
}
static std::optional<ane_dtype> fromDType(DType dtype) {
  for (int i = ANE_FP16; i <= ANE_UINT64; ++i)
    if (getInfo(dtype).name == ane_dtype_name(ane_dtype(i)))
      return ane_dtype(i);
  return std::nullopt;
}

/// Calls row(bytes, offset in the packed array, length) for each row of a
/// buffer; rows that follow each other are one.
template <typename Fn>
static void forEachRow(const ane_host_buffer &buffer, Fn row) {
  size_t element = ane_dtype_size(buffer.dtype);
  size_t axes = buffer.rank;
  int64_t length = int64_t(element);
  while (axes && buffer.strides[axes - 1] == length)
    length *= buffer.shape[--axes];
  for (size_t i = 0; i < axes; ++i)
    if (!buffer.shape[i])
      return;
  SmallVector<int64_t, 6> index(axes);
  size_t packed = 0;
  while (true) {
    char *at = static_cast<char *>(buffer.data);
    for (size_t i = 0; i < axes; ++i)
      at += index[i] * buffer.strides[i];
    row(at, packed, size_t(length));
    packed += size_t(length);
    size_t axis = axes;
    while (axis && ++index[axis - 1] == buffer.shape[axis - 1])
      index[--axis] = 0;
    if (!axis)
      return;
  }
}

static Tensor read(const ane_host_buffer &buffer) {
  ArrayRef<int64_t> shape(buffer.shape, buffer.rank);
  size_t bytes = ane_dtype_size(buffer.dtype);
  for (int64_t dim : shape)
    bytes *= size_t(dim);
  std::vector<char> packed(bytes);
  if (bytes)
    forEachRow(buffer, [&](const char *row, size_t offset, size_t length) {
      std::copy_n(row, length, packed.data() + offset);
    });
  return Tensor::fromBytes(toDType(buffer.dtype), shape, packed);
}

/// False where the result is not what the buffer is for.
static bool write(const Tensor &tensor, ane_host_buffer &buffer) {
  if (fromDType(tensor.dtype()) != buffer.dtype ||
      size_t(tensor.rank()) != buffer.rank)
    return false;
  if (buffer.resize) {
    if (!buffer.resize(&buffer, buffer.rank, tensor.shape().data()))
      return false;
  } else if (tensor.shape() != ArrayRef<int64_t>(buffer.shape, buffer.rank)) {
    return false;
  }
  std::vector<char> packed = tensor.toBytes();
  if (!packed.empty())
    forEachRow(buffer, [&](char *row, size_t offset, size_t length) {
      std::copy_n(packed.data() + offset, length, row);
    });
  return true;
}

static SmallString<128> below(const char *folder, const char *name) {
  SmallString<128> path(folder);
  llvm::sys::path::append(path, name);
  return path;
}

static ane_status openProgram(void *context, const ane_host_program *described,
                              void **state, char *text, size_t size) {
  Host &host = *static_cast<Host *>(context);
  std::lock_guard<std::mutex> guard(diagnosticsMutex());
  Message message(&host.context, text, size);
  if (!host.whyNoBlas.empty())
    return message.fail(ANE_NO_HOST, host.whyNoBlas);
  std::string bundle = described->bundle;
  std::vector<std::pair<std::string, std::string>> files;
  for (size_t i = 0; i < described->weight_count; ++i)
    files.push_back({described->weight_paths[i], described->weight_files[i]});
  if (llvm::Error error = checkInside(bundle, described->text, "the bundle"))
    return message.fail(ANE_BAD_BUNDLE, llvm::toString(std::move(error)));
  const Target *target = lookupTarget(described->target);
  if (!target)
    return message.fail(ANE_BAD_BUNDLE, "its target is not known");
  FailureOr<MILSource> source =
      MILSource::open(below(described->bundle, described->text), &host.context);
  if (failed(source))
    return message.fail(ANE_BAD_BUNDLE, "its text cannot be read");
  source->weights = [bundle, files](StringRef wanted)
      -> llvm::Expected<std::shared_ptr<const MappedFile>> {
    for (auto &[name, file] : files)
      if (name == wanted)
        return MappedFile::openInside(bundle, file, "the bundle");
    return llvm::createStringError("the manifest has no file for '" + wanted +
                                   "'");
  };
  LoadOptions options;
  options.function = described->procedure;
  FailureOr<LoadedProgram> loaded =
      LoadedProgram::raise(std::move(*source), options);
  if (failed(loaded))
    return message.fail(ANE_BAD_BUNDLE, "its text cannot be raised");
  ModuleOp module = *loaded->module;
  if (auto absent = module->getAttrOfType<StringAttr>(marks::kAbsentWeights))
    return message.fail(ANE_BAD_BUNDLE, absent.getValue().str());
  auto program = std::make_unique<Program>();
  program->host = &host;
  program->loaded = std::move(*loaded);
  if (described->is_engine)
    program->loaded.engine = &target->numerics;
  *state = program.release();
  return ANE_OK;
}

static ane_status runProgram(void *state, const ane_host_buffer *inputs,
                             size_t inputCount, ane_host_buffer *outputs,
                             size_t outputCount, char *text, size_t size) {
  Program &program = *static_cast<Program *>(state);
  std::lock_guard<std::mutex> diagnostics(diagnosticsMutex());
  Message message(&program.host->context, text, size);
  std::lock_guard<std::mutex> guard(program.mutex);
  SmallVector<Tensor> arguments, results;
  try {
    for (size_t i = 0; i < inputCount; ++i)
      arguments.push_back(read(inputs[i]));
    ProgramOp op = program.loaded.program;
    if (op.getArgumentTypes().size() != inputCount ||
        op.getResultTypes().size() != outputCount)
      return message.fail(ANE_BAD_BUNDLE,
                          "the manifest binds more or fewer arrays than its "
                          "text has");
    for (auto [type, argument] : llvm::zip(op.getArgumentTypes(), arguments)) {
      auto tensor = cast<RankedTensorType>(type);
      if (::toDType(*fromDType(argument.dtype())) !=
              mlir::ane::toDType(tensor.getElementType()) ||
          failed(verifyCompatibleShape(tensor.getShape(), argument.shape())))
        return message.fail(ANE_BAD_BUNDLE,
                            "an array does not have the type of its "
                            "program's parameter");
    }
    BlasScope blas(program.host->sgemm);
    if (failed(program.loaded.run(arguments, results, program.host->numerics)))
      return message.fail(ANE_RUN_FAILED, "the interpreter stopped");
    for (size_t i = 0; i < outputCount; ++i)
      if (!write(results[i], outputs[i]))
        return message.fail(ANE_RUN_FAILED,
                            "a result is not what the manifest says");
  } catch (const EvaluationError &error) {
    return message.fail(ANE_OUT_OF_MEMORY, error.message);
  } catch (const std::bad_alloc &) {
    return message.fail(ANE_OUT_OF_MEMORY, "this machine's memory is used up");
  }
  return ANE_OK;
}

static void closeProgram(void *state) { delete static_cast<Program *>(state); }

const ane_host_functions *ane_host_interpreter(const char *numerics) {
  std::optional<Numerics> asked =
      lookupNumerics(numerics ? numerics : "engine");
  if (!asked)
    return nullptr;
  static std::mutex mutex;
  static ane_host_functions *made[3] = {};
  std::lock_guard<std::mutex> guard(mutex);
  ane_host_functions *&functions = made[unsigned(*asked)];
  if (!functions)
    functions =
        new ane_host_functions{sizeof(ane_host_functions), new Host(*asked),
                               openProgram, runProgram, closeProgram};
  return functions;
}
