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


def _digest_of(example: Example) -> str:
    """Of what an example feeds, so that results of other data are not taken for its own; empty where that cannot be said."""
    digest = hashlib.sha256()
    try:
        for name, value in sorted(example[0].items()):
            array = np.asarray(value)
            if array.dtype.hasobject:
                return ""
            digest.update(f"{name}\n{array.dtype}{array.shape}".encode() + array.tobytes())
    except Exception:  # whatever an array of others says: the run itself says what is wrong with it
        return ""
    return digest.hexdigest()[:16]


class _Ledger:
    """Results on disk, a line each, so that a run can be taken up again."""

    def __init__(self, path: Optional[Union[str, os.PathLike[str]]], digest: str, dataset: Sequence[Example]) -> None:
        self.known: dict[int, float] = {}
        self.digests: dict[int, str] = {}  # of examples that are being computed
        self._stream = None
        if path is None:
            return
        place = Path(path)
        lines = place.read_text().splitlines() if place.exists() else []
        if lines and json.loads(lines[0]) != {"artifact": digest}:
            raise ValueError(f"'{place}' holds results of another artifact or other numerics; remove it, or resume somewhere else")
        whole = [json.dumps({"artifact": digest})]
        for line in lines[1:]:
            try:
                index, value, *of = json.loads(line)
            except ValueError:
                break  # cut in the middle of a line
            if of and index < len(dataset) and (now := _digest_of(dataset[index])) and of[0] != now:
                raise ValueError(f"'{place}' holds a result of another example {index}; remove it, or resume somewhere else")
            self.known[int(index)] = float(value)
            whole.append(line)
        place.write_text("\n".join(whole) + "\n")
        self._stream = open(place, "a")

    def add(self, results: Iterable[tuple[int, float]]) -> None:
        for index, value in results:
            self.known[index] = value
            if self._stream:
                of = self.digests.pop(index, "")
                self._stream.write(json.dumps([index, value, of] if of else [index, value]) + "\n")
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
        artifact and metric; examples that are others than they were are refused. chunk: examples that a worker gets at a time. progress: count, rate and remaining time on standard error.
    The numbers are the same whoever computes them.
    """
    path = str(artifact.path if isinstance(artifact, Package) else Path(artifact))
    total = len(dataset)
    if total == 0:
        raise ValueError("the data set has no example")
    ledger = _Ledger(resume, _digest(Path(path), numerics), dataset)
    resumed, start = sum(i < total for i in ledger.known), time.monotonic()

    def done(results: list[tuple[int, float]]) -> None:
        ledger.add(results)
        if progress:
            count, seconds = len(ledger.known), time.monotonic() - start
            rate = (count - resumed) / max(seconds, 1e-9)
            end = "\n" if count >= total or not sys.stderr.isatty() else ""
            print(f"\r{count}/{total} examples, {rate:.1f}/s, {max(total - count, 0) / max(rate, 1e-9):.0f} s left", end=end, file=sys.stderr, flush=True)

    def examples() -> Iterator[tuple[int, Example]]:
        for i in range(total):
            if i not in ledger.known:
                example = dataset[i]
                if resume is not None:
                    ledger.digests[i] = _digest_of(example)
                yield i, example

    chunks = _chunks(examples(), chunk)
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
