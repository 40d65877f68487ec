//===- Contents.cpp - what is in an artifact ------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "Contents.h"
#include "ane-mlir/Interpreter/Tensor.h"
#include "ane-mlir/Support/Diagnostics.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/SHA256.h"

using namespace mlir;
using namespace mlir::ane;

/// Smaller constants are parameters rather than weights.
static constexpr int64_t kLeastElements = 17;

static std::string digestOf(ArrayRef<char> bytes) {
  auto digest = llvm::SHA256::hash(ArrayRef<uint8_t>(
      reinterpret_cast<const uint8_t *>(bytes.data()), bytes.size()));
  return llvm::toHex(ArrayRef<uint8_t>(digest).take_front(8));
}

static std::string textOf(Type type) {
  std::string text;
  llvm::raw_string_ostream(text) << type;
  return text;
}

namespace {
/// One program on its way into Contents.
class Reader {
public:
  Reader(MILSource &source, unsigned program, Contents &contents)
      : source(source), program(program), contents(contents) {}
  LogicalResult run();

private:
  LogicalResult readFunction(mil::FuncOp func);
  /// What stands for the value of a constant, and its entry among the weights.
  FailureOr<std::string> addLiteral(mil::LiteralAttr literal);
  FailureOr<std::string> describe(mil::FuncOp func, mil::OpOp op,
                                  Attribute argument);
  MILSource &source;
  unsigned program;
  Contents &contents;
  llvm::DenseMap<Attribute, std::string> digests;
};
} // namespace

FailureOr<std::string> Reader::addLiteral(mil::LiteralAttr literal) {
  if (auto it = digests.find(literal); it != digests.end())
    return it->second;
  std::string type = textOf(literal.getType()), digest;
  auto tensor = dyn_cast<RankedTensorType>(literal.getType());
  std::vector<char> storage;
  ArrayRef<char> bytes;
  std::shared_ptr<const MappedFile> keep;
  auto fail = [&](llvm::Error error) {
    return emitError(source.program.getLoc())
           << llvm::toString(std::move(error));
  };
  bool isFile = false;
  if (auto blob = dyn_cast<mil::BlobFileAttr>(literal.getValue())) {
    auto file = source.weights(blob.getPath());
    if (!file)
      return fail(file.takeError()), failure();
    keep = *file;
    auto view = readWeight(keep->data(), blob.getOffset());
    if (!view)
      return fail(view.takeError()), failure();
    bytes = view->data;
    isFile = true;
  } else if (auto elements = dyn_cast<DenseElementsAttr>(literal.getValue())) {
    FailureOr<Tensor> value = Tensor::fromElements(elements);
    if (succeeded(value)) {
      storage = value->toBytes();
      bytes = storage;
    }
  }
  if (bytes.empty()) { // strings, lists: their text
    std::string text;
    llvm::raw_string_ostream(text) << literal.getValue();
    storage.assign(text.begin(), text.end());
    digest = digestOf(storage);
  } else {
    digest = digestOf(bytes);
    if (tensor && tensor.hasStaticShape() &&
        tensor.getNumElements() >= kLeastElements)
      contents.weights[{digest, type}] = {
          bytes.size(), uint64_t(tensor.getNumElements()),
          textOf(tensor.getElementType()), isFile};
  }
  return digests[literal] = "#" + digest + ":" + type;
}

FailureOr<std::string> Reader::describe(mil::FuncOp func, mil::OpOp op,
                                        Attribute argument) {
  if (auto literal = dyn_cast<mil::LiteralAttr>(argument))
    return addLiteral(literal);
  if (auto ref = dyn_cast<mil::RefAttr>(argument)) {
    if (uint64_t(ref.getIndex()) >= op.getOperands().size())
      return std::string("?");
    Value value = op.getOperand(ref.getIndex());
    if (mil::LiteralAttr constant = mil::getConstant(value))
      return addLiteral(constant);
    return mil::getName(func, value).str();
  }
  if (auto list = dyn_cast<ArrayAttr>(argument)) {
    std::string text = "(";
    for (Attribute entry : list) {
      FailureOr<std::string> one = describe(func, op, entry);
      if (failed(one))
        return failure();
      text += *one + ",";
    }
    return text + ")";
  }
  std::string text;
  llvm::raw_string_ostream(text) << argument;
  return text;
}

LogicalResult Reader::readFunction(mil::FuncOp func) {
  Contents::Function function;
  function.program = program;
  function.name = func.getSymName().str();
  function.opset = func.getOpset().str();
  LogicalResult result = success();
  func.walk([&](mil::OpOp op) {
    Contents::Op entry;
    entry.type = op.getType().str();
    for (Attribute attr : op.getMilAttributes())
      attr.walk([&](mil::LiteralAttr literal) {
        if (failed(addLiteral(literal)))
          result = failure();
      });
    for (Attribute attr : op.getArgs()) {
      auto named = dyn_cast<mil::NamedAttr>(attr);
      if (!named)
        continue;
      FailureOr<std::string> value = describe(func, op, named.getValue());
      if (failed(value)) {
        result = failure();
        continue;
      }
      entry.arguments += named.getName().str() + "=" + *value + " ";
    }
    if (entry.type == "const")
      return;
    if (!op.getNames().empty())
      entry.name = cast<StringAttr>(op.getNames()[0]).getValue().str();
    for (Type type : op.getResultTypes())
      entry.results += textOf(type) + " ";
    ++contents.operations[entry.type];
    function.ops.push_back(std::move(entry));
  });
  contents.functions.push_back(std::move(function));
  return result;
}

LogicalResult Reader::run() {
  LogicalResult result = success();
  source.program.walk([&](mil::FuncOp func) {
    if (failed(readFunction(func)))
      result = failure();
  });
  return result;
}

LogicalResult mlir::ane::readContents(MILSource &source, unsigned program,
                                      Contents &contents) {
  return Reader(source, program, contents).run();
}

LogicalResult mlir::ane::readContents(StringRef path, MLIRContext *context,
                                      Contents &contents) {
  if (MILSource::matches(path)) {
    FailureOr<MILSource> source = MILSource::open(path, context);
    return failed(source) ? failure() : readContents(*source, 0, contents);
  }
  // A bundle: its programs, with the weights that the manifest gives each.
  FailureOr<std::vector<MILSource>> programs =
      openBundlePrograms(path, context);
  if (failed(programs))
    return failure();
  for (auto [index, source] : llvm::enumerate(*programs))
    if (failed(readContents(source, index, contents)))
      return failure();
  return success();
}
