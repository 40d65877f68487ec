"""What an engine really answered: the interpreter's engine numerics against two captured programs."""

from __future__ import annotations

import pathlib
import re

import numpy as np
import pytest

import ane_mlir

# The programs cast their input themselves, with halves away from zero; ours take fp16.
def to_half(x: np.ndarray) -> np.ndarray:
    step = np.ldexp(1.0, np.maximum(np.frexp(np.abs(x))[1] - 1, -14) - 10)
    return (np.copysign(np.floor(np.abs(x) / step + 0.5), x) * step).astype(np.float32)


# Largest share of the output's root mean square that the error's may be, and the least share of elements that are right to
# the bit, where the accumulator is the fixed point.
BOUNDS = {"attention": (0.005, 0.5), "ffn_backward": (0.0, 1.0)}


@pytest.fixture
def golden(shared) -> pathlib.Path:
    if not (shared / "golden").is_dir():
        pytest.skip("no captured programs beside the project (shared/golden)")
    return shared / "golden"


def answers(folder: pathlib.Path, tmp_path: pathlib.Path, target: str, numerics: str = "engine") -> tuple[np.ndarray, np.ndarray]:
    """The interpreter's output and the captured one."""
    bundle = ane_mlir.compile(folder / "model.mil", output=tmp_path / f"{folder.name}-{target}.anepkg", target=target)
    shape = [int(d) for d in re.search(r"func main<\w+>\(tensor<\w+, \[([\d, ]+)\]>", (folder / "model.mil").read_text())[1].split(",")]
    x = to_half(np.fromfile(folder / "input.f32", "<f4").astype(np.float64)).reshape(shape)
    (y,) = bundle.run({"x": x}, numerics=numerics).values()
    return y.astype(np.float64).ravel(), np.fromfile(folder / "output.f32", "<f4").astype(np.float64)


def error(got: np.ndarray, wanted: np.ndarray) -> float:
    return float(np.sqrt(np.mean((got - wanted) ** 2) / np.mean(wanted**2)))


@pytest.mark.parametrize("name", BOUNDS)
def test_fixed_point(golden, tmp_path, name):
    """h15 (by the captured programs' notes) is as near as h16, and both are far nearer than rounding to fp16 alone."""
    most, exact = BOUNDS[name]
    errors = {}
    for target in ("h15", "h16", "h18"):
        got, wanted = answers(golden / name, tmp_path, target)
        errors[target] = error(got, wanted)
        print(f"{name}, {target}: error {errors[target]:.2%} rms, {np.mean(got == wanted):.1%} of the elements equal")
        assert errors[target] <= most and np.mean(got == wanted) >= exact
    assert errors["h15"] <= errors["h16"]
    assert error(*answers(golden / name, tmp_path, "h15", "fp16")) > 0.03
