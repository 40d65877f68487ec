"""ONNX's own backend tests through the real command lines.

Every test ends as one of: passed, refused (the converter said why), inexact (listed in expected.toml with the reason:
its values are beyond the precision), wrong (a different answer, or a crash). Nothing may be wrong. `expected.toml` also
holds the least number of passes of each kind, so that a loss fails the run.
Usage: onnx_backend.py [--sample N/M] [--precision fp32|fp16] [--verbose] [--only SUBSTRING]
"""

from __future__ import annotations

import argparse
import collections
import concurrent.futures
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


def run_one(case, precision: str) -> tuple[str, str]:
    rtol, atol = (max(case.rtol or 0, 1e-3), max(case.atol or 0, 1e-5)) if precision == "fp32" else (1e-2, 1e-2)
    with tempfile.TemporaryDirectory() as folder:
        bundle = f"{folder}/model.anepkg"
        model, sets = materialize(case, folder)
        command = [BIN / "onnx-to-ane", model, "-o", bundle, f"--precision={precision}", "--quiet"]
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


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sample", default="0/1", help="K/M: every M-th test, starting at the K-th")
    parser.add_argument("--precision", default="fp32", choices=("fp32", "fp16"))
    parser.add_argument("--only", default="")
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    first, step = map(int, options.sample.split("/"))
    cases = []
    for kind in KINDS:
        for case in sorted(load_model_tests(kind=kind), key=lambda c: c.name):
            if options.only in case.name and not RANDOM.search(case.name):
                cases.append((kind, case))
    cases = cases[first::step]
    counts: dict[str, collections.Counter] = collections.defaultdict(collections.Counter)
    ledger = tomllib.loads((pathlib.Path(__file__).parent / "expected.toml").read_text())
    inexact = ledger["inexact"][options.precision]
    wrong, refusals = [], collections.Counter()
    with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        for (kind, case), (outcome, why) in zip(cases, pool.map(lambda kc: run_one(kc[1], options.precision), cases)):
            if case.name in inexact:
                # Known to be beyond the precision, with the reason in the ledger; one that passes must leave it.
                if outcome == "passed":
                    wrong.append(f"{case.name}: passes now, remove it from expected.toml")
                outcome = "inexact" if outcome == "wrong" else outcome
            counts[kind][outcome] += 1
            if outcome == "wrong":
                wrong.append(f"{case.name}: {why}")
            elif outcome == "refused":
                refusals[re.sub(r"loc\(.*?\): ", "", why)[:110]] += 1
                if options.verbose:
                    print(f"refused {case.name}: {why}")
    for kind in counts:
        print(f"{options.precision} {kind}: " + ", ".join(f"{counts[kind][o]} {o}" for o in ("passed", "refused", "inexact", "wrong")))
    if options.verbose:
        for why, count in refusals.most_common(60):
            print(f"  {count:4} {why}")
    for line in wrong:
        print(f"wrong {line}")
    failed = len(wrong)
    if step == 1 and not options.only:
        for kind, least in ledger["passed"][options.precision].items():
            if counts[kind]["passed"] < least:
                print(f"{kind}: {counts[kind]['passed']} passed, at least {least} did before")
                failed += 1
    passed = sum(c["passed"] for c in counts.values())
    print(f"{passed} passed, {failed} failed, {sum(c['refused'] + c['inexact'] for c in counts.values())} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
