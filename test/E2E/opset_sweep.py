"""Every operator at every opset, judged by ONNX Runtime.

ONNX's node tests use the newest version of an operator. Each is rewritten to the older opsets (7 and up) at which its
operators changed; where ONNX Runtime still takes the model, we must agree with it or refuse it with a message.
Usage: opset_sweep.py [--sample K/M] [--verbose] [--json FILE]
"""

from __future__ import annotations

import argparse
import collections
import concurrent.futures
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnx.defs
import onnxruntime
from onnx import numpy_helper
from onnx.backend.test.loader import load_model_tests
from onnx_backend import BIN, RANDOM, close, parameters


def versions(model: onnx.ModelProto) -> list[int]:
    """Opsets at which an operator of the model changed, below its own."""
    current = next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), 0)
    found = set()
    for schema in SCHEMAS:
        if schema.domain == "" and 7 <= schema.since_version < current and schema.name in {n.op_type for n in model.graph.node}:
            found.add(schema.since_version)
    return sorted(found)


SCHEMAS = onnx.defs.get_all_schemas_with_history()

# ONNX Runtime returns these as bit patterns.
BIT_PATTERNS = {onnx.TensorProto.DataType.Value(name) for name in onnx.TensorProto.DataType.keys() if name.startswith(("FLOAT8", "FLOAT4", "BFLOAT", "INT4", "UINT4", "INT2", "UINT2"))}

# ONNX Runtime differs here from the outputs that ONNX records with the test, which onnx_backend.py holds us to.
PEER_DIFFERS = {"test_maxunpool_export_with_output_shape", "test_resize_downsample_scales_cubic_align_corners", "test_resize_downsample_scales_linear_align_corners"}


class Case:
    """What onnx_backend's helpers need to know."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model, self.model_dir, self.name = model, None, model.graph.name


def run_one(job) -> tuple[str, str]:
    case, version = job
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    for opset in model.opset_import:
        if opset.domain in ("", "ai.onnx"):
            opset.version = version
    model.ir_version = min(model.ir_version, 10)
    inputs = []
    for value in case.data_sets[0][0]:
        if isinstance(value, onnx.TensorProto):
            value = numpy_helper.to_array(value)
        if not isinstance(value, (np.ndarray, np.generic)) or np.asarray(value).dtype.kind not in "fiub":
            return "skipped", ""
        inputs.append(np.asarray(value))
    if case.name in PEER_DIFFERS or any(o.type.tensor_type.elem_type in BIT_PATTERNS for o in model.graph.output):
        return "skipped", ""
    names = [i.name for i in model.graph.input]
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        expected = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"]).run(None, dict(zip(names, inputs)))
    except Exception:  # not a model of that opset
        return "skipped", ""
    with tempfile.TemporaryDirectory() as folder:
        path, bundle, data = f"{folder}/model.onnx", f"{folder}/m.anepkg", pathlib.Path(folder, "data")
        pathlib.Path(path).write_bytes(model.SerializeToString())
        data.mkdir()
        for i, (name, value) in enumerate(zip(names, inputs)):
            (data / f"input_{i}.pb").write_bytes(numpy_helper.from_array(value, name).SerializeToString())
        command = [BIN / "onnx-to-ane", path, "-o", bundle, "--precision=fp32", "--quiet"]
        convert = subprocess.run(command, capture_output=True, text=True)
        if convert.returncode == 1 and "known at compile time" in convert.stderr:
            command += [f"--input-value={name}={file}" for name, file in parameters(Case(model), str(data))]
            convert = subprocess.run(command, capture_output=True, text=True)
        if convert.returncode == 1 and "error: " in convert.stderr:
            return "refused", convert.stderr.split("error: ", 1)[1].splitlines()[0]
        run = subprocess.run([BIN / "ane-run", bundle, "--numerics=fp32", "--test-data", data, "--output-dir", f"{folder}/out", "--quiet"], capture_output=True, text=True)
        if convert.returncode or not os.path.exists(f"{folder}/out/outputs.json"):
            return "wrong", (convert.stderr + run.stderr)[:200]
        for i, value in enumerate(expected):
            actual = np.load(f"{folder}/out/output_{i}.npy")
            # Sums cancel: what is near zero is judged by the largest magnitude of the output.
            finite = np.abs(value[np.isfinite(value)]) if isinstance(value, np.ndarray) and value.dtype.kind == "f" else np.zeros(0)
            if not isinstance(value, np.ndarray) or not close(actual, value, 1e-3, max(1e-5, 1e-6 * finite.max(initial=0))):
                return "wrong", f"output {i}: {actual.shape} {actual.ravel()[:4]}, expected {getattr(value, 'shape', None)} {np.asarray(value).ravel()[:4]}"
    return "passed", ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sample", default="0/1", help="K/M: every M-th model, starting at the K-th")
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--json", help="write the pairs of operator and opset that agree")
    options = parser.parse_args()
    first, step = map(int, options.sample.split("/"))
    jobs = []
    for case in sorted(load_model_tests(kind="node"), key=lambda c: c.name):
        if case.model is not None and not RANDOM.search(case.name) and "expanded" not in case.name:
            jobs += [(case, version) for version in versions(case.model)]
    jobs = jobs[first::step]
    counts, reached, wrong = collections.Counter(), set(), []
    with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        for (case, version), (outcome, why) in zip(jobs, pool.map(run_one, jobs)):
            counts[outcome] += 1
            if outcome == "passed":
                reached.add((case.model.graph.node[0].op_type, version))
            if outcome == "wrong":
                wrong.append(f"{case.name} at opset {version}: {why}")
            elif outcome == "refused" and options.verbose:
                print(f"refused {case.name} at opset {version}: {why[:140]}")
    for line in wrong:
        print(f"wrong {line}")
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(sorted(reached)))
    print(f"{len(reached)} pairs of operator and opset agree with ONNX Runtime; {counts['refused']} models refused, {counts['skipped']} not taken or not judged by ONNX Runtime")
    print(f"{counts['passed']} passed, {len(wrong)} failed, {counts['refused'] + counts['skipped']} skipped")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
