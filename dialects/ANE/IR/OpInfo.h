//===- OpInfo.h - what the op records say, at run time --------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// Generated from the records (ane-tblgen -gen-op-table), so that lowering to
// mil, raising from mil and the evidence check are one table-driven walk each
// instead of a function per op.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_DIALECTS_ANE_IR_OPINFO_H
#define ANEMLIR_DIALECTS_ANE_IR_OPINFO_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringRef.h"
#include <string>

namespace mlir::ane {

/// How an argument of a MIL operation is held by the ane op.
enum class ArgKind {
  Operand,
  OptionalOperand,
  VariadicOperand,
  Int,
  Bool,
  Float,
  String,
  Ints,
  Bools,
  DType
};

struct ArgInfo {
  /// MIL's argument name, which is also the ODS name.
  llvm::StringLiteral name;
  ArgKind kind;
  /// An attribute that has to be there: it has no default.
  bool isRequired;
  /// MIL wants uint32 instead of int32.
  bool isUnsigned;
  /// The opset that brought it, where that is later than the op's; else 0.
  int since;
  /// What a String may be; nothing where any will do.
  llvm::ArrayRef<llvm::StringLiteral> words;
  bool isOperand() const { return kind <= ArgKind::VariadicOperand; }
  bool takesWord(llvm::StringRef word) const {
    return words.empty() || llvm::is_contained(words, word);
  }
  /// "constant, reflect or replicate".
  std::string listWords() const;
};

/// What is known of an op and the engine; see ANE_Evidence in ANEBase.td.
enum class Evidence { Raw, Compiled, E5RT, Table, Decomposed, Host };

/// As the records spell it: "raw", "compiled", "e5rt", "table", "decomposed",
/// "host".
llvm::StringRef getEvidenceName(Evidence evidence);

struct OpInfo {
  /// "ane.conv".
  llvm::StringLiteral name;
  /// "conv".
  llvm::StringLiteral milName;
  /// First iOS opset, 15..18.
  int milOpset;
  Evidence evidence;
  /// Rule that forbids the op on the engine; empty when placeable.
  llvm::StringLiteral rule;
  llvm::StringLiteral why;
  /// One function of the broadcast operands' elements (`scalar` in the record).
  bool elementwise;
  /// Results are elements of the operands, each as it is.
  bool movesElements;
  /// What it computes is rounded nowhere, in whatever precision.
  bool picksElements;
  llvm::ArrayRef<ArgInfo> args;
};

/// Every op with a MIL name, in record order.
llvm::ArrayRef<OpInfo> getOpInfos();
/// By full name ("ane.conv"); null for structure ops.
const OpInfo *lookupOpInfo(llvm::StringRef name);
/// By MIL name ("conv"); null when no ane op stands for it.
const OpInfo *lookupOpInfoByMilName(llvm::StringRef milName);

/// One row of the ONNX import table.
struct ImportRow {
  llvm::StringLiteral domain;
  llvm::StringLiteral onnxOp;
  int since;
  llvm::StringLiteral op;
  /// "ane_name=onnx_name" for attributes whose names differ.
  llvm::ArrayRef<llvm::StringLiteral> renames;
};
llvm::ArrayRef<ImportRow> getImportRows();

} // namespace mlir::ane

#endif // ANEMLIR_DIALECTS_ANE_IR_OPINFO_H
