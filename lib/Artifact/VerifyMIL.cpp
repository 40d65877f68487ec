//===- VerifyMIL.cpp - what is wrong with a package or a MIL text ---------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Artifact/VerifyMIL.h"
#include "ane-mlir/Conversion/MILToANE.h"
#include "ane-mlir/Support/CoreMLFields.h"
#include "ane-mlir/Support/Hash.h"
#include "ane-mlir/Support/JSON.h"
#include "ane-mlir/Support/WeightFile.h"
#include "dialects/MIL/IR/Names.h"
#include "dialects/MIL/IR/Opset.h"
#include "mlir/IR/TypeUtilities.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

using namespace mlir;
using namespace mlir::ane;

/// Ranks beyond are refused by Core ML but for constants that only compressed
/// ones read (mil/operations.md §1.0).
static constexpr int64_t kMostAxes = 5;

namespace {
class Verifier {
public:
  Verifier(MILSource &source, StringRef path) : source(source), path(path) {}
  std::vector<Finding> run();

private:
  void add(StringRef rule, const Twine &place, const Twine &message) {
    findings.push_back({rule.str(), place.str(), message.str()});
  }
  void verifyManifest();
  void verifyPackage();
  void verifyDescription(mil::FuncOp func,
                         const PackageInfo::Function &described);
  void verifyFeature(mil::FuncOp func, const PackageFeature &feature, Type type,
                     StringRef role);
  void verifyFunction(mil::FuncOp func);
  void verifyOperation(mil::FuncOp func, mil::OpOp op);
  void verifyConstant(mil::OpOp op, Type declared, mil::LiteralAttr literal);
  void verifyName(StringRef name, const Twine &place);

  MILSource &source;
  StringRef path;
  std::vector<Finding> findings;
  llvm::StringSet<> opNames;
  /// Those whose names were compared with their sums.
  llvm::StringSet<> weightFiles;
};
} // namespace

static std::string placeOf(Location loc) {
  if (auto name = dyn_cast<NameLoc>(loc)) {
    if (!isa<FileLineColLoc>(name.getChildLoc()))
      return name.getName().str();
    loc = name.getChildLoc(); // of a text
  }
  if (auto file = dyn_cast<FileLineColLoc>(loc))
    return (Twine(file.getFilename().getValue()) + ":" + Twine(file.getLine()) +
            ":" + Twine(file.getColumn()))
        .str();
  std::string text;
  llvm::raw_string_ostream(text) << loc;
  return text;
}

static std::string print(Type type) {
  std::string text;
  llvm::raw_string_ostream(text) << type;
  return text;
}

void Verifier::verifyName(StringRef name, const Twine &place) {
  if (!mil::isLegalIdentifier(name))
    add("identifier", place,
        "'" + name +
            "' is no identifier: letters, digits and '_', not starting with a "
            "digit, and no word of MIL");
}

void Verifier::verifyManifest() {
  SmallString<128> manifestPath(path);
  llvm::sys::path::append(manifestPath, "Manifest.json");
  auto file = MappedFile::open(manifestPath);
  if (!file) // importing said so
    return llvm::consumeError(file.takeError());
  auto json =
      parseJSON(StringRef((*file)->data().data(), (*file)->data().size()));
  if (!json)
    return llvm::consumeError(json.takeError());
  const llvm::json::Object *root = json->getAsObject();
  if (root->getString("fileFormatVersion").value_or("") != "1.0.0")
    add("manifest", "Manifest.json", "expects fileFormatVersion to be 1.0.0");
  const llvm::json::Object *items = root->getObject("itemInfoEntries");
  if (!items)
    return;
  for (auto &[key, value] : *items) {
    const llvm::json::Object *item = value.getAsObject();
    for (StringRef field : {"path", "name", "author", "description"})
      if (!item || !item->getString(field))
        add("manifest", "Manifest.json",
            "expects item " + StringRef(key) + " to have '" + field + "'");
    if (!item || !item->getString("path"))
      continue;
    SmallString<128> full(path);
    llvm::sys::path::append(full, "Data", *item->getString("path"));
    if (!llvm::sys::fs::exists(full))
      add("manifest", "Manifest.json",
          "item '" + *item->getString("path") + "' does not exist");
  }
}

void Verifier::verifyPackage() {
  const PackageInfo &info = source.info;
  if (llvm::sys::fs::is_directory(path))
    verifyManifest();
  if (info.programVersion != 1)
    add("program", "program",
        "expects version 1, but got " + Twine(info.programVersion));
  for (const std::string &note : info.notes)
    add("program", "program", note + ", which Core ML tools refuse");
  if (info.specification < 6 || info.specification > 10)
    add("opset", "model",
        "has specificationVersion " + Twine(info.specification) +
            "; an ML Program has 6 to 10");
  if (info.multiFunction && info.specification < 9)
    add("opset", "model",
        "lists functions, which came with specificationVersion 9, but is " +
            Twine(info.specification));
  llvm::StringSet<> named;
  for (const PackageInfo::Function &described : info.functions)
    named.insert(described.name);
  llvm::StringSet<> existing;
  for (auto func : source.program.getBody().getOps<mil::FuncOp>()) {
    existing.insert(func.getSymName());
    if (!named.contains(func.getSymName()))
      add("description", func.getSymName(),
          "the model's description has no such function");
    int key = mil::specificationOf(func.getOpset());
    if (!key)
      add("opset", func.getSymName(),
          "opset '" + func.getOpset() + "' is not known");
    else if (key != info.specification)
      add("opset", func.getSymName(),
          "opset " + func.getOpset() + " goes with specificationVersion " +
              Twine(key) + ", but the model says " + Twine(info.specification));
  }
  for (const PackageInfo::Function &described : info.functions)
    if (!existing.contains(described.name))
      add("description", described.name, "the program has no such function");
  if (!existing.contains(info.defaultFunction))
    add("description", info.defaultFunction,
        "the default function does not exist");
}

void Verifier::verifyFeature(mil::FuncOp func, const PackageFeature &feature,
                             Type type, StringRef role) {
  using Kind = PackageFeature::Kind;
  std::string place =
      (func.getSymName() + "/" + role + " " + feature.name).str();
  auto state = dyn_cast<mil::StateType>(type);
  auto tensor = dyn_cast<RankedTensorType>(state ? state.getWrapped() : type);
  auto wrong = [&](const Twine &described) {
    add("description", place,
        "is described as " + described + ", but is " + print(type));
  };
  if (bool(state) != (feature.kind == Kind::State))
    return wrong(state ? "something else than a state" : "a state");
  bool strings = tensor && isa<mil::StringType>(tensor.getElementType());
  switch (feature.kind) {
  case Kind::String:
    return strings ? void() : wrong("a string");
  case Kind::Dictionary:
    return isa<mil::DictType>(type) ? void() : wrong("a dictionary");
  case Kind::Number:
    return tensor && !strings ? void() : wrong("a number");
  case Kind::Other:
    return wrong("nothing that is known");
  case Kind::Image: {
    int64_t channels =
        feature.colorSpace == coreml::kRGB || feature.colorSpace == coreml::kBGR
            ? 3
            : 1;
    auto sizes = llvm::to_vector(ArrayRef(feature.enumerated));
    sizes.push_back(feature.shape);
    for (ArrayRef<int64_t> size : sizes)
      if (!tensor || tensor.getRank() != 4 ||
          tensor.getDimSize(1) != channels ||
          failed(verifyCompatibleShape(tensor.getShape().drop_front(2), size)))
        wrong("an image of " + Twine(channels) + " channels, " +
              Twine(size[0]) + " by " + Twine(size[1]));
    if (tensor && !tensor.hasStaticShape() && feature.enumerated.empty() &&
        !feature.hasRange())
      wrong("an image of one size");
    return;
  }
  case Kind::Array:
  case Kind::State:
    break;
  }
  if (!tensor || strings)
    return wrong("an array");
  std::optional<DType> dtype = toDType(tensor.getElementType());
  if (!feature.dtype || dtype != feature.dtype)
    wrong("an array of " + (feature.dtype ? Twine(getInfo(*feature.dtype).name)
                                          : Twine("an unknown type")));
  if (state && dtype != DType::Float16)
    add("boundary", place, "expects a state of fp16, but got " + print(type));
  if (tensor.getRank() == 0 && role != "output")
    add("boundary", place,
        "has no axis; arrays at a boundary have one or more");
  bool flexible = !feature.enumerated.empty() || feature.hasRange();
  if (!tensor.hasStaticShape() && !flexible && role == "input")
    add("description", place,
        "leaves dimensions open, but the description lists no shapes for " +
            print(type));
  if (tensor.hasStaticShape() && flexible)
    wrong("an array of several shapes");
  auto fits = [&](ArrayRef<int64_t> shape) {
    return succeeded(verifyCompatibleShape(tensor.getShape(), shape));
  };
  auto text = [](ArrayRef<int64_t> shape) {
    std::string out;
    llvm::raw_string_ostream os(out);
    llvm::interleaveComma(shape, os);
    return "[" + out + "]";
  };
  if (!feature.shape.empty() && !fits(feature.shape))
    wrong("an array of shape " + text(feature.shape));
  for (const SmallVector<int64_t> &shape : feature.enumerated)
    if (!fits(shape))
      wrong("an array of shape " + text(shape));
  if (feature.enumerated.size() > 128)
    add("description", place, "lists more than 128 shapes");
}

void Verifier::verifyDescription(mil::FuncOp func,
                                 const PackageInfo::Function &described) {
  StringRef name = func.getSymName();
  Block &body = func.getBody().front();
  std::map<std::string, Type> parameters;
  for (auto [attr, argument] :
       llvm::zip(func.getParameters(), body.getArguments()))
    parameters[cast<StringAttr>(attr).str()] = argument.getType();
  llvm::StringSet<> seen;
  for (auto &[list, role] : {std::pair(&described.inputs, StringRef("input")),
                             std::pair(&described.states, StringRef("state"))})
    for (const PackageFeature &feature : *list) {
      auto it = parameters.find(feature.name);
      if (!seen.insert(feature.name).second)
        add("description", name + "/" + feature.name, "is described twice");
      else if (it == parameters.end())
        add("description", name + "/" + feature.name,
            "is described as " + role + ", but the function has no such input");
      else
        verifyFeature(func, feature, it->second, role);
    }
  for (auto &[parameter, type] : parameters)
    if (!seen.contains(parameter))
      add("description", name + "/" + parameter,
          "is an input that the description does not have");
  std::map<std::string, Type> results;
  for (Value v : body.getTerminator()->getOperands())
    if (auto op = v.getDefiningOp<mil::OpOp>())
      results[cast<StringAttr>(
                  op.getNames()[cast<OpResult>(v).getResultNumber()])
                  .str()] = v.getType();
    else
      results[cast<StringAttr>(
                  func.getParameters()[cast<BlockArgument>(v).getArgNumber()])
                  .str()] = v.getType();
  seen.clear();
  for (const PackageFeature &feature : described.outputs) {
    auto it = results.find(feature.name);
    if (!seen.insert(feature.name).second)
      add("description", name + "/" + feature.name, "is described twice");
    else if (it == results.end())
      add("description", name + "/" + feature.name,
          "is described as output, but the function has no such output");
    else
      verifyFeature(func, feature, it->second, "output");
  }
  for (auto &[result, type] : results)
    if (!seen.contains(result))
      add("description", name + "/" + result,
          "is an output that the description does not have");
  for (StringRef predicted : {StringRef(described.predictedFeature),
                              StringRef(described.predictedProbabilities)})
    if (!predicted.empty() && !seen.contains(predicted))
      add("description", name,
          "'" + predicted + "' is to be the prediction, but is no output");
}

void Verifier::verifyConstant(mil::OpOp op, Type declared,
                              mil::LiteralAttr literal) {
  std::string place = placeOf(op.getLoc());
  if (declared && literal.getType() != declared)
    add("constant", place,
        "is declared as " + print(declared) + ", but its value is of type " +
            print(literal.getType()));
  auto blob = dyn_cast<mil::BlobFileAttr>(literal.getValue());
  if (!blob)
    return;
  std::string where =
      ("BLOBFILE(" + blob.getPath() + ", " + Twine(blob.getOffset()) + "): ")
          .str();
  auto type = dyn_cast<RankedTensorType>(literal.getType());
  std::optional<DType> dtype =
      type ? toDType(type.getElementType()) : std::nullopt;
  auto file = source.weights(blob.getPath());
  if (!file) {
    add("weights", place, where + llvm::toString(file.takeError()));
    return;
  }
  if (weightFiles.insert((*file)->path()).second)
    if (llvm::Error error = checkHashName((*file)->path()))
      add("weights", blob.getPath(), llvm::toString(std::move(error)));
  auto view = readWeight((*file)->data(), blob.getOffset());
  if (!view) {
    add("weights", place, where + llvm::toString(view.takeError()));
    return;
  }
  if (!dtype || !type.hasStaticShape() || view->dtype != *dtype ||
      view->data.size() != getByteSize(*dtype, type.getNumElements()))
    add("weights", place,
        where + "holds " + Twine(view->data.size()) + " bytes of " +
            getInfo(view->dtype).name + " for " + print(literal.getType()));
}

/// True when the value is known before the program runs.
static bool isConstant(Value value) {
  auto op = value.getDefiningOp<mil::OpOp>();
  return op &&
         (op.getType() == "const" || op.getType().starts_with("constexpr_"));
}

void Verifier::verifyOperation(mil::FuncOp func, mil::OpOp op) {
  StringRef type = op.getType();
  std::string place = placeOf(op.getLoc());
  int opset = mil::opsetNumber(func.getOpset()),
      needed = mil::requiredOpset(op);
  if (opset && needed > opset)
    add("opset", place,
        "'" + type + "' in this form needs ios" + Twine(needed) +
            ", but the function is of " + func.getOpset());
  for (Attribute name : op.getNames())
    verifyName(cast<StringAttr>(name).getValue(), place);
  if (ArrayAttr parameters = op.getBlockParametersAttr())
    for (Attribute list : parameters)
      for (Attribute name : cast<ArrayAttr>(list))
        verifyName(cast<StringAttr>(name).getValue(), place);
  bool hasName = false,
       attributesAreArguments =
           type.starts_with("constexpr_") && op.getArgs().empty();
  for (Attribute attr : op.getMilAttributes()) {
    auto named = cast<mil::NamedAttr>(attr);
    StringRef key = named.getName().getValue();
    auto literal = dyn_cast<mil::LiteralAttr>(named.getValue());
    if (key == "name") {
      auto text = literal
                      ? dyn_cast<DenseStringElementsAttr>(literal.getValue())
                      : DenseStringElementsAttr();
      hasName = text && text.getNumElements() == 1;
      if (hasName && !text.getRawStringData()[0].empty() &&
          !opNames.insert(text.getRawStringData()[0]).second)
        add("name", place,
            "the name '" + text.getRawStringData()[0] +
                "' is that of another operation");
      continue;
    }
    bool value = type == "const" && key == "val";
    if (!value && !attributesAreArguments)
      add("attribute", place,
          "'" + type + "' has attribute '" + key + "', which it cannot have");
    if (literal)
      verifyConstant(op, value ? op.getResult(0).getType() : Type(), literal);
  }
  if (!hasName)
    add("name", place, "'" + type + "' has no attribute 'name'");
  for (Attribute attr : op.getArgs()) {
    auto named = cast<mil::NamedAttr>(attr);
    named.getValue().walk([&](mil::LiteralAttr literal) {
      verifyConstant(op, Type(), literal);
      if (isa<mil::BlobFileAttr>(literal.getValue()) &&
          !type.starts_with("constexpr_"))
        add("weights", place,
            "argument '" + named.getName().getValue() +
                "' is a BLOBFILE, which only constants can be");
    });
  }
  for (Value result : op.getResults())
    if (auto tensor = dyn_cast<RankedTensorType>(result.getType());
        tensor && tensor.getRank() > kMostAxes) {
      bool compressed = llvm::all_of(result.getUsers(), [](Operation *user) {
        auto op = dyn_cast<mil::OpOp>(user);
        return op && op.getType().starts_with("constexpr_");
      });
      if (!compressed || result.use_empty())
        add("rank", place,
            "has rank " + Twine(tensor.getRank()) + "; values have at most " +
                Twine(kMostAxes) + " axes");
    }
  // Operands of one letter have one dtype; constants beside data may have their
  // own from ios17 on (mil/operations.md §1.0).
  Type element;
  for (Value v : mil::operandsOfOneType(op)) {
    Type own = getElementTypeOrSelf(v.getType());
    if (opset >= 17 && isConstant(v))
      continue;
    if (element && element != own)
      add("type", place,
          "'" + type + "' mixes " + print(element) + " and " + print(own));
    element = own;
  }
  for (Region &region : op.getBlocks())
    for (Operation &inner : region.front().without_terminator())
      verifyOperation(func, cast<mil::OpOp>(inner));
}

void Verifier::verifyFunction(mil::FuncOp func) {
  verifyName(func.getSymName(), func.getSymName());
  for (Attribute name : func.getParameters())
    verifyName(cast<StringAttr>(name).getValue(), func.getSymName());
  opNames.clear();
  Block &body = func.getBody().front();
  for (Operation &op : body.without_terminator())
    verifyOperation(func, cast<mil::OpOp>(op));
  int opset = mil::opsetNumber(func.getOpset());
  auto boundary = [&](Type type, const Twine &what) {
    Type element = getElementTypeOrSelf(type);
    if (!isa<RankedTensorType>(type) || isa<mil::StringType>(element))
      return;
    if (!(element.isF32() || element.isInteger(32) ||
          (element.isF16() && (opset >= 16 || !opset)) ||
          (element.isInteger(8) && !element.isUnsignedInteger() &&
           opset >= 26)))
      add("boundary", func.getSymName() + "/" + what,
          "has type " + print(type) + ", which cannot cross the boundary at " +
              func.getOpset());
  };
  // What compiled programs have at a boundary is their own business.
  if (source.info.specification) {
    for (auto [name, type] :
         llvm::zip(func.getParameters(), body.getArgumentTypes()))
      boundary(type, cast<StringAttr>(name).getValue());
    for (auto [i, type] :
         llvm::enumerate(body.getTerminator()->getOperandTypes()))
      if (auto producer =
              body.getTerminator()->getOperand(i).getDefiningOp<mil::OpOp>();
          !producer || producer.getType() != "classify")
        boundary(type, "result " + Twine(i));
  }
  // Everything else: rebuilt with our own inference.
  ScopedDiagnosticHandler collect(
      func.getContext(), [&](Diagnostic &diagnostic) {
        if (diagnostic.getSeverity() == DiagnosticSeverity::Error)
          add("operation", placeOf(diagnostic.getLocation()), diagnostic.str());
        return success();
      });
  (void)checkMIL(func, source.weights, source.bindShapes(func, {}));
}

std::vector<Finding> Verifier::run() {
  bool package =
      source.info.specification != 0 || !source.info.functions.empty();
  if (package)
    verifyPackage();
  for (auto func : source.program.getBody().getOps<mil::FuncOp>()) {
    if (const PackageInfo::Function *described = source.describe(func))
      verifyDescription(func, *described);
    verifyFunction(func);
  }
  return std::move(findings);
}

std::vector<Finding> mlir::ane::verifyMIL(MILSource &source, StringRef path) {
  return Verifier(source, path).run();
}

void mlir::ane::writeJSON(ArrayRef<Finding> findings, StringRef path,
                          llvm::raw_ostream &os) {
  llvm::json::OStream j(os, 2);
  auto text = [&](StringRef key, StringRef value) {
    j.attribute(key, llvm::json::fixUTF8(value));
  };
  j.object([&] {
    j.attribute("version", int64_t(1));
    j.attribute("producer", "ane-mlir " ANEMLIR_VERSION);
    text("artifact", path);
    j.attributeArray("findings", [&] {
      for (const Finding &finding : findings)
        j.object([&] {
          text("rule", finding.rule);
          text("place", finding.place);
          text("message", finding.message);
        });
    });
  });
  os << '\n';
}
