"""What the engine's own passes do to models people run: numerics, layout, programs, on every generation."""

from __future__ import annotations

import json
import subprocess

import numpy as np
import onnx
import pytest
from conftest import check, cosine, reference
from onnx import TensorProto, helper, numpy_helper

import ane_mlir
import builders as models

TARGETS = ("h13", "h14", "h15", "h16", "h17")
# Transposes of ONNX that are run-time data in our models, too: rotary tables, the tokens themselves.
BUILD = {name: build for name, build in models.BUILDERS.items()}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Path, inputs and ONNX Runtime's outputs of each model."""
    folder, made = tmp_path_factory.mktemp("models"), {}
    for name, build in BUILD.items():
        model = build()
        path = folder / f"{name}.onnx"
        onnx.save(model, path)
        rng = np.random.default_rng(1)
        feeds = {i.name: rng.standard_normal([d.dim_value for d in i.type.tensor_type.shape.dim]).astype(np.float32) for i in model.graph.input}
        made[name] = (path, feeds, reference(path, feeds), sum(n.op_type == "Transpose" for n in model.graph.node))
    return made


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("name", BUILD)
def test_values(built, name, precision):
    path, feeds, expected, _ = built[name]
    check(ane_mlir.compile(path, precision=precision).run(feeds, numerics=precision), expected, precision)


def report(tmp_path, path, *options) -> dict:
    subprocess.run([ane_mlir.find_tool("onnx-to-ane"), path, "-o", tmp_path / "m.anepkg", f"--report={tmp_path}/r.json", "--quiet", *options], check=True)
    return json.loads((tmp_path / "r.json").read_text())


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", BUILD)
def test_placement(built, tmp_path, name, target):
    """Every constant product is a convolution, few transposes are left, one program takes all of it."""
    path, _, _, transposes = built[name]
    found = report(tmp_path, path, f"--target={target}", "--require-ane")
    engine = [op for op in found["ops"] if op["placement"] == "ane"]
    assert len(engine) == len(found["ops"])
    # But for rotary positions along the width, where the generation refuses halves (L34): a permutation of one head.
    assert not [op for op in engine if op["op"] == "ane.matmul" and op["weight_bytes"] > (2 * 128**2 if target == "h15" else 0)]
    left = sum(op["op"] == "ane.transpose" for op in engine)
    assert left <= max(transposes / 3, 1) or name == "llama_prefill" and left <= 4  # there the rotary tables are inputs
    assert [p["kind"] for p in found["programs"]] == ["ane"]


def padded_convolutions() -> onnx.ModelProto:
    """A Pad of its own in front of each convolution, as some exporters write it."""
    rng, nodes, weights, x = np.random.default_rng(0), [], [], "x"
    for i in range(4):
        weights += [numpy_helper.from_array((rng.standard_normal((64, 64, 3, 3)) / 24).astype(np.float32), f"w{i}")]
        weights += [numpy_helper.from_array(np.array([0, 0, 1, 1, 0, 0, 1, 1], np.int64), f"p{i}")]
        nodes += [helper.make_node("Pad", [x, f"p{i}"], [f"padded{i}"]), helper.make_node("Conv", [f"padded{i}", f"w{i}"], [f"y{i}"])]
        x = f"y{i}"
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 64, 112, 112])], [helper.make_tensor_value_info(x, TensorProto.FLOAT, None)], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_passes_pay(built, tmp_path):
    """Predicted time with all passes is never more than with one of them off, and each pass pays on some model.

    ane-recover may cost: its norms hold rows of any size, which those of exporters do not. Reshapes between channels and width
    are copies, which a single token's products as convolutions need more of: a tenth of a microsecond each."""
    switches = ("ane-matmul-to-conv", "ane-assign-layout", "ane-fold-into-conv", "ane-recover")
    models_and_paths = {name: path for name, (path, *_) in built.items()}
    models.build_gpt2(tmp_path / "wide.onnx", layers=1, width=768, heads=12, vocabulary=1000, external=False)
    models_and_paths["gpt2_wide"] = tmp_path / "wide.onnx"
    # What is added and multiplied behind a convolution costs nothing in the model; padding in front of it does.
    onnx.save(padded_convolutions(), tmp_path / "padded.onnx")
    models_and_paths["padded"] = tmp_path / "padded.onnx"
    paying = set()
    for name, path in models_and_paths.items():
        full = report(tmp_path, path)["summary"]["predicted_engine_us"]
        less = {off: report(tmp_path, path, f"--disable-pass={off}")["summary"]["predicted_engine_us"] for off in switches}
        off_all = report(tmp_path, path, f"--disable-pass={','.join(switches)}")["summary"]["predicted_engine_us"]
        print(f"{name}: {full:.1f} us predicted, all off {off_all:.1f}, " + ", ".join(f"without {off} {us:.1f}" for off, us in less.items()))
        for off, us in less.items():
            assert full <= us * 1.001 + 0.5 or off == "ane-recover", f"{name}: {full:.1f} us, without {off} {us:.1f} us"
        paying |= {off for off, us in less.items() if us > full * 1.01}
    assert paying >= set(switches) - {"ane-recover"}


def test_hybrid_falls_out_of_the_numbers(tmp_path):
    """Many tokens pay on the engine, one token of a small model on the host; the report says where that turns."""
    shape = dict(layers=1, width=512, heads=8, kv_heads=4, hidden=1408)
    onnx.save(models.build_llama(tokens=128, **shape), tmp_path / "prefill.onnx")
    onnx.save(models.build_llama(tokens=1, past=127, **shape), tmp_path / "decode.onnx")
    for name, kind in (("prefill", "ane"), ("decode", "host")):
        found = report(tmp_path, tmp_path / f"{name}.onnx", "--placement=cost")
        assert {p["kind"] for p in found["programs"]} == {kind}, name
        choice = found["alternatives"]
        assert choice["placed_us"] == choice["cheapest_us"] <= choice["host_only_us"]
        pays = choice["engine_pays_from_times_positions"]  # null is never: a longer cache is copied more slowly than the host reads it
        assert (pays is not None and pays < 1) == (kind == "ane")
        print(f"{name}: {choice}")
        # By default the engine takes what it can.
        assert {p["kind"] for p in report(tmp_path, tmp_path / f"{name}.onnx")["programs"]} == {"ane"}


def test_gpt2(tmp_path):
    """124M parameters: two programs, seconds to compile, and twice the layers cost about twice."""
    import time

    seconds = {}
    for layers in (6, 12):
        path = tmp_path / f"gpt2_{layers}.onnx"
        models.build_gpt2(path, layers=layers, vocabulary=50257)
        start = time.monotonic()
        found = report(tmp_path, path)
        seconds[layers] = time.monotonic() - start
    assert [p["kind"] for p in found["programs"]].count("ane") <= 20
    engine = [op for op in found["ops"] if op["placement"] == "ane"]
    assert sum(op["op"] == "ane.transpose" for op in engine) <= 2
    assert not [op for op in engine if op["op"] == "ane.matmul" and op["weight_bytes"] > 0]
    print(f"gpt2 124M: {seconds[12]:.2f} s; 6 layers {seconds[6]:.2f} s")
    assert seconds[12] <= 2.2 * seconds[6] + 0.5  # 3 s where the machine is quiet


@pytest.mark.parametrize("target", ("h13", "h15", "h16", "h17"))
@pytest.mark.parametrize("name", BUILD)
def test_engine_numerics(built, name, target):
    """The generation's own accumulators and tables, with NaN in all surface padding."""
    path, feeds, expected, _ = built[name]
    for (output, actual), e in zip(ane_mlir.compile(path, target=target).run(feeds, numerics="engine").items(), expected):
        assert cosine(actual, e) >= 0.999, output


def test_run_time_weights(tmp_path):
    """Products with weights that are inputs: convolutions on the engine, in the one form that was seen to work (L19)."""
    value = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)  # noqa: E731
    nodes = [helper.make_node("Gemm", ["x", "w1"], ["h"], transB=1), helper.make_node("Relu", ["h"], ["r"]), helper.make_node("Gemm", ["r", "w2"], ["y"], transB=1)]
    graph = helper.make_graph(nodes, "g", [value("x", [40, 64]), value("w1", [96, 64]), value("w2", [48, 96])], [value("y", [40, 48])])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "m.onnx")
    rng = np.random.default_rng(8)
    feeds = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in (("x", (40, 64)), ("w1", (96, 64)), ("w2", (48, 96)))}
    bundle = ane_mlir.compile(tmp_path / "m.onnx", output=tmp_path / "m.anepkg")
    text = (tmp_path / "m.anepkg" / "programs" / "000.mil").read_text()
    assert text.count(" = conv(") == 2 and "matmul(" not in text
    assert "tensor<fp16, [1, 96, 1, 64]> a001" in text and "tensor<fp16, [1, 48, 1, 96]> a002" in text
    for numerics in ("fp16", "engine"):
        check(bundle.run(feeds, numerics=numerics), reference(tmp_path / "m.onnx", feeds), "fp16")


def test_quantized_weights(tmp_path):
    """int8 weights: half the bytes, less predicted time where they are streamed, values within their precision."""
    models.build_gpt2(tmp_path / "m.onnx", layers=2, vocabulary=1000, sequence=8)
    ids = {"ids": np.arange(8, dtype=np.int64).reshape(1, 8)}
    expected = reference(tmp_path / "m.onnx", ids)
    predicted, size = {}, {}
    for quantize in ("none", "int8"):
        bundle = ane_mlir.compile(tmp_path / "m.onnx", output=tmp_path / f"{quantize}.anepkg", options=[f"--quantize={quantize}"])
        size[quantize] = sum(f.stat().st_size for f in (tmp_path / f"{quantize}.anepkg" / "weights").iterdir())
        predicted[quantize] = sum(p["predicted_us"] for p in bundle.manifest["programs"] if p["kind"] == "ane")
        for numerics in ("fp16", "engine"):
            for got, wanted in zip(bundle.run(ids, numerics=numerics).values(), expected):
                assert cosine(got, wanted) >= (0.999 if quantize == "none" else 0.99)
    text = "".join(f.read_text() for f in (tmp_path / "int8.anepkg" / "programs").iterdir())
    assert "constexpr_blockwise_shift_scale(" in text and "tensor<int8, [" in text
    print(f"predicted {predicted['none']:.0f} us with fp16 weights, {predicted['int8']:.0f} us with int8 ones")
    assert size["int8"] < 0.6 * size["none"] and predicted["int8"] < predicted["none"]
    # A package takes them too; older text does not.
    package = ane_mlir.compile(tmp_path / "m.onnx", output=tmp_path / "m.mlpackage", options=["--quantize=int8"])
    assert ane_mlir.verify(package.path) == []
    for got, wanted in zip(package.run(ids).values(), expected):
        assert cosine(got, wanted) >= 0.99
    with pytest.raises(ValueError, match="which h13 was not seen to take"):
        ane_mlir.compile(tmp_path / "m.onnx", target="h13", options=["--quantize=int8"])


@pytest.mark.parametrize("target", ("h13", "h15", "h16", "h17"))
def test_rounding(tmp_path, target):
    """round with ties to even, and factors behind floor and ceil, although the engine does neither."""
    value = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, [4, 512])  # noqa: E731
    nodes = [helper.make_node("Round", ["x"], ["r"]), helper.make_node("Floor", ["x"], ["f"]), helper.make_node("Mul", ["f", "quarter"], ["y"]),
             helper.make_node("Ceil", ["x"], ["c"]), helper.make_node("Mul", ["quarter", "c"], ["z"])]
    graph = helper.make_graph(nodes, "g", [value("x")], [value("r"), value("y"), value("z")], [numpy_helper.from_array(np.array(0.25, np.float32), "quarter")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "m.onnx")
    x = np.concatenate([np.arange(-512, 512) / 2, np.linspace(-2047, 2047, 1024).round(), ]).astype(np.float16).astype(np.float32).reshape(4, 512)
    bundle = ane_mlir.compile(tmp_path / "m.onnx", target=target)
    assert [p["kind"] for p in bundle.manifest["programs"]] == ["ane"]
    for numerics in ("fp16", "engine"):
        for got, wanted in zip(bundle.run({"x": x}, numerics=numerics).values(), reference(tmp_path / "m.onnx", {"x": x})):
            np.testing.assert_array_equal(got, wanted.astype(np.float16).astype(np.float32), err_msg=numerics)
