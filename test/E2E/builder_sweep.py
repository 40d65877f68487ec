"""Programs made by coremltools' own builder, one per operation and opset: read, printed, read again, run.

The values are those of coremltools' constant folding where it folds, else of the definition in mil_recipes.py.
Usage: builder_sweep.py [--sample K/M] [--only OP] [--verbose]
"""

from __future__ import annotations

import argparse
import collections
import concurrent.futures
import contextlib
import io
import json
import logging
import multiprocessing
import os
import pathlib
import subprocess
import sys
import tempfile
import warnings

import numpy as np
from mil_recipes import RECIPES, Recipe

BIN = pathlib.Path(os.environ["ANE_MLIR_BIN"])
# Names of the registry that have no recipe of their own.
WITHOUT = {
    "_const_symbolic": "internal", "conv_quantized": "experimental, not documented", "const": "in every program",
    "coreml_update_state": "write_state, in read_state's", "list_length": "in make_list's", "list_read": "in make_list's",
    "list_write": "in make_list's", "list_gather": "in make_list's", "list_scatter": "in make_list's",
}  # fmt: skip


def build(recipe: Recipe, opset: int, dtype, fold: bool):
    """A program with inputs, or the folded results (None where coremltools does not fold)."""
    import coremltools as ct
    from coremltools.converters.mil.mil import Builder as mb
    from coremltools.converters.mil.mil import Function, Program, types

    target = getattr(ct.target, f"iOS{opset}")
    arrays = {name: value.astype(dtype) if value.dtype == np.float32 else value for name, value in recipe.inputs.items()}
    consts = {name: value.astype(dtype) if isinstance(value, np.ndarray) and value.dtype == np.float32 else dtype(value) if isinstance(value, float) else value for name, value in recipe.consts.items()}

    def call(values):
        if recipe.build:
            return recipe.build(mb, **values)
        out = getattr(mb, recipe.op)(**values, **consts)
        return list(out) if isinstance(out, (list, tuple)) else [out]

    if fold:
        with Function({}, opset_version=target):
            outs = call({name: mb.const(val=value) for name, value in arrays.items()})
            return [None if out.val is None else np.asarray(out.val) for out in outs]
    kinds = {np.dtype(np.float16): types.fp16, np.dtype(np.float32): types.fp32, np.dtype(np.int32): types.int32}
    feeds, placeholders = {}, {}
    for name, value in arrays.items():
        # No boolean and no scalar crosses a boundary.
        feeds[name] = value.astype(np.int32) if value.dtype == bool else value.reshape(value.shape or (1,))
        kind = kinds[feeds[name].dtype]
        placeholders[name] = mb.state_tensor_placeholder(feeds[name].shape, kind) if name in recipe.states else mb.placeholder(feeds[name].shape, kind)
    with Function(placeholders, opset_version=target) as function:
        values = {}
        for name, value in arrays.items():
            values[name] = function.inputs[name]
            if value.dtype == bool:
                values[name] = mb.cast(x=values[name], dtype="bool")
        function.set_outputs(call(values))
    program = Program()
    program.add_function("main", function)
    return program, feeds, target


def run_one(case) -> tuple[str, str]:
    index, opset, half = case
    recipe = RECIPES[index]
    dtype = np.float16 if half else np.float32
    label = f"{recipe.op}#{index} ios{opset} {'fp16' if half else 'fp32'}"
    logging.disable(logging.CRITICAL)
    warnings.filterwarnings("ignore")
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        import coremltools as ct

        try:
            program, feeds, target = build(recipe, opset, dtype, False)
            labels = ct.ClassifierConfig(recipe.classes) if recipe.classes else None
            model = ct.convert(program, classifier_config=labels, convert_to="mlprogram", minimum_deployment_target=target, skip_model_load=True, pass_pipeline=ct.PassPipeline.EMPTY, compute_precision=ct.precision.FLOAT32)
            expected = None if recipe.ref else build(recipe, opset, dtype, True)
        except Exception as error:
            return label, f"not built: {type(error).__name__}: {str(error).strip().splitlines()[0][:160] if str(error).strip() else ''}"
    folded = expected is not None
    if recipe.ref:
        expected = recipe.ref(**recipe.inputs)
    if any(value is None for value in expected):
        return label, "has neither folding nor definition"
    with tempfile.TemporaryDirectory() as folder:
        package = f"{folder}/m.mlpackage"
        with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
            model.save(package)
        # Read, printed, read again: the same text, and it runs alike.
        text = f"{package}/Data/com.apple.CoreML/model.mil"
        verify = subprocess.run([BIN / "mil-verify", package], capture_output=True, text=True)
        if verify.returncode:
            return label, f"mil-verify: {verify.stdout.strip()[:240]}"
        imported = subprocess.run([BIN / "ane-translate", "--import-mlpackage", f"{package}/Manifest.json", "-o", f"{folder}/m.mlir"], capture_output=True, text=True)
        if imported.returncode:
            return label, f"import: {imported.stderr.strip()[:200]}"
        subprocess.run([BIN / "ane-translate", "--mil-to-text", f"{folder}/m.mlir", "-o", text], capture_output=True)
        again = subprocess.run([BIN / "ane-translate", "--mil-round-trip", text], capture_output=True, text=True)
        if again.returncode or again.stdout != pathlib.Path(text).read_text():
            return label, f"text: {again.stderr.strip()[:200] or 'differs'}"
        arguments = []
        for name, value in feeds.items():
            np.save(f"{folder}/{name}.npy", value)
            arguments.append(f"--input={name}={folder}/{name}.npy")
        outputs = {}
        for kind, artifact in (("package", package), ("text", text)):
            run = subprocess.run([BIN / "ane-run", artifact, *arguments, f"--numerics={'fp16' if half else 'fp32'}", "--output-dir", f"{folder}/{kind}", "--quiet"], capture_output=True, text=True)
            if run.returncode:
                return label, f"run {kind}: {run.stderr.strip()[:240]}"
            outputs[kind] = [np.load(f"{folder}/{kind}/{entry['file']}") for entry in json.loads(pathlib.Path(f"{folder}/{kind}/outputs.json").read_text())]
    if len(outputs["package"]) != len(expected):
        return label, f"has {len(outputs['package'])} results, expected {len(expected)}"
    for k, (value, wanted) in enumerate(zip(outputs["package"], expected)):
        wanted = np.asarray(wanted)
        if not np.array_equal(value, outputs["text"][k], equal_nan=True):
            return label, f"result {k}: the text runs differently"
        if value.size != wanted.size or (wanted.ndim and value.shape != wanted.shape and value.squeeze().shape != wanted.squeeze().shape):
            return label, f"result {k}: shape {value.shape}, expected {wanted.shape}"
        if recipe.random:
            if not np.isfinite(value).all():
                return label, f"result {k} is not finite"
            continue
        a, b = value.astype(np.float64).ravel(), wanted.astype(np.float64).ravel()
        bound = (recipe.tolerance if half else 2e-5) * max(1, np.abs(b[np.isfinite(b)]).max(initial=0))
        if not np.allclose(a, b, rtol=0, atol=bound, equal_nan=True):
            return label, f"result {k}: {a[:4]}, expected {b[:4]}"
    return label, "folded" if folded else "defined"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sample", default="0/1", help="K/M: every M-th program, starting at the K-th")
    parser.add_argument("--only", default="")
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    first, step = map(int, options.sample.split("/"))
    cases = []
    for index, recipe in enumerate(RECIPES):
        if options.only and recipe.op != options.only:
            continue
        has_float = any(v.dtype == np.float32 for v in recipe.inputs.values())
        for opset in range(max(recipe.since, 15), recipe.until + 1):
            cases.append((index, opset, False))
            if recipe.fp16 and has_float and opset >= 16:
                cases.append((index, opset, True))
    cases = cases[first::step]
    counts, problems, folded = collections.Counter(), [], set()
    context = multiprocessing.get_context("fork")
    with concurrent.futures.ProcessPoolExecutor(max_workers=os.cpu_count(), mp_context=context) as pool:
        for label, outcome in pool.map(run_one, cases, chunksize=8):
            if outcome in ("folded", "defined"):
                counts[outcome] += 1
                folded |= {label.split("#")[0]} if outcome == "folded" else set()
            else:
                problems.append(f"{label}: {outcome}")
    with contextlib.redirect_stderr(io.StringIO()):
        from coremltools.converters.mil.mil.ops.registry import SSAOpRegistry
    covered = {recipe.op for recipe in RECIPES} | set(WITHOUT)
    for name in sorted(set(SSAOpRegistry.core_ops) - covered):
        if not options.only:
            problems.append(f"{name}: coremltools' builder has it, no recipe does")
    for line in problems:
        print(f"wrong {line}")
    print(f"builder: {len({RECIPES[c[0]].op for c in cases})} operations, {counts['folded']} programs of {len(folded)} equal coremltools' folding, {counts['defined']} their definition, {len(problems)} wrong")
    print(f"{sum(counts.values())} passed, {len(problems)} failed")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
