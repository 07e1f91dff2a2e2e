"""Vectors of length 1: what every stage but `"unit": false` means by a vector."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

SLACK = 1e-3


def unit(vectors: NDArray[Any]) -> NDArray[np.float32]:
    """Bring rows (n, d) to length 1, in float64; returns float32. A row of zeros stays.

    A vector that somebody else made counts as unit where its length is within `SLACK` of 1.

    >>> unit(np.float32([[3, 4], [0, 0]])).round(4).tolist()
    [[0.6, 0.8], [0.0, 0.0]]
    """
    wide = vectors.astype(np.float64)
    lengths = np.linalg.norm(wide, axis=1, keepdims=True)
    np.divide(wide, lengths, out=wide, where=lengths > 0)
    return wide.astype(np.float32)
