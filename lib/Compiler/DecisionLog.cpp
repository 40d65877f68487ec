//===- DecisionLog.cpp - what passes decided ------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "DecisionLog.h"
#include "ane-mlir/Support/Diagnostics.h"
#include "mlir/IR/Remarks.h"
#include "llvm/Remarks/Remark.h"
#include <set>

using namespace mlir;
using namespace mlir::ane;

class DecisionLog::Streamer : public remark::detail::MLIRRemarkStreamerBase {
public:
  explicit Streamer(std::vector<Decision> &decisions) : decisions(decisions) {}

  void streamOptimizationRemark(const remark::detail::Remark &remark) override {
    Decision decision;
    using llvm::remarks::Type;
    decision.kind = remark.getRemarkType() == Type::Passed   ? "passed"
                    : remark.getRemarkType() == Type::Missed ? "missed"
                                                             : "analysis";
    decision.pass = remark.getCategoryName().str();
    decision.name = remark.getRemarkName().str();
    if (auto name = remark.getLocation()->findInstanceOf<NameLoc>())
      decision.node = name.getName().str();
    for (const remark::detail::Remark::Arg &arg : remark.getArgs())
      if (arg.key == "Remark")
        decision.text += arg.val;
    if (seen.insert({decision.pass, decision.node, decision.text}).second)
      decisions.push_back(std::move(decision));
  }

private:
  std::vector<Decision> &decisions;
  std::set<std::tuple<std::string, std::string, std::string>> seen;
};

DecisionLog::DecisionLog(MLIRContext *listened) {
  if (listened->getRemarkEngine())
    return;
  context = listened;
  remark::RemarkCategories every;
  every.passed = every.missed = every.analysis = ".*";
  (void)remark::enableOptimizationRemarks(
      *context, std::make_unique<Streamer>(decisions),
      std::make_unique<remark::RemarkEmittingPolicyAll>(), every);
}

DecisionLog::~DecisionLog() {
  if (context)
    context->setRemarkEngine(nullptr);
}

void mlir::ane::printDecisions(llvm::raw_ostream &os,
                               llvm::ArrayRef<Decision> decisions) {
  for (const Decision &decision : decisions)
    os << decision.pass << ": " << decision.kind << ": "
       << (decision.node.empty() ? "" : "'" + printable(decision.node) + "': ")
       << decision.text << '\n';
}
