"""What is known of each operation on the engine: in the report, and as a demand."""

from __future__ import annotations

import json
import subprocess

import numpy as np
import onnx
import pytest
from architectures import Net

import ane_mlir


def pooled(tmp_path):
    g = Net(0)
    x = g.op("MaxPool", g.op("Relu", g.conv("x", 3, 8, 3)), kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    onnx.save(g.model({"x": [1, 3, 32, 32]}, g.conv(x, 8, 4, 1)), tmp_path / "m.onnx")
    return tmp_path / "m.onnx"


def run(model, tmp_path, *options: str) -> subprocess.CompletedProcess:
    command = [ane_mlir.find_tool("onnx-to-ane"), model, "-o", tmp_path / "m.anepkg", f"--report={tmp_path}/r.json", "--calibration=none", "--check=off", *options]
    return subprocess.run([*map(str, command)], capture_output=True, text=True)


def test_report_says_what_is_known(tmp_path):
    said = run(pooled(tmp_path), tmp_path)
    assert said.returncode == 0
    found = json.loads((tmp_path / "r.json").read_text())
    pool = next(row for row in found["ops"] if row["op"] == "ane.max_pool")
    assert pool["evidence"] == "e5rt" and "E5RT" in pool["evidence_text"]
    assert next(row for row in found["ops"] if row["op"] == "ane.conv")["evidence"] == "raw"
    assert found["summary"]["evidence"]["e5rt"] == 1
    program = found["programs"][0]
    assert 4 <= program["depth"] <= program["ops"]
    assert "e5rt     ane.max_pool (1)" in said.stdout + said.stderr


@pytest.mark.parametrize("level", ["", "=any", "=e5rt"])
def test_demands_that_are_met(tmp_path, level):
    assert run(pooled(tmp_path), tmp_path, f"--require-ane{level}").returncode == 0


def test_raw_names_the_evidence(tmp_path):
    said = run(pooled(tmp_path), tmp_path, "--require-ane=raw")
    assert said.returncode == 1 and not (tmp_path / "m.anepkg").exists()
    assert "'ane.max_pool' op has evidence 'e5rt' (seen on E5RT; the one form tried on RAW failed (IM))" in said.stderr
    assert "/MaxPool" in said.stderr and "ane.conv" not in said.stderr


def test_unknown_level(tmp_path):
    said = run(pooled(tmp_path), tmp_path, "--require-ane=proven")
    assert said.returncode != 0 and "expects --require-ane to be any, raw or e5rt" in said.stderr


def test_host_ops_fail_any_level(tmp_path):
    g = Net(0)
    onnx.save(g.model({"x": [8, 32]}, g.op("Relu", g.op("CumSum", "x", g.const(np.array(1, np.int64))))), tmp_path / "m.onnx")
    for level in ("", "=raw"):
        said = run(tmp_path / "m.onnx", tmp_path, f"--require-ane{level}")
        assert said.returncode == 1 and "'ane.cumsum' op is not legal" in said.stderr
