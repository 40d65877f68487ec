//===- Target.cpp - engine generations ------------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "dialects/ANE/IR/Target.h"
#include "dialects/ANE/IR/TargetNames.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir::ane;

#include "dialects/ANE/IR/Targets.inc"

llvm::ArrayRef<Target> mlir::ane::getTargets() { return kTargets; }

const Target *mlir::ane::lookupTarget(llvm::StringRef name) {
  for (const Target &target : kTargets)
    if (target.name.equals_insensitive(name) ||
        llvm::any_of(target.chips, [&](llvm::StringRef chip) {
          return chip.equals_insensitive(name);
        }))
      return &target;
  return nullptr;
}

std::string mlir::ane::describeUnknownTarget(llvm::StringRef name) {
  std::string all, lower = name.lower();
  llvm::StringRef nearest;
  unsigned least = ~0u;
  auto consider = [&](llvm::StringRef known) {
    if (unsigned far = known.edit_distance(lower); far < least) {
      least = far;
      nearest = known;
    }
  };
  for (const Target &target : kTargets) {
    consider(target.name);
    llvm::for_each(target.chips, consider);
    all += (all.empty() ? "" : ", ") + target.name.str();
    if (!target.chips.empty())
      all += " (" + llvm::join(target.chips, ", ") + ")";
  }
  return "unknown target '" + name.str() + "'" +
         (least <= 2 ? "; did you mean '" + nearest.str() + "'?" : "") +
         (least <= 2 ? " Expects" : "; expects") + " one of " + all;
}

const Target &mlir::ane::getDefaultTarget() { return *lookupTarget("h16"); }

const Rule *mlir::ane::lookupRule(llvm::StringRef id) {
  for (const Rule &rule : kRules)
    if (rule.id == id)
      return &rule;
  return nullptr;
}

llvm::StringLiteral mlir::ane::stringify(LimitId id) {
  return kLimitNames[unsigned(id)];
}

const Limit *Target::findLimit(llvm::StringRef id) const {
  const Limit *found =
      llvm::find_if(limits, [&](const Limit &limit) { return limit.id == id; });
  return found == limits.end() ? nullptr : found;
}

bool Target::hasRule(llvm::StringRef id) const {
  const Rule *rule = lookupRule(id);
  return rule && (!rule->families || (rule->families >> family & 1));
}
