"""The second stage of a search: candidates of a structure, compared by their stored vectors."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mmr.arrays.topk import MARGIN, Floats, Rows

HELD_BYTES = 1 << 20


def near(
    queries: Floats, vectors: NDArray[np.floating], rows: Rows, good: NDArray[np.bool_], k: int
) -> tuple[Rows, Rows]:
    """Find the candidates that may be among the k best of each query by inner product.

    queries  (q, d) float32
    vectors  (n, d) float32 or float16, mapped or not
    rows     (q, c) row numbers of candidates; only where `good` (q, c) are they read
    returns  (query, row), both (m,): every good candidate within 1e-5 of the k-th best score, so that
             rescoring them in float64 gives the k best whatever float32 and BLAS did
    """
    step = max(1, HELD_BYTES // max(1, 4 * rows.shape[1] * queries.shape[1]))
    found = [
        _near(queries[start : start + step], vectors, rows[start : start + step],
              good[start : start + step], k, start)
        for start in range(0, len(queries), step)
    ]  # fmt: skip
    none = np.empty(0, np.int64)
    query, row = (np.concatenate([none, *column]) for column in zip(*found, strict=True)) if found else (
        none, none
    )  # fmt: skip
    return query, row


def _near(
    queries: Floats, vectors: NDArray[np.floating], rows: Rows, good: NDArray[np.bool_], k: int, first: int
) -> tuple[Rows, Rows]:
    if rows.shape[1] > k:
        chosen = np.asarray(vectors[np.where(good, rows, 0)], np.float32)
        scores = np.matmul(chosen, queries[:, :, None])[:, :, 0]
        scores[~good] = -np.inf
        kth = np.partition(scores, scores.shape[1] - k, axis=1)[:, -k]
        slack = MARGIN * np.maximum(1, np.abs(np.where(np.isneginf(kth), 0, kth)))
        good = good & (scores >= (kth - slack)[:, None])
    query, column = np.nonzero(good)
    return first + query, rows[query, column]
