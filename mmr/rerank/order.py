"""The new order of hits, and scores that say the same."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats32 = NDArray[np.float32]


def in_order(ids: Sequence[str], scores: NDArray[np.floating[Any]], held: Collection[int] = ()) -> list[int]:
    """Places in the order of (score as float32 descending, id descending by bytes).

    held  places that stay where they are: the others go round them, and their scores are not looked at
    """
    exact = np.asarray(scores, np.float32).tolist()
    free = [place for place in range(len(ids)) if place not in held]
    free.sort(key=lambda place: (exact[place], ids[place]), reverse=True)
    if not held:
        return free
    moving = iter(free)
    return [place if place in held else next(moving) for place in range(len(ids))]


def falling(ids: Sequence[str], scores: NDArray[np.floating[Any]]) -> Floats32:
    """Scores (n,) as float32, lowered where they must be, so that the one order of hits is the given one.

    NaN takes the score before it.

    >>> falling(["b", "a", "c"], np.float64([3, 3, 4])).tolist()
    [3.0, 3.0, 2.999999761581421]
    """
    found = np.asarray(scores, np.float32).copy()
    below = np.float32(-np.inf)
    for place in range(len(found)):
        score = found[place]
        if not place:
            found[0] = _first(found) if np.isnan(score) else score
            continue
        before = found[place - 1]
        if not score < before:
            tie = ids[place] <= ids[place - 1]
            found[place] = before if tie else np.nextafter(before, below)
    return found


def _first(scores: Floats32) -> np.float32:
    """The best of the scores that are numbers; 0 where none is."""
    good = scores[~np.isnan(scores)]
    return good.max() if len(good) else np.float32(0)


def below(scores: NDArray[np.floating[Any]], lowest: float) -> NDArray[np.float64]:
    """Scores (n,) of hits that follow, best first, moved down together until they are under `lowest`."""
    found = np.asarray(scores, np.float64)
    if not len(found) or found[0] < lowest:
        return found
    step = max(abs(lowest), 1.0) * 1e-6
    moved: NDArray[np.float64] = found - (found[0] - lowest + step)
    return moved
