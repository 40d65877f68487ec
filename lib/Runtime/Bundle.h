//===- Bundle.h - a manifest that was checked -----------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_LIB_RUNTIME_BUNDLE_H
#define ANEMLIR_LIB_RUNTIME_BUNDLE_H

#include "Convert.h"
#include <memory>

namespace ane::runtime {

/// A read-only mapping of a file.
class FileMap {
public:
  explicit FileMap(const std::string &path, ane_status status = ANE_BAD_BUNDLE);
  ~FileMap();
  FileMap(const FileMap &) = delete;
  FileMap &operator=(const FileMap &) = delete;
  const char *data() const { return bytes; }
  size_t size() const { return length; }
  const std::string path;

private:
  const char *bytes = nullptr;
  size_t length = 0;
};

/// lib/Target/Bundle/Manifest.fbs, with nothing in it that contradicts itself:
/// indices exist, shapes can be counted, layouts follow the rule of
/// engine/runtime.md §3.5, every tensor is written before it is read.
struct Bundle {
  struct Surface {
    uint32_t program;
    std::string symbol;
    bool isInput;
    /// Of the padded surface, and of the tensor in it.
    std::array<int64_t, 4> shape;
    Layout layout;
    uint64_t allocation;
  };
  struct Tensor {
    std::string name;
    ane_dtype dtype;
    /// -1 where only a run tells.
    std::vector<int64_t> shape;
    std::vector<Surface> surfaces;
    bool isStatic() const;
    int64_t count() const;
    /// The surface of a parameter; null where it has none (host programs).
    const Surface *find(uint32_t program, const std::string &symbol,
                        bool isInput) const;
  };
  struct Binding {
    std::string symbol;
    uint32_t tensor;
  };
  struct Procedure {
    std::string name;
    std::vector<Binding> inputs, outputs;
  };
  struct Weights {
    std::string path, file;
    uint64_t offset, size;
  };
  struct Program {
    bool isEngine;
    std::string text;
    std::vector<Weights> weights;
    std::vector<Procedure> procedures;
    double predictedUs;
  };
  struct Step {
    uint32_t program, procedure;
  };
  struct Port {
    std::string name;
    ane_dtype dtype;
    uint32_t tensor;
    std::vector<int64_t> shape;
    size_t bytes;
  };

  /// What is kept between calls (Manifest.fbs, State); axis -1 where the output
  /// is the next input.
  struct State {
    uint32_t input, output;
    int32_t axis;
  };
  struct Function {
    std::string name;
    std::vector<std::string> dimNames;
    std::vector<int64_t> dimValues;
    std::vector<Step> schedule;
    std::vector<Port> inputs, outputs;
    std::vector<State> states;
    /// Of dimNames.
    std::vector<const char *> dimPointers;
    int64_t dim(const std::string &name) const;
  };

  std::string path, target;
  std::vector<Tensor> tensors;
  std::vector<Program> programs;
  /// One at least; the first is the default.
  std::vector<Function> functions;
  /// From so many tokens of a text left on, the function that takes the next of
  /// them; ascending.
  std::vector<std::pair<int64_t, size_t>> plan;

  /// Of a text of which so many tokens are left; throws where the bundle has no
  /// plan.
  size_t findPlanned(int64_t left) const;
  /// By name; throws, naming those that there are.
  size_t findFunction(const std::string &name) const;
  /// The function whose extent of `dim` is the least of those that are at least
  /// `length`; an empty `dim` is the one in which functions differ.
  size_t findBucket(std::string dim, int64_t length) const;

  static std::shared_ptr<Bundle> open(const std::string &path);
  std::string child(const std::string &relative) const {
    return path + "/" + relative;
  }
};

} // namespace ane::runtime

#endif // ANEMLIR_LIB_RUNTIME_BUNDLE_H
