"""Constructs that fp16 spoils unless their structure is seen, in the spellings of several exporters, on rows of any size.

The models are small and made here; ONNX Runtime is the judge, the bars are those of test_fp16_cases.py.
"""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from conftest import reference
from onnx import TensorProto, helper, numpy_helper
from test_fp16_cases import judge

import ane_mlir

Model = tuple[onnx.ModelProto, dict[str, np.ndarray]]
NODE = helper.make_node
f32 = np.float32
LAST = {"axis": np.array([-1])}
MODELS: dict[str, Model] = {}


def add(name: str, nodes: list[onnx.NodeProto], weights: dict[str, np.ndarray], feeds: dict[str, np.ndarray], opset: int = 17) -> None:
    value = helper.make_tensor_value_info
    inputs = [value(n, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape) for n, v in feeds.items()]
    graph = helper.make_graph(nodes, name, inputs, [value("y", TensorProto.FLOAT, None)], [numpy_helper.from_array(np.asarray(v), n) for n, v in weights.items()])
    MODELS[name] = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8), feeds


def chain(*steps: tuple) -> list[onnx.NodeProto]:
    """("Mul", "a b", "c", {…}): a node each."""
    return [NODE(step[0], step[1].split(), step[2].split(), **(step[3] if len(step) > 3 else {})) for step in steps]


def rows(seed: int = 0, count: int = 6, width: int = 64) -> np.ndarray:
    """Beside ordinary rows a large one with an outlier, a tiny one, and zeros."""
    x = np.random.default_rng(seed).standard_normal((count, width)).astype(f32)
    x[0] *= 2000
    x[0, 3] = 9000
    x[2] *= 1e-3
    x[3] = 0
    return x


ALONG, KEPT, FLAT = {"axes": [-1]}, {"keepdims": 1}, {"keepdims": 0}
SQUARE_MEAN = [("Mul", "x x", "s"), ("ReduceMean", "s", "m", ALONG), ("Add", "m e", "a")]


def add_norms() -> None:
    x = {"x": rows()}
    rng = np.random.default_rng(1)
    eps = {"e": f32(1e-6), "g": rng.standard_normal(64).astype(f32), "half": f32(-0.5), "one": f32(1), "two": f32(2)}
    add("rms_pow", chain(*SQUARE_MEAN, ("Pow", "a half", "r"), ("Mul", "x r", "n"), ("Mul", "g n", "y")), eps, x)
    add("rms_reciprocal", chain(*SQUARE_MEAN, ("Sqrt", "a", "q"), ("Reciprocal", "q", "r"), ("Mul", "r x", "n"), ("Mul", "n g", "y")), eps, x)
    add("rms_one_over", chain(("Pow", "x two", "s"), ("ReduceMean", "s", "m", ALONG), ("Add", "e m", "a"), ("Sqrt", "a", "q"), ("Div", "one q", "r"), ("Mul", "x r", "n"), ("Mul", "n g", "y")), eps, x)
    tiny = {"e": f32(1e-12), **LAST}
    add("l2_max", chain(("ReduceL2", "x", "m", ALONG), ("Max", "m e", "c"), ("Div", "x c", "y")), tiny, x)
    add("l2_expand", chain(("ReduceL2", "x", "m", ALONG), ("Clip", "m e", "c"), ("Expand", "c shape", "d"), ("Div", "x d", "y")), {**tiny, "shape": np.array([6, 64])}, x)
    add("l2_sum_of_squares", chain(("ReduceSumSquare", "x", "m", ALONG), ("Add", "m e", "c"), ("Sqrt", "c", "d"), ("Div", "x d", "y")), tiny, x)
    add("l2_reciprocal", chain(("Mul", "x x", "s"), ("ReduceSum", "s axis", "m", KEPT), ("Add", "m e", "c"), ("Sqrt", "c", "d"), ("Reciprocal", "d", "r"), ("Mul", "x r", "y")), {**LAST, "e": f32(1e-10)}, x)
    add("l2_plus_epsilon", chain(("ReduceL2", "x", "m", ALONG), ("Add", "m e", "c"), ("Div", "x c", "y")), {"e": f32(1e-8)}, x)
    add("lp_normalization", chain(("LpNormalization", "x", "y", {"axis": -1, "p": 2})), {}, {"x": np.where(rows() == 0, 1, rows()).astype(f32)})
    add("l1", chain(("ReduceL1", "x", "m", ALONG), ("Max", "m e", "c"), ("Div", "x c", "y")), tiny, x)
    centred = [("ReduceMean", "x", "u", ALONG), ("Sub", "x u", "d")]
    add("standard_deviation", chain(*centred, ("Mul", "d d", "s"), ("ReduceMean", "s", "v", ALONG), ("Sqrt", "v", "sd"), ("Add", "sd e", "c"), ("Div", "d c", "y")), {"e": f32(1e-8)}, x)
    add("variance_by_squares", chain(*centred, ("Mul", "x x", "s"), ("ReduceMean", "s", "q", ALONG), ("Mul", "u u", "uu"), ("Sub", "q uu", "v"), ("Add", "v e", "ve"), ("Sqrt", "ve", "sd"), ("Div", "d sd", "y")),
        {"e": f32(1e-5)}, x)  # fmt: skip
    add("cosine", chain(("Mul", "x z", "p"), ("ReduceSum", "p axis", "d", FLAT), ("ReduceL2", "x", "nx", {**ALONG, **FLAT}), ("ReduceL2", "z", "nz", {**ALONG, **FLAT}), ("Mul", "nx nz", "nn"), ("Max", "nn e", "c"), ("Div", "d c", "y")),
        {**LAST, "e": f32(1e-8)}, {**x, "z": rows(7)})  # fmt: skip


def add_exponentials() -> None:
    z = (np.random.default_rng(2).standard_normal((6, 64)) * 12).astype(f32)
    x, one = {"x": z}, {"one": f32(1), "two": f32(2)}
    add("log_sum_exp_of_rows", chain(("ReduceMax", "x", "m", ALONG), ("Sub", "x m", "d"), ("Exp", "d", "ex"), ("ReduceSum", "ex axis", "s", KEPT), ("Log", "s", "l"), ("Add", "l m", "y")), LAST, {"x": rows()})
    add("log_sum_exp", chain(("Exp", "x", "ex"), ("ReduceSum", "ex axis", "s", KEPT), ("Log", "s", "l"), ("Sub", "x l", "y")), LAST, x)
    add("mish", chain(("Exp", "x", "ex"), ("Add", "ex one", "a"), ("Log", "a", "s"), ("Tanh", "s", "t"), ("Mul", "x t", "y")), one, x)
    add("sigmoid", chain(("Exp", "x", "ex"), ("Add", "one ex", "a"), ("Div", "ex a", "y")), one, x)
    add("tanh", chain(("Mul", "x two", "x2"), ("Exp", "x2", "ex"), ("Sub", "ex one", "n"), ("Add", "ex one", "d"), ("Div", "n d", "y")), one, {"x": np.clip(z, -30, 30)})
    add("log_sigmoid", chain(("Sigmoid", "x", "s"), ("Log", "s", "y")), {}, {"x": np.clip(z, -15, 15)})
    add("log_softmax_epsilon", chain(("Softmax", "x", "s", {"axis": -1}), ("Add", "s e", "a"), ("Log", "a", "y")), {"e": f32(1e-10)}, x)
    add("entropy", chain(("Softmax", "x", "s", {"axis": -1}), ("Add", "s e", "a"), ("Log", "a", "l"), ("Mul", "s l", "m"), ("ReduceSum", "m axis", "y", FLAT)), {**LAST, "e": f32(1e-12)}, x)
    power = np.abs(np.random.default_rng(3).standard_normal((4, 64)) ** 8).astype(f32) * np.array([[1], [1e-6], [0], [1e-3]], f32)
    add("decibels", chain(("Max", "x e", "c"), ("Log", "c", "l"), ("Mul", "l k", "y")), {"e": f32(1e-10), "k": f32(10 / np.log(10))}, {"x": power})


def add_counts_and_positions() -> None:
    rng = np.random.default_rng(4)
    add("mean_that_overflows", chain(("ReduceSum", "x axis", "s", FLAT), ("Div", "s n", "y")), {**LAST, "n": f32(4096)}, {"x": (rng.standard_normal((2, 4096)) + 100).astype(f32)})
    pixels, space = {"x": rng.random((1, 1, 256, 256)).astype(f32)}, {"axes": np.array([2, 3])}
    add("count_of_booleans", chain(("Greater", "x h", "b"), ("Cast", "b", "f", {"to": 1}), ("ReduceSum", "f axes", "y", FLAT)), {**space, "h": f32(0.1)}, pixels)
    add("ratio_of_counts", chain(("Greater", "x h", "p"), ("Cast", "p", "pf", {"to": 1}), ("ReduceSum", "pf axes", "a", FLAT), ("Greater", "x k", "q"), ("Cast", "q", "qf", {"to": 1}), ("ReduceSum", "qf axes", "b", FLAT), ("Div", "a b", "y")),
        {**space, "h": f32(0.6), "k": f32(0.4)}, pixels)  # fmt: skip
    pitch = np.repeat(220 + rng.standard_normal((1, 400)).astype(f32), 30, 1).astype(f32)
    add("phases", chain(("Div", "x rate", "r"), ("CumSum", "r one", "c"), ("Mul", "c turn", "p"), ("Sin", "p", "y")), {"rate": f32(24000), "one": np.array(1), "turn": f32(2 * np.pi)}, {"x": pitch})
    add("lengths", chain(("Cast", "n", "f", {"to": 1}), ("Less", "range f", "m"), ("Cast", "m", "mf", {"to": 1}), ("Mul", "x mf", "y")), {"range": np.arange(5000, dtype=f32)[None]},
        {"n": np.array([[3001]]), "x": rng.standard_normal((1, 5000)).astype(f32)})  # fmt: skip
    grid = np.stack(np.meshgrid(np.linspace(-1, 1, 96), np.linspace(-1, 1, 80)), -1)[None] + rng.standard_normal((1, 80, 96, 2)) * 0.01
    add("grid", chain(("GridSample", "x g", "y", {"mode": "bilinear", "padding_mode": "border", "align_corners": 1})), {}, {"x": rng.standard_normal((1, 2, 240, 320)).astype(f32), "g": grid.astype(f32)})
    rates = (1 / 10000 ** (np.arange(0, 64, 2) / 64)).astype(f32)[None, :, None]
    add("rotary_from_positions", chain(("Cast", "p", "pf", {"to": 1}), ("Unsqueeze", "pf a1", "pu"), ("MatMul", "rates pu", "fr"), ("Transpose", "fr", "ft", {"perm": [0, 2, 1]}), ("Concat", "ft ft", "em", {"axis": -1}),
                                       ("Cos", "em", "c"), ("Sin", "em", "s"), ("Mul", "q c", "qc"), ("Mul", "q s", "qs"), ("Add", "qc qs", "y")),
        {"a1": np.array([1]), "rates": rates}, {"p": np.arange(3990, 4006)[None], "q": rng.standard_normal((1, 16, 64)).astype(f32)})  # fmt: skip
    add("time_step", chain(("Cast", "t", "tf", {"to": 1}), ("Unsqueeze", "tf a1", "tu"), ("Mul", "tu fr", "a"), ("Sin", "a", "s"), ("Cos", "a", "c"), ("Concat", "c s", "e", {"axis": 1}), ("Gemm", "e w", "h"), ("Sigmoid", "h", "g"), ("Mul", "h g", "y")),
        {"a1": np.array([1]), "fr": np.exp(-np.arange(64) / 64 * np.log(1e4)).astype(f32)[None], "w": (rng.standard_normal((128, 64)) * 0.1).astype(f32)}, {"t": np.array([981])})  # fmt: skip
    add("index_arithmetic", chain(("TopK", "x k", "v i", {"axis": -1}), ("Cast", "i", "f", {"to": 1}), ("Div", "f w", "r"), ("Floor", "r", "q"), ("Mul", "q w", "qw"), ("Sub", "f qw", "y")), {"k": np.array([20]), "w": f32(80)},
        {"x": rng.standard_normal((1, 6400)).astype(f32)})  # fmt: skip
    add("deformable", chain(("DeformConv", "x w o", "y", {"kernel_shape": [3, 3], "pads": [1] * 4})), {"w": kernel(rng, 4, 4)},
        {"x": rng.standard_normal((1, 4, 64, 64)).astype(f32), "o": (rng.standard_normal((1, 18, 64, 64)) * 2).astype(f32)}, opset=19)  # fmt: skip


def kernel(rng: np.random.Generator, inputs: int, outputs: int, scale: float = 1) -> np.ndarray:
    return (rng.standard_normal((outputs, inputs, 3, 3)) * scale / np.sqrt(inputs * 9)).astype(f32)


def add_convolutions() -> None:
    rng = np.random.default_rng(5)
    image = {"x": rng.random((1, 3, 48, 48)).astype(f32)}
    conv = ("Conv", "x w", "c", {"pads": [1] * 4})

    def statistics(channels: int, variance: float) -> dict[str, np.ndarray]:
        values = {"g": rng.random(channels) + 0.5, "b": rng.standard_normal(channels), "m": rng.standard_normal(channels) * np.sqrt(variance), "v": (rng.random(channels) + 0.1) * variance}
        return {name: value.astype(f32) for name, value in values.items()}

    for variance in (1e8, 1e6, 1e-9, 1e-12):
        epsilon = 1e-5 if variance > 1e-3 else 1e-14
        add(f"batch_norm_{variance:g}", chain(conv, ("BatchNormalization", "c g b m v", "y", {"epsilon": epsilon})), {"w": kernel(rng, 3, 8, np.sqrt(variance)), **statistics(8, variance)}, image)
    add("batch_norm_of_the_input", chain(("BatchNormalization", "x g b m v", "y")), statistics(3, 1e6), {"x": image["x"] * 2000})
    style = {"w": kernel(rng, 3, 16), "w2": kernel(rng, 16, 3), "s": (rng.random(16) + 0.5).astype(f32), "b": rng.standard_normal(16).astype(f32), "k": f32(255)}
    rest = [("InstanceNormalization", "c s b", "n"), ("Relu", "n", "r"), ("Conv", "r w2", "y", {"pads": [1] * 4})]
    add("style_of_0_to_1", chain(("Mul", "x k", "x0"), ("Conv", "x0 w", "c", {"pads": [1] * 4}), *rest), style, image)
    add("style_of_0_to_255", chain(conv, *rest), style, {"x": image["x"] * 255})
    big = {"w": kernel(rng, 3, 16, 300), "e": f32(1e-6), "g": rng.random((16, 1, 1)).astype(f32)}
    groups = {"split": np.array([1, 4, -1]), "ones": np.ones(4, f32), "zeros": np.zeros(4, f32), "join": np.array([1, 16, 48, 48])}
    add("group_norm", chain(conv, ("Reshape", "c split", "r"), ("InstanceNormalization", "r ones zeros", "n"), ("Reshape", "n join", "q"), ("Mul", "q g", "y")), {**big, **groups}, {"x": image["x"] * 3})
    over = {"axes": [1]}
    add("layer_norm_of_channels", chain(conv, ("ReduceMean", "c", "u", over), ("Sub", "c u", "d"), ("Mul", "d d", "s"), ("ReduceMean", "s", "v", over), ("Add", "v e", "ve"), ("Sqrt", "ve", "sd"), ("Div", "d sd", "n"), ("Mul", "n g", "y")),
        big, {"x": image["x"] * 5})  # fmt: skip
    add("global_response_norm", chain(conv, ("ReduceL2", "c", "a", {"axes": [2, 3]}), ("ReduceMean", "a", "u", over), ("Add", "u e", "ue"), ("Div", "a ue", "n"), ("Mul", "c n", "y")), big, {"x": image["x"] * 5})
    basis, bank = (rng.standard_normal((129, 1, 256)) * 0.1).astype(f32), np.abs(rng.standard_normal((129, 20))).astype(f32) * 0.1
    sound = np.concatenate([rng.standard_normal(2048) * 0.1, np.zeros(2048)]).astype(f32)[None, None]
    add("filter_banks", chain(("Conv", "x basis", "c", {"strides": [128]}), ("Mul", "c c", "p"), ("Transpose", "p", "t", {"perm": [0, 2, 1]}), ("MatMul", "t bank", "mel"), ("Max", "mel e", "l"), ("Log", "l", "y")),
        {"basis": basis, "bank": bank, "e": f32(1.1920929e-7)}, {"x": sound})  # fmt: skip


def add_transformers() -> None:
    rng = np.random.default_rng(6)
    width = 128
    weights: dict[str, np.ndarray] = {"two": f32(2), "e": f32(1e-5)}
    steps: list[tuple] = []
    at = "x"
    for k in range(3):
        weights |= {f"g{k}": (rng.random(width) + 0.5).astype(f32), f"w{k}": (rng.standard_normal((width, 256)) / 11).astype(f32), f"v{k}": (rng.standard_normal((256, width)) / 16).astype(f32)}
        steps += [("Pow", f"{at} two", f"s{k}"), ("ReduceMean", f"s{k}", f"m{k}", ALONG), ("Add", f"m{k} e", f"a{k}"), ("Sqrt", f"a{k}", f"q{k}"), ("Div", f"{at} q{k}", f"n{k}"), ("Mul", f"n{k} g{k}", f"h{k}"), ("MatMul", f"h{k} w{k}", f"u{k}"),
                  ("Sigmoid", f"u{k}", f"sg{k}"), ("Mul", f"u{k} sg{k}", f"si{k}"), ("MatMul", f"si{k} v{k}", f"o{k}"), ("Add", f"{at} o{k}", f"x{k}")]  # fmt: skip
        at = f"x{k}"
    steps += [("Pow", f"{at} two", "sf"), ("ReduceMean", "sf", "mf", ALONG), ("Add", "mf e", "af"), ("Sqrt", "af", "qf"), ("Div", f"{at} qf", "y")]
    x = rng.standard_normal((1, 10, width)).astype(f32)
    x[0, 0, 7] = 9000
    x[0, 4] *= 1e-3
    x[0, 5] = 0
    add("decoder_with_an_outlier", chain(*steps), weights, {"x": x})
    length, least = 12, np.finfo(f32).min
    causal = np.triu(np.full((length, length), least, f32), 1)[None, None]
    mask = np.ones((1, length), np.int64)
    mask[0, :4] = 0
    add("rows_masked_as_a_whole", chain(("Cast", "mask", "f", {"to": 1}), ("Unsqueeze", "f a12", "f4"), ("Add", "c f4", "p"), ("Equal", "p zero", "k"), ("Where", "k least c", "cm"), ("MatMul", "q t", "s"), ("Add", "s cm", "sm"), ("Softmax", "sm", "a", {"axis": -1}), ("MatMul", "a v", "y")),
        {"a12": np.array([1, 2]), "c": causal, "zero": f32(0), "least": f32(least)},
        {"mask": mask, "q": rng.standard_normal((1, 2, length, 16)).astype(f32), "t": rng.standard_normal((1, 2, 16, length)).astype(f32), "v": rng.standard_normal((1, 2, length, 16)).astype(f32)})  # fmt: skip


for build in (add_norms, add_exponentials, add_counts_and_positions, add_convolutions, add_transformers):
    build()


@pytest.mark.parametrize("form", ["anepkg", "mlpackage"])
@pytest.mark.parametrize("name", MODELS)
def test_variant(name, form, tmp_path):
    model, feeds = MODELS[name]
    onnx.save(model, tmp_path / "m.onnx")
    artifact = ane_mlir.compile(tmp_path / "m.onnx", output=tmp_path / f"m.{form}")
    for numerics in ("fp16", "engine"):
        for actual, expected in zip(artifact.run(feeds, numerics=numerics).values(), reference(tmp_path / "m.onnx", feeds), strict=True):
            why = judge(actual, expected)
            assert not why, f"{numerics}: {why}"
