"""Compiles ONNX models and Core ML packages for Apple's Neural Engine, and runs the result in a reference interpreter.

    import ane_mlir
    bundle = ane_mlir.compile("model.onnx", target="m4", dims={"batch": 1})
    outputs = bundle.run({"image": image})          # NumPy in and out
    bundle.save("model.anepkg")
    print(bundle.report)                            # what runs where, why, and what that is predicted to cost

Nothing runs on an engine here: times are predicted, results are the interpreter's. The compiler is in the module
`ane_mlir._core`; no tool is called.
"""

import os as _os
import pathlib as _pathlib

# In a source tree the compiled module is where the build puts it.
for _folder in (_os.environ.get("ANE_MLIR_BIN", ""), str(_pathlib.Path(__file__).resolve().parents[2] / "build" / "bin")):
    _built = _pathlib.Path(_folder).parent / "python" / "ane_mlir"
    if _folder and _built.is_dir():
        __path__.append(str(_built))
        break

from ._bundle import Bundle, Comparison, Package, Port, Program, Session  # noqa: E402
from ._compile import check, compile  # noqa: E402
from ._evaluate import Evaluation, evaluate  # noqa: E402
from ._look import Target, diff, explain, info, opt, simulate, targets, verify  # noqa: E402
from ._messages import CompileError, Diagnostic, RunError  # noqa: E402
from ._report import Report  # noqa: E402
from ._tools import find_tool  # noqa: E402
from ._core import version as __version__  # noqa: E402

__all__ = [
    "Bundle",
    "Comparison",
    "CompileError",
    "Diagnostic",
    "Evaluation",
    "Package",
    "Port",
    "Program",
    "Report",
    "RunError",
    "Session",
    "Target",
    "__version__",
    "check",
    "compile",
    "diff",
    "evaluate",
    "explain",
    "find_tool",
    "info",
    "opt",
    "simulate",
    "targets",
    "verify",
]
