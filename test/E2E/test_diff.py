"""ane-diff: exit status and what it says of operations, weights and results."""

from __future__ import annotations

import subprocess

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import ane_mlir


def diff(*arguments) -> tuple[int, str]:
    done = subprocess.run([ane_mlir.find_tool("ane-diff"), *map(str, arguments)], capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def save(path, weight: np.ndarray, op: str = "Relu") -> None:
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["c"]), helper.make_node(op, ["c"], ["y"])], "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, "h", "w"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)], [numpy_helper.from_array(weight, "w")])  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


def test_diff(tmp_path):
    weight = np.random.default_rng(0).standard_normal((4, 3, 3, 3)).astype(np.float32)
    save(tmp_path / "a.onnx", weight)
    save(tmp_path / "b.onnx", weight * 1.5, "Sigmoid")
    for name in ("a", "b"):
        for extension in ("anepkg", "mlpackage", "mil"):
            folder = tmp_path / f"{name}_{extension}"
            folder.mkdir()
            ane_mlir.compile(tmp_path / f"{name}.onnx", output=folder / f"m.{extension}", dims={"h": 6, "w": 6})
    a, b = tmp_path / "a_mlpackage" / "m.mlpackage", tmp_path / "b_mlpackage" / "m.mlpackage"
    code, text = diff(a, a, "--no-run")
    assert code == 0 and "1 in both (216 bytes), 0 only in A (0 bytes), 0 only in B (0 bytes)" in text
    # The same model in three containers: other operations around, the same results.
    for other in (tmp_path / "a_anepkg" / "m.anepkg", tmp_path / "a_mil" / "m.mil"):
        code, text = diff(a, other)
        assert code == 0 and "y: ok" in text, text
    code, text = diff(a, b)
    assert code == 1 and "y: FAIL" in text and "elements outside; worst:" in text
    assert "1 only in A (216 bytes), 1 only in B (216 bytes)" in text
    relu = next(line for line in text.splitlines() if line.strip().startswith("relu"))
    assert relu.split() == ["relu", "1", "0", "*"]
    assert diff(a, b, "--atol=1000")[0] == 0
    assert diff(a)[0] == 2 and diff(a, tmp_path / "nothing.mlpackage")[0] == 1


def test_other_inputs(tmp_path):
    weight = np.ones((4, 3, 3, 3), np.float32)
    save(tmp_path / "a.onnx", weight)
    ane_mlir.compile(tmp_path / "a.onnx", output=tmp_path / "a.mlpackage", dims={"h": 6, "w": 6})
    ane_mlir.compile(tmp_path / "a.onnx", output=tmp_path / "b.mlpackage", dims={"h": 8, "w": 8})
    code, text = diff(tmp_path / "a.mlpackage", tmp_path / "b.mlpackage")
    assert code == 1 and "input 'x' has shape [1, 3, 6, 6] in A and [1, 3, 8, 8] in B" in text


def test_names_survive(tmp_path):
    """What is made of a package has the names of its operations, so that the graphs are compared node by node."""
    weight = np.random.default_rng(0).standard_normal((4, 3, 3, 3)).astype(np.float32)
    save(tmp_path / "a.onnx", weight)
    ane_mlir.compile(tmp_path / "a.onnx", output=tmp_path / "a.mlpackage", dims={"h": 6, "w": 6})
    ane_mlir.compile(tmp_path / "a.mlpackage", output=tmp_path / "b.mlpackage")
    assert "graph: 0 added, 0 removed, 0 changed" in diff(tmp_path / "a.mlpackage", tmp_path / "b.mlpackage")[1]
    (node,) = [op["node"] for op in ane_mlir.compile(tmp_path / "a.mlpackage").report.ops if op["op"] == "ane.conv"]
    text = next((tmp_path / "a.mlpackage").rglob("*.mlmodel")).read_bytes()
    assert node.encode() in text and not node.startswith("main")
