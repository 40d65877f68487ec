"""Forms that the engine takes for what it does not: one engine program, nothing on the host, the numbers of ONNX Runtime."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable

import architectures
import numpy as np
import onnx
import pytest
from architectures import Net
from conftest import check, reference

import ane_mlir

PRECISIONS = ("fp32", "fp16")


def compiled(tmp_path, model: onnx.ModelProto, *options: str) -> dict:
    """The report of a model that is compiled without being measured."""
    onnx.save(model, tmp_path / "m.onnx")
    command = [ane_mlir.find_tool("onnx-to-ane"), tmp_path / "m.onnx", "-o", tmp_path / "m.anepkg", f"--report={tmp_path}/r.json", "--quiet"]
    subprocess.run([*command, "--calibration=none", "--check=off", *options], check=True)
    return json.loads((tmp_path / "r.json").read_text())


def feeds_of(model: onnx.ModelProto, scale: float = 1.0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(11)
    return {i.name: (scale * rng.standard_normal([d.dim_value for d in i.type.tensor_type.shape.dim])).astype(np.float32) for i in model.graph.input}


def check_values(tmp_path, model: onnx.ModelProto, precision: str, scale: float = 1.0) -> None:
    onnx.save(model, tmp_path / "m.onnx")
    feeds = feeds_of(model, scale)
    options = ["--check=off", *(["--calibration=none"] if precision == "fp16" else [])]
    bundle = ane_mlir.compile(tmp_path / "m.onnx", precision=precision, options=options)
    check(bundle.run(feeds, numerics=precision), reference(tmp_path / "m.onnx", feeds), precision)


def kinds(report: dict) -> list[str]:
    return [program["kind"] for program in report["programs"]]


def on_host(report: dict) -> list[tuple[str, str, str]]:
    return [(row["op"], row["rule"], row["reason"]) for row in report["ops"] if row["placement"] == "host"]


CASES: dict[str, Callable[[], onnx.ModelProto]] = {}


def case(*shape: int, seed: int = 0):
    """A graph on one input `x` of `shape`; the function returns the name of its result."""

    def register(build: Callable[[Net], str]) -> None:
        def make() -> onnx.ModelProto:
            g = Net(seed)
            return g.model({"x": list(shape)}, build(g))

        CASES[build.__name__] = make

    return register


# Pads
@case(1, 8, 20, 24)
def reflect_pad(g):
    return g.conv(g.pad("x", 0, 0, 3, 2, 0, 0, 1, 3), 8, 8, 3, pads=0)


@case(1, 1, 1, 600)
def wide_reflect_pad(g):
    return g.op("Mul", g.pad("x", 0, 0, 0, 200, 0, 0, 0, 256), g.number(2))


@case(1, 4, 9, 12)
def edge_pad(g):
    return g.op("Relu", g.pad("x", 0, 0, 2, 30, 0, 0, 1, 2, mode="edge"))


@case(1, 8, 9, 12)
def channel_pad(g):
    return g.op("Relu", g.op("Pad", "x", g.ints(0, 3, 1, 0, 0, 5, 0, 2), g.number(0.5)))


# Pools
@case(1, 16, 56, 56)
def average_of_the_map(g):
    return g.op("AveragePool", "x", kernel_shape=[56, 56])


@case(1, 16, 40, 12)
def maximum_of_rows(g):
    return g.op("MaxPool", "x", kernel_shape=[40, 1])


@case(1, 8, 20, 20)
def pyramid(g):
    return g.op("Concat", "x", *[g.op("MaxPool", "x", kernel_shape=[k, k], strides=[1, 1], pads=[k // 2] * 4) for k in (5, 9, 13)], axis=1)


@case(1, 8, 31, 40)
def large_strided_maximum(g):
    return g.op("MaxPool", "x", kernel_shape=[13, 17], strides=[2, 3], pads=[9, 3, 6, 12])


@case(1, 4, 130, 131)
def large_average(g):
    return g.op("AveragePool", "x", kernel_shape=[64, 64], strides=[64, 64])


# Axes
@case(1, 16, 96, 96)
def group_norm_of_long_rows(g):
    return g.group_norm("x", 16, 2, [1, 16, 96, 96])


@case(1, 4, 300, 300)
def instance_norm_of_a_large_map(g):
    return g.instance_norm("x", 4)


@case(2, 8, 6, 10)
def pixel_shuffle(g):
    return g.op("Relu", g.op("DepthToSpace", "x", blocksize=2, mode="CRD"))


@case(2, 12, 6, 10)
def pixel_shuffle_by_hand(g):
    y = g.op("Transpose", g.op("Reshape", "x", g.ints(2, 3, 2, 2, 6, 10)), perm=[0, 1, 4, 2, 5, 3])
    return g.op("Relu", g.op("Reshape", y, g.ints(2, 3, 12, 20)))


@case(2, 4, 12, 12)
def pixel_unshuffle_by_hand(g):
    y = g.op("Transpose", g.op("Reshape", "x", g.ints(2, 4, 4, 3, 4, 3)), perm=[0, 1, 3, 5, 2, 4])
    return g.op("Relu", g.op("Reshape", y, g.ints(2, 36, 4, 4)))


@case(2, 14, 14, 24)
def window_partition(g):
    y = g.op("Transpose", g.op("Reshape", g.op("Relu", "x"), g.ints(2, 2, 7, 2, 7, 24)), perm=[0, 1, 3, 2, 4, 5])
    return g.op("Mul", g.op("Reshape", y, g.ints(8, 49, 24)), g.number(0.5))


@case(6, 20, 14)
def six_axes_reversed(g):
    y = g.op("Transpose", g.op("Reshape", g.op("Relu", "x"), g.ints(2, 3, 4, 5, 2, 7)), perm=[5, 4, 3, 2, 1, 0])
    return g.op("Reshape", y, g.ints(14, 20, 6))


@case(4, 6, 35)
def rank_6_arithmetic(g):
    y = g.op("Softmax", g.op("Reshape", "x", g.ints(2, 2, 1, 6, 5, 7)), axis=3)
    return g.op("ReduceMean", g.op("Reshape", g.op("Mul", y, g.random(6, 5, 7)), g.ints(2, 2, 6, 5, 7)), axes=[1])


# Kernels and strides
@case(1, 8, 40, 36)
def depthwise_31(g):
    return g.conv("x", 8, 8, 31, groups=8)


@case(1, 64, 100)
def conv_of_128(g):
    return g.conv("x", 64, 64, (128,), pads=[64], groups=4)


@case(1, 8, 300)
def dilated_11(g):
    return g.conv("x", 8, 12, (11,), pads=[25], dilations=[5])


@case(1, 3, 67, 67)
def conv_11_by_4(g):
    return g.conv("x", 3, 16, 11, pads=2, strides=[4, 4])


@case(1, 8, 33, 40)
def grouped_9_by_2(g):
    return g.op("Conv", "x", g.random(16, 4, 9, 11, scale=0.1), kernel_shape=[9, 11], pads=[1, 5, 4, 2], strides=[2, 3], group=2)


@case(1, 1, 800)
def conv_10_by_5(g):
    return g.conv("x", 1, 16, (10,), pads=[0], strides=[5])


@case(1, 32, 20)
def transposed_16_by_8(g):
    return g.up("x", 32, 16, 16, 8, 4)


@case(1, 16, 21)
def transposed_10_by_5(g):
    return g.op("ConvTranspose", "x", g.random(16, 8, 10, scale=0.1), g.random(8), kernel_shape=[10], strides=[5], pads=[3, 2], output_padding=[3])


@case(1, 8, 9, 10)
def transposed_grouped(g):
    return g.op("ConvTranspose", "x", g.random(8, 3, 9, 11, scale=0.1), g.random(6), kernel_shape=[9, 11], strides=[2, 5], pads=[3, 6, 4, 7], group=2)


@case(1, 2, 16384)
def padded_beyond_the_limit(g):
    return g.conv("x", 2, 3, (7,), pads=[3])


@case(1, 20000, 1, 8)
def many_inputs(g):
    return g.conv("x", 20000, 8, 1)


@case(1, 8, 1, 8)
def many_outputs(g):
    return g.op("Relu", g.conv("x", 8, 40000, 1))


@case(1, 24, 13, 13)
def response_norm(g):
    return g.op("LRN", g.op("Mul", "x", g.number(40)), size=5, alpha=1e-2, beta=0.75, bias=1.0)


# Selections
@case(1, 8, 6, 32)
def logic(g):
    above, below = g.op("Greater", "x", g.number(-0.5)), g.op("Less", "x", g.number(0.8))
    both = g.op("And", above, below)
    odd = g.op("Xor", g.op("Or", both, g.op("Less", "x", g.number(-1.2))), g.op("Greater", "x", g.number(1.5)))
    return g.op("Where", odd, "x", g.number(0.25))


@case(1, 12, 6, 10)
def gather_of_known_places(g):
    y = g.op("Gather", "x", g.const(np.array([5, 4, 3, 0, 1, 2, 11, 7, 7], np.int64)), axis=1)
    return g.op("Relu", g.op("Gather", y, g.const(np.array([[0, 9], [3, 1]], np.int64)), axis=3))


@case(1, 8, 4, 5)
def tile_before_conv(g):
    return g.op("Relu", g.conv(g.op("Tile", "x", g.ints(100, 1, 1, 2)), 8, 4, 1))


@case(1, 6, 5, 7)
def mask_head(g):
    """As DETR writes it: features for each of many queries, beside the queries' own."""
    own = g.op("Relu", g.op("Mul", g.op("Slice", "x", g.ints(0), g.ints(1), g.ints(1)), g.random(70, 1, 1, 1)))

    def expand(x, channels):
        wide = g.op("Tile", g.op("Unsqueeze", x, g.ints(1)), g.ints(1, 70, 1, 1, 1))
        return g.op("Reshape", wide, g.ints(70, channels, 5, 7))

    y = g.op("Relu", g.conv(g.op("Concat", expand("x", 6), own, axis=1), 7, 8, 3))
    return g.op("Relu", g.op("Add", expand(g.conv("x", 6, 8, 1), 8), y))


@case(1, 6, 5, 7)
def relu6(g):
    return g.op("Clip", g.op("Mul", "x", g.number(6)), g.number(0), g.number(6))


# Resizing
def resized(name: str, mode: str, shape, scales) -> None:
    def build(g):
        return g.op("Resize", "x", "", g.const(np.array([1, 1, *scales], np.float32)), mode="linear", coordinate_transformation_mode=mode)

    build.__name__ = name
    case(*shape)(build)


resized("bilinear_2", "half_pixel", (1, 6, 9, 13), (2, 2))
resized("bilinear_3", "pytorch_half_pixel", (2, 6, 9, 13), (3, 3))
resized("bilinear_4_by_1", "half_pixel", (1, 6, 9, 13), (4, 1))
resized("bilinear_8", "half_pixel", (1, 3, 5, 7), (8, 8))
resized("bilinear_1_and_a_half", "half_pixel", (1, 3, 8, 10), (1.5, 2.5))
resized("bilinear_aligned", "align_corners", (1, 3, 8, 10), (2, 3))
resized("bilinear_asymmetric", "asymmetric", (1, 3, 8, 10), (2, 2))


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", CASES)
def test_values(tmp_path, name, precision):
    check_values(tmp_path, CASES[name](), precision)


@pytest.mark.parametrize("target", ["h13", "h16"])
@pytest.mark.parametrize("name", CASES)
def test_one_program(tmp_path, name, target):
    found = compiled(tmp_path, CASES[name](), f"--target={target}")
    assert kinds(found) == ["ane"], on_host(found)


# What a rule of grade A keeps off the engine, and how many engine programs that leaves.
FORCED = {"encodec_decoder": (2, {"L05", "L07"})}  # an LSTM; the host computes it in fp32
NARROW = {"poolformer": (4, {}), "swin": (2, {"image": 56}), "vae_decoder": (8, {"latent": 16}), "style_transfer": (4, {"image": 96}),
          "yolox": (4, {"image": 128}), "alexnet": (8, {}), "hifigan": (16, {"frames": 12}), "conformer": (4, {"frames": 64}), "replknet": (8, {}),
          "encodec_decoder": (8, {"frames": 8})}


@pytest.mark.parametrize("name", architectures.BUILDERS)
def test_architecture_is_whole(tmp_path, name):
    found = compiled(tmp_path, architectures.BUILDERS[name]())
    programs, rules = FORCED.get(name, (1, set()))
    assert kinds(found).count("ane") == programs and {rule for _, rule, _ in on_host(found)} == rules, on_host(found)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", architectures.BUILDERS)
def test_architecture_values(tmp_path, name, precision):
    width, smaller = NARROW[name]
    check_values(tmp_path, architectures.BUILDERS[name](width=width, **smaller), precision)


@pytest.mark.parametrize("target", ["h13", "h15", "h17"])
@pytest.mark.parametrize("name", ["swin", "conformer", "poolformer", "replknet"])
def test_architecture_values_elsewhere(tmp_path, name, target):
    """Limits and rules of other generations make other forms."""
    width, smaller = NARROW[name]
    model = architectures.BUILDERS[name](width=width, **smaller)
    onnx.save(model, tmp_path / "m.onnx")
    feeds = feeds_of(model)
    bundle = ane_mlir.compile(tmp_path / "m.onnx", target=target, options=["--check=off", "--calibration=none"])
    assert [p["kind"] for p in bundle.manifest["programs"]] == ["ane"]
    check(bundle.run(feeds, numerics="fp16"), reference(tmp_path / "m.onnx", feeds), "fp16")
