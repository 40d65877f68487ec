"""ane-repair-fp16: models that fp16 or the engine's accumulator spoils, with the pass and without."""

from __future__ import annotations

import json
import subprocess

import numpy as np
import onnx
import pytest
from conftest import check, cosine, reference
from onnx import TensorProto, helper, numpy_helper

import ane_mlir

TARGETS = ("h13", "h15", "h16", "h17")


def model(nodes: list, weights: dict[str, np.ndarray], inputs: dict[str, list[int]], output: str = "y") -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in inputs.items()],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)], [numpy_helper.from_array(w, n) for n, w in weights.items()])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def masked(kind: str, guarded: bool = False) -> onnx.ModelProto:
    """Attention under a causal mask of minus infinity: added as a constant, chosen by a condition, or given as an input."""
    tokens, width = 8, 16
    causal = np.triu(np.ones((1, 1, tokens, tokens), bool), 1)
    nodes = [helper.make_node("Transpose", ["k"], ["kt"], perm=[0, 1, 3, 2]), helper.make_node("MatMul", ["q", "kt"], ["scores"])]
    weights, inputs = {"minus": np.array(-np.inf, np.float32)}, {n: [1, 2, tokens, width] for n in "qkv"}
    if kind == "added":
        weights["mask"] = np.where(causal, -np.inf, 0).astype(np.float32)
        nodes.append(helper.make_node("Add", ["scores", "mask"], ["masked"]))
    elif kind == "twice":  # each alone fits fp16, together they do not
        weights["mask"] = np.where(causal, np.finfo(np.float32).min, 0).astype(np.float32)
        nodes += [helper.make_node("Add", ["scores", "mask"], ["once"]), helper.make_node("Add", ["once", "mask"], ["masked"])]
    elif kind == "chosen":
        weights["condition"] = causal
        nodes.append(helper.make_node("Where", ["condition", "minus", "scores"], ["masked"]))
    else:
        inputs["mask"] = [1, 1, tokens, tokens]
        nodes.append(helper.make_node("Add", ["scores", "mask"], ["masked"]))
    nodes.append(helper.make_node("Softmax", ["masked"], ["p"], axis=-1))
    if guarded:  # what torch exports for scaled_dot_product_attention
        weights["zero"] = np.array(0, np.float32)
        nodes += [helper.make_node("IsNaN", ["p"], ["nan"]), helper.make_node("Where", ["nan", "zero", "p"], ["kept"])]
    nodes.append(helper.make_node("MatMul", ["kept" if guarded else "p", "v"], ["y"]))
    return model(nodes, weights, inputs)


def partial_sums(kind: str) -> onnx.ModelProto:
    """A product whose first half adds up to 2^16 and whose second half takes that away again."""
    rng = np.random.default_rng(0)
    w = np.concatenate([np.full((256, 32), 4), np.full((256, 32), -4)]).astype(np.float32)
    w += rng.standard_normal(w.shape).astype(np.float32)
    nodes = [helper.make_node("Mul", ["x", "scale"], ["x1"]), helper.make_node("Add", ["x1", "offset"], ["x2"])]
    if kind == "matmul":
        nodes.append(helper.make_node("MatMul", ["x2", "w"], ["y"]))
        return model(nodes, {"scale": np.array(8, np.float32), "offset": np.array(64, np.float32), "w": w}, {"x": [1, 16, 512]})
    weights = {"scale": np.array(8, np.float32), "offset": np.array(64, np.float32), "w": w.T.reshape(32, 512, 1, 1).copy()}
    nodes.append(helper.make_node("Conv", ["x2", "w"], ["y"]))
    return model(nodes, weights, {"x": [1, 512, 4, 4]})


def residuals(norm: str) -> onnx.ModelProto:
    """A residual stream that grows beyond 65504 before the norm behind the last block."""
    rng, width = np.random.default_rng(0), 64
    weights: dict[str, np.ndarray] = {"gamma": np.ones(width, np.float32), "beta": np.zeros(width, np.float32)}
    weights |= {"eps": np.array(1e-6, np.float32), "two": np.array(2, np.float32)}
    nodes, x = [], "x"
    for i in range(4):
        weights[f"w{i}"] = (rng.standard_normal((width, width)) * 900).astype(np.float32)
        nodes += [
            helper.make_node("Tanh", [x], [f"t{i}"]),
            helper.make_node("MatMul", [f"t{i}", f"w{i}"], [f"m{i}"]),
            helper.make_node("Mul", [f"m{i}", "two"], [f"d{i}"]),
            helper.make_node("Add", [x, f"d{i}"], [f"x{i}"]),
        ]
        x = f"x{i}"
    if norm == "layer_norm":
        nodes.append(helper.make_node("LayerNormalization", [x, "gamma", "beta"], ["y"], axis=-1))
    else:
        nodes += [
            helper.make_node("Pow", [x, "two"], ["square"]), helper.make_node("ReduceMean", ["square"], ["mean"], axes=[-1], keepdims=1),
            helper.make_node("Add", ["mean", "eps"], ["safe"]), helper.make_node("Sqrt", ["safe"], ["root"]),
            helper.make_node("Div", [x, "root"], ["n"]), helper.make_node("Mul", ["n", "gamma"], ["y"]),
        ]
    return model(nodes, weights, {"x": [1, 16, width]})


def vanishing() -> onnx.ModelProto:
    """Probabilities over many positions times small values: every product is below 2^-17."""
    nodes = [helper.make_node("Softmax", ["s"], ["p"], axis=-1), helper.make_node("Mul", ["v", "scale"], ["small"]), helper.make_node("MatMul", ["p", "small"], ["y"])]
    return model(nodes, {"scale": np.array(2.0**-9, np.float32)}, {"s": [1, 2, 16, 512], "v": [1, 2, 512, 16]})


def log_softmax() -> onnx.ModelProto:
    nodes = [helper.make_node("Mul", ["x", "scale"], ["z"]), helper.make_node("Softmax", ["z"], ["p"], axis=-1), helper.make_node("Log", ["p"], ["y"])]
    return model(nodes, {"scale": np.array(8, np.float32)}, {"x": [1, 4, 32]})


CASES = {f"mask_{kind}": masked(kind) for kind in ("added", "twice", "chosen", "input")}
CASES |= {f"guarded_{kind}": masked(kind, guarded=True) for kind in ("added", "chosen", "input")}
CASES |= {f"partial_sums_{kind}": partial_sums(kind) for kind in ("matmul", "conv")}
CASES |= {f"residuals_{norm}": residuals(norm) for norm in ("layer_norm", "rms_norm")}
CASES |= {"vanishing": vanishing(), "log_softmax": log_softmax()}
# H13 and H17 keep denormal products.
HARMLESS = {("vanishing", "h13"), ("vanishing", "h17")}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder, made = tmp_path_factory.mktemp("repair"), {}
    for name, proto in CASES.items():
        path = folder / f"{name}.onnx"
        onnx.save(proto, path)
        rng = np.random.default_rng(1)
        feeds = {i.name: rng.standard_normal([d.dim_value for d in i.type.tensor_type.shape.dim]).astype(np.float32) for i in proto.graph.input}
        if "mask" in feeds:
            feeds["mask"] = np.where(np.triu(np.ones((8, 8), bool), 1), -np.inf, 0).astype(np.float32).reshape(1, 1, 8, 8)
            if name.startswith("guarded"):
                feeds["mask"][..., 5, :] = -np.inf  # a row that is masked as a whole
        samples = folder / name / "sample_0"
        samples.mkdir(parents=True)
        for i, value in enumerate(feeds.values()):
            np.save(samples / f"input_{i}.npy", value)
        made[name] = (path, feeds, reference(path, feeds), samples.parent)
    return made


def agreement(path, feeds, expected, numerics, target, *options) -> float:
    actual = next(iter(ane_mlir.compile(path, target=target, options=options).run(feeds, numerics=numerics).values()))
    return cosine(actual, expected[0]) if np.isfinite(actual).all() else 0


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", CASES)
def test_repair(built, name, target):
    path, feeds, expected, samples = built[name]
    without = agreement(path, feeds, expected, "engine", target, "--disable-pass=ane-repair-fp16", "--calibration=none")
    assert without < 0.999 or (name, target) in HARMLESS, f"the model does not need the pass: cosine {without}"
    for calibration in (f"--calibration={samples}", "--calibration=auto"):
        for numerics in ("fp16", "engine"):
            assert agreement(path, feeds, expected, numerics, target, calibration) >= 0.999, (calibration, numerics)


def test_report(built, tmp_path):
    """What was scaled, and why, is in the report."""
    path, *_, samples = built["partial_sums_matmul"]
    subprocess.run([ane_mlir.find_tool("onnx-to-ane"), path, "-o", tmp_path / "m.anepkg", f"--report={tmp_path}/r.json", "--quiet", f"--calibration={samples}"], check=True)
    repairs = [op["repair"] for op in json.loads((tmp_path / "r.json").read_text())["ops"] if "repair" in op]
    assert any(text.startswith("L60: partial sums reach ") for text in repairs), repairs


def test_guard_of_a_causal_mask_is_dropped(built, tmp_path):
    """No row of it is masked as a whole, so nothing is left of where(isnan(p), 0, p)."""
    for name, left in (("guarded_added", 0), ("guarded_chosen", 1), ("guarded_input", 1)):
        subprocess.run([ane_mlir.find_tool("onnx-to-ane"), built[name][0], "-o", tmp_path / "m.mlir", "--quiet"], check=True)
        text = (tmp_path / "m.mlir").read_text()
        assert text.count("ane.select") == left and "ane.not_equal" not in text, text


def test_fp32_is_left_alone(built):
    for name in ("residuals_rms_norm", "mask_added"):
        path, feeds, expected, _ = built[name]
        check(ane_mlir.compile(path, precision="fp32").run(feeds, numerics="fp32"), expected, "fp32")


@pytest.mark.parametrize("broken, message", [("missing", "cannot read"), ("empty", "has no input_0.pb"), ("shape", "has another shape"), ("npy", "is no .npy file")])
def test_bad_calibration(built, tmp_path, broken, message):
    path = built["log_softmax"][0]
    folder = tmp_path / "samples"
    if broken != "missing":
        folder.mkdir()
    if broken == "shape":
        np.save(folder / "x.npy", np.zeros((2, 2), np.float32))
    if broken == "npy":
        (folder / "input_0.npy").write_bytes(b"no array")
    result = subprocess.run([ane_mlir.find_tool("onnx-to-ane"), path, "-o", tmp_path / "m.anepkg", f"--calibration={folder}"], capture_output=True, text=True)
    assert result.returncode == 1 and message in result.stderr, result.stderr
    assert not (tmp_path / "m.anepkg").exists()
