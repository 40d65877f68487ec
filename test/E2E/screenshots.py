"""Pictures of the report for the README, of a model that is built here.

Usage: screenshots.py FOLDER (.github for those of the README)
"""

from __future__ import annotations

import pathlib
import subprocess
import sys
import tempfile

import ane_mlir
import browser
import builders as models

#: Name: (width, height, colour scheme, what is looked at).
PICTURES = {
    "report-light.png": (1280, 1030, "light", "scrollTo(0, 0)"),
    "report-dark.png": (1280, 1030, "dark", "scrollTo(0, 0)"),
    "report-graph.png": (1280, 820, "light", "graph.open.add(tree.children.find(child => child.name === 'h0').id); rebuild(); document.getElementById('graph').scrollIntoView()"),
}


def take(folder: pathlib.Path) -> list[pathlib.Path]:
    taken = []
    with tempfile.TemporaryDirectory() as scratch, browser.chromium() as chromium:
        at = pathlib.Path(scratch)
        models.build_gpt2(at / "gpt2.onnx", layers=6, width=256, heads=4, vocabulary=4000, sequence=64, external=False)
        subprocess.run([ane_mlir.find_tool("onnx-to-ane"), at / "gpt2.onnx", "-o", at / "gpt2.anepkg", "--quiet", f"--report={at}/gpt2.html"], check=True)
        for name, (width, height, scheme, script) in PICTURES.items():
            page = browser.Page(chromium, at / "gpt2.html", width, height, scheme)
            page.run(f"ensureGraph(); {script}")
            page.page.wait_for_timeout(200)  # the page paints in its own time
            page.page.screenshot(path=folder / name)
            assert not page.complaints, page.complaints
            page.close()
            taken.append(folder / name)
    return taken


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    for picture in take(pathlib.Path(sys.argv[1])):
        print(picture)
