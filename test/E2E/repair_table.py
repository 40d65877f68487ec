"""Every end-to-end model with and without ane-repair-fp16, in engine numerics against ONNX Runtime: the pass must not make one worse. Prints a
table and `N passed, M failed`.

Models are those of test_repair.py and, where they are, the shared ones with test data. An error is a part of the largest magnitude, infinite where an
output is not finite and ought to be. Below a quarter of the bar (2 %) it is rounding that decides which is larger.
"""

from __future__ import annotations

import concurrent.futures
import os
import pathlib
import sys
import tempfile

import numpy as np
import onnx

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "python"))
import ane_mlir  # noqa: E402
import test_repair  # noqa: E402
from conftest import SHARED, read_tensor, reference  # noqa: E402

SAME = 5e-3
WORSE = 1.05


def built(folder: pathlib.Path) -> list[tuple[str, pathlib.Path, dict[str, np.ndarray], list[str]]]:
    """The models of test_repair.py, with its inputs."""
    found = []
    for name, proto in test_repair.CASES.items():
        path = folder / f"{name}.onnx"
        onnx.save(proto, path)
        rng = np.random.default_rng(1)
        feeds = {i.name: rng.standard_normal([d.dim_value for d in i.type.tensor_type.shape.dim]).astype(np.float32) for i in proto.graph.input}
        if "mask" in feeds:
            feeds["mask"] = np.where(np.triu(np.ones((8, 8), bool), 1), -np.inf, 0).astype(np.float32).reshape(1, 1, 8, 8)
        found.append((name, path, feeds, []))
    return found


def shared() -> list[tuple[str, pathlib.Path, dict[str, np.ndarray], list[str]]]:
    """Folders with a model, test data, and perhaps options."""
    found = []
    for group in ("cases/fp16", "models/exported"):
        for folder in sorted((SHARED / group).glob("*/")):
            data = folder / "test_data_set_0"
            if not (folder / "model.onnx").is_file() or not data.is_dir():
                continue
            graph = onnx.load(folder / "model.onnx", load_external_data=False).graph
            weights = {w.name for w in graph.initializer}
            names = [i.name for i in graph.input if i.name not in weights]
            feeds = {name: read_tensor(data / f"input_{i}.pb") for i, name in enumerate(names) if (data / f"input_{i}.pb").is_file()}
            args = (folder / "args.txt").read_text().split() if (folder / "args.txt").is_file() else []
            dims = {d.dim_param: size for i in graph.input if i.name in feeds for d, size in zip(i.type.tensor_type.shape.dim, feeds[i.name].shape) if d.dim_param}
            if dims and not any(a.startswith("--dim") for a in args):
                args.append("--dim=" + ",".join(f"{name}={size}" for name, size in dims.items()))
            found.append((folder.name, folder / "model.onnx", feeds, args))
    return found


def error_of(actual: list[np.ndarray], expected: list[np.ndarray]) -> float:
    worst = 0.0
    for a, e in zip(actual, expected, strict=True):
        if e.dtype.kind in "iub":
            worst = max(worst, float(np.mean(a != e)) if e.size else 0.0)
            continue
        a, e = a.astype(np.float64), e.astype(np.float64)
        finite = np.isfinite(e)
        if not np.isfinite(a[finite]).all():
            return float("inf")
        scale = np.abs(e[finite]).max(initial=0)
        worst = max(worst, float(np.abs(a - e)[finite].max(initial=0) / (scale or 1)))
    return worst


def measure(model: tuple[str, pathlib.Path, dict[str, np.ndarray], list[str]]) -> tuple[str, float | str, float | str]:
    """Errors with the pass and without; a text where there is none."""
    name, path, feeds, args = model
    errors: list[float | str] = []
    for more in ([], ["--disable-pass=ane-repair-fp16"]):
        try:
            outputs = ane_mlir.compile(path, options=[*args, *more]).run({n: v for n, v in feeds.items() if not any(a.startswith(f"--input-value={n}=") for a in args)}, numerics="engine")
            errors.append(error_of(list(outputs.values()), reference(path, feeds)))
        except (ane_mlir.CompileError, ane_mlir.RunError) as error:
            errors.append(str(error).strip().splitlines()[-1][:100])
    return name, errors[0], errors[1]


def verdict(repaired: float | str, plain: float | str) -> str:
    if isinstance(repaired, str) or isinstance(plain, str):
        return f"not run: {repaired if isinstance(repaired, str) else plain}"
    if repaired <= SAME or repaired <= plain * WORSE:
        return "better" if plain > SAME and repaired < plain / WORSE else "as good"
    return "WORSE"


def main() -> int:
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        rows = list(pool.map(measure, [*built(pathlib.Path(folder)), *shared()]))
    print(f"{'model':36} {'repaired':>10} {'without':>10}")
    counts = {True: 0, False: 0}
    for name, repaired, plain in rows:
        said = verdict(repaired, plain)
        counts[said in ("better", "as good")] += 1
        text = [f"{e:10.1e}" if isinstance(e, float) else " " * 10 for e in (repaired, plain)]
        print(f"{name:36} {text[0]} {text[1]}  {said}")
    print(f"{counts[True]} passed, {counts[False]} failed")
    return 1 if counts[False] else 0


if __name__ == "__main__":
    sys.exit(main())
