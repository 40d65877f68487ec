"""Training of models in the interpreter: what `onnx-to-ane --train` and `ane-run --train` do, with NumPy arrays.

    from ane_mlir.training import Trainer, compile_training
    bundle = compile_training("model.onnx", loss="cross-entropy", batch=32)
    trainer = Trainer(bundle, {"image": images, "targets": labels}, numerics="engine")
    losses = trainer.run(300)
    trainer.export("trained.onnx")

A trainer goes on where it stopped: `run` trains so many more steps. Nothing here re-implements the tools.
"""

from __future__ import annotations

import csv
import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ._bundle import Bundle
from ._messages import CompileError, Diagnostic, RunError
from ._tools import find_tool

__all__ = ["Trainer", "compile_training"]


def _said(result: subprocess.CompletedProcess[str]) -> list[Diagnostic]:
    """What a tool that failed said."""
    return [Diagnostic("error", "", "", result.stderr.strip() or f"exit status {result.returncode}", "")]


def compile_training(
    model: str | os.PathLike[str],
    *,
    loss: str = "",
    output: str | os.PathLike[str] | None = None,
    target: str = "h16",
    precision: str = "mixed",
    batch: int | None = None,
    lora: str | None = None,
    options: Sequence[str] = (),
) -> Bundle:
    """The step that trains an ONNX model, as a bundle. Raises CompileError with the tool's message."""
    temporary = None
    if output is None:
        temporary = tempfile.TemporaryDirectory()
        output = os.path.join(temporary.name, "model.anepkg")
    command = [find_tool("onnx-to-ane"), os.fspath(model), "-o", os.fspath(output), "--train", f"--target={target}", f"--precision={precision}", "--quiet"]
    command += [f"--loss={loss}"] if loss else []
    command += [f"--batch={batch}"] if batch is not None else []
    command += [f"--lora={lora}"] if lora is not None else []
    result = subprocess.run(command + list(options), capture_output=True, text=True)
    if result.returncode:
        if temporary:
            temporary.cleanup()
        raise CompileError("onnx-to-ane", _said(result))
    return Bundle(output, temporary)


class Trainer:
    """Steps of a bundle on arrays: one per input of the bundle and `targets`, examples along the first axis."""

    def __init__(
        self,
        bundle: Bundle | str | os.PathLike[str],
        data: Mapping[str, np.ndarray],
        *,
        numerics: str = "fp16",
        seed: int = 0,
        checkpoint: str | os.PathLike[str] | None = None,
        options: Sequence[str] = (),
    ) -> None:
        self.bundle = bundle if isinstance(bundle, Bundle) else Bundle(bundle)
        self._folder = tempfile.TemporaryDirectory()
        self._data = Path(self._folder.name, "data")
        self._data.mkdir()
        for name, array in data.items():
            np.save(self._data / f"{name}.npy", np.asarray(array, order="C"))
        self.checkpoint = Path(checkpoint) if checkpoint is not None else Path(self._folder.name, "checkpoint.safetensors")
        self._options = [f"--numerics={numerics}", f"--seed={seed}", *options]
        #: Of each step so far, those of a checkpoint that is there included.
        self.losses: list[float] = []
        if self.checkpoint.exists():
            self._run(0)

    def _run(self, steps: int, *more: str) -> None:
        command = [find_tool("ane-run"), str(self.bundle.path), "--train", str(self._data), f"--steps={steps}", "--checkpoint", str(self.checkpoint), "--quiet"]
        table = Path(self._folder.name, "losses.csv")
        result = subprocess.run([*command, "--csv", str(table), *self._options, *more], capture_output=True, text=True)
        if result.returncode:
            raise RunError("ane-run", _said(result))
        with table.open() as file:
            self.losses = [float(row["loss"]) for row in csv.DictReader(file)]

    def run(self, steps: int) -> list[float]:
        """Trains so many more steps; returns their losses."""
        before = len(self.losses)
        self._run(before + steps)
        return self.losses[before:]

    def export(self, path: str | os.PathLike[str]) -> None:
        """The model with the trained weights (.onnx, adapters merged), or the weights alone (.safetensors)."""
        self._run(len(self.losses), "--export", os.fspath(path))
