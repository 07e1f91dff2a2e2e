"""The scores of an expensive scorer, guessed for all hits from those of a few."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]

CUT = 1e-2  # singular values below this share of the largest are noise
RIDGE = 1.0


def cur(anchors: Array, chosen: NDArray[np.int64], values: Array, cut: float = CUT) -> NDArray[np.float64]:
    """Guess the scores of m items for a query from its scores of a few of them: v pinv(R[:, C]) R.

    anchors  R (a, m): the scorer's scores of the items for a other queries
    chosen   C (c,): which items this query was scored for; values v (c,): their scores
    cut      singular values of R[:, C] below this share of the largest do not count: inverted, they would
             blow noise up
    returns  (m,) float64

    ANNCUR: Yadav et al. 2022, Efficient Nearest Neighbor Search for Cross-Encoder Models.
    """
    matrix = np.asarray(anchors, np.float64)
    inverse = np.linalg.pinv(matrix[:, chosen], rcond=cut)
    found: NDArray[np.float64] = np.asarray(values, np.float64) @ inverse @ matrix
    return found


def ridge(
    vectors: Array, chosen: NDArray[np.int64], values: Array, weight: float = RIDGE
) -> NDArray[np.float64]:
    """Guess scores (m,) by ridge regression, from items' vectors X (m, d) to the scores v (c,) of a few C.

    w = (X_C' X_C + weight I)^-1 X_C' (v - mean v), in the smaller of both forms; scores X w + mean v. About
    the mean, so that an item unlike all others is guessed as usual, and not as 0, which may be the best of
    log-probabilities.
    """
    wide = np.asarray(vectors, np.float64)
    mean = float(np.mean(values)) if len(values) else 0.0
    few, v = wide[chosen], np.asarray(values, np.float64) - mean
    if len(few) <= few.shape[1]:
        w = few.T @ np.linalg.solve(few @ few.T + weight * np.eye(len(few)), v)
    else:
        w = np.linalg.solve(few.T @ few + weight * np.eye(few.shape[1]), few.T @ v)
    found: NDArray[np.float64] = wide @ w + mean
    return found


def shares(budget: int, rounds: int) -> list[int]:
    """How many items are scored at first and in each round: the budget in parts, larger ones first.

    >>> shares(10, 1), shares(10, 3)
    ([5, 5], [3, 3, 2, 2])
    """
    least, more = divmod(budget, rounds + 1)
    return [least + (place < more) for place in range(rounds + 1)]
