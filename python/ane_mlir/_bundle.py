"""Artifacts: what was compiled, or somebody's package, and running it."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _core
from ._arrays import prepared
from ._messages import Diagnostic, RunError, diagnostics_of, usage_of
from ._report import Report

__all__ = ["Bundle", "Comparison", "Package", "Port", "Program", "Session"]


@dataclasses.dataclass(frozen=True)
class Port:
    """An input or output: its name, its name in the model where an artifact could not keep that (else ""), MIL's dtype
    ("fp16", "int32") and its shape, -1 where the data decides."""

    name: str
    alias: str
    dtype: str
    shape: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Program:
    """One program of a bundle: its name in the report, "ane" or "host", its MIL text, and its predicted microseconds."""

    name: str
    kind: str
    mil: str
    predicted_us: float


@dataclasses.dataclass(frozen=True)
class Comparison:
    """One output beside a reference: cosine of the angle between the two, largest difference, largest finite magnitude
    of the reference, and elements outside of the tolerance."""

    name: str
    ok: bool
    cosine: float
    max_error: float
    largest: float
    outside: int


class Session:
    """A loaded artifact that keeps its weights. May be used from several threads; calls wait for each other.

    `seconds` is what the interpreter itself took in the last call.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        numerics: str = "fp16",
        function: str | None = None,
        input_shapes: Mapping[str, Sequence[int]] | None = None,
        target: str | None = None,
        verify: bool = True,
        device: str = "interpreter",
    ) -> None:
        """Loads what is at `path`: a bundle, a Core ML package, a .mlmodelc or a .mil text.

        numerics: "fp16" rounds each result to its dtype, "fp32" rounds nothing that is computed (what the artifact has in
        fp16 stays so), "engine" also follows the target's own accumulators and tables. input_shapes are those of inputs that leave dimensions open. target is whose engine a
        package or text runs on. verify compares weight files with the sums in their names.
        device: "engine" runs a bundle's engine programs through the runtime, where the framework is (or the library that
        ANE_RUNTIME_FRAMEWORK names); numerics have no meaning then.
        Raises RunError where it cannot be read, or there is no such device; ValueError for an unknown target or device.
        """
        shapes = [(name, list(shape)) for name, shape in (input_shapes or {}).items()]
        ok, misuse, messages, session = _core.load(os.fspath(path), function or "", shapes, verify, target or "", device)
        if session is None:
            diagnostics = diagnostics_of(messages)
            raise usage_of(diagnostics) if misuse else RunError(os.fspath(path), diagnostics)
        self._session = session
        self._path = os.fspath(path)
        #: Keeps a folder that is removed with its object.
        self._owner: Package | None = None
        self.numerics = numerics
        self.seconds = 0.0

    @property
    def inputs(self) -> tuple[Port, ...]:
        return tuple(Port(name, alias, dtype, tuple(shape)) for name, alias, dtype, _, shape in self._session.inputs())

    @property
    def outputs(self) -> tuple[Port, ...]:
        return tuple(Port(name, alias, dtype, tuple(shape)) for name, alias, dtype, _, shape in self._session.outputs())

    def run(self, feeds: Mapping[str, ArrayLike], numerics: str | None = None) -> dict[str, NDArray[Any]]:
        """Outputs by name, in the model's order. Row-major fp32 arrays are read where they are, others are converted.

        Raises ValueError that names input and expectation for a wrong name, dtype or shape; RunError where the
        interpreter stops.
        """
        arrays = [(name, prepared(name, value)) for name, value in feeds.items()]
        ok, misuse, messages, outputs, self.seconds = self._session.run(arrays, numerics or self.numerics)
        if not ok:
            diagnostics = diagnostics_of(messages)
            raise usage_of(diagnostics) if misuse else RunError(self._path, diagnostics)
        return dict(outputs)


class Package:
    """Anything that the interpreter runs: a Core ML package, a compiled .mlmodelc, a .mil text, a bundle."""

    def __init__(self, path: str | os.PathLike[str], _temporary: tempfile.TemporaryDirectory[str] | None = None) -> None:
        self.path = Path(path)
        self._temporary = _temporary
        self._loaded: tuple[object, Session] | None = None
        self._report: Report | None = None
        #: What the compiler said beside errors, where this was compiled.
        self.diagnostics: list[Diagnostic] = []

    @property
    def report(self) -> Report:
        """What runs where, why, and what that is predicted to cost. Only of what this process compiled: an artifact does
        not hold it. Of a package it is by Core ML's times, and Core ML places its operations."""
        if self._report is None:
            raise ValueError(f"'{self.path}' was not compiled here; compile the model, or use onnx-to-ane --report")
        return self._report

    def session(self, **options: Any) -> Session:
        """Loads it to be run many times; options as in Session."""
        session = Session(self.path, **options)
        session._owner = self
        return session

    def run(self, feeds: Mapping[str, ArrayLike], numerics: str = "fp16", function: str | None = None, device: str = "interpreter") -> dict[str, NDArray[Any]]:
        """Runs in the interpreter, or with device="engine" through the runtime (Session); results by name, in the model's order.
        States are fed and returned like values.

        The first call loads, and further ones with the same shapes find the weights loaded. Of a bundle of several lengths it
        is the function whose shapes the arrays have, unless `function` names one.
        """
        function = function or self._function_of(feeds)
        shapes = {name: np.shape(value) for name, value in feeds.items()} if self._has_open_shapes() else {}
        key = (function, device, tuple(shapes.items()), self._stamp())
        if self._loaded is None or self._loaded[0] != key:
            self._loaded = (key, Session(self.path, function=function, input_shapes=shapes, device=device))
        return self._loaded[1].run(feeds, numerics)

    def _has_open_shapes(self) -> bool:
        return True

    def _function_of(self, feeds: Mapping[str, ArrayLike]) -> str | None:
        return None

    def _stamp(self) -> object:
        """Changes when somebody writes the artifact anew."""
        try:
            status = os.stat(self.path)
        except OSError:
            return None
        return (status.st_ino, status.st_mtime_ns)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Copies it to `path`, where nothing is yet or a file of the same kind; it appears whole. Returns the path."""
        place = Path(path)
        if place.suffix != self.path.suffix:
            raise ValueError(f"expects a name that ends in {self.path.suffix}, but got '{place}'")
        staged = Path(tempfile.mkdtemp(prefix=".ane-mlir-save-", dir=place.absolute().parent))
        try:
            new, old = staged / "new", staged / "old"
            if self.path.is_dir():
                shutil.copytree(self.path, new)
            else:
                shutil.copyfile(self.path, new)
            if (place.exists() or place.is_symlink()) and not place.is_dir() and self.path.is_dir():
                raise ValueError(f"'{place}' is there and is no {place.suffix}")
            if place.is_dir():
                if not any((place / name).exists() for name in ("manifest.fb", "Manifest.json", "model.mil")):
                    raise ValueError(f"'{place}' is there and is no {place.suffix}")
                if why := _core.check_replaceable(str(place)):
                    raise ValueError(why)
                os.rename(place, old)
            try:
                os.replace(new, place)
            except OSError:
                if old.exists():
                    os.rename(old, place)
                raise
        finally:
            shutil.rmtree(staged, ignore_errors=True)
        return place

    def compare(self, reference: object, inputs: Mapping[str, ArrayLike], *, numerics: str = "fp16", rtol: float = 1e-2, atol: float | None = None) -> list[Comparison]:
        """This, in `numerics`, beside `reference` on the same inputs: a model (computed in fp32) or another artifact.

        atol is a thousandth of each output's largest magnitude by default. Outputs belong together by position.
        """
        from ._compile import as_reference

        wanted = as_reference(reference, inputs)
        actual = self.run(inputs, numerics)
        if len(wanted) != len(actual):
            raise ValueError(f"the reference has {len(wanted)} outputs, this has {len(actual)}")
        result = []
        for (name, a), b in zip(actual.items(), wanted.values()):
            array = prepared(name, a)
            ok, same, worst, largest, cosine, outside = _core.compare(array, prepared(name, b).reshape(array.shape) if np.size(b) == array.size else prepared(name, b), rtol, -1.0 if atol is None else atol)
            result.append(Comparison(name, ok and same, cosine if same else 0.0, worst, largest, outside))
        return result

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r})"


class Bundle(Package):
    """A compiled bundle. The folder is removed with the object when `compile` chose its place."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        _temporary: tempfile.TemporaryDirectory[str] | None = None,
        _report: Report | None = None,
        _again: Callable[[Path], Package] | None = None,
    ) -> None:
        super().__init__(path, _temporary)
        self._report = _report
        self._again = _again
        self._lengths: tuple[object, list[tuple[str, dict[str, tuple[int, ...]]]]] | None = None

    def _has_open_shapes(self) -> bool:
        return False

    def _function_of(self, feeds: Mapping[str, ArrayLike]) -> str | None:
        """The first whose inputs have the shapes of `feeds`; ValueError that names all where none does, and there are several."""
        if self._lengths is None or self._lengths[0] != self._stamp():
            manifest = self.manifest if (self.path / "manifest.json").is_file() else {}
            functions = [(str(each["name"]), {str(port["name"]): tuple(port["shape"]) for port in each["inputs"]}) for each in manifest.get("functions", [])]
            self._lengths = (self._stamp(), functions)
        functions = self._lengths[1]
        if len(functions) < 2:
            return None
        given = {name: np.shape(value) for name, value in feeds.items()}
        known: list[str] = []
        for function, shapes in functions:
            # A scalar is an array of one element where the model has that.
            if all(shapes.get(name, shape) in (shape, shape or (1,)) for name, shape in given.items()):
                return function
            known.append(f"{function} ({', '.join(f'{name} {list(shapes[name])}' for name in given if name in shapes)})")
        raise ValueError(f"no function takes arrays of these shapes; there are {', '.join(known)}")

    def _stamp(self) -> object:
        try:
            return os.stat(self.path / "manifest.fb").st_ino, os.stat(self.path / "manifest.fb").st_mtime_ns
        except OSError:
            return None

    @property
    def manifest(self) -> dict[str, Any]:
        """manifest.json: all that a loader needs."""
        manifest: dict[str, Any] = json.loads((self.path / "manifest.json").read_text())
        return manifest

    @property
    def inputs(self) -> list[str]:
        return [port["name"] for port in self.manifest["inputs"]]

    @property
    def outputs(self) -> list[str]:
        return [port["name"] for port in self.manifest["outputs"]]

    @property
    def programs(self) -> list[Program]:
        """In the manifest's order, host programs included."""
        found = []
        for index, program in enumerate(self.manifest["programs"]):
            text = (self.path / program["text"]).read_text()
            found.append(Program(f"program{index}", program["kind"], text, float(program["predicted_us"])))
        return found

    def to_mlpackage(self, path: str | os.PathLike[str]) -> Package:
        """The same model, with the same options, as a Core ML package at `path`: one function for Core ML to place."""
        if self._again is None:
            raise ValueError(f"'{self.path}' was not compiled here, and a bundle's placed programs are no package; compile the model with output=…")
        place = Path(path)
        if place.suffix != ".mlpackage":
            raise ValueError(f"expects a name that ends in .mlpackage, but got '{place}'")
        return self._again(place)

    def _repr_html_(self) -> str:
        manifest = self.manifest
        rows = "".join(
            f"<tr><td>{what}</td><td>{escape(port['name'])}</td><td>{escape(str(port['dtype']))}</td></tr>" for what, ports in (("input", manifest["inputs"]), ("output", manifest["outputs"])) for port in ports
        )
        table = f"<table><thead><tr><th></th><th>name</th><th>dtype</th></tr></thead><tbody>{rows}</tbody></table>"
        report = self._report._repr_html_() if self._report else ""
        return f"<div><b>Bundle</b> for {escape(str(manifest['target']))}, {len(manifest['programs'])} programs{table}{report}</div>"
