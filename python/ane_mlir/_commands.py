"""The commands that the package installs: the compiler's own tools, in the process of Python, which ends with them."""

from __future__ import annotations

import os
import signal
import sys
from typing import NoReturn

from . import _core


def _run(name: str) -> NoReturn:
    # Ctrl-C is the tool's, which leaves nothing behind.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    # And so is a reader that goes away.
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    os._exit(_core.run_tool(name, sys.argv[1:]))


def onnx_to_ane() -> NoReturn:
    _run("onnx-to-ane")


def ane_check() -> NoReturn:
    _run("ane-check")


def ane_diff() -> NoReturn:
    _run("ane-diff")


def ane_generate() -> NoReturn:
    _run("ane-generate")


def ane_info() -> NoReturn:
    _run("ane-info")


def ane_run() -> NoReturn:
    _run("ane-run")


def mil_verify() -> NoReturn:
    _run("mil-verify")
