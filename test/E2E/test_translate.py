"""Packages through ane-translate: to MLIR, to text, and from MLIR to a package again."""

from __future__ import annotations

import subprocess

import numpy as np
import onnx
from test_packages import run

import ane_mlir
import builders as models
from test_verify import ROOT

DIGITS = ROOT / "test" / "E2E" / "digits" / "digits.onnx"


def tool(name: str, *arguments, ok: bool = True) -> str:
    done = subprocess.run([ane_mlir.find_tool(name), *map(str, arguments)], capture_output=True, text=True)
    assert (done.returncode == 0) == ok, done.stderr
    return done.stdout + done.stderr


def test_package_through_mlir(tmp_path):
    onnx.save(models.BUILDERS["vit"](), tmp_path / "m.onnx")
    package = tmp_path / "m.mlpackage"
    tool("onnx-to-ane", tmp_path / "m.onnx", "-o", package, "--quiet")
    # The extension chooses the translation.
    text = tool("ane-translate", package, "-o", tmp_path / "m.mlir") or (tmp_path / "m.mlir").read_text()
    assert "mil.program" in text
    assert "ane.program" in tool("ane-translate", "--raise-mil", package)
    again = tmp_path / "again.mlpackage"
    tool("ane-translate", "--mil-to-mlpackage", tmp_path / "m.mlir", f"--weights={package}/Data/com.apple.CoreML", "-o", again)
    tool("mil-verify", again)
    assert "cosine 1.0000000" in tool("ane-diff", package, again) and "0 only in A (0 bytes), 0 only in B" in tool("ane-diff", package, again)
    # Without the weights: an error, and no package.
    refused = tool("ane-translate", "--mil-to-mlpackage", tmp_path / "m.mlir", f"--weights={tmp_path}", "-o", tmp_path / "none.mlpackage", ok=False)
    assert "BLOBFILE(@model_path/weights/weight.bin" in refused and not (tmp_path / "none.mlpackage").exists()


def test_compiled_folder(tmp_path):
    folder = tmp_path / "m.mlmodelc"
    folder.mkdir()
    (folder / "model.mil").write_text(
        'program(1.3)\n{\n    func main<ios18>(tensor<fp32, [2]> x) {\n            tensor<fp32, [2]> y = relu(x = x)[name = string("y")];\n        } -> (y);\n}'
    )
    assert "mil.func" in tool("ane-translate", folder)
    x = np.array([-1, 2], np.float32)
    np.testing.assert_array_equal(run(folder, tmp_path / "out", {"x": x})["0"], [0, 2])
    tool("ane-translate", folder, "-o", tmp_path / "m.mlir")
    tool("ane-translate", "--mil-to-mlpackage", tmp_path / "m.mlir", "-o", tmp_path / "m.mlpackage")
    tool("mil-verify", tmp_path / "m.mlpackage")


def test_text_of_a_package(tmp_path):
    """--mil-to-text of a package imports it first."""
    package = ane_mlir.compile(DIGITS, dims={"batch": 1}, output=tmp_path / "m.mlpackage", check="off").path
    done = subprocess.run([ane_mlir.find_tool("ane-translate"), "--mil-to-text", package], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("program(1.") and "conv(" in done.stdout


def test_what_was_not_placed_is_no_bundle(tmp_path):
    text = tmp_path / "m.mlir"
    subprocess.run([ane_mlir.find_tool("onnx-to-ane"), DIGITS, "--dim=batch=1", "--compile-to=optimized", "-o", text], check=True, capture_output=True)
    done = subprocess.run([ane_mlir.find_tool("ane-translate"), "--ane-to-anepkg", text, "-o", tmp_path / "m.anepkg"], capture_output=True, text=True)
    assert done.returncode == 1 and "is in no program" in done.stderr and not (tmp_path / "m.anepkg").exists()
