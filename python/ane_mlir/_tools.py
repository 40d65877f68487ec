"""Where the command-line tools are, for those who want them beside the module."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

__all__ = ["find_tool"]


def find_tool(name: str) -> str:
    """Path of a tool: ANE_MLIR_BIN, then build/bin of this source tree, then beside this Python, then PATH."""
    folders = [os.environ.get("ANE_MLIR_BIN"), str(Path(__file__).resolve().parents[2] / "build" / "bin"), os.path.dirname(sys.executable)]
    for folder in folders:
        if folder and os.access(os.path.join(folder, name), os.X_OK):
            return os.path.join(folder, name)
    found = shutil.which(name)
    if found is None:
        raise FileNotFoundError(f"{name} is not installed or built; pip install the wheel, run tools/dev/test, or set ANE_MLIR_BIN")
    return found
