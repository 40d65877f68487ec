"""A metric over a data set, on one core, on many, or on a cluster."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import json
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Callable, Optional, Union

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._bundle import Bundle, Package, Session

__all__ = ["Evaluation", "evaluate"]

Example = tuple[Mapping[str, ArrayLike], Any]
Metric = Callable[[dict[str, NDArray[Any]], Any], float]


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """The metric of each example, in the data set's order; how many were taken from an earlier run, and the seconds that
    the others took."""

    values: tuple[float, ...]
    resumed: int
    seconds: float

    @property
    def mean(self) -> float:
        # In the data set's order, whoever computed it: the same sum everywhere.
        return sum(self.values) / len(self.values)


_sessions: dict[tuple[str, str, object], Session] = {}


def _evaluate_some(path: str, numerics: str, metric: Metric, examples: Sequence[tuple[int, Example]]) -> list[tuple[int, float]]:
    """On a worker, which loads the artifact once, and again where another is in its place."""
    artifact = Bundle(path) if path.endswith(".anepkg") else Package(path)
    key = (path, numerics, artifact._stamp())
    if key not in _sessions:
        _sessions.clear()
        _sessions[key] = Session(path, numerics=numerics)
    return [(index, float(metric(_sessions[key].run(feeds), target))) for index, (feeds, target) in examples]


def _digest(path: Path, numerics: str) -> str:
    """Of an artifact's files: results of another one are not taken for its own."""
    digest = hashlib.sha256(numerics.encode())
    for file in [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file()):
        digest.update(f"{file.relative_to(path) if file != path else ''}\n".encode())
        with open(file, "rb") as stream:
            while chunk := stream.read(1 << 20):
                digest.update(chunk)
    return digest.hexdigest()


def _identity(metric: Metric, dataset: Sequence[Example]) -> str:
    """Of what results are of besides an artifact: the metric's code, and the first example."""
    digest = hashlib.sha256(f"{getattr(metric, '__module__', '')}.{getattr(metric, '__qualname__', repr(type(metric)))}".encode())
    code = getattr(metric, "__code__", None)
    if code is not None:
        digest.update(code.co_code + repr([c for c in code.co_consts if not hasattr(c, "co_code")]).encode() + repr(code.co_names).encode())
    feeds, target = dataset[0]
    for name, value in [*sorted(feeds.items()), ("", target)]:
        digest.update(f"{name}\n".encode())
        try:
            array = np.asarray(value)
            digest.update(f"{array.dtype}{array.shape}".encode() + (repr(value).encode() if array.dtype.hasobject else array.tobytes()))
        except ValueError:  # ragged
            digest.update(repr(value).encode())
    return digest.hexdigest()


class _Ledger:
    """Results on disk, a line each, so that a run can be taken up again."""

    def __init__(self, path: Optional[Union[str, os.PathLike[str]]], digest: str, identity: str) -> None:
        self.known: dict[int, float] = {}
        self._stream = None
        if path is None:
            return
        place = Path(path)
        lines = place.read_text().splitlines() if place.exists() else []
        header = {"artifact": digest, "metric": identity}
        if lines and json.loads(lines[0]) != header:
            other = "another metric or other data" if json.loads(lines[0]).get("artifact") == digest else "another artifact or other numerics"
            raise ValueError(f"'{place}' holds results of {other}; remove it, or resume somewhere else")
        for line in lines[1:]:
            try:
                index, value = json.loads(line)
            except ValueError:
                break  # cut in the middle of a line
            self.known[int(index)] = float(value)
        whole = [json.dumps(header)] + [json.dumps([i, v]) for i, v in self.known.items()]
        place.write_text("\n".join(whole) + "\n")
        self._stream = open(place, "a")

    def add(self, results: Iterable[tuple[int, float]]) -> None:
        for index, value in results:
            self.known[index] = value
            if self._stream:
                self._stream.write(json.dumps([index, value]) + "\n")
        if self._stream:
            self._stream.flush()

    def close(self) -> None:
        if self._stream:
            self._stream.close()


def _chunks(examples: Iterable[tuple[int, Example]], size: int) -> Iterator[list[tuple[int, Example]]]:
    chunk: list[tuple[int, Example]] = []
    for example in examples:
        chunk.append(example)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def evaluate(
    artifact: Union[Package, str, "os.PathLike[str]"],
    dataset: Sequence[Example],
    metric: Metric,
    *,
    workers: int = 1,
    client: Any = None,
    numerics: str = "fp16",
    resume: Optional[Union[str, "os.PathLike[str]"]] = None,
    chunk: int = 16,
    progress: bool = False,
) -> Evaluation:
    """metric(outputs, target) for each (feeds, target) of `dataset`.

    workers: processes; more than 1 starts Python anew, so metric and examples must pickle and a script needs its
        `if __name__ == "__main__":`. client: a dask.distributed.Client instead, whose workers see the artifact's path.
    numerics: as of Session. resume: a file that results are added to, and taken from by a later call with the same
        artifact, metric and data (told by its first example, so that more may follow). chunk: examples that a worker gets at a time. progress: count, rate and remaining time on standard error.
    The numbers are the same whoever computes them.
    """
    path = str(artifact.path if isinstance(artifact, Package) else Path(artifact))
    total = len(dataset)
    if total == 0:
        raise ValueError("the data set has no example")
    ledger = _Ledger(resume, _digest(Path(path), numerics), _identity(metric, dataset))
    resumed, start = sum(i < total for i in ledger.known), time.monotonic()

    def done(results: list[tuple[int, float]]) -> None:
        ledger.add(results)
        if progress:
            count, seconds = len(ledger.known), time.monotonic() - start
            rate = (count - resumed) / max(seconds, 1e-9)
            end = "\n" if count >= total or not sys.stderr.isatty() else ""
            print(f"\r{count}/{total} examples, {rate:.1f}/s, {max(total - count, 0) / max(rate, 1e-9):.0f} s left", end=end, file=sys.stderr, flush=True)

    chunks = _chunks(((i, dataset[i]) for i in range(total) if i not in ledger.known), chunk)
    try:
        if client is not None:
            as_completed = importlib.import_module("dask.distributed").as_completed
            futures = [client.submit(_evaluate_some, path, numerics, metric, some, pure=False) for some in chunks]
            for future in as_completed(futures):
                done(future.result())
        elif workers > 1:
            import concurrent.futures  # seldom needed, and slow to import
            import multiprocessing

            context = multiprocessing.get_context("spawn")
            with concurrent.futures.ProcessPoolExecutor(workers, mp_context=context) as pool:
                pending = {pool.submit(_evaluate_some, path, numerics, metric, some) for some in chunks}
                for finished in concurrent.futures.as_completed(pending):
                    done(finished.result())
        else:
            for some in chunks:
                done(_evaluate_some(path, numerics, metric, some))
    finally:
        ledger.close()
        _sessions.clear()
    return Evaluation(tuple(ledger.known[i] for i in range(total)), resumed, time.monotonic() - start)
