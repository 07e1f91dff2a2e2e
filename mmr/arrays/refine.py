"""The second stage of a search: candidates of a structure, compared by their stored vectors."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmr.arrays.topk import MARGIN, Floats, Rows

HELD_BYTES = 1 << 20


def near(
    queries: Floats, vectors: NDArray[np.floating], rows: Rows, good: NDArray[np.bool_], k: int
) -> tuple[Rows, Rows]:
    """Find the candidates that may be among the k best of each query by inner product.

    queries  (q, d) float32
    vectors  (n, d) float32, float16 or `Small`, mapped or not
    rows     (q, c) row numbers of candidates; only where `good` (q, c) are they read
    returns  (query, row), both (m,): every good candidate within 1e-5 of the k-th best score, so that
             rescoring them in float64 gives the k best whatever float32 and BLAS did
    """
    if rows.shape[1] <= k:
        query, column = np.nonzero(good)
        return query, rows[query, column]
    in_place = isinstance(vectors, np.ndarray) and vectors.dtype == np.float32
    in_place = in_place and vectors.flags.c_contiguous
    score, width = (_by_row, 2) if in_place else (_gathered, queries.shape[1])
    step = max(1, HELD_BYTES // (4 * rows.shape[1] * width))
    found = [np.empty((2, 0), np.int64)]
    for start in range(0, len(queries), step):
        part = slice(start, start + step)
        chosen = np.where(good[part], rows[part], -1)
        query, column = np.nonzero(_kept(score(queries[part], vectors, chosen), k))
        found.append(np.stack([start + query, chosen[query, column]]))
    query, row = np.concatenate(found, axis=1)
    return query, row


def _by_row(queries: Floats, vectors: NDArray[np.floating], rows: Rows) -> Floats:
    """Inner products (q, c) where the vectors lie, by FAISS; -inf for row -1."""
    faiss: Any = import_module("faiss")
    scores = np.empty(rows.shape, np.float32)
    asked = np.ascontiguousarray(queries, np.float32)
    faiss.fvec_inner_products_by_idx(
        faiss.swig_ptr(scores), faiss.swig_ptr(asked), faiss.swig_ptr(vectors), faiss.swig_ptr(rows),
        queries.shape[1], *rows.shape,
    )  # fmt: skip
    return scores


def _gathered(queries: Floats, vectors: NDArray[np.floating], rows: Rows) -> Floats:
    """The same of vectors that must be turned into float32 first."""
    chosen = np.asarray(vectors[np.maximum(rows, 0)], np.float32)
    scores: Floats = np.matmul(chosen, queries[:, :, None])[:, :, 0]
    scores[rows < 0] = -np.inf
    return scores


def _kept(scores: Floats, k: int) -> NDArray[np.bool_]:
    """Which scores (q, c) are finite and within 1e-5 of the k-th best of their row."""
    kth = np.partition(scores, scores.shape[1] - k, axis=1)[:, -k]
    slack = MARGIN * np.maximum(1, np.abs(np.where(np.isneginf(kth), 0, kth)))
    kept: NDArray[np.bool_] = (scores >= (kth - slack)[:, None]) & (scores > -np.inf)
    return kept
