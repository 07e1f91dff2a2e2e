"""Maximal marginal relevance (Carbonell and Goldstein 1998)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mmr.arrays.scales import minmax
from mmr.rerank.alike import products
from mmr.rerank.method import Answer, Floats, Given, Method
from mmr.rerank.order import falling

Wide = NDArray[np.float64]


def picked(relevance: Floats, alike: Floats, share: float = 0.7) -> tuple[list[int], Wide, list[int]]:
    """Pick hits one by one: the most of share * relevance - (1 - share) * likeness to what was picked.

    relevance  (m,), alike (m, m), on one scale; the first pick is like nothing (0)
    returns    places in the order of picks, the value (m,) of each pick in that order, and of each pick the
               place of the earlier one that it is most like (-1 of the first). Ties: the first in the list
    """
    m = len(relevance)
    left = share * np.asarray(relevance, np.float64)
    nearest, which = np.zeros(m), np.full(m, -1)
    order: list[int] = []
    values: list[float] = []
    like: list[int] = []
    free = np.ones(m, np.bool_)
    for _ in range(m):
        value = np.where(free, left - (1 - share) * nearest, -np.inf)
        best = int(value.argmax())
        order.append(best)
        values.append(float(value[best]))
        like.append(int(which[best]))
        free[best] = False
        closer = alike[best] > nearest if len(order) > 1 else np.ones(m, np.bool_)
        nearest[closer], which[closer] = alike[best][closer], best
    return order, np.array(values), like


class Diversify(Method):
    """The row `diversify`."""

    def rerank(self, given: Given) -> Answer:
        """Order the hits so that each is relevant and unlike those before it.

        The hit in place r takes the r-th best score of the list, so that scores fall with the rank; the value
        by which it was picked is in `mmr`.
        """
        assert given.vectors is not None
        share = self.params["lambda"]
        if share == 1 or not len(given.hits):
            return Answer(given.scores)
        alike = products(given.vectors)
        order, values, like = picked(minmax(given.scores, given.scores), alike, share)
        ids = [given.hits[place]["id"] for place in order]
        scores, worth = np.empty(len(order)), np.empty(len(order))
        scores[order] = falling(ids, np.sort(given.scores)[::-1])
        worth[order] = values
        why = [""] * len(order)
        for place, near in zip(order, like, strict=True):
            if near >= 0:
                name = given.hits[near]["id"]
                why[place] = f"of those before it most like {name} ({alike[place, near]:.4f})"
            else:
                why[place] = "the most relevant"
        mmr = worth.astype(np.float32).tolist()
        return Answer(scores, fields={"mmr": mmr}, why=why if given.explain else None)
