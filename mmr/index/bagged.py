"""Search items of several vectors each: all that are allowed, or the items whose mean is near the query's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mmr.arrays.maxsim import maxsim, near
from mmr.arrays.ragged import Ragged, stacked
from mmr.arrays.topk import Nearest, ranked
from mmr.index import search as plain
from mmr.index.bags import mean_of

if TYPE_CHECKING:
    from mmr.arrays.topk import Floats, Rows
    from mmr.index import Index, Segment
    from mmr.index.search import Wanted
    from mmr.stream.records import Record

    Allowed = Sequence[Rows | None]

LEAST = 500  # candidates that are compared exactly


def places(index: Index, queries: Sequence[Record], wanted: Wanted) -> list[Nearest]:
    """Where the hits of queries with `vectors` (n, d) are, and their scores, (hits,) a query, best first.

    A score is the sum over the query's vectors of the best product with one of the item's. All allowed items
    are compared with `exact` and among fewer than `least`; else those whose mean vector is among the nearest
    to the mean of the query's, `refine` a hit and 500 at least.
    """
    segments = index.segments()
    allowed = plain.allowed_rows(index, segments, wanted.where)
    names = plain.names_of(index, segments)
    excluded = [plain.rows_of(index, plain.excluded_names(query, wanted)) for query in queries]
    alone = [i for i, query in enumerate(queries) if "among" in query or excluded[i]]
    together = sorted(set(range(len(queries))) - set(alone))
    found: dict[int, Nearest] = {}
    if together:
        answers = _found(index, segments, allowed, [queries[i] for i in together], names, wanted)
        found.update(zip(together, answers, strict=True))
    for i in alone:
        among = plain.rows_of(index, queries[i]["among"]) if "among" in queries[i] else None
        rows = plain.narrowed(segments, allowed, among, excluded[i])
        found[i] = _found(index, segments, rows, [queries[i]], names, wanted)[0]
    return [found[i] for i in range(len(queries))]


def _found(
    index: Index, segments: Sequence[Segment], allowed: Allowed, queries: Sequence[Record], names: Any,
    wanted: Wanted,
) -> list[Nearest]:  # fmt: skip
    asked = stacked([query["vectors"] for query in queries])
    count = sum(
        segment.rows if rows is None else len(rows) for segment, rows in zip(segments, allowed, strict=True)
    )
    params = {**index.meta.params, **(wanted.knobs or {})}
    depth = max(LEAST, wanted.k * (wanted.refine or int(params["refine"])))
    if wanted.exact or count < int(params["least"]) or count <= depth:
        return _of_all(segments, allowed, asked, wanted.k, names)
    means = np.stack([mean_of(asked[i]) for i in range(len(asked))])
    close = plain.find(segments, allowed, means, depth, names, index, wanted)
    return [
        _of_some(segments, close.part[i], close.row[i], _one(asked, i), wanted.k, names)
        for i in range(len(asked))
    ]


def _one(queries: Ragged, number: int) -> Ragged:
    return stacked([queries[number]])


def _of_all(
    segments: Sequence[Segment], allowed: Allowed, queries: Ragged, k: int, names: Any
) -> list[Nearest]:
    """The k best of all allowed items, of each query."""
    columns: list[list[tuple[Rows, Rows, Floats]]] = [[] for _ in range(len(queries))]
    for part, (segment, rows) in enumerate(zip(segments, allowed, strict=True)):
        for column, (row, score) in zip(columns, near(queries, segment.beside, k, rows), strict=True):
            column.append((np.full(len(row), part), row, score))
    return [_best(column, k, names) for column in columns]


def _of_some(
    segments: Sequence[Segment], part: Rows, row: Rows, query: Ragged, k: int, names: Any
) -> Nearest:
    """The k best of some items, by one query."""
    column = []
    for number in np.unique(part).tolist():
        rows = np.sort(row[part == number])
        score = maxsim(query, segments[number].beside, rows)[0]
        column.append((np.full(len(rows), number), rows, score))
    return _best(column, k, names)


def _best(column: Sequence[tuple[Rows, Rows, Floats]], k: int, names: Any) -> Nearest:
    """The k best of what segments gave: (part, row, score) each."""
    none = (np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))
    part, row, score = (np.concatenate(one) for one in zip(none, *column, strict=True))
    order, _ = ranked(np.zeros(len(score), np.int64), part, row, score, names)
    best = order[:k]
    return Nearest(part[best], row[best], score[best])
