"""What users' exporters and quantisers write, with default options: quantised models, lists of data-dependent length, positions, high ranks."""

from __future__ import annotations

import subprocess

import numpy as np
import onnx
import pytest
from conftest import cosine, reference, relative
from onnx import TensorProto, helper, numpy_helper

import ane_mlir

F, I, B, U8 = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL, TensorProto.UINT8
TYPES = {np.dtype(np.float32): F, np.dtype(np.int64): I, np.dtype(bool): B, np.dtype(np.uint8): U8, np.dtype(np.int32): TensorProto.INT32}


def build(nodes, feeds, weights, outputs, opset: int = 17, microsoft: bool = False) -> onnx.ModelProto:
    """`outputs`: names, or (name, element type, shape)."""
    infos = [helper.make_tensor_value_info(o, F, None) if isinstance(o, str) else helper.make_tensor_value_info(*o) for o in outputs]
    inputs = [helper.make_tensor_value_info(n, TYPES[v.dtype], list(v.shape)) for n, v in feeds.items()]
    initializers = [v if isinstance(v, TensorProto) else numpy_helper.from_array(np.asarray(v), n) for n, v in weights.items()]
    opsets = [helper.make_opsetid("", opset)] + ([helper.make_opsetid("com.microsoft", 1)] if microsoft else [])
    return helper.make_model(helper.make_graph(nodes, "g", inputs, infos, initializers), opset_imports=opsets, ir_version=10 if opset > 20 else 8)


def convert(path, output, *options: str) -> str:
    """Standard error of a conversion that succeeds."""
    done = subprocess.run([ane_mlir.find_tool("onnx-to-ane"), path, "-o", output, "--quiet", *options], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stderr


def near(actual: np.ndarray, expected: np.ndarray, what: str, bar: float) -> None:
    assert actual.shape == expected.shape, f"{what}: {actual.shape} instead of {expected.shape}"
    if expected.dtype.kind in "iub":
        assert np.array_equal(actual, expected), f"{what}: {np.count_nonzero(actual != expected)} of {actual.size} integers differ"
        return
    assert np.isfinite(actual).all() and relative(actual, expected) <= bar and cosine(actual, expected) >= 0.999, f"{what}: error {relative(actual, expected):.2e}, cosine {cosine(actual, expected):.6f}"


def agrees(folder, model: onnx.ModelProto, feeds, *, bar: float = 2e-2, package: bool = True, options: tuple[str, ...] = ()) -> str:
    """Bundle in fp16 and in the engine's numerics, and a valid package, against ONNX Runtime; the conversion's messages."""
    path = folder / "m.onnx"
    onnx.save(model, path)
    expected = reference(path, feeds)
    said = convert(path, folder / "m.anepkg", *options)
    bundle = ane_mlir.Bundle(folder / "m.anepkg")
    for numerics in ("fp16", "engine"):
        for (name, value), e in zip(bundle.run(feeds, numerics=numerics).items(), expected, strict=True):
            near(value, e, f"{name} ({numerics})", bar)
    if package:
        convert(path, folder / "m.mlpackage", *options)
        assert not ane_mlir.verify(folder / "m.mlpackage")
        for (name, value), e in zip(ane_mlir.Package(folder / "m.mlpackage").run(feeds).items(), expected, strict=True):
            near(value, e, f"{name} (package)", bar)
    return said


def programs(folder) -> int:
    return len(ane_mlir.Bundle(folder / "m.anepkg").manifest["programs"])


def node(op: str, inputs: list[str], outputs: list[str] | str, **attributes) -> onnx.NodeProto:
    return helper.make_node(op, inputs, [outputs] if isinstance(outputs, str) else outputs, **attributes)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def quantised(shape, dtype, seed: int = 1) -> np.ndarray:
    """Of 7 bits: without VNNI, ONNX Runtime's sums of two products saturate at 16 bits."""
    info = np.iinfo(dtype)
    return (np.clip(np.round(rng(seed).standard_normal(shape) * 20), -63, 63) + (info.max + info.min + 1) // 2).astype(dtype)


# Activations that are quantised while the model runs.


@pytest.mark.parametrize("dtype, per_column", [(np.int8, False), (np.uint8, False), (np.int8, True), (np.uint8, True)])
@pytest.mark.parametrize("terms", [768, 3072])
def test_dynamic_linear(tmp_path, dtype, per_column, terms):
    """quantize_dynamic's MatMul; sums of codes are far beyond 65504."""
    shape = (48,) if per_column else ()
    zero = quantised(shape, dtype, 2) if dtype == np.uint8 or per_column else np.zeros(shape, dtype)
    weights = {"w": quantised((terms, 48), dtype), "z": zero, "s": rng(3).uniform(1e-3, 2e-3, shape).astype(np.float32), "b": rng(4).standard_normal(48).astype(np.float32)}
    nodes = [
        node("DynamicQuantizeLinear", ["x"], ["q", "xs", "xz"]), node("MatMulInteger", ["q", "w", "xz", "z"], "i"), node("Cast", ["i"], "c", to=F),
        node("Mul", ["xs", "s"], "m"), node("Mul", ["c", "m"], "y0"), node("Add", ["y0", "b"], "y"),
    ]  # fmt: skip
    feeds = {"x": rng(5).standard_normal((1, 16, terms)).astype(np.float32)}
    said = agrees(tmp_path, build(nodes, feeds, weights, ["y"]), feeds)
    assert "1 DynamicQuantizeLinear" in said
    assert programs(tmp_path) == 1


@pytest.mark.parametrize("group", [1, 4])
def test_dynamic_convolutions(tmp_path, group):
    nodes, weights, x = [], {}, "x"
    for i in range(2):
        weights |= {f"w{i}": quantised((64, 64 // group, 3, 3), np.uint8, i), f"z{i}": np.uint8(120 + i), f"s{i}": np.float32(2e-3), f"b{i}": rng(i).standard_normal((1, 64, 1, 1)).astype(np.float32)}
        nodes += [
            node("DynamicQuantizeLinear", [x], [f"q{i}", f"xs{i}", f"xz{i}"]), node("ConvInteger", [f"q{i}", f"w{i}", f"xz{i}", f"z{i}"], f"i{i}", pads=[1, 1, 1, 1], group=group),
            node("Cast", [f"i{i}"], f"c{i}", to=F), node("Mul", [f"xs{i}", f"s{i}"], f"m{i}"), node("Mul", [f"c{i}", f"m{i}"], f"v{i}"), node("Add", [f"v{i}", f"b{i}"], f"a{i}"), node("Relu", [f"a{i}"], f"r{i}"),
        ]  # fmt: skip
        x = f"r{i}"
    feeds = {"x": rng(5).standard_normal((1, 64, 20, 20)).astype(np.float32)}
    agrees(tmp_path, build(nodes, feeds, weights, [x]), feeds)
    assert programs(tmp_path) == 1


def test_dynamic_scale_in_pieces(tmp_path):
    """The scales one after the other, codes that are reshaped on the way, two products of one quantiser, and its float view."""
    weights = {"w": quantised((96, 32), np.int8), "v": quantised((96, 32), np.int8, 9), "s": np.float32(2e-3), "t": rng(3).uniform(1e-3, 2e-3, 32).astype(np.float32), "shape": np.array([1, 24, 96], np.int64)}
    nodes = [
        node("DynamicQuantizeLinear", ["x"], ["q", "xs", "xz"]), node("Reshape", ["q", "shape"], "qr"), node("MatMulInteger", ["qr", "w", "xz"], "i"), node("Cast", ["i"], "c", to=F),
        node("Mul", ["c", "xs"], "m"), node("Mul", ["m", "s"], "a"), node("MatMulInteger", ["qr", "v", "xz"], "j"), node("Cast", ["j"], "d", to=F), node("Mul", ["t", "xs"], "n"), node("Mul", ["d", "n"], "b"),
        node("DequantizeLinear", ["q", "xs", "xz"], "f"), node("ReduceMean", ["f"], "g", axes=[-1], keepdims=1), node("Reshape", ["g", "one"], "h"), node("Add", ["a", "b"], "ab"), node("Add", ["ab", "h"], "y"),
    ]  # fmt: skip
    weights["one"] = np.array([1, 24, 1], np.int64)
    feeds = {"x": rng(5).standard_normal((1, 4, 6, 96)).astype(np.float32)}
    agrees(tmp_path, build(nodes, feeds, weights, ["y"]), feeds)
    assert programs(tmp_path) == 1


def test_dynamic_both_operands(tmp_path):
    """Attention's products between activations, both quantised."""
    nodes = [
        node("DynamicQuantizeLinear", ["a"], ["qa", "sa", "za"]), node("DynamicQuantizeLinear", ["b"], ["qb", "sb", "zb"]), node("MatMulInteger", ["qa", "qb", "za", "zb"], "i"),
        node("Cast", ["i"], "c", to=F), node("Mul", ["sa", "sb"], "s"), node("Mul", ["c", "s"], "y"),
    ]  # fmt: skip
    feeds = {"a": rng(5).standard_normal((1, 4, 16, 64)).astype(np.float32), "b": rng(6).standard_normal((1, 4, 64, 16)).astype(np.float32)}
    agrees(tmp_path, build(nodes, feeds, {}, ["y"]), feeds)


def test_dynamic_integers_that_are_used(tmp_path):
    """Where the model looks at its integers they stay; in fp32 they are exact."""
    weights = {"w": quantised((32, 16), np.int8), "s": np.float32(2e-3)}
    nodes = [
        node("DynamicQuantizeLinear", ["x"], ["q", "xs", "xz"]), node("MatMulInteger", ["q", "w", "xz"], "i"), node("Cast", ["i"], "c", to=F), node("Mul", ["xs", "s"], "m"), node("Mul", ["c", "m"], "y"),
    ]  # fmt: skip
    feeds = {"x": rng(5).standard_normal((4, 32)).astype(np.float32)}
    onnx.save(build(nodes, feeds, weights, ["y", ("i", TensorProto.INT32, [4, 16]), ("q", U8, [4, 32])]), tmp_path / "m.onnx")
    bundle = ane_mlir.compile(tmp_path / "m.onnx", precision="fp32")
    for (name, value), e in zip(bundle.run(feeds, numerics="fp32").items(), reference(tmp_path / "m.onnx", feeds), strict=True):
        near(value, e, name, 1e-5)


@pytest.mark.parametrize("kind", ["linear", "gemm", "conv", "lstm"])
@pytest.mark.parametrize("signed", [True, False])
def test_quantize_dynamic(tmp_path, kind, signed):
    """What ONNX Runtime's tool itself writes."""
    quantization = pytest.importorskip("onnxruntime.quantization")
    r = rng(7)
    if kind == "lstm":
        weights = {"w": r.standard_normal((2, 4 * 24, 40)) * 0.2, "r": r.standard_normal((2, 4 * 24, 24)) * 0.2, "b": r.standard_normal((2, 8 * 24)) * 0.1}
        nodes, feeds = [node("LSTM", ["x", "w", "r", "b"], ["y", "h", "c"], hidden_size=24, direction="bidirectional")], {"x": r.standard_normal((12, 1, 40))}
        outputs = ["y", "h", "c"]
    elif kind == "conv":
        weights = {"w": r.standard_normal((24, 16, 3, 3)) * 0.1, "b": r.standard_normal(24), "v": r.standard_normal((8, 24, 1, 1)) * 0.1}
        nodes, feeds = [node("Conv", ["x", "w", "b"], "h", pads=[1, 1, 1, 1], strides=[2, 2]), node("Relu", ["h"], "g"), node("Conv", ["g", "v"], "y")], {"x": r.standard_normal((1, 16, 18, 18))}
        outputs = ["y"]
    else:
        weights = {"w": r.standard_normal((128, 96)) * 0.1, "b": r.standard_normal(96), "v": r.standard_normal((96, 40)) * 0.1, "d": r.standard_normal(40)}
        first = [node("Gemm", ["x", "w", "b"], "a")] if kind == "gemm" else [node("MatMul", ["x", "w"], "a0"), node("Add", ["a0", "b"], "a")]
        nodes, feeds = first + [node("Tanh", ["a"], "t"), node("MatMul", ["t", "v"], "y0"), node("Add", ["y0", "d"], "y")], {"x": r.standard_normal((16, 128) if kind == "gemm" else (1, 16, 128))}
        outputs = ["y"]
    feeds = {n: v.astype(np.float32) for n, v in feeds.items()}
    onnx.save(build(nodes, feeds, {n: v.astype(np.float32) for n, v in weights.items()}, outputs), tmp_path / "float.onnx")
    quantization.quantize_dynamic(tmp_path / "float.onnx", tmp_path / "int.onnx", weight_type=quantization.QuantType.QInt8 if signed else quantization.QuantType.QUInt8, reduce_range=True)
    model = onnx.load(tmp_path / "int.onnx")
    assert any("Integer" in n.op_type or "DynamicQuantize" in n.op_type for n in model.graph.node)
    # ONNX Runtime quantises the state of an LSTM at every step; here it is a float.
    agrees(tmp_path, model, feeds, bar=5e-2 if kind == "lstm" else 2e-2)


def test_microsoft_products(tmp_path):
    weights = {"w": quantised((64, 32), np.int8), "s": np.float32(3e-3), "z": np.int8(3), "b": rng(3).standard_normal(32).astype(np.float32)}
    nodes = [
        helper.make_node("DynamicQuantizeMatMul", ["x", "w", "s", "z", "b"], ["a"], domain="com.microsoft"), node("DynamicQuantizeLinear", ["x"], ["q", "xs", "xz"]),
        helper.make_node("MatMulIntegerToFloat", ["q", "w", "xs", "s", "xz", "z", "b"], ["c"], domain="com.microsoft"), node("Add", ["a", "c"], "y"),
    ]  # fmt: skip
    feeds = {"x": rng(5).standard_normal((1, 8, 64)).astype(np.float32)}
    agrees(tmp_path, build(nodes, feeds, weights, ["y"], microsoft=True), feeds)
    assert programs(tmp_path) == 1


@pytest.mark.parametrize("masked", [False, True])
def test_qattention(tmp_path, masked):
    weights = {"w": quantised((64, 192), np.int8), "s": np.float32(3e-3), "z": np.int8(0), "b": rng(3).standard_normal(192).astype(np.float32), "mask": np.array([7], np.int32)}
    nodes = [
        node("DynamicQuantizeLinear", ["x"], ["q", "xs", "xz"]),
        helper.make_node("QAttention", ["q", "w", "b", "xs", "s", "mask" if masked else "", "xz", "z"], ["y"], domain="com.microsoft", num_heads=4),
    ]  # fmt: skip
    feeds = {"x": rng(5).standard_normal((1, 10, 64)).astype(np.float32)}
    agrees(tmp_path, build(nodes, feeds, weights, ["y"], microsoft=True), feeds)


# Pairs of QuantizeLinear and DequantizeLinear.


@pytest.mark.parametrize("dtype, zero", [(np.uint16, 0), (np.uint16, 30000), (np.int16, 0), (np.int16, -32768)])
def test_qdq_16_bits(tmp_path, dtype, zero):
    """More steps than fp16 has: the pair is its limits. A range that starts at 0 is a relu; the largest code is reached."""
    weights = {"s": np.float32(4 / 65535), "z": np.array(zero, dtype)}
    nodes = [node("QuantizeLinear", ["x", "s", "z"], "q"), node("DequantizeLinear", ["q", "s", "z"], "d"), node("Mul", ["d", "d"], "y")]
    feeds = {"x": np.linspace(-5, 5, 8 * 32, dtype=np.float32).reshape(1, 8, 32)}
    agrees(tmp_path, build(nodes, feeds, weights, ["y"], opset=21), feeds)
    assert programs(tmp_path) == 1


def residual_network() -> tuple[onnx.ModelProto, dict[str, np.ndarray]]:
    r = rng(11)
    weights, nodes, x = {}, [], "x"
    for i, (inputs, outputs, kernel) in enumerate([(8, 16, 3), (16, 16, 3), (16, 16, 1), (16, 16, 3)]):
        weights |= {f"w{i}": (r.standard_normal((outputs, inputs, kernel, kernel)) * np.sqrt(2 / (inputs * kernel * kernel))).astype(np.float32), f"b{i}": (r.standard_normal(outputs) * 0.1).astype(np.float32)}
        nodes += [node("Conv", [x, f"w{i}", f"b{i}"], f"c{i}", pads=[kernel // 2] * 4), node("Relu", [f"c{i}"], f"r{i}")]
        x = f"r{i}"
        if i == 2:
            nodes.append(node("Add", ["r0", "r2"], "sum"))
            x = "sum"
    weights |= {"fc": (r.standard_normal((16, 10)) * 0.3).astype(np.float32)}
    nodes += [node("GlobalAveragePool", [x], "p"), node("Flatten", ["p"], "f"), node("MatMul", ["f", "fc"], "logits")]
    feeds = {"x": r.standard_normal((1, 8, 16, 16)).astype(np.float32)}
    return build(nodes, feeds, weights, [x, "logits"]), feeds


@pytest.mark.parametrize("form", ["QDQ", "QOperator"])
@pytest.mark.parametrize("per_channel", [False, True])
def test_quantize_static(tmp_path, form, per_channel):
    """What ONNX Runtime's tool writes of a small network, activations and weights in 8 bits."""
    quantization = pytest.importorskip("onnxruntime.quantization")
    model, feeds = residual_network()
    onnx.save(model, tmp_path / "float.onnx")

    class Samples(quantization.CalibrationDataReader):
        def __init__(self) -> None:
            self.left = [{"x": rng(s).standard_normal((1, 8, 16, 16)).astype(np.float32)} for s in range(4)]

        def get_next(self):
            return self.left.pop() if self.left else None

    quantization.quantize_static(
        tmp_path / "float.onnx", tmp_path / "int.onnx", Samples(), quant_format=getattr(quantization.QuantFormat, form), per_channel=per_channel, reduce_range=True,
        activation_type=quantization.QuantType.QUInt8, weight_type=quantization.QuantType.QInt8)  # fmt: skip
    agrees(tmp_path, onnx.load(tmp_path / "int.onnx"), feeds)
    assert programs(tmp_path) <= 3


# Tables of integers.


@pytest.mark.parametrize("kind", ["uint4", "int4", "uint8"])
@pytest.mark.parametrize("zeros", [True, False])
def test_gather_block_quantized(tmp_path, kind, zeros):
    r = rng(3)
    scales = r.uniform(0.01, 0.1, (50, 2)).astype(np.float32)
    if kind == "uint8":  # two values in a byte
        table, zero = r.integers(0, 256, (50, 32)).astype(np.uint8), r.integers(0, 256, (50, 1)).astype(np.uint8)
        weights = {"table": table, "zero": zero}
    else:
        low, high, element = (0, 16, TensorProto.UINT4) if kind == "uint4" else (-8, 8, TensorProto.INT4)
        weights = {n: helper.make_tensor(n, element, s, r.integers(low, high, s).ravel().tolist()) for n, s in (("table", (50, 64)), ("zero", (50, 2)))}
    weights["scales"] = scales
    inputs = ["table", "ids", "scales"] + (["zero"] if zeros else [])
    nodes = [helper.make_node("GatherBlockQuantized", inputs, ["y"], domain="com.microsoft", block_size=32, gather_axis=0, quantize_axis=1, **({"bits": 4} if kind == "uint8" else {}))]
    if not zeros:
        del weights["zero"]
    feeds = {"ids": np.array([[3, 0, 49, 7, 7, 12]], np.int64)}
    agrees(tmp_path, build(nodes, feeds, weights, ["y"], opset=21, microsoft=True), feeds)


# Positions beyond what fp16 counts.


@pytest.mark.parametrize("mode", ["linear", "nearest", "cubic"])
@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
def test_grid_sample_positions(tmp_path, mode, padding):
    """A gentle warp of 72 x 80 pixels: flat positions reach 5759."""
    y, x = np.meshgrid(np.linspace(-1, 1, 72), np.linspace(-1, 1, 80), indexing="ij")
    grid = np.stack([x * 0.9 + 0.03 * np.sin(3 * y), y * 0.95 + 0.02], -1)[None].astype(np.float32)
    if mode == "nearest":  # away from ties
        grid = np.stack([(np.round((x + 1) * 39.5) / 39.5 - 1), (np.round((y + 1) * 35.5) / 35.5 - 1)], -1)[None].astype(np.float32)
    nodes = [node("GridSample", ["x", "grid"], "y", mode=mode, padding_mode=padding, align_corners=1)]
    feeds = {"x": rng(1).standard_normal((1, 3, 72, 80)).astype(np.float32)}
    agrees(tmp_path, build(nodes, feeds, {"grid": grid}, ["y"], opset=20), feeds)


def test_deform_conv_positions(tmp_path):
    weights = {"w": (rng(2).standard_normal((4, 4, 3, 3)) * 0.2).astype(np.float32), "o": np.round(rng(3).uniform(-2, 2, (1, 18, 62, 66)) * 4).astype(np.float32) / 4}
    nodes = [node("DeformConv", ["x", "w", "o"], "y", kernel_shape=[3, 3], pads=[0, 0, 0, 0])]
    feeds = {"x": rng(1).standard_normal((1, 4, 64, 68)).astype(np.float32)}
    agrees(tmp_path, build(nodes, feeds, weights, ["y"], opset=19), feeds)


# Ranks that packages do not have.


def test_scatter_of_rank_six(tmp_path):
    """An in-place detection head: ScatterND whose constant indices have six axes."""
    at = np.stack(np.meshgrid(*[np.arange(n) for n in (1, 3, 8, 8, 2)], indexing="ij"), -1).astype(np.int64)
    nodes = [
        node("Reshape", ["x", "five"], "r"), node("Transpose", ["r"], "t", perm=[0, 1, 3, 4, 2]), node("Sigmoid", ["t"], "s"), node("Slice", ["s", "zero", "two", "axis", "one"], "p"),
        node("Mul", ["p", "factor"], "m"), node("ScatterND", ["s", "at", "m"], "u"), node("Reshape", ["u", "three"], "y"),
    ]  # fmt: skip
    weights = {"five": np.array([1, 3, 10, 8, 8]), "three": np.array([1, 192, 10]), "zero": np.array([0]), "one": np.array([1]), "two": np.array([2]), "axis": np.array([4]), "factor": np.float32(3), "at": at}
    feeds = {"x": rng(1).standard_normal((1, 30, 8, 8)).astype(np.float32)}
    agrees(tmp_path, build(nodes, feeds, weights, ["y"]), feeds)


def test_unfold_by_two_gathers(tmp_path):
    at = (np.arange(3)[:, None] + np.arange(6)[None]).astype(np.int64)
    nodes = [
        node("Gather", ["x", "at"], "a", axis=2), node("Gather", ["a", "at"], "b", axis=4), node("Transpose", ["b"], "t", perm=[0, 1, 2, 4, 3, 5]), node("Reshape", ["t", "shape"], "y"),
    ]  # fmt: skip
    feeds = {"x": rng(1).standard_normal((2, 4, 8, 8)).astype(np.float32)}
    agrees(tmp_path, build(nodes, feeds, {"at": at, "shape": np.array([2, 36, 36])}, ["y"]), feeds)


def test_sampling_offsets_of_rank_six(tmp_path):
    """A deformable attention's offsets [B,Q,H,L,P,2]: broadcasts, slices, splits, concatenations and a sum."""
    nodes = [
        node("Reshape", ["x", "six"], "o"), node("Mul", ["o", "size"], "m"), node("Add", ["m", "centre"], "a"), node("Slice", ["a", "zero", "one", "last"], "sx"), node("Split", ["a"], ["l", "r"], axis=3),
        node("Concat", ["r", "l"], "c", axis=3), node("Mul", ["c", "sx"], "d"), node("ReduceSum", ["d", "axis"], "e", keepdims=0), node("Transpose", ["d"], "t", perm=[0, 2, 1, 3, 4, 5]), node("Reshape", ["t", "flat"], "f"),
    ]  # fmt: skip
    weights = {
        "six": np.array([2, 5, 4, 2, 3, 2]), "size": rng(2).uniform(0.1, 1, (1, 1, 1, 2, 1, 2)).astype(np.float32), "centre": rng(3).uniform(0, 1, (2, 5, 1, 2, 1, 2)).astype(np.float32),
        "zero": np.array([0]), "one": np.array([1]), "last": np.array([5]), "axis": np.array([3]), "flat": np.array([2, 4, 60]),
    }  # fmt: skip
    feeds = {"x": rng(1).standard_normal((2, 5, 48)).astype(np.float32)}
    agrees(tmp_path, build(nodes, feeds, weights, ["e", "f"]), feeds)


# Shapes that the model declares.


@pytest.mark.parametrize("declared", [[1, 2, 100, 90], None])
def test_resize_extent(tmp_path, declared):
    """30 * 10/3 is 100 for ONNX Runtime; the scale is an fp32 a little below."""
    nodes = [node("Resize", ["x", "", "scales"], "y", mode="linear")]
    feeds = {"x": rng(1).standard_normal((1, 2, 30, 27)).astype(np.float32)}
    said = agrees(tmp_path, build(nodes, feeds, {"scales": np.array([1, 1, 10 / 3, 10 / 3], np.float32)}, [("y", F, declared)]), feeds)
    assert "declares" not in said


def test_declared_shape_differs(tmp_path):
    feeds = {"x": rng(1).standard_normal((1, 2, 4, 5)).astype(np.float32)}
    model = build([node("Relu", ["x"], "y")], feeds, {}, [("y", F, [1, 2, 4, 6])])
    onnx.save(model, tmp_path / "m.onnx")
    said = convert(tmp_path / "m.onnx", tmp_path / "m.anepkg")
    assert "output 'y' has shape [1, 2, 4, 5], but the model declares [1, 2, 4, 6]" in said


def test_newest_versions(tmp_path):
    feeds = {"x": rng(1).standard_normal((1, 4)).astype(np.float32)}
    model = build([node("Relu", ["x"], "y")], feeds, {}, ["y"], opset=onnx.defs.onnx_opset_version())
    model.ir_version = onnx.IR_VERSION
    onnx.save(model, tmp_path / "m.onnx")
    assert convert(tmp_path / "m.onnx", tmp_path / "m.anepkg") == ""


# Conditions and lists that the data decides.


def merged_decoder(*, bad_branch: bool = False, rank: bool = False):
    """A decoder that appends to its cache, or starts one."""
    then = helper.make_graph([node("Concat", ["past", "k"], "t", axis=2)], "then", [], [helper.make_tensor_value_info("t", F, None)])
    if bad_branch:
        other = [node("MatMul", ["k", "past"], "e0"), node("Concat", ["e0", "e0"], "e", axis=3)]
    elif rank:
        other = [node("Squeeze", ["k"], "e")]
    else:
        other = [node("Identity", ["k"], "e")]
    other = helper.make_graph(other, "else", [], [helper.make_tensor_value_info("e", F, None)])
    nodes = [
        node("MatMul", ["x", "w"], "h"), node("Reshape", ["h", "heads"], "h4"), node("Transpose", ["h4"], "k", perm=[0, 2, 1, 3]), node("If", ["use_cache"], "keys", then_branch=then, else_branch=other),
        node("Transpose", ["keys"], "kt", perm=[0, 1, 3, 2]), node("MatMul", ["k", "kt"], "scores"), node("Softmax", ["scores"], "p", axis=-1), node("MatMul", ["p", "keys"], "y"), node("Identity", ["keys"], "present"),
    ]  # fmt: skip
    weights = {"w": rng(1).standard_normal((32, 32)).astype(np.float32) * 0.2, "heads": np.array([1, 1, 2, 16])}
    feeds = {"x": rng(2).standard_normal((1, 1, 32)).astype(np.float32), "past": rng(3).standard_normal((1, 2, 7, 16)).astype(np.float32), "use_cache": np.array([True])}
    return build(nodes, feeds, weights, ["y", "present"]), feeds


@pytest.mark.parametrize("cache", [True, False])
def test_branches_of_other_lengths(tmp_path, cache):
    model, feeds = merged_decoder()
    feeds["use_cache"] = np.array([cache])
    said = agrees(tmp_path, model, feeds, package=False)
    assert "--input-value use_cache=FILE.pb" in said


def test_branch_that_cannot_be_had(tmp_path):
    model, feeds = merged_decoder(bad_branch=True)
    next(i for i in model.graph.input if i.name == "past").type.tensor_type.shape.dim[2].dim_param = "P"
    said = agrees(tmp_path, model, feeds, options=("--dim=P=7",))
    assert "takes its then_branch" in said and "--input-value use_cache=FILE.pb" in said


def test_branches_that_do_not_fit(tmp_path):
    model, _ = merged_decoder(rank=True)
    onnx.save(model, tmp_path / "m.onnx")
    with pytest.raises(ane_mlir.CompileError, match="If: has a branch that gives .* --input-value use_cache=FILE.pb"):
        ane_mlir.compile(tmp_path / "m.onnx")


def mixture(reduction: str, experts: int = 4, tokens: int = 12, width: int = 32) -> tuple[onnx.ModelProto, dict[str, np.ndarray]]:
    """Eager PyTorch: for each expert where(mask), its rows, and index_add."""
    r = rng(5)
    weights = {
        "gate": r.standard_normal((width, experts)) * 0.2, "shape": np.array([-1, width]), "k": np.array([2]), "depth": np.array(experts), "off_on": np.array([0, 1]), "last": np.array([-1]),
        "one": np.array([1]), "two": np.array([2]), "zeros": np.zeros((tokens, width)) if reduction != "none" else r.standard_normal((tokens, width)),
    }  # fmt: skip
    nodes = [
        node("Reshape", ["x", "shape"], "rows"), node("MatMul", ["rows", "gate"], "logits"), node("Softmax", ["logits"], "probabilities", axis=-1), node("TopK", ["probabilities", "k"], ["top", "which"]),
        node("OneHot", ["which", "depth", "off_on"], "hot"), node("Transpose", ["hot"], "mask", perm=[2, 1, 0]), node("Unsqueeze", ["top", "two"], "top3"), node("Flatten", ["top3"], "flat", axis=2),
    ]  # fmt: skip
    state = "zeros"
    for e in range(experts):
        weights |= {f"e{e}": np.array(e), f"w{e}": r.standard_normal((width, width)) * 0.2}
        nodes += [
            node("Gather", ["mask", f"e{e}"], f"m{e}", axis=0), node("Cast", [f"m{e}"], f"b{e}", to=B), node("NonZero", [f"b{e}"], f"nz{e}"), node("Transpose", [f"nz{e}"], f"nt{e}", perm=[1, 0]),
            node("Split", [f"nt{e}"], [f"slot{e}", f"token{e}"], axis=1, num_outputs=2), node("Squeeze", [f"slot{e}", "one"], f"s{e}"), node("Squeeze", [f"token{e}", "one"], f"t{e}"),
            node("Gather", ["rows", f"t{e}"], f"x{e}"), node("MatMul", [f"x{e}", f"w{e}"], f"h{e}"), node("Tanh", [f"h{e}"], f"a{e}"),
            node("Mul", [f"t{e}", "two"], f"t2{e}"), node("Add", [f"t2{e}", f"s{e}"], f"at{e}"), node("Gather", ["flat", f"at{e}"], f"g{e}"), node("Mul", [f"a{e}", f"g{e}"], f"c{e}"),
            node("Unsqueeze", [f"t{e}", "one"], f"u{e}"), node("Shape", [f"c{e}"], f"sh{e}"), node("Expand", [f"u{e}", f"sh{e}"], f"i{e}"),
            node("ScatterElements", [state, f"i{e}", f"c{e}"], f"o{e}", axis=0, **({} if reduction == "none" else {"reduction": reduction})),
        ]  # fmt: skip
        state = f"o{e}"
    nodes.append(node("Add", ["rows", state], "y"))
    feeds = {"x": r.standard_normal((1, tokens, width)).astype(np.float32)}
    weights = {n: v.astype(np.float32) if v.dtype == np.float64 else v for n, v in weights.items()}
    return build(nodes, feeds, weights, ["y"], opset=18), feeds


@pytest.mark.parametrize("reduction", ["add", "none", "mul", "max"])
def test_mixture_of_experts(tmp_path, reduction):
    model, feeds = mixture(reduction)
    said = agrees(tmp_path, model, feeds)
    assert "takes every row where 4 NonZero" in said


def test_list_that_rows_look_across(tmp_path):
    """A sum over the rows that were picked is no matter of masking where they are put back: refused, as before."""
    feeds = {"x": rng(1).standard_normal((6, 4)).astype(np.float32), "m": np.array([1, 0, 1, 1, 0, 0], bool)}
    weights = {"zero": np.array([0]), "shape": np.array([-1])}
    nodes = [node("NonZero", ["m"], "n"), node("Reshape", ["n", "shape"], "i"), node("Gather", ["x", "i"], "g"), node("CumSum", ["g", "axis"], "s"), node("ReduceSum", ["s", "zero"], "r"), node("Add", ["x", "r"], "y")]
    weights["axis"] = np.array(0)
    onnx.save(build(nodes, feeds, weights, ["y"]), tmp_path / "m.onnx")
    with pytest.raises(ane_mlir.CompileError, match="depends on data"):
        ane_mlir.compile(tmp_path / "m.onnx")


def test_random_numbers(tmp_path):
    """Their mean, or an input of the model."""
    feeds = {"x": rng(1).standard_normal((1, 4, 6)).astype(np.float32)}
    noise = helper.make_node("RandomNormalLike", ["x"], ["z"], name="/dec/noise", mean=2.0)
    onnx.save(build([noise, node("Mul", ["z", "s"], "zs"), node("Add", ["x", "zs"], "y")], feeds, {"s": np.float32(0.5)}, ["y"]), tmp_path / "m.onnx")
    assert "RandomNormalLike: its random numbers are their mean" in convert(tmp_path / "m.onnx", tmp_path / "m.anepkg")
    near(ane_mlir.Bundle(tmp_path / "m.anepkg").run(feeds)["y"], feeds["x"] + 1, "mean", 1e-3)
    convert(tmp_path / "m.onnx", tmp_path / "i.anepkg", "--random=input")
    feeds["/dec/noise"] = rng(2).standard_normal((1, 4, 6)).astype(np.float32)
    near(ane_mlir.Bundle(tmp_path / "i.anepkg").run(feeds)["y"], feeds["x"] + feeds["/dec/noise"] / 2, "input", 1e-3)


def test_length_that_the_user_bounds(tmp_path):
    feeds = {"n": np.array(5, np.int64)}
    nodes = [helper.make_node("Range", ["zero", "n", "one"], ["r"], name="frames"), node("Less", ["r", "n"], "y")]
    onnx.save(build(nodes, feeds, {"zero": np.array(0), "one": np.array(1)}, [("y", B, None)]), tmp_path / "m.onnx")
    with pytest.raises(ane_mlir.CompileError, match="--max-length frames=N"):
        ane_mlir.compile(tmp_path / "m.onnx")
    convert(tmp_path / "m.onnx", tmp_path / "m.anepkg", "--max-length=frames=8")
    assert ane_mlir.Bundle(tmp_path / "m.anepkg").run(feeds)["y"].tolist() == [True] * 5 + [False] * 3


# Forms that the engine has.


@pytest.mark.parametrize("mode", ["reflect", "edge"])
def test_pads_stay_on_the_engine(tmp_path, mode):
    weights = {"pads": np.array([0, 0, 3, 2, 0, 0, 1, 4]), "w": (rng(2).standard_normal((8, 8, 3, 3)) * 0.1).astype(np.float32)}
    nodes = [node("Conv", ["x", "w"], "a", pads=[1, 1, 1, 1]), node("Pad", ["a", "pads"], "b", mode=mode), node("Conv", ["b", "w"], "y")]
    feeds = {"x": rng(1).standard_normal((1, 8, 12, 12)).astype(np.float32)}
    agrees(tmp_path, build(nodes, feeds, weights, ["y"]), feeds)
    assert programs(tmp_path) == 1


@pytest.mark.parametrize("between", [[], ["Relu"], ["Add", "Relu"]])
def test_pixel_shuffle_behind_a_convolution(tmp_path, between):
    """Exporters write the order CRD; the engine has DCR, which is a matter of the weights."""
    weights = {"w": (rng(2).standard_normal((45, 8, 3, 3)) * 0.1).astype(np.float32), "b": rng(3).standard_normal(45).astype(np.float32), "c": rng(4).standard_normal((1, 45, 1, 1)).astype(np.float32)}
    nodes, x = [node("Conv", ["x", "w", "b"], "a", pads=[1, 1, 1, 1])], "a"
    for i, op in enumerate(between):
        nodes.append(node(op, [x, "c"] if op == "Add" else [x], f"v{i}"))
        x = f"v{i}"
    nodes.append(node("DepthToSpace", [x], "y", blocksize=3, mode="CRD"))
    feeds = {"x": rng(1).standard_normal((1, 8, 10, 12)).astype(np.float32)}
    agrees(tmp_path, build(nodes, feeds, weights, ["y"]), feeds)
    assert programs(tmp_path) == 1
