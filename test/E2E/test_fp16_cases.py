"""Small models of constructs that fp16 spoils, by default options: as a bundle and as a package."""

from __future__ import annotations

import shutil
import subprocess

import numpy as np
import pytest
from conftest import SHARED, cosine, read_tensor

import ane_mlir

FOLDER = SHARED / "cases" / "fp16"
CASES = sorted(p.name for p in FOLDER.iterdir()) if FOLDER.is_dir() else []


def data(case: str, kind: str) -> list[np.ndarray]:
    files = (FOLDER / case / "test_data_set_0").glob(f"{kind}_*.pb")
    return [read_tensor(p) for p in sorted(files, key=lambda p: int(p.stem.split("_")[1]))]


def judge(actual: np.ndarray, expected: np.ndarray) -> str:
    """Why `actual` is not within the bar; empty when it is."""
    if actual.shape != expected.shape:
        return f"shape {actual.shape}, not {expected.shape}"
    if expected.dtype.kind in "iub":
        return "" if np.array_equal(actual, expected) else f"{np.mean(actual != expected):.2%} of the integers differ"
    a, e = actual.astype(np.float64), expected.astype(np.float64)
    finite = np.isfinite(e)
    if not np.array_equal(np.isfinite(a), finite):
        return "not finite where fp32 is, or the other way round"
    a, e = a[finite], e[finite]
    if e.size == 0 or not np.any(e):
        return "" if not np.any(np.abs(a) > 1e-3) else "not zero"
    error, angle = np.max(np.abs(a - e)) / np.max(np.abs(e)), cosine(a, e)
    return "" if error <= 0.02 and angle >= 0.999 else f"cosine {angle:.5f}, largest error {error:.2%}"


@pytest.mark.parametrize("form", ["anepkg", "mlpackage"])
@pytest.mark.parametrize("case", CASES)
def test_case(case, form, tmp_path):
    folder = FOLDER / case
    args = (folder / "args.txt").read_text().split() if (folder / "args.txt").exists() else []
    artifact = ane_mlir.compile(folder / "model.onnx", output=tmp_path / f"model.{form}", options=args)
    for numerics in ("fp16", "engine"):
        out = tmp_path / numerics
        command = [ane_mlir.find_tool("ane-run"), str(artifact.path), f"--numerics={numerics}", "--quiet", f"--output-dir={out}"]
        command += ["--test-data", str(inputs_only(folder, tmp_path))]
        result = subprocess.run(command, capture_output=True, text=True)
        assert result.returncode == 0, result.stderr
        for i, expected in enumerate(data(case, "output")):
            why = judge(np.load(out / f"output_{i}.npy"), expected)
            assert not why, f"{numerics}, output {i}: {why}"
    if form == "mlpackage":
        assert ane_mlir.verify(artifact.path) == []


def inputs_only(folder, tmp_path):
    """The inputs alone, so that ane-run does not judge by its own bar."""
    copy = tmp_path / "inputs"
    if not copy.is_dir():
        copy.mkdir()
        for file in (folder / "test_data_set_0").glob("input_*.pb"):
            shutil.copy(file, copy)
    return copy
