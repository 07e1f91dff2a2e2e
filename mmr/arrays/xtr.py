"""XTR: documents scored by the vectors that a search found, and by a floor where it found none of theirs."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Places = NDArray[np.int64]
Wide = NDArray[np.float64]


def xtr(documents: NDArray[np.integer[Any]], scores: NDArray[np.floating[Any]]) -> tuple[Places, Wide]:
    """Score the documents whose vectors were found for the vectors of one query.

    documents  (n, k) the document of each vector found, a row for each of the query's n vectors; below 0
               where a search found fewer than k
    scores     (n, k) its similarity
    returns    the documents found, ascending (m,), and their scores (m,) float64: the mean over the query's
               vectors of the best similarity found in the document, or where there is none of the lowest that
               this vector of the query found at all

    A vector of the query that found nothing counts nothing in every document. Raises `ValueError` for a query
    without vectors. Lee et al. 2023, XTR; google-deepmind/xtr.
    """
    if not len(documents):
        raise ValueError("a query without vectors")
    found, column = np.unique(documents, return_inverse=True)
    column = column.reshape(documents.shape) - int(np.searchsorted(found, 0))
    found = found[found >= 0].astype(np.int64)
    total = np.zeros(len(found))
    for columns, values in zip(column, scores.astype(np.float64), strict=True):
        valid = columns >= 0
        if valid.any():
            best = np.full(len(found), values[valid].min())
            np.maximum.at(best, columns[valid], values[valid])
            total += best
    return found, total / len(documents)
