"""SuperGlobal reranking (Shao et al. 2023): hits pooled with their neighbours, and the query with them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmr.rerank.alike import DIGITS
from mmr.rerank.method import Answer, Floats, Given, Method

Ints = NDArray[np.int64]
SLACK = 16  # how many units in the last place products may be off


class Pooled(NamedTuple):
    """What the method finds: `scores` (m,), the mean of `first` (the query's own) and `second` (the
    expanded query's), and of each hit its `neighbours` (m, K + 1), itself among them."""

    scores: Floats
    first: Floats
    second: Floats
    neighbours: Ints


def superglobal(query: Floats, vectors: Floats, neighbours: int = 9, beta: float = 0.15) -> Pooled:
    """Score hits by their refined vectors, as the authors' code does.

    query    (d,), vectors (m, d) of length 1; cosines of float32 are computed in float32
    returns  scores (m,): half query . g_i, half expanded . g_i, where g_i is the mean of a hit (weight 1) and
             its `neighbours` nearest hits (weight beta * cosine, not below 0), and the expanded query the
             maximum, number by number, of the first neighbours + 1 refined hits

    The refined vectors are not brought to length 1. A hit counts as its own first neighbour, whatever
    duplicates it has; with fewer hits than neighbours all are used.
    """
    m = len(vectors)
    if not m:
        none = np.empty(0, vectors.dtype)
        return Pooled(none, none, none, np.empty((0, 0), np.int64))
    width = min(neighbours + 1, m)
    near = nearest(vectors, width)
    weights = np.vecdot(vectors.take(near, axis=0), vectors[:, None]).astype(np.float64)
    weights = beta * np.maximum(weights, 0)
    weights[near == np.arange(m)[:, None]] = 1
    weights /= weights.sum(axis=1, keepdims=True)
    wide = vectors.astype(np.float64, copy=False)
    first = np.einsum("mk,mk->m", weights, (wide @ query)[near])
    best = np.lexsort((np.arange(m), -first))[:width]
    refined = np.einsum("mk,mkd->md", weights[best], wide[near[best]])
    second = np.einsum("mk,mk->m", weights, (wide @ refined.max(axis=0))[near])
    return Pooled((first + second) / 2, first, second, near)


def nearest(vectors: Floats, width: int) -> Ints:
    """The places (m, width) of the nearest rows of each row of (m, d), itself among them, in no order.

    Rows that the arithmetic cannot tell apart from the last of them are compared in float64, and where they
    are equal there the lower place is taken: threads and duplicates change nothing.
    """
    m = len(vectors)
    if width == m:
        return np.broadcast_to(np.arange(m), (m, m))
    products = vectors @ vectors.T
    np.fill_diagonal(products, np.inf)
    last = np.partition(products, m - width, axis=1)[:, m - width]
    inside = products >= (last - SLACK * np.finfo(products.dtype).eps)[:, None]
    places = np.flatnonzero(inside)
    if len(places) > m * width:
        counts = np.bincount(places // m, minlength=m)
        starts = np.cumsum(counts) - counts
        lost = []
        for row in np.flatnonzero(counts > width).tolist():
            rivals = places[starts[row] : starts[row] + counts[row]] - m * row
            exact = np.round(vectors[rivals].astype(np.float64) @ vectors[row].astype(np.float64), DIGITS)
            exact[rivals == row] = np.inf
            lost.append(starts[row] + np.argsort(-exact, kind="stable")[width:])
        places = np.delete(places, np.concatenate(lost))
    return places.reshape(m, width) - m * np.arange(m)[:, None]


class SuperGlobal(Method):
    """The row `superglobal`."""

    def rerank(self, given: Given) -> Answer:
        """Score the hits of one query."""
        assert given.query is not None and given.vectors is not None
        found = superglobal(given.query, given.vectors, **self.params)
        why = None
        if given.explain:
            why = [self._why(given, found, place) for place in range(len(given.hits))]
        return Answer(found.scores, why=why)

    def _why(self, given: Given, found: Pooled, place: int) -> str:
        near: list[Any] = [given.hits[i]["id"] for i in found.neighbours[place].tolist() if i != place]
        shown = ", ".join(sorted(near)[:3]) + (", ..." if len(near) > 3 else "")
        pooled = f"with {shown}" if near else "alone"
        return f"query {found.first[place]:.4f}, expanded {found.second[place]:.4f}; pooled {pooled}"
