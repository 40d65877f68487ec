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


#
# The library on its own
#


@pytest.fixture(scope="module")
def prefix(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prefix")
    done = subprocess.run(["cmake", "--install", BIN.parent, "--prefix", folder], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


def compiler() -> str:
    for line in (BIN.parent / "CMakeCache.txt").read_text().splitlines():
        if line.startswith("CMAKE_C_COMPILER:"):
            return line.split("=", 1)[1]
    return "cc"


def test_example_in_c(prefix, tmp_path):
    """60 lines of C99 against what is installed, by pkg-config's words, with and without host steps."""
    source = ROOT / "test/Runtime/example.c"
    assert len(source.read_text().splitlines()) <= 60
    words = (prefix / "lib/pkgconfig/ane-runtime.pc").read_text()
    libraries = words.split("Libs: ")[1].replace("${libdir}", str(prefix / "lib")).split()
    strict = [compiler(), "-std=c99", "-Wall", "-Wextra", "-pedantic", "-Werror", f"-I{prefix}/include", source]
    subprocess.run([*strict, "-o", tmp_path / "plain", *libraries], check=True)
    host = [f"-L{prefix}/lib", "-lane-host", f"-Wl,-rpath,{prefix}/lib"]
    subprocess.run([*strict, "-DWITH_HOST", "-o", tmp_path / "hosted", *host, *libraries], check=True)
    bundle = convert(ROOT / "test/E2E/digits/digits.onnx", tmp_path, "--dim=batch=1")
    on = {**os.environ, "ANE_RUNTIME_FRAMEWORK": str(prefix / "lib/libane-standin.so")}
    engine = subprocess.run([tmp_path / "plain", bundle], capture_output=True, text=True, env=on)
    assert engine.returncode == 0 and engine.stdout.startswith("logits: fp32 "), engine.stderr
    assert subprocess.run([tmp_path / "hosted", bundle, "host"], capture_output=True, text=True).stdout == engine.stdout
    # Neither LLVM nor MLIR nor Objective-C in a program of the small library.
    linked = subprocess.run(["ldd", tmp_path / "plain"], capture_output=True, text=True, check=True).stdout
    assert not [word for word in ("LLVM", "MLIR", "objc", "gnustep", "dnnl") if word in linked], linked
    absent = subprocess.run([tmp_path / "plain", bundle], capture_output=True, text=True)
    assert absent.returncode == 1 and "there is no Neural Engine framework on this system" in absent.stderr


def test_cmake_package(prefix, tmp_path):
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.22)\nproject(p C CXX)\nfind_package(ANERuntime REQUIRED CONFIG)\n"
        f"add_executable(example {ROOT}/test/Runtime/example.c)\nset_target_properties(example PROPERTIES LINKER_LANGUAGE CXX)\n"
        "target_link_libraries(example PRIVATE ANERuntime)\n"
    )
    configure = ["cmake", "-G", "Ninja", "-S", tmp_path, "-B", tmp_path / "b", f"-DCMAKE_PREFIX_PATH={prefix}", f"-DCMAKE_C_COMPILER={compiler()}"]
    done = subprocess.run(configure, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    done = subprocess.run(["cmake", "--build", tmp_path / "b"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_device_options(tmp_path):
    bundle = convert(ROOT / "test/E2E/digits/digits.onnx", tmp_path, "--dim=batch=1")
    done = on_engine(bundle, "--random-inputs=0", "--repeat=3", "--profile", "--compare-devices")
    assert "    3  programs/000.mil" in done.stdout and done.stdout.count("all results of all steps are the same, bit by bit") == 1
    done = tool("ane-run", bundle, "--device=engine", "--random-inputs=0", ok=False)
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and "no Neural Engine framework" in done.stderr
    for wrong in (["--device=gpu"], ["--compare-devices"], ["--device=engine", "--numerics=fp32"], ["--device=engine", "--dump-intermediates=x"], ["--repeat=0"]):
        assert tool("ane-run", bundle, *wrong, ok=False).returncode == 2
    done = on_engine(bundle, "--random-inputs=0", standin="fail=evaluate:1", ok=False)
    assert done.returncode == 1 and "program 'programs/000.mil' fails" in done.stderr
    # A chip with other numerics: the comparison shows it.
    done = tool(
        "ane-run",
        bundle,
        "--device=engine",
        "--random-inputs=0",
        "--compare-devices",
        "--atol=0",
        "--rtol=0",
        ANE_RUNTIME_FRAMEWORK=str(STANDIN),
        ANE_STANDIN="target=h13",
    )
    assert "results of steps differ between engine and interpreter" in done.stdout and "programs/000.mil, " in done.stdout


def test_cross_compiled_for_macos(tmp_path):
    """Both architectures by zig, no SDK: everything but libSystem is found by name."""
    pytest.importorskip("ziglang", reason="ziglang is not installed")
    done = subprocess.run([ROOT / "tools/dev/cross-runtime", tmp_path], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    lines = [line for line in done.stdout.splitlines() if "macos" in line]
    assert len(lines) == 4
    for line in lines:
        assert line.split(": ")[1] == "/usr/lib/libSystem.B.dylib", line
