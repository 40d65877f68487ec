"""Steps of training: loss and gradients of whole models against JAX, and what ane-run --train does with them."""

from __future__ import annotations

import json
import pathlib
import subprocess

import numpy as np
import onnx
import pytest
import training_models
from ane_mlir import find_tool
from conftest import cosine, relative
from training_models import MODELS


def convert(model: onnx.ModelProto, folder: pathlib.Path, *options: str, name: str = "m", code: int = 0) -> subprocess.CompletedProcess[str]:
    onnx.save(model, folder / f"{name}.onnx")
    command = [find_tool("onnx-to-ane"), str(folder / f"{name}.onnx"), "--train", "-o", str(folder / f"{name}.anepkg"), *options]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == code, result.stderr
    return result


def train(folder: pathlib.Path, *options: str, name: str = "m", code: int = 0) -> subprocess.CompletedProcess[str]:
    command = [find_tool("ane-run"), str(folder / f"{name}.anepkg"), "--train", str(folder / "data"), *options]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == code, result.stderr
    return result


def write_data(folder: pathlib.Path, arrays: dict[str, np.ndarray]) -> None:
    (folder / "data").mkdir(exist_ok=True)
    for name, array in arrays.items():
        np.save(folder / "data" / f"{name}.npy", array)


def parameters_of(folder: pathlib.Path, name: str = "m") -> list[str]:
    manifest = json.loads((folder / f"{name}.anepkg" / "manifest.json").read_text())
    return [p["name"] for p in manifest["training"]["parameters"]]


def targets_for(model: onnx.ModelProto, loss: str, feeds: dict[str, np.ndarray], run, weights) -> np.ndarray:
    output = np.asarray(run(feeds, {}))
    rng = np.random.default_rng(5)
    if loss == "mse":
        return (output + rng.standard_normal(output.shape)).astype(np.float32)
    labels = rng.integers(0, output.shape[-1], output.shape[:-1]).astype(np.int32)
    labels.reshape(-1)[0] = -1  # does not count
    return labels


@pytest.mark.parametrize("name", MODELS)
def test_gradients_of_models(name: str, tmp_path: pathlib.Path) -> None:
    """In fp32 within 1e-4 of each gradient's largest magnitude; in engine numerics, with a loss scale, a cosine of 0.999."""
    jax = pytest.importorskip("jax", reason="JAX is the judge of gradients")
    builder, loss = MODELS[name]
    model = builder()
    feeds = training_models.feeds(model)
    weights, run = training_models.onnx_function(model)
    targets = targets_for(model, loss, feeds, run, weights)
    write_data(tmp_path, {**feeds, "targets": targets})
    convert(model, tmp_path, f"--loss={loss}", "--precision=fp32", "--quiet")
    names = parameters_of(tmp_path)
    assert {n for n in weights if n.startswith(("w_", "b_", "gamma_", "embedding", "positions"))} >= set(names) and len(names) >= 4
    trained = {n: weights[n] for n in names}
    value, gradients = jax.jit(jax.value_and_grad(lambda t: training_models.loss_of(loss, run(feeds, t), targets)))(trained)
    train(tmp_path, "--gradients", str(tmp_path / "fp32"), "--numerics=fp32")
    assert relative(np.load(tmp_path / "fp32" / "loss.npy"), np.asarray(value)) < 1e-4
    gradients = {n: np.asarray(g) for n, g in gradients.items()}
    largest = max(np.abs(g).max() for g in gradients.values())
    # The bias of keys has none: softmax does not see what is added to a whole row. There rounding alone is left.
    nothing = [n for n in names if np.abs(gradients[n]).max() < 1e-6 * largest]
    assert len(nothing) <= 2
    for n in names:
        made = np.load(tmp_path / "fp32" / f"{n}.npy")
        assert made.shape == gradients[n].shape
        assert np.abs(made).max() < 1e-6 * largest if n in nothing else relative(made, gradients[n]) < 1e-4, n
    convert(model, tmp_path, f"--loss={loss}", "--loss-scale=1024", "--quiet", name="half")
    train(tmp_path, "--gradients", str(tmp_path / "engine"), "--numerics=engine", name="half")
    cosines = {n: cosine(np.load(tmp_path / "engine" / f"{n}.npy"), gradients[n]) for n in names if n not in nothing}
    print(f"\n{name}: {len(names)} parameters, worst cosine {min(cosines.values()):.5f}")
    assert min(cosines.values()) >= 0.999, {n: c for n, c in cosines.items() if c < 0.999}
