"""The check at the end of each conversion, and what a conversion does about what it finds."""

from __future__ import annotations

import json
import resource
import subprocess

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import ane_mlir


def convert(model: onnx.ModelProto, folder, *options: str, form: str = "anepkg") -> subprocess.CompletedProcess:
    onnx.save(model, folder / "m.onnx")
    return subprocess.run([ane_mlir.find_tool("onnx-to-ane"), str(folder / "m.onnx"), "-o", str(folder / f"m.{form}"), *options], capture_output=True, text=True)


def graph(nodes: list, weights: dict[str, np.ndarray], shape: list[int]) -> onnx.ModelProto:
    g = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)], [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(w, n) for n, w in weights.items()])  # fmt: skip
    return helper.make_model(g, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def cancelling() -> onnx.ModelProto:
    """Large numbers that cancel: no fp16 form of it is right."""
    nodes = [helper.make_node("Add", ["x", "large"], ["a"], name="/add"), helper.make_node("Sub", ["a", "large"], ["y"], name="/sub")]
    return graph(nodes, {"large": np.array(20000.3, np.float32)}, [4, 64])


def smooth() -> onnx.ModelProto:
    return graph([helper.make_node("Tanh", ["x"], ["y"], name="/tanh")], {}, [4, 64])


@pytest.mark.parametrize("form", ["anepkg", "mlpackage", "mil"])
def test_summary(tmp_path, form):
    result = convert(smooth(), tmp_path, form=form)
    assert result.returncode == 0 and "accuracy, engine numerics against fp32, on guessed inputs (random numbers)" in result.stdout, result.stdout + result.stderr
    assert "warning" not in result.stderr


def test_kept_in_fp32(tmp_path):
    """What fp16 spoils goes to the host, and the report says so."""
    report = tmp_path / "r.json"
    result = convert(cancelling(), tmp_path, f"--report={report}")
    assert result.returncode == 0, result.stderr
    found = json.loads(report.read_text())
    assert found["accuracy"]["kept_fp32"] >= 1 and all(o["within_bar"] for o in found["accuracy"]["outputs"])
    assert any("fp16" in row["reason"] for row in found["ops"] if row["placement"] == "host")
    x = np.random.default_rng(0).standard_normal((4, 64)).astype(np.float32)
    y = ane_mlir.Bundle(tmp_path / "m.anepkg").run({"x": x}, numerics="engine")["y"]
    assert np.abs(y - x).max() < 2e-3 * 20000.3 / 1000


def test_limits_fail(tmp_path):
    """A bar that nothing reaches: exit 1, with the output's name; the check switched off is a usage error."""
    result = convert(smooth(), tmp_path, "--quiet", "--max-error=1e-9")
    assert result.returncode == 1 and "error: output 'y'" in result.stderr, result.stderr
    result = convert(smooth(), tmp_path, "--quiet", "--min-cosine=0.9")
    assert result.returncode == 0, result.stderr
    result = convert(smooth(), tmp_path, "--quiet", "--max-error=1e-9", "--check=off")
    assert result.returncode == 2 and "--check=off" in result.stderr, result.stderr


def test_nothing_measured_is_said(tmp_path):
    result = convert(smooth(), tmp_path, "--quiet", "--calibration=none")
    assert result.returncode == 0 and not result.stderr
    assert "--calibration=none" in convert(smooth(), tmp_path, "--calibration=none").stdout


def test_saturating_weight(tmp_path):
    """A weight beyond fp16 is said, with its node."""
    w = np.linspace(1e5, 2e5, 64, dtype=np.float32)
    nodes = [helper.make_node("Mul", ["x", "w"], ["y"], name="/scale")]
    # A small product is in fp32, where no number is beyond.
    assert not convert(graph(nodes, {"w": w}, [128, 64]), tmp_path, "--quiet", "--check=off", "--calibration=none").stderr
    result = convert(graph(nodes, {"w": w}, [1 << 15, 64]), tmp_path, "--quiet", "--check=off", "--calibration=none")
    assert result.returncode == 0 and "'w'" in result.stderr and "beyond fp16" in result.stderr, result.stderr


def test_guessed_inputs(tmp_path):
    """uint8 images are 0…255, floats shaped like images both 0…1 and 0…255, ids run over their table."""
    nodes = [helper.make_node("Relu", ["x"], ["y"])]
    assert "picture 0…1; picture 0…255" in convert(graph(nodes, {}, [1, 3, 32, 32]), tmp_path).stdout
    g = helper.make_graph(
        [helper.make_node("Gather", ["table", "ids"], ["y"])], "g", [helper.make_tensor_value_info("ids", TensorProto.INT64, [1, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)], [numpy_helper.from_array(np.ones((50, 4), np.float32), "table")])  # fmt: skip
    model = helper.make_model(g, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    assert "tokens over the vocabulary" in convert(model, tmp_path).stdout


def repeated(layers: int, width: int) -> onnx.ModelProto:
    """Layers that each cancel large numbers, as /layers.0/…, /layers.1/…."""
    rng = np.random.default_rng(0)
    nodes, weights, h = [], {"large": np.array(20000.3, np.float32)}, "x"
    for i in range(layers):
        weights[f"w{i}"] = (rng.standard_normal((width, width)) / np.sqrt(width)).astype(np.float32)
        steps = [("MatMul", f"w{i}", "proj"), ("Add", "large", "raise"), ("Sub", "large", "lower"), ("Tanh", None, "act")]
        for op, other, name in steps:
            out = "y" if i == layers - 1 and op == "Tanh" else f"{name}{i}"
            nodes.append(helper.make_node(op, [h, other] if other else [h], [out], name=f"/layers.{i}/{name}"))
            h = out
    return graph(nodes, weights, [8, width])


def test_large_model(tmp_path):
    """Of a large model the first operations are run, which is said; what they teach holds for later layers; no bar passes by it."""
    options = ("--quiet", f"--report={tmp_path}/r.json")
    model = repeated(8, 3000)
    assert convert(model, tmp_path, *options).returncode == 0
    report = json.loads((tmp_path / "r.json").read_text())
    found = report["accuracy"]
    assert 0 < found["first_operations"] < found["of_operations"] and all(o["within_bar"] for o in found["outputs"]), found
    kept = {row["node"] for row in report["ops"] if row["placement"] == "host" and "fp16" in row["reason"]}
    assert {f"/layers.{i}/lower" for i in range(8)} <= kept, kept
    result = convert(model, tmp_path, "--quiet", "--min-cosine=0.9")
    assert result.returncode == 1 and "--check=full" in result.stderr, result.stderr


def test_same_without_check(tmp_path):
    """What is emitted does not depend on whether it is checked."""
    written = []
    for check in ("fast", "off"):
        assert convert(cancelling(), tmp_path, "--quiet", f"--check={check}").returncode == 0
        written.append({f.name: f.read_bytes() for f in (tmp_path / "m.anepkg").rglob("*") if f.is_file()})
    assert written[0] == written[1]


def test_cost_of_the_check(tmp_path, shared):
    """In the median at most 0.3 of the conversion, in processor time; user and system together, since only their sum is counted and not sampled."""

    def spent(command) -> float:
        before = sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])
        done = subprocess.run(command, capture_output=True)
        return sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2]) - before if done.returncode == 0 else 0.0

    ratios = []
    for model in sorted((shared / "models/exported").glob("*/model.onnx")):
        command = [ane_mlir.find_tool("onnx-to-ane"), model, "-o", tmp_path / "m.anepkg", "--quiet"]
        off, fast = np.array([[spent([*command, f"--check={check}"]) for check in ("off", "fast")] for _ in range(5)]).min(axis=0)
        if off:
            ratios.append(fast / off - 1)
    assert len(ratios) >= 10 and np.median(ratios) <= 0.3, sorted(ratios)
