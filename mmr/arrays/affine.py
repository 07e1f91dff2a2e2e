"""The affine correction of scores: scale times score plus shift, an item each; and its form as vectors."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmr.errors import BadDataError

Array = NDArray[np.floating[Any]]


class Affine(NamedTuple):
    """Scores s of n items become scale * s + shift; both are (n,) float64 and scale is above 0.

    For a fixed query most cures of hubness have this form, so that one can be applied to hits, held in an
    index, or folded into vectors (`folded`), with the same order.
    """

    scale: Array
    shift: Array

    def applied(self, scores: Array) -> Array:
        """Return the corrected scores (..., n), in float64."""
        found: Array = self.scale * np.asarray(scores, np.float64) + self.shift
        return found

    def ceiling(self, score: float) -> float:
        """The most that one of the n items can have whose own score is at most `score`."""
        return float(self.applied(np.asarray(score)).max(initial=-np.inf))

    def first(self) -> Affine:
        """The item that has the highest ceiling at any score, where all have one scale; else all items."""
        if not len(self.scale) or (self.scale != self.scale[0]).any():
            return self
        best = [int(self.shift.argmax())]
        return Affine(self.scale[best], self.shift[best])


def identity(n: int) -> Affine:
    """The correction that changes nothing."""
    return Affine(np.ones(n), np.zeros(n))


def folded(vectors: Array, affine: Affine, weight: float = 1.0) -> Array:
    """Return rows (n, d + 1) whose inner product with `asked` queries is the corrected score.

    vectors  (n, d)
    weight   what the queries have in the last dimension; the rows have shift / weight there. For an index
             of codes choose it so that shift / weight spreads like one coordinate of the vectors.

    The rows are not of length 1: an index that normalises them would undo the correction.
    """
    wide = np.hstack([affine.scale[:, None] * vectors, (affine.shift / weight)[:, None]])
    return wide.astype(vectors.dtype)


def asked(queries: Array, weight: float = 1.0) -> Array:
    """Return queries (q, d + 1) that meet `folded` rows: `weight` in the last dimension."""
    return np.hstack([queries, np.full((len(queries), 1), weight, queries.dtype)])


class Lift(NamedTuple):
    """Inner product as distance: all rows get the length `bound` by one more dimension.

    |asked(q) - lifted(g)|² = |q|² + bound² - 2 q·g, so that an index of L2 distances finds the largest inner
    products (Bachrach et al. 2014, "Speeding Up the Xbox Recommender System").
    """

    bound: float

    def lifted(self, rows: Array) -> Array:
        """Return (n, d + 1). Raises `BadDataError` for a row that is longer than the bound."""
        squares = np.square(rows, dtype=np.float64).sum(axis=1)
        left = self.bound**2 - squares
        if len(rows) and left.min() < 0:
            worst = float(np.sqrt(squares.max()))
            raise BadDataError(
                f"a row of length {worst:.4g} does not fit under the bound {self.bound:.4g}",
                "Lift all rows again, with a larger bound.",
            )
        return np.hstack([rows, np.sqrt(left)[:, None].astype(rows.dtype)])

    def asked(self, queries: Array) -> Array:
        """Return (q, d + 1): 0 in the last dimension."""
        return asked(queries, 0.0)


def lift(rows: Array, slack: float = 0.05) -> Lift:
    """Choose the bound for rows (n, d): the longest, and `slack` more for rows that come later."""
    longest = float(np.sqrt(np.square(rows, dtype=np.float64).sum(axis=1).max(initial=0)))
    return Lift(longest * (1 + slack))
