"""The cost model against published measurements (published.toml).

Each measurement is described as an engine program, predicted by `ane-opt --ane-print-cost`, and compared. Points with
an even index were used to fit the target records, the others only to test. Prints the error of each group; fails when
the held-back half is worse than the limits below, or when a group drifts from what it is known to have.
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

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("ANE_MLIR_BIN", ROOT / "build" / "bin"))
TARGETS = {"m1": "h13", "m2": "h14", "m3pro": "h15", "m3max": "h15", "m3ultra": "h15", "m4": "h16", "m4max": "h16max", "m5": "h17", "m5pro": "h17", "m5max": "h17"}
MEDIAN, RANK = 0.25, 0.9  # of the held-back half
# Median error of each group today, rounded up: a change that makes one worse has to say so here.
KNOWN = {
    "m1": 0.05,
    "m3 stacks": 0.40,
    "m4 depth": 0.05,
    "m4 matmul": 0.05,
    "m4 stacks": 0.15,
    "m4 stream": 0.05,
    "m4 w8a8": 0.10,
    "m4max single": 0.56,  # single convolutions at 0.2 to 1.1 ms, which later chains on the same chip contradict
    "m4max stacks": 0.55,
    "m5 conv": 0.35,
    "m5max depth": 0.15,
    "m5max shapes": 0.15,
    "matmul": 0.15,
}


def milliseconds(p: dict) -> float:
    if "ms" in p:
        return p["ms"]
    macs = p["cin"] * p["cout"] * p["height"] * p["width"] if p["kind"] == "conv" else p["m"] * p["k"] * p["n"]
    return 2 * p["layers"] * macs / p["tflops"] / 1e9


def program(index: int, p: dict) -> str:
    """The program as ane IR."""
    if p["kind"] == "matmul":
        x, w, y = (f"tensor<{a}x{b}xf16>" for a, b in ((p["m"], p["k"]), (p["k"], p["n"]), (p["m"], p["n"])))
        return f"ane.program ane @p{index}(%x0: {x}, %w: {w}) -> {y} {{\n  %y = ane.matmul %x0, %w : ({x}, {w}) -> {y}\n  ane.return %y : {y}\n}}"
    lines = []
    for layer in range(p["layers"]):
        cin, cout = (p["cin"], p["cout"])
        x, y = (f"tensor<1x{c}x{p['height']}x{p['width']}xf16>" for c in (cin, cout))
        data = f"%x{layer}"
        if p.get("w8a8"):
            q = x.replace("f16", "i8")
            lines.append(f"  %q{layer} = ane.quantize {data}, %scale {{output_dtype = i8}} : ({x}, tensor<f16>) -> {q}")
            lines.append(f"  %d{layer} = ane.dequantize %q{layer}, %scale : ({q}, tensor<f16>) -> {x}")
            data = f"%d{layer}"
        weight = f"tensor<{cout}x{cin}x1x1x{'i8' if p.get('w8a8') else 'f16'}>"
        wide = weight.replace("i8", "f16")
        lines.append(f"  %c{layer} = ane.constant dense<{0 if p.get('w8a8') else '0.0'}> : {weight}")
        weight_name = f"%c{layer}"
        if p.get("w8a8"):
            lines.append(f"  %w{layer} = ane.cast %c{layer} {{dtype = f16}} : ({weight}) -> {wide}")
            weight_name = f"%w{layer}"
        lines.append(
            f"  %x{layer + 1} = ane.conv {data}, {weight_name} {{strides = array<i64: 1, 1>, pad_type = \"valid\", pad = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>}} : ({x}, {wide}) -> {y}"
        )
    first, last = (f"tensor<1x{p[c]}x{p['height']}x{p['width']}xf16>" for c in ("cin", "cout"))
    scale = "  %scale = ane.constant dense<0.5> : tensor<f16>\n" if p.get("w8a8") else ""
    return f"ane.program ane @p{index}(%x0: {first}) -> {last} {{\n{scale}" + "\n".join(lines) + f"\n  ane.return %x{p['layers']} : {last}\n}}"


def predictions(points: list[dict]) -> list[dict]:
    by_target = collections.defaultdict(list)
    for index, p in enumerate(points):
        by_target[TARGETS[p["chip"]]].append(index)
    found: dict[int, dict] = {}
    for target, indices in by_target.items():
        module = f'module attributes {{ane.target = #ane.target<"{target}">}} {{\n' + "\n".join(program(i, points[i]) for i in indices) + "\n}\n"
        out = subprocess.run([BIN / "ane-opt", "--ane-print-cost", "-", "-o", os.devnull], input=module, capture_output=True, text=True)
        if out.returncode:
            sys.exit(out.stderr[:2000])
        for line in out.stdout.splitlines():
            cost = json.loads(line)
            found[int(cost["program"][1:])] = cost
    return [found[i] for i in range(len(points))]


def ranks(values: np.ndarray) -> np.ndarray:
    return np.argsort(np.argsort(values)).astype(float)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    points = tomllib.loads((pathlib.Path(__file__).parent / "published.toml").read_text())["point"]
    predicted = np.array([cost["predicted_us"] / 1e3 for cost in predictions(points)])
    measured = np.array([milliseconds(p) for p in points])
    error = np.abs(predicted / measured - 1)
    held = np.arange(len(points)) % 2 == 1
    groups = collections.defaultdict(list)
    for index, p in enumerate(points):
        groups[p["group"]].append(index)
        if options.verbose:
            print(f"{'test' if held[index] else 'fit '} {p['group']:14} {p['chip']:8} {measured[index]:8.3f} ms, predicted {predicted[index]:8.3f} ({predicted[index] / measured[index] - 1:+.0%}) {p['source']}")
    passed = failed = 0

    def check(what: str, good: bool) -> None:
        nonlocal passed, failed
        passed, failed = passed + good, failed + (not good)
        print(("" if good else "wrong ") + what)

    for name, indices in sorted(groups.items()):
        median = float(np.median(error[indices]))
        check(f"{name}: {len(indices)} points, median error {median:.1%}, at most {KNOWN.get(name, 0):.0%}", median <= KNOWN.get(name, 0))
    median = float(np.median(error[held]))
    rank = float(np.corrcoef(ranks(predicted[held]), ranks(measured[held]))[0, 1])
    check(f"held back: {held.sum()} points, median error {median:.1%} (at most {MEDIAN:.0%})", median <= MEDIAN)
    check(f"held back: rank correlation {rank:.3f} (at least {RANK})", rank >= RANK)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
