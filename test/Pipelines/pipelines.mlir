// The order of passes, and what options leave out.
// RUN: ane-opt %s --ane-optimize-pipeline --dump-pass-pipeline 2>&1 | FileCheck %s --check-prefix=OPT
// RUN: ane-opt %s --ane-optimize-pipeline="precision=fp32 disable-pass=cse" --dump-pass-pipeline 2>&1 | FileCheck %s --check-prefix=FP32
// RUN: ane-opt %s --ane-repair-pipeline --dump-pass-pipeline 2>&1 | FileCheck %s --check-prefix=REPAIR
// RUN: ane-opt %s --ane-repair-pipeline="precision=fp32" --dump-pass-pipeline 2>&1 | FileCheck %s --check-prefix=NOREPAIR
// RUN: ane-opt %s --ane-place-pipeline="placement=host" --dump-pass-pipeline 2>&1 | FileCheck %s --check-prefix=PLACE

// OPT: canonicalize
// OPT-NEXT: cse,
// OPT-NEXT: ane-recover{safe=true},
// OPT-NEXT: ane-simplify,
// OPT-NEXT: ane-narrow-integers,
// OPT-NEXT: ane-fold-into-conv{scale-only=false},
// OPT-NEXT: ane-assign-precision,
// OPT-NEXT: ane-legalize{door=raw exact-silu=true late=false},
// OPT-NEXT: canonicalize
// OPT-NEXT: cse,
// OPT-NEXT: ane-matmul-to-conv,
// OPT-NEXT: canonicalize
// OPT-NEXT: cse,
// OPT-NEXT: ane-assign-layout,
// OPT-NEXT: ane-legalize{door=raw exact-silu=true late=true},
// OPT-NEXT: canonicalize
// OPT-NEXT: cse,
// OPT-NEXT: ane-simplify,
// OPT-NEXT: ane-fold-into-conv{scale-only=true},
// OPT-NEXT: canonicalize
// OPT-NEXT: cse,
// OPT-NEXT: ane-tile{live-bytes=-1},
// OPT-NEXT: ane-repair-masks,
// OPT-NEXT: canonicalize
// OPT-NEXT: cse,
// OPT-NEXT: ane-keep-fp32
// FP32: canonicalize
// FP32-NEXT: ane-recover{safe=false},
// FP32-NEXT: ane-simplify,
// FP32-NEXT: ane-narrow-integers,
// FP32-NEXT: ane-fold-into-conv{scale-only=false},
// FP32-NEXT: ane-legalize{door=raw exact-silu=true late=false},
// FP32-NEXT: canonicalize
// FP32-NEXT: ane-matmul-to-conv,
// FP32-NEXT: canonicalize
// FP32-NEXT: ane-assign-layout,
// FP32-NEXT: ane-legalize{door=raw exact-silu=true late=true},
// FP32-NEXT: canonicalize
// FP32-NEXT: ane-simplify,
// FP32-NEXT: ane-fold-into-conv{scale-only=true},
// FP32-NEXT: canonicalize
// FP32-NEXT: ane-tile{live-bytes=-1},
// FP32-NEXT: canonicalize
// FP32-NEXT: )
// REPAIR: ane-repair-fp16,
// REPAIR-NEXT: cse
// NOREPAIR: Pass Manager with 0 passes
// PLACE: ane-place{mode=host},
// PLACE-NEXT: ane-widen-host{marked-only=false},
// PLACE-NEXT: ane-form-programs{max-ops=0},
// PLACE-NEXT: ane-plan-io,
// PLACE-NEXT: ane-verify-target
module {}
