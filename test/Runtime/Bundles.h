//===- Bundles.h - small bundles, made for tests of the runtime -----------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_TEST_RUNTIME_BUNDLES_H
#define ANEMLIR_TEST_RUNTIME_BUNDLES_H

#include "StandIn/ane_standin.h"
#include "ane-mlir/Runtime/ane_runtime.h"
#include "lib/Runtime/Engine.h"
#include <gtest/gtest.h>
#include <string>
#include <vector>

/// The stand-in's controls, from the library that the runtime loads.
struct StandIn {
  static void configure(const std::string &words);
  static ane_standin_counts counts();
  static const char *library();
};

/// A folder that goes with the test, and is the staging directory of devices.
class Folder {
public:
  Folder();
  ~Folder();
  const std::string &path() const { return folder; }
  std::string child(const std::string &name) const {
    return folder + "/" + name;
  }
  /// Names in it, sorted.
  std::vector<std::string> list() const;

private:
  std::string folder;
};

using Shape = std::vector<int64_t>;

/// A program over [1, C, H, W] surfaces of fp16: results are sums of inputs and
/// a number.
struct TestProgram {
  std::string kind = "ane";
  /// (symbol, tensor) in any order.
  std::vector<std::pair<std::string, unsigned>> inputs, outputs;
  /// Each output is the sum of all inputs plus this and its position.
  double number = 0;
  std::vector<std::string> weightFiles = {};
  /// Instead of the text that is made of these.
  std::string text = {};
};
struct TestTensor {
  std::string name, dtype;
  int64_t channels, width, height = 1;
  /// Of the width of its surfaces.
  int64_t multiple = 32;
};
/// Some of the programs, with their own ports.
struct TestFunction {
  struct State {
    unsigned input, output;
    int axis;
  };
  std::string name;
  int64_t length;
  std::vector<unsigned> schedule;
  std::vector<std::pair<unsigned, std::string>> inputs, outputs;
  std::vector<State> states;
};
struct TestBundle {
  std::vector<TestTensor> tensors;
  std::vector<TestProgram> programs;
  /// Where there are several, or states; tensors of one name are then one port
  /// of several functions.
  std::vector<TestFunction> functions = {};
  /// From so many tokens left on, a function.
  std::vector<std::pair<int64_t, uint32_t>> plan = {};
  /// Tensors, and the user's dtypes.
  std::vector<std::pair<unsigned, std::string>> inputs, outputs;
  std::string target = "h16";
  void write(const std::string &path) const;
};

/// y = x + number, `width` wide (padded to 32), fp32 for the user.
TestBundle makeAdd(double number, int64_t width = 20, int64_t height = 1);
/// x → p0 → p1 → … → y, each adding its number; `host` makes that one a host
/// step.
TestBundle makeChain(unsigned length, int host = -1);
/// y, next = x + state, x + state + 1.
TestBundle makeState(int64_t channels = 4);

/// MIL text of one function.
std::string milText(const std::string &parameters, const std::string &body,
                    const std::string &results);

/// Handles that are closed.
struct Opened {
  ane_bundle *bundle = nullptr;
  ane_device *device = nullptr;
  ane_session *session = nullptr;
  ane_status status = ANE_OK;
  std::string message;

  Opened() = default;
  ~Opened() { close(); }
  Opened(const Opened &) = delete;
  void close();
  /// Opens all three; false and a message where one fails.
  bool open(const std::string &path, const ane_device_options &options,
            const ane_session_options *session = nullptr);
  bool note(ane_status now);
};
ane_device_options onStandIn(const Folder &staging);

/// Binds one input and one output of fp32, runs, returns the output.
std::vector<float> runOnce(Opened &opened, const std::vector<float> &input,
                           bool &ok);

#endif // ANEMLIR_TEST_RUNTIME_BUNDLES_H
