"""What ane_mlir does, by processes: where the tools themselves are what is tested, or hold sanitizers."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["Bundle", "CompileError", "Package", "RunError", "compile", "find_tool", "verify"]


class CompileError(RuntimeError):
    """onnx-to-ane refused the model; the message is what it printed."""


class RunError(RuntimeError):
    """ane-run failed; the message is what it printed."""


def find_tool(name: str) -> str:
    """Path of a tool: ANE_MLIR_BIN, then build/bin of this source tree, then PATH."""
    folders = [os.environ.get("ANE_MLIR_BIN"), str(Path(__file__).resolve().parents[2] / "build" / "bin")]
    for folder in folders:
        if folder and os.access(os.path.join(folder, name), os.X_OK):
            return os.path.join(folder, name)
    found = shutil.which(name)
    if found is None:
        raise FileNotFoundError(f"{name} is not built; run tools/dev/test or set ANE_MLIR_BIN")
    return found


class Package:
    """Anything that ane-run runs: a Core ML package, a compiled .mlmodelc, a .mil text, a bundle."""

    def __init__(self, path: str | os.PathLike[str], _temporary: tempfile.TemporaryDirectory[str] | None = None) -> None:
        self.path = Path(path)
        self._temporary = _temporary

    def run(self, feeds: Mapping[str, np.ndarray], numerics: str = "fp16", function: str | None = None) -> dict[str, np.ndarray]:
        """Runs in the interpreter; results by name, in the model's order. States are fed and returned like values."""
        with tempfile.TemporaryDirectory() as folder:
            command = [find_tool("ane-run"), str(self.path), f"--numerics={numerics}", "--quiet", "--output-dir", f"{folder}/out"]
            if function is not None:
                command.append(f"--function={function}")
            for index, (name, value) in enumerate(feeds.items()):
                file = f"{folder}/input_{index}.npy"
                # ascontiguousarray would make a rank-0 array rank 1.
                np.save(file, np.asarray(value, order="C"))
                command += ["--input", f"{name}={file}"]
            result = subprocess.run(command, capture_output=True, text=True)
            if result.returncode:
                raise RunError(result.stderr.strip() or f"ane-run exited with {result.returncode}")
            entries = json.loads(Path(folder, "out", "outputs.json").read_text())
            return {entry["name"]: np.load(f"{folder}/out/{entry['file']}") for entry in entries}


class Bundle(Package):
    """A compiled bundle. The folder is removed with the object when `compile` chose its place."""

    @property
    def manifest(self) -> dict[str, Any]:
        """manifest.json."""
        manifest: dict[str, Any] = json.loads((self.path / "manifest.json").read_text())
        return manifest

    @property
    def inputs(self) -> list[str]:
        return [port["name"] for port in self.manifest["inputs"]]

    @property
    def outputs(self) -> list[str]:
        return [port["name"] for port in self.manifest["outputs"]]


def verify(path: str | os.PathLike[str]) -> list[str]:
    """What mil-verify finds in a package, .mlmodelc or .mil; raises RunError when it cannot be read."""
    result = subprocess.run([find_tool("mil-verify"), "--quiet", os.fspath(path)], capture_output=True, text=True)
    if result.returncode not in (0, 1) or (result.returncode == 1 and not result.stdout):
        raise RunError(result.stderr.strip() or f"mil-verify exited with {result.returncode}")
    return result.stdout.splitlines()


def compile(  # noqa: A001 - the name users expect
    model: str | os.PathLike[str],
    *,
    target: str = "h16",
    precision: str = "mixed",
    output: str | os.PathLike[str] | None = None,
    dims: Mapping[str, int | Sequence[int]] | None = None,
    input_shapes: Mapping[str, Sequence[int]] | None = None,
    options: Sequence[str] = (),
) -> Bundle | Package:
    """Converts an ONNX file, or a Core ML package, to a bundle, or to what the extension of `output` says.

    Raises CompileError with the tool's message.
    """
    temporary = None
    if output is None:
        temporary = tempfile.TemporaryDirectory()
        output = os.path.join(temporary.name, "model.anepkg")
    command = [find_tool("onnx-to-ane"), os.fspath(model), "-o", os.fspath(output), f"--target={target}", f"--precision={precision}", "--quiet"]
    command += [f"--dim={name}={value if isinstance(value, int) else ','.join(map(str, value))}" for name, value in (dims or {}).items()]
    command += [f"--input-shape={name}={','.join(map(str, shape))}" for name, shape in (input_shapes or {}).items()]
    command += list(options)
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        if temporary:
            temporary.cleanup()
        raise CompileError(result.stderr.strip() or f"onnx-to-ane exited with {result.returncode}")
    return Bundle(output, temporary) if os.fspath(output).rstrip("/").endswith(".anepkg") else Package(output, temporary)
