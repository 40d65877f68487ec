"""What the compiler says, as data."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

__all__ = ["CompileError", "Diagnostic", "RunError"]


@dataclasses.dataclass(frozen=True)
class Diagnostic:
    """One thing that the compiler said of a model.

    severity is "error", "warning", "remark" or "note"; node the ONNX node (or MIL operation), "" for what is about the
    whole model; rule the identifier of the target's rule (`explain(rule)` tells more), or ""; remedy what the owner of
    the model can do, or "".
    """

    severity: str
    node: str
    rule: str
    message: str
    remedy: str

    def __str__(self) -> str:
        place = f"'{self.node}': " if self.node and f"'{self.node}'" not in self.message else ""
        return f"{self.severity}: {place}{self.message}"


class _Told(RuntimeError):
    def __init__(self, subject: str, diagnostics: Iterable[Diagnostic]) -> None:
        self.subject = subject
        self.diagnostics = sorted(diagnostics, key=lambda d: d.severity != "error")
        super().__init__("\n".join(f"{subject}: {d}" for d in self.diagnostics))

    def __reduce__(self) -> tuple[type, tuple[str, list[Diagnostic]]]:
        return type(self), (self.subject, self.diagnostics)  # workers of evaluate() send it


class CompileError(_Told):
    """The compiler refused the model; `diagnostics` says why, errors first."""


class RunError(_Told):
    """The interpreter could not run an artifact, or it could not be read; `diagnostics` says why."""


def diagnostics_of(messages: Iterable[tuple[str, str, str, str, str]]) -> list[Diagnostic]:
    return [Diagnostic(*message) for message in messages]


def usage_of(diagnostics: list[Diagnostic]) -> ValueError:
    """What was asked for cannot be: one message, as Python says such things."""
    return ValueError("; ".join(d.message for d in diagnostics))
