"""Drives the ane-mlir tools: compile an ONNX model, run the result in the reference interpreter.

    import ane_mlir
    bundle = ane_mlir.compile("model.onnx", target="h16")
    outputs = bundle.run({"x": x})

Nothing here re-implements the compiler; the binaries are found in ANE_MLIR_BIN, in build/bin of a source tree, or on
PATH.
"""

from ._tools import Bundle, CompileError, RunError, compile, find_tool

__all__ = ["Bundle", "CompileError", "RunError", "compile", "find_tool"]
