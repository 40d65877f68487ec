//===- Bridge.h - the compiler as plain C++ -------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// What the Python module calls, in types of the standard library alone: this
// library holds MLIR and is built once, the module is small and is built for
// each Python. Nothing here is computed twice; each function is a call of
// lib/Compiler or lib/Artifact with its messages collected.
//
// Functions may be called from any thread, several at a time. None throws
// anything but std::bad_alloc.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_PYTHON_NATIVE_BRIDGE_H
#define ANEMLIR_PYTHON_NATIVE_BRIDGE_H

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#define ANEMLIR_EXPORT __attribute__((visibility("default")))

namespace anemlir::bridge {

/// One thing that the compiler said.
struct Message {
  /// "error", "warning", "remark" or "note".
  std::string severity;
  /// The ONNX node or MIL operation, or "file:line:column"; empty for what is
  /// about the whole model.
  std::string node;
  /// Identifier of the target's rule or limit, if it is about one.
  std::string rule;
  std::string message;
  /// What the owner of the model can do; empty where nothing is known.
  std::string remedy;
};

/// How a call ended. Where it is not ok, at least one message is an error.
struct Status {
  bool ok = false;
  /// What was asked for cannot be asked for: nothing was tried.
  bool misuse = false;
  std::vector<Message> messages;
};

using Progress = std::function<void(const std::string &phase, size_t done,
                                    size_t total, const std::string &what)>;
/// Set from another thread to end a call; see CancelScope.
using Cancel = std::shared_ptr<std::atomic<bool>>;

//===----------------------------------------------------------------------===//
// Compiling
//===----------------------------------------------------------------------===//

struct CompileRequest {
  std::string input, output;
  /// Flags of onnx-to-ane: "--target=m1".
  std::vector<std::string> flags;
  /// Names may hold what flags cannot.
  std::vector<std::pair<std::string, std::vector<int64_t>>> dims, shapes;
  /// Place and report; write nothing.
  bool reportOnly = false;
};

struct CompileResult : Status {
  /// As onnx-to-ane --report and --trace write them; empty where the output is
  /// a text, which has no placement.
  std::string reportJSON, reportHTML, reportText, traceJSON;
};
ANEMLIR_EXPORT CompileResult compile(const CompileRequest &request,
                                     const Progress &progress,
                                     const Cancel &cancel);

//===----------------------------------------------------------------------===//
// Running
//===----------------------------------------------------------------------===//

/// An input or output: the user's name, its name in the model where an artifact
/// could not keep it, MIL's dtype ("fp16"), NumPy's ("f2"; empty where NumPy
/// has none), and its shape (-1 where the data decides).
struct Port {
  std::string name, alias, dtype, numpy;
  std::vector<int64_t> shape;
};

/// Elements in row-major order, little-endian.
struct ArrayView {
  std::string numpy;
  std::vector<int64_t> shape;
  const void *data = nullptr;
  size_t bytes = 0;
};
struct Array {
  std::string numpy;
  std::vector<int64_t> shape;
  /// With malloc(), for whoever takes it to free().
  void *data = nullptr;
  size_t bytes = 0;
};

struct RunResult : Status {
  std::vector<std::pair<std::string, Array>> outputs;
  /// Seconds in the interpreter itself, without conversion of arrays.
  double seconds = 0;
};

struct LoadRequest {
  std::string path, function;
  std::vector<std::pair<std::string, std::vector<int64_t>>> shapes;
  /// Compare weight files with the sums in their names.
  bool verify = true;
  /// Of a text or package: whose engine "engine" numerics are; empty for h16.
  std::string target;
  /// Where programs of a bundle's engine run: "interpreter", or "engine"
  /// through the runtime.
  std::string device = "interpreter";
};

/// A loaded artifact, with its weights. Calls of one session wait for each
/// other.
class ANEMLIR_EXPORT Session {
public:
  ~Session();
  /// Null where `status` says why.
  static std::unique_ptr<Session> load(const LoadRequest &request,
                                       const Cancel &cancel, Status &status);
  const std::vector<Port> &inputs() const;
  const std::vector<Port> &outputs() const;
  /// `inputs` are viewed, not copied, where they are fp32 and aligned; they
  /// have to live until the call ends. `numerics` is fp32, fp16 or engine.
  RunResult run(const std::vector<std::pair<std::string, ArrayView>> &inputs,
                const std::string &numerics, const Cancel &cancel);

private:
  struct Impl;
  explicit Session(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl;
};

/// How far `actual` is from `expected` (Compare.h).
struct Comparison {
  bool ok = false, sameShape = true;
  double worst = 0, largest = 0, cosine = 1;
  size_t outside = 0;
};
ANEMLIR_EXPORT Comparison compare(const ArrayView &actual,
                                  const ArrayView &expected, double rtol,
                                  double atol);

//===----------------------------------------------------------------------===//
// Looking
//===----------------------------------------------------------------------===//

/// What mil-verify finds: rule, place and message.
struct Finding {
  std::string rule, place, message;
};
ANEMLIR_EXPORT Status verify(const std::string &path,
                             std::vector<Finding> &findings);

/// Operations of a MIL text or package that an engine of `target` would not
/// take as they are, as messages of severity "error". Not ok where it cannot be
/// read.
ANEMLIR_EXPORT Status findIllegal(const LoadRequest &request,
                                  std::vector<Message> &illegal);

/// What ane-info and ane-diff write with --json.
ANEMLIR_EXPORT Status describe(const std::string &path, std::string &json);
ANEMLIR_EXPORT Status diff(const std::string &a, const std::string &b, bool run,
                           const Cancel &cancel, bool &same, std::string &json);

struct TargetInfo {
  std::string name, summary;
  std::vector<std::string> chips;
};
ANEMLIR_EXPORT std::vector<TargetInfo> targets();
/// Why what is at a path must not be replaced by an artifact; else empty.
ANEMLIR_EXPORT std::string whyNotReplaceable(const std::string &path);
/// False, and those that are known in `text`, for an unknown one.
ANEMLIR_EXPORT bool explain(const std::string &id, std::string &text);
/// Runs a pass pipeline on the text of a module.
ANEMLIR_EXPORT Status runPipeline(const std::string &text,
                                  const std::string &pipeline,
                                  const Cancel &cancel, std::string &result);
ANEMLIR_EXPORT std::string version();

/// Runs a command-line tool, "ane-check", in this process, to which its signals
/// and standard streams belong from then on; its exit status, 127 for a name
/// that is none. Once in a process, which ends behind it.
ANEMLIR_EXPORT int runTool(const std::string &name,
                           const std::vector<std::string> &arguments);

/// To be called once, before all others.
ANEMLIR_EXPORT void initialize();

} // namespace anemlir::bridge

#endif // ANEMLIR_PYTHON_NATIVE_BRIDGE_H
