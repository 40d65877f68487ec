//===- Pipelines.h - the only place that knows the order of passes --------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#ifndef ANEMLIR_COMPILER_PIPELINES_H
#define ANEMLIR_COMPILER_PIPELINES_H

#include "ane-mlir/Support/Choices.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassOptions.h"
#include "llvm/ADT/StringSet.h"
#include <functional>

namespace mlir::ane {

struct PipelineOptions : PassPipelineOptions<PipelineOptions> {
  Option<Precision> precision{
      *this, "precision", llvm::cl::desc("of what is computed"),
      llvm::cl::init(Precision::FP16), precisionValues()};
  Option<PlacementMode> placement{
      *this, "placement", llvm::cl::desc("where operations go"),
      llvm::cl::init(PlacementMode::Auto), placementValues()};
  Option<FrontEnd> door{*this, "door", llvm::cl::desc("who takes the programs"),
                        llvm::cl::init(FrontEnd::Raw), frontEndValues()};
  Option<int64_t> liveBytes{
      *this, "live-bytes",
      llvm::cl::desc("what ane-tile lets be alive together; 0 leaves all "
                     "whole, -1 (default) is by predicted time"),
      llvm::cl::init(-1)};
  Option<std::string> weights{
      *this, "weights",
      llvm::cl::desc("none (default), or the form of ane-compress-weights"),
      llvm::cl::init("none")};
  Option<bool> keepCompressed{
      *this, "keep-compressed",
      llvm::cl::desc("write weights that the model has in fewer bits as such"),
      llvm::cl::init(false)};
  Option<RecomputeMode> recompute{
      *this, "recompute",
      llvm::cl::desc("what later engine programs compute again"),
      llvm::cl::init(RecomputeMode::None), recomputeValues()};
  Option<bool> patchWeights{
      *this, "patch-weights",
      llvm::cl::desc("trained weights are constants that are written anew"),
      llvm::cl::init(false)};
  ListOption<std::string> disable{
      *this, "disable-pass", llvm::cl::desc("passes to leave out, by flag")};
};

/// ane to optimised ane: integers, folding, precision, clean-up.
void buildOptimizePipeline(OpPassManager &pm, const PipelineOptions &options);
/// Optimised ane, with or without the attributes of calibrate(), to ane that
/// fp16 and the engine's accumulator can hold.
void buildRepairPipeline(OpPassManager &pm, const PipelineOptions &options);
/// Weights of repaired ane in fewer bits.
void buildCompressPipeline(OpPassManager &pm, const PipelineOptions &options);
/// Optimised ane to what is written without being placed: one MIL function.
void buildUnplacedPipeline(OpPassManager &pm, const PipelineOptions &options);
/// Optimised ane (door coreml) to what a package can hold.
void buildPackagePipeline(OpPassManager &pm, const PipelineOptions &options);
/// Optimised ane to programs with surfaces, gate included.
void buildPlacePipeline(OpPassManager &pm, const PipelineOptions &options);
/// The same, and its MIL: what writeBundle() takes.
void buildBundlePipeline(OpPassManager &pm, const PipelineOptions &options);
/// Optimised ane (door coreml) to the MIL of one function of a package.
void buildPackagePartPipeline(OpPassManager &pm,
                              const PipelineOptions &options);
/// Registers them as ane-optimize-pipeline, ane-repair-pipeline,
/// ane-place-pipeline, ane-bundle-pipeline and ane-package-pipeline.
void registerPipelines();

/// Called with each pass as it begins: its number from 0, how many there are,
/// and its flag.
using PassListener = std::function<void(size_t, size_t, llvm::StringRef)>;
/// Runs the passes; what one throws (a value that does not fit the memory) is
/// an error that names it.
LogicalResult runPasses(PassManager &pm, ModuleOp module,
                        PassListener listener = {});

/// True when a pass of this flag exists in a pipeline and may be disabled.
bool isKnownPass(llvm::StringRef flag);
/// All of them, by flag.
llvm::ArrayRef<llvm::StringLiteral> getOptionalPasses();

} // namespace mlir::ane

#endif // ANEMLIR_COMPILER_PIPELINES_H
