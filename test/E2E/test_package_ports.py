"""What a package says of its inputs and outputs survives from package to package: descriptions, inputs that may be left out and what
they are then, images in and out."""

from __future__ import annotations

import re
import subprocess

import numpy as np
import onnx
import onnxruntime
import pytest

import ane_mlir

ct = pytest.importorskip("coremltools")
RGB = 20


@pytest.fixture
def theirs(tmp_path):
    """A picture and a gain; a picture and its mean come out."""
    mb = ct.converters.mil.Builder

    @mb.program(input_specs=[mb.TensorSpec(shape=(1, 3, 8, 8)), mb.TensorSpec(shape=(1, 3, 1, 1)), mb.TensorSpec(shape=(2,), dtype=ct.converters.mil.mil.types.int32)], opset_version=ct.target.iOS16)
    def program(picture, gain, shift):
        bright = mb.mul(x=picture, y=gain, name="bright")
        moved = mb.add(x=mb.reduce_mean(x=bright, axes=[1, 2, 3], keep_dims=False), y=mb.cast(x=mb.reduce_sum(x=shift, axes=[0], keep_dims=False), dtype="fp32"), name="moved")
        return bright, moved

    model = ct.convert(program, convert_to="mlprogram", minimum_deployment_target=ct.target.iOS16, compute_precision=ct.precision.FLOAT32)
    spec = model.get_spec()
    inputs, outputs = ({port.name: port for port in ports} for ports in (spec.description.input, spec.description.output))
    inputs["picture"].shortDescription = "what the camera sees"
    outputs["moved"].shortDescription = "how bright it is"
    for name, value in (("gain", 0.5), ("shift", 7)):
        inputs[name].type.isOptional = True
        array = inputs[name].type.multiArrayType
        if name == "gain":
            array.floatDefaultValue = value
        else:
            array.intDefaultValue = value
    for port in (inputs["picture"], outputs["bright"]):
        port.type.imageType.width = port.type.imageType.height = 8
        port.type.imageType.colorSpace = RGB
    ct.utils.save_spec(spec, str(tmp_path / "theirs.mlpackage"), weights_dir=model.weights_dir)
    return tmp_path / "theirs.mlpackage"


def ports(path) -> dict[str, dict]:
    (function,) = ane_mlir.info(path)["functions"]
    return {port["name"]: port for port in [*function["inputs"], *function["outputs"]]}


def test_from_package_to_package(tmp_path, theirs):
    before = ports(theirs)
    assert before["gain"]["optional"] and before["gain"]["default"] == 0.5 and before["shift"]["default"] == 7 and before["bright"]["kind"] == "image"
    ours = ane_mlir.compile(theirs, output=tmp_path / "ours.mlpackage")
    after = ports(ours.path)
    assert set(after) == set(before) and ane_mlir.verify(ours.path) == []
    for name, port in before.items():
        assert {key: port.get(key) for key in ("kind", "color", "description", "optional", "default")} == {key: after[name].get(key) for key in ("kind", "color", "description", "optional", "default")}, name
    # As coremltools reads it.
    description = ct.models.MLModel(str(ours.path), skip_model_load=True).get_spec().description
    gain = next(port for port in description.input if port.name == "gain").type
    assert gain.isOptional and gain.multiArrayType.floatDefaultValue == 0.5
    assert next(port for port in description.output if port.name == "bright").type.imageType.colorSpace == RGB
    assert next(port for port in description.input if port.name == "picture").shortDescription == "what the camera sees"
    # And once more.
    assert ports(ane_mlir.compile(ours.path, output=tmp_path / "again.mlpackage").path) == after
    feeds = {"picture": np.full((1, 3, 8, 8), 100, np.float32), "gain": np.full((1, 3, 1, 1), 0.5, np.float32), "shift": np.array([1, 2], np.int32)}
    for made in (ane_mlir.Package(theirs), ours):
        result = made.run(feeds)
        np.testing.assert_allclose(result["bright"], 50, rtol=1e-3)
        np.testing.assert_allclose(result["moved"], 53, rtol=1e-2)
        # Left out: a gain of 0.5, and twice 7.
        alone = made.run({"picture": feeds["picture"]})
        np.testing.assert_allclose(alone["bright"], 50, rtol=1e-3)
        np.testing.assert_allclose(alone["moved"], 64, rtol=1e-2)
        np.save(tmp_path / "picture.npy", feeds["picture"])
        done = subprocess.run([ane_mlir.find_tool("ane-run"), made.path, f"--input=picture={tmp_path}/picture.npy"], capture_output=True, text=True)
        assert done.returncode == 0 and re.search(r"moved: fp32 \[1?\] 64", done.stdout), done.stdout + done.stderr
    bundle = ane_mlir.compile(theirs)
    assert sum("may be left out of the package; a bundle has no defaults" in d.message for d in bundle.diagnostics) == 2
    with pytest.raises(ValueError, match="is not given"):
        bundle.run({"picture": feeds["picture"]})


def test_info_says_so(theirs):
    said = subprocess.run([ane_mlir.find_tool("ane-info"), theirs], capture_output=True, text=True, check=True).stdout
    assert "may be left out (then 0.5)" in said and "what the camera sees" in said


def flexible(tmp_path, **form):
    """A convolution over pictures of several sizes, as coremltools writes it; `form` is TensorType's or ImageType's shape."""
    (kind, shape), = form.items()
    mb = ct.converters.mil.Builder
    height, width = (ct.converters.mil.mil.get_new_symbol() for _ in range(2))

    @mb.program(input_specs=[mb.TensorSpec(shape=(1, 3, height, width))], opset_version=ct.target.iOS16)
    def program(x):
        weight = np.random.default_rng(0).standard_normal((4, 3, 3, 3)).astype(np.float32) / 5
        return mb.relu(x=mb.conv(x=x, weight=weight, pad_type="same"), name="out")

    port = ct.ImageType(name="x", shape=shape) if kind == "image" else ct.TensorType(name="x", shape=shape)
    model = ct.convert(program, inputs=[port], convert_to="mlprogram", minimum_deployment_target=ct.target.iOS16)
    model.save(str(tmp_path / "flexible.mlpackage"))
    return tmp_path / "flexible.mlpackage"


@pytest.mark.parametrize("kind", ["array", "image"])
def test_listed_shapes_stay(tmp_path, kind):
    """All that are listed, the default first, with their values."""
    shapes = [(1, 3, 8, 8), (1, 3, 16, 12), (1, 3, 6, 20)]
    before = flexible(tmp_path, **{kind: ct.EnumeratedShapes(shapes=shapes, default=shapes[1])})
    ours = ane_mlir.compile(before, output=tmp_path / "ours.mlpackage")
    assert ane_mlir.verify(ours.path) == []
    keys = ("kind", "shape", "color", "description")
    old, new = (ports(path)["x"] for path in (before, ours.path))
    assert {key: old.get(key) for key in keys} == {key: new.get(key) for key in keys} and sorted(old["shapes"]) == sorted(new["shapes"])
    theirs = ct.models.MLModel(str(ours.path), skip_model_load=True).get_spec().description.input[0].type
    assert len(theirs.imageType.enumeratedSizes.sizes if kind == "image" else theirs.multiArrayType.enumeratedShapes.shapes) == 3
    for shape in shapes:
        feeds = {"x": np.random.default_rng(1).uniform(0, 255 if kind == "image" else 1, shape).astype(np.float32)}
        wanted, found = ane_mlir.Package(before).run(feeds, numerics="fp32")["out"], ours.run(feeds)["out"]
        assert found.shape == (1, 4, *shape[2:])
        np.testing.assert_allclose(found, wanted, rtol=1e-2, atol=1e-3 * np.abs(wanted).max())
    # A bundle takes the default and says so; of what was asked for nothing need be said.
    said = [d.message for d in ane_mlir.compile(before).diagnostics]
    assert any("takes several shapes" in message and "--input-shape=x=" in message for message in said), said
    assert not any("several shapes" in d.message for d in ane_mlir.compile(before, input_shapes={"x": shapes[0]}).diagnostics)


@pytest.mark.parametrize("kind", ["array", "image"])
def test_a_range_stays(tmp_path, kind):
    """With its ends and its default, and right between them."""
    before = flexible(tmp_path, **{kind: ct.Shape(shape=(1, 3, ct.RangeDim(8, 40, default=16), ct.RangeDim(8, 100, default=16)))})
    ours = ane_mlir.compile(before, output=tmp_path / "ours.mlpackage")
    assert ane_mlir.verify(ours.path) == [] and [d.message.split("; ")[0] for d in ours.diagnostics if "range" in d.message] == ["input 'x' takes a range of shapes"]
    keys = ("kind", "shape", "color", "ranges")
    old, new = (ports(path)["x"] for path in (before, ours.path))
    assert {key: old.get(key) for key in keys} == {key: new.get(key) for key in keys} and old["ranges"][-2:] == [[8, 40], [8, 100]]
    theirs = ct.models.MLModel(str(ours.path), skip_model_load=True).get_spec().description.input[0].type
    sizes = [theirs.imageType.imageSizeRange.heightRange] if kind == "image" else theirs.multiArrayType.shapeRange.sizeRanges[2:3]
    assert [(size.lowerBound, size.upperBound) for size in sizes] == [(8, 40)]
    for height, width in ((16, 16), (8, 99), (13, 8), (40, 21)):
        feeds = {"x": np.random.default_rng(1).uniform(0, 255 if kind == "image" else 1, (1, 3, height, width)).astype(np.float32)}
        wanted, found = ane_mlir.Package(before).run(feeds, numerics="fp32")["out"], ours.run(feeds)["out"]
        assert found.shape == (1, 4, height, width)
        np.testing.assert_allclose(found, wanted, rtol=1e-2, atol=1e-3 * np.abs(wanted).max())
    # A bundle takes the default and says so.
    said = [d.message for d in ane_mlir.compile(before).diagnostics]
    assert any("takes a range of shapes; what is made takes its default alone" in message and "16x16" in message for message in said), said
    # So does a package of one without an end, which no program was compiled for.
    model = ct.models.MLModel(str(before), skip_model_load=True)
    spec = model.get_spec()
    port = spec.description.input[0].type
    (port.multiArrayType.shapeRange.sizeRanges[3] if kind == "array" else port.imageType.imageSizeRange.widthRange).upperBound = -1
    ct.utils.save_spec(spec, str(tmp_path / "open.mlpackage"), weights_dir=model.weights_dir)
    ours = ane_mlir.compile(tmp_path / "open.mlpackage", output=tmp_path / "ours.mlpackage")
    assert any("16x16, for it has no end" in d.message for d in ours.diagnostics) and "ranges" not in ports(ours.path)["x"]


def test_a_range_that_no_program_has(tmp_path):
    """What depends on the shape stands against one program; the default is taken and that is said, or what was asked for is refused."""
    mb = ct.converters.mil.Builder
    row = ct.converters.mil.mil.get_new_symbol()

    @mb.program(input_specs=[mb.TensorSpec(shape=(1, row, 4))], opset_version=ct.target.iOS16)
    def program(x):
        rows = mb.gather(x=mb.shape(x=x), indices=1, axis=0)
        places = mb.cast(x=mb.range_1d(start=0, end=rows, step=1), dtype="fp32")
        return mb.add(x=x, y=mb.expand_dims(x=places, axes=[0, 2]), name="out")

    model = ct.convert(program, inputs=[ct.TensorType(name="x", shape=(1, ct.RangeDim(2, 9, default=4), 4))], convert_to="mlprogram", minimum_deployment_target=ct.target.iOS16)
    model.save(str(tmp_path / "theirs.mlpackage"))
    ours = ane_mlir.compile(tmp_path / "theirs.mlpackage", output=tmp_path / "ours.mlpackage")
    assert any("takes a range of shapes; what is made takes its default alone, 1x4x4, for it cannot be one program for all: " in d.message for d in ours.diagnostics), ours.diagnostics
    assert ports(ours.path)["x"]["shape"] == [1, 4, 4] and "ranges" not in ports(ours.path)["x"]
    x = np.ones((1, 4, 4), np.float32)
    np.testing.assert_allclose(ours.run({"x": x})["out"], ane_mlir.Package(tmp_path / "theirs.mlpackage").run({"x": x})["out"])
    with pytest.raises(ane_mlir.CompileError, match="cannot be one program for a range of shapes: .*depends on the shape"):
        ane_mlir.compile(tmp_path / "theirs.mlpackage", output=tmp_path / "ours.mlpackage", options=["--input-shape=x=1,2..9,4"])


def test_a_range_that_the_program_does_not_take(tmp_path):
    """Windows of 64 rows run at multiples of 64 alone, which nothing says of a range."""
    mb = ct.converters.mil.Builder
    row = ct.converters.mil.mil.get_new_symbol()

    @mb.program(input_specs=[mb.TensorSpec(shape=(1, row, 8))], opset_version=ct.target.iOS16)
    def program(x):
        return mb.reduce_max(x=mb.reshape(x=x, shape=[1, -1, 64, 8]), axes=[2], name="out")

    model = ct.convert(program, inputs=[ct.TensorType(name="x", shape=(1, ct.RangeDim(128, 1920, default=128), 8))], convert_to="mlprogram", minimum_deployment_target=ct.target.iOS16)
    model.save(str(tmp_path / "theirs.mlpackage"))
    ours = ane_mlir.compile(tmp_path / "theirs.mlpackage", output=tmp_path / "ours.mlpackage")
    assert any("what is made takes its default alone, 1x128x8, for it does not take x=1,1919,8; " in d.message for d in ours.diagnostics), ours.diagnostics
    assert ports(ours.path)["x"]["shape"] == [1, 128, 8] and "ranges" not in ports(ours.path)["x"]


def test_ranges_of_an_onnx_model(tmp_path):
    """By name of a dimension and by input; values at extents that were not compiled."""
    helper, weights = onnx.helper, np.random.default_rng(0).standard_normal((16, 16)).astype(np.float32) / 4
    nodes = [helper.make_node("MatMul", ["x", "w"], ["h"], "/h"), helper.make_node("Softmax", ["h"], ["p"], "/p", axis=-1), helper.make_node("Add", ["p", "x"], ["y"], "/y")]
    infos = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["batch", "sequence", 16]) for name in "xy"]
    graph = helper.make_graph(nodes, "m", infos[:1], infos[1:], [onnx.numpy_helper.from_array(weights, "w")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "m.onnx")
    for options in (["--dim=batch=1", "--dim=sequence=1..64"], ["--input-shape=x=1,1..64,16"]):
        ours = ane_mlir.compile(tmp_path / "m.onnx", output=tmp_path / "ours.mlpackage", options=options)
        assert ports(ours.path)["x"]["ranges"] == [[1, 1], [1, 64], [16, 16]] and ports(ours.path)["x"]["shape"] == [1, 64, 16]
        for length in (1, 2, 7, 30, 33, 64):
            x = np.random.default_rng(length).standard_normal((1, length, 16)).astype(np.float32)
            e = np.exp(x @ weights)
            np.testing.assert_allclose(ours.run({"x": x})["y"], e / e.sum(-1, keepdims=True) + x, atol=1e-2)
    for options, said in (
        (["--dim=batch=1,2", "--dim=sequence=1..64"], "a package has either listed ones or ranges"),
        (["--dim=batch=1", "--dim=sequence=64..1"], "expects a range of extents as 1..512, but got '64..1'"),
        (["--dim=batch=1", "--dim=sequence=1..64", "--buckets=functions"], "a range makes one program"),
        (["--dim=batch=1", "--dim=sequence=1..9", "--dim=sequence=4"], "--dim says 'sequence' twice"),
    ):
        with pytest.raises(ValueError, match=re.escape(said)):
            ane_mlir.compile(tmp_path / "m.onnx", output=tmp_path / "no.mlpackage", options=options)
    with pytest.raises(ValueError, match="a range of extents is for packages"):
        ane_mlir.compile(tmp_path / "m.onnx", options=["--dim=batch=1", "--dim=sequence=1..64"])


def onnx_model(path, nodes, inputs, outputs, weights=()):
    helper = onnx.helper
    infos = [[helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name, shape in ports.items()] for ports in (inputs, outputs)]
    graph = helper.make_graph(nodes, "m", *infos, [onnx.numpy_helper.from_array(value, name) for name, value in weights])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def test_ranges_behind_strides(tmp_path):
    """What strides leave of an extent decides pads: no program is right for all. Where they do not, all extents are right."""
    weight = np.random.default_rng(0).standard_normal((4, 3, 3, 3)).astype(np.float32)
    stem = onnx.helper.make_node("Conv", ["x", "w"], ["h"], "/stem", strides=[4, 4], pads=[1, 1, 1, 1])
    shapes = {"x": [1, 3, "h", "w"]}, {"y": [1, 4, "p", "q"]}
    ceil = onnx.helper.make_node("MaxPool", ["h"], ["y"], "/pool", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)
    onnx_model(tmp_path / "ceil.onnx", [stem, ceil], *shapes, [("w", weight)])
    with pytest.raises(ane_mlir.CompileError, match="cannot be one program for a range of shapes: 'pad' of .* depends on the shape"):
        ane_mlir.compile(tmp_path / "ceil.onnx", output=tmp_path / "no.mlpackage", dims={"h": "64..256", "w": "64..256"})
    # Strides that multiply to more than are looked at in a row otherwise.
    halves = [onnx.helper.make_node("MaxPool", [f"h{i}" if i else "x"], [f"h{i + 1}"], f"/half{i}", kernel_shape=[2, 2], strides=[2, 2]) for i in range(5)]
    last = onnx.helper.make_node("MaxPool", ["h5"], ["y"], "/last", kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)
    onnx_model(tmp_path / "deep.onnx", [*halves, last], {"x": [1, 3, "h", 64]}, {"y": [1, 3, "p", 1]})
    with pytest.raises(ane_mlir.CompileError, match="cannot be one program for a range of shapes: 'pad' of .* depends on the shape"):
        ane_mlir.compile(tmp_path / "deep.onnx", output=tmp_path / "no.mlpackage", dims={"h": "64..223"})
    onnx_model(tmp_path / "deeper.onnx", [onnx.helper.make_node("MaxPool", ["x"], ["y"], "/pool", kernel_shape=[2, 2], strides=[300, 1])], {"x": [1, 3, "h", 64]}, {"y": [1, 3, "p", 63]})
    with pytest.raises(ane_mlir.CompileError, match="the strides of the model divide extents by 300 and more; extents that are listed"):
        ane_mlir.compile(tmp_path / "deeper.onnx", output=tmp_path / "no.mlpackage", dims={"h": "64..2230"})
    pool = onnx.helper.make_node("MaxPool", ["h"], ["y"], "/pool", kernel_shape=[3, 3], strides=[2, 2])
    model = onnx_model(tmp_path / "m.onnx", [stem, pool], *shapes, [("w", weight)])
    ours = ane_mlir.compile(model, output=tmp_path / "ours.mlpackage", input_shapes={"x": [1, 3, "32..96", "32..80"]})
    for height, width in ((32, 80), (67, 33), (75, 70), (96, 41)):
        x = np.random.default_rng(height).standard_normal((1, 3, height, width)).astype(np.float32)
        (wanted,) = onnxruntime.InferenceSession(model).run(None, {"x": x})
        np.testing.assert_allclose(ours.run({"x": x})["y"], wanted, atol=2e-2)


def test_small_ranges_are_apart(tmp_path):
    """Extents that are equal by chance are no reason to swap them."""
    shape = [onnx.helper.make_node("Shape", ["x"], ["s"], "/s"), onnx.helper.make_node("Gather", ["s", "perm"], ["t"], "/t"), onnx.helper.make_node("Reshape", ["x", "t"], ["y"], "/y")]
    model = onnx_model(tmp_path / "m.onnx", shape, {"x": ["a", "b", 4]}, {"y": ["b", "a", 4]}, [("perm", np.array([1, 0, 2]))])
    with pytest.raises(ane_mlir.CompileError, match="cannot be one program for a range of shapes"):
        ane_mlir.compile(model, output=tmp_path / "no.mlpackage", dims={"a": "1..2", "b": "1..2"})
    onnx_model(tmp_path / "sum.onnx", [onnx.helper.make_node("Add", ["x", "z"], ["y"], "/y")], {"x": ["n", 16], "z": ["m", 16]}, {"y": ["n", 16]})
    with pytest.raises(ane_mlir.CompileError, match=r"does not take all of its ranges: this is for x=\d+,16, z=\d+,16; inputs that share an extent want --dim"):
        ane_mlir.compile(tmp_path / "sum.onnx", output=tmp_path / "no.mlpackage", input_shapes={"x": ["2..8", 16], "z": ["2..8", 16]})


def test_equal_ranges_of_two_inputs(tmp_path):
    """Where both may be anything, no program that has them equal is taken; where they must be equal, they stay so."""
    mb = ct.converters.mil.Builder
    rows = [ct.converters.mil.mil.get_new_symbol() for _ in range(2)]
    names = [ct.TensorType(name=name, shape=(ct.RangeDim(1, 8, default=4), 4)) for name in ("x", "p")]

    @mb.program(input_specs=[mb.TensorSpec(shape=(row, 4)) for row in rows], opset_version=ct.target.iOS16)
    def turned(x, p):
        y = mb.matmul(x=x, y=p, transpose_y=True)
        extents = [mb.gather(x=mb.shape(x=each), indices=[0], axis=0) for each in (p, x)]
        return mb.reshape(x=y, shape=mb.concat(values=extents, axis=0), name="out")

    @mb.program(input_specs=[mb.TensorSpec(shape=(rows[0], 4)) for _ in rows], opset_version=ct.target.iOS16)
    def added(x, p):
        return mb.add(x=x, y=p, name="out")

    for program, kept in ((turned, False), (added, True)):
        ct.convert(program, inputs=names, convert_to="mlprogram", minimum_deployment_target=ct.target.iOS16).save(str(tmp_path / "theirs.mlpackage"))
        ours = ane_mlir.compile(tmp_path / "theirs.mlpackage", output=tmp_path / "ours.mlpackage")
        assert ("ranges" in ports(ours.path)["x"]) == kept and any("takes its default alone" in d.message for d in ours.diagnostics) != kept
        if kept:
            feeds = {name: np.full((7, 4), value, np.float32) for name, value in (("x", 1), ("p", 2))}
            np.testing.assert_allclose(ours.run(feeds)["out"], np.full((7, 4), 3))


def test_names_that_collide(tmp_path):
    """A description stands behind the name that a package could not keep."""
    nodes = [onnx.helper.make_node("Sub", ["a/b", "a:b"], ["y"], "/y")]
    model = onnx_model(tmp_path / "m.onnx", nodes, {"a/b": [1, 4], "a:b": [1, 4]}, {"y": [1, 4]})
    ours = ane_mlir.compile(model, output=tmp_path / "ours.mlpackage", options=["--describe=a/b=a:b", "--describe=a:b=a/b"])
    feeds = {"a/b": np.full((1, 4), 5, np.float32), "a:b": np.full((1, 4), 2, np.float32)}
    np.testing.assert_allclose(ours.run(feeds)["y"], np.full((1, 4), 3))
    assert sorted(port["description"] for name, port in ports(ours.path).items() if name != "y") == ["a/b — a:b", "a:b — a/b"]


def test_what_options_say(tmp_path):
    """Of an ONNX model: metadata, descriptions, images that come out, inputs that may be left out."""
    helper = onnx.helper
    infos = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name, shape in (("picture", [1, 3, 8, 8]), ("gain", [1, 3, 1, 1]), ("bright", [1, 3, 8, 8]))]
    graph = helper.make_graph([helper.make_node("Mul", ["picture", "gain"], ["bright"], "/m")], "m", infos[:2], infos[2:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "m.onnx")
    options = ["--image-input=picture=RGB,0.5", "--image-output=bright=RGB", "--describe=picture=what the camera sees", "--describe=bright=brighter", "--input-default=gain=1.5", "--metadata=com.apple.coreml.model.preview.type=imageSegmenter"]
    for model in ("m.onnx", "ours.mlpackage"):  # and from package to package
        ours = ane_mlir.compile(tmp_path / model, output=tmp_path / "ours.mlpackage", options=options if model == "m.onnx" else [])
        found = ports(ours.path)
        assert (found["picture"]["description"], found["bright"]["description"]) == ("what the camera sees", "brighter")
        assert found["bright"]["kind"] == "image" and found["bright"]["color"] == "RGB" and found["gain"]["default"] == 1.5
        theirs = ct.models.MLModel(str(ours.path), skip_model_load=True).get_spec().description
        assert theirs.metadata.userDefined["com.apple.coreml.model.preview.type"] == "imageSegmenter" and theirs.input[1].type.isOptional
        picture = np.random.default_rng(0).uniform(0, 100, (1, 3, 8, 8)).astype(np.float32).round()
        np.testing.assert_allclose(ours.run({"picture": picture})["bright"], picture * 0.5 * 1.5, rtol=1e-2)
        assert not [d.message for d in ours.diagnostics if "cosine" in d.message], "the check gives pixels"
    # What was said before may be said otherwise.
    again = ane_mlir.compile(tmp_path / "ours.mlpackage", output=tmp_path / "again.mlpackage", options=["--describe=picture=a picture", "--input-default=gain=2", "--metadata=com.apple.coreml.model.preview.type="])
    assert (ports(again.path)["picture"]["description"], ports(again.path)["gain"]["default"], ports(again.path)["bright"]["description"]) == ("a picture", 2, "brighter")
    for option, said in (
        ("--describe=pictures=x", "no input is named 'pictures' to be described; did you mean 'picture'?"),
        ("--image-output=picture=RGB", "no output is named 'picture' to be an image"),
        ("--image-output=bright=GRAY", "cannot be an image; expects floats of 1x3xHxW for RGB and BGR, of 1x1xHxW for GRAY"),
        ("--input-default=bright=1", "no input is named 'bright' to be left out"),
        ("--input-default=gain=1e39", "cannot be 1.000000e+39; its elements are numbers up to "),
    ):
        with pytest.raises(ane_mlir.CompileError, match=re.escape(said)):
            ane_mlir.compile(tmp_path / "m.onnx", output=tmp_path / "no.mlpackage", options=[option])
    for option in ("--metadata=x", "--describe=x", "--image-output=bright=PINK", "--input-default=gain=much", "--metadata=producer=me", "--metadata=author=me", "--image-input=picture=RGB,nan", "--image-input=picture=RGB,1e39"):
        with pytest.raises(ValueError, match="expects --|cannot say"):
            ane_mlir.compile(tmp_path / "m.onnx", output=tmp_path / "no.mlpackage", options=[option])


def test_shapes_of_two_inputs(tmp_path):
    """Any may meet any, so that none is kept and both are said."""
    mb = ct.converters.mil.Builder
    rows = [ct.converters.mil.mil.get_new_symbol() for _ in range(2)]

    @mb.program(input_specs=[mb.TensorSpec(shape=(1, row, 4)) for row in rows], opset_version=ct.target.iOS16)
    def program(x, y):
        return mb.matmul(x=x, y=y, transpose_y=True, name="out")

    shapes = [(1, 2, 4), (1, 4, 4), (1, 8, 4)]
    ports_of = [ct.TensorType(name=name, shape=ct.EnumeratedShapes(shapes=shapes, default=shapes[1])) for name in ("x", "y")]
    model = ct.convert(program, inputs=ports_of, convert_to="mlprogram", minimum_deployment_target=ct.target.iOS18)
    model.save(str(tmp_path / "theirs.mlpackage"))
    ours = ane_mlir.compile(tmp_path / "theirs.mlpackage", output=tmp_path / "ours.mlpackage")
    assert [d.message.split("; ")[1] for d in ours.diagnostics if "takes several shapes" in d.message] == ["what is made takes its default alone, 1x4x4"] * 2
    assert ports(ours.path)["x"]["shape"] == ports(ours.path)["y"]["shape"] == [1, 4, 4] and "shapes" not in ports(ours.path)["x"]
    one = ane_mlir.compile(tmp_path / "theirs.mlpackage", output=tmp_path / "one.mlpackage", input_shapes={"y": shapes[0]})
    assert sorted(ports(one.path)["x"]["shapes"]) == [list(shape) for shape in shapes] and ports(one.path)["y"]["shape"] == [1, 2, 4]
    feeds = {"x": np.ones(shapes[2], np.float32), "y": np.ones(shapes[0], np.float32)}
    np.testing.assert_allclose(one.run(feeds)["out"], ane_mlir.Package(tmp_path / "theirs.mlpackage").run(feeds)["out"])
    # Shapes that are asked for are those of inputs that leave them open.
    for wrong, said in (({"z": shapes[0]}, "'z' is no input of the model"), ({"x": (1, 2, 5)}, "which is no array of the shape 1x2x5")):
        with pytest.raises(ane_mlir.CompileError, match=said):
            ane_mlir.compile(tmp_path / "theirs.mlpackage", input_shapes=wrong)


@pytest.mark.parametrize("dims", [(1, 3, -4, 8), (1, 3, 0, 8), (1, 3, 8), (1, 3, 2**40, 2**40)])
def test_listed_shapes_that_are_none(tmp_path, dims):
    before = flexible(tmp_path, array=ct.EnumeratedShapes(shapes=[(1, 3, 8, 8), (1, 3, 16, 12)]))
    model = ct.models.MLModel(str(before), skip_model_load=True)
    spec = model.get_spec()
    spec.description.input[0].type.multiArrayType.enumeratedShapes.shapes.add().shape.extend(dims)
    ct.utils.save_spec(spec, str(tmp_path / "wrong.mlpackage"), weights_dir=model.weights_dir)
    with pytest.raises(ane_mlir.CompileError, match="'x"):
        ane_mlir.compile(tmp_path / "wrong.mlpackage", output=tmp_path / "ours.mlpackage")
    assert not (tmp_path / "ours.mlpackage").exists()
