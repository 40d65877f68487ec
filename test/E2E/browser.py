"""Pages in the machine's own Chromium, driven by Playwright, judged by axe-core."""

from __future__ import annotations

import contextlib
import pathlib
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@contextlib.contextmanager
def chromium() -> Iterator[Any]:
    """A browser; skips the test where there is none."""
    if PROGRAM is None:
        pytest.skip("no Chromium on this machine")
    api = pytest.importorskip("playwright.sync_api")
    with api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=PROGRAM, args=["--no-sandbox", "--disable-gpu"])
        yield running
        running.close()


class Page:
    """A page of a file, and all that it complained about; requests of anything but files are complaints."""

    def __init__(self, browser: Any, path: pathlib.Path, width: int = 1280, height: int = 900, scheme: str = "light") -> None:
        self.complaints: list[str] = []
        self.page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion="reduce", accept_downloads=True)
        self.page.on("console", lambda message: self.complaints.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        self.page.on("request", lambda request: request.url.startswith(("file:", "data:", "blob:")) or self.complaints.append(f"request: {request.url}"))
        self.page.goto(path.as_uri())

    def run(self, script: str, argument: object = None) -> Any:
        return self.page.evaluate(script, argument)

    def overflow(self) -> int:
        """Pixels that the page is wider than the window."""
        return int(self.run("document.documentElement.scrollWidth - document.documentElement.clientWidth"))

    def violations(self) -> list[str]:
        """What axe-core finds."""
        axe = pytest.importorskip("axe_playwright_python.sync_playwright")
        found = axe.Axe().run(self.page).response["violations"]
        return [f"{v['id']}: {v['help']}: {[node['html'][:200] for node in v['nodes'][:3]]}" for v in found]

    def close(self) -> None:
        self.page.close()
