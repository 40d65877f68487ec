"""Models of tables: what decides between neighbours, columns of very different sizes, numbers that are missing."""

from __future__ import annotations

import pathlib
import subprocess

import numpy as np
import onnx
import pytest
from conftest import reference
from onnx import TensorProto, helper, numpy_helper

import ane_mlir

node = helper.make_node


def model(path: pathlib.Path, nodes: list, constants: dict, rows: int, columns: int, outputs: tuple = ("y",), kind: int = TensorProto.FLOAT) -> pathlib.Path:
    value = helper.make_tensor_value_info
    graph = helper.make_graph(nodes, "g", [value("x", TensorProto.FLOAT, [rows, columns])], [value(name, kind, None) for name in outputs], [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)], ir_version=8), path)
    return path


def worst(path: pathlib.Path, x: np.ndarray, numerics: str = "engine", kind: str = "anepkg", **options) -> float:
    """The largest difference beside ONNX Runtime, as a part of the largest magnitude."""
    expected = reference(path, {"x": x})[0]
    made = ane_mlir.Package(ane_mlir.compile(path, output=path.parent / f"m.{kind}", **options).path).run({"x": x}, numerics)
    got = next(iter(made.values()))
    assert np.array_equal(np.isfinite(got), np.isfinite(expected))
    finite = np.isfinite(expected)
    return float(np.abs(np.where(finite, got - expected, 0)).max() / max(np.abs(expected[finite]).max(initial=0), 1e-30))


@pytest.mark.parametrize("kind", ["anepkg", "mlpackage"])
@pytest.mark.parametrize(
    ("op", "limits", "x"),
    [("LessOrEqual", [-1e-35, 0.5], [0, 0]), ("LessOrEqual", [-1e-35], [0, 1]), ("Greater", [-1e-8, 0.5], [0, 0]), ("LessOrEqual", [2021.5, 1], [2022, 2022]), ("LessOrEqual", [2021.5], [2022, 2021]),
     ("Less", [2048.5, 7], [2049, 7]), ("GreaterOrEqual", [1e-8, 2.5], [0, 2]), ("Less", [0.1, 0.3], [0.1, 0.3])],
)  # fmt: skip
def test_limits(tmp_path, kind, op, limits, x):
    """fp16 rounds a limit; which side of it an input is on does not change by that."""
    x = np.array([x], np.float32)
    for negated in (False, True):  # the limit on the other side, too
        arguments = ["c", "x"] if negated else ["x", "c"]
        path = model(tmp_path / "m.onnx", [node(op, arguments, ["b"]), node("Cast", ["b"], ["y"], to=1)], {"c": np.array(limits, np.float32)}, 1, x.size)
        assert worst(path, x, kind=kind) == 0


def test_limits_of_what_is_computed(tmp_path):
    """A limit beside a whole number stays on its side of it where the engine compares: activations that come out whole."""
    x = np.arange(-64, 64, dtype=np.float32).reshape(1, -1)
    for op in ("Less", "LessOrEqual", "Greater", "GreaterOrEqual"):
        for limit in (3.0001, 2.9999, 1e-9, -1e-9, 41.001):
            nodes = [node("MatMul", ["x", "w"], ["h"]), node(op, ["h", "c"], ["b"]), node("Cast", ["b"], ["y"], to=1)]
            path = model(tmp_path / "m.onnx", nodes, {"c": np.array(limit, np.float32), "w": np.eye(128, dtype=np.float32)[::-1].copy()}, *x.shape)
            assert worst(path, x) == 0, (op, limit)


@pytest.mark.parametrize("kind", ["anepkg", "mlpackage"])
def test_missing_numbers(tmp_path, kind):
    """The engine takes NaN for a large number: what asks for it asks on the host, and puts another in its place there."""
    x = np.random.default_rng(0).standard_normal((8, 16)).astype(np.float32)
    x[::2, 3] = x[1, 5] = np.nan
    w = np.random.default_rng(1).standard_normal((16, 4)).astype(np.float32)
    for nodes in ([node("IsNaN", ["x"], ["b"]), node("Where", ["b", "z", "x"], ["f"])], [node("Equal", ["x", "x"], ["b"]), node("Where", ["b", "x", "z"], ["f"])],
                  [node("Imputer", ["x"], ["f"], domain="ai.onnx.ml", imputed_value_floats=[0.5] * 16, replaced_value_float=float("nan"))]):  # fmt: skip
        constants = {"z": np.zeros(1, np.float32), "w": w, "two": np.full((1, 16), 2, np.float32)}
        assert worst(model(tmp_path / "m.onnx", [*nodes, node("MatMul", ["f", "w"], ["y"])], constants, 8, 16), x, kind=kind) < 5e-3
        # Behind a scaler, too.
        behind = [helper.make_node(n.op_type, ["s" if i == "x" else i for i in n.input], n.output, domain=n.domain) for n in nodes]
        for old, new in zip(nodes, behind):
            new.attribute.extend(old.attribute)
        assert worst(model(tmp_path / "m.onnx", [node("Div", ["x", "two"], ["s"]), *behind, node("MatMul", ["f", "w"], ["y"])], constants, 8, 16), x, kind=kind) < 5e-3


def tree(splits: list, leaves: list, features: list, trees: int = 1, x: str = "x") -> onnx.NodeProto:
    """Stumps: one split each, two leaves."""
    fields: dict[str, list] = {"nodes_treeids": [], "nodes_nodeids": [], "nodes_featureids": [], "nodes_values": [], "nodes_modes": [], "nodes_truenodeids": [], "nodes_falsenodeids": [], "target_treeids": [], "target_nodeids": [], "target_ids": [], "target_weights": []}
    for t in range(trees):
        fields["nodes_treeids"] += [t] * 3
        fields["nodes_nodeids"] += [0, 1, 2]
        fields["nodes_featureids"] += [features[t % len(features)], 0, 0]
        fields["nodes_values"] += [splits[t % len(splits)], 0.0, 0.0]
        fields["nodes_modes"] += ["BRANCH_LEQ", "LEAF", "LEAF"]
        fields["nodes_truenodeids"] += [1, 0, 0]
        fields["nodes_falsenodeids"] += [2, 0, 0]
        fields["target_treeids"] += [t, t]
        fields["target_nodeids"] += [1, 2]
        fields["target_ids"] += [0, 0]
        fields["target_weights"] += leaves
    return node("TreeEnsembleRegressor", [x], ["y"], "tree", domain="ai.onnx.ml", n_targets=1, **fields)


@pytest.mark.parametrize("numerics", ["fp16", "engine"])
def test_trees(tmp_path, numerics):
    """Splits between years, at zero and beyond 2,048; sums of leaves beyond fp16 that no guess comes to."""
    x = np.stack([np.arange(2015, 2047), np.tile([0, -1, 1, 0], 8), np.arange(2040, 2072)], axis=1).astype(np.float32)
    assert worst(model(tmp_path / "m.onnx", [tree([2021.5, -1e-35, 2048.5, 1e-35], [1.0, 2.0], [0, 1, 2, 1], 12)], {}, 32, 3), x, numerics) < 1e-3
    assert worst(model(tmp_path / "m.onnx", [tree([2021.5], [-10.0, 40000.0], [0], 20)], {}, 32, 3), x, numerics) < 1e-3
    # Behind a scaler, which brings years closer to each other than steps of fp16.
    scaler = node("Scaler", ["x"], ["s"], domain="ai.onnx.ml", offset=[0.0, 0.0, 0.0], scale=[1 / 2000, 1.0, 1 / 2000])
    assert worst(model(tmp_path / "m.onnx", [scaler, tree([2021.5 / 2000, 0.5, 2048.5 / 2000], [1.0, 2.0], [0, 1, 2], 12, "s")], {}, 32, 3), x, numerics) < 1e-3


@pytest.mark.parametrize("begin", ["sub", "scaler", "batchnorm", "add"])
def test_columns_that_are_standardised(tmp_path, begin):
    """Coordinates: what is left of them behind the mean is below fp16's steps. The guesses are about what the model subtracts."""
    mean, spread = np.array([37.77, -122.42], np.float32), np.array([0.05, 0.04], np.float32)
    x = (mean + spread * np.random.default_rng(0).standard_normal((32, 2))).astype(np.float32)
    first = {"sub": [node("Sub", ["x", "m"], ["a"]), node("Div", ["a", "s"], ["b"])], "add": [node("Add", ["x", "n"], ["a"]), node("Mul", ["a", "i"], ["b"])],
             "scaler": [node("Scaler", ["x"], ["b"], domain="ai.onnx.ml", offset=[float(m) for m in mean], scale=[float(1 / s) for s in spread])],
             "batchnorm": [node("BatchNormalization", ["x", "g", "z", "m", "v"], ["b"])]}[begin]  # fmt: skip
    constants = {"m": mean, "n": -mean, "s": spread, "i": 1 / spread, "v": spread**2, "g": np.ones(2, np.float32), "z": np.zeros(2, np.float32), "w": np.array([[0.8, -0.5], [0.3, 0.9]], np.float32)}
    path = model(tmp_path / "m.onnx", [*first, node("MatMul", ["b", "w"], ["y"])], constants, 32, 2)
    assert worst(path, x) < 5e-3


@pytest.mark.parametrize(("mean", "spread"), [(2000, 1), (-3e4, 5), (1.7e9, 1e6), (-1.2e5, 100), (0, 1e5)])
@pytest.mark.parametrize("form", ["sub", "add", "div", "batchnorm"])
def test_columns_alike(tmp_path, mean, spread, form):
    """Years, seconds since 1970, incomes: one number is subtracted from all columns, or divides them."""
    x = (mean + spread * np.random.default_rng(0).standard_normal((32, 3))).astype(np.float32)
    first = {"sub": [node("Sub", ["x", "m"], ["a"]), node("Div", ["a", "s"], ["b"])], "add": [node("Add", ["x", "n"], ["a"]), node("Mul", ["a", "i"], ["b"])], "div": [node("Div", ["x", "s"], ["a"]), node("Sub", ["a", "q"], ["b"])],
             "batchnorm": [node("BatchNormalization", ["x", "g", "z", "v1", "v2"], ["b"], epsilon=0.0)]}[form]  # fmt: skip
    constants = {k: np.array(v, np.float32) for k, v in {"m": mean, "n": -mean, "s": spread, "i": 1 / spread, "q": mean / spread, "g": [1] * 3, "z": [0] * 3, "v1": [mean] * 3, "v2": [float(spread) ** 2] * 3, "w": [[0.8, -0.5], [0.3, 0.9], [0.4, 0.1]]}.items()}
    assert worst(model(tmp_path / "m.onnx", [*first, node("MatMul", ["b", "w"], ["y"])], constants, 32, 3), x) < 5e-3


def test_few_numbers_that_are_none(tmp_path):
    """An output of which single numbers are infinite where others are not is told, and no reason to leave the engine."""
    rng, nodes, constants, x = np.random.default_rng(0), [], {"half": np.array(0.5, np.float32), "no": np.array(-np.inf, np.float32)}, "x"
    for i in range(4):
        constants[f"w{i}"] = (rng.standard_normal((512, 512)) / 22).astype(np.float32)
        nodes += [node("MatMul", [x, f"w{i}"], [f"h{i}"]), node("Relu", [f"h{i}"], [x := f"r{i}"])]
    nodes += [node("Greater", [x, "half"], ["b"]), node("Where", ["b", x, "no"], ["y"])]
    done = subprocess.run([ane_mlir.find_tool("onnx-to-ane"), model(tmp_path / "m.onnx", nodes, constants, 128, 512), "-o", tmp_path / "m.anepkg"], capture_output=True, text=True, check=True)
    assert " ops on the engine, 0 on the host" in done.stdout + done.stderr


@pytest.mark.parametrize("kind", ["anepkg", "mlpackage"])
def test_large_coefficients(tmp_path, kind):
    """A linear model of house prices: weights and bias beyond fp16, that cancel."""
    rng = np.random.default_rng(0)
    x = np.c_[rng.integers(1950, 2024, 32), rng.normal(37.77, 0.05, 32)].astype(np.float32)
    for weights, bias in (([[805.5082], [988796.0]], [-38355268.0]), ([[805.5082, 3.3], [988796.0, 1]], [-38355268.0, 7])):
        path = model(tmp_path / "m.onnx", [node("Gemm", ["x", "w", "b"], ["y"])], {"w": np.array(weights, np.float32), "b": np.array(bias, np.float32)}, 32, 2)
        assert worst(path, x, kind=kind) < 1e-3


def test_numbers_of_a_repair_are_rounded_once(tmp_path):
    """A number that a repair scales, of an op that is kept in fp32 in the end, is not one of fp16."""
    x = np.random.default_rng(0).normal(37.77, 0.05, (32, 1)).astype(np.float32)
    (tmp_path / "samples" / "a").mkdir(parents=True)
    np.save(tmp_path / "samples" / "a" / "input_0.npy", x)
    path = model(tmp_path / "m.onnx", [node("Mul", ["x", "w"], ["h"]), node("Add", ["h", "b"], ["y"])], {"w": np.array([988796.0], np.float32), "b": np.array([-37355268.0], np.float32)}, 32, 1)
    assert worst(path, x, calibration=str(tmp_path / "samples")) < 1e-5


@pytest.mark.parametrize("reader", ["scatter", "gather_nd", "behind_a_slice"])
def test_indices_are_guessed_within_range(tmp_path, reader):
    """An input that selects gets indices that there are, however it is moved before: what cannot be run is not checked."""
    value, i64 = helper.make_tensor_value_info, TensorProto.INT64
    nodes, constants = {
        "scatter": ([node("ScatterElements", ["z", "i", "u"], ["s"], axis=0, reduction="add")], {"z": np.zeros(5, np.float32)}),
        "gather_nd": ([node("Unsqueeze", ["i", "one"], ["j"]), node("GatherND", ["t", "j"], ["s"])], {"one": np.array([1]), "t": np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)}),
        "behind_a_slice": ([node("Unsqueeze", ["i", "zero"], ["e"]), node("Gather", ["e", "at"], ["row"]), node("Gather", ["t", "row"], ["s"])], {"zero": np.array([0]), "at": np.array(0), "t": np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)}),
    }[reader]  # fmt: skip
    graph = helper.make_graph([*nodes, node("Relu", ["s"], ["y"])], "g", [value("i", i64, [7])] + ([value("u", TensorProto.FLOAT, [7])] if reader == "scatter" else []), [value("y", TensorProto.FLOAT, None)], [numpy_helper.from_array(v, k) for k, v in constants.items()])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8), tmp_path / "m.onnx")
    done = subprocess.run([ane_mlir.find_tool("onnx-to-ane"), tmp_path / "m.onnx", "-o", tmp_path / "m.anepkg"], capture_output=True, text=True, check=True)
    assert "cosine 1.0000" in done.stdout + done.stderr, done.stderr


def test_an_input_beyond_fp16_is_said(tmp_path):
    path = model(tmp_path / "m.onnx", [node("Mul", ["x", "c"], ["a"]), node("Softmax", ["a"], ["y"])], {"c": np.array(1e-5, np.float32)}, 1, 4)
    bundle = ane_mlir.compile(path, output=tmp_path / "m.anepkg")
    for x, said in (([70000, 80000, 120000, 1000], True), ([60000, 1, 2, 3], False)):
        np.save(tmp_path / "x.npy", np.array([x], np.float32))
        done = subprocess.run([ane_mlir.find_tool("ane-run"), bundle.path, "--input", f"x={tmp_path / 'x.npy'}"], capture_output=True, text=True, check=True)
        assert ("note: input 'x' holds numbers beyond fp16 in 3 of 4 elements" in done.stderr) == said, done.stderr


@pytest.mark.parametrize("deviation", [1e-2, 1e-4, 1e-5, 1e-6])
@pytest.mark.parametrize("form", ["int8", "int4,per=block:32", "lut8"])
def test_small_weights(tmp_path, form, deviation):
    """Scales are numbers of fp16: weights that they cannot step through stay fp16, and that is said."""
    w = (np.random.default_rng(0).standard_normal((128, 128)) * deviation).astype(np.float32)
    x = np.random.default_rng(1).standard_normal((16, 128)).astype(np.float32)
    path = model(tmp_path / "m.onnx", [node("MatMul", ["x", "w"], ["y"])], {"w": w}, 16, 128)
    made = ane_mlir.compile(path, output=tmp_path / "m.mlpackage", options=[f"--weights={form}"])
    got, expected = made.run({"x": x})["y"], reference(path, {"x": x})[0]
    least = {"int8": 0.9997, "lut8": 0.9997}.get(form, 0.98)
    assert float((got * expected).sum() / np.sqrt(np.square(got, dtype=np.float64).sum() * np.square(expected, dtype=np.float64).sum())) > least
    assert any("too small for scales of fp16" in d.message for d in made.diagnostics) == (form != "lut8" and deviation < (1e-3 if form == "int8" else 5e-5))
