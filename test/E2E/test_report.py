"""The report: JSON, the page in a real browser, the trace."""

from __future__ import annotations

import json
import re
import shutil
import subprocess

import onnx
import pytest
from conftest import ROOT
from onnx import TensorProto, helper

import ane_mlir
import builders as models

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
# Runs behind the page's own script: reads what is there, then uses it as a reader would.
PROBE = """<script>
const result = { title: document.title, cards: [...document.querySelectorAll(".card")].map(card => card.textContent), programs: document.querySelectorAll("#timeline tr").length - 1,
  rows: document.querySelectorAll("#ops tr").length - 1, boxes: document.querySelectorAll("#graph rect").length, lines: document.querySelectorAll("#graph path").length,
  passes: document.querySelectorAll("#passes tr").length - 1, choice: byId("choice").textContent, risks: byId("risks").textContent, colours: new Set([...document.querySelectorAll("#graph rect")].map(r => r.getAttribute("fill"))).size };
document.querySelector("th[data-key=predicted_us]").click();
result.slowest = [...document.querySelectorAll("#ops tr")][1].cells[0].textContent;
document.querySelector("th[data-key=predicted_us]").click();
result.ascending = document.querySelector("th[data-key=predicted_us]").getAttribute("aria-sort");
byId("placement").value = "host"; byId("placement").onchange();
result.host = document.querySelectorAll("#ops tr").length - 1;
byId("placement").value = ""; byId("filter").value = "CONV"; byId("filter").oninput();
result.convs = document.querySelectorAll("#ops tr").length - 1;
result.text = document.body.innerText;
const out = document.createElement("pre"); out.id = "probe"; out.textContent = JSON.stringify(result); document.body.append(out);
</script>"""


def compiled(model, folder, *options: str) -> None:
    command = [ane_mlir.find_tool("onnx-to-ane"), model, "-o", folder / "m.anepkg", "--quiet", *options]
    subprocess.run([*command, f"--report={folder}/r.html", f"--trace={folder}/t.json"], check=True)
    subprocess.run([*command, f"--report={folder}/r.json"], check=True)


def browse(folder) -> dict:
    if BROWSER is None:
        pytest.skip("no Chromium on this machine")
    page = (folder / "r.html").read_text()
    assert not re.search(r"(src|href)=|https?://(?!www\.w3\.org/2000/svg)", page)  # one file, no network
    (folder / "probe.html").write_text(page.replace("</body>", PROBE + "</body>"))
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}/profile", "--virtual-time-budget=10000", "--dump-dom", f"file://{folder}/probe.html"]
    dom = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    found = re.search(r'<pre id="probe">(.*?)</pre>', dom, re.S)
    assert found, dom[-2000:]
    return json.loads(found[1].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))


def test_page(tmp_path):
    models.build_gpt2(tmp_path / "m.onnx", layers=1, width=64, heads=2, vocabulary=100, sequence=16, external=False)
    compiled(tmp_path / "m.onnx", tmp_path)
    report, page = json.loads((tmp_path / "r.json").read_text()), browse(tmp_path)
    ops = report["ops"]
    assert page["title"] == "m.onnx - placement report"
    assert page["rows"] == page["boxes"] == len(ops) and page["programs"] == page["colours"] == len(report["programs"])
    assert page["lines"] == sum(len(op["inputs"]) for op in ops) >= len(ops) - 10
    assert page["passes"] == len(report["passes"]) >= 20
    assert page["host"] == report["summary"]["host_ops"] > 0
    assert page["slowest"] == max(ops, key=lambda op: op["predicted_us"])["node"] and page["ascending"] == "ascending"
    assert 0 < page["convs"] < len(ops)
    assert "all on the host" in page["choice"]
    for wrong in ("undefined", "NaN", "[object"):
        assert wrong not in page["text"], wrong


def test_hostile_names(tmp_path):
    """Names are text, whatever they hold."""
    name = '</script><img src=x onerror="document.title=1">&amp;'
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"], name)], "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4, 4, 4])], [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "m.onnx")
    compiled(tmp_path / "m.onnx", tmp_path)
    text = (tmp_path / "r.html").read_text()
    assert text.count("</script>") == 2 and "<img" not in text


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
