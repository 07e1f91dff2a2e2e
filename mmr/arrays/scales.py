"""Scales of scores, before runs of several systems are added up. Each keeps the order of a list."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]
Scale = Callable[[Array, Array], Array]
"""(scores (n,) of one list, best first; the scores that give its figures, at least one) -> (n,) float64."""


def minmax(scores: Array, over: Array) -> Array:
    """(s - least) / (most - least); 1 where all are equal."""
    least, most = over.min(), over.max()
    found: Array = (scores - least) / (most - least) if most > least else np.ones(len(scores))
    return found


def of_most(scores: Array, over: Array) -> Array:
    """s / most. Raises `ValueError` unless the most is above 0: dividing would turn the order round."""
    most = over.max()
    if not most > 0:
        raise ValueError(f"the highest score is {most:g}, and the scale needs one above 0")
    found: Array = scores / most
    return found


def of_sum(scores: Array, over: Array) -> Array:
    """(s - least) / sum of (s - least); 1 / n where all are equal."""
    least = over.min()
    total = (over - least).sum()
    return (scores - least) / total if total > 0 else np.full(len(scores), 1 / len(over))


def z(scores: Array, over: Array) -> Array:
    """(s - mean) / sd, population sd; 0 where all are equal."""
    sd = over.std()
    return (scores - over.mean()) / sd if over.max() > over.min() else np.zeros(len(scores))


def cosine(scores: Array, over: Array) -> Array:
    """(s + 1) / 2. Raises `ValueError` for a score that is no cosine."""
    worst = scores[np.abs(scores).argmax()]
    if abs(worst) > 1 + 1e-3:
        raise ValueError(f"the score {worst:g} is no cosine")
    return (np.clip(scores, -1, 1) + 1) / 2


def rank(scores: Array, over: Array) -> Array:
    """1 - (r - 1) / n at place r of n."""
    return 1 - np.arange(len(scores)) / len(scores)


def isr(scores: Array, over: Array) -> Array:
    """1 / r² at place r (Mourão et al. 2014; several lists are added, times their number, by fusion)."""
    return 1 / np.arange(1.0, len(scores) + 1) ** 2


def borda(scores: Array, over: Array) -> Array:
    """n - r + 1 at place r of n."""
    return np.arange(float(len(scores)), 0, -1)


SCALES: dict[str, Scale] = {
    "minmax": minmax, "max": of_most, "sum": of_sum, "z": z, "cosine": cosine, "rank": rank, "isr": isr,
    "borda": borda,
}  # fmt: skip
"""Every scale by the name that users write."""
OF_THE_LIST = frozenset({"minmax", "max", "sum", "z"})
"""Scales whose figures may be taken over all lists instead of one; the others look at one list alone."""
