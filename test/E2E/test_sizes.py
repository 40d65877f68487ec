"""tools/dev/check-sizes: files of every language, functions; what is exempt; that it fails."""

from __future__ import annotations

import pathlib
import subprocess
import sys

import pytest
from conftest import ROOT

CHECK = ROOT / "tools" / "dev" / "check-sizes"
LIMIT = 40 * 1024


def check(*arguments: str | pathlib.Path) -> tuple[int, list[str]]:
    done = subprocess.run([sys.executable, CHECK, *arguments], capture_output=True, text=True)
    assert done.stderr == ""
    return done.returncode, done.stdout.splitlines()


def put(path: pathlib.Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_of_the_repository():
    code, said = check()
    assert code == 0, "\n".join(said)


@pytest.mark.parametrize("name", ["README.md", ".github/CHANGELOG.md", "dialects/ANE/engine/cost.md", "dialects/ANE/IR/Conv.td", "lib/A/Schemas/Rows.inc", "include/a.h", "lib/a.cpp", "python/a/b.py", "python/examples/a.ipynb", "test/E2E/expected.toml", "test/Transforms/a.mlir", "lib/a.js", "tools/dev/demo"])  # fmt: skip
def test_files(tmp_path, name):
    """A byte more than allowed is one too many; in characters of two bytes, too."""
    put(tmp_path / name, "x" * LIMIT)
    assert check(tmp_path) == (0, ["0 too large"])
    put(tmp_path / name, "é" * (LIMIT // 2) + "x")
    assert check(tmp_path) == (1, [f"{name}: {LIMIT + 1} bytes, more than {LIMIT}", "1 too large"])


@pytest.mark.parametrize("name", [".github/report.png", "test/E2E/digits/digits.onnx", "test/E2E/digits/input_0.pb", "lib/Page/third_party/graph.min.js", "build/docs/ops.md"])
def test_exempt(tmp_path, name):
    put(tmp_path / name, "x" * (LIMIT + 1))
    assert check(tmp_path) == (0, ["0 too large"])


@pytest.mark.parametrize(("head", "limit"), [("static int f() {", 120), ("int main(int argc, char **argv) {", 80)])
def test_functions(tmp_path, head, limit):
    for lines, failed in ((limit, 0), (limit + 1, 1)):
        put(tmp_path / "lib" / "a.cpp", "\n".join(["#include <b>", "", head, *["  g();"] * (lines - 2), "}", ""]))
        code, said = check(tmp_path)
        assert code == failed and said[-1] == f"{failed} too large", said
    assert said[0] == f"lib/a.cpp: {limit + 1} lines, more than {limit}: {head}"
