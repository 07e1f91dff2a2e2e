"""Reductions of score matrices: the mean of the best, and soft means in the log domain."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]


CHUNK = 16  # products of which only the largest is looked at first
SLACK = 1e-5  # more than a product of unit vectors in float32 can be off
FEW = 50  # so many rescored products cost as much as one row of float64 instead of float32
HELD = 512  # products that are rescored at a time


def top_products(rows: Array, bank: Array, k: int) -> Array:
    """The k largest inner products of each row with the bank, descending.

    rows     (n, d) of about unit length, as the bank (m, d); k is taken as m where it is larger
    returns  (n, k) float64

    Each is a sum in float64, so that it does not depend on the other rows. Where k is small beside m the
    products are taken in float32, and those that may be among the k largest are taken again.
    """
    n, m = len(rows), len(bank)
    k = min(k, m)
    if k * FEW > m or not n:
        return _largest(rows.astype(np.float64) @ bank.astype(np.float64).T, k)
    rough = rows.astype(np.float32) @ bank.astype(np.float32).T
    even = m - m % CHUNK
    most = rough[:, :even].reshape(n, CHUNK, -1).max(axis=1)
    bound = np.partition(most, most.shape[1] - k, axis=1)[:, most.shape[1] - k] - np.float32(SLACK)
    row, column = np.divmod(np.flatnonzero(rough >= bound[:, None]), m)
    exact = np.empty(len(row))
    for start in range(0, len(row), HELD):
        part = slice(start, start + HELD)
        one, other = rows[row[part]].astype(np.float64), bank[column[part]].astype(np.float64)
        exact[part] = np.einsum("ij,ij->i", one, other)
    counts = np.bincount(row, minlength=n)
    table = np.full((n, counts.max()), -np.inf)
    table[row, np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)] = exact
    return _largest(table, k)


def _largest(scores: Array, k: int) -> Array:
    m = scores.shape[1]
    best = np.partition(scores, m - k, axis=1)[:, m - k :] if k < m else scores
    found: Array = np.sort(best, axis=1)[:, ::-1]
    return found


def top_mean(scores: Array, k: int) -> Array:
    """Mean of the k largest of each row of (n, m); k is taken as m where it is larger. Returns (n,) float64.

    >>> top_mean(np.float64([[1, 5, 3]]), 2).tolist()
    [4.0]
    """
    m = scores.shape[1]
    best = scores if k >= m else np.partition(scores, m - k, axis=1)[:, m - k :]
    found: Array = np.sort(best, axis=1).mean(axis=1, dtype=np.float64)
    return found


def log_mean_exp(scores: Array, beta: float) -> Array:
    """log(mean(exp(beta * scores))) of each row of (n, m), without overflow. Returns (n,) float64.

    beta  an inverse temperature above 0

    >>> float(log_mean_exp(np.float64([[900, 900]]), 2.0)[0])
    1800.0
    """
    most = scores.max(axis=1, keepdims=True)
    total = np.exp(beta * (scores - most)).mean(axis=1, dtype=np.float64)
    found: Array = beta * most[:, 0].astype(np.float64) + np.log(total)
    return found
