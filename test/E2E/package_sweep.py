"""Every node test as a Core ML package: written, accepted by coremltools, read back to ONNX's outputs.

coremltools rebuilds each op with its own type inference and compares, runs its own passes and writes again (mil/coremltools.md
§6.3, steps 1 to 3 and 5); what it does not check (identifiers, the description against the function) is checked here.
Usage: package_sweep.py [--sample K/M] [--verbose] [--only SUBSTRING]
"""

from __future__ import annotations

import argparse
import collections
import concurrent.futures
import contextlib
import io
import logging
import multiprocessing
import os
import re
import subprocess
import sys
import tempfile

import numpy as np
from onnx.backend.test.loader import load_model_tests
from onnx_backend import BIN, RANDOM, close, materialize, parameters

# Tests whose values a package's boundary cannot carry.
BEYOND = {
    "test_bitcast_uint32_to_int32": "uint32 beyond int32",
    "test_bitwise_and_ui64_bcast_3v1d": "uint64 beyond int32",
    "test_bitwise_or_ui64_bcast_3v1d": "uint64 beyond int32",
    "test_bitwise_xor_ui64_bcast_3v1d": "uint64 beyond int32",
    "test_cast_FLOAT16_to_FLOAT4E2M1": "NaN in a type that has none",
    "test_cast_FLOAT_to_FLOAT4E2M1": "NaN in a type that has none",
}


def judge(package: str, export: bool = False) -> str:
    """"" when coremltools and the checks it lacks accept the package."""
    import coremltools
    from coremltools.converters.mil.frontend.milproto.load import load

    spec = coremltools.utils.load_spec(package)
    if spec.WhichOneof("Type") != "mlProgram":
        return "holds no ML Program"
    function = spec.mlProgram.functions["main"]
    block = function.block_specializations[function.opset]
    if function.opset != f"CoreML{spec.specificationVersion - 1}":
        return f"opset {function.opset} at specification {spec.specificationVersion}"
    names = [i.name for i in function.inputs] + [o.name for op in block.operations for o in op.outputs]
    for name in names:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            return f"identifier '{name}'"
    if len(set(names)) != len(names):
        return "a name is given twice"
    if [i.name for i in spec.description.input] != [i.name for i in function.inputs] or [o.name for o in spec.description.output] != list(block.outputs):
        return "the description names other inputs or outputs than the function"
    types = {o.name: o.type.tensorType for op in block.operations for o in op.outputs} | {i.name: i.type.tensorType for i in function.inputs}
    codes = {65552: 10, 65568: 11, 131104: 23}
    for feature in [*spec.description.input, *spec.description.output]:
        array, tensor = feature.type.multiArrayType, types[feature.name]
        shape = [d.constant.size for d in tensor.dimensions]
        if codes[array.dataType] != tensor.dataType or (array.shape and list(array.shape) != shape):
            return f"the description of '{feature.name}' differs from the function"
    program = load(spec, spec.specificationVersion, os.path.join(package, "Data/com.apple.CoreML/weights"))
    program.validate()
    if export:  # step 5: their whole pipeline, and written again
        target = getattr(coremltools.target, f"iOS{spec.specificationVersion + 9}")
        with contextlib.redirect_stderr(io.StringIO()):
            coremltools.convert(program, convert_to="mlprogram", minimum_deployment_target=target, skip_model_load=True, compute_precision=coremltools.precision.FLOAT32)
    return ""


def run_one(case) -> tuple[str, str, str]:
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as folder:
        package = f"{folder}/model.mlpackage"
        model, sets = materialize(case, folder)
        command = [BIN / "onnx-to-ane", model, "-o", package, "--precision=fp32", "--quiet"]
        convert = subprocess.run(command, capture_output=True, text=True)
        for everything in (False, True):
            if convert.returncode == 1 and "known at compile time" in convert.stderr and len(sets) == 1:
                bound = [f"--input-value={name}={file}" for name, file in parameters(case, sets[0][0], everything)]
                convert = subprocess.run(command + bound, capture_output=True, text=True)
        if convert.returncode:
            why = convert.stderr.split("error: ", 1)[-1].strip().splitlines()[0] if convert.stderr else ""
            return case.name, "refused" if convert.returncode == 1 and why else "wrong", why
        try:
            complaint = judge(package, export=True)
        except Exception as error:  # whatever coremltools raises
            complaint = f"{type(error).__name__}: {str(error).strip().splitlines()[0][:200]}"
        if complaint:
            return case.name, "wrong", complaint
        verify = subprocess.run([BIN / "mil-verify", package, "--quiet"], capture_output=True, text=True)
        if verify.returncode:
            return case.name, "wrong", f"mil-verify: {(verify.stdout + verify.stderr).strip()[:240]}"
        run = subprocess.run([BIN / "ane-run", package, "--numerics=fp32", "--test-data", sets[0][0], "--output-dir", f"{folder}/out", "--atol=inf", "--quiet"], capture_output=True, text=True)
        if not os.path.exists(f"{folder}/out/outputs.json"):
            return case.name, "wrong", f"ane-run: {run.stderr.strip()[:200]}"
        for index, expected in enumerate(sets[0][1]):
            expected, actual = np.asarray(expected), np.load(f"{folder}/out/output_{index}.npy")
            expected = expected.reshape(expected.shape or (1,))  # no array of a package has rank 0
            if not close(actual, expected, 1e-3, 1e-5):
                return case.name, "wrong", f"output {index}: {actual.dtype}{actual.shape} {actual.ravel()[:4]}, expected {expected.dtype}{expected.shape} {expected.ravel()[:4]}"
    return case.name, "passed", ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sample", default="0/1", help="K/M: every M-th test, starting at the K-th")
    parser.add_argument("--only", default="")
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    first, step = map(int, options.sample.split("/"))
    cases = [c for c in sorted(load_model_tests(kind="node"), key=lambda c: c.name) if not RANDOM.search(c.name) and options.only in c.name][first::step]
    counts, problems, refusals = collections.Counter(), [], collections.Counter()
    context = multiprocessing.get_context("fork")
    with concurrent.futures.ProcessPoolExecutor(max_workers=os.cpu_count(), mp_context=context) as pool:
        for name, outcome, why in pool.map(run_one, cases, chunksize=8):
            counts[outcome] += 1
            if name in BEYOND and outcome == "wrong":
                counts["beyond"] += 1
            elif outcome == "wrong":
                problems.append(f"{name}: {why}")
            elif outcome == "refused":
                refusals[re.sub(r"'[^']*'|\d+", "…", why)[:90]] += 1
    for line in problems:
        print(f"wrong {line}")
    if options.verbose:
        for why, count in refusals.most_common():
            print(f"refused {count:4} {why}")
    print(f"packages: {counts['passed']} accepted by coremltools and read back, {counts['refused']} refused, {counts['beyond']} beyond what an array of a package holds, {len(problems)} wrong")
    print(f"{counts['passed']} passed, {len(problems)} failed, {counts['refused']} skipped")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
