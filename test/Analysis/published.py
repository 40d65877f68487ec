"""The cost model against published measurements (published.toml).

Each measurement is described as an engine program, predicted by `ane-opt --ane-print-cost`, and compared. Prints, for each
group, bias and error; for whole models also what is left when a model takes no part in the fit: the parameters that were
fitted to whole models (FITTED) are fitted again without it. Fails where a bar is missed, where a group is worse than it is
known to be, and where an error bar of the records does not hold two thirds of its points (three at least).
Usage: published.py [--verbose]
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import pathlib
import subprocess
import sys
import tomllib

import numpy as np

import oplists

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("ANE_MLIR_BIN", ROOT / "build" / "bin"))
# Bars: whole models when each is left out, and the benchmarks of single operations and chains.
LEFT_OUT, RANK, MICRO = 0.12, 0.97, 0.15
WHOLE = ("a14 models", "e5rt blocks")
# Of the parts of a prediction, those whose rates were fitted to whole models: floor, weights.
FITTED = {"a14 models": ("dispatch_us", "weights_us"), "e5rt blocks": ("surfaces_us", "vector_us")}
# Median error of each group today, rounded up: a change that makes one worse has to say so here.
KNOWN = {
    "a14 models": 0.09,
    "e5rt blocks": 0.10,
    "m1": 0.05,
    "m3 stacks": 0.20,
    "m4 depth": 0.05,
    "m4 matmul": 0.10,
    "m4 stacks": 0.25,
    "m4 w8a8": 0.10,
    "m4max single": 0.56,  # single convolutions at 0.2 to 1.1 ms, which later chains on the same chip contradict
    "m4max stacks": 0.30,
    "m5 conv": 0.05,
    "m5max depth": 0.10,
    "m5max shapes": 0.12,
    "matmul": 0.10,
    "vocabulary": 0.10,
}


def milliseconds(p: dict) -> float:
    if "ms" in p:
        return p["ms"]
    if "gbs" in p:
        return 2 * p["cin"] * p["cout"] / p["gbs"] / 1e6
    macs = p["cin"] * p["cout"] * p["height"] * p["width"] if p["kind"] == "conv" else p["m"] * p["k"] * p["n"]
    return 2 * p["layers"] * macs / p["tflops"] / 1e9


def op_list(p: dict) -> list[str]:
    """The program of a point, as oplists.py has it."""
    if p["kind"] == "model":
        return (pathlib.Path(__file__).parent / "models" / f"{p['model']}.ops").read_text().splitlines()
    if p["kind"] == "matmul":
        m, k, n = p["m"], p["k"], p["n"]
        return [f"arguments {m}x{k} {k}x{n}", f"matmul @0 @1 > {m}x{n}", "return 1"]
    shape = f"x{p['height']}x{p['width']}"
    lines, data = [f"arguments 1x{p['cin']}{shape}"], "@0"
    bits = p.get("weight_bits", 8 if p.get("w8a8") else 16)
    for _ in range(p["layers"]):
        if p.get("w8a8"):
            lines.append(f"quantize {data} cscalar {{output_dtype = i8}} > 1x{p['cin']}{shape}xi8")
            lines.append(f"dequantize {len(lines) - 1} cscalar > 1x{p['cin']}{shape}")
            data = str(len(lines) - 1)
        # Compressed constants count as what they are stored in.
        lines.append(f"conv {data} c{p['cout']}x{p['cin']}x1x1{'' if bits == 16 else f'/{bits}'} > 1x{p['cout']}{shape}")
        data = str(len(lines) - 1)
    return [*lines, f"return {data}"]


def predictions(points: list[dict]) -> list[dict]:
    """What ane-opt predicts, by chip and door."""
    groups = collections.defaultdict(list)
    for index, p in enumerate(points):
        groups[p["chip"], p.get("door", "memory")].append(index)
    found: dict[int, dict] = {}
    for (chip, door), indices in groups.items():
        programs = "\n".join(oplists.expand(op_list(points[i]), f"p{i}") for i in indices)
        module = f'module attributes {{ane.target = #ane.target<"{chip}">, ane.door = "{door}"}} {{\n{programs}\n}}\n'
        out = subprocess.run([BIN / "ane-opt", "--ane-print-cost", "-", "-o", os.devnull], input=module, capture_output=True, text=True)
        if out.returncode:
            sys.exit(out.stderr[:2000])
        for line in out.stdout.splitlines():
            cost = json.loads(line)
            found[int(cost["program"][1:])] = cost
    return [found[i] for i in range(len(points))]


def ranks(values: np.ndarray) -> np.ndarray:
    """With equal values sharing theirs."""
    order, inverse, count = np.unique(values, return_inverse=True, return_counts=True)[0:3]
    last = np.cumsum(count)
    return ((last - count + 1 + last) / 2)[inverse]


def spearman(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(ranks(a), ranks(b))[0, 1])


def leave_one_out(parts: np.ndarray, fixed: np.ndarray, measured: np.ndarray) -> np.ndarray:
    """Predictions of each point with factors of `parts` fitted to the others; relative errors, least squares."""
    predicted = np.empty(len(measured))
    for left in range(len(measured)):
        keep = np.arange(len(measured)) != left
        a, b = parts[keep] / measured[keep, None], 1 - fixed[keep] / measured[keep]
        # A weak pull to the records' values, for parts that few points have.
        a, b = np.vstack([a, 0.1 * np.eye(parts.shape[1])]), np.append(b, 0.1 * np.ones(parts.shape[1]))
        factors = np.linalg.lstsq(a, b, rcond=None)[0]
        predicted[left] = fixed[left] + parts[left] @ factors
    return predicted


class Checks:
    def __init__(self) -> None:
        self.passed = self.failed = 0

    def __call__(self, what: str, good: bool) -> None:
        self.passed, self.failed = self.passed + good, self.failed + (not good)
        print(("" if good else "wrong ") + what)


def check_groups(groups: dict, ratio: np.ndarray, left_out: dict, check: Checks) -> None:
    print(f"{'group':14} points    bias  median error  left out  known")
    for name, indices in sorted(groups.items()):
        errors, bias = np.abs(ratio[indices] - 1), float(np.median(ratio[indices]) - 1)
        median, most = float(np.median(errors)), KNOWN.get(name, 0)
        left = f"{np.median(np.abs(left_out[name] - 1)):8.1%}" if name in left_out else "        "
        check(f"{name:14} {len(indices):6} {bias:+7.1%} {median:13.1%}  {left}  {most:5.0%}", median <= most)


def check_error_bars(points: list[dict], costs: list[dict], ratio: np.ndarray, check: Checks) -> None:
    bars = collections.defaultdict(list)
    for p, cost, r in zip(points, costs, ratio, strict=True):
        # The bar belongs to a target and door; a group that its own source contradicts says nothing.
        if p["group"] != "m4max single":
            bars[cost["target"], p.get("door", "memory")].append((abs(r - 1), cost["error"]))
    for (target, door), entries in sorted(bars.items()):
        if len(entries) < 3:
            continue
        inside = float(np.mean([error <= bar for error, bar in entries]))
        check(f"error bar of {target} {door}: ± {entries[0][1]:.0%} holds {inside:.0%} of {len(entries)}", inside >= 0.66)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    points = tomllib.loads((pathlib.Path(__file__).parent / "published.toml").read_text())["point"]
    costs = predictions(points)
    predicted, measured = np.array([cost["predicted_us"] / 1e3 for cost in costs]), np.array([milliseconds(p) for p in points])
    ratio = predicted / measured
    groups = collections.defaultdict(list)
    for index, p in enumerate(points):
        groups[p["group"]].append(index)
        if options.verbose:
            name = p.get("model", p["kind"])
            print(f"{p['group']:14} {p['chip']:8} {name:22} {measured[index]:8.3f} ms, predicted {predicted[index]:8.3f} ({ratio[index] - 1:+.0%}) {p['source']}")
    left_out = {}
    for name in WHOLE:
        at = groups[name]
        parts = np.array([[costs[i][part] / 1e3 for part in FITTED[name]] for i in at])
        left_out[name] = leave_one_out(parts, predicted[at] - parts.sum(1), measured[at]) / measured[at]
    check = Checks()
    check_groups(groups, ratio, left_out, check)
    whole = [i for name in WHOLE for i in groups[name]]
    left = np.concatenate([left_out[name] for name in WHOLE])
    median, rank = float(np.median(np.abs(left - 1))), spearman(left * measured[whole], measured[whole])
    check(f"whole models and blocks, each left out: {len(whole)} points, median error {median:.1%} (at most {LEFT_OUT:.0%})", median <= LEFT_OUT)
    check(f"whole models and blocks, each left out: rank correlation {rank:.3f} (at least {RANK})", rank >= RANK)
    micro = np.array([i for i in range(len(points)) if points[i]["group"] not in WHOLE])
    median = float(np.median(np.abs(ratio[micro] - 1)))
    check(f"single operations and chains: {len(micro)} points, median error {median:.1%} (at most {MICRO:.0%}), rank correlation {spearman(predicted[micro], measured[micro]):.3f}", median <= MICRO)
    check_error_bars(points, costs, ratio, check)
    print(f"{check.passed} passed, {check.failed} failed")
    return 1 if check.failed else 0


if __name__ == "__main__":
    sys.exit(main())
