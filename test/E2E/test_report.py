"""The report: JSON and the trace; the page has tests of its own (test_report_page.py)."""

from __future__ import annotations

import json
import subprocess

import onnx
import pytest
from conftest import ROOT
from onnx import TensorProto, helper

import ane_mlir
import builders as models

def compiled(model, folder, *options: str) -> None:
    command = [ane_mlir.find_tool("onnx-to-ane"), model, "-o", folder / "m.anepkg", "--quiet", *options]
    subprocess.run([*command, f"--report={folder}/r.html", f"--trace={folder}/t.json"], check=True)
    subprocess.run([*command, f"--report={folder}/r.json"], check=True)


def test_hostile_names(tmp_path):
    """Names are text, whatever they hold."""
    name = '</script><img src=x onerror="document.title=1">&amp;'
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"], name)], "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4, 4, 4])], [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "m.onnx")
    compiled(tmp_path / "m.onnx", tmp_path)
    text = (tmp_path / "r.html").read_text()
    assert text.count("</script>") == 3 and "<img" not in text


def test_what_passes_change(tmp_path):
    compiled(ROOT / "test" / "E2E" / "digits" / "digits.onnx", tmp_path, "--dim=batch=1")
    changes = {p["pass"]: p for p in json.loads((tmp_path / "r.json").read_text())["passes"]}
    assert changes["ane-fold-into-conv"]["ops_after"] <= changes["ane-fold-into-conv"]["ops_before"]
    assert all(p["ops_after"] - p["ops_before"] == sum(p["more"].values()) - sum(p["fewer"].values()) for p in changes.values())


def test_trace(tmp_path):
    """Engine and host on their own rows; ops inside their program, one after the other."""
    models.build_gpt2(tmp_path / "m.onnx", layers=1, width=64, heads=2, vocabulary=100, sequence=16, external=False)
    compiled(tmp_path / "m.onnx", tmp_path)
    report, trace = (json.loads((tmp_path / f).read_text()) for f in ("r.json", "t.json"))
    events = [e for e in trace["traceEvents"] if e["ph"] == "X"]
    programs = [e for e in events if e["cat"] in ("ane", "host")]
    assert [p["name"] for p in programs] == [p["name"] for p in report["programs"]]
    for before, after in zip(programs, programs[1:]):
        assert after["ts"] == pytest.approx(before["ts"] + before["dur"])
    assert {p["tid"] for p in programs} == {1, 2}
    inside = [e for e in events if e not in programs]
    for event in inside:
        assert any(p["tid"] == event["tid"] and p["ts"] - 1e-6 <= event["ts"] and event["ts"] + event["dur"] <= p["ts"] + p["dur"] + 1e-6 for p in programs), event
    assert len(inside) == len(report["ops"]) + sum(p["kind"] == "ane" for p in report["programs"])


def gpt2(folder) -> dict:
    models.build_gpt2(folder / "m.onnx", layers=3, width=64, heads=2, vocabulary=100, sequence=16, external=False)
    compiled(folder / "m.onnx", folder)
    return json.loads((folder / "r.json").read_text())


def test_what_would_help(tmp_path):
    """Layers are alike and make one entry; nothing gains more than it takes, and what is named is among the rows."""
    report = gpt2(tmp_path)
    assert 0 < len(report["dearest"]) <= 3 and any(advice["alike"] == 3 for advice in report["dearest"])
    spent = [advice["predicted_us"] for advice in report["dearest"]]
    assert spent == sorted(spent, reverse=True)
    for advice in report["dearest"]:
        assert report["ops"][advice["row"]]["node"] == advice["subject"] and 0 <= advice["gain_us"] <= advice["predicted_us"]
    weights = [advice for advice in report["dearest"] if "streamed" in advice["why"]]
    assert weights and all("--weights=int8" in advice["remedy"] and advice["gain_us"] > 0 for advice in weights)
    (island,) = report["islands"]
    assert island["rule"] in report["rules"] and island["remedy"] in report["rules"][island["rule"]]
    assert island["subject"] == report["programs"][0]["name"] and island["ops"] == report["summary"]["host_ops"]


def parted(folder, *options: str) -> dict:
    """A convolution, an lstm, which the engine has not, and a convolution."""
    constants = [helper.make_tensor("w", TensorProto.FLOAT, [4, 4, 1, 1], [0.1, 0.3, -0.2, 0.5] * 4), helper.make_tensor("i", TensorProto.FLOAT, [1, 16, 8], [0.1] * 128), helper.make_tensor("r", TensorProto.FLOAT, [1, 16, 4], [0.1] * 64), helper.make_tensor("s", TensorProto.INT64, [3], [8, 4, 8]), helper.make_tensor("t", TensorProto.INT64, [4], [1, 4, 8, 4])]
    nodes = [helper.make_node("Conv", ["x", "w"], ["a"], "first"), helper.make_node("Reshape", ["a", "s"], ["c"], "in"), helper.make_node("LSTM", ["c", "i", "r"], ["d"], "lstm", hidden_size=4), helper.make_node("Reshape", ["d", "t"], ["b"], "out"), helper.make_node("Conv", ["b", "w"], ["y"], "last")]
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4, 8, 8])], [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)], constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), folder / "m.onnx")
    compiled(folder / "m.onnx", folder, "--calibration=none", *options)
    return json.loads((folder / "r.json").read_text())


def test_an_island_costs_a_dispatch(tmp_path):
    """What parts two programs costs a dispatch more than it takes itself."""
    report = parted(tmp_path)
    assert [program["kind"] for program in report["programs"]] == ["ane", "host", "ane"]
    (island,) = report["islands"]
    dispatch = report["programs"][0]["predicted"]["dispatch_us"]
    assert island["rule"] == "L05" and "parts two engine programs" in island["why"] and dispatch < island["gain_us"] < dispatch + island["predicted_us"]


def test_every_generation(tmp_path):
    report = gpt2(tmp_path)
    made = next(target for target in report["targets"] if target["name"] == report["target"])
    assert made["refused_ops"] == 0 and made["engine_us"] == pytest.approx(report["summary"]["predicted_engine_us"]) and made["host_us"] == pytest.approx(report["summary"]["predicted_host_us"])
    assert {"h13", "h14", "h15", "h16", "h17", "h18"} <= {target["name"] for target in report["targets"]}
    # Each is what compiling for it says, where it takes the same.
    subprocess.run([ane_mlir.find_tool("onnx-to-ane"), tmp_path / "m.onnx", "-o", tmp_path / "n.anepkg", "--quiet", "--target=h14", f"--report={tmp_path}/n.json"], check=True)
    other = json.loads((tmp_path / "n.json").read_text())
    estimate = next(target for target in report["targets"] if target["name"] == "h14")
    assert estimate["engine_us"] == pytest.approx(other["summary"]["predicted_engine_us"], rel=0.1)


def test_rows_and_ports(tmp_path):
    """Every row reads rows before it; inputs and outputs of the model are known by name; each op was looked at."""
    report = gpt2(tmp_path)
    ops = report["ops"]
    assert all(j < i for i, op in enumerate(ops) for j in op["inputs"])
    assert [port["name"] for port in report["model_inputs"]] == ["ids"] and any(op.get("model_inputs") == [0] for op in ops)
    assert all(0 <= port["row"] < len(ops) for port in report["model_outputs"])
    assert sum("error" in op for op in ops) > 0.9 * len(ops) and all(op["error"] < 0.1 for op in ops if "error" in op)
    assert all(op["result_bytes"] > 0 for op in ops)
    # Without a check nothing was measured.
    subprocess.run([ane_mlir.find_tool("onnx-to-ane"), tmp_path / "m.onnx", "-o", tmp_path / "n.anepkg", "--quiet", "--check=off", f"--report={tmp_path}/n.json"], check=True)
    assert not any("error" in op for op in json.loads((tmp_path / "n.json").read_text())["ops"])


def test_legal_but_not_chosen(tmp_path):
    report = parted(tmp_path, "--placement=cost")
    chosen = {op["node"]: op.get("legal_on_engine", False) for op in report["ops"] if op["op"] in ("ane.conv", "ane.lstm")}
    assert chosen == {"first": True, "lstm": False, "last": True}


@pytest.mark.parametrize("name", sorted(models.BUILDERS))
def test_what_another_placement_is_predicted_to_take_is_what_it_takes(tmp_path, name):
    """The host alone and the cheapest split are compared with what is placed: each is what asking for it comes to."""
    onnx.save(models.BUILDERS[name](), tmp_path / "m.onnx")

    def predict(placement: str) -> tuple[dict | None, float]:
        subprocess.run([ane_mlir.find_tool("onnx-to-ane"), tmp_path / "m.onnx", "-o", tmp_path / "m.anepkg", "--quiet", "--check=off", f"--placement={placement}", f"--report={tmp_path}/r.json"], check=True)
        report = json.loads((tmp_path / "r.json").read_text())
        return report.get("alternatives"), sum(program["predicted_us"] for program in report["programs"])

    alternatives, placed = predict("auto")
    assert alternatives and alternatives["placed_us"] == pytest.approx(placed)
    assert alternatives["host_only_us"] == pytest.approx(predict("host")[1], rel=0.05)
    assert alternatives["cheapest_us"] <= alternatives["placed_us"] and alternatives["cheapest_us"] == pytest.approx(predict("cost")[1], rel=0.1)
