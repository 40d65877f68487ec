//===- Module.cpp - ane_mlir._core ----------------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// Plain values in and out; the classes that users see are Python's
// (python/ane_mlir).
//
//===----------------------------------------------------------------------===//

#include "Interrupt.h"
#include <cstdlib>
#include <nanobind/ndarray.h>
#include <nanobind/stl/function.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

namespace nb = nanobind;
using namespace nb::literals;
using namespace anemlir;
using namespace anemlir::python;

using Messages = std::vector<std::tuple<std::string, std::string, std::string,
                                        std::string, std::string>>;
using Shapes = std::vector<std::pair<std::string, std::vector<int64_t>>>;
using Ports = std::vector<std::tuple<std::string, std::string, std::string,
                                     std::string, std::vector<int64_t>>>;
using InputArray = nb::ndarray<nb::ro, nb::c_contig, nb::device::cpu>;

static Messages toTuples(const std::vector<bridge::Message> &messages) {
  Messages result;
  for (const bridge::Message &m : messages)
    result.emplace_back(m.severity, m.node, m.rule, m.message, m.remedy);
  return result;
}

//===----------------------------------------------------------------------===//
// Compiling
//===----------------------------------------------------------------------===//

/// A Python callable as the bridge calls it, from any thread.
static bridge::Progress toProgress(nb::object callable) {
  if (callable.is_none())
    return {};
  auto held = hold(std::vector<nb::object>{std::move(callable)});
  return [held](const std::string &phase, size_t done, size_t total,
                const std::string &what) {
    nb::gil_scoped_acquire gil;
    try {
      held->front()(phase, done, total, what);
    } catch (nb::python_error &error) {
      error.discard_as_unraisable("progress of ane_mlir.compile");
    }
  };
}

static nb::tuple compile(const std::string &input, const std::string &output,
                         const std::vector<std::string> &flags,
                         const Shapes &dims, const Shapes &shapes,
                         bool reportOnly, nb::object progress) {
  bridge::CompileRequest request{input, output, flags,
                                 dims,  shapes, reportOnly};
  bridge::Progress listener = toProgress(std::move(progress));
  auto result = interruptible<bridge::CompileResult>(
      [request, listener](const bridge::Cancel &cancel) {
        if (!listener)
          return bridge::compile(request, {}, cancel);
        // Nothing is heard of what is given up.
        auto told = [&](const std::string &phase, size_t done, size_t total,
                        const std::string &what) {
          if (!*cancel)
            listener(phase, done, total, what);
        };
        return bridge::compile(request, told, cancel);
      });
  return nb::make_tuple(result.ok, result.misuse, toTuples(result.messages),
                        result.reportJSON, result.reportHTML, result.reportText,
                        result.traceJSON);
}

//===----------------------------------------------------------------------===//
// Arrays
//===----------------------------------------------------------------------===//

static bridge::ArrayView toView(const InputArray &array) {
  bridge::ArrayView view;
  nb::dlpack::dtype type = array.dtype();
  const char *kind = type.code == uint8_t(nb::dlpack::dtype_code::Int)     ? "i"
                     : type.code == uint8_t(nb::dlpack::dtype_code::UInt)  ? "u"
                     : type.code == uint8_t(nb::dlpack::dtype_code::Float) ? "f"
                     : type.code == uint8_t(nb::dlpack::dtype_code::Bool) ? "b"
                                                                          : "?";
  view.numpy = kind + std::to_string(type.bits / 8);
  for (size_t i = 0; i < array.ndim(); ++i)
    view.shape.push_back(array.shape(i));
  view.data = array.data();
  view.bytes = array.nbytes();
  return view;
}

static nb::object toNumPy(bridge::Array &array) {
  nb::capsule owner(array.data, [](void *data) noexcept { free(data); });
  nb::dlpack::dtype type;
  switch (array.numpy[0]) {
  case 'f':
    type.code = uint8_t(nb::dlpack::dtype_code::Float);
    break;
  case 'u':
    type.code = uint8_t(nb::dlpack::dtype_code::UInt);
    break;
  case 'b':
    type.code = uint8_t(nb::dlpack::dtype_code::Bool);
    break;
  default:
    type.code = uint8_t(nb::dlpack::dtype_code::Int);
  }
  type.bits = 8 * std::stoi(array.numpy.substr(1));
  type.lanes = 1;
  std::vector<size_t> shape(array.shape.begin(), array.shape.end());
  return nb::cast(nb::ndarray<nb::numpy>(array.data, shape.size(), shape.data(),
                                         owner, nullptr, type));
}

static nb::tuple compare(const InputArray &actual, const InputArray &expected,
                         double rtol, double atol) {
  bridge::Comparison found =
      bridge::compare(toView(actual), toView(expected), rtol, atol);
  return nb::make_tuple(found.ok, found.sameShape, found.worst, found.largest,
                        found.cosine, found.outside);
}

//===----------------------------------------------------------------------===//
// Sessions
//===----------------------------------------------------------------------===//

static Ports toTuples(const std::vector<bridge::Port> &ports) {
  Ports result;
  for (const bridge::Port &p : ports)
    result.emplace_back(p.name, p.alias, p.dtype, p.numpy, p.shape);
  return result;
}

namespace {
struct Session {
  /// Shared with work that goes on behind an interrupted call.
  std::shared_ptr<bridge::Session> loaded;

  nb::tuple run(const std::vector<std::pair<std::string, InputArray>> &inputs,
                const std::string &numerics) const {
    std::vector<std::pair<std::string, bridge::ArrayView>> views;
    std::vector<InputArray> arrays;
    for (auto &[name, array] : inputs) {
      views.emplace_back(name, toView(array));
      arrays.push_back(array);
    }
    auto result = interruptible<bridge::RunResult>(
        [loaded = loaded, views, numerics](const bridge::Cancel &cancel) {
          return loaded->run(views, numerics, cancel);
        },
        hold(std::move(arrays)));
    nb::list outputs;
    for (auto &[name, array] : result.outputs)
      outputs.append(nb::make_tuple(name, toNumPy(array)));
    return nb::make_tuple(result.ok, result.misuse, toTuples(result.messages),
                          outputs, result.seconds);
  }
};
} // namespace

static nb::tuple load(const std::string &path, const std::string &function,
                      const Shapes &shapes, bool verify,
                      const std::string &target, const std::string &device) {
  using Loaded = std::pair<bridge::Status, std::shared_ptr<bridge::Session>>;
  bridge::LoadRequest request{path, function, shapes, verify, target, device};
  auto [status, session] =
      interruptible<Loaded>([request](const bridge::Cancel &cancel) -> Loaded {
        bridge::Status status;
        std::shared_ptr<bridge::Session> session =
            bridge::Session::load(request, cancel, status);
        return {status, session};
      });
  return nb::make_tuple(status.ok, status.misuse, toTuples(status.messages),
                        session ? nb::cast(Session{session}) : nb::none());
}

//===----------------------------------------------------------------------===//
// Looking
//===----------------------------------------------------------------------===//

static nb::tuple verify(const std::string &path) {
  std::vector<bridge::Finding> findings;
  bridge::Status status;
  {
    nb::gil_scoped_release release;
    status = bridge::verify(path, findings);
  }
  std::vector<std::tuple<std::string, std::string, std::string>> found;
  for (bridge::Finding &f : findings)
    found.emplace_back(f.rule, f.place, f.message);
  return nb::make_tuple(status.ok, toTuples(status.messages), found);
}

static nb::tuple findIllegal(const std::string &path, const Shapes &shapes,
                             const std::string &target) {
  std::vector<bridge::Message> illegal;
  bridge::Status status;
  {
    nb::gil_scoped_release release;
    status = bridge::findIllegal({path, "", shapes, false, target}, illegal);
  }
  return nb::make_tuple(status.ok, status.misuse, toTuples(status.messages),
                        toTuples(illegal));
}

static nb::tuple describe(const std::string &path) {
  std::string json;
  bridge::Status status;
  {
    nb::gil_scoped_release release;
    status = bridge::describe(path, json);
  }
  return nb::make_tuple(status.ok, toTuples(status.messages), json);
}

static nb::tuple diff(const std::string &a, const std::string &b, bool run) {
  struct Result {
    bridge::Status status;
    bool same = false;
    std::string json;
  };
  auto result =
      interruptible<Result>([a, b, run](const bridge::Cancel &cancel) {
        Result result;
        result.status =
            bridge::diff(a, b, run, cancel, result.same, result.json);
        return result;
      });
  return nb::make_tuple(result.status.ok, toTuples(result.status.messages),
                        result.same, result.json);
}

static nb::tuple runPipeline(const std::string &text,
                             const std::string &pipeline) {
  using Result = std::pair<bridge::Status, std::string>;
  auto [status, printed] =
      interruptible<Result>([text, pipeline](const bridge::Cancel &cancel) {
        Result result;
        result.first =
            bridge::runPipeline(text, pipeline, cancel, result.second);
        return result;
      });
  return nb::make_tuple(status.ok, toTuples(status.messages), printed);
}

static nb::tuple explain(const std::string &id) {
  std::string text;
  bool known = bridge::explain(id, text);
  return nb::make_tuple(known, text);
}

static nb::list targets() {
  nb::list result;
  for (bridge::TargetInfo &target : bridge::targets())
    result.append(nb::make_tuple(target.name, target.summary, target.chips));
  return result;
}

NB_MODULE(_core, m) {
  bridge::initialize();
  m.attr("version") = bridge::version();
  m.def("compile", compile, "input"_a, "output"_a, "flags"_a, "dims"_a,
        "shapes"_a, "report_only"_a, "progress"_a.none());
  nb::class_<Session>(m, "Session")
      .def("inputs", [](Session &s) { return toTuples(s.loaded->inputs()); })
      .def("outputs", [](Session &s) { return toTuples(s.loaded->outputs()); })
      .def("run", &Session::run, "inputs"_a, "numerics"_a);
  m.def("load", load, "path"_a, "function"_a, "shapes"_a, "verify"_a,
        "target"_a, "device"_a);
  m.def("compare", compare, "actual"_a, "expected"_a, "rtol"_a, "atol"_a);
  m.def("verify", verify, "path"_a);
  m.def("find_illegal", findIllegal, "path"_a, "shapes"_a, "target"_a);
  m.def("describe", describe, "path"_a);
  m.def("diff", diff, "a"_a, "b"_a, "run"_a);
  m.def("run_pipeline", runPipeline, "text"_a, "pipeline"_a);
  m.def("check_replaceable", bridge::whyNotReplaceable, "path"_a);
  m.def("explain", explain, "id"_a);
  m.def("targets", targets);
  m.def("run_tool", bridge::runTool, "name"_a, "arguments"_a,
        nb::call_guard<nb::gil_scoped_release>());
  // Work that was interrupted ends before Python does.
  nb::module_::import_("atexit").attr("register")(nb::cpp_function([] {
    nb::gil_scoped_release release;
    Workers::get().finish();
  }));
}
