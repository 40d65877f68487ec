"""Every bundle that a test writes, once more: through the runtime and the stand-in for the engine's framework, where its results are to be those of
the interpreter, bit by bit.

ANE_MLIR_REPLAY=1, or 3/10 for a sample of the bundles. Those of one text and weights are run once by each process.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from typing import Any

from tools import find_tool

_run = subprocess.run
_seen: set[str] = set()
#: Bundles that were run, functions, and how many of these stopped on their random inputs in both places.
counts = {"bundles": 0, "functions": 0, "stopped": 0}


def standin() -> pathlib.Path:
    return pathlib.Path(find_tool("ane-run")).parents[1] / "lib" / "libane-standin.so"


def wanted(digest: str) -> bool:
    part, _, whole = os.environ.get("ANE_MLIR_REPLAY", "0").partition("/")
    return int(digest[:8], 16) % int(whole or 1) < int(part)


def digest_of(bundle: pathlib.Path) -> str:
    """Of manifest and texts; weights are named by their sums."""
    sums = hashlib.sha256((bundle / "manifest.json").read_bytes())
    for text in sorted((bundle / "programs").glob("*.mil")):
        sums.update(text.read_bytes())
    return sums.hexdigest()


def differences(one: pathlib.Path, other: pathlib.Path) -> list[str]:
    listed = json.loads((one / "outputs.json").read_text())
    if listed != json.loads((other / "outputs.json").read_text()):
        return ["names, dtypes or shapes"]
    return [entry["name"] for entry in listed if (one / entry["file"]).read_bytes() != (other / entry["file"]).read_bytes()]


def replay_function(bundle: pathlib.Path, options: Sequence[str], target: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        place = pathlib.Path(folder)
        (place / "staging").mkdir()
        command = [find_tool("ane-run"), str(bundle), "--random-inputs=1", "--quiet", *options]
        here = _run([*command, "--numerics=engine", f"--output-dir={place}/interpreter"], capture_output=True, text=True)
        environment = {**os.environ, "ANE_RUNTIME_FRAMEWORK": str(standin()), "ANE_STANDIN": f"target={target};compiles=0", "TMPDIR": f"{place}/staging"}
        there = _run([*command, "--device=engine", "--poison-padding", f"--output-dir={place}/engine"], capture_output=True, text=True, env=environment)
        name = f"{bundle} {' '.join(options)}"
        assert (here.returncode == 0) == (there.returncode == 0), f"{name}: {here.returncode} in the interpreter, {there.returncode} on the stand-in: {here.stderr}{there.stderr}"
        assert not list((place / "staging").iterdir()), f"{name}: something was left behind"
        if here.returncode == 0:
            wrong = differences(place / "interpreter", place / "engine")
            assert not wrong, f"{name}: the stand-in has other values for {wrong}"
        counts["functions"] += 1
        counts["stopped"] += here.returncode != 0


def replay(bundle: pathlib.Path) -> None:
    if not (bundle / "manifest.json").exists() or (digest := digest_of(bundle)) in _seen or not wanted(digest):
        return
    _seen.add(digest)
    manifest = json.loads((bundle / "manifest.json").read_text())
    counts["bundles"] += 1
    for function in manifest.get("functions") or [None]:
        replay_function(bundle, [f"--function={function['name']}"] if function else [], manifest["target"])


def written(command: Sequence[Any], folder: object) -> pathlib.Path | None:
    """The bundle that a command of onnx-to-ane writes."""
    words = [os.fspath(word) if isinstance(word, os.PathLike) else str(word) for word in command]
    if os.path.basename(words[0]) != "onnx-to-ane" or "-o" not in words[:-1]:
        return None
    out = words[words.index("-o") + 1].rstrip("/")
    return pathlib.Path(os.fspath(folder) if folder else ".", out) if out.endswith(".anepkg") else None  # type: ignore[call-overload]


def install() -> bool:
    """From here on what onnx-to-ane and ane_mlir.compile() write in this process is run. False where it is not asked for or cannot be."""
    if os.environ.get("ANE_MLIR_REPLAY", "0") == "0":
        return False
    if not standin().exists():
        print("replay: skipped, the stand-in is not built: it wants GNUstep (libgnustep-base-dev)", file=sys.stderr)
        return False

    @functools.wraps(_run)
    def run(command: Any, *arguments: Any, **options: Any) -> Any:
        done = _run(command, *arguments, **options)
        if isinstance(command, (list, tuple)) and done.returncode == 0 and (bundle := written(command, options.get("cwd"))):
            replay(bundle)
        return done

    subprocess.run = run
    from ane_mlir import _core

    compile_here = _core.compile

    def compile_and_run(**request: Any) -> Any:
        result = compile_here(**request)
        if result[0] and not request["report_only"]:
            replay(pathlib.Path(request["output"]))
        return result

    _core.compile = compile_and_run
    return True
