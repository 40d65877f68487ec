"""What the sources and the README point to is there: sections of engine.md and mil.md, files, rules."""

from __future__ import annotations

import pathlib
import re
import subprocess

import pytest
from conftest import ROOT

import ane_mlir

DOCUMENTS = {"engine.md": ROOT / "dialects" / "ANE" / "engine.md", "mil.md": ROOT / "dialects" / "MIL" / "mil.md"}
FOLDERS = ("lib", "include", "tools", "test", "dialects", "python")
SUFFIXES = {".cpp", ".h", ".td", ".py", ".md", ".mlir", ".test", ".fbs", ".toml", ".txt", ".cmake"}


def sources() -> list[pathlib.Path]:
    return [p for folder in FOLDERS for p in sorted((ROOT / folder).rglob("*")) if p.suffix in SUFFIXES and "__pycache__" not in p.parts] + [ROOT / "README.md"]


def sections(document: pathlib.Path) -> set[str]:
    return set(re.findall(r"^#+ (\d+(?:\.\d+)*)", document.read_text(), re.M)) | set(re.findall(r"^\| (\d+\.\d+) \|", document.read_text(), re.M))


def test_references_lead_somewhere():
    """engine.md §4.3: also where a comment breaks the line between the two, and in lists (§1, §6)."""
    known = {name: sections(path) for name, path in DOCUMENTS.items()}
    lost, found = [], 0
    for path in sources():
        text = re.sub(r"\n\s*(//+|#)?\s*", " ", path.read_text(errors="replace"))
        for name, list_ in re.findall(r"(engine\.md|mil\.md)((?:,? (?:and )?§\d+(?:\.\d+)*(?:[-–]§?\d+(?:\.\d+)*)?)+)", text):
            for section in re.findall(r"\d+(?:\.\d+)*", list_):
                found += 1
                if section not in known[name]:
                    lost.append(f"{path.relative_to(ROOT)}: {name} §{section}")
    assert found > 50 and not lost, "\n".join(lost)


def test_links_lead_somewhere():
    """Relative links of every document."""
    lost = []
    for path in [ROOT / "README.md", *sorted((ROOT / "dialects").rglob("*.md")), *sorted((ROOT / "python").rglob("*.md"))]:
        for target in re.findall(r"\]\(([^)#\s]+)", path.read_text()):
            if "://" not in target and not (path.parent / target).exists():
                lost.append(f"{path.relative_to(ROOT)}: {target}")
    assert not lost, "\n".join(lost)


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
    unknown = subprocess.run([ane_mlir.find_tool(tool), "--explain=L98"], capture_output=True, text=True)
    assert unknown.returncode == 2 and "did you mean L" in unknown.stderr and "L05" in unknown.stderr
