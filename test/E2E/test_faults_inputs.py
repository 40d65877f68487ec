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


def refuse(model: onnx.ModelProto | bytes | pathlib.Path, tmp_path: pathlib.Path, *words: str, options=(), form: str = "anepkg") -> str:
    """Converts a model that has to be refused with a message that has all of `words`."""
    file = model if isinstance(model, pathlib.Path) else tmp_path / "m.onnx"
    if not isinstance(model, pathlib.Path):
        file.write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    result = run(BIN / "onnx-to-ane", file, "-o", tmp_path / f"m.{form}", "--quiet", *options)
    after = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    assert result.returncode == 1, (result.returncode, result.stderr[-2000:])
    assert after <= max(before, MEGABYTES * 1024), f"{after // 1024} MB"
    assert "error: " in result.stderr and not (tmp_path / f"m.{form}").exists()
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
    refuse(wrong, tmp_path, "'n'", *words)


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
    refuse(wrong, tmp_path, "'n'", *words)


def test_types_follow_values(tmp_path):
    """The type of a value is known behind casts, functions, branches and loops."""
    node = helper.make_node
    body = helper.make_graph([node("Identity", ["c"], ["k"]), node("Add", ["a", "i"], ["o"], "n")], "b",
                             [helper.make_tensor_value_info(n, t, []) for n, t in (("i", INT64), ("c", BOOL), ("a", FLOAT))],
                             [helper.make_tensor_value_info(n, t, None) for n, t in (("k", BOOL), ("o", FLOAT))])  # fmt: skip
    refuse(model([node("Loop", ["m", "", "x"], ["y"], "loop", body=body)], [("x", FLOAT, [2])], [("m", np.int64(2))]), tmp_path, "'n'", "float and int64")
    refuse(model([node("Cast", ["x"], ["i"], to=INT64), node("Mul", ["i", "x"], ["y"], "n")], [("x", FLOAT, [2])]), tmp_path, "'n'", "int64 and float")
    branch = helper.make_graph([node("Cast", ["x"], ["o"], to=INT32)], "b", [], [helper.make_tensor_value_info("o", INT32, None)])
    choice = node("If", ["p"], ["i"], "choice", then_branch=branch, else_branch=branch)
    refuse(model([choice, node("Mul", ["i", "x"], ["y"], "n")], [("x", FLOAT, [2]), ("p", BOOL, [])]), tmp_path, "'n'", "int32 and float")


def test_types_that_are_allowed(tmp_path):
    """Names of tools' own attributes, mixed variadic types and types the model does not say are no errors."""
    for allowed in (one("Relu", M, __tag=1), one("Max", (INT32, [2]), (INT32, [2])), one("Pow", M, (INT64, [3]))):
        file = tmp_path / "m.onnx"
        onnx.save(allowed, file)
        result = run(BIN / "onnx-to-ane", file, "-o", tmp_path / "m.anepkg", "--quiet")
        assert result.returncode == 0, result.stderr


I4 = np.int64([2**20, 2**20])
TOO_LARGE = {
    "constant": (model([helper.make_node("ConstantOfShape", ["s"], ["r"], "n"), helper.make_node("MatMul", ["x", "r"], ["y"])], [("x", FLOAT, [1, 65536])], [("s", np.int64([65536, 65536]))]), "'n'", "[65536, 65536]", "17179869184", "--max-constant-bytes"),
    "run-time value": (one("Expand", (FLOAT, [1]), np.int64([2**31 - 1, 2**31 - 1])), "'n'", "[2147483647, 2147483647]"),
    "more than can be counted": (one("Expand", (FLOAT, [1]), np.int64([2**31 - 1] * 3)), "'n'", "2147483647"),
    "extent": (one("Expand", (FLOAT, [1]), np.int64([2**40])), "'n'", "1099511627776"),
    "range": (one("Range", np.int64(0), np.int64(2**27 + 2**26), np.int64(1)), "'n'", "--max-constant-bytes"),
    "grid": (one("AffineGrid", (FLOAT, [1, 2, 3]), np.int64([1, 1, 2**20, 2**20]), opset=20), "'n'", "--max-constant-bytes"),
    "pads": (one("Pad", M, np.int64([2**31 - 1, 0, 0, 2**31 - 1])), "'n'", "2147483649"),
    "tiles": (one("Tile", M, I4 * 2**12), "'n'"),
    "no diagonal": (one("Trilu", M, np.zeros(0, np.int64), opset=14), "'n'", "one integer"),
    "negative extents": (one("Expand", M, np.int64([-5, 3])), "'n'"),
    "one-hot": (one("OneHot", (INT64, [2**16]), np.int64(2**24), np.float32([0, 1])), "'n'"),
    "window sums": (one("AveragePool", (FLOAT, [1, 3, 32, 32]), opset=22, kernel_shape=[2**26, 3], strides=[2, 2], pads=[2**26 - 1, 1, 2**26 - 1, 1], dilations=[2, 2]), "'n'"),
    "taps": (one("MaxPool", (FLOAT, [1, 3, 32, 32]), kernel_shape=[5000, 3], strides=[2, 2], pads=[4999, 1, 4999, 1], dilations=[2, 2]), "'n'", "4096"),
    "pool pads": (one("MaxPool", (FLOAT, [1, 3, 32, 32]), kernel_shape=[3, 3], strides=[2, 2], pads=[2**20, 1, 1, 1], dilations=[2, 2]), "'n'", "pads"),
    "positions": (one("MaxPool", (FLOAT, [1, 3, 32, 32]), kernel_shape=[2**31 - 1, 2**31 - 1], pads=[2**31 - 2] * 4), "'n'"),
    "no output channels": (one("Conv", X, np.zeros((0, 4, 3, 3), np.float32)), "'n'", "channels"),
}


@pytest.mark.parametrize("case", TOO_LARGE)
def test_sizes(tmp_path, case):
    large, *words = TOO_LARGE[case]
    refuse(large, tmp_path, *words)


def test_constant_limit(tmp_path):
    """The option raises and lowers what constants may take."""
    nodes = [helper.make_node("ConstantOfShape", ["s"], ["r"], "n"), helper.make_node("MatMul", ["x", "r"], ["y"])]
    fits = model(nodes, [("x", FLOAT, [1, 1024])], [("s", np.int64([1024, 1024]))])
    refuse(fits, tmp_path, "'n'", "4194304", "1000000 together", options=["--max-constant-bytes=1000000"])
    file = tmp_path / "m.onnx"
    result = run(BIN / "onnx-to-ane", file, "-o", tmp_path / "m.anepkg", "--quiet", "--max-constant-bytes=100000000")
    assert result.returncode == 0, result.stderr


def test_tensors_without_values(tmp_path):
    """What a shape says is not believed before the values are there."""
    for dims, kind in (([2**33], FLOAT), ([2**20, 2**20], INT64), ([2**40], TensorProto.INT4), ([2**31, 2**31], DOUBLE)):
        made = one("Add", (FLOAT, [2, 3]), np.float32([1]))
        del made.graph.initializer[:]
        made.graph.initializer.append(TensorProto(name="x1", data_type=kind, dims=dims))
        refuse(made, tmp_path, "'x1'")
    sparse = onnx.SparseTensorProto(dims=[2**31], values=numpy_helper.from_array(np.float32([1]), "x1"), indices=numpy_helper.from_array(np.int64([5]), "i"))
    made = one("Add", (FLOAT, [1]), np.float32([1]))
    del made.graph.initializer[:]
    made.graph.sparse_initializer.append(sparse)
    refuse(made, tmp_path, "'x1'", "--max-constant-bytes")


def nest(depth: int, trips: int) -> onnx.NodeProto:
    """Loops in loops."""
    inner = [helper.make_node("Relu", ["a"], ["o"], "leaf")] if depth == 0 else [helper.make_node("Constant", [], ["m"], value=numpy_helper.from_array(np.int64(trips))), nest(depth - 1, trips)]
    body = helper.make_graph([*inner, helper.make_node("Identity", ["c"], ["k"])], f"b{depth}", [helper.make_tensor_value_info(n, t, []) for n, t in (("i", INT64), ("c", BOOL), ("a", FLOAT))],
                             [helper.make_tensor_value_info(n, t, None) for n, t in (("k", BOOL), ("o", FLOAT))])  # fmt: skip
    return helper.make_node("Loop", ["m", "", "a" if depth < 3 else "x"], ["o" if depth < 3 else "y"], f"loop{depth}", body=body)


def test_expansion(tmp_path):
    """Loops in loops and functions of functions stay within a number of nodes."""
    refuse(model([nest(3, 1000)], [("x", FLOAT, [2, 3])], [("m", np.int64(1000))]), tmp_path, "loop", "--outputs")
    functions = []
    for i in range(25):
        calls = [helper.make_node(f"f{i + 1}", ["a"], ["b"], domain="l"), helper.make_node(f"f{i + 1}", ["b"], ["o"], domain="l")] if i < 24 else [helper.make_node("Relu", ["a"], ["o"])]
        functions.append(helper.make_function("l", f"f{i}", ["a"], ["o"], calls, [helper.make_opsetid("", 17), helper.make_opsetid("l", 1)]))
    refuse(model([helper.make_node("f0", ["x"], ["y"], "n", domain="l")], [("x", FLOAT, [2, 3])], functions=functions, domains=["l"]), tmp_path, "function", "inliner")
    doubling = [helper.make_node("Concat", [f"v{i}", f"v{i}"], [f"v{i + 1}"], f"n{i}", axis=0) for i in range(29)] + [helper.make_node("Add", ["v29", "x"], ["y"])]
    refuse(model(doubling, [("x", FLOAT, [1])], [("v0", np.float32([1]))]), tmp_path, "--max-constant-bytes")


def test_long_loops_stay_loops(tmp_path):
    """A loop of many trips and nodes is converted as a loop, soon."""
    body = [helper.make_node("Sin" if i % 2 else "Sigmoid", [f"t{i}"], [f"t{i + 1}"]) for i in range(60)]
    graph = helper.make_graph([helper.make_node("Identity", ["a"], ["t0"]), *body, helper.make_node("Identity", ["c"], ["k"])], "b", [helper.make_tensor_value_info(n, t, []) for n, t in (("i", INT64), ("c", BOOL), ("a", FLOAT))],
                              [helper.make_tensor_value_info(n, t, None) for n, t in (("k", BOOL), ("t60", FLOAT))])  # fmt: skip
    file = tmp_path / "m.onnx"
    onnx.save(model([helper.make_node("Loop", ["m", "", "x"], ["y"], "loop", body=graph)], [("x", FLOAT, [2])], [("m", np.int64(1000))]), file)
    assert run(BIN / "onnx-to-ane", file, "-o", tmp_path / "m.anepkg", "--quiet").returncode == 0


NUMBERS = {
    "no trip count": model([helper.make_node("Loop", ["m", "", "x"], ["y"], "n", body=nest(0, 1).attribute[0].g)], [("x", FLOAT, [2, 3])], [("m", np.zeros(0, np.int64))]),
    "infinite scale": one("Resize", X, None, np.float32([1, 1, np.inf, np.nan])),
    "infinite range": one("Range", np.float32(-np.inf), np.float32(np.inf), np.float32(1)),
    "empty range": one("Range", np.zeros(0, np.int64), np.int64(4), np.int64(1)),
    "index of a constant": one("Gather", np.float32([1, 2, 3]), np.int64([7]), axis=0),
    "rows of a constant": one("ScatterND", np.zeros((4, 2), np.float32), np.int64([[9]]), np.ones((1, 2), np.float32)),
    "elements of a constant": one("GatherElements", np.zeros((2, 2), np.float32), np.int64([[0, 5], [0, 0]]), axis=1),
    "no key heads": one("Attention", (FLOAT, [2, 3, 4, 8]), (FLOAT, [2, 0, 6, 8]), (FLOAT, [2, 0, 6, 8]), opset=23),
    "longer than its data": one("GatherElements", (FLOAT, [2, 5]), (INT64, [3, 5]), axis=1),
    # The limits of 64 bits, to which nothing can be added.
    "column of a gram": one("TfIdfVectorizer", (INT64, [12]), max_gram_length=1, max_skip_count=0, min_gram_length=1, mode="TF", ngram_counts=[0], ngram_indexes=[0, 2**63 - 1], pool_int64s=[2, 3]),
    "pads of a window": one("Conv", X, W, pads=[1, -(2**63), 1, 1]),
    "pads": one("Pad", M, np.int64([0, -(2**63), 0, 0])),
    "window of keys": one("Attention", *[(FLOAT, [2, 3, 4, 8])] * 3, None, None, None, (INT64, [2]), opset=25, is_causal=1, left_window_size=2**63 - 1),
    "smallest of nothing": one("ReduceMin", (INT64, [2, 0]), np.int64([1]), opset=20),
}


@pytest.mark.parametrize("case", NUMBERS)
def test_numbers(tmp_path, case):
    refuse(NUMBERS[case], tmp_path, "'n'")


def test_far_stride(tmp_path):
    """A stride beyond the input means one place, whatever it is."""
    x, w = np.random.default_rng(1).standard_normal((1, 4, 8, 8), np.float32), np.random.default_rng(2).standard_normal((4, 4, 1, 1)).astype(np.float32)
    results = []
    for stride in (8, 2**31 - 1):
        onnx.save(one("Conv", X, w, strides=[1, stride]), tmp_path / "m.onnx")
        assert run(BIN / "onnx-to-ane", tmp_path / "m.onnx", "-o", tmp_path / f"{stride}.anepkg", "--quiet").returncode == 0
        np.save(tmp_path / "x.npy", x)
        assert run(BIN / "ane-run", tmp_path / f"{stride}.anepkg", "--input", f"x0={tmp_path / 'x.npy'}", "--output-dir", tmp_path / "out", "--quiet").returncode == 0
        results.append(np.load(tmp_path / "out" / "output_0.npy"))
    assert results[0].shape == (1, 4, 8, 1) and np.allclose(results[0], results[1], atol=1e-2)


def test_options(tmp_path):
    """Options that would have no effect, or have two values, are refused."""
    made = model([helper.make_node("Relu", ["x"], ["y"], "n")], [("x", FLOAT, ["batch", 4])])
    refuse(made, tmp_path, "'bacth'", "did you mean 'batch'", options=["--dim=bacth=2,batch=1"])
    refuse(made, tmp_path, "'tokens'", "batch", options=["--dim=tokens=2,batch=1"])
    convert = [BIN / "onnx-to-ane", tmp_path / "m.onnx", "-o", tmp_path / "m.anepkg"]
    for options, words in ((["--dim=batch=1", "--dim=batch=2"], ["'batch' twice", "batch=1,2"]), (["--input-shape=x=1,4", "--input-shape=x=2,4"], ["'x' twice"]), (["--dim=batch=1", "--report=x.txt"], [".json", ".html"])):
        result = run(*convert, *options)
        assert result.returncode == 2 and all(word in result.stderr for word in words), result.stderr
    assert run(*convert, "--dim=batch=1", "--dim=batch=1", "--quiet").returncode == 0


def test_deep_json(tmp_path):
    """Text nested without end is refused wherever JSON is read."""
    onnx.save(one("Relu", M), tmp_path / "m.onnx")
    deep = tmp_path / "deep.json"
    for text in ("[" * 100_000, '{"a":' * 100_000, '{"a":[' * 1000):
        deep.write_text(text)
        result = run(BIN / "onnx-to-ane", tmp_path / "m.onnx", "-o", tmp_path / "m.anepkg", "--quiet", f"--placement={deep}")
        assert result.returncode == 1 and "deep" in result.stderr, result.stderr[-500:]
    assert run(BIN / "onnx-to-ane", tmp_path / "m.onnx", "-o", tmp_path / "m.mlpackage", "--quiet").returncode == 0
    (tmp_path / "m.mlpackage" / "Manifest.json").write_text("[" * 100_000)
    result = run(BIN / "ane-run", tmp_path / "m.mlpackage", "--random-inputs=1")
    assert result.returncode == 1 and "error" in result.stderr, result.stderr[-500:]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundle")
    onnx.save(model([helper.make_node("Relu", ["x"], ["y"], "n")], [("x", FLOAT, [4])]), folder / "m.onnx")
    assert run(BIN / "onnx-to-ane", folder / "m.onnx", "-o", folder / "m.anepkg", "--quiet").returncode == 0
    return folder / "m.anepkg"


def test_arrays(tmp_path, bundle):
    """What becomes of an array of another dtype is said, what would lose values is refused; NaN is said."""
    file = tmp_path / "x.npy"
    for array, code, words in (
        (np.float32([1, 2, 3, 4]), 0, []), (np.float64([1, 2, 3, 4]), 0, ["fp64", "fp32"]), (np.uint8([1, 2, 3, 4]), 0, ["uint8", "fp32"]),
        (np.int32([1, 2, 3, 2**24 + 1]), 1, ["int32", "exactly"]), (np.float32([1, np.nan, 3, 4]), 0, ["NaN", "1 of 4"]),
    ):  # fmt: skip
        np.save(file, array)
        result = run(BIN / "ane-run", bundle, "--input", f"x={file}")
        assert result.returncode == code and all(word in result.stderr for word in words), result.stderr
        assert bool(words) == bool(result.stderr), result.stderr
    np.save(tmp_path / "z.npy", np.zeros(4, np.float32))
    result = run(BIN / "ane-run", bundle, "--input", f"x={file}", "--input", f"x={tmp_path / 'z.npy'}")
    assert result.returncode == 2 and "twice" in result.stderr


def test_array_headers(tmp_path, bundle):
    """Headers that say more than the file has."""
    def header(text: str, version: int = 1, length: int | None = None) -> bytes:
        data = text.encode()
        size = len(data) if length is None else length
        return b"\x93NUMPY" + bytes([version, 0]) + size.to_bytes(2 if version == 1 else 4, "little") + data

    file = tmp_path / "x.npy"
    shape = "{'descr': '<f4', 'fortran_order': False, 'shape': (%s), }\n"
    for data in (header(shape % "2147483647, 100,"), header(shape % "4294967296, 4294967296,"), header(shape % "2147483647, 2147483647, 2147483647,"), header(shape % "4,", 2, 2**32 - 1), header(shape % "4,", 1, 65535), b"\x93NUMPY", b"", header(shape % "-4,")):
        file.write_bytes(data)
        result = run(BIN / "ane-run", bundle, "--input", f"x={file}")
        assert result.returncode == 1 and "x.npy" in result.stderr, result.stderr[-500:]


def test_too_many_inputs(tmp_path, bundle):
    for i in range(2):
        np.save(tmp_path / f"input_{i}.npy", np.zeros(4, np.float32))
    result = run(BIN / "ane-run", bundle, "--test-data", tmp_path)
    assert result.returncode == 0 and "input_1 is not used" in result.stderr, result.stderr


FAULTS = SHARED / "cases" / "faults"


CASES = {
    "affinegrid_bomb": "--max-constant-bytes", "concat_doubling": "--max-constant-bytes", "constantofshape_bomb": "--max-constant-bytes", "conv_no_output_channels": "channels",
    "dequantize_block_size": "'block_size'", "expand_2p62": "2147483647", "function_bomb": "function", "gather_float_indices": "'indices'", "gatherelements_null": "GatherElements",
    "if_float_condition": "'cond'", "loop_bomb": "Loop: runs", "loop_empty_trip": "Loop", "loop_fewer_outputs": "Loop", "pad_2p31": "Pad", "range_mixed_types": "one element type",
    "sparse_2p31": "--max-constant-bytes", "tensor_without_data": "'w'",
}  # fmt: skip


@pytest.mark.parametrize("form", ["anepkg", "mlpackage", "mil"])
@pytest.mark.parametrize("case", CASES)
def test_cases(tmp_path, case, form):
    if not FAULTS.exists():
        pytest.skip("no shared cases beside the project")
    refuse(FAULTS / case / "model.onnx", tmp_path, CASES[case], form=form)


@pytest.mark.parametrize("case", ["conv_stride_dnnl", "slice_start", "name_collision"])
def test_cases_that_convert(tmp_path, case):
    """What is no error gives an artifact that runs."""
    if not FAULTS.exists():
        pytest.skip("no shared cases beside the project")
    result = run(BIN / "onnx-to-ane", FAULTS / case / "model.onnx", "-o", tmp_path / "m.anepkg", "--quiet")
    assert result.returncode == 0, result.stderr
    result = run(BIN / "ane-run", tmp_path / "m.anepkg", "--random-inputs=1")
    assert result.returncode == 0, result.stderr
