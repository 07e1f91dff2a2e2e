"""Reductions of score matrices: the mean of the best, and soft means in the log domain."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]


def top_mean(scores: Array, k: int) -> Array:
    """Mean of the k largest of each row of (n, m); k is taken as m where it is larger. Returns (n,) float64.

    >>> top_mean(np.float64([[1, 5, 3]]), 2).tolist()
    [4.0]
    """
    m = scores.shape[1]
    best = scores if k >= m else np.partition(scores, m - k, axis=1)[:, m - k :]
    found: Array = np.sort(best, axis=1).mean(axis=1, dtype=np.float64)
    return found


def log_mean_exp(scores: Array, beta: float) -> Array:
    """log(mean(exp(beta * scores))) of each row of (n, m), without overflow. Returns (n,) float64.

    beta  an inverse temperature above 0

    >>> float(log_mean_exp(np.float64([[900, 900]]), 2.0)[0])
    1800.0
    """
    most = scores.max(axis=1, keepdims=True)
    total = np.exp(beta * (scores - most)).mean(axis=1, dtype=np.float64)
    found: Array = beta * most[:, 0].astype(np.float64) + np.log(total)
    return found
