// A fact without a source does not build.
// RUN: not ane-tblgen -gen-targets -I %source %s 2>&1 | FileCheck %s

include "dialects/ANE/Targets/ANETarget.td"

// CHECK: error: rule has no source
def : ANE_Rule<"L99", "something", "C", "">;
