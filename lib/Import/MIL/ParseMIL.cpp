//===- ParseMIL.cpp - MIL text to mil dialect -----------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// Recursive descent over the grammar of engine/mil-text.md §1.3, with what real
// compiled models add: attributes between a function's parameters and body,
// nested tuple, list and dict types, unknown dimensions, comments.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Import/MIL.h"
#include "ane-mlir/Support/DType.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/Diagnostics.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"
#include <cmath>

using namespace mlir;
using namespace mlir::ane;
using namespace mlir::mil;

namespace {
/// Types and values nested deeper than this are refused.
constexpr unsigned kMaxDepth = 64;

class Parser {
public:
  Parser(StringRef text, StringRef name, MLIRContext *context)
      : text(text), cursor(text.begin()), file(StringAttr::get(context, name)),
        context(context), builder(context) {}
  OwningOpRef<ModuleOp> parse();

private:
  // Lexing.
  void skipSpace();
  Location locationOf(const char *at);
  InFlightDiagnostic error(const Twine &message, const char *at = nullptr) {
    return emitError(locationOf(at ? at : cursor)) << message.str();
  }
  bool peek(char c) {
    skipSpace();
    return cursor != text.end() && *cursor == c;
  }
  bool consumeIf(char c) {
    if (!peek(c))
      return false;
    ++cursor;
    return true;
  }
  LogicalResult expect(char c) {
    if (consumeIf(c))
      return success();
    return error("expects '" + Twine(c) + "', but got " + describeNext());
  }
  LogicalResult expectWord(StringRef word) {
    skipSpace();
    StringRef found = peekIdentifier();
    if (found != word)
      return error("expects '" + word + "', but got " + describeNext());
    cursor += word.size();
    return success();
  }
  LogicalResult expectArrow() {
    skipSpace();
    if (rest().starts_with("->")) {
      cursor += 2;
      return success();
    }
    return error("expects '->', but got " + describeNext());
  }
  StringRef rest() const { return StringRef(cursor, text.end() - cursor); }
  std::string describeNext() {
    skipSpace();
    if (cursor == text.end())
      return "the end of the text";
    StringRef word = peekIdentifier();
    return "'" +
           (word.empty() ? rest().take_front(1) : word.take_front(40)).str() +
           "'";
  }
  StringRef peekIdentifier() {
    skipSpace();
    return rest().take_while(
        [](char c) { return llvm::isAlnum(c) || c == '_' || c == '@'; });
  }
  FailureOr<StringRef> identifier(const Twine &what) {
    StringRef word = peekIdentifier();
    if (word.empty() || llvm::isDigit(word[0]))
      return error("expects " + what + ", but got " + describeNext()),
             failure();
    cursor += word.size();
    return word;
  }
  FailureOr<std::string> string();
  /// A number or true/false, as text.
  FailureOr<StringRef> number();

  // Grammar.
  FailureOr<Type> type(unsigned depth = 0);
  FailureOr<Type> elementType();
  FailureOr<Attribute> value(Type expected, unsigned depth);
  FailureOr<Attribute> tensorValue(RankedTensorType expected);
  /// Elements between brackets: in one list, or in as many as there are axes.
  /// `leaf` is how deep the first one lies.
  LogicalResult elements(ArrayRef<int64_t> shape, unsigned depth,
                         std::optional<unsigned> &leaf,
                         function_ref<LogicalResult()> one);
  FailureOr<LiteralAttr> literal();
  FailureOr<BlobFileAttr> blob();
  FailureOr<ArrayAttr> attributes();
  /// An argument value; operands are appended to `operands`.
  FailureOr<Attribute> argument(SmallVectorImpl<Value> &operands,
                                unsigned depth);
  /// (TYPE name, …)
  LogicalResult parameters(SmallVectorImpl<Type> &types,
                           SmallVectorImpl<StringRef> &names);
  /// { statements } -> (results), into an empty block. Names given inside are
  /// forgotten behind it.
  LogicalResult body(Block &block, ArrayRef<Type> types,
                     ArrayRef<StringRef> names, const char *at);
  LogicalResult function();
  LogicalResult statement();
  Location placeOf(ArrayRef<StringRef> names, ArrayAttr attributes,
                   const char *at);
  LogicalResult define(StringRef name, Value value, const char *at) {
    if (!values.try_emplace(name, value).second)
      return error("'" + name + "' is defined twice", at);
    defined.push_back(name);
    return success();
  }

  StringRef text;
  const char *cursor;
  /// Where the line that locationOf found last starts, and its number.
  const char *lineStart = text.begin();
  unsigned line = 1;
  StringAttr file;
  /// Of the function that is read.
  StringRef functionName;
  MLIRContext *context;
  OpBuilder builder;
  bool verbose = false, sawScalar = false;
  llvm::StringMap<Value> values;
  /// Names in the order in which they were given.
  SmallVector<StringRef> defined;
  unsigned blockDepth = 0;
};
} // namespace

Location Parser::locationOf(const char *at) {
  // Lines are counted from the last position asked for: statements come in
  // order, and a rescan per statement would be quadratic.
  if (at < lineStart) {
    line = 1;
    lineStart = text.begin();
  }
  while (true) {
    const char *newline = std::find(lineStart, at, '\n');
    if (newline == at)
      break;
    ++line;
    lineStart = newline + 1;
  }
  return FileLineColLoc::get(file, line, at - lineStart + 1);
}

void Parser::skipSpace() {
  while (cursor != text.end()) {
    if (isspace(static_cast<unsigned char>(*cursor))) {
      ++cursor;
    } else if (rest().starts_with("//")) {
      cursor += std::min(rest().find('\n'), rest().size());
    } else if (rest().starts_with("/*")) {
      size_t end = rest().find("*/", 2);
      cursor = end == StringRef::npos ? text.end() : cursor + end + 2;
    } else {
      return;
    }
  }
}

FailureOr<std::string> Parser::string() {
  if (failed(expect('"')))
    return failure();
  std::string result;
  const char *start = cursor;
  while (cursor != text.end() && *cursor != '"') {
    if (*cursor == '\\' && cursor + 1 != text.end()) {
      ++cursor;
      result += *cursor == 'n' ? '\n' : *cursor == 't' ? '\t' : *cursor;
    } else {
      result += *cursor;
    }
    ++cursor;
  }
  if (cursor == text.end())
    return error("expects a closing '\"'", start), failure();
  ++cursor;
  return result;
}

FailureOr<StringRef> Parser::number() {
  skipSpace();
  StringRef token = rest().take_while([](char c) {
    return llvm::isAlnum(c) || c == '_' || c == '.' || c == '-' || c == '+';
  });
  if (token.empty())
    return error("expects a number, but got " + describeNext()), failure();
  cursor += token.size();
  return token;
}

FailureOr<Type> Parser::elementType() {
  const char *at = (skipSpace(), cursor);
  FailureOr<StringRef> word = identifier("an element type");
  if (failed(word))
    return failure();
  if (*word == "string")
    return Type(mil::StringType::get(context));
  if (std::optional<DType> dtype = lookupDType(*word))
    return toMLIRType(*dtype, context);
  return error("expects an element type, but got '" + *word + "'", at),
         failure();
}

FailureOr<Type> Parser::type(unsigned depth) {
  const char *at = (skipSpace(), cursor);
  if (depth > kMaxDepth)
    return error("types are nested too deep", at), failure();
  StringRef word = peekIdentifier();
  auto open = [&] { return cursor += word.size(), expect('<'); };
  if (word == "tensor") {
    if (failed(open()))
      return failure();
    FailureOr<Type> element = elementType();
    if (failed(element) || failed(expect(',')) || failed(expect('[')))
      return failure();
    SmallVector<int64_t> shape;
    int64_t count = 1;
    while (!peek(']')) {
      if (!shape.empty() && failed(expect(',')))
        return failure();
      if (consumeIf('?')) {
        shape.push_back(ShapedType::kDynamic);
        continue;
      }
      const char *start = (skipSpace(), cursor);
      FailureOr<StringRef> dim = number();
      int64_t extent;
      if (failed(dim))
        return failure();
      if (dim->getAsInteger(10, extent) || extent < 0 || extent > INT32_MAX ||
          llvm::MulOverflow(count, std::max<int64_t>(extent, 1), count))
        return error("expects a dimension in [0, 2^31), but got '" + *dim + "'",
                     start),
               failure();
      shape.push_back(extent);
    }
    ++cursor;
    if (failed(expect('>')))
      return failure();
    if (shape.empty())
      sawScalar = true, verbose = true;
    return Type(RankedTensorType::get(shape, *element));
  }
  if (word == "tuple") {
    if (failed(open()))
      return failure();
    SmallVector<Type> types;
    while (!peek('>')) {
      if (!types.empty() && failed(expect(',')))
        return failure();
      FailureOr<Type> inner = type(depth + 1);
      if (failed(inner))
        return failure();
      types.push_back(*inner);
    }
    ++cursor;
    return Type(mil::TupleType::get(context, types));
  }
  if (word == "list") {
    if (failed(open()))
      return failure();
    FailureOr<Type> element = type(depth + 1);
    if (failed(element) || failed(expect(',')))
      return failure();
    int64_t length = -1;
    if (!consumeIf('?')) {
      const char *start = (skipSpace(), cursor);
      FailureOr<StringRef> digits = number();
      if (failed(digits))
        return failure();
      if (digits->getAsInteger(10, length) || length < 0)
        return error("expects a list length, but got '" + *digits + "'", start),
               failure();
    }
    if (failed(expect('>')))
      return failure();
    return Type(ListType::get(context, *element, length));
  }
  if (word == "dict") {
    if (failed(open()))
      return failure();
    FailureOr<Type> key = type(depth + 1);
    if (failed(key) || failed(expect(',')))
      return failure();
    FailureOr<Type> mapped = type(depth + 1);
    if (failed(mapped) || failed(expect('>')))
      return failure();
    return Type(DictType::get(context, *key, *mapped));
  }
  if (word == "state") {
    if (failed(open()))
      return failure();
    FailureOr<Type> wrapped = type(depth + 1);
    if (failed(wrapped) || failed(expect('>')))
      return failure();
    return Type(StateType::get(context, *wrapped));
  }
  FailureOr<Type> element = elementType();
  if (failed(element))
    return failure();
  if (!sawScalar)
    sawScalar = true, verbose = false;
  return Type(RankedTensorType::get({}, *element));
}

FailureOr<BlobFileAttr> Parser::blob() {
  if (failed(expectWord("BLOBFILE")) || failed(expect('(')) ||
      failed(expectWord("path")) || failed(expect('=')))
    return failure();
  FailureOr<LiteralAttr> path = literal();
  if (failed(path) || failed(expect(',')) || failed(expectWord("offset")) ||
      failed(expect('=')))
    return failure();
  const char *at = (skipSpace(), cursor);
  FailureOr<LiteralAttr> offset = literal();
  if (failed(offset) || failed(expect(')')))
    return failure();
  auto text = dyn_cast<DenseStringElementsAttr>(path->getValue());
  auto number = dyn_cast<DenseIntElementsAttr>(offset->getValue());
  if (!text || text.getNumElements() != 1 || !number ||
      number.getNumElements() != 1)
    return error("expects BLOBFILE(path = string, offset = uint64)", at),
           failure();
  return BlobFileAttr::get(context, text.getRawStringData()[0],
                           (*number.value_begin<APInt>()).getZExtValue());
}

LogicalResult Parser::elements(ArrayRef<int64_t> shape, unsigned depth,
                               std::optional<unsigned> &leaf,
                               function_ref<LogicalResult()> one) {
  const char *at = (skipSpace(), cursor);
  if (!consumeIf('[')) {
    if (leaf.value_or(depth) != depth)
      return error("expects all elements to be nested alike", at);
    leaf = depth;
    return one();
  }
  // A flat list, or one of lists for each axis.
  if (depth >= std::max<size_t>(shape.size(), 1))
    return error("expects at most " + Twine(std::max<size_t>(shape.size(), 1)) +
                     " nested lists for a tensor of rank " +
                     Twine(shape.size()),
                 at);
  int64_t count = 0;
  while (!peek(']')) {
    if (count && failed(expect(',')))
      return failure();
    if (failed(elements(shape, depth + 1, leaf, one)))
      return failure();
    ++count;
  }
  ++cursor;
  bool nested = leaf.value_or(0) > 1 || depth > 0;
  if (nested && leaf && *leaf != shape.size())
    return error("expects lists nested as deep as the tensor's rank, " +
                     Twine(shape.size()),
                 at);
  if (nested && !ShapedType::isDynamic(shape[depth]) && count != shape[depth])
    return error("expects " + Twine(shape[depth]) + " entries along axis " +
                     Twine(depth) + ", but got " + Twine(count),
                 at);
  return success();
}

FailureOr<Attribute> Parser::tensorValue(RankedTensorType expected) {
  const char *at = (skipSpace(), cursor);
  Type element = expected.getElementType();
  SmallVector<std::string> strings;
  SmallVector<APFloat> floats;
  SmallVector<APInt> ints;
  int64_t count = 0;
  auto one = [&]() -> LogicalResult {
    const char *start = (skipSpace(), cursor);
    ++count;
    if (isa<mil::StringType>(element)) {
      FailureOr<std::string> s = string();
      if (failed(s))
        return failure();
      strings.push_back(*s);
      return success();
    }
    FailureOr<StringRef> token = number();
    if (failed(token))
      return failure();
    auto bad = [&] {
      return error("expects a value of type " +
                       (element.isInteger(1)
                            ? Twine("bool")
                            : Twine(getInfo(*toDType(element)).name)) +
                       ", but got '" + *token + "'",
                   start);
    };
    if (element.isInteger(1)) {
      if (*token != "true" && *token != "false")
        return bad();
      ints.push_back(APInt(1, *token == "true"));
    } else if (auto floatType = dyn_cast<FloatType>(element)) {
      std::string copy = token->str();
      char *end;
      double v = std::strtod(copy.c_str(), &end);
      if (*end)
        return bad();
      APFloat apf(v);
      bool loses;
      apf.convert(floatType.getFloatSemantics(), APFloat::rmNearestTiesToEven,
                  &loses);
      floats.push_back(apf);
    } else {
      unsigned width = element.getIntOrFloatBitWidth();
      bool negative = token->starts_with("-");
      uint64_t magnitude;
      if (token->drop_front(negative).getAsInteger(10, magnitude))
        return bad();
      uint64_t limit = element.isUnsignedInteger()
                           ? (negative ? 0 : ~0ull >> (64 - width))
                           : (1ull << (width - 1)) - (negative ? 0 : 1);
      if (magnitude > limit)
        return bad();
      ints.push_back(
          APInt(64, negative ? 0 - magnitude : magnitude).trunc(width));
    }
    return success();
  };
  std::optional<unsigned> leaf;
  if (failed(elements(expected.getShape(), 0, leaf, one)))
    return failure();
  // `?` in a literal's type takes the literal's length.
  SmallVector<int64_t> shape(expected.getShape());
  for (int64_t &dim : shape)
    if (ShapedType::isDynamic(dim))
      dim = shape.size() == 1 ? count : 1;
  auto type = RankedTensorType::get(shape, element);
  if (count != type.getNumElements())
    return error("expects " + Twine(type.getNumElements()) +
                     " values, but got " + Twine(count),
                 at),
           failure();
  if (isa<mil::StringType>(element)) {
    SmallVector<StringRef> refs(strings.begin(), strings.end());
    return Attribute(DenseStringElementsAttr::get(type, refs));
  }
  if (isa<FloatType>(element))
    return Attribute(DenseElementsAttr::get(type, floats));
  return Attribute(DenseElementsAttr::get(type, ints));
}

FailureOr<Attribute> Parser::value(Type expected, unsigned depth) {
  if (depth > kMaxDepth)
    return error("values are nested too deep"), failure();
  if (peekIdentifier() == "BLOBFILE") {
    FailureOr<BlobFileAttr> b = blob();
    return failed(b) ? FailureOr<Attribute>(failure())
                     : FailureOr<Attribute>(Attribute(*b));
  }
  if (auto tensor = dyn_cast<RankedTensorType>(expected))
    return tensorValue(tensor);
  SmallVector<Attribute> items;
  auto sequence = [&](char open, char close,
                      function_ref<FailureOr<Attribute>(size_t)> item)
      -> FailureOr<Attribute> {
    if (failed(expect(open)))
      return failure();
    while (!peek(close)) {
      if (!items.empty() && failed(expect(',')))
        return failure();
      FailureOr<Attribute> parsed = item(items.size());
      if (failed(parsed))
        return failure();
      items.push_back(*parsed);
    }
    ++cursor;
    return Attribute(builder.getArrayAttr(items));
  };
  if (auto dict = dyn_cast<DictType>(expected))
    return sequence('{', '}', [&](size_t) -> FailureOr<Attribute> {
      if (failed(expect('{')))
        return failure();
      FailureOr<Attribute> key = value(dict.getKey(), depth + 1);
      if (failed(key) || failed(expect(',')))
        return failure();
      FailureOr<Attribute> mapped = value(dict.getValue(), depth + 1);
      if (failed(mapped) || failed(expect('}')))
        return failure();
      return Attribute(builder.getArrayAttr({*key, *mapped}));
    });
  if (auto tuple = dyn_cast<mil::TupleType>(expected))
    return sequence('(', ')', [&](size_t i) -> FailureOr<Attribute> {
      if (i >= tuple.getTypes().size())
        return error("expects " + Twine(tuple.getTypes().size()) +
                     " values in a tuple"),
               failure();
      return value(tuple.getTypes()[i], depth + 1);
    });
  if (auto list = dyn_cast<ListType>(expected))
    return sequence(
        '[', ']', [&](size_t) { return value(list.getElement(), depth + 1); });
  return error("expects a value"), failure();
}

FailureOr<LiteralAttr> Parser::literal() {
  FailureOr<Type> t = type();
  if (failed(t) || failed(expect('(')))
    return failure();
  FailureOr<Attribute> v = value(*t, 0);
  if (failed(v) || failed(expect(')')))
    return failure();
  return LiteralAttr::get(context, *t, *v);
}

FailureOr<ArrayAttr> Parser::attributes() {
  SmallVector<Attribute> list;
  if (failed(expect('[')))
    return failure();
  while (!peek(']')) {
    if (!list.empty() && failed(expect(',')))
      return failure();
    FailureOr<StringRef> name = identifier("an attribute name");
    if (failed(name) || failed(expect('=')))
      return failure();
    FailureOr<LiteralAttr> v = literal();
    if (failed(v))
      return failure();
    list.push_back(NamedAttr::get(context, builder.getStringAttr(*name), *v));
  }
  ++cursor;
  return builder.getArrayAttr(list);
}

FailureOr<Attribute> Parser::argument(SmallVectorImpl<Value> &operands,
                                      unsigned depth) {
  if (depth > kMaxDepth)
    return error("arguments are nested too deep"), failure();
  if (consumeIf('(')) {
    SmallVector<Attribute> items;
    while (!peek(')')) {
      if (!items.empty() && failed(expect(',')))
        return failure();
      FailureOr<Attribute> item = argument(operands, depth + 1);
      if (failed(item))
        return failure();
      items.push_back(*item);
    }
    ++cursor;
    return Attribute(builder.getArrayAttr(items));
  }
  const char *at = (skipSpace(), cursor);
  StringRef word = peekIdentifier();
  // A literal starts with a type and an opening bracket; anything else is a
  // name.
  StringRef after = StringRef(word.end(), text.end() - word.end()).ltrim();
  bool isType = word == "tensor" || word == "tuple" || word == "list" ||
                word == "dict" || word == "string" || lookupDType(word);
  if (isType && (after.starts_with("(") || after.starts_with("<"))) {
    FailureOr<LiteralAttr> v = literal();
    return failed(v) ? FailureOr<Attribute>(failure())
                     : FailureOr<Attribute>(Attribute(*v));
  }
  FailureOr<StringRef> name = identifier("a value");
  if (failed(name))
    return failure();
  if (*name == "true" || *name == "false")
    return error("expects a typed value such as bool(" + *name +
                     "), but got a bare '" + *name + "'",
                 at),
           failure();
  auto it = values.find(*name);
  if (it == values.end())
    return error("'" + *name + "' is not defined here", at), failure();
  operands.push_back(it->second);
  return Attribute(RefAttr::get(context, operands.size() - 1));
}

/// Where a statement is, under the name that a report has for it, as of
/// packages: NAME, or FUNCTION/NAME where that is not main.
Location Parser::placeOf(ArrayRef<StringRef> names, ArrayAttr attributes,
                         const char *at) {
  StringRef name = names.empty() ? StringRef() : names.front();
  for (Attribute attribute : attributes) {
    auto named = cast<NamedAttr>(attribute);
    auto literal = dyn_cast<LiteralAttr>(named.getValue());
    auto word = literal && named.getName() == "name"
                    ? dyn_cast<DenseStringElementsAttr>(literal.getValue())
                    : DenseStringElementsAttr();
    if (word && word.getNumElements() == 1 &&
        !word.getRawStringData()[0].empty())
      name = word.getRawStringData()[0];
  }
  Location position = locationOf(at);
  if (name.empty())
    return position;
  std::string whole =
      functionName == "main" ? name.str() : (functionName + "/" + name).str();
  return NameLoc::get(builder.getStringAttr(whole), position);
}

LogicalResult Parser::statement() {
  const char *at = (skipSpace(), cursor);
  SmallVector<Type> types;
  SmallVector<StringRef> names;
  // Statements without results exist (write_state): an operation name and '('.
  StringRef word = peekIdentifier();
  StringRef after = StringRef(word.end(), text.end() - word.end()).ltrim();
  bool listed = consumeIf('('); // (TYPE a, TYPE b) = …
  bool hasResults = listed || !(after.starts_with("(") && !lookupDType(word));
  if (hasResults) {
    do {
      FailureOr<Type> t = type();
      if (failed(t))
        return failure();
      FailureOr<StringRef> name = identifier("a name");
      if (failed(name))
        return failure();
      types.push_back(*t);
      names.push_back(*name);
    } while (consumeIf(','));
    if ((listed && failed(expect(')'))) || failed(expect('=')))
      return failure();
  }
  FailureOr<StringRef> opName = identifier("an operation");
  if (failed(opName))
    return failure();
  if (peek('<')) { // op<opset>(…): the function's opset says it already
    ++cursor;
    if (failed(identifier("an opset")) || failed(expect('>')))
      return failure();
  }
  if (failed(expect('(')))
    return failure();
  SmallVector<Attribute> args;
  SmallVector<Value> operands;
  llvm::StringMap<bool> seen;
  while (!peek(')')) {
    if (!args.empty() && failed(expect(',')))
      return failure();
    const char *start = (skipSpace(), cursor);
    FailureOr<StringRef> name = identifier("an argument name");
    if (failed(name) || failed(expect('=')))
      return failure();
    if (!seen.try_emplace(*name, true).second)
      return error("argument '" + *name + "' is given twice", start);
    FailureOr<Attribute> v = argument(operands, 0);
    if (failed(v))
      return failure();
    args.push_back(NamedAttr::get(context, builder.getStringAttr(*name), *v));
  }
  ++cursor;
  ArrayAttr attrs = builder.getArrayAttr({});
  if (peek('[')) {
    FailureOr<ArrayAttr> parsed = attributes();
    if (failed(parsed))
      return failure();
    attrs = *parsed;
  }
  // How Apple's compiler spells blocks is not known; this is ours.
  SmallVector<std::unique_ptr<Region>> blocks;
  SmallVector<Attribute> blockParameters;
  while (peekIdentifier() == "block") {
    const char *start = cursor;
    cursor += 5;
    if (blockDepth >= kMaxDepth)
      return error("blocks are nested too deep", start);
    SmallVector<Type> blockTypes;
    SmallVector<StringRef> blockNames;
    auto region = std::make_unique<Region>();
    if (failed(parameters(blockTypes, blockNames)) ||
        failed(body(region->emplaceBlock(), blockTypes, blockNames, start)))
      return failure();
    blocks.push_back(std::move(region));
    blockParameters.push_back(builder.getStrArrayAttr(blockNames));
  }
  if (failed(expect(';')))
    return failure();
  auto op = OpOp::create(
      builder, placeOf(names, attrs, at), types, builder.getStringAttr(*opName),
      builder.getArrayAttr(args), builder.getStrArrayAttr(names), attrs,
      blocks.empty() ? ArrayAttr() : builder.getArrayAttr(blockParameters),
      operands, blocks.size());
  for (auto [region, parsed] : llvm::zip(op.getBlocks(), blocks))
    region.takeBody(*parsed);
  if (*opName == "const" && types.size() == 1) {
    LiteralAttr constant = getConstant(op.getResult(0));
    if (!constant)
      return error("expects a const to have attribute 'val'", at);
    if (constant.getType() != types[0])
      return error("const '" + names[0] +
                       "' is declared with another type than its value",
                   at);
  }
  for (auto [name, result] : llvm::zip(names, op.getResults()))
    if (failed(define(name, result, at)))
      return failure();
  return success();
}

LogicalResult Parser::parameters(SmallVectorImpl<Type> &types,
                                 SmallVectorImpl<StringRef> &names) {
  if (failed(expect('(')))
    return failure();
  while (!peek(')')) {
    if (!types.empty() && failed(expect(',')))
      return failure();
    FailureOr<Type> t = type();
    if (failed(t))
      return failure();
    FailureOr<StringRef> parameter = identifier("a parameter name");
    if (failed(parameter))
      return failure();
    types.push_back(*t);
    names.push_back(*parameter);
  }
  ++cursor;
  return success();
}

LogicalResult Parser::body(Block &block, ArrayRef<Type> types,
                           ArrayRef<StringRef> names, const char *at) {
  if (failed(expect('{')))
    return failure();
  size_t outer = defined.size();
  ++blockDepth;
  for (auto [t, name] : llvm::zip(types, names))
    if (failed(define(
            name,
            block.addArgument(t, NameLoc::get(builder.getStringAttr(name))),
            at)))
      return failure();
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(&block);
  while (!peek('}')) {
    if (cursor == text.end())
      return error("expects '}', but got the end of the text");
    if (failed(statement()))
      return failure();
  }
  ++cursor;
  if (failed(expectArrow()) || failed(expect('(')))
    return failure();
  SmallVector<Value> results;
  while (!peek(')')) {
    if (!results.empty() && failed(expect(',')))
      return failure();
    const char *start = (skipSpace(), cursor);
    FailureOr<StringRef> result = identifier("a result");
    if (failed(result))
      return failure();
    Value v = values.lookup(*result);
    if (!v)
      return error("result '" + *result + "' is not defined", start);
    results.push_back(v);
  }
  ++cursor;
  mil::ReturnOp::create(builder, locationOf(at), results);
  for (StringRef name : llvm::drop_begin(defined, outer))
    values.erase(name);
  defined.truncate(outer);
  --blockDepth;
  return success();
}

LogicalResult Parser::function() {
  const char *at = (skipSpace(), cursor);
  if (failed(expectWord("func")))
    return failure();
  FailureOr<StringRef> name = identifier("a function name");
  if (failed(name) || failed(expect('<')))
    return failure();
  functionName = *name;
  FailureOr<StringRef> opset = identifier("an opset");
  SmallVector<Type> types;
  SmallVector<StringRef> names;
  if (failed(opset) || failed(expect('>')) || failed(parameters(types, names)))
    return failure();
  ArrayAttr attrs = builder.getArrayAttr({});
  if (peek('[')) {
    FailureOr<ArrayAttr> parsed = attributes();
    if (failed(parsed))
      return failure();
    attrs = *parsed;
  }
  auto func = FuncOp::create(
      builder, locationOf(at), builder.getStringAttr(*name),
      builder.getStringAttr(*opset), builder.getStrArrayAttr(names), attrs);
  if (failed(body(func.getBody().emplaceBlock(), types, names, at)))
    return failure();
  return expect(';');
}

OwningOpRef<ModuleOp> Parser::parse() {
  Location loc = locationOf(text.begin());
  OwningOpRef<ModuleOp> module = ModuleOp::create(loc);
  builder.setInsertionPointToStart(module->getBody());
  if (failed(expectWord("program")) || failed(expect('(')))
    return {};
  FailureOr<StringRef> version = number();
  if (failed(version) || failed(expect(')')))
    return {};
  ArrayAttr attrs = builder.getArrayAttr({});
  if (peek('[')) {
    FailureOr<ArrayAttr> parsed = attributes();
    if (failed(parsed))
      return {};
    attrs = *parsed;
  }
  if (failed(expect('{')))
    return {};
  auto program =
      ProgramOp::create(builder, loc, builder.getStringAttr("program"),
                        builder.getStringAttr(*version), UnitAttr(), attrs);
  builder.setInsertionPointToStart(&program.getBody().emplaceBlock());
  llvm::StringMap<bool> functions;
  while (!peek('}')) {
    const char *at = (skipSpace(), cursor);
    if (failed(function()))
      return {};
    auto func = cast<FuncOp>(program.getBody().front().back());
    if (!functions.try_emplace(func.getSymName(), true).second) {
      error("function '" + func.getSymName() + "' is defined twice", at);
      return {};
    }
  }
  ++cursor;
  skipSpace();
  if (cursor != text.end()) {
    error("expects the end of the text, but got " + describeNext());
    return {};
  }
  program.setVerbose(verbose);
  return module;
}

OwningOpRef<ModuleOp> mlir::ane::importMILText(llvm::StringRef text,
                                               llvm::StringRef name,
                                               MLIRContext *context) {
  context->loadDialect<MILDialect>();
  return Parser(text, name, context).parse();
}
