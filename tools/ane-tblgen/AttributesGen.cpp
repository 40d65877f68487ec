//===- AttributesGen.cpp - attributes of ane ops as C++ types -------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// -gen-attributes: of a family, a struct per op with a member per attribute,
// and the function that writes it out. A name that the op does not have, a
// value of another type and a required one that is missing do not compile.
//
//===----------------------------------------------------------------------===//

#include "mlir/TableGen/GenInfo.h"
#include "mlir/TableGen/Operator.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/TableGen/Error.h"
#include "llvm/TableGen/Record.h"

using namespace llvm;
using mlir::tblgen::NamedAttribute;
using mlir::tblgen::Operator;

/// The C++ type of an attribute's values.
static std::string typeOf(const Record &def, const NamedAttribute &attr) {
  mlir::tblgen::Attribute base = attr.attr.getBaseAttr();
  if (const RecordVal *words = base.getDef().getValue("enumeration"))
    return cast<DefInit>(words->getValue())
        ->getDef()
        ->getValueAsString("className")
        .str();
  StringRef type = StringSwitch<StringRef>(base.getStorageType().trim())
                       .Case("::mlir::IntegerAttr", "int64_t")
                       .Case("::mlir::BoolAttr", "bool")
                       .Case("::mlir::FloatAttr", "double")
                       .Case("::mlir::StringAttr", "::llvm::StringRef")
                       .Case("::mlir::DenseI64ArrayAttr", "Ints")
                       .Case("::mlir::DenseBoolArrayAttr", "Bools")
                       .Case("::mlir::TypeAttr", "::mlir::Type")
                       .Default("");
  if (type.empty())
    PrintFatalError(def.getLoc(), "attribute '" + attr.name +
                                      "' has a type that no builder sets");
  return type.str();
}

static bool emitAttributes(const RecordKeeper &records, raw_ostream &os) {
  for (const Record *def : records.getAllDerivedDefinitions("ANE_Op")) {
    if (def->getValueAsString("milName").empty())
      continue;
    Operator op(def);
    std::string writing;
    os << "template <> struct Attributes<" << op.getCppClassName() << "> {\n";
    for (const NamedAttribute &attr : op.getAttributes()) {
      bool isRequired = !attr.attr.isOptional() && !attr.attr.hasDefaultValue();
      os << "  " << (isRequired ? "RequiredAttribute" : "OptionalAttribute")
         << "<" << typeOf(*def, attr) << "> " << attr.name
         << (isRequired ? ";\n" : " = {};\n");
      writing += "    list.add(\"" + attr.name.str() + "\", " +
                 attr.name.str() + ");\n";
    }
    os << "  void write(AttributeList &list) const {\n"
       << "    (void)list;\n"
       << writing << "  }\n};\n";
  }
  return false;
}

static mlir::GenRegistration genAttributes("gen-attributes",
                                           "Attributes of ops as C++ types",
                                           emitAttributes);
