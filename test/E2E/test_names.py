"""Names that users give and formats do not take: artifacts are valid, inputs are found by their own names, messages can be printed."""

from __future__ import annotations

import os
import pathlib
import subprocess
import unicodedata

import numpy as np
import onnx
import pytest
from conftest import ROOT
from onnx import helper

BIN = pathlib.Path(os.environ.get("ANE_MLIR_BIN", ROOT / "build" / "bin"))
NAMES = [" ", "main", "func", "tensor", "program", "classLabel", "classLabel_probs", "x:0", "0", "a\nb", 'a"b', "a\\b", "\u202eabc", "\x1b[31mred", "é", "n" * 10000, "a/b/../c", "..", "%s%n", "a,b", "a=b",
         "true", "fp16", "string", "_", "-", "日本", "x_0_", "output_0"]  # fmt: skip


def model(name: str) -> onnx.ModelProto:
    """y = relu(NAME) + 2 x_0, so that a mix-up of the inputs shows."""
    value = helper.make_tensor_value_info
    nodes = [helper.make_node("Relu", [name], [name + "t"], name), helper.make_node("Add", [name + "t", "x_0"], ["s"], name + "2"), helper.make_node("Add", ["s", "x_0"], [name + "_out"], "last")]
    graph = helper.make_graph(nodes, name, [value(name, 1, [1, 4]), value("x_0", 1, [1, 4])], [value(name + "_out", 1, [1, 4])])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def run(*command: str | os.PathLike[str]) -> str:
    result = subprocess.run([BIN / command[0], *command[1:]], capture_output=True)
    said = (result.stdout + result.stderr).decode("utf-8")
    assert result.returncode == 0, said
    assert len(said) < 5000
    assert not [c for c in said if c != "\n" and unicodedata.category(c) in ("Cc", "Cf")], repr(said)
    return said


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
@pytest.mark.parametrize("form", ["anepkg", "mlpackage", "mil"])
def test_names(tmp_path, name, form):
    onnx.save(model(name), tmp_path / "m.onnx")
    np.save(tmp_path / "one.npy", np.array([[1, 2, 3, 4]], np.float32))
    np.save(tmp_path / "two.npy", np.full((1, 4), 10, np.float32))
    out = tmp_path / f"m.{form}"
    run("onnx-to-ane", tmp_path / "m.onnx", "-o", out)
    if form == "mlpackage":
        run("mil-verify", out)
    first = name
    if form == "mil" and name in ("x:0", "x_0_"):
        first = "x_0_"  # a text keeps no other names, and this one could stand for either
    assert "21 22 23 24" in run("ane-run", out, f"--input={first}={tmp_path / 'one.npy'}", f"--input=x_0={tmp_path / 'two.npy'}")


@pytest.mark.parametrize("values, said", [(["a", "b"], "holds strings"), ([b"a", b"b"], "holds strings"), ([{}, None], "holds Python objects"), ([1 + 2j], "holds complex numbers"),
                                          (np.zeros(2, "datetime64[s]"), "holds times"), (np.zeros(2, [("a", "f4")]), "holds records")])  # fmt: skip
def test_arrays_of_no_numbers(tmp_path, values, said):
    onnx.save(model("x"), tmp_path / "m.onnx")
    run("onnx-to-ane", tmp_path / "m.onnx", "-o", tmp_path / "m.anepkg")
    np.save(tmp_path / "x.npy", np.array(values), allow_pickle=True)
    result = subprocess.run([BIN / "ane-run", tmp_path / "m.anepkg", f"--input=x={tmp_path / 'x.npy'}", "--random-inputs=0"], capture_output=True, text=True)
    assert result.returncode == 1 and said in result.stderr and "x.npy" in result.stderr, result.stderr


@pytest.mark.parametrize("place", ["node", "value", "input"])
def test_classifier_beside_its_own_names(tmp_path, place):
    """A classifier's outputs are called classLabel and classLabel_probs, whatever the model calls its values."""
    value = helper.make_tensor_value_info
    names = {"node": ("x", "h", "classLabel"), "value": ("x", "classLabel", "n"), "input": ("classLabel", "h", "n")}[place]
    nodes = [helper.make_node("Relu", [names[0]], [names[1]], names[2]), helper.make_node("Softmax", [names[1]], ["y"], "classLabel_probs" if place == "node" else "soft")]
    graph = helper.make_graph(nodes, "g", [value(names[0], 1, [1, 3])], [value("y", 1, [1, 3])])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "m.onnx")
    (tmp_path / "labels.txt").write_text("cat\ndog\nbird\n")
    run("onnx-to-ane", tmp_path / "m.onnx", "-o", tmp_path / "m.mlpackage", f"--class-labels={tmp_path / 'labels.txt'}")
    run("mil-verify", tmp_path / "m.mlpackage")
