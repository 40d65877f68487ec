"""What a package says of its inputs and outputs survives from package to package: descriptions, inputs that may be left out and what
they are then, images in and out."""

from __future__ import annotations

import re
import subprocess

import numpy as np
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


def test_a_range_is_said(tmp_path):
    before = flexible(tmp_path, array=ct.Shape(shape=(1, 3, ct.RangeDim(8, 32, default=16), ct.RangeDim(8, 32, default=16))))
    ours = ane_mlir.compile(before, output=tmp_path / "ours.mlpackage")
    assert any("takes a range of shapes; what is made takes its default alone, 1x3x16x16" in d.message for d in ours.diagnostics), ours.diagnostics
    assert ports(ours.path)["x"]["shape"] == [1, 3, 16, 16]


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
