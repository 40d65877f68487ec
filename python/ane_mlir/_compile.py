"""From a model, in any of its forms, to a bundle or a package."""

from __future__ import annotations

import importlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Callable, Literal, Optional, Union, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _core
from ._arrays import prepared
from ._bundle import Bundle, Package
from ._messages import CompileError, Diagnostic, diagnostics_of, usage_of
from ._report import Report

__all__ = ["check", "compile"]

Dims = Mapping[str, Union[int, str, Sequence[int]]]
Samples = Union[str, "os.PathLike[str]", Mapping[str, ArrayLike], Sequence[Mapping[str, ArrayLike]]]
Listener = Callable[[str, int, int, str], object]


class _Bar:
    """Phase, count and time on standard error: one line on a terminal, else a line for each phase of a long run."""

    def __init__(self) -> None:
        self.start, self.phase, self.open = time.monotonic(), "", False

    def __call__(self, phase: str, done: int, total: int, what: str) -> None:
        seconds = time.monotonic() - self.start
        if sys.stderr.isatty():
            count = f" {done + 1}/{total} {what}" if total else ""
            print(f"\r\033[K[{seconds:6.2f} s] {phase}{count}"[:200], end="", file=sys.stderr, flush=True)
            self.open = True
        elif phase != self.phase and seconds > 0.5:
            print(f"[{seconds:6.2f} s] {phase}", file=sys.stderr, flush=True)
        self.phase = phase

    def close(self) -> None:
        if self.open:
            print(file=sys.stderr)


class _Model:
    """A model as a file: its path, or one that is written for as long as this lives."""

    def __init__(self, model: object, example: object = None) -> None:
        self._temporary: Optional[tempfile.TemporaryDirectory[str]] = None
        if isinstance(model, (str, os.PathLike)):
            self.path = os.fspath(model)
        elif isinstance(model, (bytes, bytearray, memoryview)):
            Path(self._place()).write_bytes(model)
        elif isinstance(model, Package):
            self.path, self._kept = os.fspath(model.path), model
        elif _is_a(model, "onnx", "ModelProto"):
            proto: Any = model
            onnx = importlib.import_module("onnx")
            onnx.save_model(proto, self._place(), save_as_external_data=proto.ByteSize() >= 2**31 - 2**20)
        elif _is_a(model, "torch", "Module") or _is_a(model, "torch", "ExportedProgram"):
            if example is None and _is_a(model, "torch", "Module"):
                raise ValueError("a torch module needs example=(arguments…), from which its graph is exported")
            arguments: Any = () if example is None else example if isinstance(example, tuple) else (example,)
            importlib.import_module("torch.onnx").export(model, arguments, self._place(), dynamo=True, external_data=False)
        else:
            raise TypeError(f"expects a path, bytes, onnx.ModelProto, torch module or Package, but got {type(model).__name__}")

    def _place(self) -> str:
        self._temporary = tempfile.TemporaryDirectory(prefix="ane-mlir-")
        self.path = os.path.join(self._temporary.name, "model.onnx")
        return self.path


def _is_a(value: object, module: str, name: str) -> bool:
    """Whether a class of that name is among the value's; its package is not imported for it."""
    return any(c.__name__ == name and c.__module__.split(".")[0] == module for c in type(value).__mro__)


def _is_range(value: object) -> bool:
    return isinstance(value, str) or (isinstance(value, (list, tuple)) and any(isinstance(v, str) for v in value))


def _shapes_of(given: Optional[Mapping[str, Any]]) -> list[tuple[str, list[int]]]:
    return [(name, [int(value)] if isinstance(value, (int, np.integer)) else [int(v) for v in value]) for name, value in (given or {}).items() if not _is_range(value)]


def _ranges_of(flag: str, given: Optional[Mapping[str, Any]]) -> list[str]:
    """Of what is a range, as "1..512", the option."""
    texts = {name: value if isinstance(value, str) else ",".join(map(str, value)) for name, value in (given or {}).items() if _is_range(value)}
    return [f"--{flag}={name}={text}" for name, text in texts.items()]


def _write_samples(samples: Samples, folder: str) -> str:
    """A folder of samples as --calibration reads it."""
    if isinstance(samples, (str, os.PathLike)):
        return os.fspath(samples)
    sets = [samples] if isinstance(samples, Mapping) else list(samples)
    if not sets:
        raise ValueError("calibration holds no sample")
    for index, sample in enumerate(sets):
        place = Path(folder, f"test_data_set_{index}")
        place.mkdir(parents=True)
        for name, value in sample.items():
            file = place / f"{name}.npy"
            if file.parent != place:
                raise ValueError(f"calibration names '{name}', which no file can be called; give a folder with input_0.npy … instead")
            np.save(file, prepared(name, value))
    return folder


def _run(request: dict[str, Any], subject: str, progress: Union[bool, Listener]) -> tuple[list[Diagnostic], Optional[Report]]:
    bar = _Bar() if progress is True else None
    listener = bar or (progress if callable(progress) else None)
    try:
        ok, misuse, messages, data, html, text, trace = _core.compile(progress=listener, **request)
    finally:
        if bar:
            bar.close()
    diagnostics = diagnostics_of(messages)
    if misuse:
        raise usage_of(diagnostics)
    if not ok:
        raise CompileError(subject, diagnostics)
    return diagnostics, Report(data, html, text, trace) if data else None


def _flags(target: str, precision: str, placement: Union[str, Mapping[str, str]], calibration: Samples, check: str, options: Sequence[str], scratch: str) -> list[str]:
    flags = [f"--target={target}", f"--precision={precision}", f"--check={check}"]
    if isinstance(placement, Mapping):
        file = Path(scratch, "placement.json")
        file.write_text(json.dumps(dict(placement)))
        flags.append(f"--placement={file}")
    elif placement != "auto":
        flags.append(f"--placement={placement}")
    if not (isinstance(calibration, str) and calibration == "auto"):
        flags.append(f"--calibration={_write_samples(calibration, os.path.join(scratch, 'samples'))}")
    # A word behind an option without "=" may be its value.
    said = {option.lstrip("-").split("=")[0] for option in options if option.startswith("-") and len(option) > 1}
    for name in said & {"o", "compile-to"}:
        raise ValueError(f"options say '-{name}'; output= says where the artifact goes, and what it is")
    # What is said among the options counts, beside defaults.
    defaults = {"--target=h16", "--precision=mixed", "--check=fast"}
    values = {f"--{name.lstrip('-')}={value}" for name, value in zip(options, options[1:])} | {"--" + option.lstrip("-") for option in options}
    for flag in flags:
        name = flag.lstrip("-").split("=")[0]
        if name in said and flag not in defaults and flag not in values:
            raise ValueError(f"{name}= and options both say --{name}")
    return [flag for flag in flags if flag.lstrip("-").split("=")[0] not in said] + list(options)


@overload
def compile(  # noqa: A001
    model: object,
    *,
    target: str = ...,
    precision: Literal["mixed", "fp16", "fp32"] = ...,
    placement: Union[str, Mapping[str, str]] = ...,
    dims: Optional[Dims] = ...,
    input_shapes: Optional[Mapping[str, Sequence[Union[int, str]]]] = ...,
    calibration: Samples = ...,
    check: Literal["fast", "full", "off"] = ...,
    example: object = ...,
    output: None = ...,
    options: Sequence[str] = ...,
    progress: Union[bool, Listener] = ...,
) -> Bundle: ...
@overload
def compile(  # noqa: A001
    model: object,
    *,
    target: str = ...,
    precision: Literal["mixed", "fp16", "fp32"] = ...,
    placement: Union[str, Mapping[str, str]] = ...,
    dims: Optional[Dims] = ...,
    input_shapes: Optional[Mapping[str, Sequence[Union[int, str]]]] = ...,
    calibration: Samples = ...,
    check: Literal["fast", "full", "off"] = ...,
    example: object = ...,
    output: Union[str, os.PathLike[str]],
    options: Sequence[str] = ...,
    progress: Union[bool, Listener] = ...,
) -> Package: ...
def compile(  # noqa: A001 - the name users expect
    model: object,
    *,
    target: str = "h16",
    precision: Literal["mixed", "fp16", "fp32"] = "mixed",
    placement: Union[str, Mapping[str, str]] = "auto",
    dims: Optional[Dims] = None,
    input_shapes: Optional[Mapping[str, Sequence[Union[int, str]]]] = None,
    calibration: Samples = "auto",
    check: Literal["fast", "full", "off"] = "fast",
    example: object = None,
    output: Optional[Union[str, os.PathLike[str]]] = None,
    options: Sequence[str] = (),
    progress: Union[bool, Listener] = False,
) -> Package:
    """Compiles a model to a bundle, or to what the extension of `output` says (.anepkg, .mlpackage, .mil, .mlir).

    model: a path (.onnx, .mlpackage, .mlmodelc, .mil), the bytes of an ONNX model, an onnx.ModelProto, a torch module or
        ExportedProgram (with `example`, its arguments), or a package that an earlier call returned.
    target: a generation or chip: "h16", "m4", "a17".
    precision: "mixed" is fp16 on the engine; "fp32" checks semantics, on the host.
    placement: "auto", "cost", "ane", "host", or a mapping from nodes to "ane" and "host".
    dims: extents of symbolic dimensions; several values of one make one function each, in a package, where it may also be
        a range that stays open: {"sequence": "1..512"}. input_shapes: whole shapes by input, where extents may be ranges, too.
    calibration: "auto" (guessed inputs), "none", a folder, or arrays by input name, or a list of such.
    check: how what was written is compared with fp32.
    options: further flags of onnx-to-ane, as written there (["--cache-dir=DIR"] keeps conversions).
    progress: True for a line on standard error, or a callable (phase, done, total, what), called from another thread.

    What is returned has what was said in `diagnostics`: warnings of accuracy, too, which nothing prints.
    Python's lock is released meanwhile. Ctrl-C ends it and leaves nothing behind.
    Raises CompileError, whose `diagnostics` say what is wrong with the model, and ValueError for what cannot be asked for.
    """
    source = _Model(model, example)
    temporary = None
    if output is None:
        temporary = tempfile.TemporaryDirectory(prefix="ane-mlir-")
        output = os.path.join(temporary.name, "model.anepkg")
    place = os.fspath(output)
    with tempfile.TemporaryDirectory(prefix="ane-mlir-") as scratch:
        request = {
            "input": source.path,
            "output": place,
            "flags": _flags(target, precision, placement, calibration, check, [*_ranges_of("dim", dims), *_ranges_of("input-shape", input_shapes), *options], scratch),
            "dims": _shapes_of(dims),
            "shapes": _shapes_of(input_shapes),
            "report_only": False,
        }
        try:
            diagnostics, report = _run(request, os.path.basename(source.path), progress)
        except BaseException:
            if temporary:
                temporary.cleanup()
            raise
    if not place.rstrip("/").endswith(".anepkg"):
        package = Package(place, temporary)
        package.diagnostics, package._report = diagnostics, report
        return package

    def stamp() -> tuple[int, int]:
        status = os.stat(source.path)
        return status.st_mtime_ns, status.st_size

    compiled = stamp()

    def again(path: Path) -> Package:
        if stamp() != compiled:
            raise ValueError(f"'{source.path}' changed after the bundle was compiled; compile it again")
        return compile(source.path, target=target, precision=precision, dims=dims, input_shapes=input_shapes, calibration=calibration, check=check, output=path, options=_for_packages(options))

    # `again` keeps the model's file.
    bundle = Bundle(place, temporary, report, again)
    bundle._source = source  # type: ignore[attr-defined]
    bundle.diagnostics = diagnostics
    return bundle


def _for_packages(options: Sequence[str]) -> list[str]:
    """Those that are not about placed programs."""
    placed = {"rule", "placement", "plan", "require-ane", "trace", "report", "live-bytes", "dialect"}
    kept: list[str] = []
    left_out = False
    for option in options:
        if option.startswith("-"):
            left_out = option.lstrip("-").split("=")[0] in placed
        if not left_out:  # nor the value that follows as a word of its own
            kept.append(option)
    return kept


def check(
    model: object,
    *,
    target: str = "h16",
    placement: Union[str, Mapping[str, str]] = "auto",
    dims: Optional[Dims] = None,
    input_shapes: Optional[Mapping[str, Sequence[Union[int, str]]]] = None,
    example: object = None,
    options: Sequence[str] = (),
    progress: Union[bool, Listener] = False,
) -> Report:
    """What would run where and what that is predicted to cost; nothing is written. Arguments as of compile()."""
    source = _Model(model, example)
    with tempfile.TemporaryDirectory(prefix="ane-mlir-") as scratch:
        flags = _flags(target, "mixed", placement, "none", "off", options, scratch)
        request = {"input": source.path, "output": "", "flags": flags, "dims": _shapes_of(dims), "shapes": _shapes_of(input_shapes), "report_only": True}
        _, report = _run(request, os.path.basename(source.path), progress)
    assert report is not None  # of what is placed there is one
    return report


def as_reference(reference: object, inputs: Mapping[str, ArrayLike]) -> dict[str, NDArray[Any]]:
    """Outputs of a model in fp32, or of an artifact as it is."""
    if isinstance(reference, Package):
        return reference.run(inputs)
    if isinstance(reference, (str, os.PathLike)) and not os.fspath(reference).endswith(".onnx"):
        return Package(reference).run(inputs)
    shapes = {name: np.shape(value) for name, value in inputs.items()}
    return compile(reference, precision="fp32", input_shapes=shapes).run(inputs, numerics="fp32")
