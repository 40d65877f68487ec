//===- ane-diff.cpp - how two artifacts differ ----------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Artifact/Compare.h"
#include "ane-mlir/Artifact/TensorFiles.h"
#include "ane-mlir/Support/Diagnostics.h"
#include "ane-mlir/Artifact/Artifact.h"
#include "ane-mlir/Support/WeightFile.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/SHA256.h"
#include <map>
#include <random>

using namespace mlir;
using namespace mlir::ane;
namespace cl = llvm::cl;

static cl::OptionCategory options("Comparison");
static cl::list<std::string>
    artifacts(cl::Positional, cl::desc("A B (.anepkg, .mlpackage, .mlmodelc, "
                                       ".mil)"),
              cl::cat(options));
static cl::opt<int64_t>
    randomSeed("random-inputs", cl::desc("Seed of the inputs (default 0)"),
               cl::value_desc("SEED"), cl::init(0), cl::cat(options));
static cl::opt<std::string>
    numericsName("numerics", cl::desc("fp16 (default), fp32 or engine"),
                 cl::init("fp16"), cl::cat(options));
static cl::opt<double> rtol("rtol",
                            cl::desc("Relative tolerance (default 1e-2)"),
                            cl::init(1e-2), cl::cat(options));
static cl::opt<double>
    atol_("atol",
          cl::desc("Absolute tolerance (default 1e-3 of each output's largest "
                   "magnitude)"),
          cl::init(-1), cl::cat(options));
static cl::opt<bool>
    noVerify("no-verify",
             cl::desc("Do not compare weight files with the SHA-256 sums in "
                      "their names"),
             cl::cat(options));
static cl::opt<bool> noRun("no-run",
                           cl::desc("Compare operations and weights alone"),
                           cl::cat(options));

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
    } else if (auto elements = dyn_cast<DenseElementsAttr>(literal.getValue())) {
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
  FailureOr<std::vector<MILSource>> programs = openBundlePrograms(path, context);
  if (failed(programs))
    return failure();
  for (MILSource &source : *programs)
    if (failed(readProgram(source, contents)))
      return failure();
  return success();
}

static int fail(const llvm::Twine &message, int code = 1) {
  llvm::errs() << "ane-diff: error: " << message << '\n';
  return code;
}

int main(int argc, char **argv) {
  llvm::InitLLVM init(argc, argv);
  cl::HideUnrelatedOptions(options);
  cl::SetVersionPrinter([](llvm::raw_ostream &os) {
    os << "ane-mlir " ANEMLIR_VERSION "\n  LLVM " LLVM_VERSION_STRING "\n";
  });
  if (!cl::ParseCommandLineOptions(
          argc, argv,
          "Shows how two artifacts differ: operations, weights, and results on "
          "the same random inputs.\n\n"
          "  ane-diff theirs.mlpackage ours.anepkg --rtol=1e-2\n\n"
          "Exit status: 0 when the results agree (with --no-run: operations and "
          "weights), 1 when not, 2 on misuse.\n",
          &llvm::errs()))
    return 2;
  if (artifacts.size() != 2)
    return fail("expects two artifacts; see --help", 2);
  std::optional<Numerics> numerics = lookupNumerics(numericsName);
  if (!numerics)
    return fail("expects --numerics to be fp32, fp16 or engine, but got '" +
                    numericsName + "'",
                2);
  DialectRegistry registry;
  registry.insert<ANEDialect, mil::MILDialect>();
  registerEvaluationModels(registry);
  MLIRContext context(registry);
  context.loadDialect<ANEDialect>();

  Contents contents[2];
  for (int i = 0; i < 2; ++i) {
    ToolDiagnostics diagnostics(&context, artifacts[i]);
    if (failed(readContents(artifacts[i], &context, contents[i])))
      return 1;
  }
  llvm::raw_ostream &os = llvm::outs();
  bool same = true;
  os << "operations                               A       B\n";
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
  same &= !onlyCount[0] && !onlyCount[1];
  if (noRun)
    return same ? 0 : 1;

  std::unique_ptr<Executable> executables[2];
  LoadOptions load;
  load.verify = !noVerify;
  for (int i = 0; i < 2; ++i) {
    ToolDiagnostics diagnostics(&context, artifacts[i]);
    FailureOr<std::unique_ptr<Executable>> loaded =
        loadArtifact(artifacts[i], &context, load);
    if (failed(loaded))
      return 1;
    executables[i] = std::move(*loaded);
  }
  // Ports belong together by name, or by position where names differ.
  auto pair = [](ArrayRef<Port> a, ArrayRef<Port> b)
      -> std::optional<SmallVector<unsigned>> {
    if (a.size() != b.size())
      return std::nullopt;
    SmallVector<unsigned> order;
    llvm::SmallDenseSet<unsigned> used;
    for (auto [i, port] : llvm::enumerate(a)) {
      auto it = llvm::find_if(b, [&](const Port &other) {
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
  };
  auto inputs = pair(executables[0]->inputs(), executables[1]->inputs()),
       outputs = pair(executables[0]->outputs(), executables[1]->outputs());
  if (!inputs || !outputs)
    return fail("A has " + Twine(executables[0]->inputs().size()) +
                " inputs and " + Twine(executables[0]->outputs().size()) +
                " outputs, B " + Twine(executables[1]->inputs().size()) +
                " and " + Twine(executables[1]->outputs().size()));
  std::mt19937_64 engine(randomSeed);
  std::vector<Tensor> arguments[2];
  for (int i = 0; i < 2; ++i)
    arguments[i].resize(inputs->size());
  for (auto [i, port] : llvm::enumerate(executables[0]->inputs())) {
    const Port &other = executables[1]->inputs()[(*inputs)[i]];
    int64_t count = 1, otherCount = 1;
    for (int64_t dim : port.shape)
      count *= dim;
    for (int64_t dim : other.shape)
      otherCount *= dim;
    if (ShapedType::isDynamicShape(port.shape) ||
        ShapedType::isDynamicShape(other.shape) || count != otherCount)
      return fail("input '" + port.name + "' has shape [" +
                  shapeText(port.shape) + "] in A and [" +
                  shapeText(other.shape) + "] in B");
    Tensor value = randomTensor(port.dtype, port.shape, engine);
    auto a = convertTensor(value, port.carrier, port.name),
         b = convertTensor(value, other.carrier, other.name);
    if (!a || !b)
      return fail(llvm::toString(a ? b.takeError() : a.takeError()));
    arguments[0][i] = *a;
    arguments[1][(*inputs)[i]] = b->reshaped(other.shape);
  }
  SmallVector<Tensor> results[2];
  for (int i = 0; i < 2; ++i) {
    ToolDiagnostics diagnostics(&context, artifacts[i]);
    if (failed(executables[i]->run(arguments[i], results[i], *numerics)))
      return 1;
  }
  bool ok = true;
  for (auto [i, port] : llvm::enumerate(executables[0]->outputs())) {
    Tensor expected = results[0][i], actual = results[1][(*outputs)[i]];
    if (actual.size() == expected.size())
      actual = actual.reshaped(expected.shape());
    Comparison comparison = compareTensors(actual, expected, rtol, atol_);
    printComparison(os, port.name, comparison, actual, expected, false);
    ok &= comparison.ok();
  }
  return ok ? 0 : 1;
}
