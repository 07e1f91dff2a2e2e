"""SuperGlobal reranking (Shao et al. 2023): hits pooled with their neighbours, and the query with them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmr.rerank.method import Answer, Floats, Given, Method

Ints = NDArray[np.int64]


class Pooled(NamedTuple):
    """What the method finds: `scores` (m,), the mean of `first` (the query's own) and `second` (the
    expanded query's), and of each hit its `neighbours` (m, K + 1), itself among them."""

    scores: Floats
    first: Floats
    second: Floats
    neighbours: Ints


def superglobal(query: Floats, vectors: Floats, neighbours: int = 9, beta: float = 0.15) -> Pooled:
    """Score hits by their refined vectors, as the authors' code does.

    query    (d,), vectors (m, d) of unit length; float32 is computed in float32, float64 in float64
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
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, np.inf)
    near = _largest(cosines, width)
    weights = np.take_along_axis(cosines, near, axis=1)
    itself = np.isposinf(weights)
    weights = np.maximum(weights, 0)
    weights *= weights.dtype.type(beta)
    weights[itself] = 1
    weights /= weights.sum(axis=1, keepdims=True)
    first = np.einsum("mk,mk->m", weights, (vectors @ query)[near])
    best = np.lexsort((np.arange(m), -first))[:width]
    refined = np.einsum("mk,mkd->md", weights[best], vectors[near[best]])
    second = np.einsum("mk,mk->m", weights, (vectors @ refined.max(axis=0))[near])
    return Pooled((first + second) / 2, first, second, near)


def _largest(rows: Floats, width: int) -> Ints:
    """The places (m, width) of the largest of each row of (m, m), in no order.

    Values are split faster than places, so places are looked for only where a tie makes it unclear which.
    """
    m = len(rows)
    if width == m:
        return np.broadcast_to(np.arange(m), (m, m))
    inside = np.flatnonzero(rows >= np.partition(rows, m - width, axis=1)[:, m - width, None])
    if len(inside) == m * width:
        return inside.reshape(m, width) - m * np.arange(m)[:, None]
    return np.argpartition(rows, m - width, axis=1)[:, m - width :]


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
