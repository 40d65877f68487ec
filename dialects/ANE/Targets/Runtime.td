//===- Runtime.td - what a loader must keep to ------------------------------===//
//
// Part of ane-mlir, under the Apache License v2.0 with LLVM Exceptions.
//
// The numbers of the run-time contract (engine/runtime.md §3). lib/Runtime and its stand-in have them from here, as a header of
// plain constants: neither links MLIR.
//
//===----------------------------------------------------------------------===//

include "dialects/ANE/Targets/ANETarget.td"
include "dialects/ANE/Targets/Sources.td"
include "dialects/ANE/Targets/Rules.td"

/// `rule` is the rule or limit that the number belongs to, or the section of engine/weights.md (§2) and engine/runtime.md (§3).
class ANE_RuntimeFact<int value_, string unit_, string rule_, string grade_, string source_, string what_> {
  string what = what_;
  int value = value_;
  string unit = unit_;
  string rule = rule_;
  string grade = grade_;
  string source = source_;
}

def compileLimit : ANE_RuntimeFact<119, "", "L70", "A", "MX, OR, IM; macOS 15, not reached on 26 (FG, M5X)", "compilations of one process before they fail">;
def compileBudget : ANE_RuntimeFact<100, "", "L70", "D", "inference: below 119 with room for others in the process", "compilations that a loader plans for">;
def residentLimit : ANE_RuntimeFact<127, "", "L71", "A", "M5X, OM, MM, BR", "loaded programs of one process">;
def queueDepth : ANE_RuntimeFact<127, "", "§3.3", "A", "MX, IM, AI", "requests in flight">;
def weightFileLimit : ANE_RuntimeFact<16, "", "L72", "A", "M4B, M5X, OR", "weight files of one program">;
def weightWindowMiB : ANE_RuntimeFact<4096, "MiB", "L73", "B", "OM", "weights of all loaded programs of one engine">;
def failedCompilePauseMs : ANE_RuntimeFact<15000, "ms", "L74", "B", "BR", "after a failed compilation, before the next">;
def loadRetryMs : ANE_RuntimeFact<100, "ms", "§3.1", "A", "MX", "before a failed load is tried once more">;
def qos : ANE_RuntimeFact<21, "", "§3.6", "A", "MX, DE", "quality of service of every call">;
def rowAlignment : ANE_RuntimeFact<64, "bytes", "§3.5", "A", "IM, H3, TM, M5X, AF, AP", "rows of a surface">;
def surfaceFloor : ANE_RuntimeFact<16384, "bytes", "§3.5", "A", "IM, H3", "smallest surface">;
def surfaceAlignment : ANE_RuntimeFact<65536, "bytes", "§3.5", "B", "OM", "surfaces are multiples of">;
def rowMultiple : ANE_RuntimeFact<32, "fp16", "L40", "A", "FG, M5X, IM", "width of function inputs and outputs is a multiple of">;
def weightOffset : ANE_RuntimeFact<0, "", "§2.2", "A", "MX, OR", "offset of a file in the dictionary of weights">;
