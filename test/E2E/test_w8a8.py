"""Activations of bytes: MIL text as it is written by hand for the engine, and ONNX models with pairs of QuantizeLinear and DequantizeLinear."""

from __future__ import annotations

import json
import subprocess

import numpy as np
import onnx
import pytest
from architectures import Net
from conftest import cosine, reference, relative

import ane_mlir

HEADER = 'program(1.3)\n[buildInfo = dict<string, string>({{"coremlc-component-MIL", "3510.2.1"}, {"coremlc-version", "3505.4.1"}})]\n{\n    func main<ios18>(%s x) {\n'
WINDOW = """        string pt = const()[name = string("pt"), val = string("valid")];
        tensor<int32, [2]> st = const()[name = string("st"), val = tensor<int32, [2]>([1, 1])];
        tensor<int32, [4]> pd = const()[name = string("pd"), val = tensor<int32, [4]>([0, 0, 0, 0])];
        tensor<int32, [2]> dl = const()[name = string("dl"), val = tensor<int32, [2]>([1, 1])];
        int32 gr = const()[name = string("gr"), val = int32(1)];
        fp16 qs = const()[name = string("qs"), val = fp16(0x1p-5)];
        string qd = const()[name = string("qd"), val = string("int8")];
"""


def weight_file(folder, layers: int, width: int) -> list[int]:
    """Bytes in one weight file, as engine/weights.md §2 has it; the offsets of their descriptors."""
    rng, data, offsets = np.random.default_rng(0), bytearray(64), []
    for _ in range(layers):
        offsets.append(len(data))
        payload = rng.integers(-127, 128, (width, width), np.int8).tobytes()
        descriptor = bytearray(64)
        descriptor[0:4] = (0xDEADBEEF).to_bytes(4, "little")
        descriptor[4:8] = (4).to_bytes(4, "little")
        descriptor[8:16] = len(payload).to_bytes(8, "little")
        descriptor[16:24] = (len(data) + 64).to_bytes(8, "little")
        data += descriptor + payload + bytes(-len(payload) % 64)
    data[0:4], data[4:8] = layers.to_bytes(4, "little"), (2).to_bytes(4, "little")
    (folder / "weights").mkdir(exist_ok=True)
    (folder / "weights" / "weight.bin").write_bytes(data)
    return offsets


def text(folder, layers: int, width: int, side: int, codes: bool) -> str:
    """A chain of 1x1 convolutions; with `codes` each reads bytes (engine/mil-text.md §1.9 f)."""
    tensor = f"[1, {width}, {side}, {side}]"
    lines, value = [HEADER % f"tensor<fp16, {tensor}>", WINDOW], "x"
    for i, offset in enumerate(weight_file(folder, layers, width)):
        blob = f'tensor<int8, [{width}, {width}, 1, 1]>(BLOBFILE(path = string("@model_path/weights/weight.bin"), offset = uint64({offset})))'
        scale = f"fp16({float(1 / (74 * width**0.5)):.6g})"
        lines.append(f'        tensor<fp16, [{width}, {width}, 1, 1]> w{i} = constexpr_affine_dequantize()[axis = int32(0), name = string("w{i}"), quantized_data = {blob}, scale = {scale}, zero_point = int8(0)];\n')
        if codes:
            lines.append(f'        tensor<int8, {tensor}> q{i} = quantize(input = {value}, output_dtype = qd, scale = qs)[name = string("q{i}")];\n')
            lines.append(f'        tensor<fp16, {tensor}> d{i} = dequantize(input = q{i}, scale = qs)[name = string("d{i}")];\n')
            value = f"d{i}"
        lines.append(f'        tensor<fp16, {tensor}> y{i} = conv(dilations = dl, groups = gr, pad = pd, pad_type = pt, strides = st, weight = w{i}, x = {value})[name = string("y{i}")];\n')
        value = f"y{i}"
    return "".join(lines) + f"    }} -> ({value});\n}}\n"


def compiled(tmp_path, model, *options: str) -> dict:
    command = [ane_mlir.find_tool("onnx-to-ane"), model, "-o", tmp_path / "m.anepkg", f"--report={tmp_path}/r.json", "--quiet", "--calibration=none", "--check=off", *options]
    subprocess.run([*map(str, command)], check=True)
    return json.loads((tmp_path / "r.json").read_text())


def total(report: dict) -> float:
    return sum(program["predicted_us"] for program in report["programs"])


@pytest.mark.parametrize("target", ["h16", "m5"])
@pytest.mark.parametrize("layers, width, side", [(8, 512, 64), (48, 512, 64), (8, 1024, 32)])
def test_text(tmp_path, layers, width, side, target):
    found = {}
    for codes in (True, False):
        path = tmp_path / "m.mil"
        path.write_text(text(tmp_path, layers, width, side, codes))
        found[codes] = compiled(tmp_path, path, f"--target={target}")
        assert [program["kind"] for program in found[codes]["programs"]] == ["ane"]
    kinds = [row["op"] for row in found[True]["ops"]]
    assert kinds.count("ane.quantize") == kinds.count("ane.dequantize") == layers
    assert 1.5 <= total(found[False]) / total(found[True]) <= 2


def test_text_before_m3(tmp_path):
    """Nobody tried quantize there: the pairs are arithmetic, and one program."""
    path = tmp_path / "m.mil"
    path.write_text(text(tmp_path, 4, 64, 32, True))
    found = compiled(tmp_path, path, "--target=m1")
    assert [program["kind"] for program in found["programs"]] == ["ane"]
    assert not any(row["op"] in ("ane.quantize", "ane.dequantize") for row in found["ops"])


def quantized(layers: int, width: int, side: int, zero: int = 0) -> onnx.ModelProto:
    """Static quantisation of a chain of 1x1 convolutions: bytes for activations, one scale for each output channel of the weights."""
    g, x = Net(3), "x"
    origin = g.const(np.array(zero, np.int8))
    for _ in range(layers):
        step = g.number(1 / 32)
        x = g.op("DequantizeLinear", g.op("QuantizeLinear", x, step, origin), step, origin)
        codes = g.const(g.rng.integers(-127, 128, (width, width, 1, 1), np.int8))
        scales = g.const((g.rng.uniform(0.5, 1.5, width) / (74 * width**0.5)).astype(np.float32))
        w = g.op("DequantizeLinear", codes, scales, g.const(np.zeros(width, np.int8)), axis=0)
        x = g.op("Relu", g.op("Conv", x, w, g.random(width, scale=0.3)))
    return g.model({"x": [1, width, side, side]}, x)


@pytest.mark.parametrize("layers", [8, 48])
def test_pairs_of_onnx(tmp_path, layers):
    onnx.save(quantized(layers, 512, 64), tmp_path / "m.onnx")
    bytes_, floats = (compiled(tmp_path, tmp_path / "m.onnx", f"--quantized-activations={how}") for how in ("auto", "float"))
    assert [program["kind"] for program in bytes_["programs"]] == ["ane"]
    assert [row["op"] for row in bytes_["ops"]].count("ane.quantize") == layers
    # One byte for each weight, and little else.
    assert sum(row["weight_bytes"] for row in bytes_["ops"]) <= 1.1 * layers * 512 * 512
    # Floats keep the limits of each pair: a clip in every layer, beside the product that bytes compute in half the time.
    assert 1.5 <= total(floats) / total(bytes_) <= 2.25


def test_values_of_pairs(tmp_path):
    """Each of four layers rounds to the steps of ONNX Runtime, but for what fp16 moves across one: within the bar of the tool itself."""
    model = quantized(4, 64, 8)
    onnx.save(model, tmp_path / "m.onnx")
    feeds = {"x": np.random.default_rng(1).standard_normal((1, 64, 8, 8)).astype(np.float32)}
    bundle = ane_mlir.compile(tmp_path / "m.onnx", options=["--calibration=none", "--check=off"])
    (actual,), (expected,) = bundle.run(feeds, numerics="fp16").values(), reference(tmp_path / "m.onnx", feeds)
    assert relative(actual, expected) <= 2e-2 and cosine(actual, expected) >= 0.999


def test_few_or_uneven_pairs_stay_floats(tmp_path):
    for model in (quantized(3, 64, 8), quantized(6, 64, 8, zero=3)):
        onnx.save(model, tmp_path / "m.onnx")
        assert not any(row["op"] == "ane.quantize" for row in compiled(tmp_path, tmp_path / "m.onnx")["ops"])
