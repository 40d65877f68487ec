"""Every call of the file system that an output makes fails, or ends the process, in turn; and signals at many moments.

Afterwards each output is the old one or the new one, whole, and nothing else is there. What a killed process leaves is
removed by the next run. Prints a line for each form and `N passed, N failed`.

    test/Faults/faults.py [--sample=N]     every N-th call only
"""

from __future__ import annotations

import argparse
import dataclasses
import errno
import itertools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(os.environ.get("ANE_MLIR_BIN", ROOT / "build" / "bin"))
# ANE_MLIR_FAULTS_BIN names other tools: an older build, to see that this test can fail.
TOOLS = Path(os.environ.get("ANE_MLIR_FAULTS_BIN", BIN))
HIDDEN = ".ane-mlir-"
# Every file, with what is in it, and every folder below a folder.
Tree = dict[str, "bytes | None"]
LIBRARY = BIN.parent / "lib" / "ane-faults.so"


@dataclasses.dataclass
class Form:
    name: str
    outputs: list[str]
    options: list[str]
    # Files that may stay although the text that names them is not there: weights, whose names are their contents.
    shared: str = ""
    tool: str = "onnx-to-ane"
    # What the tool reads: models, or what was made of them.
    inputs: str = "onnx"


FORMS = [
    Form("bundle", ["m.anepkg"], ["-o", "m.anepkg"]),
    Form("package", ["m.mlpackage"], ["-o", "m.mlpackage"]),
    Form("text", ["m.mil"], ["-o", "m.mil"], shared="weights"),
    Form("ir", ["m.mlir"], ["-o", "m.mlir"]),
    Form("import", ["m.mlir"], ["--import-onnx", "-o", "m.mlir"], tool="ane-translate"),
    Form("optimised", ["m.mlir"], ["--cse", "-o=m.mlir"], tool="ane-opt", inputs="mlir"),
    Form("package of IR", ["m.mlpackage"], ["--mil-to-mlpackage", "-o", "m.mlpackage"], tool="ane-translate", inputs="mil.mlir"),
    Form("results", ["o/output_0.npy", "o/outputs.json"], ["--random-inputs=0", "--output-dir=o", "--quiet"], tool="ane-run", inputs="anepkg"),
    Form("bundle, report, trace", ["m.anepkg", "r.html", "t.json"], ["-o", "m.anepkg", "--report=r.html", "--trace=t.json"]),
]


def make_model(path: Path, seed: int) -> None:
    """Two of them differ in every file that is written."""
    random = np.random.default_rng(seed)
    weight = numpy_helper.from_array(random.normal(size=(8, 4 + seed, 3, 3)).astype(np.float32), "w")
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["c"], name=f"conv{seed}"), helper.make_node("Relu", ["c"], ["y"], name=f"relu{seed}")],
        f"g{seed}",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4 + seed, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 8, 6, 6])],
        [weight],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


def contents(folder: Path) -> Tree:
    """Every file and folder below a folder."""
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in sorted(folder.rglob("*"))}


def below(tree: Tree, name: str) -> Tree:
    return {p: data for p, data in tree.items() if p == name or p.startswith(name + "/")}


class Sweep:
    def __init__(self, work: Path, sample: int) -> None:
        self.work, self.sample = work, sample
        self.counter = itertools.count()
        self.models = [work / "old.onnx", work / "new.onnx"]
        for seed, model in enumerate(self.models):
            make_model(model, seed)
            for suffix, options in {"mlir": ["--compile-to=ane"], "anepkg": []}.items():
                subprocess.run([BIN / "onnx-to-ane", model, "--quiet", *options, "-o", model.with_suffix("." + suffix)], check=True)
            name, size = ("y", seed + 2)
            model.with_suffix(".mil").write_text(
                f'program(1.3)\n{{\n    func main<ios18>(tensor<fp32, [{size}]> x) {{\n            tensor<fp32, [{size}]> {name} = relu(x = x)[name = string("{name}")];\n        }} -> ({name});\n}}'
            )
            subprocess.run([BIN / "ane-translate", "--import-mil", model.with_suffix(".mil"), "-o", model.with_suffix(".mil.mlir")], check=True)
        self.passed = self.failed = 0

    def command(self, form: Form, model: int) -> list[str]:
        more = ["--quiet", "--check=off"] if form.tool == "onnx-to-ane" else []
        return [str(TOOLS / form.tool), str(self.models[model].with_suffix("." + form.inputs)), *more, *form.options]

    def run(self, form: Form, model: int, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
        faults = {f"FAULTS_{key.upper()}": value for key, value in environment.items()}
        if faults:
            faults |= {"LD_PRELOAD": str(LIBRARY), "FAULTS_ROOT": str(folder)}
        return subprocess.run(self.command(form, model), cwd=folder, env=os.environ | faults, capture_output=True, text=True, timeout=60)

    def fresh(self, before: Path) -> Path:
        folder = self.work / f"run{next(self.counter)}"
        shutil.copytree(before, folder)
        return folder

    def judge(self, form: Form, tree: Tree, old: Tree, new: Tree, killed: bool) -> str:
        """What is neither old nor new; "" where all is well. `new` is the whole folder after a run that went well."""
        if not killed:
            if tree in (old, new):
                return ""
            wrong = [name for name in sorted(tree.keys() | new.keys()) if tree.get(name, 0) not in (old.get(name, 0), new.get(name, 0))]
            return f"{wrong[0]} is neither old nor new" if wrong else "a part is old and a part is new"
        # A process that is killed between two outputs leaves one new and one old, each of them whole.
        tree = {name: data for name, data in tree.items() if HIDDEN not in name}
        for name in form.outputs:
            for state in (old, new):
                # A text comes with the weights that it names.
                wanted = below(state, name) | (below(state, form.shared) if form.shared else {})
                if below(tree, name) == below(state, name) and wanted.items() <= tree.items():
                    break
            else:
                return f"{name} is neither old nor new"
        more = tree.keys() - old.keys() - new.keys()
        return f"{min(more)} is left" if more else ""

    def one(self, form: Form, before: Path, old: Tree, new: Tree, at: int, what: str, exchange: bool) -> str:
        folder = self.fresh(before)
        options = {"at": str(at), "do": what} | ({} if exchange else {"no_exchange": "1"})
        try:
            result = self.run(form, 1, folder, **options)
            tree = contents(folder)
            killed = what in ("kill", "killed")
            where = f"call {at}, {what}: "
            if killed and not exchange:
                # Without exchange an old folder is moved aside first; the next run puts it back.
                self.run(Form("other", [], ["--compile-to=ane", "-o", "other.mlir"]), 1, folder)
                (folder / "other.mlir").unlink()
                tree = contents(folder)
            why = self.judge(form, tree, old, new, killed)
            if not why and not killed and "signal" not in what:
                if (result.returncode == 0) != (tree == new):
                    why = f"exit status {result.returncode}, but the outputs are {'new' if tree == new else 'old'}"
                elif result.returncode not in (0, 1) or (result.returncode and "error: " not in result.stderr):
                    why = f"exit status {result.returncode}: {result.stderr[-200:]}"
                elif HIDDEN in result.stderr and "warning" not in result.stderr:
                    why = f"a message shows a temporary name: {result.stderr[-200:]}"
            if not why and killed:
                again = self.run(form, 1, folder)
                final = contents(folder)
                if again.returncode or any(below(final, name) != below(new, name) for name in form.outputs):
                    why = f"the next run fails: {again.stderr[-200:]}"
                else:
                    hidden = [name for name in final if HIDDEN in name or ".tmp" in name]
                    why = f"the next run leaves {hidden[0]}" if hidden else ""
            return where + why if why else ""
        except subprocess.TimeoutExpired:
            return f"call {at}, {what}: does not end"
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def sweep(self, form: Form, kind: str, exchange: bool, pool: ThreadPoolExecutor) -> None:
        before = self.work / "before"
        shutil.rmtree(before, ignore_errors=True)
        before.mkdir()
        if kind == "over an old one":
            assert not self.run(form, 0, before).returncode
        old = contents(before)
        after = self.fresh(before)
        counted = self.work / "count"
        options = {"count": str(counted)} | ({} if exchange else {"no_exchange": "1"})
        result = self.run(form, 1, after, **options)
        assert not result.returncode, result.stderr
        new = contents(after)
        calls = int(counted.read_text())
        assert calls > 3, "the library is not loaded"
        start = time.time()
        # Paths after an error do not depend on its number, nor those after a signal on which it is: they take turns.
        numbers, signals = (errno.ENOSPC, errno.EIO, errno.EACCES), (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        jobs = []
        for at in range(calls):
            faults = ["kill", "killed", f"{numbers[at % 3]}"]
            if exchange:
                faults += [f"{errno.ENOSPC} always", f"signal {int(signals[at % 3])}"]
            jobs += [(at, what) for what in faults]
        jobs = jobs[:: self.sample]
        problems = [p for p in pool.map(lambda job: self.one(form, before, old, new, *job, exchange), jobs) if p]
        self.passed += len(jobs) - len(problems)
        self.failed += len(problems)
        name = f"{form.name}, {kind}{'' if exchange else ', names cannot be exchanged'}"
        print(f"{name}: {calls} calls, {len(jobs)} tries, {len(problems)} wrong: {time.time() - start:.1f} s", flush=True)
        for problem in problems[:8]:
            print(f"   {problem}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=int, default=1, metavar="N", help="every N-th try only")
    parser.add_argument("--form", help="only forms whose names hold this")
    options = parser.parse_args()
    if sys.platform != "linux":
        print("0 passed, 0 failed (skipped: needs a preloaded library)")
        return 0
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(os.cpu_count()) as pool:
        sweep = Sweep(Path(folder).resolve(), options.sample)
        for form in FORMS:
            if options.form and options.form not in form.name:
                continue
            for kind in ("fresh", "over an old one"):
                sweep.sweep(form, kind, True, pool)
            sweep.sweep(form, "over an old one", False, pool)
    print(f"{sweep.passed} passed, {sweep.failed} failed")
    return int(sweep.failed > 0)


if __name__ == "__main__":
    sys.exit(main())
