"""Conversions that end badly at many moments: killed, interrupted, the disk full, a target that cannot be written, two writers.

Afterwards the target is the old bundle or the new one, whole. After a signal that can be caught nothing else is there; what
SIGKILL leaves is removed by the next run. faults.py does the same call by call, with a small model; here the times are those
of real runs. Prints `N passed, N failed`.

    test/Faults/kills.py [--moments=N]
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

ROOT = Path(__file__).resolve().parents[2]
TOOL = Path(os.environ.get("ANE_MLIR_BIN", ROOT / "build" / "bin")) / "onnx-to-ane"
HIDDEN = ".ane-mlir-"
FORMS = ("anepkg", "mlpackage")


def make_model(path: Path, seed: int, layers: int = 12, width: int = 512) -> None:
    """Some megabytes of weights, so that there is time to be killed while they are written."""
    random = np.random.default_rng(seed)
    weights = [numpy_helper.from_array((random.standard_normal((width, width)) / width**0.5).astype(np.float32), f"w{i}") for i in range(layers)]
    nodes = []
    for i in range(layers):
        nodes += [helper.make_node("MatMul", [f"x{i}", f"w{i}"], [f"y{i}"], name=f"p{seed}_{i}"), helper.make_node("Relu", [f"y{i}"], [f"x{i + 1}"])]
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [64, width]) for name in ("x0", f"x{layers}")]
    graph = helper.make_graph(nodes, "g", ports[:1], ports[1:], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


def state(target: Path) -> str:
    """All that is in a target, as a sum; nothing where it is not there."""
    if not target.exists():
        return ""
    total = hashlib.sha256()
    for path in sorted(target.rglob("*")):
        total.update(str(path.relative_to(target)).encode() + (path.read_bytes() if path.is_file() else b""))
    return total.hexdigest()


def leftovers(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if HIDDEN in p.name or p.suffix == ".tmp")


class Trials:
    def __init__(self, work: Path, moments: int) -> None:
        self.work, self.moments = work, moments
        self.models = [work / "old.onnx", work / "new.onnx"]
        self.states: dict[str, list[str]] = {}
        self.seconds = 0.0
        for seed, model in enumerate(self.models):
            make_model(model, seed)
        for form in FORMS:
            for model in self.models:
                start = time.perf_counter()
                subprocess.run(self.command(model, work / f"{model.stem}.{form}"), check=True)
                self.seconds = max(self.seconds, time.perf_counter() - start)
            self.states[form] = [state(work / f"{model.stem}.{form}") for model in self.models]
        self.passed = self.failed = self.count = 0

    def command(self, model: Path, target: Path) -> list[str]:
        return [str(TOOL), str(model), "-o", str(target), "--quiet", "--check=off"]

    def fresh(self, form: str) -> Path:
        """A folder that holds the old bundle."""
        folder = Path(tempfile.mkdtemp(dir=self.work))
        shutil.copytree(self.work / f"old.{form}", folder / f"m.{form}")
        return folder

    def record(self, name: str, tries: Iterator[Callable[[], str]]) -> None:
        start = time.perf_counter()
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            results = list(pool.map(lambda one: one(), tries))
        wrong = [why for why in results if why]
        self.passed += len(results) - len(wrong)
        self.failed += len(wrong)
        print(f"{name}: {len(results)} tries, {len(wrong)} wrong: {time.perf_counter() - start:.1f} s", flush=True)
        for why in wrong[:8]:
            print(f"   FAILED {why}", flush=True)

    def kill(self, form: str, number: signal.Signals, moment: float) -> str:
        folder = self.fresh(form)
        target = folder / f"m.{form}"
        try:
            process = subprocess.Popen(self.command(self.models[1], target), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            time.sleep(moment)
            process.send_signal(number)
            process.communicate(timeout=120)
            where = f"{form}, {number.name} after {moment:.3f} s: "
            if state(target) not in self.states[form]:
                return where + "neither the old one nor the new one"
            if number != signal.SIGKILL and (left := leftovers(folder)):
                return where + f"{left[0]} is left"
            again = subprocess.run(self.command(self.models[1], target), capture_output=True, text=True, timeout=120)
            if again.returncode or state(target) != self.states[form][1]:
                return where + f"the next run fails: {again.stderr[-200:]}"
            return where + f"the next run leaves {left[0]}" if (left := leftovers(folder)) else ""
        finally:
            shutil.rmtree(folder)

    def mounted(self, script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        """A shell script where it may mount what only it sees."""
        return subprocess.run(["unshare", "--user", "--map-root-user", "--mount", "sh", "-ec", script, "sh", *map(str, arguments)], capture_output=True, text=True, timeout=120)

    def on_disk(self, form: str, megabytes: float, read_only: bool) -> str:
        """Over the old one on a disk of that size, or one that cannot be written."""
        folder = self.fresh(form)
        script = """
            mount -t tmpfs -o size="$2" tmpfs "$1/disk"
            cp -r "$1/m.$3" "$1/disk" || exit 77
            [ "$4" = False ] || mount -o remount,ro "$1/disk"
            status=0; place=$1; shift 4
            "$@" 2>"$place/message" || status=$?
            cp -r "$place/disk" "$place/after"
            exit $status
        """
        # The folder goes first, then size, form and whether it is read-only, then the command.
        (folder / "disk").mkdir()
        try:
            result = self.mounted(script, folder, int(megabytes * 2**20), form, read_only, *self.command(self.models[1], folder / "disk" / f"m.{form}"))
            where = f"{form} on {'a read-only disk' if read_only else f'{megabytes:.1f} MB'}: "
            if result.returncode == 77:
                return ""  # the old one alone does not fit
            message = (folder / "message").read_text() if (folder / "message").exists() else result.stderr
            now = state(folder / "after" / f"m.{form}")
            if result.returncode not in (0, 1) or (result.returncode and "error: " not in message):
                return where + f"exit status {result.returncode}: {message[-200:]}"
            if read_only and result.returncode == 0:
                return where + "succeeds"
            if now != self.states[form][result.returncode == 0]:
                return where + f"exit status {result.returncode}, and the bundle is not what it says"
            return where + f"{left[0]} is left" if (left := leftovers(folder / "after")) else ""
        finally:
            shutil.rmtree(folder)

    def two_writers(self, form: str, delay: float) -> str:
        folder = self.fresh(form)
        target = folder / f"m.{form}"
        try:
            first = subprocess.Popen(self.command(self.models[0], target), stderr=subprocess.PIPE, text=True)
            time.sleep(delay)
            second = subprocess.Popen(self.command(self.models[1], target), stderr=subprocess.PIPE, text=True)
            where = f"{form}, two writers {delay:.2f} s apart: "
            for process in (first, second):
                _, message = process.communicate(timeout=120)
                if process.returncode:
                    return where + f"exit status {process.returncode}: {message[-200:]}"
            if state(target) not in self.states[form]:
                return where + "neither the one nor the other"
            return where + f"{left[0]} is left" if (left := leftovers(folder)) else ""
        finally:
            shutil.rmtree(folder)

    def run(self) -> None:
        def at(i: int, of: int) -> float:
            return self.seconds * (i + 0.5) / of

        numbers = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
        for form in FORMS:
            for number in numbers:
                # Each moment for one form, every third for the other.
                count = self.moments if form == "anepkg" else max(1, self.moments // 3)
                self.record(f"{form}, {number.name}", (lambda i=i: self.kill(form, number, at(i, count)) for i in range(count)))
            self.record(f"{form}, two writers", (lambda i=i: self.two_writers(form, at(i, 6)) for i in range(6)))
            if self.mounted("mount -t tmpfs tmpfs /tmp").returncode:
                print(f"{form}, disks: skipped, nothing can be mounted here")
                continue
            self.record(f"{form}, a full disk", (lambda i=i: self.on_disk(form, 6.5 + i, False) for i in range(0, 14, 2)))
            self.record(f"{form}, a read-only disk", iter([lambda: self.on_disk(form, 32, True)]))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--moments", type=int, default=50)
    options = parser.parse_args()
    if sys.platform != "linux":
        print("0 passed, 0 failed (skipped: needs namespaces of Linux)")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        trials = Trials(Path(folder).resolve(), options.moments)
        trials.run()
    print(f"{trials.passed} passed, {trials.failed} failed")
    return int(trials.failed > 0)


if __name__ == "__main__":
    sys.exit(main())
