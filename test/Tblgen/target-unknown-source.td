// A source that has no record does not build; parts of one (MX4), chips and targets do.
// RUN: not ane-tblgen -gen-targets -I %source %s 2>&1 | FileCheck %s

include "dialects/ANE/Targets/ANETarget.td"

def : ANE_Source<"MX", "a project", "measured">;
def : ANE_Rule<"L98", "something", "C", "MX4 on M4 and H16">;
// CHECK: error: rule names the source 'QQ2', of which there is no record
def : ANE_Rule<"L99", "something", "C", "MX, QQ2">;
