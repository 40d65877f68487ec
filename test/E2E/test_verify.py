"""--verify-each-numerics over every model: no pass changes what it computes; and what each pass is worth (tools/dev/ablate)."""

from __future__ import annotations

import subprocess

import onnx
import pytest
from conftest import ROOT, SHARED

import ane_mlir
import builders as models

EXPORTED = sorted(p.parent for p in (SHARED / "models" / "exported").glob("*/model.onnx"))


def verify(model, tmp_path, *options: str) -> dict[str, float]:
    """Largest error of each pass."""
    result = subprocess.run([ane_mlir.find_tool("onnx-to-ane"), model, "-o", tmp_path / "m.anepkg", "--verify-each-numerics", *options], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    errors: dict[str, float] = {}
    for line in result.stderr.splitlines():
        if line.startswith("verified: "):
            _, name, _, error = line.split()
            errors[name] = max(errors.get(name, 0), float(error))
    assert {"ane-recover", "ane-assign-layout", "ane-plan-io"} <= set(errors)
    return errors


@pytest.mark.parametrize("target", ["h13", "h16"])
@pytest.mark.parametrize("name", models.BUILDERS)
def test_built(tmp_path, name, target):
    onnx.save(models.BUILDERS[name](), tmp_path / "m.onnx")
    verify(tmp_path / "m.onnx", tmp_path, f"--target={target}")


@pytest.mark.parametrize("folder", EXPORTED or [pytest.param(None, marks=pytest.mark.skip(reason="no shared models beside the project"))], ids=lambda p: p.name if p else "none")
def test_exported(tmp_path, folder):
    options = (folder / "args.txt").read_text().split() if (folder / "args.txt").exists() else []
    verify(folder / "model.onnx", tmp_path, *options)


@pytest.mark.parametrize("name", models.BUILDERS)
def test_parts_of_large_values(tmp_path, name):
    """Heads, channels and rows with their halo, where little may be alive together."""
    onnx.save(models.BUILDERS[name](), tmp_path / "m.onnx")
    assert verify(tmp_path / "m.onnx", tmp_path, "--live-bytes=20000")["ane-tile"] <= 1e-4


def test_digits(tmp_path):
    errors = verify(ROOT / "test" / "E2E" / "digits" / "digits.onnx", tmp_path, "--dim=batch=4")
    assert errors["ane-assign-precision"] == 0  # weights are rounded once, when they are written


def test_several_functions(tmp_path):
    """Each is held against itself."""
    errors = verify(ROOT / "test" / "E2E" / "digits" / "digits.onnx", tmp_path, "--dim=batch=1,2")
    assert errors["ane-place"] < 1e-3


def test_unknown_dimension(tmp_path):
    result = subprocess.run([ane_mlir.find_tool("onnx-to-ane"), ROOT / "test" / "E2E" / "digits" / "digits.onnx", "-o", tmp_path / "m.anepkg", "--verify-each-numerics"], capture_output=True, text=True)
    assert result.returncode == 1 and "--dim" in result.stderr, result.stderr
