"""The coverage of ONNX as a table: operator, opset, tests, and where it runs by default for h16.

Reads what onnx_backend.py (fp16) and opset_sweep.py wrote with --json.
Usage: coverage_table.py BACKEND.json SWEEP.json OUT.md
"""

from __future__ import annotations

import collections
import json
import pathlib
import sys


def main() -> int:
    backend, sweep, out = (pathlib.Path(argument) for argument in sys.argv[1:4])
    older = collections.defaultdict(list)
    for operator, version in json.loads(sweep.read_text()):
        older[f"ai.onnx.{operator}"].append(version)
    rows: dict[tuple[str, int], collections.Counter] = collections.defaultdict(collections.Counter)
    rules: dict[tuple[str, int], set[str]] = collections.defaultdict(set)
    for result in json.loads(backend.read_text()).values():
        if len(result["operators"]) != 1:
            continue  # models of several operators say little about one
        key = tuple(result["operators"][0])
        rows[key][result["outcome"]] += 1
        rows[key]["engine"] += result["engine"] > 0 and result["host"] == 0
        rows[key]["mixed"] += result["engine"] > 0 and result["host"] > 0
        rows[key]["host"] += result["engine"] == 0 and result["host"] > 0
        rules[key] |= set(result["rules"])
    lines = [
        "# ONNX coverage",
        "",
        "One row per operator and since-version of ONNX's node tests. *engine*, *mixed* and *host* count where the ops of a",
        "test are placed by default for h16; *rules* keep them on the host (targets.md). *older opsets* are those at which the",
        "same tests, rewritten, agree with ONNX Runtime.",
        "",
        "| operator | since | passed | inexact | refused | engine | mixed | host | rules | older opsets |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for (operator, since), row in sorted(rows.items()):
        cells = [operator, since, *(row[c] for c in ("passed", "inexact", "refused", "engine", "mixed", "host")), " ".join(sorted(rules[operator, since])), " ".join(map(str, sorted(older.get(operator, []))))]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
