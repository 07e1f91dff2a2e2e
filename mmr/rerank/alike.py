"""How near hits are to each other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mmr.rerank.method import Floats

DIGITS = 12  # arithmetic in float64 differs by 1e-15 with the threads that it is done in


def products(vectors: Floats) -> NDArray[np.float64]:
    """Inner products (m, m) of rows (m, d), in float64, rounded to twelve digits.

    So two rows that are the same are equally near to every other, whatever BLAS does, and the lower place
    goes first.
    """
    wide = np.asarray(vectors, np.float64)
    return np.round(wide @ wide.T, DIGITS)
