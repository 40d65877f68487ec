"""A model through a pipe, and what is told while a model is measured."""

from __future__ import annotations

import filecmp
import json
import os
import subprocess

from conftest import ROOT

import ane_mlir
import builders as models

DIGITS = ROOT / "test" / "E2E" / "digits" / "digits.onnx"


def pipe(data: bytes, tool: str, *arguments: object, folder) -> subprocess.CompletedProcess[str]:
    scratch = folder / "scratch"
    scratch.mkdir(exist_ok=True)
    done = subprocess.run([ane_mlir.find_tool(tool), *map(str, arguments)], input=data, capture_output=True, env={**os.environ, "TMPDIR": str(scratch)})
    assert list(scratch.iterdir()) == []  # what was kept meanwhile is gone
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def test_same_as_the_file(tmp_path):
    """Several shapes read the model several times."""
    done = pipe(DIGITS.read_bytes(), "onnx-to-ane", "-", "--dim=batch=1,2", "-o", tmp_path / "a.anepkg", f"--report={tmp_path}/a.json", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    subprocess.run([ane_mlir.find_tool("onnx-to-ane"), DIGITS, "--dim=batch=1,2", "-o", tmp_path / "b.anepkg", "--quiet"], check=True)
    compared = filecmp.dircmp(tmp_path / "a.anepkg", tmp_path / "b.anepkg")
    assert not compared.left_only and not compared.right_only and not compared.diff_files and not filecmp.dircmp(tmp_path / "a.anepkg" / "weights", tmp_path / "b.anepkg" / "weights").diff_files
    assert json.loads((tmp_path / "a.json").read_text())["model"] == "standard input"
    text = pipe(DIGITS.read_bytes(), "onnx-to-ane", "-", "--dim=batch=1", "--compile-to=mil", "-o", "-", "--quiet", folder=tmp_path)
    assert text.returncode == 0 and text.stdout.startswith("module @mil")


def test_check(tmp_path):
    done = pipe(DIGITS.read_bytes(), "ane-check", "-", "--dim=batch=1", "--target=m1,m4", "--format=json", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["model"] == "standard input" and [target["generation"] for target in said["targets"]] == ["h13", "h16"]


def test_what_is_wrong_is_named(tmp_path):
    for data, wanted in ((DIGITS.read_bytes(), "--dim batch=N"), (b"", "standard input"), (os.urandom(100), "standard input")):
        done = pipe(data, "onnx-to-ane", "-", "-o", tmp_path / "m.anepkg", folder=tmp_path)
        assert done.returncode == 1 and done.stderr.startswith("standard input: error: ") and wanted in done.stderr, done.stderr
        assert not (tmp_path / "m.anepkg").exists()


def test_measuring_says_how_far_it_is(tmp_path):
    """Operations out of how many, in each run; then samples."""
    models.build_gpt2(tmp_path / "m.onnx", layers=1, width=64, heads=2, vocabulary=100, sequence=16, external=False)
    told: dict[str, list[tuple[int, int]]] = {}
    ane_mlir.compile(tmp_path / "m.onnx", progress=lambda phase, done, total, what: what == "" and total and told.setdefault(phase, []).append((done, total)))
    assert {"measuring", "checking"} <= set(told)
    assert all(0 <= done < total for steps in told.values() for done, total in steps)
    assert max(total for _, total in told["measuring"]) > 50


def test_text_of_mil(tmp_path):
    """Tools that take artifacts read a MIL text from a pipe."""
    text = """program(1.3)
{
    func main<ios18>(tensor<fp16, [1, 4, 1, 64]> x) {
        tensor<fp16, [1, 4, 1, 64]> y = tanh(x = x)[name = string("y")];
    } -> (y);
}
"""
    (tmp_path / "m.mil").write_text(text)
    for tool, *arguments in (("ane-run", "-", "--random-inputs=1"), ("ane-info", "-"), ("mil-verify", "-"), ("ane-diff", "-", tmp_path / "m.mil"), ("ane-diff", tmp_path / "m.mil", "-", "--json")):
        piped = pipe(text.encode(), tool, *arguments, folder=tmp_path)
        read = subprocess.run([ane_mlir.find_tool(tool), *[str(tmp_path / "m.mil") if a == "-" else str(a) for a in arguments]], capture_output=True, text=True)
        assert piped.returncode == read.returncode == 0, piped.stderr
        if tool in ("ane-run", "ane-diff"):
            assert piped.stdout.replace('"-"', f'"{tmp_path}/m.mil"') == read.stdout
    broken = pipe(text.replace("tanh", "").encode(), "ane-run", "-", folder=tmp_path)
    assert broken.returncode == 1 and "standard input:4:" in broken.stderr, broken.stderr
