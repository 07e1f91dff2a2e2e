"""k-reciprocal re-ranking (Zhong et al. 2017), of one query and its hits at a time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mmr.rerank.alike import products
from mmr.rerank.method import Answer, Floats, Given, Method

FEWEST = 2  # times k1: with fewer hits the sets of neighbours say little
Wide = NDArray[np.float64]
Mask = NDArray[np.bool_]


def distances(
    query: Floats, vectors: Floats, k1: int = 20, k2: int = 6, share: float = 0.3
) -> tuple[Wide, Wide]:
    """Return the final distances (m,) of a query to its hits, and the Jaccard distances that they hold.

    query  (d,), vectors (m, d) of length 1; all is float64
    share  of the first distance in the final one (lambda)

    As the authors' code: the squared distance 2 - 2 cos is squared once more, divided by the maximum of its
    column, and every list is sorted by it; numpy's half-to-even rounding halves k1.
    """
    points = np.vstack([query, vectors]).astype(np.float64)
    first = np.maximum(2 - 2 * products(points), 0) ** 2
    np.fill_diagonal(first, 0)
    most = first.max(axis=0)
    first = np.divide(first, most, out=np.zeros_like(first), where=most > 0).T
    order = np.argsort(first, axis=1, kind="stable")
    members = _sets(order, k1)
    weights = np.where(members, np.exp(-first), 0)
    weights /= weights.sum(axis=1, keepdims=True)
    if k2 != 1:
        weights = weights[order[:, :k2]].mean(axis=1)
    shared = np.minimum(weights[0], weights[1:]).sum(axis=1)
    jaccard: Wide = 1 - shared / (2 - shared)
    return (1 - share) * jaccard + share * first[0, 1:], jaccard


def _sets(order: NDArray[np.int64], k1: int) -> Mask:
    """(n, n): which points are in the expanded k-reciprocal set of each."""
    near = _mutual(order, k1 + 1)
    half = _mutual(order, int(np.round(k1 / 2)) + 1)
    wide, small = near.astype(np.float32), half.astype(np.float32)
    both = wide @ small.T  # of i's set and c's, which is symmetric in nothing
    joins = near & (both > np.float64(2 / 3) * half.sum(axis=1))
    found: Mask = near | (joins.astype(np.float32) @ small > 0)
    return found


def _mutual(order: NDArray[np.int64], width: int) -> Mask:
    """(n, n): whether both are among each other's first `width`."""
    inside = np.zeros(order.shape, np.bool_)
    np.put_along_axis(inside, order[:, :width], True, axis=1)
    found: Mask = inside & inside.T
    return found


class KReciprocal(Method):
    """The row `k-reciprocal`."""

    _said = False

    def rerank(self, given: Given) -> Answer:
        """Score the hits by the neighbours that they share with the query."""
        assert given.query is not None and given.vectors is not None
        share = self.params["lambda"]
        if share == 1 or not len(given.hits):
            return Answer(given.scores)
        k1, k2 = int(self.params["k1"]), int(self.params["k2"])
        if FEWEST * k1 > len(given.hits) and not self._said:
            self._said = True
            self.tools.note(f"{given.where} has {len(given.hits):,} hits, and --k1 is {k1}: with fewer than "
                            f"{FEWEST} times as many hits nearly all are neighbours of all.")  # fmt: skip
        final, jaccard = distances(given.query, given.vectors, k1, k2, share)
        why = None
        if given.explain:
            why = [f"shares {1 - one:.0%} of its neighbours with the query" for one in jaccard.tolist()]
        return Answer(-final, why=why)
