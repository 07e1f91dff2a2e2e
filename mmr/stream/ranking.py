"""The order of many rankings at once: by score within each, and what stands where scores are equal."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mmr.stream.spans import Ints, Spans, order_keys

Floats = NDArray[np.float64] | NDArray[np.float32]


def order_by_score(score: Floats, group: Ints, items: Spans, ties: str) -> Ints | None:
    """The order of hits (n,) by score descending within their group; None where they stand in it already.

    group  (n,) ascending
    ties   "docid-desc" or "docid-asc" (by the UTF-8 bytes of the id), or "input" (as they come)
    """
    together = group[1:] == group[:-1]
    rising = (score[1:] > score[:-1]) & together
    order: Ints | None = None
    if rising.any():
        torn = np.zeros(int(group[-1]) + 1, np.bool_)
        torn[group[1:][rising]] = True
        places = np.flatnonzero(torn[group])
        order = np.arange(len(group))
        order[places] = places[np.lexsort((-score[places], group[places]))]
        score = score[order]
    same = (score[1:] == score[:-1]) & together
    if ties == "input" or not same.any():
        return order
    order = np.arange(len(group)) if order is None else order
    tied = np.append(same, False) | np.insert(same, 0, False)
    places = np.flatnonzero(tied)
    run = np.cumsum(~np.insert(same, 0, False))[places]
    keys = order_keys(items.take(order[places]))
    if ties != "docid-asc":
        keys = [~key for key in keys]
    order[places] = order[places][np.lexsort([*reversed(keys), run])]
    return order
