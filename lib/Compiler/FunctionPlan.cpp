//===- FunctionPlan.cpp - functions of a bundle beside each other ---------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "FunctionPlan.h"
#include "dialects/ANE/IR/ANEBase.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;
using namespace mlir::ane;

/// The dimension in which functions differ, if it is one and the extents are
/// different.
static std::optional<std::string> findLength(ArrayRef<Bucket> buckets,
                                             std::vector<int64_t> &extents) {
  std::optional<size_t> found;
  for (const Bucket &bucket : buckets.drop_front()) {
    const auto &dims = bucket.dims, &first = buckets.front().dims;
    if (dims.size() != first.size())
      return std::nullopt;
    for (size_t d = 0; d < dims.size(); ++d) {
      if (dims[d].first != first[d].first)
        return std::nullopt;
      if (dims[d].second == first[d].second)
        continue;
      if (found.value_or(d) != d)
        return std::nullopt;
      found = d;
    }
  }
  if (!found)
    return std::nullopt;
  for (const Bucket &bucket : buckets)
    extents.push_back(bucket.dims[*found].second);
  std::vector<int64_t> sorted(extents);
  llvm::sort(sorted);
  if (std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end())
    return std::nullopt;
  return buckets.front().dims[*found].first.str();
}

/// Rows that the states hold; nothing where none is kept, or one that gets no
/// rows.
static std::optional<int64_t> rowsOfStates(ModuleOp module) {
  auto main = module.lookupSymbol<func::FuncOp>("main");
  std::optional<int64_t> rows;
  for (unsigned i = 0; main && i < main.getNumArguments(); ++i)
    for (unsigned j = 0; j < main.getNumResults(); ++j) {
      Attribute key = main.getArgAttr(i, marks::kState);
      if (!key || key != main.getResultAttr(j, marks::kState))
        continue;
      auto axis = main.getResultAttrOfType<IntegerAttr>(j, marks::kStateAxis);
      if (!axis)
        return std::nullopt;
      int64_t own = cast<RankedTensorType>(main.getArgument(i).getType())
                        .getDimSize(axis.getInt());
      rows = std::min(rows.value_or(own), own);
    }
  return rows;
}

llvm::Error mlir::ane::addFunctions(Report &report, ArrayRef<Bucket> buckets,
                                    ArrayRef<OwningOpRef<ModuleOp>> modules,
                                    StringRef wanted) {
  auto wrong = [](const Twine &what) {
    return llvm::createStringError("--plan " + what);
  };
  if (buckets.size() < 2)
    return wanted.empty() ? llvm::Error::success()
                          : wrong("is for a bundle of several lengths; --dim "
                                  "NAME=N,1 makes one");
  for (auto [i, bucket, module] : llvm::enumerate(buckets, modules)) {
    Report own = i ? makeReport(*module, "", /*advice=*/false) : Report();
    const Report &from = i ? own : report;
    report.functions.push_back({bucket.label, from.engineOps, from.hostOps,
                                from.predictedMicros + from.hostMicros,
                                from.alternatives, 0});
  }
  std::vector<int64_t> extents;
  std::optional<std::string> dim = findLength(buckets, extents);
  std::optional<int64_t> rows = rowsOfStates(*modules.front());
  bool isOneCache =
      llvm::all_of(modules, [&](const OwningOpRef<ModuleOp> &each) {
        return rows && rowsOfStates(*each) == rows;
      });
  if (!dim || !isOneCache)
    return wanted.empty()
               ? llvm::Error::success()
               : wrong("is for functions that share caches of one length "
                       "(--state=auto) and differ in the extent of one "
                       "dimension");
  report.planRows = *rows;
  std::vector<TextFunction> functions;
  for (auto [function, extent] : llvm::zip(report.functions, extents)) {
    function.tokens = extent;
    functions.push_back({extent, function.predictedMicros});
  }
  report.planDim = *dim;
  report.plan = planText(functions);
  if (wanted.empty())
    return llvm::Error::success();
  llvm::Expected<TextPlan> plan = parseTextPlan(wanted, extents);
  if (!plan)
    return wrong(llvm::toString(plan.takeError()));
  report.plan = *plan;
  return llvm::Error::success();
}
