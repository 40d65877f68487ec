"""Bundles through the runtime (lib/Runtime) and the stand-in for the engine's framework: the same results, bit by bit, as in the
interpreter with the engine's numerics."""

from __future__ import annotations

import json
import os
import pathlib
import shlex
import shutil
import subprocess

import architectures
import builders
import onnx
import pytest
from conftest import ROOT, SHARED

BIN = pathlib.Path(os.environ["ANE_MLIR_BIN"])
STANDIN = BIN.parent / "lib/libane-standin.so"
pytestmark = pytest.mark.skipif(not STANDIN.exists(), reason="the stand-in is not built: it wants GNUstep (libgnustep-base-dev)")

EXPORTED = sorted(p.name for p in (SHARED / "models/exported").glob("*")) if (SHARED / "models/exported").is_dir() else []


def tool(name: str, *arguments: object, ok: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([BIN / name, *map(str, arguments)], capture_output=True, text=True, env={**os.environ, **environment})
    assert not ok or done.returncode == 0, done.stderr[-3000:]
    return done


def on_engine(bundle: pathlib.Path, *arguments: object, standin: str = "", ok: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
    """ane-run --device=engine on the stand-in for the bundle's target."""
    target = json.loads((bundle / "manifest.json").read_text())["target"]
    words = f"target={target};{standin}"
    return tool("ane-run", bundle, "--device=engine", *arguments, ok=ok, ANE_RUNTIME_FRAMEWORK=str(STANDIN), ANE_STANDIN=words, **environment)


def convert(model: onnx.ModelProto | pathlib.Path, folder: pathlib.Path, *options: str) -> pathlib.Path:
    if isinstance(model, onnx.ModelProto):
        onnx.save(model, folder / "model.onnx")
        model = folder / "model.onnx"
    tool("onnx-to-ane", model, "-o", folder / "model.anepkg", "--quiet", "--check=off", "--calibration=none", *options)
    return folder / "model.anepkg"


def check_same(bundle: pathlib.Path, folder: pathlib.Path) -> None:
    """Interpreter and stand-in, with NaN in the padding of inputs; nothing may be left behind."""
    staging = folder / "staging"
    staging.mkdir()
    tool("ane-run", bundle, "--random-inputs=1", "--numerics=engine", "--output-dir", folder / "interpreter", "--quiet")
    report = folder / "report.json"
    on_engine(
        bundle, "--random-inputs=1", "--poison-padding", "--output-dir", folder / "engine", "--quiet", standin=f"compiles=0;report={report}", TMPDIR=str(staging)
    )
    listed = json.loads((folder / "interpreter/outputs.json").read_text())
    assert listed == json.loads((folder / "engine/outputs.json").read_text()) and listed
    for entry in listed:
        assert (folder / "interpreter" / entry["file"]).read_bytes() == (folder / "engine" / entry["file"]).read_bytes(), entry["name"]
    assert not list(staging.iterdir())
    manifest = json.loads((bundle / "manifest.json").read_text())
    engines = {step["program"] for step in manifest["schedule"] if manifest["programs"][step["program"]]["kind"] == "ane"}
    if engines:
        counts = json.loads(report.read_text())
        assert counts["most_programs"] == len(engines) and counts["live_programs"] == counts["live_surfaces"] == 0
    shutil.rmtree(bundle)


@pytest.mark.parametrize("name", [*builders.BUILDERS, *architectures.BUILDERS])
def test_same_as_the_interpreter(name, tmp_path):
    model = builders.BUILDERS[name]() if name in builders.BUILDERS else architectures.BUILDERS[name]()
    check_same(convert(model, tmp_path), tmp_path)


@pytest.mark.parametrize("target", ["h13", "h14", "h15", "h17", "h18"])
def test_same_on_every_generation(target, tmp_path):
    check_same(convert(builders.BUILDERS["vit"](), tmp_path, f"--target={target}"), tmp_path)


def test_digits(tmp_path):
    check_same(convert(ROOT / "test/E2E/digits/digits.onnx", tmp_path, "--dim=batch=1"), tmp_path)


@pytest.mark.parametrize("name", EXPORTED)
def test_exported_models(name, tmp_path):
    folder = SHARED / "models/exported" / name
    options = shlex.split((folder / "args.txt").read_text()) if (folder / "args.txt").exists() else []
    check_same(convert(folder / "model.onnx", tmp_path, *options), tmp_path)


TRAINED = {"face-rfb-320.onnx": (), "silero-vad-16k-op15.onnx": ("--input-shape=input=1,576", "--input-shape=state=2,1,128")}


@pytest.mark.parametrize("name", TRAINED)
def test_trained_models(shared, name, tmp_path):
    check_same(convert(shared / "models" / name, tmp_path, *TRAINED[name]), tmp_path)
