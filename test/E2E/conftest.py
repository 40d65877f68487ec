"""Shared by the end-to-end tests: where the tools and the shared models are, and comparison with ONNX Runtime."""

from __future__ import annotations

import os
import pathlib
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "python"))
SHARED = ROOT.parent / "shared"

import replay  # noqa: E402 - finds ane_mlir by the line above

REPLAYS = replay.install()


def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, "workeroutput"):  # of pytest-xdist
        session.config.workeroutput["replay"] = replay.counts


def pytest_testnodedown(node, error) -> None:
    for name, count in getattr(node, "workeroutput", {}).get("replay", {}).items():
        replay.counts[name] += count


def pytest_terminal_summary(terminalreporter) -> None:
    if REPLAYS:
        found = replay.counts
        terminalreporter.write_line(
            f"replayed: {found['bundles']} bundles, {found['functions']} functions, on the stand-in as in the interpreter; {found['stopped']} stop on random inputs in both"
        )


@pytest.fixture
def shared() -> pathlib.Path:
    """Models that are test data but not part of the project."""
    if not (SHARED / "models").is_dir():
        pytest.skip(f"no shared models beside the project ({SHARED.name}/models)")
    return SHARED


def read_tensor(path: pathlib.Path) -> np.ndarray:
    """A TensorProto of test data."""
    proto = onnx.TensorProto()
    proto.ParseFromString(path.read_bytes())
    return numpy_helper.to_array(proto)


def reference(model: str | os.PathLike[str], feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
    """ONNX Runtime in fp32 with its own optimisations off."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(os.fspath(model), options, providers=["CPUExecutionProvider"]).run(None, feeds)


def relative(actual: np.ndarray, expected: np.ndarray) -> float:
    """Largest error as a part of the largest magnitude."""
    assert actual.shape == expected.shape
    largest = np.abs(expected).max()
    return float(np.abs(actual.astype(np.float64) - expected.astype(np.float64)).max() / (largest if largest else 1))


def cosine(actual: np.ndarray, expected: np.ndarray) -> float:
    a, e = actual.astype(np.float64).ravel(), expected.astype(np.float64).ravel()
    norm = np.sqrt((a @ a) * (e @ e))
    return float(a @ e / norm) if norm else float(np.array_equal(a, e))


def check(actual: dict[str, np.ndarray], expected: list[np.ndarray], precision: str) -> None:
    """fp32 within 1e-4 of the largest magnitude; fp16 within 1 % and a cosine of 0.9995."""
    assert len(actual) == len(expected)
    for (name, a), e in zip(actual.items(), expected):
        error = relative(a, e)
        if precision == "fp32":
            assert error <= 1e-4, f"{name}: {error:.2e}"
        else:
            assert error <= 1e-2 and cosine(a, e) >= 0.9995, f"{name}: {error:.2e}, cosine {cosine(a, e):.6f}"
