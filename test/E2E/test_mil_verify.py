"""mil-verify finds what coremltools' loader finds, and what it does not (each case says which)."""

from __future__ import annotations

import json
import pathlib
import shutil
import subprocess

import numpy as np
import pytest

import ane_mlir

WEIGHTS = "Data/com.apple.CoreML/weights"


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> pathlib.Path:
    """A small program: linear with weights in a file, reshape, softmax."""
    import coremltools as ct
    from coremltools.converters.mil.mil import Builder as mb

    rng = np.random.default_rng(0)

    @mb.program(input_specs=[mb.TensorSpec((2, 8))], opset_version=ct.target.iOS16)
    def program(x):
        y = mb.linear(x=x, weight=rng.standard_normal((6, 8)).astype(np.float32), name="y")
        y = mb.reshape(x=y, shape=[3, 4], name="z")
        return mb.softmax(x=mb.add(x=y, y=np.float32(1.5), name="a"), axis=-1, name="p")

    path = tmp_path_factory.mktemp("good") / "m.mlpackage"
    model = ct.convert(program, convert_to="mlprogram", minimum_deployment_target=ct.target.iOS16, skip_model_load=True, pass_pipeline=ct.PassPipeline.EMPTY, compute_precision=ct.precision.FLOAT32)
    model.save(str(path))
    return path


def ops(spec):
    function = spec.mlProgram.functions["main"]
    return function.block_specializations[function.opset].operations


def find(spec, name):
    return next(op for op in ops(spec) if op.outputs and op.outputs[0].name == name)


def rename(spec, old, new):
    for op in ops(spec):
        for output in op.outputs:
            output.name = new if output.name == old else output.name
        for argument in op.inputs.values():
            for binding in argument.arguments:
                if binding.WhichOneof("binding") == "name" and binding.name == old:
                    binding.name = new


def move_opset(spec):
    function = spec.mlProgram.functions["main"]
    function.block_specializations["CoreML8"].CopyFrom(function.block_specializations[function.opset])
    del function.block_specializations[function.opset]
    function.opset = "CoreML8"


def docstring(spec):
    const = next(op for op in ops(spec) if op.type == "const")
    const.attributes["val"].docString = "what it is"


def blob_argument(spec):
    weight = next(op for op in ops(spec) if op.type == "const" and op.attributes["val"].HasField("blobFileValue"))
    find(spec, "y").inputs["weight"].arguments[0].value.CopyFrom(weight.attributes["val"])


def const_type(spec):
    const = next(op for op in ops(spec) if op.type == "const" and op.attributes["val"].HasField("blobFileValue"))
    const.outputs[0].type.tensorType.dimensions[0].constant.size = 5


def open_dimension(spec):
    find(spec, "z").outputs[0].type.tensorType.dimensions[0].unknown.variadic = False


def rank_six(spec):
    import copy

    op = find(spec, "a")
    dims = op.outputs[0].type.tensorType.dimensions
    for _ in range(4):
        dims.add().CopyFrom(copy.deepcopy(dims[0]))
    op.outputs[0].type.tensorType.rank = 6


def two_precisions(spec):
    find(spec, "y").outputs[0].type.tensorType.dataType = 10


# name: (what to do with the specification, rule, whether coremltools' loader notices)
CASES = {
    "unknown operation": (lambda s: setattr(find(s, "p"), "type", "softmaxx"), "operation", True),
    "unknown argument": (lambda s: find(s, "p").inputs["axes"].CopyFrom(find(s, "p").inputs["axis"]), "operation", True),
    "missing argument": (lambda s: find(s, "y").inputs.pop("weight"), "operation", True),
    "parameter known at run time": (lambda s: setattr(find(s, "p").inputs["axis"].arguments[0], "name", "x"), "operation", True),
    "wrong result dtype": (two_precisions, "operation", True),
    "wrong result shape": (lambda s: setattr(find(s, "z").outputs[0].type.tensorType.dimensions[0].constant, "size", 4), "operation", True),
    "program version": (lambda s: setattr(s.mlProgram, "version", 2), "program", True),
    "extra attribute": (lambda s: find(s, "p").attributes["color"].CopyFrom(find(s, "p").attributes["name"]), "attribute", True),
    "docString": (docstring, "program", True),
    "foreign program attribute": (lambda s: s.mlProgram.attributes["author"].CopyFrom(find(s, "p").attributes["name"]), "program", True),
    "blob beside an ordinary operation": (blob_argument, "weights", True),
    "blob offset": (lambda s: setattr(next(op for op in ops(s) if op.type == "const" and op.attributes["val"].HasField("blobFileValue")).attributes["val"].blobFileValue, "offset", 128), "weights", True),
    "illegal identifier": (lambda s: rename(s, "a", "1a-b"), "identifier", False),
    "reserved identifier": (lambda s: rename(s, "a", "tensor"), "identifier", False),
    "input of another name": (lambda s: setattr(s.description.input[0], "name", "image"), "description", False),
    "input of another shape": (lambda s: s.description.input[0].type.multiArrayType.shape.__setitem__(0, 3), "description", False),
    "input of another dtype": (lambda s: setattr(s.description.input[0].type.multiArrayType, "dataType", 65552), "description", False),
    "output of another name": (lambda s: setattr(s.description.output[0], "name", "q"), "description", False),
    "opset against specification": (move_opset, "opset", False),
    "specification too low": (lambda s: setattr(s, "specificationVersion", 6), "opset", False),
    "const of another type than its value": (const_type, "constant", False),
    "dimension that is known": (open_dimension, "operation", False),
    "no name": (lambda s: find(s, "p").attributes.pop("name"), "name", False),
    "a name twice": (lambda s: find(s, "p").attributes["name"].CopyFrom(find(s, "a").attributes["name"]), "name", False),
    "rank six": (rank_six, "rank", True),
}  # fmt: skip


def verify(path: pathlib.Path) -> tuple[int, str]:
    done = subprocess.run([ane_mlir.find_tool("mil-verify"), path], capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stderr
    return done.returncode, done.stdout + done.stderr


def test_good(good):
    assert verify(good) == (0, f"{good}: 1 function, {len(ops(spec(good)))} operations, 0 findings\n")


def spec(path):
    import coremltools

    return coremltools.utils.load_spec(str(path))


@pytest.mark.parametrize("case", CASES)
def test_bad(good, tmp_path, case):
    from coremltools.converters.mil.frontend.milproto.load import load

    change, rule, theirs = CASES[case]
    path = tmp_path / "m.mlpackage"
    shutil.copytree(good, path)
    changed = spec(path)
    change(changed)
    (path / "Data/com.apple.CoreML/model.mlmodel").write_bytes(changed.SerializeToString())
    code, text = verify(path)
    assert code == 1 and f"[{rule}]" in text, text
    try:
        load(changed, changed.specificationVersion, str(path / WEIGHTS))
        noticed = False
    except Exception:  # whatever coremltools raises
        noticed = True
    assert noticed == theirs


def test_manifest(good, tmp_path):
    path = tmp_path / "m.mlpackage"
    shutil.copytree(good, path)
    manifest = json.loads((path / "Manifest.json").read_text())
    manifest["itemInfoEntries"]["more"] = {"path": "com.apple.CoreML/nothing", "name": "nothing", "author": "x"}
    (path / "Manifest.json").write_text(json.dumps(manifest))
    code, text = verify(path)
    assert code == 1 and "to have 'description'" in text and "does not exist" in text


def test_weights_missing(good, tmp_path):
    path = tmp_path / "m.mlpackage"
    shutil.copytree(good, path)
    (path / WEIGHTS / "weight.bin").unlink()
    code, text = verify(path)
    assert code == 1 and "[weights]" in text


def test_several_findings(good, tmp_path):
    """One mistake does not hide the next."""
    path = tmp_path / "m.mlpackage"
    shutil.copytree(good, path)
    changed = spec(path)
    find(changed, "y").type = "linearr"
    find(changed, "p").type = "softmaxx"
    find(changed, "p").attributes.pop("name")
    (path / "Data/com.apple.CoreML/model.mlmodel").write_bytes(changed.SerializeToString())
    _, text = verify(path)
    assert "linearr" in text and "softmaxx" in text and "[name]" in text and "3 findings" in text


def test_older_formats(tmp_path):
    """Neural networks and pipelines: one clear message."""
    import coremltools as ct
    from coremltools.models import datatypes
    from coremltools.models.neural_network import NeuralNetworkBuilder

    builder = NeuralNetworkBuilder([("x", datatypes.Array(3))], [("y", datatypes.Array(3))], disable_rank5_shape_mapping=True)
    builder.add_activation("relu", "RELU", "x", "y")
    ct.models.MLModel(builder.spec, skip_model_load=True).save(str(tmp_path / "old.mlpackage"))
    for command in (["mil-verify", tmp_path / "old.mlpackage"], ["ane-run", tmp_path / "old.mlpackage", "--random-inputs=0"], ["onnx-to-ane", tmp_path / "old.mlpackage", "-o", tmp_path / "x.anepkg"]):
        done = subprocess.run([ane_mlir.find_tool(command[0]), *command[1:]], capture_output=True, text=True)
        assert done.returncode == 1 and "neural network of the format before iOS 15" in done.stderr and done.stderr.count("\n") == 1
    ct.models.MLModel(builder.spec, skip_model_load=True).save(str(tmp_path / "old.mlmodel"))
    done = subprocess.run([ane_mlir.find_tool("onnx-to-ane"), tmp_path / "old.mlmodel", "-o", tmp_path / "x.anepkg"], capture_output=True, text=True)
    assert done.returncode == 1 and "neural network of the format before iOS 15" in done.stderr
    (tmp_path / "old.mlmodelc").mkdir()
    (tmp_path / "old.mlmodelc" / "model.espresso.net").write_text("{}")
    done = subprocess.run([ane_mlir.find_tool("ane-run"), tmp_path / "old.mlmodelc", "--random-inputs=0"], capture_output=True, text=True)
    assert done.returncode == 1 and "neural network of the format before iOS 15" in done.stderr
