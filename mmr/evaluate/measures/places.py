"""What measures share: the weight of a place, groups of equal scores, counts within a query, safe shares.

Where `judged.average` holds, a row has no place of its own: it stands on each place of its tie group with the
same chance, so its weight is the mean over these places (McSherry and Najork, Computing Information Retrieval
Performance Measures Efficiently in the Presence of Tied Scores, 2008).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmr.evaluate.judged import Floats, Ints, Judged

Bools = NDArray[np.bool_]


def share(part: NDArray[Any], whole: NDArray[Any]) -> Floats:
    """(n,): part / whole, and 0 where whole is 0."""
    shares: Floats = np.divide(part, whole, out=np.zeros(len(part)), where=whole > 0)
    return shares


def total(query: Ints, values: NDArray[Any], queries: int) -> Floats:
    """(queries,): the sum of the values of each query, added in their order."""
    return np.bincount(query, weights=values, minlength=queries).astype(np.float64)


def within(judged: Judged, k: int | Ints) -> Floats:
    """(m,): 1 where a row is among the first k, else 0; its chance of that when orders are averaged.

    k  one cut-off, or (m,) one a row
    """
    if not judged.average:
        return (judged.rank <= k).astype(np.float64)
    inside = np.maximum(np.minimum(judged.last, k) - judged.first + 1, 0)
    shares: Floats = inside / (judged.last - judged.first + 1)
    return shares


def weighed(judged: Judged, weights: Floats) -> Floats:
    """(m,): the weight of each row's place, its mean over the tie group when orders are averaged.

    weights  (n,): of places 1 to n; deeper places weigh nothing
    """
    n = len(weights)
    padded = np.append(weights, 0.0)
    of_rank = padded[np.minimum(judged.rank - 1, n)]
    if not judged.average:
        return of_rank
    sums = np.concatenate([[0.0], np.cumsum(weights)])
    of_group = sums[np.minimum(judged.last, n)] - sums[np.minimum(judged.first - 1, n)]
    size = judged.last - judged.first + 1
    return np.where(size == 1, of_rank, of_group / size)


def deepest(judged: Judged, k: int | None = None) -> int:
    """The last place that a weight is needed for: of the judged rows, of the pools, at most k."""
    pools = int(np.diff(judged.pool_start).max(initial=0))
    depth = max(int(judged.last.max(initial=0)), pools)
    return depth if k is None else min(depth, k)


def running(judged: Judged, mask: Bools) -> Ints:
    """(m,): how many rows of the same query, this one included, have the mask so far."""
    counts = np.zeros(len(mask) + 1, dtype=np.int64)
    np.cumsum(mask, out=counts[1:])
    so_far: Ints = counts[1:] - np.repeat(counts[judged.start[:-1]], np.diff(judged.start))
    return so_far


class Tied(NamedTuple):
    """The g groups of equal scores that hold a relevant row, in the order of queries and places.

    query   (g,): number of the query
    first   (g,): the first place of the group
    size    (g,): how many places it has
    relevant  (g,): how many of its items are relevant
    before  (g,): how many relevant items of the query stand above it
    """

    query: Ints
    first: Ints
    size: Ints
    relevant: Ints
    before: Ints


def tied(judged: Judged, mask: Bools) -> Tied:
    """Put the rows that have the mask into their groups of equal scores."""
    rows = np.flatnonzero(mask)
    query, first = judged.row[rows], judged.first[rows]
    opens = np.ones(len(rows), dtype=bool)
    opens[1:] = (query[1:] != query[:-1]) | (first[1:] != first[:-1])
    heads = np.flatnonzero(opens)
    return Tied(
        query=query[heads],
        first=first[heads],
        size=judged.last[rows[heads]] - first[heads] + 1,
        relevant=np.diff(np.append(heads, len(rows))),
        before=running(judged, mask)[rows[heads]] - 1,
    )


def leading(query: Ints) -> Ints:
    """The places in `query`, ascending numbers of queries, where each query comes first."""
    return np.flatnonzero(np.diff(query, prepend=-1))
