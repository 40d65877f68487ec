"""Trained models out of packages (real_models.toml), by default options, on real data, against ONNX Runtime in fp32.

A model passes when each output of each call, with fp16 and with the engine's numerics, has a cosine of 0.999 with the
reference and no error beyond 2 % of the largest magnitude, is not finite exactly where the reference is not, and holds the
same integers; when its Core ML package is valid and gives the same; and when --precision=fp32 is within 1e-3, which tells a
wrong conversion from rounding. A model whose entry has `beyond` may miss a bar by as much as that says, for its `reason`.
What a package that cannot be fetched holds is skipped, with the reason.
Usage: real_models.py [--sample K/M] [--only SUBSTRING] [--numerics fp16,engine] [--json FILE] [--keep DIR] [--list]
"""

from __future__ import annotations

import argparse
import concurrent.futures
import dataclasses
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import fetch_models
import numpy as np
import onnx
import onnxruntime
import real_inputs
from onnx import numpy_helper

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("ANE_MLIR_BIN", ROOT / "build" / "bin"))
# Models run beside each other, each on one thread.
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}


@dataclasses.dataclass
class Distance:
    """The worst of several outputs: cosine, and error as a part of the largest magnitude, each over all calls."""

    cosine: float = 1.0
    error: float = 0.0
    faults: list[str] = dataclasses.field(default_factory=list)

    def add(self, name: str, actual: list[np.ndarray], expected: list[np.ndarray]) -> None:
        """One output of every call."""
        for number, (a, e) in enumerate(zip(actual, expected)):
            where = f"{name} (call {number})" if number else name
            # A scalar is an array of one element in a package.
            if a.shape != e.shape and (e.shape or a.shape != (1,)):
                self.faults.append(f"{where} has shape {a.shape}, not {e.shape}")
                return
            if e.dtype.kind != "f":
                if differ := np.count_nonzero(a.astype(np.int64).ravel() != e.astype(np.int64).ravel()):
                    self.faults.append(f"{where}: {differ} of {e.size} integers differ")
            elif not np.array_equal(np.where(np.isfinite(a), 0, a).ravel(), np.where(np.isfinite(e), 0, e).ravel(), equal_nan=True):
                self.faults.append(f"{where}: {np.count_nonzero(~np.isfinite(a))} of {a.size} are not finite, in the reference {np.count_nonzero(~np.isfinite(e))}")
        a, e = (np.concatenate([value.astype(np.float64).ravel() for value in values]) for values in (actual, expected))
        both = np.isfinite(a) & np.isfinite(e)
        a, e = a[both], e[both]
        if expected[0].dtype.kind != "f" or not e.size:
            return
        norm, largest = np.sqrt((a @ a) * (e @ e)), np.abs(e).max()
        self.cosine = min(self.cosine, float(a @ e / norm) if norm else float(np.array_equal(a, e)))
        self.error = max(self.error, float(np.abs(a - e).max() / (largest or 1)))

    def why(self, cosine: float, error: float) -> str:
        if self.faults:
            return self.faults[0]
        return "" if self.cosine >= cosine and self.error <= error else f"cosine {self.cosine:.5f}, error {self.error:.2e}"


@dataclasses.dataclass
class Result:
    name: str
    outcome: str = "passed"
    why: list[str] = dataclasses.field(default_factory=list)
    megabytes: float = 0.0
    seconds: float = 0.0
    programs: str = ""
    warnings: list[str] = dataclasses.field(default_factory=list)
    distances: dict[str, Distance] = dataclasses.field(default_factory=dict)
    total: float = 0.0


def unsigned_weights(path: pathlib.Path) -> str | bytes:
    """The model with the int8 weights of integer products as uint8, their zero points as much higher: the same values.

    Without instructions for it, ONNX Runtime adds pairs of uint8 * int8 in saturating int16, so it is wrong, and only on some machines.
    """
    model = onnx.load(path, load_external_data=False)
    values = {tensor.name: tensor for tensor in model.graph.initializer}
    uses = {"MatMulInteger": [(1, 3)], "ConvInteger": [(1, 3)], "DynamicQuantizeLSTM": [(1, 9), (2, 11)]}
    changed = set()
    for node in model.graph.node:
        for weight, zero in uses.get(node.op_type, ()):
            tensor = values.get(node.input[weight])
            if tensor is None or tensor.data_type != onnx.TensorProto.INT8:
                continue
            node.input.extend([""] * (zero + 1 - len(node.input)))
            if not node.input[zero]:
                node.input[zero] = f"{tensor.name}_zero"
                values[node.input[zero]] = model.graph.initializer.add()
                values[node.input[zero]].CopyFrom(numpy_helper.from_array(np.array(0, np.int8), node.input[zero]))
            changed |= {node.input[weight], node.input[zero]}
    for name in changed:
        values[name].CopyFrom(numpy_helper.from_array((numpy_helper.to_array(values[name]).astype(np.int16) + 128).astype(np.uint8), name))
    return model.SerializeToString() if changed else os.fspath(path)


def session(path: pathlib.Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(unsigned_weights(path), options, providers=["CPUExecutionProvider"])


def run(artifact: str, numerics: str, feeds: dict[str, np.ndarray], folder: pathlib.Path) -> tuple[list[np.ndarray], str]:
    """Outputs by position, or why there are none."""
    data, out = folder / "in", folder / "out"
    for path in (data, out):
        path.mkdir(exist_ok=True)
        for file in path.iterdir():
            file.unlink()
    for number, value in enumerate(feeds.values()):
        np.save(data / f"input_{number}.npy", value)
    try:
        result = subprocess.run([BIN / "ane-run", artifact, f"--numerics={numerics}", f"--test-data={data}", f"--output-dir={out}", "--quiet"], capture_output=True, text=True, timeout=1200, env=ENVIRONMENT)
    except subprocess.TimeoutExpired:
        return [], "ane-run took more than 1200 s"
    if not (out / "outputs.json").exists():
        return [], f"ane-run exited with {result.returncode}: {result.stderr.strip()[-300:]}"
    return [np.load(out / entry["file"]) for entry in json.loads((out / "outputs.json").read_text())], ""


def judge(entry: dict, paths: dict[str, pathlib.Path], numerics: list[str], folder: pathlib.Path) -> Result:
    start = time.perf_counter()
    result = Result(entry["model"])
    path = paths[entry["model"]]
    result.megabytes = path.stat().st_size / 1e6
    sessions = {entry["model"]: session(path)}

    def reference(model: str, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        if model not in sessions:
            sessions[model] = session(paths[model])
        return dict(zip((output.name for output in sessions[model].get_outputs()), sessions[model].run(None, feeds)))

    context = real_inputs.Context(paths.__getitem__, reference, entry["model"])
    calls = getattr(real_inputs, entry["recipe"])(context, **entry.get("with", {}))
    # In the order of the model's inputs, as every artifact has them.
    calls = [{i.name: feeds[i.name] for i in sessions[entry["model"]].get_inputs()} for feeds in calls]
    expected = [reference(entry["model"], feeds) for feeds in calls]
    sessions.clear()
    fixed = entry.get("constant", [])
    options = []
    for name in fixed:
        (folder / "constant.pb").write_bytes(numpy_helper.from_array(calls[0][name], name).SerializeToString())
        options.append(f"--input-value={name}={folder / 'constant.pb'}")
    options += [f"--input-shape={name}={','.join(map(str, value.shape))}" for name, value in calls[0].items() if value.ndim and name not in fixed]
    calls = [{name: value for name, value in feeds.items() if name not in fixed} for feeds in calls]

    def convert(output: str, *more: str) -> str:
        """Why there is no artifact, or nothing."""
        begun = time.perf_counter()
        try:
            done = subprocess.run([BIN / "onnx-to-ane", path, "-o", folder / output, *options, *more], capture_output=True, text=True, timeout=1200, env=ENVIRONMENT)
        except subprocess.TimeoutExpired:
            return "onnx-to-ane took more than 1200 s"
        if not more:
            result.warnings += [line.split("warning: ", 1)[1] for line in (done.stderr + done.stdout).splitlines() if "warning: " in line]
        if not more and output.endswith(".anepkg"):
            result.seconds = time.perf_counter() - begun
        if not done.returncode:
            return ""
        message = [line for line in done.stderr.splitlines() if "error: " in line]
        return "refused: " + message[0].split("error: ", 1)[1] if message and done.returncode == 1 else f"onnx-to-ane exited with {done.returncode}: {done.stderr[-300:]}"

    def compare(label: str, artifact: str, mode: str, cosine: float, error: float, count: int) -> str:
        """Why the outputs of the first `count` calls are not near enough, or nothing."""
        got = []
        for feeds, outputs in list(zip(calls, expected))[:count]:
            actual, why = run(os.fspath(folder / artifact), mode, feeds, folder)
            if not why and len(actual) != len(outputs):
                why = f"{len(actual)} outputs, not {len(outputs)}"
            if why:
                return f"{label}: {why}"
            got.append(actual)
        distance = result.distances[label] = Distance()
        for index, name in enumerate(expected[0]):
            distance.add(name, [actual[index] for actual in got], [outputs[name] for outputs in expected[:count]])
        return f"{label}: {why}" if (why := distance.why(cosine, error)) else ""

    beyond = entry.get("beyond", {})
    rounding, hard = [], []
    if why := convert("model.anepkg"):
        hard.append(why)
    else:
        kinds = [program["kind"] for program in json.loads((folder / "model.anepkg" / "manifest.json").read_text())["programs"]]
        result.programs = f"{kinds.count('ane')}+{len(kinds) - kinds.count('ane')}"
        runs = [(mode, "model.anepkg", mode, len(calls)) for mode in numerics]
        hard.append(f"fp32: {why}" if (why := convert("fp32.anepkg", "--precision=fp32")) else compare("fp32", "fp32.anepkg", "fp32", 0.999, entry.get("fp32", 1e-3), len(calls)))
        if why := convert("model.mlpackage"):
            hard.append(f"package: {why}")
        else:
            found = subprocess.run([BIN / "mil-verify", "--quiet", folder / "model.mlpackage"], capture_output=True, text=True)
            if found.returncode:
                hard.append(f"package: {(found.stdout + found.stderr).strip().splitlines()[0]}")
            runs.append(("package", "model.mlpackage", "fp16", 1))
        for label, artifact, mode, count in runs:
            why = compare(label, artifact, mode, 0.999, 0.02, count)
            distance = result.distances.get(label)
            if why and label in beyond and distance and not distance.why(0.98, beyond[label]):
                rounding.append(why)
            else:
                hard.append(why)
    hard = [why for why in hard if why]
    if hard:
        result.outcome = "failed"
        result.why = hard + rounding
    elif rounding:
        result.outcome = "inexact"
        result.why = [entry["reason"] + ("" if result.warnings else ", and the converter does not say so"), *rounding]
    elif beyond:
        result.why = ["within the bars this time, which `beyond` in real_models.toml does not ask"]
    result.total = time.perf_counter() - start
    return result


def row(result: Result) -> str:
    def cell(label: str) -> str:
        distance = result.distances.get(label)
        return f"{'':8} {'':8}" if distance is None else f"{distance.cosine:8.5f} {distance.error:8.1e}"

    return f"{result.name:24} {result.megabytes:6.1f} {result.seconds:7.2f} {result.programs:>8}  {cell('fp16')}  {cell('engine')}  {result.outcome} ({result.total:.0f} s)"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", default="0/1", help="K/M: every M-th model, starting at the K-th")
    parser.add_argument("--only", default="", help="names, or parts of them, with commas between")
    parser.add_argument("--numerics", default="fp16,engine")
    parser.add_argument("--json", help="write what was measured")
    parser.add_argument("--keep", help="leave inputs, artifacts and outputs in a folder for each model")
    parser.add_argument("--list", action="store_true", help="print the names and where they come from")
    options = parser.parse_args()
    packages = fetch_models.table()["package"]
    first, step = map(int, options.sample.split("/"))
    chosen = [(package, file) for package in packages for file in package["files"] if "model" in file and any(o in file["model"] for o in options.only.split(","))][first::step]
    if options.list:
        for package, file in chosen:
            print(f"{file['model']:24} {package['name']} {package['version']}: {file['file']}")
        return 0
    needed = {package["name"] for package, _ in chosen} | {package["name"] for package in packages if not any("model" in file for file in package["files"])}
    packages = [package for package in packages if package["name"] in needed]
    missing = fetch_models.fetch_all(packages)
    paths = {}
    for package in packages:
        for file in package["files"]:
            paths[file.get("model") or pathlib.PurePosixPath(file["file"]).name] = fetch_models.place(package, file)
    photographs = next((why for name, why in missing.items() if not any("model" in f for p in packages if p["name"] == name for f in p["files"])), "")

    def work(item: tuple[dict, dict]) -> Result:
        package, entry = item
        why = missing.get(package["name"], "")
        if why:
            return Result(entry["model"], "skipped", [why])
        try:
            if options.keep:
                folder = pathlib.Path(options.keep, entry["model"]).resolve()
                folder.mkdir(parents=True, exist_ok=True)
                return judge(entry, paths, options.numerics.split(","), folder)
            with tempfile.TemporaryDirectory() as folder:
                return judge(entry, paths, options.numerics.split(","), pathlib.Path(folder))
        except FileNotFoundError as error:
            if photographs:
                return Result(entry["model"], "skipped", [photographs])
            return Result(entry["model"], "failed", [str(error)])
        except Exception as error:  # one model that breaks the harness is a failure of that model
            return Result(entry["model"], "failed", [f"{type(error).__name__}: {error}"])

    print(f"{'model':24} {'MB':>6} {'convert':>7} {'programs':>8}  {'fp16':>17}  {'engine':>17}\n{'':24} {'':6} {'s':>7} {'ane+host':>8}  {'cosine    error':>17}  {'cosine    error':>17}")
    results = []
    # The largest first, so that they do not run alone at the end.
    order = sorted(chosen, key=lambda item: -paths[item[1]["model"]].stat().st_size if item[0]["name"] not in missing else 0)
    with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        for future in concurrent.futures.as_completed([pool.submit(work, item) for item in order]):
            results.append(result := future.result())
            print(row(result), flush=True)
            for why in result.why:
                print(f"   {why}", flush=True)
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps([dataclasses.asdict(r) for r in results], indent=1))
    counts = {outcome: sum(r.outcome == outcome for r in results) for outcome in ("passed", "inexact", "failed", "skipped")}
    said = sum(r.outcome == "inexact" and bool(r.warnings) for r in results)
    print(f"real models: {counts['passed']} within the bars, {counts['inexact']} beyond for a reason ({said} of them with a warning), {counts['skipped']} skipped for want of their package")
    print(f"{counts['passed'] + counts['inexact']} passed, {counts['failed']} failed, {counts['skipped']} skipped")
    return 1 if counts["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
