"""Interpolation and extrapolation: test queries near the training queries, and those far from all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmr.arrays.topk import Part, Rows, nearest
from mmr.arrays.unit import unit
from mmr.errors import BadDataError
from mmr.evaluate.doubt import STATISTICS, unpaired_interval
from mmr.evaluate.grammar import Measure
from mmr.evaluate.judged import Floats
from mmr.evaluate.score import total
from mmr.evaluate.scored import Scored

ROWS = 1 << 14


class Side(NamedTuple):
    """A measure over the near and over the far queries that it is defined for.

    near, far    its totals; near_queries, far_queries: how many each rests on
    gap          near - far: what is lost away from the training queries (of a measure where less is worse)
    low, high    95 % interval of the gap, unpaired BCa bootstrap; NaN for a sum
    """

    measure: str
    near: float
    far: float
    near_queries: int
    far_queries: int
    gap: float
    low: float
    high: float


class Split(NamedTuple):
    """Queries split at a similarity: near is at least `threshold`; `left_out` had no vector."""

    threshold: float
    sides: list[Side]
    left_out: int


def similarities(test: NDArray[Any], training: NDArray[Any]) -> Floats:
    """(n,): the highest cosine of each test vector (n, d) to any training vector (m, d), -1 to 1.

    Rows are made unit first; training vectors, mapped or not, are read in blocks. The same at any thread
    count. Raises `BadDataError` for vectors of different length or none.
    """
    if test.shape[1] != training.shape[1]:
        raise BadDataError(
            f"the test queries have {test.shape[1]} dimensions, the training queries {training.shape[1]}",
            "Embed both with the same model.",
        )
    if not len(training):
        raise BadDataError("there are no training queries", "Was the file cut off?")
    queries = _unit(test, 0, "test")
    highest = np.full(len(test), -np.inf, np.float32)
    for start in range(0, len(training), ROWS):
        part = Part(_unit(training[start : start + ROWS], start, "training"))
        found = nearest(queries, [part], 1, _numbers)
        np.maximum(highest, found.score[:, 0], out=highest)
    return np.clip(highest.astype(np.float64), -1, 1)


def _unit(vectors: NDArray[Any], start: int, what: str) -> NDArray[np.float32]:
    """The rows at length 1; `start` is the number of the first."""
    bad = ~np.isfinite(vectors).all(axis=1)
    if bad.any():
        raise BadDataError(
            f"the vector of {what} query {start + int(np.argmax(bad))} is not finite",
            "Embed it again, or leave it out.",
        )
    return unit(np.asarray(vectors))


def _numbers(_: Rows, rows: Rows) -> Sequence[str]:
    """Names of training queries, which only break ties."""
    return [str(row) for row in rows.tolist()]


def split(
    scored: Scored,
    measures: Sequence[Measure],
    similarity: Mapping[str, float],
    threshold: float | None = None,
    seed: int = 0,
) -> Split:
    """Split the scored queries by their similarity to the training queries, and measure both sides.

    similarity  of each query, by id; queries that it lacks are left out and counted
    threshold   the least similarity that is near; the median of the scored queries' where it is None

    Pooled measures have no value a query and are left out. Zhan et al., Evaluating Interpolation and
    Extrapolation Performance of Neural Retrieval Models, 2022, split by clusters and train again; this splits
    what one model was asked. Raises `BadDataError` when a side would be empty.
    """
    known = np.array([query in similarity for query in scored.queries], dtype=bool)
    if not known.any():
        raise BadDataError(
            "no scored query has a vector to compare with the training queries",
            "The ids of the test vectors must be the ids of the run's queries.",
        )
    values = np.array([similarity.get(query, np.nan) for query in scored.queries], dtype=np.float64)
    least = float(np.median(values[known])) if threshold is None else threshold
    near, far = known & (values >= least), known & (values < least)
    if not near.any() or not far.any():
        where, what = ("near", "highest") if not near.any() else ("far", "lowest")
        end = values[known].max() if where == "near" else values[known].min()
        raise BadDataError(
            f"no query is {where} at a similarity of {least:.6g}: the {what} is {end:.6g}",
            "Choose another with --similarity.",
        )
    sides = between(scored, measures, np.flatnonzero(near).tolist(), np.flatnonzero(far).tolist(), seed)
    return Split(least, sides, int(np.count_nonzero(~known)))


def between(
    scored: Scored, measures: Sequence[Measure], near: Sequence[int], far: Sequence[int], seed: int = 0
) -> list[Side]:
    """Set two groups of different queries against each other, by their places in `scored.queries`.

    Pooled measures have no value a query and are left out.
    """
    return [
        _side(str(measure), scored.values[str(measure)], measure.row.total, near, far, seed)
        for measure in measures
        if str(measure) in scored.values
    ]


def _side(measure: str, values: Floats, how: str, near: Sequence[int], far: Sequence[int], seed: int) -> Side:
    close, away = (side[~np.isnan(side)] for side in (values[list(near)], values[list(far)]))
    inside, outside = total(close, how), total(away, how)
    low, high = np.nan, np.nan
    if how in STATISTICS:
        low, high = unpaired_interval(close, away, seed=seed, statistic=how)
    return Side(measure, inside, outside, len(close), len(away), inside - outside, low, high)
