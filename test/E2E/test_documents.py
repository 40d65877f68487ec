"""What the sources and the README point to is there: sections of engine.md, mil.md and their chapters, files, rules."""

from __future__ import annotations

import pathlib
import re
import subprocess

import pytest
from conftest import ROOT

import ane_mlir

ENTRIES = [ROOT / "dialects" / "ANE" / "engine.md", ROOT / "dialects" / "MIL" / "mil.md"]
#: By the name under which they are cited: engine.md, engine/cost.md, …
DOCUMENTS = {path.relative_to(entry.parent).as_posix(): path for entry in ENTRIES for path in (entry, *sorted(entry.with_suffix("").glob("*.md")))}
FOLDERS = ("lib", "include", "tools", "test", "dialects", "python")
SUFFIXES = {".cpp", ".h", ".m", ".td", ".py", ".md", ".mlir", ".test", ".fbs", ".toml", ".txt", ".cmake"}


def sources() -> list[pathlib.Path]:
    return [p for folder in FOLDERS for p in sorted((ROOT / folder).rglob("*")) if p.suffix in SUFFIXES and "__pycache__" not in p.parts] + [ROOT / "README.md"]


def headings(document: pathlib.Path) -> list[str]:
    return re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```", "", document.read_text(), flags=re.S | re.M), re.M)


def sections(document: pathlib.Path) -> set[str]:
    """Numbers of headings, and of rows that are cited by theirs."""
    return {m[1] for head in headings(document) if (m := re.match(r"(\d+(?:\.\d+)*)", head))} | set(re.findall(r"^\| (\d+\.\d+) \|", document.read_text(), re.M))


def anchors(document: pathlib.Path) -> set[str]:
    """What a page makes of its headings."""
    return {re.sub(r"[^\w\- ]", "", head.lower()).strip().replace(" ", "-") for head in headings(document)}


CITED = re.compile(r"\b((?:engine|mil)(?:/[\w-]+)?\.md)((?:(?:,? (?:and )?§|,? section | )\d+(?:\.\d+)*(?:[-–]§?\d+(?:\.\d+)*)?)+)")


def lost_sections(text: str) -> tuple[int, list[str]]:
    """How many sections are cited, and those that are not where they are said to be."""
    found, lost = 0, []
    for name, cited in CITED.findall(re.sub(r"\n\s*(//+|#|\*)?\s*", " ", text)):
        for section in re.findall(r"\d+(?:\.\d+)*", cited):
            found += 1
            if name not in DOCUMENTS or section not in sections(DOCUMENTS[name]):
                lost.append(f"{name} §{section}")
    return found, lost


def test_references_lead_somewhere():
    """engine/legality.md §4.3: also where a comment breaks the line between the two, and in lists (§1, §6)."""
    count, lost = 0, []
    for path in sources():
        if path != pathlib.Path(__file__):
            found, missing = lost_sections(path.read_text(errors="replace"))
            count += found
            lost += [f"{path.relative_to(ROOT)}: {what}" for what in missing]
    assert count > 100 and not lost, "\n".join(lost)


def test_lost_references_are_seen():
    good = "engine/cost.md §5.9, engine.md §0.3; mil/types.md\n/// §2.1 and §2.3, see engine/runtime.md, section 3.1 (engine/runtime.md 3.6, engine/rewrites.md §6.4b)"
    assert lost_sections(good) == (7, [])
    assert lost_sections("engine.md §5.9, engine/cost.md §4.1, engine/nothing.md §1, mil/onnx.md\n// §8") == (4, ["engine.md §5.9", "engine/cost.md §4.1", "engine/nothing.md §1", "mil/onnx.md §8"])


def test_links_lead_somewhere():
    """Relative links of every document, and the sections of documents that they name."""
    lost, found = [], 0
    documents = [ROOT / "README.md", *(ROOT / ".github").glob("*.md"), *(path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.md")))]
    for path in documents:
        for target, fragment in re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]+))?\)", re.sub(r"^```.*?^```", "", path.read_text(), flags=re.S | re.M)):
            if "://" in target or not target and not fragment:
                continue
            found += 1
            other = path.parent / target if target else path
            if not other.exists() or fragment and fragment not in anchors(other):
                lost.append(f"{path.relative_to(ROOT)}: {target}#{fragment}")
    assert found > 100 and not lost, "\n".join(lost)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_contents(entry):
    """Of a document in chapters: each section is linked, no number is there twice, every chapter leads back."""
    text, numbers = entry.read_text(), []
    for path in sorted(entry.with_suffix("").glob("*.md")):
        place = path.relative_to(entry.parent).as_posix()
        assert f"]({place}" in text and f"](../{entry.name})" in path.read_text(), path
        for head in headings(path):
            if number := re.match(r"(\d+(?:\.\d+)*)", head):
                numbers.append(number[1])
                assert re.search(rf"\[{re.escape(number[1])} [^]]*(?:\[[^]]*\][^]]*)?\]\({re.escape(place)}", text), (path, head)
    assert len(numbers) == len(set(numbers)) > 20


def test_two_clicks_from_the_readme():
    """README leads to engine.md, that to the table of rules and to that of sources, which have every identifier."""
    readme, entry = (ROOT / "README.md").read_text(), ENTRIES[0].read_text()
    assert "](dialects/ANE/engine.md)" in readme and "](engine/legality.md#" in entry and "](engine/operations.md" in entry
    rows = set(re.findall(r"^\| ([LS]\d+) \|", DOCUMENTS["engine/legality.md"].read_text(), re.M))
    # S9W and S9H are S9's; what has a section's number is there.
    assert {re.sub(r"(?<=\d)[A-Z]$", "", rule) for rule in rules()} - rows == {"1.11.1"}
    codes = re.findall(r'ANE_Source<"([^"]+)"', (ROOT / "dialects" / "ANE" / "Targets" / "Sources.td").read_text())
    assert len(codes) > 20 and all(re.search(rf"(^\| |; ){code}\b", entry, re.M) for code in codes)


def test_no_document_elsewhere():
    for path in sources():
        if path != pathlib.Path(__file__):
            assert not re.search(r"ane-target\.md|mil-spec\.md", path.read_text(errors="replace")), path


def rules() -> list[str]:
    text = (ROOT / "dialects" / "ANE" / "Targets" / "Rules.td").read_text() + (ROOT / "dialects" / "ANE" / "Targets" / "Generations.td").read_text()
    return sorted(set(re.findall(r'ANE_(?:Rule|Limit)<"([^"]+)"', text)))


@pytest.mark.parametrize("tool", ["onnx-to-ane", "ane-opt"])
def test_every_rule_is_explained(tool):
    known = rules()
    assert len(known) > 70
    for rule in known if tool == "ane-opt" else known[::10]:
        said = subprocess.run([ane_mlir.find_tool(tool), f"--explain={rule}"], capture_output=True, text=True)
        assert said.returncode == 0 and said.stdout.startswith(f"{rule}: ") and "evidence: " in said.stdout, said
        found, lost = lost_sections(said.stdout)
        assert found and not lost, said.stdout
    unknown = subprocess.run([ane_mlir.find_tool(tool), "--explain=L98"], capture_output=True, text=True)
    assert unknown.returncode == 2 and "did you mean L" in unknown.stderr and "L05" in unknown.stderr
