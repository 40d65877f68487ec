"""What is installed serves others: find_package(ANEMLIR), headers, libraries, and a pass that ane-opt loads."""

import os
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ["ANE_MLIR_BIN"]).parent


def run(*command: object, **more: object) -> subprocess.CompletedProcess:
    return subprocess.run([str(c) for c in command], capture_output=True, text=True, **more)


@pytest.fixture(scope="module")
def prefix(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prefix")
    done = run("cmake", "--install", BUILD, "--prefix", folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_installed_tools_run(prefix):
    for tool in ("onnx-to-ane", "ane-run", "ane-opt", "mil-verify", "ane-diff", "ane-translate"):
        assert run(prefix / "bin" / tool, "--version").returncode == 0


def test_pass_outside_of_the_tree(prefix, tmp_path):
    cache = (BUILD / "CMakeCache.txt").read_text()
    compilers = [f"-D{line}" for line in cache.splitlines() if line.startswith(("CMAKE_CXX_COMPILER:", "CMAKE_C_COMPILER:"))]
    configured = run("cmake", "-G", "Ninja", "-S", ROOT / "test/OutOfTree", "-B", tmp_path / "build", f"-DCMAKE_PREFIX_PATH={prefix}", *compilers)
    assert configured.returncode == 0, configured.stdout + configured.stderr
    built = run("cmake", "--build", tmp_path / "build")
    assert built.returncode == 0, built.stdout[-3000:]
    model = run(prefix / "bin/onnx-to-ane", ROOT / "test/E2E/digits/digits.onnx", "--dim=batch=1", "--compile-to=ane").stdout
    loaded = run(
        prefix / "bin/ane-opt",
        f"--load-pass-plugin={tmp_path}/build/CountConvolutions.so",
        "--pass-pipeline=builtin.module(count-convolutions)",
        input=model,
    )
    assert loaded.returncode == 0, loaded.stderr
    assert "remark: 2 convolutions" in loaded.stderr


def test_version_is_checked(prefix, tmp_path):
    (tmp_path / "CMakeLists.txt").write_text("cmake_minimum_required(VERSION 3.22)\nproject(p C CXX)\nfind_package(ANEMLIR 7.0 REQUIRED CONFIG)\n")
    done = run("cmake", "-S", tmp_path, "-B", tmp_path / "b", f"-DCMAKE_PREFIX_PATH={prefix}")
    assert done.returncode != 0 and "version" in done.stderr
