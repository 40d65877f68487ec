"""Quantities in units of their own: results that are large, tiny or vary little about a large number; differences of what is measured."""

from __future__ import annotations

import subprocess

import numpy as np
import onnx
import pytest
from conftest import reference
from onnx import TensorProto, helper, numpy_helper
from test_tabular import model, node

import ane_mlir

RNG = np.random.default_rng(0)
KINDS = pytest.mark.parametrize("kind", ["anepkg", "mlpackage"])


@pytest.fixture(autouse=True)
def seeded():
    global RNG  # the same numbers in whatever order tests run
    RNG = np.random.default_rng(0)


def of_range(path, feeds, kind="anepkg", numerics="engine", **options) -> float:
    """The largest difference beside ONNX Runtime, as a part of what the output varies by."""
    expected = reference(path, feeds)[0].astype(np.float64)
    made = ane_mlir.Package(ane_mlir.compile(path, output=path.parent / f"m.{kind}", **options).path).run(feeds, numerics)
    got = next(iter(made.values())).reshape(expected.shape)
    assert np.array_equal(np.isfinite(got), np.isfinite(expected))
    return float(np.abs(got - expected).max() / np.ptp(expected))


def head(path, scale, offset, rows=32):
    """Layers that give numbers about 1, and their unit."""
    nodes = [node("MatMul", ["x", "w"], ["h"]), node("Tanh", ["h"], ["t"]), node("MatMul", ["t", "v"], ["o"]), node("Mul", ["o", "s"], ["m"])]
    constants = {"w": RNG.standard_normal((8, 16)) / 3, "v": RNG.standard_normal((16, 1)) / 4, "s": scale}
    last = [node("Identity", ["m"], ["y"])] if offset is None else [node("Add", ["m", "b"], ["y"])]
    constants |= {} if offset is None else {"b": offset}
    return model(path / "m.onnx", nodes + last, {k: np.asarray(v, np.float32) for k, v in constants.items()}, rows, 8)


@KINDS
@pytest.mark.parametrize("placement", ["auto", "host"])
@pytest.mark.parametrize(("scale", "offset"), [(80000, None), (80000, 0), (80000, 200000), (5e5, 2e6), (425, 101325), (40, 30000), (0.5, 1000), (1e-8, None), (1e-6, 3e-5)])
def test_units_of_results(tmp_path, kind, placement, scale, offset):
    """Prices of houses, pressures in Pa, years, currents in A."""
    path = head(tmp_path, scale, offset)
    options = {} if kind == "mlpackage" else {"placement": placement}
    assert of_range(path, {"x": RNG.standard_normal((32, 8)).astype(np.float32)}, kind, **options) < 0.01


@KINDS
def test_units_of_a_bias(tmp_path, kind):
    """The offset of the last layer is its bias."""
    constants = {"w": RNG.standard_normal((8, 16)) / 3, "v": RNG.standard_normal((16, 2)) * 10, "b": [101325, 30000]}
    nodes = [node("MatMul", ["x", "w"], ["h"]), node("Tanh", ["h"], ["t"]), node("Gemm", ["t", "v", "b"], ["z"]), node("Slice", ["z", "from", "to", "axis"], ["y"])]
    constants = {k: np.asarray(v, np.float32) for k, v in constants.items()} | {"from": np.array([0]), "to": np.array([1]), "axis": np.array([1])}
    assert of_range(model(tmp_path / "m.onnx", nodes, constants, 32, 8), {"x": RNG.standard_normal((32, 8)).astype(np.float32)}, kind) < 0.005


@KINDS
def test_units_of_inputs(tmp_path, kind):
    """Nanofarads: what divides inputs says how large they are."""
    nodes = [node("Div", ["x", "u"], ["n"]), node("MatMul", ["n", "w"], ["h"]), node("Tanh", ["h"], ["t"]), node("Mul", ["t", "u"], ["y"])]
    path = model(tmp_path / "m.onnx", nodes, {"u": np.array(1e-9, np.float32), "w": (RNG.standard_normal((8, 4)) / 3).astype(np.float32)}, 32, 8)
    assert of_range(path, {"x": (1e-9 * RNG.standard_normal((32, 8))).astype(np.float32)}, kind) < 0.005


@KINDS
def test_softmax_by_hand(tmp_path, kind):
    """exp(z) / sum(exp(z)) of logits that exp of fp16 has not."""
    nodes = [node("MatMul", ["x", "w"], ["z"]), node("Exp", ["z"], ["e"]), node("ReduceSum", ["e", "axes"], ["s"], keepdims=1), node("Div", ["e", "s"], ["y"])]
    path = model(tmp_path / "m.onnx", nodes, {"w": (4 * RNG.standard_normal((8, 5))).astype(np.float32), "axes": np.array([-1])}, 32, 8)
    x = RNG.standard_normal((32, 8)).astype(np.float32)
    assert np.abs(x @ numpy_helper.to_array(onnx.load(path).graph.initializer[0])).max() > 20
    assert of_range(path, {"x": x}, kind) < 0.005


@KINDS
def test_what_is_left_of_one(tmp_path, kind):
    """1 - p where p is nearly 1: of a sigmoid, and of a table of a diffusion's steps."""
    one = np.array(1, np.float32)
    path = model(tmp_path / "m.onnx", [node("MatMul", ["x", "w"], ["z"]), node("Sigmoid", ["z"], ["p"]), node("Sub", ["one", "p"], ["q"]), node("Log", ["q"], ["y"])], {"w": RNG.standard_normal((8, 4)).astype(np.float32), "one": one}, 32, 8)
    assert of_range(path, {"x": RNG.standard_normal((32, 8)).astype(np.float32)}, kind) < 0.01
    table = np.cumprod(1 - np.linspace(1e-4, 0.02, 200)).astype(np.float32)
    nodes = [node("Gather", ["a", "t"], ["g"]), node("Unsqueeze", ["g", "axes"], ["r"]), node("Sub", ["one", "r"], ["q"]), node("Sqrt", ["q"], ["s"]), node("Div", ["x", "s"], ["y"])]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(nodes, "g", [value("x", TensorProto.FLOAT, [6, 8]), value("t", TensorProto.INT64, [6])], [value("y", TensorProto.FLOAT, None)], [numpy_helper.from_array(v, k) for k, v in {"a": table, "axes": np.array([1]), "one": one}.items()])
    path = tmp_path / "t.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    assert of_range(path, {"x": RNG.standard_normal((6, 8)).astype(np.float32), "t": np.array([0, 1, 3, 10, 100, 199])}, kind) < 0.005


def part(x, name, begin, end, axis=1):
    """A Slice, and the constants that it takes."""
    return node("Slice", [x, f"{name}b", f"{name}e", f"{name}a"], [name]), {f"{name}b": np.array([begin]), f"{name}e": np.array([end]), f"{name}a": np.array([axis])}


@KINDS
@pytest.mark.parametrize("form", ["steps", "returns", "pairs", "areas", "lengths"])
def test_parts_of_inputs(tmp_path, kind, form):
    """Steps of prices about 30,000, returns, gaps between times, areas of boxes in pixels, lengths of vectors of int16."""
    x, constants, nodes = (30000 + RNG.standard_normal((4, 16)) * 20).astype(np.float32), {}, []

    def take(name, begin, end):
        made, given = part("x", name, begin, end)
        nodes.append(made)
        constants.update(given)
        return name

    if form in ("steps", "returns"):
        later, sooner = take("l", 1, 16), take("s", 0, 15)
        nodes.append(node("Sub", [later, sooner], ["y"]) if form == "steps" else node("Div", [later, sooner], ["q"]))
        if form == "returns":
            nodes.append(node("Sub", ["q", "one"], ["y"]))
            constants["one"] = np.array(1, np.float32)
    elif form == "pairs":
        x = np.sort(20000 + 50 * RNG.random((4, 16)), axis=1).astype(np.float32)
        constants |= {"first": np.array([1]), "last": np.array([2]), "tenth": np.array(0.1, np.float32)}
        nodes += [node("Unsqueeze", ["x", "first"], ["r"]), node("Unsqueeze", ["x", "last"], ["c"]), node("Sub", ["r", "c"], ["d"]), node("Abs", ["d"], ["a"]), node("Neg", ["a"], ["n"]), node("Mul", ["n", "tenth"], ["m"]), node("Exp", ["m"], ["y"])]
    elif form == "areas":
        low = RNG.uniform(0, 500, (16, 2))
        x = np.concatenate([low, low + RNG.uniform(300, 800, (16, 2))], axis=1).astype(np.float32)
        a, b, c, d = (take(n, i, i + 1) for i, n in enumerate("abcd"))
        nodes += [node("Sub", [c, a], ["w"]), node("Sub", [d, b], ["h"]), node("Mul", ["w", "h"], ["area"]), node("Add", ["area", "area"], ["both"]), node("Div", ["area", "k"], ["y"])]
        constants["k"] = np.array(1e6, np.float32)
    else:
        x = RNG.integers(-3000, 3000, (16, 3)).astype(np.float32)
        for name in "abc":
            take(name, "abc".index(name), "abc".index(name) + 1)
            nodes.append(node("Mul", [name, name], [name + "2"]))
        nodes += [node("Add", ["a2", "b2"], ["two"]), node("Add", ["two", "c2"], ["three"]), node("Sqrt", ["three"], ["y"])]
    path = model(tmp_path / "m.onnx", nodes, constants, *x.shape)
    assert of_range(path, {"x": x}, kind) < 0.005


def while_loop(path, trips):
    """y doubles while its square sum is below 100, as torch.jit.script writes it."""
    body = helper.make_graph(
        [node("Add", ["v", "v"], ["w"]), node("Mul", ["w", "w"], ["q"]), node("ReduceSum", ["q"], ["s"], keepdims=0), node("Less", ["s", "limit"], ["on"])],
        "body", [helper.make_tensor_value_info(n, t, s) for n, t, s in (("i", TensorProto.INT64, []), ("c", TensorProto.BOOL, []), ("v", TensorProto.FLOAT, [4]))],
        [helper.make_tensor_value_info("on", TensorProto.BOOL, []), helper.make_tensor_value_info("w", TensorProto.FLOAT, [4])])  # fmt: skip
    graph = helper.make_graph(
        [node("Loop", ["m" if trips is not None else "", "yes", "x"], ["y"], body=body)], "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [4])], [helper.make_tensor_value_info("y", TensorProto.FLOAT, [4])],
        [numpy_helper.from_array(v, k) for k, v in {"yes": np.array(True), "limit": np.array(100, np.float32)}.items()] + ([numpy_helper.from_array(np.array(trips), "m")] if trips is not None else []))  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


@pytest.mark.parametrize("trips", [None, np.iinfo(np.int64).max, 1000, 3])
def test_while(tmp_path, trips):
    """Exporters write `while` with a trip count that is no limit."""
    path = while_loop(tmp_path / "m.onnx", trips)
    for scale in (1, 0.01, 50):
        assert of_range(path, {"x": np.array([1, 2, 3, 4.5], np.float32) * scale}) < 0.005


def test_a_while_that_no_guess_ends(tmp_path):
    """All zeros never reach the limit: the check gives up and says so."""
    path = while_loop(tmp_path / "m.onnx", None)
    proto = onnx.load(path)
    proto.graph.node.insert(0, node("Mul", ["x", "zero"], ["none"]))
    proto.graph.node[1].input[2] = "none"
    proto.graph.initializer.append(numpy_helper.from_array(np.array(0, np.float32), "zero"))
    onnx.save(proto, path)
    done = subprocess.run([ane_mlir.find_tool("onnx-to-ane"), path, "-o", tmp_path / "m.anepkg"], capture_output=True, text=True, check=True)
    assert "does not end within" in done.stdout + done.stderr


def test_states_that_are_listed_first(tmp_path):
    """The check of a package compares a state with the output that it becomes."""
    nodes = [node("Add", ["x", "past"], ["present"]), node("Mul", ["present", "x"], ["y"])]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(nodes, "g", [value("x", TensorProto.FLOAT, [1, 4]), value("past", TensorProto.FLOAT, [1, 4])], [value("present", TensorProto.FLOAT, [1, 4]), value("y", TensorProto.FLOAT, [1, 4])])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "m.onnx")
    for output in ("m.mlpackage", "m.anepkg"):
        subprocess.run([ane_mlir.find_tool("onnx-to-ane"), tmp_path / "m.onnx", "-o", tmp_path / output, "--state=past=present", "--min-cosine=0.999"], check=True)


@KINDS
@pytest.mark.parametrize("norm", ["sum", "l1", "l2", "softmax"])
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("keep", [0, 1])
def test_shares_of_sums(tmp_path, kind, norm, axis, keep):
    """A square matrix by sums of its rows or columns: without their axis they are broadcast along the last one."""
    nodes, constants = [node("Abs", ["x"], ["a"])], {"axes": np.array([axis])}
    if norm == "softmax":
        nodes += [node("Exp", ["x"], ["e"]), node("ReduceSum", ["e", "axes"], ["s"], keepdims=keep), node("Div", ["e", "s"], ["y"])]
    elif norm == "sum":
        nodes += [node("ReduceSum", ["a", "axes"], ["s"], keepdims=keep), node("Div", ["a", "s"], ["y"])]
    else:
        nodes += [node("ReduceL1" if norm == "l1" else "ReduceL2", ["x"], ["s"], axes=[axis], keepdims=keep), node("Div", ["x", "s"], ["y"])]
        del constants["axes"]
    path = model(tmp_path / "m.onnx", nodes, constants, 8, 8)
    assert of_range(path, {"x": RNG.standard_normal((8, 8)).astype(np.float32)}, kind) < 0.005


def summary(path, *options) -> str:
    return subprocess.run([ane_mlir.find_tool("onnx-to-ane"), path, "-o", path.parent / "m.anepkg", *options], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("bias", ["mask", "infinite", "grid", "small"])
def test_what_is_no_offset(tmp_path, bias):
    """Masks of classes, positions of a grid, ordinary biases: the last layer stays on the engine."""
    # Few columns may have units of their own, a mask has none.
    columns = 64 if bias == "grid" else 12
    values = {"mask": np.where(np.arange(columns) % 7, 0, -1e4), "infinite": np.where(np.arange(columns) % 7, 0, -np.inf), "grid": np.arange(columns) * 10.0, "small": RNG.standard_normal(columns)}[bias]
    nodes = [node("MatMul", ["x", "w"], ["h"]), node("Relu", ["h"], ["r"]), node("Gemm", ["r", "v", "b"], ["y"])]
    path = model(tmp_path / "m.onnx", nodes, {"w": (RNG.standard_normal((8, 32)) / 3).astype(np.float32), "v": (RNG.standard_normal((32, columns)) / 6).astype(np.float32), "b": values.astype(np.float32)}, 16, 8)
    assert "ops on the engine, 0 on the host" in summary(path)


def test_recurrent_layers_ask_for_no_newer_system(tmp_path):
    """An argument that ios18 brought is left out where it has its default."""
    weights = {"w": RNG.standard_normal((1, 24, 4)) / 3, "r": RNG.standard_normal((1, 24, 8)) / 3}
    graph = helper.make_graph([node("GRU", ["x", "w", "r"], ["y"], hidden_size=8)], "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [6, 1, 4])], [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)], [numpy_helper.from_array(v.astype(np.float32), k) for k, v in weights.items()])
    path = tmp_path / "m.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    assert of_range(path, {"x": RNG.standard_normal((6, 1, 4)).astype(np.float32)}, "mlpackage", options=["--opset=ios17"]) < 0.005


@KINDS
@pytest.mark.parametrize("folded", [False, True])
def test_columns_with_units_of_their_own(tmp_path, kind, folded):
    """A geopotential, a pressure in Pa, a temperature in K: each column by what it varies by."""
    scales, means = np.array([5000, 425, 10], np.float32), np.array([50000, 101325, 288], np.float32)
    constants = {"w": RNG.standard_normal((8, 16)) / 3, "v": RNG.standard_normal((16, 3)) / 4, "s": scales, "b": means}
    nodes = [node("MatMul", ["x", "w"], ["h"]), node("Tanh", ["h"], ["t"])]
    if folded:
        constants["v"] = constants["v"] * constants.pop("s")
        nodes.append(node("Gemm", ["t", "v", "b"], ["y"]))
    else:
        nodes += [node("MatMul", ["t", "v"], ["o"]), node("Mul", ["o", "s"], ["m"]), node("Add", ["m", "b"], ["y"])]
    path = model(tmp_path / "m.onnx", nodes, {k: np.asarray(v, np.float32) for k, v in constants.items()}, 32, 8)
    x = RNG.standard_normal((32, 8)).astype(np.float32)
    expected = reference(path, {"x": x})[0].astype(np.float64)
    got = next(iter(ane_mlir.Package(ane_mlir.compile(path, output=tmp_path / f"m.{kind}").path).run({"x": x}, "engine").values()))
    assert (np.abs(got - expected).max(axis=0) / np.ptp(expected, axis=0)).max() < 0.01


@KINDS
def test_polynomials(tmp_path, kind):
    """Horner's rule with coefficients that are zeros in fp16: a calibration of counts, a thermocouple in µV."""
    coefficients, nodes, x = [1.2e-13, -3.1e-9, 2.4e-5, 0.077, -3.5], [], np.linspace(0, 2000, 64, dtype=np.float32).reshape(1, -1)
    last = "c0"
    for i in range(1, len(coefficients)):
        nodes += [node("Mul", [last, "x"], [f"m{i}"]), node("Add", [f"m{i}", f"c{i}"], [f"a{i}" if i < len(coefficients) - 1 else "y"])]
        last = f"a{i}"
    path = model(tmp_path / "m.onnx", nodes, {f"c{i}": np.array(c, np.float32) for i, c in enumerate(coefficients)}, *x.shape)
    assert of_range(path, {"x": x}, kind) < 0.005


@KINDS
@pytest.mark.parametrize("form", ["altitude", "rate", "forecast"])
def test_what_a_unit_shows(tmp_path, kind, form):
    """44330 (1 - (p / 1013.25)^0.19), 1e13 exp(-E / RT), a forecast as the last price and what a layer says of the next."""
    constants = {"one": 1, "scale": 44330, "p0": 1013.25, "e": 0.19, "a": 1e13, "er": -9622}
    if form == "altitude":
        x = np.linspace(1005, 1013, 32).reshape(-1, 1)
        nodes = [node("Div", ["x", "p0"], ["r"]), node("Pow", ["r", "e"], ["q"]), node("Sub", ["one", "q"], ["d"]), node("Mul", ["d", "scale"], ["y"])]
    elif form == "rate":
        x = np.linspace(500, 600, 32).reshape(-1, 1)
        nodes = [node("Div", ["er", "x"], ["q"]), node("Exp", ["q"], ["k"]), node("Mul", ["k", "a"], ["y"])]
    else:
        x = 5000 + np.cumsum(RNG.standard_normal((4, 16)), axis=1)
        made, given = part("x", "l", 15, 16)
        constants |= given | {"w": RNG.standard_normal((16, 4)) / 8}
        nodes = [made, node("Sub", ["x", "l"], ["d"]), node("MatMul", ["d", "w"], ["h"]), node("Add", ["h", "l"], ["y"])]
    used = {name for n in nodes for name in n.input}
    path = model(tmp_path / "m.onnx", nodes, {k: v if isinstance(v, np.ndarray) and v.dtype == np.int64 else np.asarray(v, np.float32) for k, v in constants.items() if k in used}, *x.shape)
    assert of_range(path, {"x": x.astype(np.float32)}, kind) < 0.01
