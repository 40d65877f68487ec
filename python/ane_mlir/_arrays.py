"""NumPy arrays as the interpreter takes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Feeds"]

Feeds = Mapping[str, ArrayLike]


def prepared(name: str, value: ArrayLike) -> NDArray[Any]:
    """Row-major, little-endian, of a dtype that NumPy itself has; the array itself where it is so."""
    array = np.asarray(value)
    if array.dtype.isbuiltin == 2:  # those of ml_dtypes (bfloat16, float8, int4), which fp32 holds exactly
        array = array.astype(np.float32)
    if array.dtype.kind not in "fiub":
        what = {"U": "strings", "S": "strings", "T": "strings", "O": "objects", "c": "complex numbers", "M": "times", "m": "times"}.get(array.dtype.kind, str(array.dtype))
        raise ValueError(f"input '{name}' holds {what}, which no model takes; expects numbers")
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("<"))
    # ascontiguousarray would make a rank-0 array rank 1.
    return np.asarray(array, order="C")
