"""Classifiers: labels, names and metadata survive from package to package; what cannot be one is refused."""

from __future__ import annotations

import subprocess

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import ane_mlir

FEEDS = {"x": np.array([[0.1, 2.0, -1.0]], np.float32)}


def run(folder, *arguments) -> tuple[int, str]:
    done = subprocess.run([ane_mlir.find_tool("onnx-to-ane"), *map(str, arguments)], capture_output=True, text=True, cwd=folder)
    return done.returncode, done.stdout + done.stderr


def save(path, output: str = "y") -> None:
    graph = helper.make_graph([helper.make_node("Softmax", ["x"], [output], name="/soft")], "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3])], [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


@pytest.fixture
def package(tmp_path):
    save(tmp_path / "m.onnx")
    (tmp_path / "labels.txt").write_text("cat\nspotted owl\ndog\n")
    code, said = run(tmp_path, "m.onnx", "-o", "m.mlpackage", "--class-labels=labels.txt", "--author=Me", "--description=Animals", "--quiet")
    assert code == 0, said
    return tmp_path / "m.mlpackage"


def classifier(path) -> tuple:
    (function,) = ane_mlir.info(path)["functions"]
    return function["labels"], function["predicted_feature"], function["predicted_probabilities"], [(port["name"], port["kind"]) for port in function["outputs"]]


def test_from_package_to_package(tmp_path, package):
    wanted = classifier(package)
    assert wanted[0] == ["cat", "spotted owl", "dog"] and wanted[1:3] == ("classLabel", "classLabel_probs")
    again = ane_mlir.compile(package, output=tmp_path / "again.mlpackage")
    assert classifier(again.path) == wanted and ane_mlir.verify(again.path) == []
    metadata = ane_mlir.info(again.path)["metadata"]
    assert metadata["author"] == "Me" and metadata["description"] == "Animals"
    first, second = ane_mlir.Package(package).run(FEEDS), again.run(FEEDS)
    assert list(first) == list(second) and int(first["classLabel"].item()) == int(second["classLabel"].item()) == 1
    np.testing.assert_allclose(first["classLabel_probs"], second["classLabel_probs"], atol=1e-3)
    # A bundle has the label's index.
    assert int(next(iter(ane_mlir.compile(package).run(FEEDS).values())).item()) == 1
    # Other labels may be given; as many.
    (tmp_path / "other.txt").write_text("a\nb\nc\n")
    ane_mlir.compile(package, output=tmp_path / "other.mlpackage", options=[f"--class-labels={tmp_path / 'other.txt'}"])
    assert classifier(tmp_path / "other.mlpackage")[0] == ["a", "b", "c"]


@pytest.mark.parametrize("labels", [["red", "green", "blue"], [10, 20, -30], [10, 2**40, 2**31]], ids=["texts", "numbers", "large"])
def test_somebody_elses(tmp_path, labels):
    ct = pytest.importorskip("coremltools")
    mb = ct.converters.mil.Builder

    @mb.program(input_specs=[mb.TensorSpec(shape=(1, 3))])
    def program(x):
        return mb.softmax(x=x, axis=-1, name="chances")

    model = ct.convert(program, convert_to="mlprogram", classifier_config=ct.ClassifierConfig(labels, predicted_feature_name="colour"), minimum_deployment_target=ct.target.iOS16)
    spec = model.get_spec()
    for output in spec.description.output:
        output.shortDescription = f"about {output.name}"
    model = ct.models.MLModel(spec, weights_dir=model.weights_dir)
    model.user_defined_metadata["com.apple.coreml.model.preview.type"] = "imageClassifier"
    model.save(str(tmp_path / "theirs.mlpackage"))
    theirs = classifier(tmp_path / "theirs.mlpackage")
    ours = ane_mlir.compile(tmp_path / "theirs.mlpackage", output=tmp_path / "ours.mlpackage")
    assert theirs[0] == [str(label) for label in labels] and theirs[1] == "colour" and classifier(ours.path) == theirs and ane_mlir.verify(ours.path) == []
    assert ane_mlir.info(ours.path)["metadata"]["com.apple.coreml.model.preview.type"] == "imageClassifier"
    spec = ct.models.MLModel(str(ours.path), skip_model_load=True).get_spec()
    assert spec.description.predictedFeatureName == "colour"
    assert {output.name: output.shortDescription for output in spec.description.output} == {name: f"about {name}" for name, _ in theirs[3]}
    kinds = {output.name: output.type.WhichOneof("Type") for output in spec.description.output}
    assert kinds["colour"] == ("int64Type" if labels[0] == 10 else "stringType")
    # Numbers become texts where others are given, and that is said.
    (tmp_path / "other.txt").write_text("a\nb\nc\n")
    other = ane_mlir.compile(tmp_path / "theirs.mlpackage", output=tmp_path / "other.mlpackage", options=[f"--class-labels={tmp_path / 'other.txt'}"])
    assert any("the labels were whole numbers; those of --class-labels are texts" in d.message for d in other.diagnostics) == (labels[0] == 10)
    # Of numbers the label is the number, of texts its place.
    artifacts = [ane_mlir.Package(tmp_path / "theirs.mlpackage"), ours]
    if labels[2] != 2**31:
        artifacts.append(ane_mlir.compile(tmp_path / "theirs.mlpackage"))
    else:
        with pytest.raises(ane_mlir.CompileError, match="does not fit 32 bits"):
            ane_mlir.compile(tmp_path / "theirs.mlpackage")
    for artifact in artifacts:
        assert int(next(iter(artifact.run({"x": np.array([[0.1, -1.0, 2.0]], np.float32)}).values())).item()) == (2 if labels[0] == "red" else labels[2])


def test_refused(tmp_path, package):
    (tmp_path / "twice.txt").write_text("cat\ndog\ncat\n")
    code, said = run(tmp_path, "m.onnx", "-o", "t.mlpackage", "--class-labels=twice.txt", "--quiet")
    assert code == 2 and "label 'cat' stands twice in 'twice.txt', in lines 1 and 3" in said
    (tmp_path / "two.txt").write_text("cat\ndog\n")
    code, said = run(tmp_path, "m.onnx", "-o", "t.mlpackage", "--class-labels=two.txt", "--quiet")
    assert code == 1 and "cannot be the probabilities of 2 classes" in said
    assert not (tmp_path / "t.mlpackage").exists()


def test_a_value_of_that_name(tmp_path, package):
    for name in ("classLabel", "classLabel_probs"):
        save(tmp_path / "named.onnx", name)
        code, said = run(tmp_path, "named.onnx", "-o", "named.mlpackage", "--class-labels=labels.txt", "--quiet")
        assert code == 0, said
        assert ane_mlir.verify(tmp_path / "named.mlpackage") == []
        assert classifier(tmp_path / "named.mlpackage")[0] == ["cat", "spotted owl", "dog"]
