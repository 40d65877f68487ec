"""Programs as people write them who tune for the engine by hand: what is copied, in how many parts, and that values stay what they are."""

from __future__ import annotations

import json
import pathlib
import subprocess

import builders
import numpy as np
import onnx
import pytest
from conftest import check, cosine, reference

import ane_mlir


def report(model: onnx.ModelProto, folder: pathlib.Path, *options: str) -> dict:
    onnx.save(model, folder / "m.onnx")
    subprocess.run([ane_mlir.find_tool("onnx-to-ane"), folder / "m.onnx", "-o", folder / "m.anepkg", f"--report={folder}/r.json", "--quiet", "--check=off", *options],
                   check=True)  # fmt: skip
    return json.loads((folder / "r.json").read_text())


def count(found: dict, *kinds: str) -> int:
    return sum(op["op"].removeprefix("ane.") in kinds for op in found["ops"])


def product(rows: int, inner: int, columns: int) -> onnx.ModelProto:
    g = builders._Random(0)
    return g.finish({"a": (rows, inner)}, {"y": g.node("MatMul", "a", g.random(inner, columns))})


def attention(heads: int, tokens: int, size: int) -> onnx.ModelProto:
    g = builders._Random(0)
    shape = (1, heads, tokens, size)
    scores = g.node("MatMul", "q", g.node("Transpose", "k", perm=[0, 1, 3, 2]))
    y = g.node("MatMul", g.node("Softmax", g.node("Mul", scores, g.scalar(size**-0.5)), axis=-1), "v")
    return g.finish({"q": shape, "k": shape, "v": shape}, {"y": y})


def test_surfaces_carry_the_layout(tmp_path):
    """One product is one convolution: the host writes its input and reads its output in the order that it wants."""
    found = report(product(96, 64, 160), tmp_path)
    assert [op["op"] for op in found["ops"]] == ["ane.conv"]
    rng = np.random.default_rng(0)
    feeds = {"a": rng.standard_normal((96, 64)).astype(np.float32)}
    expected = reference(tmp_path / "m.onnx", feeds)
    bundle = ane_mlir.compile(tmp_path / "m.onnx")
    for numerics in ("fp16", "engine"):
        assert cosine(bundle.run(feeds, numerics=numerics)["y"], expected[0]) > 0.99999
    # Rows of 5 elements are no whole rows of a surface.
    assert count(report(product(5, 64, 160), tmp_path), "transpose") <= 2


@pytest.mark.parametrize("numerics", ["fp16", "engine"])
def test_orders_of_many_shapes(tmp_path, numerics):
    """Surfaces in another order hold the same values, whatever lies next to the inputs and outputs."""
    rng = np.random.default_rng(1)
    for shape, perm in (((1, 64, 48), (0, 2, 1)), ((32, 6, 5), (2, 1, 0)), ((1, 4, 96, 8), (0, 3, 1, 2)), ((64, 3, 4), (1, 2, 0)), ((2, 3, 32, 5), (0, 1, 3, 2))):
        g = builders._Random(0)
        back = list(np.argsort(perm))
        inner = g.node("Relu", g.node("Transpose", "x", perm=list(perm)))
        model = g.finish({"x": shape}, {"y": g.node("Transpose", inner, perm=back), "z": inner})
        onnx.save(model, tmp_path / "m.onnx")
        feeds = {"x": rng.standard_normal(shape).astype(np.float32)}
        check(ane_mlir.compile(tmp_path / "m.onnx").run(feeds, numerics=numerics), reference(tmp_path / "m.onnx", feeds), "fp16")


def test_heads_of_a_group_share_their_keys(tmp_path):
    """A long prompt is multiplied by keys as they lie: each part of the heads has its own rows of the projection and no copies."""
    for shape in (dict(tokens=1024, width=384, heads=12, kv_heads=4), dict(tokens=1024, width=384, heads=12, kv_heads=12), dict(tokens=2048, width=256, heads=8, kv_heads=2)):
        model = builders.build_llama(layers=1, hidden=256, **shape)
        found = report(model, tmp_path)
        assert count(found, "softmax") > 1 and count(found, "concat") <= 2, shape
        assert count(found, "slice_by_size", "split") <= (0 if shape["tokens"] == 1024 else 2 * shape["kv_heads"]), shape
        rng = np.random.default_rng(0)
        feeds = {i.name: rng.standard_normal([d.dim_value for d in i.type.tensor_type.shape.dim]).astype(np.float32) * 0.7 for i in model.graph.input}
        onnx.save(model, tmp_path / "m.onnx")
        expected = reference(tmp_path / "m.onnx", feeds)
        bundle = ane_mlir.compile(tmp_path / "m.onnx")
        for numerics in ("fp32", "fp16", "engine"):
            check(bundle.run(feeds, numerics=numerics), expected, "fp16")


def test_decisions_are_said(tmp_path):
    """--remarks: what passes decided by predicted time, of those that are asked for; the report has all."""
    onnx.save(builders.build_llama(layers=1, tokens=1024, width=384, heads=12, kv_heads=4, hidden=256), tmp_path / "m.onnx")
    command = [ane_mlir.find_tool("onnx-to-ane"), tmp_path / "m.onnx", "-o", tmp_path / "m.anepkg", "--check=off", f"--report={tmp_path}/r.json"]

    def lines(*options: str) -> list[str]:
        done = subprocess.run([*command, *options], capture_output=True, text=True, check=True)
        return [line for line in done.stdout.splitlines() if line.startswith("ane-")]

    assert lines() == []
    told = lines("--remarks")
    assert sum(line.startswith("ane-matmul-to-conv: passed: '/MatMul") for line in told) == 7
    assert lines("--remarks=tile") == [line for line in told if line.startswith("ane-tile: passed: '/")] != []
    found = json.loads((tmp_path / "r.json").read_text())["decisions"]
    assert len(found) == len(told) and {"kind", "pass", "name", "node", "text"} == set(found[0])
    wrong = subprocess.run([*command, "--remarks=["], capture_output=True, text=True)
    assert wrong.returncode == 2 and "regular expression" in wrong.stderr


def test_a_cache_is_not_copied(tmp_path):
    """A step of decoding multiplies the cache as it lies; the copies of it are those that it returns, and with states none."""
    model = builders.build_llama(layers=1, tokens=1, past=511, width=256, heads=8, kv_heads=2, hidden=512)
    cache = 2 * 2 * 512 * 32  # bytes of the keys, as many of the values

    def moved(found: dict) -> int:
        return sum(op["activation_bytes"] for op in found["ops"] if op["op"] in ("ane.concat", "ane.transpose", "ane.tile", "ane.slice_by_size", "ane.split"))

    whole, kept = report(model, tmp_path), report(model, tmp_path, "--state=auto")
    assert count(whole, "tile", "transpose") == 0 and count(kept, "tile", "transpose") == 0
    assert 4 * cache <= moved(whole) < 5.5 * cache  # read and written once, each
    assert moved(kept) < 1.5 * cache
    rng = np.random.default_rng(0)
    feeds = {i.name: rng.standard_normal([d.dim_value for d in i.type.tensor_type.shape.dim]).astype(np.float32) for i in model.graph.input}
    onnx.save(model, tmp_path / "m.onnx")
    expected = reference(tmp_path / "m.onnx", feeds)
    for precision in ("fp32", "fp16"):
        check(ane_mlir.compile(tmp_path / "m.onnx", precision=precision).run(feeds, numerics=precision), expected, precision)


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_long_attention_is_made_in_parts(tmp_path, precision):
    """Scores beyond on-chip memory; each part fits, and the values are those of the whole."""
    model = attention(4, 1500, 16)
    found = report(model, tmp_path)
    scores = [op for op in found["ops"] if op["op"] == "ane.softmax"]
    assert len(scores) > 1 and max(op["activation_bytes"] for op in scores) <= 32e6
    assert found["summary"]["predicted_engine_us"] < 0.6 * report(model, tmp_path, "--live-bytes=0")["summary"]["predicted_engine_us"]
    rng = np.random.default_rng(0)
    feeds = {name: rng.standard_normal((1, 4, 1500, 16)).astype(np.float32) for name in "qkv"}
    check(ane_mlir.compile(tmp_path / "m.onnx", precision=precision).run(feeds, numerics=precision), reference(tmp_path / "m.onnx", feeds), precision)


def test_a_guard_against_nan_keeps_nothing_on_the_host(tmp_path):
    """where(isnan(softmax), 0, softmax) behind rotary positions is no comparison of positions."""
    g = builders._Random(0)
    g.weight("frequencies", np.array([[1.0, 0.1, 0.01, 0.001] * 2], np.float32))
    angle = g.node("Mul", g.node("Unsqueeze", g.node("Cast", "positions", to=1), g.ints("last", 1)), "frequencies")
    q = g.node("Mul", "q", g.node("Cos", angle))
    p = g.node("Softmax", g.node("MatMul", q, g.node("Transpose", "k", perm=[0, 1, 3, 2])), axis=-1)
    guarded = g.node("Where", g.node("IsNaN", p), g.scalar(0), p)
    model = g.finish({"q": (1, 2, 16, 8), "k": (1, 2, 16, 8), "v": (1, 2, 16, 8)}, {"y": g.node("MatMul", guarded, "v")})
    model.graph.input.append(onnx.helper.make_tensor_value_info("positions", onnx.TensorProto.INT64, [16]))
    found = report(model, tmp_path)
    host = {op["op"] for op in found["ops"] if op["placement"] == "host"}
    assert not host & {"ane.softmax", "ane.matmul", "ane.not_equal", "ane.select"}, host
