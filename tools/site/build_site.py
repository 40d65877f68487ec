"""Gathers what the build and the tools know of themselves into pages, and has Sphinx make a site of them.

Usage: build_site.py BUILD OUTPUT
"""

from __future__ import annotations

import json
import pathlib
import re
import shutil
import subprocess
import sys

import schema

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOLS = ["onnx-to-ane", "ane-check", "ane-run", "ane-generate", "ane-info", "mil-verify", "ane-diff"]
#: Those of developers, whose help is shown as it is; passes have a page of their own.
DEVELOPER_TOOLS = ["ane-probe", "ane-translate"]
#: Documents of the repository and the pages that they become.
DOCUMENTS = {
    "README.md": "readme.md",
    "dialects/ANE/engine.md": "engine.md",
    "dialects/MIL/mil.md": "mil.md",
    "dialects/ANE/README.md": "ane-dialect.md",
    "dialects/MIL/README.md": "mil-dialect.md",
    "dialects/ONNX/README.md": "onnx-dialect.md",
    "lib/Transforms/README.md": "transforms.md",
    "lib/Training/README.md": "training.md",
    "python/README.md": "python.md",
    "test/Runtime/StandIn/README.md": "stand-in.md",
    ".github/CONTRIBUTING.md": "contributing.md",
    ".github/CHANGELOG.md": "changes.md",
}
#: Chapters of a document, in the order in which it links them: pages below its own.
CHAPTERS = {
    document: list(dict.fromkeys(re.findall(r"\]\(((?:engine|mil)/[\w-]+\.md)", (ROOT / document).read_text())))
    for document in ("dialects/ANE/engine.md", "dialects/MIL/mil.md")
}
DOCUMENTS |= {f"{pathlib.PurePosixPath(document).parent}/{name}": name.replace("/", "-") for document, names in CHAPTERS.items() for name in names}

TITLES = {
    "readme.md": "What it does, and how to use it",
    "python.md": "The Python package",
    "engine.md": "The engine",
    "mil.md": "MIL and Core ML",
    "ane-dialect.md": "The ane dialect",
    "mil-dialect.md": "The mil dialect",
    "onnx-dialect.md": "The onnx dialect",
    "transforms.md": "Looking at passes",
    "training.md": "Training",
    "stand-in.md": "The runtime's stand-in",
}


def anchor(heading: str) -> str:
    """What Sphinx calls a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


def rule_anchor(name: str) -> str:
    return "rule-" + re.sub(r"\W", "-", name.lower())


class Site:
    def __init__(self, build: pathlib.Path) -> None:
        self.build = build
        self.source = build / "docs" / "source"
        shutil.rmtree(self.source, ignore_errors=True)
        for folder in ("", "static", "extra/pictures", "pictures"):
            (self.source / folder).mkdir(parents=True, exist_ok=True)

    def write(self, name: str, text: str) -> None:
        (self.source / name).write_text(text)

    def run(self, tool: str, *arguments: str) -> str:
        return subprocess.run([self.build / "bin" / tool, *arguments], capture_output=True, text=True, check=True).stdout

    # Documents ------------------------------------------------------------------------------------------------------------------

    def picture(self, path: pathlib.Path) -> str:
        for folder in ("pictures", "extra/pictures"):  # one for Sphinx, one for HTML in the text
            shutil.copy(path, self.source / folder / path.name)
        return "pictures/" + path.name

    def link(self, document: pathlib.Path, text: str, target: str) -> str:
        """A link of a document: to its page, to a picture, or, to what the site has not, the path in its place."""
        place, _, fragment = target.partition("#")
        if "://" in target or not place:
            return f"[{text}]({target})"
        path = (document.parent / place).resolve()
        name = path.relative_to(ROOT).as_posix()
        if name in DOCUMENTS:
            return f"[{text}]({DOCUMENTS[name]}{'#' + fragment if fragment else ''})"
        return f"{text} (`{name}`)" if name not in text else text

    def document(self, name: str) -> None:
        path = ROOT / name
        # Code is left alone.
        parts = re.split(r"(^```.*?^```|`[^`\n]+`)", path.read_text(), flags=re.S | re.M)
        for i in range(0, len(parts), 2):
            text = re.sub(r"!\[([^]]*)\]\(([^)]+)\)", lambda m: f"![{m[1]}]({self.picture((path.parent / m[2]).resolve())})", parts[i])
            text = re.sub(r"((?:src|srcset|href)=\")([^\"]+\.(?:png|svg))\"", lambda m: f'{m[1]}{self.picture((path.parent / m[2]).resolve())}"', text)
            parts[i] = text
        text = "".join(parts)
        text = re.sub(r"(?<!!)\[((?:`[^`\n]*`|[^]\[`\n])+)\]\(([^)\s]+)\)", lambda m: m[0] if m[2].startswith("pictures/") else self.link(path, m[1], m[2]), text)
        text = self.link_sections(self.under_one_title(text))
        if name in CHAPTERS:
            text += "\n```{toctree}\n:hidden:\n:maxdepth: 1\n\n" + "\n".join(chapter.replace("/", "-").removesuffix(".md") for chapter in CHAPTERS[name]) + "\n```\n"
        self.write(DOCUMENTS[name], text)

    def under_one_title(self, text: str) -> str:
        """Sections of a document that has several at the highest level go below its first."""
        parts = re.split(r"(^```.*?^```)", text, flags=re.S | re.M)
        heads = [m for part in parts[::2] for m in re.findall(r"^# .*$", part, re.M)]
        if len(heads) < 2:
            return text
        parts[::2] = [re.sub(r"^#", "##", part, flags=re.M) for part in parts[::2]]
        return "".join(parts).replace("#" + heads[0], heads[0], 1)

    def link_sections(self, text: str) -> str:
        """engine/cost.md §5.9 leads to the section where that is a heading, to the page where it is a row of a table."""
        known = {}
        for document, chapters in CHAPTERS.items():
            for path in (ROOT / document, *((ROOT / document).parent / name for name in chapters)):
                heads = re.finditer(r"^#+ (\d+(?:\.\d+)*)\b.*$", path.read_text(), re.M)
                known[path.relative_to((ROOT / document).parent).as_posix()] = {m[1]: anchor(m[0].lstrip("# ")) for m in heads}

        def section(m: re.Match[str]) -> str:
            if m[1] not in known:
                return m[0]
            found = known[m[1]].get(m[2])
            return f"[{m[1]} §{m[2]}]({m[1].replace('/', '-')}{'#' + found if found else ''})"

        parts = re.split(r"(^```.*?^```|`[^`\n]+`|\[[^]\n]*\]\([^)\n]*\))", text, flags=re.S | re.M)
        parts[::2] = [re.sub(r"(?:\bdialects/(?:ANE|MIL)/|(?<!/)\b)((?:engine|mil)(?:/[\w-]+)?\.md)(?: §|, section )(\d+(?:\.\d+)*)", section, part) for part in parts[::2]]
        return "".join(parts)

    # Reference ------------------------------------------------------------------------------------------------------------------

    def generated(self, names: list[str], page: str, title: str) -> None:
        text = f"# {title}\n"
        for name in names:
            body = re.sub(r"^<!--.*?-->\n", "", (self.build / "docs" / name).read_text(), flags=re.S)
            body = body.replace("[TOC]\n", "")
            text += "\n" + re.sub(r"^# .*\n", "", body, count=1, flags=re.M)
        self.write(page, self.link_sections(self.link_rules(text)))

    def link_rules(self, text: str) -> str:
        """L05 leads to what is known of it."""
        parts = re.split(r"(^```.*?^```|`[^`\n]+`|^#.*$)", text, flags=re.S | re.M)
        parts[::2] = [re.sub(r"\b(L\d\d|S\d{1,2}[A-Z]?)\b", lambda m: f"[{m[1]}](#{rule_anchor(m[1])})" if m[1] in self.rules else m[0], part) for part in parts[::2]]
        return "".join(parts)

    def read_rules(self) -> None:
        failed = subprocess.run([self.build / "bin" / "ane-opt", "--explain=?"], capture_output=True, text=True)
        ids = re.search(r"rules and limits:(.*)", failed.stderr)[1].split()
        sources = re.search(r"sources:(.*)", failed.stderr)[1].split()
        self.rules = {name: self.run("ane-opt", f"--explain={name}") for name in ids}
        self.sources = {name: self.run("ane-opt", f"--explain={name}") for name in sources}

    def write_rules(self) -> None:
        def entry(name: str, said: str) -> str:
            head, *lines = said.rstrip().split("\n")
            text = f"\n({rule_anchor(name)})=\n## {head}\n"
            for line in lines:
                if found := re.match(r"  (seen|evidence|here|what to do|more): (.*)", line):
                    text += f"\n- *{found[1]}*: {found[2]}"
                elif found := re.match(r"  (\S+)\s+(.*)", line) if not line.startswith("    ") else None:
                    text += f"\n- `{found[1]}`: {found[2]}"
                elif found := re.match(r"    (\S+)\s+(.*)", line):
                    text += f"\n  - [{found[1]}](#source-{found[1].lower()}): {found[2]}" if found[1] in self.sources else f"\n  - {found[1]} {found[2]}"
            return text + "\n"

        text = "# Rules and limits\n\nWhat is known of the engine, each with its evidence: what `--explain=ID` prints. `S` are limits of sizes, `L` rules of legality.\n"
        text += "".join(entry(name, said) for name, said in self.rules.items())
        text += "\n## Sources\n\nGrades: A two or more independent measurements or shipped code, B one measurement with a check, C one report, D static tables or inference.\n"
        for name, said in self.sources.items():
            head, *lines = said.rstrip().split("\n")
            text += f"\n(source-{name.lower()})=\n### {name}\n\n{head.partition(': ')[2]}\n\n" + "".join(f"- {line.strip()}\n" for line in lines if "more:" not in line)
        self.write("rules.md", self.link_sections(text))

    def write_tools(self) -> None:
        """From the manual pages that the tools print."""
        plain = lambda text: re.sub(r"\\f[BIRP]", "", text).replace("\\-", "-").replace("\\e", "\\").replace("\\&", "")  # noqa: E731
        escape = lambda text: re.sub(r"([<>*_|\[\]])", r"\\\1", plain(text))  # noqa: E731
        text = "# Options of the tools\n\nEach tool prints the same with `--help`, and as a manual page with `--man`.\n"
        for tool in TOOLS:
            lines, code, i = self.run(tool, "--man").partition(".SH DESCRIPTION\n")[2].split("\n"), False, 0
            text += f"\n## {tool}\n"
            while i < len(lines):
                line = lines[i]
                if line == ".TP":
                    text += f"\n`{plain(lines[i + 1])}`\n: {escape(lines[i + 2])}\n"
                    i += 3
                    continue
                if line in (".nf", ".fi"):
                    text += "\n```\n" if line == ".nf" else "```\n"
                    code = line == ".nf"
                elif line.startswith(".SS "):
                    text += f"\n### {plain(line[4:])}\n"
                elif code:
                    text += plain(line) + "\n"
                elif not line.startswith("."):
                    text += escape(line) + "\n"
                elif line.startswith((".SH EXIT", ".SH SEE", ".SH ENV")):
                    text += f"\n### {plain(line[4:]).capitalize()}\n\n"
                i += 1
        for tool in DEVELOPER_TOOLS:
            text += f"\n## {tool}\n\n```\n{self.run(tool, '--help').strip()}\n```\n"
        self.write("options.md", text)

    def write_manifest(self) -> None:
        described = schema.make(ROOT / "lib" / "Target" / "Bundle" / "Manifest.fbs")
        (self.source / "extra" / "manifest.schema.json").write_text(json.dumps(described, indent=2) + "\n")
        shutil.copyfile(ROOT / "tools" / "ane-check" / "report.schema.json", self.source / "extra" / "ane-check.schema.json")
        text = "# Manifest of a bundle\n\nA bundle (`.anepkg`) is a folder with `manifest.fb` (FlatBuffers, `lib/Target/Bundle/Manifest.fbs`) and `manifest.json`, which says the same. "
        text += 'Fields are added, never removed or given another meaning.\n\n<a href="manifest.schema.json">manifest.schema.json</a> describes `manifest.json` (JSON Schema 2019-09), <a href="ane-check.schema.json">ane-check.schema.json</a> what `ane-check --format=json` writes.\n'
        for name, table in described["definitions"].items():
            text += f"\n## {name}\n\n{table.get('description', '')}\n\n| field | type | meaning |\n|---|---|---|\n"
            for field, kind in table["properties"].items():
                text += f"| `{field}` | {self.type_of(kind)} | {kind.get('description', '').replace('|', chr(92) + '|')} |\n"
        self.write("manifest.md", self.link_sections(text))

    def type_of(self, kind: dict) -> str:
        if "$ref" in kind:
            name = kind["$ref"].rpartition("/")[2]
            return f"[{name}](#{name.lower()})"
        if kind["type"] == "array":
            return "list of " + self.type_of(kind["items"])
        if kind["type"] == "object":
            return "by name: " + self.type_of(kind["additionalProperties"])
        return kind["type"]

    def write_index(self, coverage: list[str]) -> None:
        tree = lambda title, pages: f"\n```{{toctree}}\n:caption: {title}\n:maxdepth: 1\n\n" + "\n".join(f"{TITLES[page]} <{page.removesuffix('.md')}>" if page in TITLES else page.removesuffix(".md") for page in pages) + "\n```\n"  # noqa: E731
        text = "# ane-mlir\n\nA compiler from ONNX to what Apple's Neural Engine takes, with an interpreter that runs what it wrote. Nothing here was run on an engine: times are predicted, results match in the interpreter.\n"
        text += "\n- [What it does and how to use it](readme.md)\n- [Options of the tools](options.md)\n- [Operations](ops.md), [passes](passes.md), [targets](targets.md), [rules and sources](rules.md)\n- [Manifest of a bundle](manifest.md)\n"
        text += tree("Use", ["readme.md", "python.md", "options.md", "manifest.md", "changes.md"])
        text += tree("Reference", ["ops.md", "marks.md", "passes.md", "targets.md", "rules.md", *coverage])
        text += tree("Background", ["engine.md", "mil.md", "ane-dialect.md", "mil-dialect.md", "onnx-dialect.md", "transforms.md", "training.md", "stand-in.md", "contributing.md"])
        self.write("index.md", text)

    def gather(self) -> None:
        shutil.copy(ROOT / "tools" / "site" / "conf.py", self.source)
        shutil.copy(ROOT / "tools" / "site" / "site.css", self.source / "static")
        self.read_rules()
        for name in DOCUMENTS:
            self.document(name)
        self.generated(["ane.md"], "ops.md", "Operations of the ane dialect")
        self.generated(["passes.md", "conversions.md", "training.md"], "passes.md", "Passes")
        self.generated(["targets.md"], "targets.md", "Targets")
        self.generated(["marks.md"], "marks.md", "Marks")
        self.generated(["op-coverage.md"], "op-coverage.md", "Operations, MIL and ONNX")
        coverage = ["op-coverage.md"]
        # Written by the whole of tools/dev/test.
        if (self.build / "docs" / "onnx-coverage.md").exists():
            self.generated(["onnx-coverage.md"], "onnx-coverage.md", "ONNX coverage by opset")
            coverage.append("onnx-coverage.md")
        self.write_rules()
        self.write_tools()
        self.write_manifest()
        self.write_index(coverage)


def main() -> int:
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    build, output = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()
    site = Site(build)
    site.gather()
    shutil.rmtree(output, ignore_errors=True)
    # Warnings are errors: a link that leads nowhere is one.
    return subprocess.run([sys.executable, "-m", "sphinx", "-b", "html", "-q", "-W", "--keep-going", "-d", build / "docs" / "doctrees", site.source, output]).returncode


if __name__ == "__main__":
    sys.exit(main())
