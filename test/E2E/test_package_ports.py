"""What a package says of its inputs and outputs survives from package to package: descriptions, inputs that may be left out and what
they are then, images in and out."""

from __future__ import annotations

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


def test_info_says_so(theirs):
    said = subprocess.run([ane_mlir.find_tool("ane-info"), theirs], capture_output=True, text=True, check=True).stdout
    assert "may be left out (then 0.5)" in said and "what the camera sees" in said
