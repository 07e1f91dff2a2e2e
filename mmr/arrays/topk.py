"""Exact nearest rows by inner product, the same to the last bit at any batch size and thread count."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]

QUERY_BLOCK = 1024
ROW_BLOCK = 2048
MARGIN = 1e-5
HELD = 1 << 22
EXACT_BYTES = 1 << 19  # what one core keeps near while it rescores
UNEVEN = 1.25  # cells of a table for each of them that is used


class Part(NamedTuple):
    """Rows to search: `vectors` (n, d) float32, float16 or `Small`, mapped; `rows` are the allowed ones.

    rows     None for all, else ascending row numbers into `vectors`
    numbers  (n, 2) scale above 0 and shift of every row of `vectors`: what it scores becomes scale * score
             + shift, of the score as float32; None leaves scores as they are
    """

    vectors: NDArray[np.floating]
    rows: Rows | None = None
    numbers: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.vectors) if self.rows is None else len(self.rows)

    def blocks(self) -> Iterator[tuple[Rows, Floats]]:
        """Yield (row numbers, their vectors as float32) in blocks of at most `ROW_BLOCK` rows."""
        if self.rows is not None and 2 * len(self.rows) > len(self.vectors):
            yield from self._scanned(self.rows)
            return
        for start in range(0, len(self), ROW_BLOCK):
            if self.rows is None:
                stop = min(start + ROW_BLOCK, len(self.vectors))
                yield np.arange(start, stop), np.asarray(self.vectors[start:stop], np.float32)
            else:
                chosen = self.rows[start : start + ROW_BLOCK]
                yield chosen, np.asarray(self.vectors[chosen], np.float32)

    def steepest(self) -> float:
        """The largest scale of an allowed row; 1 without numbers."""
        if self.numbers is None or not len(self):
            return 1.0
        scale = self.numbers[:, 0]
        return float((scale if self.rows is None else scale[self.rows]).max())

    def _scanned(self, rows: Rows) -> Iterator[tuple[Rows, Floats]]:
        edges = np.searchsorted(rows, np.arange(0, len(self.vectors) + ROW_BLOCK, ROW_BLOCK))
        for number, start in enumerate(range(0, len(self.vectors), ROW_BLOCK)):
            chosen = rows[edges[number] : edges[number + 1]]
            if not len(chosen):
                continue
            block = self.vectors[start : start + ROW_BLOCK]
            yield (
                chosen,
                np.asarray(block if len(chosen) == len(block) else block[chosen - start], np.float32),
            )


class Nearest(NamedTuple):
    """The hits of q queries, best first: `part`, `row` and `score` are (q, min(k, all rows))."""

    part: Rows
    row: Rows
    score: Floats


Names = Callable[[Rows, Rows], Sequence[str]]


def nearest(queries: Floats, parts: Sequence[Part], k: int, names: Names) -> Nearest:
    """Find each query's k best rows by inner product, in the one order that holds everywhere.

    queries  (q, d) float32
    parts    the rows to search
    names    (part numbers, row numbers) -> their ids; asked only where scores tie
    returns  hits by score as float32 descending, then by the bytes of the id descending

    Every row within 1e-5 of the k-th score is rescored in float64 in one fixed order and rounded to
    float32, so the answer does not depend on BLAS, its threads or the batch.
    """
    k = min(k, sum(len(part) for part in parts))
    if not k or not len(queries):
        shape = (len(queries), k)
        return Nearest(np.empty(shape, np.int64), np.empty(shape, np.int64), np.empty(shape, np.float32))
    blocks = [
        found
        for start in range(0, len(queries), QUERY_BLOCK)
        for found in _search(
            np.ascontiguousarray(queries[start : start + QUERY_BLOCK], np.float32), parts, k, names
        )
    ]
    return Nearest(*(np.concatenate(column) for column in zip(*blocks, strict=True)))


def exact_scores(queries: Floats, query: Rows, vectors: NDArray[np.floating], row: Rows) -> Floats:
    """Inner products of queries[query[i]] and vectors[row[i]] in float64, rounded to float32.

    queries (q, d), query (m,), vectors (n, d), row (m,); returns (m,) float32. Rows are read in blocks; where
    the rows of each query stand together and are about as many, they are read as one table.
    """
    groups = np.flatnonzero(np.diff(query, prepend=-1))
    counts = np.diff(groups, append=len(query))
    width = int(counts.max(initial=0))
    if not len(row) or len(groups) * width > UNEVEN * len(row):
        groups, counts, width = np.arange(len(row)), np.ones(len(row), np.int64), 1
    group = np.repeat(np.arange(len(groups)), counts)
    place = np.arange(len(row)) - groups[group]
    table = np.zeros((len(groups), width), np.int64)
    table[group, place] = row
    scores = np.empty(table.shape, np.float64)
    asked, step = query[groups], max(1, EXACT_BYTES // (8 * max(1, width * queries.shape[1])))
    for start in range(0, len(groups), step):
        part = slice(start, start + step)
        wide = vectors[table[part]].astype(np.float64)
        scores[part] = np.einsum("ijk,ik->ij", wide, queries[asked[part]].astype(np.float64))
    found: Floats = scores[group, place].astype(np.float32)
    return found


def corrected(score: Floats, row: Rows, numbers: NDArray[np.float64] | None) -> Floats:
    """Scores (m,) of rows (m,) with the scale and shift of each (n, 2), float32; as they are without."""
    if numbers is None:
        return score
    mine = numbers[row]
    return (mine[:, 0] * score + mine[:, 1]).astype(np.float32)


def ranked(query: Rows, part: Rows, row: Rows, score: Floats, names: Names) -> tuple[Rows, Rows]:
    """Order candidates by query, score descending and id descending by bytes.

    All four are (m,); returns (order, place): the candidates' order and each one's place in its query.
    """
    bits = np.ascontiguousarray(score, np.float32).view(np.int32).astype(np.int64)
    rising = np.where(bits < 0, bits ^ 0x7FFFFFFF, bits)  # floats as whole numbers of the same order
    order = np.argsort((query << 32) - rising)
    query, score = query[order], score[order]
    first = np.searchsorted(query, query)
    place = np.arange(len(query)) - first
    tied = np.flatnonzero((query[1:] == query[:-1]) & (score[1:] == score[:-1]))
    for group in np.split(tied, np.flatnonzero(np.diff(tied) != 1) + 1) if len(tied) else ():
        members = slice(group[0], group[-1] + 2)
        chosen = order[members]
        ids = [name.encode("utf-8", "surrogateescape") for name in names(part[chosen], row[chosen])]
        order[members] = chosen[sorted(range(len(ids)), key=ids.__getitem__, reverse=True)]
    return order, place


def _search(queries: Floats, parts: Sequence[Part], k: int, names: Names) -> Iterator[Nearest]:
    candidates = _candidates(queries, parts, k)
    if candidates is None:
        half = len(queries) // 2
        yield from _search(queries[:half], parts, k, names)
        yield from _search(queries[half:], parts, k, names)
        return
    query, part, row = candidates
    score = np.empty(len(query), np.float32)
    for number, (vectors, _, numbers) in enumerate(parts):
        mine = np.flatnonzero(part == number)
        score[mine] = corrected(exact_scores(queries, query[mine], vectors, row[mine]), row[mine], numbers)
    order, place = ranked(query, part, row, score, names)
    best = order[place < k]
    shape = (len(queries), k)
    yield Nearest(part[best].reshape(shape), row[best].reshape(shape), score[best].reshape(shape))


def _candidates(queries: Floats, parts: Sequence[Part], k: int) -> tuple[Rows, Rows, Rows] | None:
    """(query, part, row) of every row that may be among the k best; None when there are too many to hold."""
    best = np.full((len(queries), k), -np.inf, np.float32)
    kept: list[tuple[Rows, Rows, Rows, Floats]] = []
    unit = max((part.steepest() for part in parts), default=1.0)
    for number, part in enumerate(parts):
        for rows, vectors in part.blocks():
            scores = queries @ vectors.T
            if part.numbers is not None:
                scale, shift = (part.numbers[rows] / unit).astype(np.float32).T
                scores = scores * scale + shift
            near = np.flatnonzero(scores >= _bound(best)[:, None])
            if len(near) > 2 * best.size:
                best = _best(np.hstack([best, scores]), k)
                near = np.flatnonzero(scores >= _bound(best)[:, None])
                query, column = np.divmod(near, len(rows))
            else:
                query, column = np.divmod(near, len(rows))
                best = _merge(best, query, scores.ravel()[near])
            kept.append((query, np.full(len(query), number), rows[column], scores.ravel()[near]))
            if sum(len(query) for query, *_ in kept) > max(HELD, 4 * best.size):
                kept = [_near(kept, best)]
                if len(kept[0][0]) > max(HELD, 4 * best.size) // 2 and len(queries) > 1:
                    return None
    return _near(kept, best)[:3]


def _near(kept: list[tuple[Rows, Rows, Rows, Floats]], best: Floats) -> tuple[Rows, Rows, Rows, Floats]:
    query, part, row, score = (np.concatenate(column) for column in zip(*kept, strict=True))
    near = np.flatnonzero(score >= _bound(best)[query])
    return query[near], part[near], row[near], score[near]


def _bound(best: Floats) -> Floats:
    """The lowest float32 score (q,) that may still belong to the k best."""
    kth = best[:, -1]
    return (kth - MARGIN * np.maximum(1, np.abs(np.where(np.isneginf(kth), 0, kth)))).astype(np.float32)


def _best(scores: Floats, k: int) -> Floats:
    top: Floats = np.partition(scores, scores.shape[1] - k, axis=1)[:, -k:]
    top.sort(axis=1)
    return top[:, ::-1]


def _merge(best: Floats, query: Rows, found: Floats) -> Floats:
    """The k best scores a query, descending, after `found` came in; `query` ascends."""
    if not len(query):
        return best
    k = best.shape[1]
    touched, first, counts = np.unique(query, return_index=True, return_counts=True)
    table = np.full((len(touched), k + int(counts.max())), -np.inf, np.float32)
    table[:, :k] = best[touched]
    table[
        np.repeat(np.arange(len(touched)), counts), k + np.arange(len(query)) - np.repeat(first, counts)
    ] = found
    merged = best.copy()
    merged[touched] = _best(table, k)
    return merged
