"""Drives the ane-mlir tools: compile an ONNX model, run the result in the reference interpreter.

    import ane_mlir
    bundle = ane_mlir.compile("model.onnx", target="h16")
    outputs = bundle.run({"x": x})
    package = ane_mlir.compile("theirs.mlpackage", output="ours.mlpackage")
    assert not ane_mlir.verify(package.path)

Nothing here re-implements the compiler; the binaries are found in ANE_MLIR_BIN, in build/bin of a source tree, or on
PATH.
"""

from ._tools import Bundle, CompileError, Package, RunError, compile, find_tool, verify

__all__ = ["Bundle", "CompileError", "Package", "RunError", "compile", "find_tool", "verify"]
