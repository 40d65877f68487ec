"""What was placed where, and why."""

from __future__ import annotations

import json
import os
from html import escape
from pathlib import Path
from typing import Any

__all__ = ["Report"]


class Report:
    """Of one compilation: `data` is the JSON of onnx-to-ane --report."""

    def __init__(self, data: str, html: str, text: str, trace: str) -> None:
        self._json = data
        self.data: dict[str, Any] = json.loads(data)
        #: One self-contained page.
        self.html = html
        #: The summary of the command line.
        self.text = text
        #: Predicted times in Chrome's trace format.
        self.trace = trace

    @property
    def target(self) -> str:
        return str(self.data["target"])

    @property
    def ops(self) -> list[dict[str, Any]]:
        """Operations in order: op, node, placement ("ane" or "host"), rule, reason, predicted_us, …"""
        return list(self.data["ops"])

    @property
    def host(self) -> list[dict[str, Any]]:
        """Operations that do not run on the engine."""
        return [op for op in self.ops if op["placement"] != "ane"]

    @property
    def engine_ops(self) -> int:
        return sum(op["placement"] == "ane" for op in self.ops)

    @property
    def host_ops(self) -> int:
        return len(self.host)

    @property
    def predicted_us(self) -> float:
        """Predicted microseconds of engine and host programs."""
        return float(sum(program["predicted_us"] for program in self.data["programs"]))

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Writes .json or .html; with the suffix .trace.json the trace."""
        place = Path(path)
        if place.name.endswith(".trace.json"):
            text = self.trace
        elif place.suffix in (".json", ".html"):
            text = self.html if place.suffix == ".html" else self._json
        else:
            raise ValueError(f"expects FILE.json, FILE.html or FILE.trace.json, but got '{place}'")
        place.write_text(text)
        return place

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"Report(target={self.target!r}, engine_ops={self.engine_ops}, host_ops={self.host_ops}, predicted_us={self.predicted_us:.1f})"

    def _repr_html_(self) -> str:
        rows = "".join(f"<tr><td>{escape(op['node'])}</td><td>{escape(op['op'])}</td><td>{escape(op['rule'])}</td><td>{escape(op['reason'])}</td></tr>" for op in self.host[:20])
        more = f"<p>… and {self.host_ops - 20} more</p>" if self.host_ops > 20 else ""
        table = f"<table><thead><tr><th>on the host</th><th>op</th><th>rule</th><th>why</th></tr></thead><tbody>{rows}</tbody></table>{more}" if rows else ""
        return f"<p>target {escape(self.target)}: {self.engine_ops} ops on the engine, {self.host_ops} on the host; predicted {self.predicted_us:.1f} µs</p>{table}"
