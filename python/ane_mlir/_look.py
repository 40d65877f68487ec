"""What there is to know of targets, rules and artifacts, and running MIL of one's own."""

from __future__ import annotations

import dataclasses
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Optional, Union

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _core
from ._bundle import Session
from ._messages import CompileError, RunError, diagnostics_of, usage_of

__all__ = ["Target", "diff", "explain", "info", "opt", "simulate", "targets", "verify"]


@dataclasses.dataclass(frozen=True)
class Target:
    """A generation of the engine, what it is in words, and the chips that have it."""

    name: str
    summary: str
    chips: tuple[str, ...]


def targets() -> list[Target]:
    """All generations, for compile(target=…), which takes chips as well."""
    return [Target(name, summary, tuple(chips)) for name, summary, chips in _core.targets()]


def explain(rule: str) -> str:
    """What is known of a rule ("L05"), limit ("S1") or source, on which evidence, and what can be done. ValueError names
    the known ones."""
    known, text = _core.explain(rule)
    if not known:
        raise ValueError(text.strip())
    return text


def opt(text: str, pipeline: str) -> str:
    """The text of an MLIR module behind a pass pipeline, as ane-opt --pass-pipeline writes it:
    opt(text, "builtin.module(ane-simplify)"). Raises CompileError."""
    ok, messages, result = _core.run_pipeline(text, pipeline)
    if not ok:
        raise CompileError("module", diagnostics_of(messages))
    return result


def verify(path: Union[str, os.PathLike[str]]) -> list[str]:
    """What mil-verify finds in a package, .mlmodelc or .mil, a line each; raises RunError when it cannot be read."""
    ok, messages, findings = _core.verify(os.fspath(path))
    if not ok:
        raise RunError(os.fspath(path), diagnostics_of(messages))
    return [f"{os.fspath(path)}: error: [{rule}] {place}: {message}" for rule, place, message in findings]


def info(path: Union[str, os.PathLike[str]]) -> dict[str, Any]:
    """Inputs, outputs, operations, weights and metadata of an artifact: what ane-info --json prints. Raises RunError."""
    ok, messages, text = _core.describe(os.fspath(path))
    if not ok:
        raise RunError(os.fspath(path), diagnostics_of(messages))
    found: dict[str, Any] = json.loads(text)
    return found


def diff(a: Union[str, os.PathLike[str]], b: Union[str, os.PathLike[str]], *, run: bool = True) -> dict[str, Any]:
    """How two artifacts differ, by operations, weights, and (run) results on the same random inputs: what ane-diff --json
    prints; "same" tells whether they do. Raises RunError."""
    ok, messages, _, text = _core.diff(os.fspath(a), os.fspath(b), run)
    if not ok:
        raise RunError(f"{os.fspath(a)}, {os.fspath(b)}", diagnostics_of(messages))
    found: dict[str, Any] = json.loads(text)
    return found


def simulate(
    mil_text: str,
    weights: Optional[Mapping[str, Union[bytes, str, os.PathLike[str]]]] = None,
    inputs: Optional[Mapping[str, ArrayLike]] = None,
    *,
    target: str = "h16",
    numerics: str = "engine",
    strict: bool = False,
    function: Optional[str] = None,
) -> dict[str, NDArray[Any]]:
    """Runs MIL text as an engine of that generation would: a stand-in for a Mac in tests of one's own.

    weights: files by the path that BLOBFILE names ("@model_path/weights/weight.bin", or below that folder), as bytes or
        as the path of a file. inputs: arrays by name. numerics: "engine" follows the target's accumulators and tables,
        "fp16" rounds to declared dtypes. strict: what that engine's in-memory compiler is known to refuse raises
        CompileError, whose diagnostics name operation and rule.
    Returns outputs by name. Raises RunError for text that is no MIL, ValueError for wrong inputs.
    """
    with tempfile.TemporaryDirectory(prefix="ane-mlir-") as folder:
        text = Path(folder, "model.mil")
        text.write_text(mil_text)
        for name, content in (weights or {}).items():
            relative = name[len("@model_path/") :] if name.startswith("@model_path/") else name
            place = Path(folder, relative)
            if not relative or Path(relative).is_absolute() or ".." in Path(relative).parts:
                raise ValueError(f"weights name '{name}'; expects a path below @model_path/")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content if isinstance(content, bytes) else Path(content).read_bytes())
        shapes: dict[str, Sequence[int]] = {name: np.shape(value) for name, value in (inputs or {}).items()}
        if strict:
            ok, misuse, messages, illegal = _core.find_illegal(str(text), [(n, list(s)) for n, s in shapes.items()], target)
            if misuse:
                raise usage_of(diagnostics_of(messages))
            if not ok:
                raise RunError("model.mil", diagnostics_of(messages))
            if illegal:
                raise CompileError("model.mil", diagnostics_of(illegal))
        return Session(text, numerics=numerics, function=function, input_shapes=shapes, target=target).run(inputs or {})
