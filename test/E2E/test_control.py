"""Branches and loops that only the data decides: ane.cond and ane.while_loop, run by the host."""

from __future__ import annotations

import subprocess

import numpy as np
import onnx
import pytest
from conftest import check, reference
from onnx import TensorProto, helper, numpy_helper

import ane_mlir

F, I, B = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL


def value(name: str, dtype: int, shape: list | None):
    return helper.make_tensor_value_info(name, dtype, shape)


def save(path, nodes, inputs, outputs, initializers=()):
    graph = helper.make_graph(nodes, "g", inputs, outputs, [numpy_helper.from_array(np.asarray(v), k) for k, v in dict(initializers).items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def agrees(path, feeds, folder, *, package: bool = True) -> None:
    """fp32 and fp16 bundles, and a package that coremltools accepts, against ONNX Runtime."""
    expected = reference(path, feeds)
    for precision in ("fp32", "fp16"):
        bundle = ane_mlir.compile(path, precision=precision)
        check(bundle.run(feeds), expected, precision)
    if package:
        from package_sweep import judge

        done = subprocess.run([ane_mlir.find_tool("onnx-to-ane"), path, "-o", folder / "m.mlpackage", "--quiet"], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert judge(str(folder / "m.mlpackage")) == ""
        verify = subprocess.run([ane_mlir.find_tool("mil-verify"), folder / "m.mlpackage"], capture_output=True, text=True)
        assert verify.returncode == 0, verify.stdout


def branches(shape_else=(2, 3)):
    """The first branch reads a value from around and a weight, the second a constant of its own."""
    first = helper.make_graph([helper.make_node("MatMul", ["h", "w"], ["t"]), helper.make_node("Relu", ["t"], ["first"])], "then", [], [value("first", F, None)])
    other = helper.make_graph([helper.make_node("Constant", [], ["two"], value=numpy_helper.from_array(np.float32(2))), helper.make_node("Mul", ["x", "two"], ["second"])], "else", [], [value("second", F, None)])
    return first, other


@pytest.mark.parametrize("sign", [1, -1])
def test_if(tmp_path, sign):
    first, other = branches()
    nodes = [
        helper.make_node("Add", ["x", "x"], ["h"]), helper.make_node("ReduceSum", ["x"], ["s"], keepdims=0), helper.make_node("Greater", ["s", "zero"], ["p"]),
        helper.make_node("If", ["p"], ["r"], then_branch=first, else_branch=other), helper.make_node("Add", ["r", "h"], ["y"]),
    ]  # fmt: skip
    w = np.random.default_rng(0).standard_normal((3, 3)).astype(np.float32)
    save(tmp_path / "m.onnx", nodes, [value("x", F, [2, 3])], [value("y", F, [2, 3])], {"zero": np.float32(0), "w": w})
    x = np.abs(np.random.default_rng(1).standard_normal((2, 3))).astype(np.float32) * sign
    agrees(tmp_path / "m.onnx", {"x": x}, tmp_path)


def counting_body(scan: bool):
    """v = v * 1.5 + around, until its sum is beyond 50; each sum is kept."""
    nodes = [
        helper.make_node("Mul", ["v", "factor"], ["m"]), helper.make_node("Add", ["m", "around"], ["v2"]), helper.make_node("ReduceSum", ["v2"], ["sum"], keepdims=0),
        helper.make_node("Less", ["sum", "limit"], ["go"]),
    ]  # fmt: skip
    outputs = [value("go", B, []), value("v2", F, [2, 3])]
    if scan:
        nodes.append(helper.make_node("Identity", ["sum"], ["kept"]))
        outputs.append(value("kept", F, []))
    return helper.make_graph(nodes, "body", [value("i", I, []), value("c", B, []), value("v", F, [2, 3])], outputs)


CONSTANTS = {"factor": np.float32(1.5), "limit": np.float32(50), "yes": np.array(True)}


@pytest.mark.parametrize("trips", [0, 3, 40])
def test_loop_trip_count_of_data(tmp_path, trips):
    nodes = [helper.make_node("Abs", ["x"], ["around"]), helper.make_node("Loop", ["n", "yes", "x"], ["y"], body=counting_body(False))]
    save(tmp_path / "m.onnx", nodes, [value("x", F, [2, 3]), value("n", I, [])], [value("y", F, [2, 3])], CONSTANTS)
    x = np.random.default_rng(2).uniform(0.1, 1, (2, 3)).astype(np.float32)
    agrees(tmp_path / "m.onnx", {"x": x, "n": np.array(trips, np.int64)}, tmp_path)


def test_loop_condition_of_data(tmp_path):
    nodes = [helper.make_node("Abs", ["x"], ["around"]), helper.make_node("Loop", ["", "yes", "x"], ["y"], body=counting_body(False))]
    save(tmp_path / "m.onnx", nodes, [value("x", F, [2, 3])], [value("y", F, [2, 3])], CONSTANTS)
    x = np.random.default_rng(3).uniform(0.1, 1, (2, 3)).astype(np.float32)
    agrees(tmp_path / "m.onnx", {"x": x}, tmp_path)


def test_loop_scan_of_data(tmp_path):
    """As many rows as there were trips."""
    nodes = [helper.make_node("Abs", ["x"], ["around"]), helper.make_node("Loop", ["most", "yes", "x"], ["y", "sums"], body=counting_body(True))]
    save(tmp_path / "m.onnx", nodes, [value("x", F, [2, 3])], [value("y", F, [2, 3]), value("sums", F, ["trips"])], {**CONSTANTS, "most": np.array(30, np.int64)})
    x = np.random.default_rng(4).uniform(0.1, 1, (2, 3)).astype(np.float32)
    agrees(tmp_path / "m.onnx", {"x": x}, tmp_path, package=False)


def test_branch_in_loop(tmp_path):
    """What is nested sees what is around both."""
    up = helper.make_graph([helper.make_node("Add", ["v", "around"], ["more"])], "then", [], [value("more", F, [2, 3])])
    down = helper.make_graph([helper.make_node("Sub", ["v", "around"], ["less"])], "else", [], [value("less", F, [2, 3])])
    body = helper.make_graph(
        [helper.make_node("ReduceMax", ["v"], ["top"], keepdims=0), helper.make_node("Less", ["top", "limit"], ["low"]), helper.make_node("If", ["low"], ["v2"], then_branch=up, else_branch=down), helper.make_node("Identity", ["c"], ["go"])],
        "body", [value("i", I, []), value("c", B, []), value("v", F, [2, 3])], [value("go", B, []), value("v2", F, [2, 3])])  # fmt: skip
    nodes = [helper.make_node("Abs", ["x"], ["around"]), helper.make_node("Loop", ["n", "yes", "x"], ["y"], body=body)]
    save(tmp_path / "m.onnx", nodes, [value("x", F, [2, 3]), value("n", I, [])], [value("y", F, [2, 3])], {"limit": np.float32(2), "yes": np.array(True)})
    x = np.random.default_rng(5).uniform(0.1, 1, (2, 3)).astype(np.float32)
    agrees(tmp_path / "m.onnx", {"x": x, "n": np.array(7, np.int64)}, tmp_path)


def test_refusals(tmp_path):
    nodes = [helper.make_node("Abs", ["x"], ["around"]), helper.make_node("Loop", ["n", "yes", "x"], ["y", "sums"], body=counting_body(True))]
    save(tmp_path / "m.onnx", nodes, [value("x", F, [2, 3]), value("n", I, [])], [value("y", F, [2, 3]), value("sums", F, ["trips"])], CONSTANTS)
    with pytest.raises(ane_mlir.CompileError, match="to make room for its scan outputs"):
        ane_mlir.compile(tmp_path / "m.onnx")
