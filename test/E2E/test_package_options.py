"""What a package can say beyond its arrays: functions, states, images, classes, opsets, provenance; and the way back."""

from __future__ import annotations

import pathlib
import subprocess

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from package_sweep import judge
from test_packages import run

import ane_mlir


rng = np.random.default_rng(6)


def tool(name: str, *arguments, ok: bool = True) -> str:
    done = subprocess.run([ane_mlir.find_tool(name), *map(str, arguments)], capture_output=True, text=True)
    assert (done.returncode == 0) == ok, done.stderr
    return done.stdout + done.stderr


def spec_of(package: pathlib.Path):
    import coremltools

    return coremltools.utils.load_spec(str(package))


def accepted(package: pathlib.Path) -> None:
    """coremltools rebuilds every op of every function with its own inference."""
    from coremltools.converters.mil.frontend.milproto.load import load

    spec = spec_of(package)
    load(spec, spec.specificationVersion, str(package / "Data/com.apple.CoreML/weights")).validate()
    tool("mil-verify", package)


def linear_model(path: pathlib.Path, outputs: int = 5) -> tuple[np.ndarray, np.ndarray]:
    weight, bias = rng.standard_normal((4, outputs)).astype(np.float32), rng.standard_normal(outputs).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("Gemm", ["x", "w", "b"], ["h"]), helper.make_node("Softmax", ["h"], ["p"], axis=-1)], "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])], [helper.make_tensor_value_info("p", TensorProto.FLOAT, ["n", outputs])],
        [numpy_helper.from_array(weight, "w"), numpy_helper.from_array(bias, "b")])  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return weight, bias


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def test_functions_share_weights(tmp_path):
    weight, bias = linear_model(tmp_path / "m.onnx", 300)
    tool("onnx-to-ane", tmp_path / "m.onnx", "-o", tmp_path / "one.mlpackage", "--dim", "n=8", "--quiet")
    tool("onnx-to-ane", tmp_path / "m.onnx", "-o", tmp_path / "m.mlpackage", "--dim", "n=1,8,32", "--buckets=functions", "--quiet")
    accepted(tmp_path / "m.mlpackage")
    spec = spec_of(tmp_path / "m.mlpackage")
    assert [f.name for f in spec.description.functions] == ["n1", "n8", "n32"]
    assert spec.description.defaultFunctionName == "n1" and spec.specificationVersion == 9
    assert not spec.description.input
    size = lambda name: (tmp_path / name / "Data/com.apple.CoreML/weights/weight.bin").stat().st_size  # noqa: E731
    assert size("m.mlpackage") == size("one.mlpackage")
    for n in (1, 8, 32):
        x = rng.standard_normal((n, 4)).astype(np.float32)
        np.save(tmp_path / "x.npy", x)
        tool("ane-run", tmp_path / "m.mlpackage", f"--function=n{n}", f"--input=x={tmp_path}/x.npy", f"--output-dir={tmp_path}/out{n}", "--quiet")
        np.testing.assert_allclose(np.load(tmp_path / f"out{n}" / "output_0.npy"), softmax(x @ weight + bias), atol=3e-3)
    assert "it has n1, n32, n8" in tool("ane-run", tmp_path / "m.mlpackage", "--function=n2", "--random-inputs=0", ok=False)
    # One function of it is a model again.
    tool("onnx-to-ane", tmp_path / "m.mlpackage", "--function=n32", "-o", tmp_path / "m.anepkg", "--quiet")
    x = rng.standard_normal((32, 4)).astype(np.float32)
    np.testing.assert_allclose(run(tmp_path / "m.anepkg", tmp_path / "bundle", {"x": x})["0"], softmax(x @ weight + bias), atol=3e-3)


def test_enumerated_shapes(tmp_path):
    """One function for all values of a dimension, where its operations are the same."""
    weight, bias = linear_model(tmp_path / "m.onnx", 300)
    tool("onnx-to-ane", tmp_path / "m.onnx", "-o", tmp_path / "m.mlpackage", "--dim", "n=4,2,16", "--quiet")
    accepted(tmp_path / "m.mlpackage")
    spec = spec_of(tmp_path / "m.mlpackage")
    assert len(spec.mlProgram.functions) == 1 and not spec.description.functions and spec.specificationVersion == 6
    array = spec.description.input[0].type.multiArrayType
    assert list(array.shape) == [4, 4] and [list(s.shape) for s in array.enumeratedShapes.shapes] == [[4, 4], [2, 4], [16, 4]]
    # One row is laid out otherwise, unless shapes are asked for.
    tool("onnx-to-ane", tmp_path / "m.onnx", "-o", tmp_path / "one.mlpackage", "--dim", "n=1,2,16", "--quiet")
    assert len(spec_of(tmp_path / "one.mlpackage").description.functions) == 3
    tool("onnx-to-ane", tmp_path / "m.onnx", "-o", tmp_path / "one.mlpackage", "--dim", "n=1,2,16", "--buckets=shapes", "--quiet")
    accepted(tmp_path / "one.mlpackage")
    assert len(spec_of(tmp_path / "one.mlpackage").description.input[0].type.multiArrayType.enumeratedShapes.shapes) == 3
    for n in (4, 2, 16):
        x = rng.standard_normal((n, 4)).astype(np.float32)
        np.testing.assert_allclose(run(tmp_path / "m.mlpackage", tmp_path / f"out{n}", {"x": x})["0"], softmax(x @ weight + bias), atol=3e-3)


def test_shapes_or_functions(tmp_path):
    """A constant that depends on the shape takes one function for each shape, and the note says why."""
    graph = helper.make_graph(
        [helper.make_node("Shape", ["x"], ["s"]), helper.make_node("ConstantOfShape", ["s"], ["ones"], value=numpy_helper.from_array(np.array([1], np.float32))),
         helper.make_node("CumSum", ["ones", "axis"], ["ramp"]), helper.make_node("Mul", ["x", "ramp"], ["y"])], "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 2])], [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2])],
        [numpy_helper.from_array(np.array(0, np.int64), "axis")])  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "m.onnx")
    text = tool("onnx-to-ane", tmp_path / "m.onnx", "-o", tmp_path / "m.mlpackage", "--dim", "n=3,5")
    assert "one function for each shape: 'y' of Mul_3 (mul) depends on the shape" in text
    accepted(tmp_path / "m.mlpackage")
    assert [f.name for f in spec_of(tmp_path / "m.mlpackage").description.functions] == ["n3", "n5"]
    refused = tool("onnx-to-ane", tmp_path / "m.onnx", "-o", tmp_path / "x.mlpackage", "--dim", "n=3,5", "--buckets=shapes", ok=False)
    assert "--buckets=functions writes one for each" in refused
    x = rng.standard_normal((5, 2)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    tool("ane-run", tmp_path / "m.mlpackage", "--function=n5", f"--input=x={tmp_path}/x.npy", f"--output-dir={tmp_path}/out", "--quiet")
    np.testing.assert_allclose(np.load(tmp_path / "out" / "output_0.npy"), x * np.arange(1, 6)[:, None], atol=2e-2)


def test_convolution_of_any_size(tmp_path):
    weight = rng.standard_normal((3, 2, 3, 3)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["c"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]), helper.make_node("Relu", ["c"], ["r"]),
         helper.make_node("GlobalAveragePool", ["r"], ["g"]), helper.make_node("Flatten", ["g"], ["y"])], "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2, "h", "w"])], [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3])],
        [numpy_helper.from_array(weight, "w")])  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "m.onnx")
    tool("onnx-to-ane", tmp_path / "m.onnx", "-o", tmp_path / "m.mlpackage", "--dim", "h=6,9,w=5,8", "--buckets=shapes", "--quiet")
    accepted(tmp_path / "m.mlpackage")
    assert len(spec_of(tmp_path / "m.mlpackage").description.input[0].type.multiArrayType.enumeratedShapes.shapes) == 4
    from mil_recipes import conv_ref

    for h, w in ((6, 8), (9, 5)):
        x = rng.standard_normal((1, 2, h, w)).astype(np.float32)
        expected = np.maximum(conv_ref(x, weight, pads=[1, 1, 1, 1]), 0).mean((2, 3))
        np.testing.assert_allclose(run(tmp_path / "m.mlpackage", tmp_path / f"out{h}", {"x": x})["0"], expected, atol=2e-2)


def test_dims_of_texts_are_one(tmp_path):
    linear_model(tmp_path / "m.onnx")
    assert "which only bundles and packages have" in tool("onnx-to-ane", tmp_path / "m.onnx", "-o", tmp_path / "m.mil", "--dim", "n=1,2", ok=False)


def test_state(tmp_path):
    model = helper.make_model(
        helper.make_graph(
            [helper.make_node("Add", ["cache", "x"], ["next"]), helper.make_node("ReduceSum", ["next", "axes"], ["sum"], keepdims=1)], "g",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 3]), helper.make_tensor_value_info("cache", TensorProto.FLOAT, [2, 3])],
            [helper.make_tensor_value_info("sum", TensorProto.FLOAT, [2, 1]), helper.make_tensor_value_info("next", TensorProto.FLOAT, [2, 3])],
            [numpy_helper.from_array(np.array([1], np.int64), "axes")]),
        opset_imports=[helper.make_opsetid("", 17)], ir_version=8)  # fmt: skip
    onnx.save(model, tmp_path / "m.onnx")
    tool("onnx-to-ane", tmp_path / "m.onnx", "-o", tmp_path / "m.mlpackage", "--state", "cache=next", "--quiet")
    accepted(tmp_path / "m.mlpackage")
    spec = spec_of(tmp_path / "m.mlpackage")
    assert [f.name for f in spec.description.input] == ["x"] and [f.name for f in spec.description.output] == ["sum"]
    assert [f.name for f in spec.description.state] == ["cache"]
    assert spec.description.state[0].type.stateType.arrayType.dataType == 65552
    assert spec.specificationVersion == 9
    x, cache = rng.standard_normal((2, 2, 3)).astype(np.float32)
    for name in ("m.mlpackage", "again.mlpackage", "m.anepkg"):
        if name != "m.mlpackage":
            tool("onnx-to-ane", tmp_path / "m.mlpackage", "-o", tmp_path / name, "--quiet")
        out = run(tmp_path / name, tmp_path / f"run_{name}", {"x": x, "cache": cache.astype(np.float16)})
        np.testing.assert_allclose(out["0"], (x + cache).sum(1, keepdims=True), atol=1e-2)
        np.testing.assert_allclose(out["1"], x + cache, atol=1e-2)
    # The state of a package stays one in a package made from it.
    accepted(tmp_path / "again.mlpackage")
    assert [f.name for f in spec_of(tmp_path / "again.mlpackage").description.state] == ["cache"]
    assert "no output is named 'nothing'" in tool("onnx-to-ane", tmp_path / "m.onnx", "-o", tmp_path / "x.mlpackage", "--state", "cache=nothing", ok=False)


@pytest.mark.parametrize(("color", "channels", "code"), [("RGB", 3, 20), ("BGR", 3, 30), ("GRAY", 1, 10)])
def test_image(tmp_path, color, channels, code):
    weight = rng.standard_normal((2, channels, 3, 3)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["y"], kernel_shape=[3, 3])], "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, channels, 6, 8])], [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 2, 4, 6])],
        [numpy_helper.from_array(weight, "w")])  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "m.onnx")
    bias = ",".join(["-0.5", "-0.25", "0.125"][:channels])
    tool("onnx-to-ane", tmp_path / "m.onnx", "-o", tmp_path / "m.mlpackage", f"--image-input=x={color},0.00784313725,{bias}", "--quiet")
    accepted(tmp_path / "m.mlpackage")
    image = spec_of(tmp_path / "m.mlpackage").description.input[0].type.imageType
    assert (image.width, image.height, image.colorSpace) == (8, 6, code)
    pixels = rng.integers(0, 256, (1, channels, 6, 8)).astype(np.float32)
    scaled = pixels * 0.00784313725 + np.array([-0.5, -0.25, 0.125][:channels], np.float32).reshape(1, channels, 1, 1)
    from mil_recipes import conv_ref

    np.testing.assert_allclose(run(tmp_path / "m.mlpackage", tmp_path / "out", {"x": pixels})["0"], conv_ref(scaled, weight), atol=4e-2)
    # An image stays one in a package made from this one.
    tool("onnx-to-ane", tmp_path / "m.mlpackage", "-o", tmp_path / "again.mlpackage", "--quiet")
    accepted(tmp_path / "again.mlpackage")
    assert spec_of(tmp_path / "again.mlpackage").description.input[0].type.imageType == image
    assert "cannot be an image" in tool("onnx-to-ane", tmp_path / "m.onnx", "-o", tmp_path / "b.mlpackage", f"--image-input=x={'GRAY' if channels == 3 else 'RGB'}", ok=False)


def test_classifier_and_metadata(tmp_path):
    weight, bias = linear_model(tmp_path / "m.onnx")
    (tmp_path / "labels.txt").write_text("ant\nbee\ncat\ndog\nélan\n", encoding="utf-8")
    about = ["--author=A. Nonymous", "--license=MIT", "--model-version=1.2", "--description=Names animals"]
    tool("onnx-to-ane", tmp_path / "m.onnx", "-o", tmp_path / "m.mlpackage", "--dim=n=1", f"--class-labels={tmp_path}/labels.txt", *about, "--quiet")
    accepted(tmp_path / "m.mlpackage")
    description = spec_of(tmp_path / "m.mlpackage").description
    assert description.predictedFeatureName == "classLabel" and description.predictedProbabilitiesName == "classLabel_probs"
    assert [f.name for f in description.output] == ["classLabel", "classLabel_probs"]
    meta = description.metadata
    assert (meta.author, meta.license, meta.versionString, meta.shortDescription) == ("A. Nonymous", "MIT", "1.2", "Names animals")
    assert meta.userDefined["source"] == "m.onnx" and meta.userDefined["producer"].startswith("ane-mlir")
    x = rng.standard_normal((1, 4)).astype(np.float32)
    out = run(tmp_path / "m.mlpackage", tmp_path / "out", {"x": x})
    expected = softmax(x @ weight + bias)
    assert out["0"].ravel()[0] == expected.argmax()  # labels are their index here
    np.testing.assert_allclose(out["1"], expected, atol=3e-3)
    (tmp_path / "few.txt").write_text("a\nb\n")
    assert "cannot be the probabilities of 2 classes" in tool("onnx-to-ane", tmp_path / "m.onnx", "-o", tmp_path / "b.mlpackage", "--dim=n=1", f"--class-labels={tmp_path}/few.txt", ok=False)


def test_lowest_opset(tmp_path):
    linear_model(tmp_path / "m.onnx")
    for options, version in (([], 6), (["--opset=ios17"], 8), (["--opset=ios26"], 10)):
        tool("onnx-to-ane", tmp_path / "m.onnx", "-o", tmp_path / f"{version}.mlpackage", "--dim=n=1", *options, "--quiet")
        assert judge(str(tmp_path / f"{version}.mlpackage")) == ""
        assert spec_of(tmp_path / f"{version}.mlpackage").specificationVersion == version
    onnx.save(
        helper.make_model(
            helper.make_graph(
                [helper.make_node("Cast", ["x"], ["q"], to=TensorProto.INT8), helper.make_node("Cast", ["q"], ["y"], to=TensorProto.FLOAT)], "g",
                [helper.make_tensor_value_info("x", TensorProto.FLOAT, [4])], [helper.make_tensor_value_info("y", TensorProto.FLOAT, [4])]),
            opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "q.onnx")  # fmt: skip
    tool("onnx-to-ane", tmp_path / "q.onnx", "-o", tmp_path / "q.mlpackage", "--quiet")
    assert spec_of(tmp_path / "q.mlpackage").specificationVersion == 8  # 8-bit values came with ios17
    assert "needs ios17, but ios15 was asked for" in tool("onnx-to-ane", tmp_path / "q.onnx", "-o", tmp_path / "x.mlpackage", "--opset=ios15", ok=False)


def test_open_dimensions(tmp_path):
    """A program of coremltools with a flexible input takes each of its shapes."""
    import coremltools as ct
    from coremltools.converters.mil.mil import Builder as mb

    shape = ct.EnumeratedShapes(shapes=[[1, 4], [3, 4], [7, 4]], default=[3, 4])
    weight = rng.standard_normal((5, 4)).astype(np.float32)

    @mb.program(input_specs=[mb.TensorSpec((ct.converters.mil.mil.get_new_symbol("n"), 4))], opset_version=ct.target.iOS16)
    def program(x):
        rows = mb.gather(x=mb.shape(x=x), indices=0, axis=0)
        flat = mb.reshape(x=mb.linear(x=x, weight=weight), shape=[-1])
        return mb.add(x=flat, y=mb.cast(x=rows, dtype="fp32"))

    model = ct.convert(program, convert_to="mlprogram", minimum_deployment_target=ct.target.iOS16, skip_model_load=True, inputs=[ct.TensorType("x", shape)], compute_precision=ct.precision.FLOAT32)
    model.save(str(tmp_path / "m.mlpackage"))
    for n in (1, 3, 7):
        x = rng.standard_normal((n, 4)).astype(np.float32)
        out = run(tmp_path / "m.mlpackage", tmp_path / f"out{n}", {"x": x})["0"]
        np.testing.assert_allclose(out, (x @ weight.T).ravel() + n, atol=2e-2)
    # The default shape, or a given one, is what is compiled.
    for options, n in (([], 3), (["--input-shape=x=7,4"], 7)):
        tool("onnx-to-ane", tmp_path / "m.mlpackage", "-o", tmp_path / f"{n}.anepkg", *options, "--quiet")
        x = rng.standard_normal((n, 4)).astype(np.float32)
        np.testing.assert_allclose(run(tmp_path / f"{n}.anepkg", tmp_path / f"bundle{n}", {"x": x})["0"], (x @ weight.T).ravel() + n, atol=5e-2)




def test_python(tmp_path):
    weight, bias = linear_model(tmp_path / "m.onnx")
    package = ane_mlir.compile(tmp_path / "m.onnx", output=tmp_path / "m.mlpackage", dims={"n": [2, 3]}, options=["--buckets=functions"])
    assert ane_mlir.verify(package.path) == []
    x = rng.standard_normal((3, 4)).astype(np.float32)
    np.testing.assert_allclose(package.run({"x": x}, function="n3")["p"], softmax(x @ weight + bias), atol=3e-3)
    with pytest.raises(ane_mlir.RunError, match="has no function"):
        package.run({"x": x}, function="n9")
    with pytest.raises(ane_mlir.RunError):
        ane_mlir.verify(tmp_path / "nothing.mlpackage")
