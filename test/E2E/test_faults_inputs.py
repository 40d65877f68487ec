"""Models that ONNX does not allow, or that would not fit: exit 1 with a message that names the node, soon and in little memory."""

from __future__ import annotations

import os
import pathlib
import resource
import subprocess

import numpy as np
import onnx
import pytest
from conftest import ROOT, SHARED
from onnx import TensorProto, helper, numpy_helper

BIN = pathlib.Path(os.environ.get("ANE_MLIR_BIN", ROOT / "build" / "bin"))
SANITIZED = "asan" in BIN.parts
FLOAT, DOUBLE, INT64, INT32, BOOL = TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.INT64, TensorProto.INT32, TensorProto.BOOL
ENVIRONMENT = {**os.environ, "ASAN_OPTIONS": "allow_user_poisoning=0:detect_leaks=0:abort_on_error=0:exitcode=99:allocator_may_return_null=1", "UBSAN_OPTIONS": "exitcode=99"}
SECONDS, MEGABYTES = (120, 8000) if SANITIZED else (20, 2000)


def run(*command) -> subprocess.CompletedProcess[str]:
    """Runs one of the tools; its time and memory are bounded."""
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace", env=ENVIRONMENT)
    try:
        out, err = process.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise AssertionError(f"no answer in {SECONDS} s: {command}") from None
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def refuse(model: onnx.ModelProto | bytes | pathlib.Path, tmp_path: pathlib.Path, *words: str, options=()) -> str:
    """Converts a model that has to be refused with a message that has all of `words`."""
    file = model if isinstance(model, pathlib.Path) else tmp_path / "m.onnx"
    if not isinstance(model, pathlib.Path):
        file.write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    result = run(BIN / "onnx-to-ane", file, "-o", tmp_path / "m.anepkg", "--quiet", *options)
    after = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    assert result.returncode == 1, (result.returncode, result.stderr[-2000:])
    assert after <= max(before, MEGABYTES * 1024), f"{after // 1024} MB"
    assert "error: " in result.stderr and not (tmp_path / "m.anepkg").exists()
    for word in words:
        assert word in result.stderr, result.stderr
    return result.stderr


def model(nodes, inputs, constants=(), opset=17, outputs=("y",), functions=(), domains=()) -> onnx.ModelProto:
    """A model of `nodes`; inputs are (name, type, shape), constants (name, array)."""
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info(*i) for i in inputs], [helper.make_tensor_value_info(o, FLOAT, None) for o in outputs],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in constants])  # fmt: skip
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset), *(helper.make_opsetid(d, 1) for d in domains)], ir_version=8)
    made.functions.extend(functions)
    return made


def one(op: str, *inputs, opset=17, domain="", **attributes) -> onnx.ModelProto:
    """A model of one node "n"; inputs are (type, shape), arrays, or None."""
    infos, constants, names = [], [], []
    for i, value in enumerate(inputs):
        names.append("" if value is None else f"x{i}")
        if isinstance(value, tuple):
            infos.append((f"x{i}", *value))
        elif value is not None:
            constants.append((f"x{i}", value))
    return model([helper.make_node(op, names, ["y"], "n", domain=domain, **attributes)], infos, constants, opset, domains=[domain] if domain else [])


X = (FLOAT, [1, 4, 8, 8])
M = (FLOAT, [2, 3])
W = np.zeros((4, 4, 3, 3), np.float32)

WRONG_TYPES = {
    "indices": (one("Gather", M, (FLOAT, [2])), "'indices'", "float"),
    "indices of ND": (one("GatherND", M, (FLOAT, [1, 2])), "'indices'", "float"),
    "scatter": (one("ScatterND", M, (INT64, [1, 2]), (INT64, [1])), "'updates'", "one element type"),
    "condition": (one("Where", (FLOAT, [2, 3]), M, M), "'condition'", "bool"),
    "mixed sum": (one("Add", M, (INT64, [2, 3])), "one element type", "float and int64"),
    "mixed range": (one("Range", np.int64(0), np.int64(5), np.float32(1)), "one element type"),
    "bits of floats": (one("BitwiseAnd", M, M, opset=18), "'A'", "float"),
    "logic of floats": (one("And", M, M), "'A'", "bool"),
    "by opset": (one("Abs", (INT64, [2]), opset=5), "'X'", "opset 5"),
    "shape as floats": (one("Reshape", M, np.float32([3, 2])), "'shape'", "int64"),
    "strings": (one("Relu", np.array(["a"], object)), "'X'", "string"),
    "of another domain": (one("FastGelu", (INT64, [2]), domain="com.microsoft"), "FastGelu", "int64"),
    "scaler": (one("Scaler", (BOOL, [2]), domain="ai.onnx.ml"), "Scaler", "bool"),
}


@pytest.mark.parametrize("case", WRONG_TYPES)
def test_types(tmp_path, case):
    wrong, *words = WRONG_TYPES[case]
    refuse(wrong, tmp_path, '"n"', *words)


WRONG_NODES = {
    "missing": (one("Conv", X), "input 1 ('W')", "required"),
    "emptied": (one("GatherElements", None, (INT64, [1])), "input 0 ('data')", "required"),
    "too many": (one("Relu", M, M), "at most 1"),
    "emptied in a list": (one("Concat", M, None, M, axis=0), "required"),
    "misspelt": (one("Conv", X, W, strdies=[2, 2]), "'strdies'", "did you mean 'strides'"),
    "of a later opset": (one("Conv", X, W, auto_padding="VALID"), "'auto_padding'"),
    "kind": (one("Conv", X, W, strides=2), "'strides'", "a list of integers"),
    "missing attribute": (one("Concat", M, M), "'axis'", "required"),
    "keepdims": (one("ReduceMax", M, keepdims=2), "'keepdims'", "0 or 1"),
    "is_causal": (one("Attention", *[(FLOAT, [1, 2, 4, 8])] * 3, opset=23, is_causal=7), "'is_causal'", "0 or 1"),
    "group": (one("Conv", X, W, group=0), "'group'"),
    "stride": (one("Conv", X, W, strides=[0, 1]), "'strides'"),
    "dilation": (one("MaxPool", X, kernel_shape=[2, 2], dilations=[0, 1]), "'dilations'"),
    "auto_pad": (one("Conv", X, W, auto_pad="SAME"), "'auto_pad'", "SAME_UPPER"),
    "direction": (one("LSTM", (FLOAT, [2, 1, 3]), (FLOAT, [1, 16, 3]), (FLOAT, [1, 16, 4]), hidden_size=4, direction="backward"), "'direction'"),
    "mode": (one("DepthToSpace", X, blocksize=2, mode="DRC"), "'mode'"),
    "block": (one("DequantizeLinear", (TensorProto.INT8, [5, 48]), np.ones((4, 48), np.float32), opset=21, axis=0, block_size=2**62), "'block_size'"),
}


@pytest.mark.parametrize("case", WRONG_NODES)
def test_nodes(tmp_path, case):
    wrong, *words = WRONG_NODES[case]
    refuse(wrong, tmp_path, '"n"', *words)


def test_types_follow_values(tmp_path):
    """The type of a value is known behind casts, functions, branches and loops."""
    node = helper.make_node
    body = helper.make_graph([node("Identity", ["c"], ["k"]), node("Add", ["a", "i"], ["o"], "n")], "b",
                             [helper.make_tensor_value_info(n, t, []) for n, t in (("i", INT64), ("c", BOOL), ("a", FLOAT))],
                             [helper.make_tensor_value_info(n, t, None) for n, t in (("k", BOOL), ("o", FLOAT))])  # fmt: skip
    refuse(model([node("Loop", ["m", "", "x"], ["y"], "loop", body=body)], [("x", FLOAT, [2])], [("m", np.int64(2))]), tmp_path, '"n"', "float and int64")
    refuse(model([node("Cast", ["x"], ["i"], to=INT64), node("Mul", ["i", "x"], ["y"], "n")], [("x", FLOAT, [2])]), tmp_path, '"n"', "int64 and float")
    branch = helper.make_graph([node("Cast", ["x"], ["o"], to=INT32)], "b", [], [helper.make_tensor_value_info("o", INT32, None)])
    choice = node("If", ["p"], ["i"], "choice", then_branch=branch, else_branch=branch)
    refuse(model([choice, node("Mul", ["i", "x"], ["y"], "n")], [("x", FLOAT, [2]), ("p", BOOL, [])]), tmp_path, '"n"', "int32 and float")


def test_types_that_are_allowed(tmp_path):
    """Names of tools' own attributes, mixed variadic types and types the model does not say are no errors."""
    for allowed in (one("Relu", M, __tag=1), one("Max", (INT32, [2]), (INT32, [2])), one("Pow", M, (INT64, [3]))):
        file = tmp_path / "m.onnx"
        onnx.save(allowed, file)
        result = run(BIN / "onnx-to-ane", file, "-o", tmp_path / "m.anepkg", "--quiet")
        assert result.returncode == 0, result.stderr


FAULTS = SHARED / "cases" / "faults"


def test_cases_of_types(tmp_path):
    if not FAULTS.exists():
        pytest.skip("no shared cases beside the project")
    for case, word in {"gather_float_indices": "'indices'", "if_float_condition": "'cond'", "range_mixed_types": "one element type", "dequantize_block_size": "'block_size'"}.items():
        refuse(FAULTS / case / "model.onnx", tmp_path, word)
