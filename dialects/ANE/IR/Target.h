//===- Target.h - engine generations, limits and rules --------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// Generated from dialects/ANE/Targets. A pass asks a Target for a limit by its
// identifier; the identifiers, values, grades and sources are those of the
// records.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_DIALECTS_ANE_IR_TARGET_H
#define ANEMLIR_DIALECTS_ANE_IR_TARGET_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringRef.h"
#include <cstdint>
#include <string>

namespace mlir::ane {

// LimitId::S1 …, CostId::ConvTflops …: a misspelt one does not compile.
#include "dialects/ANE/IR/TargetIds.inc"

/// "S1".
llvm::StringLiteral stringify(LimitId id);

struct Limit {
  llvm::StringLiteral id;
  int64_t value;
  /// Evidence grade, 'A' (best) to 'D'.
  char grade;
  llvm::StringLiteral source;
};

struct Rule {
  llvm::StringLiteral id;
  llvm::StringLiteral text;
  char grade;
  llvm::StringLiteral source;
  /// Bit n for generation n; 0 is every generation.
  unsigned families;
  /// No target has it by itself.
  bool optional;
};

struct CostParameter {
  llvm::StringLiteral name;
  double value;
  llvm::StringLiteral unit;
  llvm::StringLiteral source;
};

/// How the engine computes where that differs from IEEE.
struct NumericContract {
  enum class Accumulator { Float32, Fixed, ZeroOnOverflow } accumulator;
  bool productRounds, tiesAway, nanIsInf;
  char grade;
  llvm::StringLiteral source;
};

struct Target {
  /// "h13" … "h18".
  llvm::StringLiteral name;
  llvm::StringLiteral summary;
  /// Chip names that select this target: "m4".
  llvm::ArrayRef<llvm::StringLiteral> chips;
  /// Generation index: 2 is M1, 5 is M4.
  int family;
  /// MIL text in the spelling that macOS 13 understands.
  bool verboseDialect;
  llvm::ArrayRef<Limit> limits;
  /// By LimitId: where it is in `limits`, or -1.
  llvm::ArrayRef<int8_t> places;
  /// By CostId.
  llvm::ArrayRef<CostParameter> costs;
  NumericContract numerics;

  /// The limit, or null when nothing is known.
  const Limit *limit(LimitId id) const {
    int8_t place = places[unsigned(id)];
    return place < 0 ? nullptr : &limits[place];
  }
  /// The same by a name that came from elsewhere, as "S1" in a diagnostic.
  const Limit *findLimit(llvm::StringRef id) const;
  /// Whether the rule with this identifier is one of this generation.
  bool hasRule(llvm::StringRef id) const;
  double cost(CostId id) const { return costs[unsigned(id)].value; }
};

llvm::ArrayRef<Target> getTargets();
/// By target or chip name ("h16", "m4"); null when unknown.
const Target *lookupTarget(llvm::StringRef name);
/// h16, the first target.
const Target &getDefaultTarget();
/// Rule text by identifier; null when the identifier names a limit.
const Rule *lookupRule(llvm::StringRef id);

/// One broken rule: what the user is told about an op that cannot run on the
/// engine.
struct Violation {
  std::string rule;
  /// "operand 'x' has rank 6, the limit is 5".
  std::string reason;
};
using ViolationList = llvm::SmallVector<Violation, 2>;

} // namespace mlir::ane

#endif // ANEMLIR_DIALECTS_ANE_IR_TARGET_H
