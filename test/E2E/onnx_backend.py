"""ONNX's own backend tests through onnx.backend's interface (ane_mlir.backend), or with --processes through the command lines.

Every test ends as one of: passed, refused (the converter said why), inexact (its values are beyond the precision), wrong
(a different answer, or a crash). Nothing may be wrong. The ledger names each test that does not pass, with the reason
(expected.toml), and for each that does not run wholly on the engine the rules that keep it on the host (placement.toml);
a test that ends otherwise than the ledger says fails the run. --update writes the placement ledger and lists what
expected.toml lacks.
Usage: onnx_backend.py [--processes] [--sample K/M] [--precision fp32|fp16] [--verbose] [--only SUBSTRING] [--json FILE] [--update]
"""

from __future__ import annotations

import argparse
import collections
import concurrent.futures
import dataclasses
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import tomllib

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.backend.test.loader import load_model_tests

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "python"))
import ane_mlir  # noqa: E402
import ane_mlir.backend  # noqa: E402

BIN = pathlib.Path(os.environ.get("ANE_MLIR_BIN", ROOT / "build" / "bin"))
KINDS = ("node", "simple", "pytorch-operator", "pytorch-converted")
# Results of these are random by definition, so there is nothing to compare with.
RANDOM = re.compile(r"bernoulli|dropout.*(default_ratio|mask_ratio|training)|random|multinomial")


def close(actual: np.ndarray, expected: np.ndarray, rtol: float, atol: float) -> bool:
    if expected.dtype.name == "bfloat16":  # 8 bits of mantissa, and we compute in fp32
        rtol, atol = max(rtol, 2e-2), max(atol, 1e-2)
    if actual.shape != expected.shape:
        return False
    if expected.dtype == object or actual.dtype == object:
        return False
    a, e = actual.astype(np.float64), expected.astype(np.float64)
    return bool(np.allclose(a, e, rtol=rtol, atol=atol, equal_nan=True))


def materialize(case, folder: str) -> tuple[str, list[tuple[str, list]]] | None:
    """The model file and, per data set, a folder of input_N.pb and the expected arrays; None when not all tensors."""
    if case.model_dir:
        sets = []
        for data in sorted(pathlib.Path(case.model_dir).glob("test_data_set_*")):
            expected = []
            for index in range(len(list(data.glob("output_*.pb")))):
                tensor = onnx.TensorProto()
                tensor.ParseFromString((data / f"output_{index}.pb").read_bytes())
                expected.append(numpy_helper.to_array(tensor))
            sets.append((str(data), expected))
        return os.path.join(case.model_dir, "model.onnx"), sets
    model = f"{folder}/model.onnx"
    pathlib.Path(model).write_bytes(case.model.SerializeToString())
    sets = []
    for number, (inputs, outputs) in enumerate(case.data_sets):
        data = pathlib.Path(folder, f"set_{number}")
        data.mkdir()
        for index, value in enumerate(inputs):
            if not isinstance(value, onnx.TensorProto):
                if not isinstance(value, (np.ndarray, np.generic)):
                    continue  # a sequence: the converter has to refuse the model
                value = numpy_helper.from_array(np.asarray(value), case.model.graph.input[index].name)
            (data / f"input_{index}.pb").write_bytes(value.SerializeToString())
        expected = [numpy_helper.to_array(v) if isinstance(v, onnx.TensorProto) else v for v in outputs]
        sets.append((str(data), expected))
    return model, sets


def parameters(case, data: str, everything: bool = False) -> list[tuple[str, str]]:
    """Inputs that decide shapes: all but the first (or with it), when they are integers or small."""
    graph = case.model.graph if case.model else onnx.load(os.path.join(case.model_dir, "model.onnx")).graph
    initialized = {tensor.name for tensor in graph.initializer}
    found = []
    for index, value in enumerate(v for v in graph.input if v.name not in initialized):
        file = f"{data}/input_{index}.pb"
        if (index == 0 and len(graph.input) > 1 and not everything) or not os.path.exists(file):
            continue
        tensor = onnx.TensorProto()
        tensor.ParseFromString(pathlib.Path(file).read_bytes())
        if value.type.tensor_type.elem_type in (6, 7) or int(np.prod(tensor.dims)) <= 8:
            found.append((value.name, file))
    return found


@dataclasses.dataclass
class Result:
    """How one test ended: where its ops run by default for h16, and the operators it holds at their since-version."""

    outcome: str
    why: str = ""
    engine: int = 0
    host: int = 0
    rules: list[str] = dataclasses.field(default_factory=list)
    operators: list[tuple[str, int]] = dataclasses.field(default_factory=list)


def operators(case) -> list[tuple[str, int]]:
    """(domain.Op, since-version) of the main graph's nodes."""
    model = case.model or onnx.load(os.path.join(case.model_dir, "model.onnx"))
    opsets = {o.domain or "ai.onnx": o.version for o in model.opset_import}
    found = set()
    for node in model.graph.node:
        domain = node.domain or "ai.onnx"
        try:
            since = onnx.defs.get_schema(node.op_type, opsets.get(domain, 1), "" if domain == "ai.onnx" else domain).since_version
        except onnx.defs.SchemaError:
            since = opsets.get(domain, 1)
        found.add((f"{domain}.{node.op_type}", since))
    return sorted(found)


def run_one(case, precision: str, processes: bool) -> Result:
    result = Result(*(judge if processes else judge_inside)(case, precision, placed := {}))
    result.operators = operators(case)
    result.engine, result.host, result.rules = placed.get("engine", 0), placed.get("host", 0), placed.get("rules", [])
    return result


def tolerance(case, precision: str) -> tuple[float, float]:
    return (max(case.rtol or 0, 1e-3), max(case.atol or 0, 1e-5)) if precision == "fp32" else (1e-2, 1e-2)


def place(ops: list[dict], placed: dict) -> None:
    placed["engine"] = sum(op["placement"] == "ane" for op in ops)
    placed["host"] = len(ops) - placed["engine"]
    placed["rules"] = sorted({op.get("rule", "") for op in ops if op["placement"] != "ane"})


def arrays(case) -> tuple[onnx.ModelProto, list[tuple[list, list]]]:
    """The model, and of each data set its inputs, by name where they have one, and the expected outputs."""
    if not case.model_dir:
        return case.model, case.data_sets
    sets = []
    for data in sorted(pathlib.Path(case.model_dir).glob("test_data_set_*")):
        read = []
        for stem in ("input", "output"):
            values = []
            for index in range(len(list(data.glob(f"{stem}_*.pb")))):
                tensor = onnx.TensorProto()
                tensor.ParseFromString((data / f"{stem}_{index}.pb").read_bytes())
                values.append(tensor)
            read.append(values)
        sets.append(tuple(read))
    return onnx.load(os.path.join(case.model_dir, "model.onnx")), sets


def judge_inside(case, precision: str, placed: dict) -> tuple[str, str]:
    """As judge(), in this process."""
    model, sets = arrays(case)
    given = {tensor.name for tensor in model.graph.initializer}
    names = [value.name for value in model.graph.input if value.name not in given]
    try:
        prepared = ane_mlir.backend.prepare(model, precision=precision, numerics=precision)
        for number, (inputs, references) in enumerate(sets):
            feeds = {}
            for index, value in enumerate(inputs):
                if isinstance(value, onnx.TensorProto):
                    feeds[value.name if value.name in names else names[index]] = numpy_helper.to_array(value)
                elif isinstance(value, (np.ndarray, np.generic)):
                    feeds[names[index]] = value
            outputs = prepared.run(feeds)
            if number == 0:
                place(prepared.bundle.report.ops, placed)
            for index, (actual, expected) in enumerate(zip(outputs, references, strict=False)):
                expected = numpy_helper.to_array(expected) if isinstance(expected, onnx.TensorProto) else expected
                if not isinstance(expected, (np.ndarray, np.generic)):
                    return "wrong", f"output {index} is no tensor, yet the model was converted"
                expected = np.asarray(expected)
                if not close(actual, expected, *tolerance(case, precision)):
                    return "wrong", f"output {index}: got {actual.dtype}{actual.shape}, expected {expected.dtype}{expected.shape}"
    except ane_mlir.CompileError as error:
        first = error.diagnostics[0]
        return "refused", str(first).removeprefix("error: ")
    except (ane_mlir.RunError, ValueError) as error:
        return "wrong", f"did not run: {str(error)[:200]}"
    return "passed", ""


def judge(case, precision: str, placed: dict) -> tuple[str, str]:
    rtol, atol = tolerance(case, precision)
    with tempfile.TemporaryDirectory() as folder:
        bundle = f"{folder}/model.anepkg"
        model, sets = materialize(case, folder)
        command = [BIN / "onnx-to-ane", model, "-o", bundle, f"--precision={precision}", f"--report={folder}/report.json", "--quiet"]
        convert = subprocess.run(command, capture_output=True, text=True, timeout=120)
        for everything in (False, True):
            if convert.returncode == 1 and "known at compile time" in convert.stderr and len(sets) == 1:
                # Axes, sizes and the like are inputs of these tests; a user binds them with --input-value.
                bound = [f"--input-value={name}={file}" for name, file in parameters(case, sets[0][0], everything)]
                convert = subprocess.run(command + bound, capture_output=True, text=True, timeout=120)
        if convert.returncode != 0:
            message = [line for line in convert.stderr.strip().splitlines() if "error: " in line]
            if convert.returncode == 1 and message:
                return "refused", message[0].split("error: ", 1)[1]
            return "wrong", f"onnx-to-ane exited with {convert.returncode}: {convert.stderr[:200]}"
        ops = json.loads(pathlib.Path(folder, "report.json").read_text())["ops"]
        place(ops, placed)
        for number, (data, references) in enumerate(sets):
            out = f"{folder}/out_{number}"
            run = subprocess.run(
                [BIN / "ane-run", bundle, f"--numerics={precision}", "--test-data", data, "--output-dir", out, "--atol=inf", "--quiet"],
                capture_output=True,
                text=True,
                timeout=120,
            )
            if not os.path.exists(f"{out}/outputs.json"):
                return "wrong", f"ane-run exited with {run.returncode}: {run.stderr.strip()[:200]}"
            for index, expected in enumerate(references):
                if not isinstance(expected, (np.ndarray, np.generic)):
                    return "wrong", f"output {index} is no tensor, yet the model was converted"
                expected = np.asarray(expected)
                actual = np.load(f"{out}/output_{index}.npy")
                if not close(actual, expected, rtol, atol):
                    return "wrong", f"output {index}: got {actual.dtype}{actual.shape}, expected {expected.dtype}{expected.shape}"
        return "passed", ""


def check_placement(results: dict[str, Result], complete: bool, update: bool) -> list[str]:
    """The rules that keep a node test's ops on the host, against placement.toml."""
    path = pathlib.Path(__file__).parent / "placement.toml"
    ledger = {}
    for rules, tests in tomllib.loads(path.read_text())["host"].items() if path.exists() else ():
        ledger |= dict.fromkeys(tests, rules)
    actual = {name: " ".join(r.rules) for name, r in results.items() if r.outcome in ("passed", "inexact") and r.host}
    known = set(re.findall(r'ANE_(?:Rule|Limit)<"([^"]+)"', "".join(p.read_text() for p in (ROOT / "dialects" / "ANE" / "Targets").glob("*.td"))))
    problems = [f"{name}: on the host by a rule that no target record has: {sorted(set(r.rules) - known)}" for name, r in results.items() if r.host and set(r.rules) - known]
    if update:
        groups = collections.defaultdict(list)
        for name, rules in sorted(actual.items()):
            groups[rules].append(name)
        lines = ["# Node tests that do not run wholly on the engine for h16, by the rules (dialects/ANE/Targets/Rules.td) that keep", "# some or all of their ops on the host. Written by `onnx_backend.py --precision=fp16 --update`.", "[host]"]
        for rules in sorted(groups):
            lines += [f'"{rules}" = ['] + [f'  "{name}",' for name in groups[rules]] + ["]"]
        path.write_text("\n".join(lines) + "\n")
        return problems
    for name in sorted(actual.keys() | (ledger.keys() if complete else ledger.keys() & results.keys())):
        if actual.get(name) != ledger.get(name):
            problems.append(f"{name}: on the host by {actual.get(name, 'no rule')}, placement.toml says {ledger.get(name, 'no rule')}")
    return problems


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sample", default="0/1", help="K/M: every M-th test, starting at the K-th")
    parser.add_argument("--precision", default="fp32", choices=("fp32", "fp16"))
    parser.add_argument("--processes", action="store_true", help="by onnx-to-ane and ane-run instead of the Python module")
    parser.add_argument("--only", default="")
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--json", help="write how each test ended")
    parser.add_argument("--update", action="store_true", help="write placement.toml")
    options = parser.parse_args()
    first, step = map(int, options.sample.split("/"))
    cases = []
    for kind in KINDS:
        for case in sorted(load_model_tests(kind=kind), key=lambda c: c.name):
            if options.only in case.name and not RANDOM.search(case.name):
                cases.append((kind, case))
    cases = cases[first::step]
    complete = step == 1 and not options.only
    ledger = tomllib.loads((pathlib.Path(__file__).parent / "expected.toml").read_text())
    inexact = {name: reason for reason, names in ledger["inexact"][options.precision].items() for name in names}
    refused = {name: reason for reason, names in ledger["refused"].items() for name in names}
    counts: dict[str, collections.Counter] = collections.defaultdict(collections.Counter)
    per_op: dict[str, collections.Counter] = collections.defaultdict(collections.Counter)
    problems, results = [], {}
    with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        for (kind, case), result in zip(cases, pool.map(lambda kc: run_one(kc[1], options.precision, options.processes), cases)):
            name = case.name
            if result.outcome == "wrong" and name in inexact:
                result.outcome = "inexact"
            elif result.outcome == "passed" and (name in inexact or name in refused):
                problems.append(f"{name}: passes now, remove it from expected.toml")
            elif result.outcome == "refused" and name not in refused:
                problems.append(f"{name}: refused, and expected.toml does not say why: {result.why}")
            elif result.outcome == "wrong":
                problems.append(f"{name}: {result.why}")
            wholly = result.outcome == "passed" and result.engine > 0 and result.host == 0
            counts[kind][result.outcome] += 1
            counts[kind]["wholly on the engine"] += wholly
            if kind == "node":
                results[name] = result
                for operator, _ in result.operators[:1] if len(result.operators) == 1 else ():
                    per_op[operator][result.outcome] += 1
                    per_op[operator]["wholly on the engine"] += wholly
            if options.verbose and result.outcome == "refused":
                print(f"refused {name}: {result.why}")
    columns = ("passed", "wholly on the engine", "refused", "inexact", "wrong")
    if options.verbose:
        print("| operator | " + " | ".join(columns) + " |")
        for operator in sorted(per_op):
            print(f"| {operator} | " + " | ".join(str(per_op[operator][c]) for c in columns) + " |")
    # With fp32 nothing is for the engine, so placement is judged where it is the default.
    if options.precision == "fp16":
        problems += check_placement(results, complete, options.update)
    if complete:
        missing = (refused.keys() | inexact.keys()) - {case.name for _, case in cases}
        problems += [f"{name}: in expected.toml, but ONNX has no such test" for name in sorted(missing)]
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps({name: dataclasses.asdict(r) for name, r in results.items()}, indent=1))
    for kind in counts:
        print(f"{options.precision} {kind}: " + ", ".join(f"{counts[kind][c]} {c}" for c in columns))
    for line in problems:
        print(f"wrong {line}")
    passed = sum(c["passed"] for c in counts.values())
    print(f"{passed} passed, {len(problems)} failed, {sum(c['refused'] + c['inexact'] for c in counts.values())} skipped")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
