//===- Pipelines.cpp - the only place that knows the order of passes ------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
//===----------------------------------------------------------------------===//

#include "ane-mlir/Compiler/Pipelines.h"
#include "ane-mlir/Conversion/Passes.h"
#include "ane-mlir/Training/Passes.h"
#include "ane-mlir/Transforms/Passes.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;
using namespace mlir::ane;

/// Passes that the user may leave out; the others are needed for a legal
/// result.
static constexpr StringLiteral kOptional[] = {
    "ane-recover",  "ane-simplify",       "ane-fold-into-conv",
    "ane-legalize", "ane-matmul-to-conv", "ane-assign-layout",
    "ane-tile",     "ane-repair-fp16",    "canonicalize",
    "cse"};

ArrayRef<StringLiteral> mlir::ane::getOptionalPasses() { return kOptional; }

bool mlir::ane::isKnownPass(llvm::StringRef flag) {
  return llvm::is_contained(kOptional, flag);
}

/// Without walking all regions for what is dead in each round: the patterns
/// erase what loses its last user.
static std::unique_ptr<Pass> makeCanonicalizer() {
  GreedyRewriteConfig config;
  config.setRegionSimplificationLevel(GreedySimplifyRegionLevel::Disabled);
  return createCanonicalizerPass(config);
}

/// Constants of exporters are many and small; canonicalisation must not walk
/// large ones, so no constant folding of weight trees happens here: ane ops
/// have no constant folders (design invariant 3).
static void addCleanup(OpPassManager &pm,
                       function_ref<bool(StringRef)> enabled) {
  if (enabled("canonicalize"))
    pm.addPass(makeCanonicalizer());
  if (enabled("cse"))
    pm.addPass(createCSEPass());
}

void mlir::ane::buildOptimizePipeline(OpPassManager &pm,
                                      const PipelineOptions &options) {
  auto enabled = [&](StringRef flag) {
    return !llvm::is_contained(options.disable, flag);
  };
  addCleanup(pm, enabled);
  if (enabled("ane-recover"))
    pm.addPass(createRecoverPass(
        RecoverPassOptions{options.precision == Precision::FP16}));
  if (enabled("ane-simplify"))
    pm.addPass(createSimplifyPass());
  pm.addPass(createNarrowIntegersPass());
  if (enabled("ane-fold-into-conv"))
    pm.addPass(createFoldIntoConvPass());
  if (options.precision == Precision::FP16)
    pm.addPass(createAssignPrecisionPass());
  // All the others run in fp32 too, which is how their meaning is tested.
  if (enabled("ane-legalize"))
    pm.addPass(createLegalizePass(
        LegalizePassOptions{options.door, /*exactSilu=*/true}));
  addCleanup(pm, enabled);
  if (enabled("ane-matmul-to-conv"))
    pm.addPass(createMatmulToConvPass());
  addCleanup(pm, enabled);
  if (enabled("ane-assign-layout"))
    pm.addPass(createAssignLayoutPass());
  // Normalisation over channels needs its definition.
  if (enabled("ane-legalize"))
    pm.addPass(createLegalizePass(
        LegalizePassOptions{options.door, /*exactSilu=*/true, /*late=*/true}));
  addCleanup(pm, enabled);
  if (enabled("ane-simplify"))
    pm.addPass(createSimplifyPass());
  // Products are convolutions by now. A bias behind one is part of it, until
  // the raw compiler asks for an addition.
  if (enabled("ane-fold-into-conv")) {
    FoldIntoConvPassOptions fold;
    fold.scaleOnly = options.door == FrontEnd::Raw;
    pm.addPass(createFoldIntoConvPass(fold));
  }
  addCleanup(pm, enabled);
  // Core ML takes large operands apart itself.
  if (enabled("ane-tile") && options.door == FrontEnd::Raw) {
    TilePassOptions tile;
    tile.liveBytes = options.liveBytes;
    pm.addPass(createTilePass(tile));
  }
  // Calibration wants to see finite masks.
  if (options.precision == Precision::FP16 && enabled("ane-repair-fp16"))
    pm.addPass(createRepairMasksPass());
  addCleanup(pm, enabled);
  if (options.precision == Precision::FP16)
    pm.addPass(createKeepFP32Pass());
}

void mlir::ane::buildRepairPipeline(OpPassManager &pm,
                                    const PipelineOptions &options) {
  if (options.precision != Precision::FP16)
    return;
  if (!llvm::is_contained(options.disable, "ane-repair-fp16")) {
    pm.addPass(createRepairFP16Pass());
    if (!llvm::is_contained(options.disable, "cse"))
      pm.addPass(createCSEPass());
  }
}

void mlir::ane::buildCompressPipeline(OpPassManager &pm,
                                      const PipelineOptions &options) {
  if (options.precision != Precision::FP16 ||
      (!options.keepCompressed && options.weights == "none"))
    return;
  CompressWeightsPassOptions compress;
  compress.door = options.door;
  compress.keep = options.keepCompressed;
  compress.form = options.weights;
  pm.addPass(createCompressWeightsPass(compress));
}

void mlir::ane::buildPlacePipeline(OpPassManager &pm,
                                   const PipelineOptions &options) {
  if (options.patchWeights)
    pm.addPass(createPatchWeightsPass());
  pm.addPass(createPlacePass(PlacePassOptions{options.placement}));
  if (options.recompute != RecomputeMode::None)
    pm.addPass(createRecomputePass(RecomputePassOptions{options.recompute}));
  pm.addPass(createWidenHostPass());
  pm.addPass(createFormProgramsPass());
  pm.addPass(createPlanIOPass());
  pm.addPass(createVerifyTargetPass());
}

void mlir::ane::buildUnplacedPipeline(OpPassManager &pm,
                                      const PipelineOptions &options) {
  WidenHostPassOptions widen;
  widen.markedOnly = true;
  pm.addPass(createWidenHostPass(widen));
}

void mlir::ane::buildPackagePipeline(OpPassManager &pm,
                                     const PipelineOptions &options) {
  buildUnplacedPipeline(pm, options);
  pm.addPass(createPreparePackagePass());
  if (!llvm::is_contained(options.disable, "canonicalize"))
    pm.addPass(makeCanonicalizer());
}

void mlir::ane::buildBundlePipeline(OpPassManager &pm,
                                    const PipelineOptions &options) {
  buildPlacePipeline(pm, options);
  pm.addPass(createConvertANEToMILPass());
}

void mlir::ane::buildPackagePartPipeline(OpPassManager &pm,
                                         const PipelineOptions &options) {
  buildPackagePipeline(pm, options);
  pm.addPass(createPackageInterfacePass());
  ConvertANEToMILPassOptions conversion;
  conversion.dialect = MILDialect::Modern; // not printed
  pm.addPass(createConvertANEToMILPass(conversion));
}

void mlir::ane::registerPipelines() {
  using Register = PassPipelineRegistration<PipelineOptions>;
  Register("ane-optimize-pipeline",
           "ane to optimised ane, as onnx-to-ane runs it",
           buildOptimizePipeline);
  Register("ane-repair-pipeline",
           "optimised ane to ane that fp16 can hold, and weights in fewer bits",
           [](OpPassManager &pm, const PipelineOptions &options) {
             buildRepairPipeline(pm, options);
             buildCompressPipeline(pm, options);
           });
  Register("ane-place-pipeline", "optimised ane to programs with surfaces",
           buildPlacePipeline);
  Register("ane-bundle-pipeline",
           "optimised ane to programs and their MIL: what ane-translate "
           "--ane-to-anepkg writes",
           buildBundlePipeline);
  Register("ane-package-pipeline",
           "optimised ane to the MIL of one function of a package",
           buildPackagePartPipeline);
}
