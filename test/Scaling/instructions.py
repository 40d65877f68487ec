"""Counts the instructions of every phase of compiling models of N and of 2N nodes: none may take more than 2.15 times as many.

    test/Scaling/instructions.py [--nodes=N] [--kinds=transformer,…] [--verbose]

Callgrind counts, so that the machine and what else runs on it make no difference. A phase is a pass, or one of the steps around
them (reading, checking, writing); those below a hundredth of the whole are not looked at. Prints `N passed, N failed`.
"""

import argparse
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import models
import onnx

TOOLS = pathlib.Path(os.environ.get("ANE_MLIR_BIN", "build/bin"))
MOST = 2.15
# Phases beside passes.
STEPS = ("importONNX", "NumericGuard::repair", "NumericGuard::check", "loadArtifact", "importMILText", "convertMILToANE", "writeBundle", "makeReport", "compile")
STEP = re.compile(rf"mlir::ane::({'|'.join(STEPS)})\(")
LINE = re.compile(r"^\s*([\d,]+) \([ \d.]+%\)\s+(.*)$")


def phase_of(function: str) -> str:
    """The phase that a function is, or ""; `function` is FILE:NAME(TYPES) [PROGRAM]."""
    name = function.split(":", 1)[1] if ":" in function else function
    if found := re.search(r"(\w+)::runOnOperation\(\)", name):
        return found.group(1)
    found = STEP.match(name)
    return found.group(1) if found else ""


def count(kind: str, nodes: int, folder: pathlib.Path) -> dict[str, int]:
    """Instructions of each phase, with all that it calls."""
    place = folder / f"{kind}{nodes}"
    place.mkdir()
    onnx.save(models.KINDS[kind](nodes).model(), place / "m.onnx")
    out = place / "callgrind.out"
    run = subprocess.run(
        ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", "--compress-strings=yes"]
        + [TOOLS / "onnx-to-ane", place / "m.onnx", "-o", place / "m.anepkg", "--quiet"],
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode:
        raise RuntimeError(f"{kind} of {nodes} nodes: {run.stderr[-2000:]}")
    listed = subprocess.run(
        ["callgrind_annotate", "--inclusive=yes", "--threshold=100", "--show-percs=yes", out],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    counts: dict[str, int] = {}
    for line in listed.splitlines():
        if found := LINE.match(line):
            if phase := phase_of(found.group(2)):
                counts[phase] = max(counts.get(phase, 0), int(found.group(1).replace(",", "")))
    if "compile" not in counts:
        raise RuntimeError(f"{kind} of {nodes} nodes: callgrind names no function of the compiler")
    return counts


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=600)
    parser.add_argument("--kinds", default=",".join(models.KINDS))
    parser.add_argument("--verbose", action="store_true")
    arguments = parser.parse_args()
    if not shutil.which("valgrind"):
        print("skipped: valgrind is not installed\n0 passed, 0 failed")
        return 0
    passed, failed = 0, 0
    sizes = arguments.nodes, 2 * arguments.nodes
    with tempfile.TemporaryDirectory() as name, concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = [
            (kind, [pool.submit(count, kind, size, pathlib.Path(name)) for size in sizes])
            for kind in arguments.kinds.split(",")
        ]
        for kind, pair in jobs:
            small, large = (job.result() for job in pair)
            for phase, most in sorted(large.items(), key=lambda item: -item[1]):
                if most < large["compile"] / 100 or phase not in small:
                    continue
                ratio = most / small[phase]
                good = ratio <= MOST
                passed, failed = passed + good, failed + (not good)
                if arguments.verbose or not good:
                    word = "fine" if good else "FAILED"
                    print(f"{word} {kind}: {phase} takes {most / sizes[1] / 1e3:.0f} k instructions a node, {ratio:.2f} times as many for twice the nodes")
    print(f"{passed} passed, {failed} failed")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
