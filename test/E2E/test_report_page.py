"""The report's page in a real browser: what it shows, that it can be used by keyboard and at every width, and how fast it is.

Bars of the page, on a machine that is not busy: 20,000 operations load within 1 s and are filtered within 50 ms. What is asserted
here is three times that, since tests run beside others.
"""

from __future__ import annotations

import json
import pathlib
import random
import re
import shutil
import subprocess
import sys

import onnx
import pytest
from conftest import ROOT
from onnx import TensorProto, helper
from PIL import Image

import ane_mlir
import browser
import builders as models
import screenshots

LOAD_MS, FILTER_MS = 3 * 1000, 3 * 50
WIDTHS = (390, 1280, 1600)
# Points of edges that lie in boxes which they neither leave nor reach, and pairs of boxes that overlap.
GEOMETRY = """() => {
  const rect = node => node.querySelector(".front").getBBox(), boxes = [...document.querySelectorAll("#graph-view .box")].map(node => ({ id: node.dataset.id, ...JSON.parse(JSON.stringify(rect(node), ["x", "y", "width", "height"])) }));
  const bad = [];
  let points = 0;
  for (const edge of document.querySelectorAll("#graph-view .edge")) {
    const length = edge.getTotalLength(), ends = [edge.dataset.from, ...edge.dataset.to.split(" ")];
    for (let at = 0; at <= length; at += 4) {
      const p = edge.getPointAtLength(at);
      ++points;
      for (const b of boxes) if (!ends.includes(b.id) && p.x > b.x + 1 && p.x < b.x + b.width - 1 && p.y > b.y + 1 && p.y < b.y + b.height - 1) bad.push(`${ends} through ${b.id}`);
    }
  }
  boxes.forEach((a, i) => boxes.slice(0, i).forEach(b => { if (a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height) bad.push(`${a.id} over ${b.id}`); }));
  return { bad: [...new Set(bad)].slice(0, 10), points, boxes: boxes.length };
}"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> pathlib.Path:
    """A GPT-2 of three layers: embeddings on the host, module paths, layers that are alike."""
    folder = tmp_path_factory.mktemp("page")
    models.build_gpt2(folder / "m.onnx", layers=3, width=64, heads=2, vocabulary=100, sequence=16, external=False)
    command = [ane_mlir.find_tool("onnx-to-ane"), folder / "m.onnx", "-o", folder / "m.anepkg", "--quiet"]
    subprocess.run([*command, f"--report={folder}/r.html", f"--trace={folder}/t.json"], check=True)
    subprocess.run([*command, f"--report={folder}/r.json"], check=True)
    return folder


@pytest.fixture(scope="module")
def report(folder) -> dict:
    return json.loads((folder / "r.json").read_text())


@pytest.fixture(scope="module")
def chromium():
    with browser.chromium() as running:
        yield running


def with_data(folder: pathlib.Path, name: str, data: dict) -> pathlib.Path:
    """The same page with another report in it."""
    page = (folder / "r.html").read_text()
    before, _, rest = page.partition('<script type="application/json" id="data">')
    path = folder / name
    path.write_text(before + '<script type="application/json" id="data">' + json.dumps(data).replace("<", "\\u003c") + rest[rest.index("</script>") :])
    return path


def test_one_file(folder):
    """No network: the only address in it is that of Perfetto, for a button."""
    text = (folder / "r.html").read_text()
    assert set(re.findall(r"https?://[\w./-]+", text)) <= {"http://www.w3.org/2000/svg", "https://ui.perfetto.dev"}
    assert not re.search(r"<(script|img|iframe)[^>]+src=|<link[^>]+href=\"(?!data:)|sourceMappingURL|@import", text)
    assert len(text) - len(json.dumps(json.loads((folder / "r.json").read_text()))) < 200_000


def test_verdict(folder, report, chromium):
    page = browser.Page(chromium, folder / "r.html")
    text, summary = page.run("document.getElementById('verdict').innerText"), report["summary"]
    assert page.run("document.title") == "m.onnx - placement report" and page.run("document.querySelector('h1').textContent") == "Most of it fits the engine"
    assert f"{summary['engine_ops']} of {len(report['ops'])} operations run on the engine of h16 (M4 family), in 1 program" in text and "± 25 %" in text
    assert "matches in the interpreter" in text and "all on the host" in text
    for advice in report["dearest"] + report["islands"]:
        assert advice["subject"] in text and advice["remedy"] in text
    assert "and 2 nodes like it" in text
    # Every rule is a link to its explanation: meaning, sources, remedy.
    for rule in {advice["rule"] for advice in report["islands"]}:
        explained = page.run("id => document.getElementById('rule-' + id).innerText", rule)
        assert "evidence" in explained and "what to do" in explained and page.run("id => !!document.querySelector(`#verdict a[href='#rule-${id}']`)", rule)
    whole = page.run("document.body.innerText")
    for wrong in ("undefined", "NaN", "[object", "Infinity", "null"):
        assert wrong not in whole, wrong
    assert not page.complaints
    page.close()


def rows(page) -> list[list[str]]:
    return page.run("[...document.querySelectorAll('#operations-grid tr[data-op]')].map(row => [...row.cells].map(cell => cell.textContent))")


def test_operations(folder, report, chromium):
    page, ops = browser.Page(chromium, folder / "r.html"), report["ops"]
    count = "document.getElementById('operations-count').textContent"
    dearest = sorted(ops, key=lambda op: -op["predicted_us"])
    assert [row[1] for row in rows(page)][:5] == [op["node"] for op in dearest][:5]
    page.page.click("th[data-key=predicted_us] button")
    assert page.run("document.querySelector('th[data-key=predicted_us]').getAttribute('aria-sort')") == "ascending" and rows(page)[0][0] in ("0", "<0.01 µs")
    page.page.select_option("#where", "host")
    assert page.run(count) == f"{report['summary']['host_ops']} of {len(ops)} operations" and len(rows(page)) == report["summary"]["host_ops"]
    page.page.select_option("#where", "")
    page.page.fill("#filter", "CONV h1")
    wanted = sum("conv" in " ".join(str(op.get(key, "")) for key in ("op", "node", "note", "type")).lower() and "h1" in op["node"].lower() for op in ops)
    assert 0 < wanted < len(ops) and page.run(count).startswith(f"{wanted} of")
    page.page.fill("#filter", "")
    # By module path: a group says what it costs, and opens.
    page.page.click("th[data-key=predicted_us] button")
    page.page.check("#grouped")
    groups = page.run("[...document.querySelectorAll('#operations-grid tr.group')].map(row => row.innerText)")
    assert sum("h0" in group or "h1" in group or "h2" in group for group in groups) == 3
    assert not rows(page) or len(rows(page)) < len(ops)
    page.page.click("#operations-grid tr.group button:has-text('h1')")
    assert page.run("document.activeElement.getAttribute('aria-expanded')") == "true"
    assert not page.complaints
    page.close()


def test_keyboard(folder, chromium):
    """Enter on a node shows what is known of it, Escape goes back; boxes of the graph open by keys."""
    page = browser.Page(chromium, folder / "r.html")
    node = page.page.locator("#operations-grid tr[data-op] button").first
    name = node.text_content()
    node.focus()
    page.page.keyboard.press("Enter")
    details = page.run("document.getElementById('details').innerText")
    assert name in details and "predicted" in details and "where" in details and "accuracy here" in details
    page.page.keyboard.press("Escape")
    assert page.run("document.getElementById('details').hidden") and page.run("document.activeElement.textContent") == name
    page.run("ensureGraph()")
    before = page.run("graph.boxes.length")
    page.page.locator("#graph-view .box.module").first.focus()
    page.page.keyboard.press("Enter")
    assert page.run("graph.boxes.length") > before and page.run("document.activeElement.getAttribute('aria-expanded')") == "true"
    page.page.keyboard.press(" ")
    assert page.run("graph.boxes.length") == before
    page.page.locator("#graph-view").focus()
    scale = page.run("graph.scale")
    page.page.keyboard.press("+")
    assert page.run("graph.scale") > scale
    canvas = page.page.locator("#timeline-canvas canvas")
    canvas.focus()
    page.page.keyboard.press("+")
    assert page.run("timeline.to - timeline.from") == pytest.approx(page.run("total") / 2)
    page.page.keyboard.press("0")
    assert page.run("[timeline.from, timeline.to]") == [0, page.run("total")]
    assert not page.complaints
    page.close()


def test_timeline(folder, report, chromium):
    """The page's trace is that of --trace, event by event; a click shows the operation that is there, or folds the program."""
    page, trace = browser.Page(chromium, folder / "r.html"), json.loads((folder / "t.json").read_text())
    with page.page.expect_download() as saved:
        page.page.click("text=Save trace")
    made = json.loads(pathlib.Path(saved.value.path()).read_text())
    assert saved.value.suggested_filename == "m.onnx.trace.json"
    assert len(made["traceEvents"]) == len(trace["traceEvents"]) and made["otherData"] == trace["otherData"]
    for mine, theirs in zip(made["traceEvents"], trace["traceEvents"]):
        assert {key: value for key, value in mine.items() if key not in ("ts", "dur")} == {key: value for key, value in theirs.items() if key not in ("ts", "dur")}
        assert mine.get("ts", 0) == pytest.approx(theirs.get("ts", 0)) and mine.get("dur", 0) == pytest.approx(theirs.get("dur", 0))
    page.run("document.getElementById('timeline').scrollIntoView()")
    box = page.page.locator("#timeline-canvas canvas").bounding_box()
    longest = page.run("events.filter(event => event.op !== undefined && event.engine).sort((a, b) => b.length - a.length)[0]")
    x = box["x"] + box["width"] * (longest["start"] + longest["length"] / 2) / page.run("total")
    page.page.mouse.click(x, box["y"] + 26 + 22 + 20)
    assert longest["name"] in page.run("document.querySelector('#details h2').textContent")
    page.page.keyboard.press("Escape")
    page.page.mouse.click(x, box["y"] + 26 + 8)
    assert page.run("timeline.folded.size") == 1
    assert len(page.run("[...document.querySelectorAll('#programs tbody tr')].map(row => row.innerText)")) == len(report["programs"])
    # Handing over the trace asks Perfetto's page, which is another window.
    page.run("window.open = place => ({ postMessage: (message, to) => (window.sent ??= []).push([message, to]) })")
    page.page.click("text=Open in Perfetto")
    page.page.wait_for_function("window.sent?.length > 0")
    assert page.run("window.sent[0]") == ["PING", "https://ui.perfetto.dev"]
    page.run("dispatchEvent(new MessageEvent('message', { origin: 'https://ui.perfetto.dev', data: 'PONG' }))")
    page.page.wait_for_function("window.sent.some(([message]) => message.perfetto)")
    handed = page.run("new TextDecoder().decode(window.sent.find(([message]) => message.perfetto)[0].perfetto.buffer)")
    assert json.loads(handed) == made
    assert not page.complaints
    page.close()


def check_geometry(page) -> int:
    found = page.run(GEOMETRY)
    assert not found["bad"] and found["points"] > 0, found
    return found["boxes"]


def test_graph(folder, report, chromium):
    """Closed, open and after a search: no edge runs through a box that it does not belong to, and no boxes overlap."""
    page = browser.Page(chromium, folder / "r.html")
    page.run("ensureGraph()")
    closed = check_geometry(page)
    page.page.click("text=Open modules")
    opened = check_geometry(page)
    assert closed < opened == len(report["ops"]) + len(report["model_inputs"]) + len(report["model_outputs"])
    # What is drawn is what the report says: each edge of the report is one or more pieces of lines.
    drawn = page.run("[...new Set(graph.edges.flatMap(edge => edge.to.map(to => edge.from + '>' + to)))]")
    wanted = {f"o{j}>o{i}" for i, op in enumerate(report["ops"]) for j in op["inputs"]} | {f"i{k}>o{i}" for i, op in enumerate(report["ops"]) for k in op.get("model_inputs", [])} | {f"o{port['row']}>x{k}" for k, port in enumerate(report["model_outputs"])}
    assert set(drawn) == wanted
    page.page.click("text=Close modules")
    assert check_geometry(page) == closed
    page.page.fill("#graph-search", "h2 softmax")
    page.page.press("#graph-search", "Enter")
    check_geometry(page)
    assert page.run("document.querySelectorAll('#graph-view .box.found').length") >= 1 and "softmax" in page.run("document.querySelector('#graph-view .box.found').getAttribute('aria-label')")
    inside = page.run("(() => { const box = document.querySelector('#graph-view .box.found').getBoundingClientRect(), view = document.getElementById('graph-view').getBoundingClientRect(); return box.left >= view.left && box.right <= view.right && box.top >= view.top && box.bottom <= view.bottom; })()")
    assert inside and not page.complaints
    page.close()


def test_modules_that_are_called_twice(folder, report, chromium):
    """A module in a circle with another becomes one box for each call, so that edges go down only."""
    ops = [{**report["ops"][-1], "node": f"/{'ab'[i % 2]}/op{i}", "inputs": [i - 1] if i else [], "model_inputs": []} for i in range(6)]
    data = {**report, "ops": ops, "model_inputs": [], "model_outputs": [], "dearest": [], "islands": []}
    page = browser.Page(chromium, with_data(folder, "circle.html", data))
    names = page.run("(() => { openSome(1); rebuild(); return graph.boxes.map(box => box.title); })()")
    assert len(names) == 6, names
    assert check_geometry(page) == 6 and page.run("graph.edges.every(edge => graph.boxes.find(box => box.id === edge.from).y < graph.boxes.find(box => box.id === edge.to[0]).y)")
    assert not page.complaints
    page.close()


@pytest.mark.parametrize("seed", range(4))
def test_random_graphs(folder, report, chromium, seed):
    """Boxes of many widths, long edges, modules in and beside each other, in any order: closed and open no edge runs through a box."""
    draw, ops = random.Random(seed), []
    for i in range(90):
        path = "".join(f"/{draw.choice('abcd')}{'_wide' * draw.randrange(4)}" for _ in range(draw.randrange(3)))
        ops.append({**report["ops"][-1], "node": f"{path}/op{i}{'x' * draw.randrange(20)}", "inputs": sorted(draw.sample(range(max(0, i - draw.choice((3, 12, 90))), i), min(draw.choice((0, 1, 1, 2, 3)), i, 3))), "model_inputs": []})
    data = {**report, "ops": ops, "model_inputs": [], "model_outputs": [], "dearest": [], "islands": []}
    page = browser.Page(chromium, with_data(folder, f"random{seed}.html", data))
    page.run("ensureGraph()")
    check_geometry(page)
    page.run("openSome(400); rebuild()")
    assert check_geometry(page) >= 60
    assert not page.complaints
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_every_width(folder, report, chromium, width, scheme):
    """No console message, no overflow, nothing that axe-core objects to; the predicted time stays in sight."""
    page = browser.Page(chromium, folder / "r.html", width, scheme=scheme)
    page.run("ensureGraph(); document.getElementById('programs').open = true; showOperation(0)")
    assert page.overflow() <= 0
    page.run("document.getElementById('operations-grid').scrollLeft = 10000")
    seen = page.run("(() => { const cell = document.querySelector('#operations-grid tr[data-op] td').getBoundingClientRect(), grid = document.getElementById('operations-grid').getBoundingClientRect(); return cell.left >= grid.left - 1 && cell.right <= grid.right + 1; })()")
    assert seen and re.search(r"\d", rows(page)[0][0])
    page.run("document.getElementById('operations-grid').scrollTop = 400")
    assert page.run("(() => { const head = document.querySelector('#operations-grid th').getBoundingClientRect(), grid = document.getElementById('operations-grid').getBoundingClientRect(); return Math.abs(head.top - grid.top) < 3; })()")
    assert page.violations() == []
    assert not page.complaints
    page.close()


def large_model(path: pathlib.Path, layers: int) -> None:
    """Eight operations for each layer, fifty layers for each block."""
    nodes, x = [], "x"

    def add(op: str, inputs: list[str], name: str, **attributes: object) -> str:
        nodes.append(helper.make_node(op, inputs, [name + "_out"], name, **attributes))
        return name + "_out"

    for i in range(layers):
        at = f"/block{i // 50}/layer{i % 50}"
        conv = add("Conv", [x, "w"], at + "/conv/Conv")
        act = add("Tanh", [conv], at + "/act/Tanh")
        gate = add("Mul", [add("Softmax", [act], at + "/gate/Softmax", axis=1), conv], at + "/gate/Mul")
        pool = add("MaxPool", [add("Mul", [add("Sigmoid", [gate], at + "/act/Sigmoid"), act], at + "/act/Mul")], at + "/pool/MaxPool", kernel_shape=[3, 3], pads=[1, 1, 1, 1])
        x = add("Add", [pool, x], at + "/Add")
    weight = helper.make_tensor("w", TensorProto.FLOAT, [8, 8, 1, 1], [0.01 * i for i in range(64)])
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 8, 8, 8])], [helper.make_tensor_value_info(x, TensorProto.FLOAT, None)], [weight])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


def test_twenty_thousand_operations(tmp_path, chromium):
    large_model(tmp_path / "m.onnx", 2500)
    subprocess.run([ane_mlir.find_tool("onnx-to-ane"), tmp_path / "m.onnx", "-o", tmp_path / "m.anepkg", "--quiet", "--calibration=none", f"--report={tmp_path}/r.html"], check=True)
    size = (tmp_path / "r.html").stat().st_size
    assert size < 6_000_000
    loads = []
    for _ in range(3):
        page = browser.Page(chromium, tmp_path / "r.html")
        loads.append(page.run("performance.timing.loadEventEnd - performance.timing.navigationStart"))
        if len(loads) < 3:
            page.close()
    assert 0 < min(loads) <= LOAD_MS, loads
    assert page.run("ops.length") >= 20_000 and page.run("document.querySelectorAll('#operations-grid tbody tr').length") < 100
    timed = """words => words.map(word => { const box = document.getElementById("filter"), start = performance.now(); box.value = word; box.dispatchEvent(new Event("input")); document.getElementById("operations-grid").getBoundingClientRect(); return performance.now() - start; })"""
    words = ["softmax", "block7", "conv raw", "", "nothing like it"]
    filters = [min(times) for times in zip(*[page.run(timed, words) for _ in range(6)])]
    assert max(filters) <= FILTER_MS, filters
    assert page.run("document.getElementById('operations-count').textContent").startswith("0 of 20 0")
    # Large graphs start closed; the last row is reached by scrolling.
    page.run("ensureGraph()")
    assert check_geometry(page) <= 60
    page.page.fill("#filter", "")
    page.run("document.getElementById('operations-grid').scrollTop = 1e9")
    page.page.wait_for_function("document.querySelector(`#operations-grid tr[aria-rowindex='${ops.length + 1}']`)")
    assert not page.complaints
    print(f"20,000 operations: {size / 1e6:.1f} MB, load {min(loads):.0f} ms, filter {max(filters):.1f} ms")
    page.close()


def test_without_names_or_check(folder, report, chromium):
    """No module paths, nothing measured, nothing on the host: the page says so and shows the rest."""
    ops = [{key: value for key, value in op.items() if key not in ("error", "peak", "repair", "note")} | {"node": "", "placement": "ane", "rule": "", "reason": ""} for op in report["ops"]]
    data = {**report, "ops": ops, "rules": {}, "islands": [], "dearest": [], "passes": [], "accuracy": {"samples": [], "guessed": True, "not_measured": "--check=off"}}
    data["summary"] = {**report["summary"], "host_ops": 0, "engine_ops": len(ops)}
    data.pop("alternatives")
    page = browser.Page(chromium, with_data(folder, "bare.html", data))
    page.run("ensureGraph()")
    check_geometry(page)
    text = page.run("document.body.innerText")
    assert "All of it fits the engine" in text and "Accuracy was not measured: --check=off" in text and "None: nothing leaves the engine" in text
    assert "undefined" not in text and page.run("document.getElementById('rules').hidden && document.getElementById('passes').hidden")
    assert page.violations() == [] and not page.complaints
    page.close()


def test_digits_and_empty(folder, tmp_path, chromium):
    """A small model, and one in which nothing is computed."""
    subprocess.run([ane_mlir.find_tool("onnx-to-ane"), ROOT / "test" / "E2E" / "digits" / "digits.onnx", "--dim=batch=1", "-o", tmp_path / "d.anepkg", "--quiet", f"--report={tmp_path}/d.html"], check=True)
    shutil.copy(tmp_path / "d.html", folder / "d.html")
    page = browser.Page(chromium, tmp_path / "d.html")
    page.run("ensureGraph()")
    check_geometry(page)
    assert page.run("document.querySelector('h1').textContent") == "All of it fits the engine" and not page.complaints and page.overflow() <= 0
    page.close()
    data = json.loads((folder / "r.json").read_text())
    nothing = {**data, "ops": [], "programs": [], "dearest": [], "islands": [], "model_outputs": [], "summary": {**data["summary"], "engine_ops": 0, "host_ops": 0, "predicted_engine_us": 0, "predicted_host_us": 0}}
    page = browser.Page(chromium, with_data(folder, "empty.html", nothing))
    assert page.run("document.querySelector('h1').textContent") == "Nothing is computed" and not page.complaints
    page.close()


def test_pictures_of_the_readme(tmp_path):
    """They are made by a script that works, and the README shows what it makes."""
    if browser.PROGRAM is None:
        pytest.skip("no Chromium on this machine")
    pytest.importorskip("playwright.sync_api")
    subprocess.run([sys.executable, ROOT / "test" / "E2E" / "screenshots.py", tmp_path], check=True)
    readme = (ROOT / "README.md").read_text()
    for name, (width, height, *_) in screenshots.PICTURES.items():
        with Image.open(tmp_path / name) as image:
            assert image.size == (width, height) and len(image.convert("RGB").getcolors(1 << 24) or []) > 50
        assert (ROOT / ".github" / name).exists() and f".github/{name}" in readme
