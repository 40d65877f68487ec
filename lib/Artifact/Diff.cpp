//===- Diff.cpp - how two artifacts differ --------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Artifact/Diff.h"
#include "Contents.h"
#include "ane-mlir/Artifact/TensorFiles.h"
#include "ane-mlir/Support/Budget.h"
#include "ane-mlir/Support/Diagnostics.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/JSON.h"
#include <cmath>
#include <random>

using namespace mlir;
using namespace mlir::ane;

static void diffOperations(const Contents (&contents)[2], ArtifactDiff &diff) {
  for (auto &[name, count] : contents[0].operations)
    diff.operations[name].first = count;
  for (auto &[name, count] : contents[1].operations)
    diff.operations[name].second = count;
}

static void diffWeights(const Contents (&contents)[2], ArtifactDiff &diff) {
  for (int i = 0; i < 2; ++i)
    for (auto &[key, weight] : contents[i].weights) {
      bool both = contents[1 - i].weights.count(key);
      if (both && i)
        continue;
      ArtifactDiff::Weights &sum = both ? diff.common : diff.only[i];
      ++sum.count;
      sum.bytes += weight.bytes;
    }
}

/// Arguments without the digests of constants.
static std::string withoutDigests(StringRef arguments) {
  std::string result;
  while (!arguments.empty()) {
    size_t at = arguments.find('#');
    result += arguments.take_front(at);
    if (at == StringRef::npos)
      break;
    arguments = arguments.drop_front(at + 1);
    arguments =
        arguments.drop_front(std::min(arguments.find(':'), arguments.size()));
  }
  return result;
}

/// Operations belong together by the names of their results, which stay as long
/// as the model's nodes have their names.
static void diffGraphs(const Contents (&contents)[2], ArtifactDiff &diff) {
  auto label = [](const Contents &c, const Contents::Function &function) {
    bool isBundle = c.functions.back().program > 0;
    return isBundle ? std::to_string(function.program) : function.name;
  };
  using Entry = std::pair<const Contents::Op *, std::string>;
  llvm::StringMap<std::vector<Entry>> before;
  for (const Contents::Function &function : contents[0].functions)
    for (const Contents::Op &op : function.ops)
      before[op.name].push_back({&op, label(contents[0], function)});
  llvm::StringMap<size_t> taken;
  for (const Contents::Function &function : contents[1].functions)
    for (const Contents::Op &op : function.ops) {
      std::string where = label(contents[1], function);
      auto it = before.find(op.name);
      size_t &index = taken[op.name];
      if (it == before.end() || index >= it->second.size()) {
        diff.added.push_back({where, op.name, {"", op.type}, {}});
        continue;
      }
      const Contents::Op &old = *it->second[index++].first;
      std::vector<std::string> what;
      if (old.type != op.type)
        what.push_back("kind");
      if (old.results != op.results)
        what.push_back("types");
      if (withoutDigests(old.arguments) != withoutDigests(op.arguments))
        what.push_back("arguments");
      else if (old.arguments != op.arguments)
        what.push_back("weights");
      if (!what.empty())
        diff.changed.push_back({where, op.name, {old.type, op.type}, what});
    }
  llvm::StringMap<size_t> left;
  for (const Contents::Function &function : contents[0].functions)
    for (const Contents::Op &op : function.ops)
      if (left[op.name]++ >= taken.lookup(op.name))
        diff.removed.push_back(
            {label(contents[0], function), op.name, {op.type, ""}, {}});
}

/// Ports belong together by name, or by position where names differ.
static SmallVector<unsigned> pairPorts(ArrayRef<Port> a, ArrayRef<Port> b) {
  SmallVector<unsigned> order;
  llvm::SmallDenseSet<unsigned> used;
  for (auto [i, port] : llvm::enumerate(a)) {
    auto it = llvm::find_if(b, [&, &port = port](const Port &other) {
      return other.name == port.name && !used.contains(&other - b.begin());
    });
    unsigned at = it == b.end() ? i : it - b.begin();
    order.push_back(at);
    used.insert(at);
  }
  if (used.size() != a.size())
    for (unsigned i = 0; i < order.size(); ++i)
      order[i] = i;
  return order;
}

namespace {
/// While one lives, diagnostics are printed as those of one artifact, if they
/// are printed.
struct Named {
  Named(const DiffOptions &options, int i, MLIRContext *context) {
    if (options.print)
      diagnostics.emplace(context, options.artifacts[i]);
  }
  std::optional<ToolDiagnostics> diagnostics;
};

/// Both artifacts, loaded, on the same inputs.
class Pair {
public:
  Pair(const DiffOptions &options, MLIRContext *context)
      : options(options), context(context) {}
  LogicalResult load();
  llvm::Error makeInputs();
  LogicalResult run();
  void compare(ArtifactDiff &diff) const;

private:
  llvm::Error makeInput(const Port &a, const Port &b, unsigned i, unsigned j,
                        std::mt19937_64 &engine);
  const DiffOptions &options;
  MLIRContext *context;
  std::unique_ptr<Executable> executables[2];
  std::vector<Tensor> arguments[2];
  SmallVector<Tensor> results[2];
};
} // namespace

LogicalResult Pair::load() {
  LoadOptions load;
  load.verify = options.verify;
  for (int i = 0; i < 2; ++i) {
    Named named(options, i, context);
    FailureOr<std::unique_ptr<Executable>> loaded =
        loadArtifact(options.artifacts[i], context, load);
    if (failed(loaded))
      return failure();
    executables[i] = std::move(*loaded);
  }
  return success();
}

llvm::Error Pair::makeInput(const Port &a, const Port &b, unsigned i,
                            unsigned j, std::mt19937_64 &engine) {
  std::optional<int64_t> count = countElements(a.shape);
  if (!count || count != countElements(b.shape))
    return llvm::createStringError("input '" + a.name + "' has shape [" +
                                   shapeText(a.shape) + "] in A and [" +
                                   shapeText(b.shape) + "] in B");
  Tensor value = randomTensor(a.dtype, a.shape, engine);
  auto left = convertTensor(value, a.carrier, a.name);
  if (!left)
    return left.takeError();
  auto right = convertTensor(value, b.carrier, b.name);
  if (!right)
    return right.takeError();
  arguments[0][i] = *left;
  arguments[1][j] = right->reshaped(b.shape);
  return llvm::Error::success();
}

llvm::Error Pair::makeInputs() {
  ArrayRef<Port> a = executables[0]->inputs(), b = executables[1]->inputs();
  size_t left = executables[0]->outputs().size(),
         right = executables[1]->outputs().size();
  if (a.size() != b.size() || left != right)
    return llvm::createStringError("A has " + Twine(a.size()) + " inputs and " +
                                   Twine(left) + " outputs, B " +
                                   Twine(b.size()) + " and " + Twine(right));
  std::mt19937_64 engine(options.seed);
  SmallVector<unsigned> order = pairPorts(a, b);
  for (auto &list : arguments)
    list.resize(a.size());
  for (unsigned i = 0; i < a.size(); ++i)
    if (llvm::Error error = makeInput(a[i], b[order[i]], i, order[i], engine))
      return error;
  return llvm::Error::success();
}

LogicalResult Pair::run() {
  for (int i = 0; i < 2; ++i) {
    Named named(options, i, context);
    if (failed(executables[i]->run(arguments[i], results[i], options.numerics)))
      return failure();
  }
  return success();
}

void Pair::compare(ArtifactDiff &diff) const {
  SmallVector<unsigned> order =
      pairPorts(executables[0]->outputs(), executables[1]->outputs());
  for (auto [i, port] : llvm::enumerate(executables[0]->outputs())) {
    Tensor expected = results[0][i], actual = results[1][order[i]];
    if (actual.size() == expected.size())
      actual = actual.reshaped(expected.shape());
    diff.outputs.push_back(
        {port.name,
         compareTensors(actual, expected, options.rtol, options.atol), actual,
         expected});
  }
}

llvm::Expected<std::optional<ArtifactDiff>>
mlir::ane::diffArtifacts(const DiffOptions &options, MLIRContext *context) {
  Contents contents[2];
  for (int i = 0; i < 2; ++i) {
    Named named(options, i, context);
    if (failed(readContents(options.artifacts[i], context, contents[i])))
      return std::nullopt;
  }
  ArtifactDiff diff;
  diffOperations(contents, diff);
  diffWeights(contents, diff);
  diffGraphs(contents, diff);
  if (!options.run)
    return diff;
  Pair pair(options, context);
  if (failed(pair.load()))
    return std::nullopt;
  if (llvm::Error error = pair.makeInputs())
    return std::move(error);
  if (failed(pair.run()))
    return std::nullopt;
  pair.compare(diff);
  return diff;
}

//===----------------------------------------------------------------------===//
// What is said of it
//===----------------------------------------------------------------------===//

bool ArtifactDiff::same(const DiffOptions &options) const {
  if (options.run)
    return llvm::all_of(outputs, [](auto &o) { return o.comparison.ok(); });
  return !only[0].count && !only[1].count &&
         llvm::all_of(operations, [](auto &entry) {
           return entry.second.first == entry.second.second;
         });
}

/// More than this are not read on a terminal.
static constexpr size_t kMostShown = 12;

void ArtifactDiff::writeText(llvm::raw_ostream &os) const {
  os << "operations                               A       B\n";
  size_t totals[2] = {0, 0};
  for (auto &[name, pair] : operations) {
    os << "  " << llvm::left_justify(name, 32)
       << llvm::format("%8zu%8zu", pair.first, pair.second)
       << (pair.first == pair.second ? "\n" : "  *\n");
    totals[0] += pair.first;
    totals[1] += pair.second;
  }
  os << "  " << llvm::left_justify("all", 32)
     << llvm::format("%8zu%8zu\n", totals[0], totals[1]);
  os << "graph: " << added.size() << " added, " << removed.size()
     << " removed, " << changed.size() << " changed\n";
  for (auto &[mark, list] :
       {std::pair<StringRef, const std::vector<Op> &>("+", added),
        {"-", removed},
        {"~", changed}}) {
    for (const Op &op : llvm::ArrayRef(list).take_front(kMostShown)) {
      os << "  " << mark << ' ' << printable(op.name) << ": "
         << (op.type[0].empty() ? op.type[1] : op.type[0]);
      if (!op.type[0].empty() && !op.type[1].empty() &&
          op.type[0] != op.type[1])
        os << " is " << op.type[1];
      if (!op.what.empty())
        os << " (" << llvm::join(op.what, ", ") << ')';
      os << '\n';
    }
    if (list.size() > kMostShown)
      os << "  " << mark << " … and " << list.size() - kMostShown
         << " more (--json lists them)\n";
  }
  os << "weights: " << common.count << " in both (" << common.bytes
     << " bytes), " << only[0].count << " only in A (" << only[0].bytes
     << " bytes), " << only[1].count << " only in B (" << only[1].bytes
     << " bytes)\n";
  for (const Output &o : outputs)
    printComparison(os, o.name, o.comparison, o.actual, o.expected, false);
}

void ArtifactDiff::writeJSON(llvm::raw_ostream &os,
                             const DiffOptions &options) const {
  llvm::json::OStream j(os, 2);
  auto text = [&](StringRef key, StringRef value) {
    j.attribute(key, llvm::json::fixUTF8(value));
  };
  auto writeWeights = [&](StringRef key, const Weights &w) {
    j.attributeObject(key, [&] {
      j.attribute("count", int64_t(w.count));
      j.attribute("bytes", int64_t(w.bytes));
    });
  };
  auto writeOps = [&](StringRef key, const std::vector<Op> &list) {
    j.attributeArray(key, [&] {
      for (const Op &op : list)
        j.object([&] {
          text("function", op.function);
          text("name", op.name);
          if (!op.type[0].empty())
            text("a", op.type[0]);
          if (!op.type[1].empty())
            text("b", op.type[1]);
          if (!op.what.empty())
            j.attributeArray("what", [&] {
              for (const std::string &what : op.what)
                j.value(what);
            });
        });
    });
  };
  j.object([&] {
    j.attribute("version", int64_t(1));
    j.attribute("producer", "ane-mlir " ANEMLIR_VERSION);
    text("a", options.artifacts[0]);
    text("b", options.artifacts[1]);
    j.attribute("same", same(options));
    j.attributeObject("operations", [&] {
      for (auto &[name, pair] : operations)
        j.attributeArray(name, [&, &pair = pair] {
          j.value(int64_t(pair.first));
          j.value(int64_t(pair.second));
        });
    });
    j.attributeObject("graph", [&] {
      writeOps("added", added);
      writeOps("removed", removed);
      writeOps("changed", changed);
    });
    j.attributeObject("weights", [&] {
      writeWeights("both", common);
      writeWeights("only_a", only[0]);
      writeWeights("only_b", only[1]);
    });
    if (options.run)
      j.attributeArray("outputs", [&] {
        for (const Output &o : outputs)
          j.object([&] {
            text("name", o.name);
            j.attribute("ok", o.comparison.ok());
            j.attribute("same_shape", o.comparison.sameShape);
            // JSON has no infinity.
            auto number = [&](StringRef key, double value) {
              if (std::isfinite(value))
                j.attribute(key, value);
              else
                j.attribute(key, nullptr);
            };
            number("cosine", o.comparison.cosine);
            number("max_error", o.comparison.worst);
            number("largest", o.comparison.largest);
            j.attribute("outside", int64_t(o.comparison.outside.size()));
          });
      });
  });
  os << '\n';
}
