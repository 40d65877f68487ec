//===- MILText.cpp - mil dialect to MIL text ------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// The grammar is that of engine/mil-text.md §1.3, the layout coremlc's. Names,
// constants and offsets are fixed in the IR; the only choice here is the
// spelling of scalars, which is the program's `verbose`.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Target/MILText.h"
#include "ane-mlir/Support/DType.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Format.h"
#include <cmath>

using namespace mlir;
using namespace mlir::mil;

namespace {
class Printer {
public:
  Printer(ProgramOp program, llvm::raw_ostream &os)
      : program(program), os(os), verbose(program.getVerbose()) {}
  LogicalResult print();

private:
  void printType(Type type);
  void printElement(Type element);
  LogicalResult printLiteral(LiteralAttr literal);
  /// A value inside the parentheses of its type.
  LogicalResult printValue(Type type, Attribute value);
  LogicalResult printArgument(Attribute value, OpOp op);
  LogicalResult printAttributes(ArrayAttr attributes, Operation *at);
  LogicalResult printFunc(FuncOp func);
  LogicalResult printOp(OpOp op, unsigned indent);
  /// (parameters)
  void printParameters(ArrayAttr parameters, Block &block);
  /// { statements } -> (results)
  LogicalResult printBody(Block &block, unsigned indent);
  void printString(StringRef text);
  void printFloat(double value);

  ProgramOp program;
  llvm::raw_ostream &os;
  bool verbose;
  llvm::DenseMap<Value, StringRef> names;
};
} // namespace

void Printer::printElement(Type element) {
  if (isa<StringType>(element))
    os << "string";
  else if (std::optional<ane::DType> dtype = ane::toDType(element))
    os << ane::getInfo(*dtype).name;
  else
    os << element;
}

void Printer::printType(Type type) {
  if (auto tensor = dyn_cast<RankedTensorType>(type)) {
    if (tensor.getRank() == 0 && !verbose)
      return printElement(tensor.getElementType());
    os << "tensor<";
    printElement(tensor.getElementType());
    os << ", [";
    llvm::interleaveComma(tensor.getShape(), os, [&](int64_t dim) {
      if (ShapedType::isDynamic(dim))
        os << '?';
      else
        os << dim;
    });
    os << "]>";
  } else if (auto tuple = dyn_cast<mil::TupleType>(type)) {
    os << "tuple<";
    llvm::interleaveComma(tuple.getTypes(), os, [&](Type t) { printType(t); });
    os << '>';
  } else if (auto list = dyn_cast<ListType>(type)) {
    os << "list<";
    printType(list.getElement());
    if (list.getLength() < 0)
      os << ", ?>";
    else
      os << ", " << list.getLength() << '>';
  } else if (auto dict = dyn_cast<DictType>(type)) {
    os << "dict<";
    printType(dict.getKey());
    os << ", ";
    printType(dict.getValue());
    os << '>';
  } else if (auto state = dyn_cast<StateType>(type)) {
    os << "state<";
    printType(state.getWrapped());
    os << '>';
  } else {
    os << type;
  }
}

void Printer::printString(StringRef text) {
  os << '"';
  for (char c : text) {
    if (c == '"' || c == '\\')
      os << '\\' << c;
    else if (c == '\n')
      os << "\\n";
    else if (c == '\t')
      os << "\\t";
    else
      os << c;
  }
  os << '"';
}

void Printer::printFloat(double value) {
  if (std::isnan(value)) {
    os << "nan";
  } else if (std::isinf(value)) {
    os << (value < 0 ? "-inf" : "inf");
  } else {
    // Exact, and the shortest hexadecimal form: what coremlc writes.
    char buffer[64];
    snprintf(buffer, sizeof(buffer), "%a", value);
    os << buffer;
  }
}

LogicalResult Printer::printValue(Type type, Attribute value) {
  auto emitElements = [&](ShapedType shaped, auto range, auto one) {
    bool scalar = shaped.getRank() == 0;
    if (!scalar)
      os << '[';
    llvm::interleaveComma(range, os, one);
    if (!scalar)
      os << ']';
    return success();
  };
  if (auto blob = dyn_cast<BlobFileAttr>(value)) {
    os << "BLOBFILE(path = " << (verbose ? "tensor<string, []>(" : "string(");
    printString(blob.getPath());
    os << "), offset = " << (verbose ? "tensor<uint64, []>(" : "uint64(")
       << blob.getOffset() << "))";
    return success();
  }
  if (auto strings = dyn_cast<DenseStringElementsAttr>(value))
    return emitElements(strings.getType(), strings.getRawStringData(),
                        [&](StringRef s) { printString(s); });
  if (auto dense = dyn_cast<DenseElementsAttr>(value)) {
    Type element = dense.getElementType();
    if (element.isInteger(1))
      return emitElements(dense.getType(), dense.getValues<bool>(),
                          [&](bool b) { os << (b ? "true" : "false"); });
    if (isa<FloatType>(element))
      return emitElements(dense.getType(), dense.getValues<APFloat>(),
                          [&](APFloat v) {
                            bool loses;
                            v.convert(APFloat::IEEEdouble(),
                                      APFloat::rmNearestTiesToEven, &loses);
                            printFloat(v.convertToDouble());
                          });
    bool isUnsigned = element.isUnsignedInteger();
    return emitElements(
        dense.getType(), dense.getValues<APInt>(),
        [&](const APInt &v) { os << toString(v, 10, !isUnsigned); });
  }
  if (auto array = dyn_cast<ArrayAttr>(value)) {
    bool failedInside = false;
    if (auto dict = dyn_cast<DictType>(type)) {
      os << '{';
      llvm::interleaveComma(array, os, [&](Attribute pair) {
        auto entry = dyn_cast<ArrayAttr>(pair);
        if (!entry || entry.size() != 2) {
          failedInside = true;
          return;
        }
        os << '{';
        failedInside |= failed(printValue(dict.getKey(), entry[0]));
        os << ", ";
        failedInside |= failed(printValue(dict.getValue(), entry[1]));
        os << '}';
      });
      os << '}';
    } else if (auto tuple = dyn_cast<mil::TupleType>(type)) {
      os << '(';
      llvm::interleaveComma(
          llvm::zip(tuple.getTypes(), array), os, [&](auto pair) {
            failedInside |=
                failed(printValue(std::get<0>(pair), std::get<1>(pair)));
          });
      os << ')';
    } else {
      auto list = dyn_cast<ListType>(type);
      os << '[';
      llvm::interleaveComma(array, os, [&](Attribute item) {
        failedInside |=
            failed(printValue(list ? list.getElement() : type, item));
      });
      os << ']';
    }
    return success(!failedInside);
  }
  return emitError(program.getLoc()) << "value " << value << " of type " << type
                                     << " has no spelling in MIL text";
}

LogicalResult Printer::printLiteral(LiteralAttr literal) {
  printType(literal.getType());
  os << '(';
  if (failed(printValue(literal.getType(), literal.getValue())))
    return failure();
  os << ')';
  return success();
}

LogicalResult Printer::printArgument(Attribute value, OpOp op) {
  if (auto ref = dyn_cast<RefAttr>(value)) {
    os << names.lookup(op.getOperand(ref.getIndex()));
    return success();
  }
  if (auto literal = dyn_cast<LiteralAttr>(value))
    return printLiteral(literal);
  auto tuple = dyn_cast<ArrayAttr>(value);
  if (!tuple)
    return op.emitOpError()
           << "has an argument value without a spelling: " << value;
  os << '(';
  for (auto [i, item] : llvm::enumerate(tuple)) {
    if (i)
      os << ", ";
    if (failed(printArgument(item, op)))
      return failure();
  }
  os << ')';
  return success();
}

LogicalResult Printer::printAttributes(ArrayAttr attributes, Operation *at) {
  os << '[';
  for (auto [i, attribute] : llvm::enumerate(attributes)) {
    auto named = dyn_cast<NamedAttr>(attribute);
    auto literal =
        named ? dyn_cast<LiteralAttr>(named.getValue()) : LiteralAttr();
    if (!literal)
      return at->emitOpError()
             << "expects attributes to be named literals, but got "
             << attribute;
    os << (i ? ", " : "") << named.getName().getValue() << " = ";
    if (failed(printLiteral(literal)))
      return failure();
  }
  os << ']';
  return success();
}

LogicalResult Printer::printOp(OpOp op, unsigned indent) {
  os.indent(indent);
  for (auto [i, result] : llvm::enumerate(op.getResults())) {
    StringRef name = cast<StringAttr>(op.getNames()[i]).getValue();
    names[result] = name;
    os << (i ? ", " : "");
    printType(result.getType());
    os << ' ' << name;
  }
  os << (op.getNumResults() ? " = " : "") << op.getType() << '(';
  for (auto [i, arg] : llvm::enumerate(op.getArgs())) {
    auto named = cast<NamedAttr>(arg);
    os << (i ? ", " : "") << named.getName().getValue() << " = ";
    if (failed(printArgument(named.getValue(), op)))
      return failure();
  }
  os << ')';
  if (!op.getMilAttributes().empty() &&
      failed(printAttributes(op.getMilAttributes(), op)))
    return failure();
  for (auto [i, region] : llvm::enumerate(op.getBlocks())) {
    os << '\n';
    os.indent(indent + 4) << "block";
    printParameters(cast<ArrayAttr>((*op.getBlockParameters())[i]),
                    region.front());
    os << ' ';
    if (failed(printBody(region.front(), indent + 8)))
      return failure();
  }
  os << ";\n";
  return success();
}

void Printer::printParameters(ArrayAttr parameters, Block &block) {
  os << '(';
  for (auto [i, argument] : llvm::enumerate(block.getArguments())) {
    StringRef name = cast<StringAttr>(parameters[i]).getValue();
    names[argument] = name;
    os << (i ? ", " : "");
    printType(argument.getType());
    os << ' ' << name;
  }
  os << ')';
}

LogicalResult Printer::printBody(Block &block, unsigned indent) {
  os << "{\n";
  for (Operation &op : block.without_terminator()) {
    auto milOp = dyn_cast<OpOp>(op);
    if (!milOp)
      return op.emitOpError()
             << "expected to have been converted to mil by convert-ane-to-mil";
    if (failed(printOp(milOp, indent)))
      return failure();
  }
  os.indent(indent - 4) << "} -> (";
  llvm::interleaveComma(block.getTerminator()->getOperands(), os,
                        [&](Value value) { os << names.lookup(value); });
  os << ')';
  return success();
}

LogicalResult Printer::printFunc(FuncOp func) {
  os << "    func " << func.getSymName() << '<' << func.getOpset() << '>';
  printParameters(func.getParameters(), func.getBody().front());
  os << ' ';
  if (!func.getMilAttributes().empty()) {
    if (failed(printAttributes(func.getMilAttributes(), func)))
      return failure();
    os << ' ';
  }
  if (failed(printBody(func.getBody().front(), 12)))
    return failure();
  os << ";\n";
  return success();
}

LogicalResult Printer::print() {
  os << "program(" << program.getVersion() << ")\n";
  if (!program.getMilAttributes().empty()) {
    if (failed(printAttributes(program.getMilAttributes(), program)))
      return failure();
    os << '\n';
  }
  os << "{\n";
  for (FuncOp func : program.getBody().getOps<FuncOp>())
    if (failed(printFunc(func)))
      return failure();
  os << "}";
  return success();
}

LogicalResult mlir::mil::printMILText(ProgramOp program,
                                      llvm::raw_ostream &os) {
  return Printer(program, os).print();
}
