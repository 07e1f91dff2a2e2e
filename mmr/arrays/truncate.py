"""Fewer numbers a vector: the two projections that keep the inner products of two modalities best."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float32]
FLOOR = 0.02  # of the mean power of a dimension, added to each: directions that a small sample never saw


def projections(
    rows: NDArray[np.floating], queries: NDArray[np.floating], dims: int
) -> tuple[Matrix, Matrix]:
    """Fit projections of items and of queries to `dims` numbers, so that inner products change least.

    rows     (n, d) items; queries (m, d) of another modality, or the rows again
    returns  (of items, of queries), each (d, dims) float32: <A'q, B'x> is the best approximation of rank
             `dims` to <q, x> in the mean square, if both are drawn as the samples are

    Nothing is centred: a mean taken off the queries would move each item differently. A = Q^(-1/2) U S^(1/2)
    and B = X^(-1/2) V S^(1/2), where U S V' = Q^(1/2) X^(1/2), and Q and X are the second moments; both are
    the main directions of the rows where queries are the rows.
    """
    item, item_back = roots(rows, FLOOR)
    query, query_back = roots(queries, FLOOR)
    left, values, right = np.linalg.svd(query @ item)
    scale = np.sqrt(values[:dims])
    of_items = item_back @ right[:dims].T * scale
    return np.asarray(of_items, np.float32), np.asarray(query_back @ left[:, :dims] * scale, np.float32)


def roots(rows: NDArray[np.floating], floor: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The square root of the second moment of rows (n, d), and its inverse, (d, d) float64.

    floor  of the mean power of a dimension, added to each
    """
    wide = rows.astype(np.float64)
    power = wide.T @ wide / len(wide)
    power[np.diag_indices(len(power))] += floor * np.trace(power) / len(power)
    values, axes = np.linalg.eigh(power)
    roots = np.sqrt(np.maximum(values, np.finfo(np.float64).tiny))
    return axes * roots @ axes.T, axes / roots @ axes.T
