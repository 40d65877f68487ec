"""The reference as a site: made without a warning, complete, its links lead somewhere, it is searched without a network."""

from __future__ import annotations

import fcntl
import html.parser
import json
import pathlib
import re
import subprocess
import sys
import urllib.parse

import jsonschema
import pytest
from conftest import ROOT
from test_documents import rules

import ane_mlir
import browser
import builders as models

BUILD = pathlib.Path(ane_mlir.find_tool("onnx-to-ane")).resolve().parents[1]


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> pathlib.Path:
    pytest.importorskip("sphinx")
    output = tmp_path_factory.mktemp("site")
    # One of several processes at a time: it writes into the build folder.
    with (BUILD / "site.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (BUILD / "docs" / "marks.md").exists():
            subprocess.run(["cmake", "--build", BUILD, "--target", "ane-mlir-doc"], check=True, capture_output=True)
        # Warnings are errors.
        subprocess.run([sys.executable, ROOT / "tools" / "site" / "build_site.py", BUILD, output], check=True)
    return output


class Links(html.parser.HTMLParser):
    """What a page points to, and what can be pointed to in it."""

    def __init__(self, path: pathlib.Path) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.names: set[str] = set()
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        for key, value in attributes:
            if key in ("id", "name") and value:
                self.names.add(value)
            elif key in ("href", "src", "srcset") and value:
                self.targets.append(value)


def test_links_lead_somewhere(site):
    """Files and anchors; nothing is loaded from elsewhere."""
    pages = {path: Links(path) for path in site.glob("*.html")}
    assert len(pages) >= 31
    lost, inside = [], 0
    for path, page in pages.items():
        for target in page.targets:
            place, _, fragment = target.partition("#")
            if re.match(r"[a-z]+:", place):
                continue
            other = (path.parent / urllib.parse.unquote(place.partition("?")[0])).resolve() if place else path
            inside += 1
            if not other.is_file() or (fragment and other in pages and urllib.parse.unquote(fragment) not in pages[other].names):
                lost.append(f"{path.name}: {target}")
    assert inside > 1000 and not lost, "\n".join(sorted(set(lost))[:40])
    for path in pages:
        assert not re.search(r'(<script[^>]+src|<link[^>]+rel="stylesheet"[^>]+href|<img[^>]+src)="https?:', path.read_text()), path


def test_everything_is_there(site):
    """Each rule, operation, pass, target and option has a place of its own."""
    names = {path.stem: Links(path).names for path in site.glob("*.html")}
    # Chapters are pages below that of their document.
    for document, others in (("engine", {"cost", "legality", "mil-text", "open-questions", "operations", "rewrites", "runtime", "weights"}), ("mil", {"coremltools", "numerics", "onnx", "operations", "package", "types"})):
        assert others == {name.removeprefix(document + "-") for name in names if name.startswith(document + "-")} - {"dialect"}
        beside = (site / f"{document}.html").read_text()
        assert all(f'class="toctree-l2"><a class="reference internal" href="{document}-{other}.html"' in beside for other in others), document
    # What --explain names is a link to the section.
    told = (site / "rules.html").read_text()
    assert 'href="engine-legality.html#structural-limits' in told or 'href="engine-legality.html#41-structural-limits"' in told
    assert {"rule-" + rule.lower().replace(".", "-") for rule in rules()} <= names["rules"]
    assert len([name for name in names["rules"] if name.startswith("source-")]) > 20
    told = {path.stem: re.sub(r"<[^>]+>", "", path.read_text()) for path in site.glob("*.html")}
    ops = set(re.findall(r"^\| `(ane\.\w+)`", (BUILD / "docs" / "op-coverage.md").read_text(), re.M))
    assert len(ops) > 150 and all(op in told["ops"] and op in told["op-coverage"] for op in ops)
    marks = set(re.findall(r"^\| `(ane\.\w+)`", (BUILD / "docs" / "marks.md").read_text(), re.M))
    assert len(marks) > 30 and all(mark in told["marks"] for mark in marks)
    passes = set(re.findall(r"^### `-([\w-]+)`", "".join((BUILD / "docs" / name).read_text() for name in ("passes.md", "conversions.md", "training.md")), re.M))
    assert len(passes) > 25 and all(name in told["passes"] for name in passes)
    assert all(target in told["targets"] for target in ("h13", "h18", "a19"))
    for tool in ("onnx-to-ane", "ane-run", "ane-check", "ane-generate"):
        shown = subprocess.run([ane_mlir.find_tool(tool), "--help"], capture_output=True, text=True, check=True).stdout
        options = set(re.findall(r"^  (--[a-z][\w-]+)", shown, re.M)) - {"--help", "--help-list", "--version"}
        assert options and all(option in told["options"] for option in options), options


def test_manifests_follow_the_schema(site, tmp_path):
    """Of one program, of several functions with states, and of a training bundle; what is not so is refused."""
    described = json.loads((site / "manifest.schema.json").read_text())
    checker = jsonschema.Draft201909Validator(described)
    digits = ROOT / "test" / "E2E" / "digits" / "digits.onnx"
    models.build_gpt2(tmp_path / "m.onnx", layers=1, width=64, heads=2, vocabulary=100, sequence=16, external=False)
    bundles = {"digits": [digits, "--dim=batch=1"], "several": [digits, "--dim=batch=1,2"], "gpt2": [tmp_path / "m.onnx"], "train": [digits, "--dim=batch=8", "--train", "--loss=cross-entropy"]}
    for name, arguments in bundles.items():
        subprocess.run([ane_mlir.find_tool("onnx-to-ane"), *arguments, "-o", tmp_path / f"{name}.anepkg", "--quiet"], check=True, capture_output=True)
        manifest = json.loads((tmp_path / f"{name}.anepkg" / "manifest.json").read_text())
        assert [error.message for error in checker.iter_errors(manifest)] == [], name
        assert ("functions" in manifest) == (name == "several") and ("training" in manifest) == (name == "train")
        # What is kept apart from it would be seen.
        assert list(checker.iter_errors({**manifest, "tensors": [{"name": 3}]})) and list(checker.iter_errors({**manifest, "more": 1}))


@pytest.mark.parametrize("width", [390, 1280])
def test_in_the_browser(site, width):
    """Wide tables scroll in themselves; the search finds rules, options and operations out of files."""
    with browser.chromium() as chromium:
        for name in ("index", "readme", "rules", "options", "ops", "targets", "manifest", "engine", "engine-legality", "engine-mil-text", "mil", "mil-operations"):
            page = browser.Page(chromium, site / f"{name}.html", width)
            assert page.overflow() <= 0 and not page.complaints, (name, page.complaints)
            page.close()
        for words, where in (("space_to_batch", "ops"), ("max-constant-bytes", "options"), ("row_stride", "manifest")):
            page = browser.Page(chromium, site / "index.html", width)
            if width < 1000:
                page.page.click("label[for=__navigation] >> visible=true")
            page.page.fill("input[name=q] >> visible=true", words)
            page.page.keyboard.press("Enter")
            # They come one after another.
            page.page.wait_for_selector(f'ul.search li a[href^="{where}.html"]')
            assert not page.complaints, page.complaints
            page.close()
