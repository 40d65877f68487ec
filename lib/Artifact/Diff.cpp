//===- Diff.cpp - how two artifacts differ --------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Artifact/Diff.h"
#include "ane-mlir/Artifact/Compare.h"
#include "ane-mlir/Artifact/TensorFiles.h"
#include "ane-mlir/Support/Budget.h"
#include "ane-mlir/Support/Diagnostics.h"
#include "ane-mlir/Support/WeightFile.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/SHA256.h"
#include <map>
#include <random>

using namespace mlir;
using namespace mlir::ane;

namespace {
/// What is in an artifact, apart from what it computes.
struct Contents {
  std::map<std::string, size_t> operations;
  /// Constants of more than a few elements: (digest, dtype and shape) with
  /// their bytes.
  std::map<std::pair<std::string, std::string>, uint64_t> weights;
};
} // namespace

/// Smaller constants are parameters rather than weights.
static constexpr int64_t kLeastElements = 17;

static LogicalResult readProgram(MILSource &source, Contents &contents) {
  LogicalResult result = success();
  auto addWeight = [&](mil::LiteralAttr literal) {
    auto type = dyn_cast<RankedTensorType>(literal.getType());
    if (!type || !type.hasStaticShape() ||
        type.getNumElements() < kLeastElements)
      return;
    std::vector<char> storage;
    ArrayRef<char> bytes;
    std::shared_ptr<const MappedFile> keep;
    if (auto blob = dyn_cast<mil::BlobFileAttr>(literal.getValue())) {
      auto file = source.weights(blob.getPath());
      if (!file) {
        emitError(source.program.getLoc()) << llvm::toString(file.takeError());
        result = failure();
        return;
      }
      keep = *file;
      auto view = readWeight(keep->data(), blob.getOffset());
      if (!view) {
        emitError(source.program.getLoc()) << llvm::toString(view.takeError());
        result = failure();
        return;
      }
      bytes = view->data;
    } else if (auto elements =
                   dyn_cast<DenseElementsAttr>(literal.getValue())) {
      FailureOr<Tensor> tensor = Tensor::fromElements(elements);
      if (failed(tensor))
        return;
      storage = tensor->toBytes();
      bytes = storage;
    } else {
      return;
    }
    auto digest = llvm::SHA256::hash(ArrayRef<uint8_t>(
        reinterpret_cast<const uint8_t *>(bytes.data()), bytes.size()));
    std::string shape;
    llvm::raw_string_ostream(shape) << type;
    contents.weights[{llvm::toHex(ArrayRef<uint8_t>(digest).take_front(8)),
                      shape}] = bytes.size();
  };
  source.program.walk([&](mil::OpOp op) {
    if (op.getType() != "const")
      ++contents.operations[op.getType().str()];
    for (ArrayAttr list : {op.getMilAttributes(), op.getArgs()})
      for (Attribute attr : list)
        attr.walk([&](mil::LiteralAttr literal) { addWeight(literal); });
  });
  return result;
}

static LogicalResult readContents(StringRef path, MLIRContext *context,
                                  Contents &contents) {
  if (MILSource::matches(path)) {
    FailureOr<MILSource> source = MILSource::open(path, context);
    return failed(source) ? failure() : readProgram(*source, contents);
  }
  // A bundle: its programs, with the weights that the manifest gives each.
  FailureOr<std::vector<MILSource>> programs =
      openBundlePrograms(path, context);
  if (failed(programs))
    return failure();
  for (MILSource &source : *programs)
    if (failed(readProgram(source, contents)))
      return failure();
  return success();
}

static bool compareOperations(const Contents (&contents)[2],
                              llvm::raw_ostream &os) {
  os << "operations                               A       B\n";
  bool same = true;
  std::map<std::string, std::pair<size_t, size_t>> counts;
  size_t totals[2] = {0, 0};
  for (int i = 0; i < 2; ++i)
    for (auto &[name, count] : contents[i].operations) {
      (i ? counts[name].second : counts[name].first) = count;
      totals[i] += count;
    }
  for (auto &[name, pair] : counts) {
    os << "  " << llvm::left_justify(name, 32)
       << llvm::format("%8zu%8zu", pair.first, pair.second)
       << (pair.first == pair.second ? "\n" : "  *\n");
    same &= pair.first == pair.second;
  }
  os << "  " << llvm::left_justify("all", 32)
     << llvm::format("%8zu%8zu\n", totals[0], totals[1]);
  return same;
}

static bool compareWeights(const Contents (&contents)[2],
                           llvm::raw_ostream &os) {
  uint64_t only[2] = {0, 0}, common = 0;
  size_t onlyCount[2] = {0, 0}, commonCount = 0;
  for (int i = 0; i < 2; ++i)
    for (auto &[key, bytes] : contents[i].weights) {
      bool both = contents[1 - i].weights.count(key);
      if (!both) {
        only[i] += bytes;
        ++onlyCount[i];
      } else if (i == 0) {
        common += bytes;
        ++commonCount;
      }
    }
  os << "weights: " << commonCount << " in both (" << common << " bytes), "
     << onlyCount[0] << " only in A (" << only[0] << " bytes), " << onlyCount[1]
     << " only in B (" << only[1] << " bytes)\n";
  return !onlyCount[0] && !onlyCount[1];
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
/// Both artifacts, loaded, on the same inputs.
class Pair {
public:
  Pair(const DiffOptions &options, MLIRContext *context)
      : options(options), context(context) {}
  LogicalResult load();
  llvm::Error makeInputs();
  LogicalResult run();
  bool compare(llvm::raw_ostream &os) const;

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
    ToolDiagnostics diagnostics(context, options.artifacts[i]);
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
    ToolDiagnostics diagnostics(context, options.artifacts[i]);
    if (failed(executables[i]->run(arguments[i], results[i], options.numerics)))
      return failure();
  }
  return success();
}

bool Pair::compare(llvm::raw_ostream &os) const {
  SmallVector<unsigned> order =
      pairPorts(executables[0]->outputs(), executables[1]->outputs());
  bool ok = true;
  for (auto [i, port] : llvm::enumerate(executables[0]->outputs())) {
    Tensor expected = results[0][i], actual = results[1][order[i]];
    if (actual.size() == expected.size())
      actual = actual.reshaped(expected.shape());
    Comparison comparison =
        compareTensors(actual, expected, options.rtol, options.atol);
    printComparison(os, port.name, comparison, actual, expected, false);
    ok &= comparison.ok();
  }
  return ok;
}

llvm::Expected<bool> mlir::ane::diffArtifacts(const DiffOptions &options,
                                              MLIRContext *context,
                                              llvm::raw_ostream &os) {
  Contents contents[2];
  for (int i = 0; i < 2; ++i) {
    ToolDiagnostics diagnostics(context, options.artifacts[i]);
    if (failed(readContents(options.artifacts[i], context, contents[i])))
      return false;
  }
  bool same = compareOperations(contents, os);
  same &= compareWeights(contents, os);
  if (!options.run)
    return same;
  Pair pair(options, context);
  if (failed(pair.load()))
    return false;
  if (llvm::Error error = pair.makeInputs())
    return error;
  return succeeded(pair.run()) && pair.compare(os);
}
