//===- Target.cpp - engine generations ------------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "dialects/ANE/IR/Target.h"
#include "dialects/ANE/IR/TargetNames.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/ErrorHandling.h"
#include <array>
#include <cassert>

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

/// The first characters of an identifier, all that most have.
static uint32_t packed(llvm::StringRef id) {
  uint32_t key = 0;
  for (char c : id.take_front(sizeof(key)))
    key = key << 8 | uint8_t(c);
  return key;
}

const Limit *Target::limit(llvm::StringRef id) const {
  // Every op asks for a dozen.
  static const auto keys = [] {
    std::array<llvm::SmallVector<uint32_t, 32>, std::size(kTargets)> keys;
    for (auto [list, target] : llvm::zip_equal(keys, kTargets))
      for (const Limit &limit : target.limits)
        list.push_back(packed(limit.id));
    return keys;
  }();
  assert(this >= kTargets && this < std::end(kTargets) &&
         "targets are records");
  uint32_t wanted = packed(id);
  for (auto [i, key] : llvm::enumerate(keys[this - kTargets]))
    if (key == wanted && limits[i].id == id)
      return &limits[i];
  return nullptr;
}

bool Target::hasRule(llvm::StringRef id) const {
  const Rule *rule = lookupRule(id);
  return rule && (!rule->families || (rule->families >> family & 1));
}

double Target::cost(llvm::StringRef name) const {
  for (const CostParameter &parameter : costs)
    if (parameter.name == name)
      return parameter.value;
  llvm_unreachable("every target record carries every cost parameter");
}
