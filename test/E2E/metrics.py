"""Metrics that other processes import (test_evaluate.py)."""

from __future__ import annotations

import numpy as np


def is_right(outputs: dict[str, np.ndarray], label: int) -> float:
    return float(np.argmax(outputs["logits"]) == label)


def total(outputs: dict[str, np.ndarray], _: object) -> float:
    return float(outputs["logits"].sum())
