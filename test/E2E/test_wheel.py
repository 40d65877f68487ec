"""The wheel of tools/dev/wheel in bare virtual environments of every CPython at hand: README's lines run as written."""

from __future__ import annotations

import os
import pathlib
import re
import subprocess
import sys
import zipfile

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("ANE_MLIR_BUILD", ROOT / "build"))
WHEELS = sorted((BUILD / "wheel").glob("*.whl"))
PYENV = pathlib.Path(os.environ.get("PYENV_ROOT", pathlib.Path.home() / ".pyenv")) / "versions"


def pythons() -> dict[str, str]:
    """CPython 3.9 and later with venv, by version."""
    found = {}
    candidates = [sys.executable, "/usr/bin/python3", *map(str, sorted(PYENV.glob("3.*/bin/python")))]
    for candidate in candidates:
        done = subprocess.run([candidate, "-c", "import venv, sys; print('%d.%d' % sys.version_info[:2])"], capture_output=True, text=True) if os.path.exists(candidate) else None
        if done and done.returncode == 0 and tuple(map(int, done.stdout.split("."))) >= (3, 9):
            found.setdefault(done.stdout.strip(), candidate)
    return found


def readme_lines() -> str:
    """All of README's Python, in order."""
    return "\n".join(re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL))


@pytest.fixture(scope="module")
def wheel() -> pathlib.Path:
    if not WHEELS:
        pytest.skip("no wheel in build/wheel; tools/dev/wheel makes one")
    return WHEELS[-1]


def test_contents(wheel):
    assert "manylinux" in wheel.name or "macosx" in wheel.name
    names = zipfile.ZipFile(wheel).namelist()
    assert wheel.stat().st_size <= 40e6, wheel.stat().st_size
    assert "ane_mlir/py.typed" in names and "ane_mlir/_core.pyi" in names
    assert any("dnnl" in name for name in names), "oneDNN is not in it"
    for tag in re.findall(r"cp3\d+", wheel.name.split("-")[2]):
        suffix = f"cpython-{tag[2:]}-" if int(tag[3:]) < 12 else "abi3"
        assert any(name.startswith("ane_mlir/_core.") and suffix in name for name in names), tag


@pytest.mark.parametrize("version", sorted(pythons(), key=lambda v: int(v.split(".")[1])))
def test_readme_in_a_bare_environment(wheel, version, tmp_path):
    minor = int(version.split(".")[1])
    tags = [int(tag) for tag in re.findall(r"cp3(\d+)", wheel.name.split("-")[2])]
    if minor not in tags and not ("abi3" in wheel.name and any(12 <= tag <= minor for tag in tags)):
        pytest.skip(f"the wheel has no module for {version}")
    subprocess.run([pythons()[version], "-m", "venv", tmp_path / "venv"], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "ANE_MLIR"))}
    done = subprocess.run([python, "-m", "pip", "install", "-q", "--disable-pip-version-check", wheel], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    script = tmp_path / "readme.py"
    script.write_text(readme_lines() + "\nprint('ran with', ane_mlir.__file__)\n")
    done = subprocess.run([python, script], capture_output=True, text=True, cwd=ROOT, env=environment)
    assert done.returncode == 0, done.stderr
    assert f"ran with {tmp_path}" in done.stdout and "ops on the engine" in done.stdout
    # The tools are commands of it, which the workflow of python/examples calls.
    bare = {**environment, "PATH": f"{python.parent}:/usr/bin:/bin"}
    digits = str(ROOT / "test/E2E/digits/digits.onnx")
    workflow = (ROOT / "python/examples/gate-models.yml").read_text()
    assert "ane-check " in workflow and "pip install " in workflow
    done = subprocess.run(["ane-check", digits, "--dim=batch=1", "--target=m1,a17", "--max-host-ops=0", "--format=markdown"], capture_output=True, text=True, env=bare, cwd=tmp_path)
    assert done.returncode == 0 and "fine" in done.stdout, done.stderr
    for command in (["onnx-to-ane", digits, "--dim=batch=1", "-o", "m.anepkg", "--quiet"], ["ane-run", "m.anepkg", "--random-inputs=1"], ["ane-info", "m.anepkg"], ["ane-diff", "m.anepkg", "m.anepkg"]):
        done = subprocess.run(command, capture_output=True, text=True, env=bare, cwd=tmp_path)
        assert done.returncode == 0, (command, done.stderr)


def test_readme_is_typed(tmp_path):
    script = tmp_path / "readme.py"
    script.write_text(readme_lines())
    done = subprocess.run([sys.executable, "-m", "mypy", "--strict", "--cache-dir", tmp_path / "cache", script], capture_output=True, text=True, env={**os.environ, "MYPYPATH": str(ROOT / "python")})
    assert done.returncode == 0, done.stdout
