"""Fusion of rankings: what each method makes of the scores and places that an item has in several runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Wide = NDArray[np.float64]
Ints = NDArray[np.int64]


class Cells(NamedTuple):
    """What g items have in r runs.

    score  (g, r) float64 on the runs' scale, NaN where a run has not the item
    rank   (g, r) from 1, 0 where a run has not the item
    size   (g, r) hits of each run for the item's query
    union  (g,) items that any run has for the item's query
    """

    score: Wide
    rank: Ints
    size: Ints
    union: Ints


def added(values: Wide) -> Wide:
    """Sums (g,) of values (g, r) without NaN, smallest first: the order of the runs does not show."""
    kept = np.where(np.isnan(values), 0, values)
    total: Wide = kept[:, 0].copy() if kept.shape[1] < 3 else np.zeros(len(kept))
    if kept.shape[1] >= 3:
        kept.sort(axis=1)
        for column in kept.T:
            total += column
    elif kept.shape[1] == 2:
        total += kept[:, 1]
    return total


def of_ranks(cells: Cells, value: Callable[[Wide], Wide]) -> Wide:
    """The sum over runs of value(rank)."""
    seen = cells.rank > 0
    values = np.zeros(cells.rank.shape)
    values[seen] = value(cells.rank[seen].astype(np.float64))
    return added(values)


def count(cells: Cells) -> Wide:
    """How many runs have each item."""
    found: Wide = (cells.rank > 0).sum(axis=1).astype(np.float64)
    return found


def rrf(cells: Cells, k: float) -> Wide:
    """Sum of 1 / (k + rank) (Cormack et al. 2009)."""
    return of_ranks(cells, lambda rank: 1 / (k + rank))


def _inverse_squares(cells: Cells) -> Wide:
    return of_ranks(cells, lambda rank: 1 / rank**2)


def isr(cells: Cells) -> Wide:
    """n * sum of 1 / rank², n the runs that have it (Mourao et al. 2014)."""
    return count(cells) * _inverse_squares(cells)


def log_isr(cells: Cells) -> Wide:
    """ln(n) * sum of 1 / rank²: 0 for whatever one run alone has (Mourao et al. 2014)."""
    return np.log(np.maximum(count(cells), 1)) * _inverse_squares(cells)


def log1p_isr(cells: Cells) -> Wide:
    """ln(1 + n) * sum of 1 / rank²: log-isr that keeps what one run alone has."""
    return np.log1p(count(cells)) * _inverse_squares(cells)


def borda(cells: Cells) -> Wide:
    """Votes: union - rank + 1 a run; what a run has not shares its rest (Aslam and Montague 2001)."""
    union = cells.union[:, None].astype(np.float64)
    votes = np.where(cells.rank > 0, union - cells.rank + 1, (union - cells.size + 1) / 2)
    return added(votes)


def rbc(cells: Cells, phi: float) -> Wide:
    """Sum of (1 - phi) * phi ^ (rank - 1) (Bailey et al. 2017, rank-biased centroids)."""
    return of_ranks(cells, lambda rank: (1 - phi) * phi ** (rank - 1))


def combsum(cells: Cells) -> Wide:
    """Sum of the scores (Fox and Shaw 1994)."""
    return added(cells.score)


def _held(cells: Cells) -> Wide:
    found: Wide = (~np.isnan(cells.score)).sum(axis=1).astype(np.float64)
    return found


def combmnz(cells: Cells) -> Wide:
    """n * sum of the scores, n the runs that have it."""
    return _held(cells) * combsum(cells)


def combanz(cells: Cells) -> Wide:
    """The mean of its scores."""
    return combsum(cells) / _held(cells)


def combmax(cells: Cells) -> Wide:
    """The highest of its scores."""
    found: Wide = np.fmax.reduce(cells.score, axis=1)
    return found


def combmed(cells: Cells) -> Wide:
    """The median of its scores."""
    ordered = np.sort(cells.score, axis=1)
    held = (~np.isnan(ordered)).sum(axis=1)
    rows = np.arange(len(ordered))
    found: Wide = (ordered[rows, (held - 1) // 2] + ordered[rows, held // 2]) / 2
    return found


def convex(cells: Cells, weights: Wide) -> Wide:
    """Sum of weight * score, the weights adding up to 1."""
    return added(cells.score * weights)


class Way(NamedTuple):
    """One method of fusion: what it is in words, its function, and which parameters it takes.

    scores  it looks at scores, which are put on a scale first; others look at places alone
    """

    function: Callable[..., Wide]
    note: str
    params: tuple[str, ...] = ()
    scores: bool = False


WAYS: Mapping[str, Way] = {
    "rrf": Way(rrf, "sum of 1 / (k + place)", ("k",)),
    "combsum": Way(combsum, "sum of scores", scores=True),
    "combmnz": Way(combmnz, "sum of scores times the runs that have it", scores=True),
    "combanz": Way(combanz, "mean of scores", scores=True),
    "combmax": Way(combmax, "highest score", scores=True),
    "combmed": Way(combmed, "median of scores", scores=True),
    "isr": Way(isr, "sum of 1 / place² times the runs that have it"),
    "log-isr": Way(log_isr, "the same with the logarithm of that number: 0 for what one run alone has"),
    "log1p-isr": Way(log1p_isr, "the same with ln(1 + number)"),
    "borda": Way(borda, "votes by place, in the union of the runs"),
    "rbc": Way(rbc, "sum of (1 - phi) phi^(place - 1)", ("phi",)),
    "convex": Way(convex, "sum of weight times score", ("weights",), scores=True),
}


def fused(cells: Cells, name: str, **params: Any) -> Wide:
    """Score g items by a method of `WAYS`, (g,) float64; it takes those of the params that it has."""
    way = WAYS[name]
    return way.function(cells, *(params[one] for one in way.params))
