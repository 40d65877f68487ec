"""Packages as coremltools' users have them: its default passes, every target, weights compressed in every way it knows."""

from __future__ import annotations

import pathlib
import subprocess
import warnings

import numpy as np
import pytest
from conftest import check
from test_packages import run

import ane_mlir

warnings.filterwarnings("ignore")
import coremltools as ct  # noqa: E402
from coremltools.converters.mil.mil import Builder as mb  # noqa: E402
from coremltools.optimize import coreml as cto  # noqa: E402


def tool(name: str, *arguments) -> str:
    done = subprocess.run([ane_mlir.find_tool(name), *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def transformer(target):
    """Embedding, attention with a causal mask, gelu, two outputs."""
    rng = np.random.default_rng(0)
    w = lambda *shape: (rng.standard_normal(shape) / np.sqrt(shape[-1])).astype(np.float32)  # noqa: E731
    tokens, width, heads, vocabulary = 16, 64, 4, 97
    mask = np.triu(np.full((tokens, tokens), -np.inf, np.float32), 1)

    @mb.program(input_specs=[mb.TensorSpec((1, tokens), dtype=ct.converters.mil.mil.types.int32)], opset_version=target)
    def program(ids):
        x = mb.gather(x=w(vocabulary, width) * 8, indices=ids, axis=0)
        x = mb.add(x=x, y=w(1, tokens, width))
        for _ in range(2):
            y = mb.layer_norm(x=x, axes=[-1], gamma=1 + w(width), beta=w(width), epsilon=1e-5)
            q, k, v = (mb.transpose(x=mb.reshape(x=mb.linear(x=y, weight=w(width, width), bias=w(width)), shape=[1, tokens, heads, width // heads]), perm=[0, 2, 1, 3]) for _ in range(3))
            scores = mb.mul(x=mb.matmul(x=q, y=k, transpose_y=True), y=np.float32(0.25))
            probabilities = mb.softmax(x=mb.add(x=scores, y=mask), axis=-1)
            y = mb.reshape(x=mb.transpose(x=mb.matmul(x=probabilities, y=v), perm=[0, 2, 1, 3]), shape=[1, tokens, width])
            x = mb.add(x=x, y=mb.linear(x=y, weight=w(width, width), bias=w(width)))
            y = mb.layer_norm(x=x, axes=[-1], gamma=1 + w(width), beta=w(width), epsilon=1e-5)
            y = mb.gelu(x=mb.linear(x=y, weight=w(4 * width, width), bias=w(4 * width)), mode="EXACT")
            x = mb.add(x=x, y=mb.linear(x=y, weight=w(width, 4 * width), bias=w(width)))
        return mb.linear(x=x, weight=w(vocabulary, width)), mb.reduce_mean(x=x, axes=[1])

    return program, {"ids": rng.integers(0, vocabulary, (1, tokens)).astype(np.int32)}


def network(target):
    """Convolutions with batch norms and residuals, depthwise ones, pooling, resizing."""
    rng = np.random.default_rng(1)
    w = lambda *shape: (rng.standard_normal(shape) / np.sqrt(np.prod(shape[1:]) or 1)).astype(np.float32)  # noqa: E731

    @mb.program(input_specs=[mb.TensorSpec((1, 3, 32, 32))], opset_version=target)
    def program(x):
        x = mb.conv(x=x, weight=w(32, 3, 3, 3), bias=w(32), pad_type="same", strides=[2, 2])
        for _ in range(2):
            y = mb.conv(x=x, weight=w(32, 1, 3, 3), groups=32, pad_type="custom", pad=[1, 1, 1, 1])
            y = mb.batch_norm(x=y, mean=w(32) * 0.1, variance=np.abs(w(32)) + 1, gamma=1 + w(32) * 0.1, beta=w(32) * 0.1)
            y = mb.clip(x=y, alpha=np.float32(0), beta=np.float32(6))
            y = mb.conv(x=y, weight=w(32, 32, 1, 1), bias=w(32))
            x = mb.add(x=x, y=y)
        small = mb.max_pool(x=x, kernel_sizes=[2, 2], strides=[2, 2], pad_type="valid")
        big = mb.upsample_nearest_neighbor(x=small, scale_factor_height=2, scale_factor_width=2)
        x = mb.concat(values=(x, big), axis=1)
        x = mb.mul(x=x, y=mb.sigmoid(x=x))
        x = mb.reduce_mean(x=x, axes=[2, 3], keep_dims=False)
        return mb.softmax(x=mb.linear(x=x, weight=w(10, 64), bias=w(10)), axis=-1)

    return program, {"x": rng.standard_normal((1, 3, 32, 32)).astype(np.float32)}


MODELS = {"transformer": transformer, "network": network}
TARGETS = [ct.target.iOS15, ct.target.iOS16, ct.target.iOS17, ct.target.iOS18]


def convert(name: str, target, precision=None):
    program, feeds = MODELS[name](target)
    model = ct.convert(program, convert_to="mlprogram", minimum_deployment_target=target, skip_model_load=True, compute_precision=precision or ct.precision.FLOAT16)
    return model, feeds


def results(artifact: pathlib.Path, folder: pathlib.Path, feeds) -> list[np.ndarray]:
    return list(run(artifact, folder, feeds).values())


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: t.name)
@pytest.mark.parametrize("name", MODELS)
def test_default_conversion(tmp_path, name, target):
    """fp32 without passes is the reference for what coremltools makes of it in fp16, and for what we make of that."""
    model, feeds = convert(name, target, ct.precision.FLOAT32)
    model.save(str(tmp_path / "f32.mlpackage"))
    expected = results(tmp_path / "f32.mlpackage", tmp_path / "f32", feeds)
    model, _ = convert(name, target)
    model.save(str(tmp_path / "m.mlpackage"))
    tool("mil-verify", tmp_path / "m.mlpackage")
    check(run(tmp_path / "m.mlpackage", tmp_path / "theirs", feeds), expected, "fp16")
    for extension in ("anepkg", "mlpackage"):
        again = tmp_path / f"again.{extension}"
        tool("onnx-to-ane", tmp_path / "m.mlpackage", "-o", again, "--quiet")
        check(run(again, tmp_path / extension, feeds), expected, "fp16")
    tool("mil-verify", tmp_path / "again.mlpackage")


def compressions():
    for bits in (1, 2, 4, 6, 8):
        yield f"palette{bits}", ct.target.iOS16, lambda m, bits=bits: cto.palettize_weights(m, cto.OptimizationConfig(global_config=cto.OpPalettizerConfig(weight_threshold=200, mode="uniform", nbits=bits)))
    yield "palette3 grouped", ct.target.iOS18, lambda m: cto.palettize_weights(m, cto.OptimizationConfig(global_config=cto.OpPalettizerConfig(weight_threshold=200, mode="uniform", nbits=3, granularity="per_grouped_channel", group_size=8)))
    for mode in ("linear_symmetric", "linear"):
        for dtype in ("int8", "uint8"):
            yield f"{mode} {dtype}", ct.target.iOS16, lambda m, mode=mode, dtype=dtype: cto.linear_quantize_weights(m, cto.OptimizationConfig(global_config=cto.OpLinearQuantizerConfig(weight_threshold=200, mode=mode, dtype=dtype)))
        yield f"{mode} int4 blocks", ct.target.iOS18, lambda m, mode=mode: cto.linear_quantize_weights(m, cto.OptimizationConfig(global_config=cto.OpLinearQuantizerConfig(weight_threshold=200, mode=mode, dtype="int4", granularity="per_block", block_size=16)))
        yield f"{mode} int8 channels ios18", ct.target.iOS18, lambda m, mode=mode: cto.linear_quantize_weights(m, cto.OptimizationConfig(global_config=cto.OpLinearQuantizerConfig(weight_threshold=200, mode=mode, dtype="int8")))
    for target in (ct.target.iOS16, ct.target.iOS18):
        yield f"sparse {target.name}", target, lambda m: cto.prune_weights(m, cto.OptimizationConfig(global_config=cto.OpMagnitudePrunerConfig(weight_threshold=200, target_sparsity=0.75)))
    prune = lambda m: cto.prune_weights(m, cto.OptimizationConfig(global_config=cto.OpMagnitudePrunerConfig(weight_threshold=200, target_sparsity=0.5)))  # noqa: E731
    yield "sparse palette", ct.target.iOS18, lambda m: cto.palettize_weights(prune(m), cto.OptimizationConfig(global_config=cto.OpPalettizerConfig(weight_threshold=200, mode="uniform", nbits=4)), joint_compression=True)
    yield "sparse int8", ct.target.iOS18, lambda m: cto.linear_quantize_weights(prune(m), cto.OptimizationConfig(global_config=cto.OpLinearQuantizerConfig(weight_threshold=200, mode="linear_symmetric", dtype="int8")), joint_compression=True)


@pytest.mark.parametrize(("label", "target", "compress"), [pytest.param(*c, id=c[0]) for c in compressions()])
@pytest.mark.parametrize("name", MODELS)
def test_compressed_weights(tmp_path, name, label, target, compress):
    """What coremltools decompresses is what we compute with."""
    model, feeds = convert(name, target)
    small = compress(model)
    small.save(str(tmp_path / "small.mlpackage"))
    kinds = {op.type for op in small.get_spec().mlProgram.functions["main"].block_specializations[small.get_spec().mlProgram.functions["main"].opset].operations if op.type.startswith("constexpr")}
    assert kinds, "nothing was compressed"
    cto.decompress_weights(small).save(str(tmp_path / "dense.mlpackage"))
    expected = results(tmp_path / "dense.mlpackage", tmp_path / "dense", feeds)
    tool("mil-verify", tmp_path / "small.mlpackage")

    def close(artifact: pathlib.Path, folder: pathlib.Path, share: float = 2e-2) -> None:
        # Of the largest magnitude: weights of one bit leave little of the signal.
        for a, b in zip(results(artifact, folder, feeds), expected, strict=True):
            np.testing.assert_allclose(a, b, atol=share * np.abs(b).max())

    close(tmp_path / "small.mlpackage", tmp_path / "small", 2e-3)
    tool("onnx-to-ane", tmp_path / "small.mlpackage", "-o", tmp_path / "m.anepkg", "--quiet")
    close(tmp_path / "m.anepkg", tmp_path / "bundle")
    tool("onnx-to-ane", tmp_path / "small.mlpackage", "-o", tmp_path / "again.mlpackage", "--quiet")
    tool("mil-verify", tmp_path / "again.mlpackage")
    close(tmp_path / "again.mlpackage", tmp_path / "package")
    # They come out as small as they came in; tables of a few hundred weights, with a batch norm in them, aside.
    before, after = (sum(f.stat().st_size for f in (tmp_path / f"{p}.mlpackage").rglob("weight.bin")) for p in ("small", "again"))
    print(f"{label}: {after / before:.3f} of the weights' bytes")
    if name == "transformer":
        assert after <= before * (2 if label in ("sparse palette", "sparse int8") else 1.02) + 4096


def test_multifunction(tmp_path):
    """coremltools' own packages of several functions, with shared weights."""
    weight = np.random.default_rng(2).standard_normal((40, 30)).astype(np.float32)
    for rows, name in ((2, "two"), (5, "five")):

        @mb.program(input_specs=[mb.TensorSpec((rows, 30))], opset_version=ct.target.iOS18)
        def program(x):
            y = mb.linear(x=x, weight=weight)
            return mb.relu(x=y, name="y") if name == "two" else mb.tanh(x=y, name="y")  # noqa: B023

        ct.convert(program, minimum_deployment_target=ct.target.iOS18, skip_model_load=True).save(str(tmp_path / f"{name}.mlpackage"))
    both = ct.utils.MultiFunctionDescriptor()
    for name in ("two", "five"):
        both.add_function(str(tmp_path / f"{name}.mlpackage"), "main", name)
    both.default_function_name = "five"
    ct.utils.save_multifunction(both, str(tmp_path / "m.mlpackage"))
    assert ane_mlir.verify(tmp_path / "m.mlpackage") == []
    package = ane_mlir.Package(tmp_path / "m.mlpackage")
    x = np.random.default_rng(3).standard_normal((5, 30)).astype(np.float32)
    np.testing.assert_allclose(package.run({"x": x})["y"], np.tanh(x @ weight.T), atol=2e-2)
    np.testing.assert_allclose(package.run({"x": x[:2]}, function="two")["y"], np.maximum(x[:2] @ weight.T, 0), atol=6e-2)


def test_ranges_and_images(tmp_path):
    rng = np.random.default_rng(4)
    weight = rng.standard_normal((4, 3, 3, 3)).astype(np.float32)
    symbol = ct.converters.mil.mil.get_new_symbol()

    @mb.program(input_specs=[mb.TensorSpec((1, 3, symbol, symbol))], opset_version=ct.target.iOS17)
    def flexible(x):
        y = mb.max_pool(x=mb.conv(x=x, weight=weight, pad_type="same"), kernel_sizes=[2, 2], strides=[2, 2], pad_type="valid")
        return mb.reduce_mean(x=y, axes=[2, 3], name="y")

    extent = ct.RangeDim(8, 64, default=16)
    model = ct.convert(flexible, minimum_deployment_target=ct.target.iOS17, skip_model_load=True, inputs=[ct.TensorType("x", ct.Shape((1, 3, extent, extent)))])
    model.save(str(tmp_path / "r.mlpackage"))
    assert ane_mlir.verify(tmp_path / "r.mlpackage") == []
    from mil_recipes import conv_ref, pool_ref

    for size in (16, 20):
        x = rng.standard_normal((1, 3, size, size)).astype(np.float32)
        expected = pool_ref(conv_ref(x, weight, pads=[1, 1, 1, 1]), [2, 2], [2, 2], [0] * 4, "max", -np.inf).mean((2, 3))
        np.testing.assert_allclose(ane_mlir.Package(tmp_path / "r.mlpackage").run({"x": x})["y"], expected, atol=2e-2)

    @mb.program(input_specs=[mb.TensorSpec((1, 1, 16, 16))], opset_version=ct.target.iOS16)
    def grey(x):
        return mb.sigmoid(x=x, name="out")

    layout = ct.colorlayout.GRAYSCALE_FLOAT16
    model = ct.convert(grey, minimum_deployment_target=ct.target.iOS16, skip_model_load=True, inputs=[ct.ImageType("x", shape=(1, 1, 16, 16), color_layout=layout)], outputs=[ct.ImageType(name="out", color_layout=layout)])
    model.save(str(tmp_path / "g.mlpackage"))
    assert ane_mlir.verify(tmp_path / "g.mlpackage") == []
    x = rng.standard_normal((1, 1, 16, 16)).astype(np.float16)
    np.testing.assert_allclose(ane_mlir.Package(tmp_path / "g.mlpackage").run({"x": x})["out"], 1 / (1 + np.exp(-x.astype(np.float32))), atol=2e-3)


def test_int8_boundary(tmp_path):
    """iOS 26 lets int8 arrays cross the boundary."""
    from coremltools.converters.mil.mil import types

    if not hasattr(ct.target, "iOS26"):
        pytest.skip("this coremltools knows no iOS 26")  # it came with version 9

    @mb.program(input_specs=[mb.TensorSpec((2, 3), dtype=types.int8)], opset_version=ct.target.iOS26)
    def program(x):
        return mb.cast(x=x, dtype="fp16", name="y")

    ct.convert(program, minimum_deployment_target=ct.target.iOS26, skip_model_load=True).save(str(tmp_path / "m.mlpackage"))
    assert ane_mlir.verify(tmp_path / "m.mlpackage") == []
    x = np.array([[-128, 0, 5], [7, -3, 127]], np.int8)
    np.testing.assert_array_equal(ane_mlir.Package(tmp_path / "m.mlpackage").run({"x": x})["y"], x)
