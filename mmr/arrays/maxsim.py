"""MaxSim: each vector of a query finds its best vector of a document, and the products add up.

Khattab and Zaharia 2020, ColBERT. A product of matrices finds which pairs may be the best; those pairs are
computed again in float64 in one fixed order, so a score depends on its query and its document alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmr.arrays.ragged import Places, Ragged, Wide

Floats = NDArray[np.float32]

TOKENS = 4096  # rows of documents in one product
QUERY_TOKENS = 1024
STEP = 2.0**-24  # half the distance from 1 to the next float32
TINY = float(np.finfo(np.float32).tiny)


class Near(NamedTuple):
    """Documents that may be among a query's k best: their numbers, ascending, and their scores."""

    place: Places
    score: Floats


def maxsim(queries: Ragged, documents: Ragged, chosen: Places | None = None, mean: bool = False) -> Floats:
    """Score documents for every query: sum over the query's rows of the best product with the document's.

    chosen   ascending numbers of the documents to score; None scores all
    mean     divide by the number of the query's rows
    returns  (queries, chosen) float32, -inf for a document without rows; summed in float64 in the order of
             the query's rows, the same whatever else is scored beside it

    Raises `ValueError` for a query without rows, and for vectors of different lengths.
    """
    return np.stack(list(_scores(queries, documents, _all(documents, chosen), mean, exact=True))).astype(
        np.float32
    )


def near(queries: Ragged, documents: Ragged, k: int, chosen: Places | None = None, mean: bool = False
         ) -> list[Near]:  # fmt: skip
    """For every query, all documents that may be among its k best, with the scores of `maxsim`.

    Products in float32 choose; what is within their error of the k-th is scored exactly. Documents without
    rows are never among them. Raises `ValueError` as `maxsim` does.
    """
    items = _all(documents, chosen)
    found = []
    for number, score in enumerate(_scores(queries, documents, items, mean, exact=False)):
        query = queries[number]
        begins = np.array([0, len(query)], np.int64)
        slack = float(_slack(query, documents).sum()) / (len(query) if mean else 1)
        scored = np.flatnonzero(score > -np.inf)
        if len(scored) > k:
            lowest = np.partition(score[scored], len(scored) - k)[len(scored) - k] - slack if k else np.inf
            scored = scored[score[scored] >= lowest]
        one = Ragged(query, begins, queries.longest)
        found.append(Near(items[scored], maxsim(one, documents, items[scored], mean)[0]))
    return found


def _all(documents: Ragged, chosen: Places | None) -> Places:
    return np.arange(len(documents)) if chosen is None else np.asarray(chosen, np.int64)


def _slack(query: Floats, documents: Ragged) -> Wide:
    """How far below the best float32 product (n,) the best pair of each row of the query can lie."""
    wide = query.astype(np.float64)
    length = np.sqrt(np.einsum("ij,ij->i", wide, wide))
    slack: Wide = 2 * (query.shape[1] + 2) * (STEP * length * documents.longest + TINY)
    return slack


def _scores(queries: Ragged, documents: Ragged, items: Places, mean: bool, exact: bool) -> Iterator[Wide]:
    """Yield each query's scores (items,) in float64, from exact products or those of float32."""
    lengths = queries.counts()
    if not lengths.all():
        raise ValueError("a query without vectors")
    if len(documents.rows) and queries.rows.shape[1] != documents.rows.shape[1]:
        raise ValueError(f"vectors of {queries.rows.shape[1]} numbers and of {documents.rows.shape[1]}")
    filled = np.flatnonzero(documents.counts()[items] > 0)
    for part, rows, begins in queries.blocks(np.arange(len(queries)), QUERY_TOKENS):
        best = _best(rows, documents, items[filled], exact)
        for first, count in zip(begins.tolist(), lengths[part].tolist(), strict=True):
            total = np.zeros(len(filled))
            for row in best[first : first + count]:
                total += row
            score = np.full(len(items), -np.inf)
            score[filled] = total / count if mean else total
            yield score


def _best(query: Floats, documents: Ragged, items: Places, exact: bool) -> Wide:
    """The best product of each row of `query` (n, d) in each document: (n, items) float64."""
    found = np.empty((len(query), len(items)))
    slack = _slack(query, documents)
    wide = query.astype(np.float64)
    for part, rows, begins in documents.blocks(items, TOKENS):
        products = query @ rows.T
        best = np.maximum.reduceat(products, begins, axis=1)
        found[:, part] = _again(wide, rows, begins, products, best, slack) if exact else best
    return found


def _again(wide: Wide, rows: Floats, begins: Places, products: Floats, best: Floats, slack: Wide) -> Wide:
    """The best products (n, items) of `wide` (n, d) and `rows` in float64, where `products` are nearly so."""
    counts = np.diff(begins, append=len(rows))
    least = np.nextafter((best - slack[:, None]).astype(np.float32), np.float32(-np.inf))
    query, row = np.divmod(np.flatnonzero(products >= np.repeat(least, counts, axis=1)), len(rows))
    exact = np.einsum("ij,ij->i", wide[query], rows[row].astype(np.float64))
    group = query * len(begins) + np.repeat(np.arange(len(begins)), counts)[row]
    first = np.flatnonzero(np.diff(group, prepend=-1))
    again: Wide = np.maximum.reduceat(exact, first).reshape(best.shape)
    return again
