//===- ANETarget.td - what a generation of the engine can say --------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// Facts are records with a source and an evidence grade (A: two or more independent measurements or shipped code;
// B: one measurement with a check; C: one report; D: static tables or inference). Passes ask the target; they never
// compare chip names. Identifiers are those of dialects/ANE/engine/legality.md ("S1", "L40"); Sources.td says what each
// source is.
//
//===----------------------------------------------------------------------===//

#ifndef ANE_TARGET_TD
#define ANE_TARGET_TD

/// Where facts come from: the code that records name, what stands behind it, what kind of evidence it is. A code with digits
/// behind it (MX4) is a part of that source. In a record's `source` every word in capitals is a code, the name of a target or a
/// chip; ane-tblgen refuses others.
class ANE_Source<string code_, string where_, string evidence_> {
  string abbreviation = code_;
  string where = where_;
  string evidence = evidence_;
}

/// A structural limit: the largest legal value of the quantity that `what` names.
class ANE_Limit<string id_, int value_, string grade_, string source_, string what_> {
  string id = id_;
  string what = what_;
  int value = value_;
  string grade = grade_;
  string source = source_;
}

/// A rule that is not a number; its text is what the user reads. `seen` says where, with what symptom (CE does not compile,
/// EE fails when it runs, SW silently wrong, SL slow); `here` what this compiler does about it; `remedy` what the owner of a
/// model can do. A grade of "?" is a conflict between sources. `families` are the generations (ANE_Target's family) that it
/// is a rule of; none is all.
class ANE_Rule<string id_, string text_, string grade_, string source_, string seen_ = "", string here_ = "", string remedy_ = "",
    list<int> families_ = []> {
  list<int> families = families_;
  /// No target has it by itself: --rule, or ane.rules of a module, switches it on.
  bit optional = 0;
  string id = id_;
  string text = text_;
  string grade = grade_;
  string source = source_;
  string seen = seen_;
  string here = here_;
  string remedy = remedy_;
}

/// A parameter of the cost model, with its unit.
class ANE_CostParameter<string name_, string value_, string unit_, string source_> {
  string parameter = name_;
  string value = value_;
  string unit = unit_;
  string source = source_;
}

/// How the engine computes where that differs from IEEE (engine/legality.md §4.3).
class ANE_NumericContract<string accumulator_, bit productRounds_, bit tiesAway_, bit nanIsInf_, string grade_, string source_> {
  /// fp32, or q15.16: each product is rounded to a multiple of 2^-16, halves away from zero, and dropped when the exponents
  /// of its factors add up to -17 or less. With a partial sum from 2^15 on the result of both is infinite; q15.16-zero is
  /// q15.16 where it is 0.
  string accumulator = accumulator_;
  /// Each product is rounded to fp16 first (fp32 only).
  bit productRounds = productRounds_;
  /// Results half way between two fp16 go away from zero instead of to even.
  bit tiesAway = tiesAway_;
  /// A NaN operand acts as +inf; else as the largest finite value.
  bit nanIsInf = nanIsInf_;
  string grade = grade_;
  string source = source_;
}

class ANE_Target<string name_, string summary_, list<string> chips_, int family_> {
  string target = name_;
  string summary = summary_;
  /// Names of chips and architectures that select this target on the command line, in any case.
  list<string> chips = chips_;
  /// Generation index; 5 is M4.
  int family = family_;
  /// Spelling of MIL text: "modern" needs macOS 15, "verbose" runs from macOS 13 on (conflict in §1.2: safe choice).
  string dialect = "modern";
  list<ANE_Limit> limits = [];
  list<ANE_CostParameter> costs = [];
  ANE_NumericContract numerics = ?;
}

#endif // ANE_TARGET_TD
