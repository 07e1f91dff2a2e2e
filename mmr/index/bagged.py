"""Search items of several vectors each: all that are allowed, or the items whose mean is near the query's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mmr.arrays.maxsim import maxsim, near
from mmr.arrays.ragged import Ragged, stacked
from mmr.arrays.topk import Nearest, Part, nearest, ranked
from mmr.arrays.xtr import xtr
from mmr.index import search as plain
from mmr.index.bags import mean_of
from mmr.index.encoded import columns
from mmr.index.muvera import Encodings
from mmr.index.table import adapter

if TYPE_CHECKING:
    from mmr.arrays.topk import Floats, Rows
    from mmr.index import Index, Segment
    from mmr.index.search import Wanted
    from mmr.stream.records import Record

    Allowed = Sequence[Rows | None]
    Column = Sequence[tuple[Rows, Rows, Floats]]

LEAST = 500  # candidates that are compared exactly


def places(index: Index, queries: Sequence[Record], wanted: Wanted) -> list[Nearest]:
    """Where the hits of queries with `vectors` (n, d) are, and their scores, (hits,) a query, best first.

    A score is the sum over the query's vectors of the best product with one of the item's. All allowed items
    are compared with `exact` and among fewer than `least`; else those whose mean vector is among the nearest
    to the mean of the query's, `refine` a hit and 500 at least; those whose encoding is, where the kind has
    encodings, `refine` a hit. With score=xtr an item counts by those of its
    vectors that are among the `near` nearest of all.
    """
    segments = index.segments()
    allowed = plain.allowed_rows(index, segments, wanted.where)
    names = plain.names_of(index, segments)
    excluded = [plain.rows_of(index, plain.excluded_names(query, wanted)) for query in queries]
    found: dict[int, Nearest] = {}
    for extra, members in _alike(queries, excluded).items():
        asked, more = [queries[i] for i in members], wanted._replace(k=wanted.k + extra)
        answers = _found(index, segments, allowed, asked, names, more)
        for i, answer in zip(members, answers, strict=True):
            found[i] = _without(answer, segments, excluded[i], wanted.k)
    for i in set(range(len(queries))) - found.keys():
        among = plain.rows_of(index, queries[i]["among"]) if "among" in queries[i] else None
        rows = plain.narrowed(segments, allowed, among, excluded[i])
        found[i] = _found(index, segments, rows, [queries[i]], names, wanted)[0]
    return [found[i] for i in range(len(queries))]


def _alike(queries: Sequence[Record], excluded: Sequence[plain.Places]) -> dict[int, list[int]]:
    """Queries that are searched as one batch, by how many items each leaves out."""
    groups: dict[int, list[int]] = {}
    for i, query in enumerate(queries):
        count = sum(len(rows) for rows in excluded[i].values())
        if "among" not in query and count <= plain.FEW:
            groups.setdefault(count, []).append(i)
    return groups


def _without(answer: Nearest, segments: Sequence[Segment], excluded: plain.Places, k: int) -> Nearest:
    """A query's hits without the excluded ones, k at most."""
    keep = np.ones(len(answer.part), bool)
    for number, segment in enumerate(segments):
        if segment.number in excluded:
            keep &= ~((answer.part == number) & np.isin(answer.row, excluded[segment.number]))
    return Nearest(answer.part[keep][:k], answer.row[keep][:k], answer.score[keep][:k])


def _found(
    index: Index, segments: Sequence[Segment], allowed: Allowed, queries: Sequence[Record], names: Any,
    wanted: Wanted,
) -> list[Nearest]:  # fmt: skip
    asked = stacked([query["vectors"] for query in queries])
    params = {**index.meta.params, **(wanted.knobs or {})}
    if params.get("score") == "xtr":
        return [
            _by_tokens(segments, allowed, asked[i], int(params["near"]), wanted.k, names)
            for i in range(len(asked))
        ]
    count = sum(
        segment.rows if rows is None else len(rows) for segment, rows in zip(segments, allowed, strict=True)
    )
    refine, kind = wanted.refine or int(params["refine"]), adapter(index.meta.kind)
    depth = max(LEAST, wanted.k * refine)
    if isinstance(kind, Encodings) and not wanted.exact:
        found = columns(kind, segments, allowed, asked, wanted.k, refine, params, names)
        return [_best(column, wanted.k, names) for column in found]
    if wanted.exact or count < int(params["least"]) or count <= depth:
        return _of_all(segments, allowed, asked, wanted.k, names)
    means = np.stack([mean_of(asked[i]) for i in range(len(asked))])
    close = plain.find(segments, allowed, means, depth, names, index, wanted)
    return [
        _of_some(segments, close.part[i], close.row[i], stacked([asked[i]]), wanted.k, names)
        for i in range(len(asked))
    ]


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


def _by_tokens(
    segments: Sequence[Segment], allowed: Allowed, query: Floats, count: int, k: int, names: Any
) -> Nearest:
    """The k best of the items that own one of the `count` vectors that are nearest to one of the query's."""
    bags = [segment.beside for segment in segments]
    parts = [Part(bag.rows, None if rows is None else _rows_of(bag, rows))
             for bag, rows in zip(bags, allowed, strict=True)]  # fmt: skip

    def owners(part: Rows, row: Rows) -> Rows:
        found = np.empty(len(part), np.int64)
        for number in np.unique(part).tolist():
            mine = part == number
            found[mine] = np.searchsorted(bags[number].offsets, row[mine], side="right") - 1
        return found

    def tokens(part: Rows, row: Rows) -> list[str]:
        ids = names(part, owners(part, row))
        return [f"{name}\0{number:015}" for name, number in zip(ids, row.tolist(), strict=True)]

    hits = nearest(query, parts, count, tokens)
    if not hits.row.size:
        return _best([], k, names)
    part, owner = hits.part.ravel(), owners(hits.part.ravel(), hits.row.ravel())
    items, place = np.unique(np.stack([part, owner], axis=1), axis=0, return_inverse=True)
    number, score = xtr(place.reshape(hits.row.shape), hits.score)
    return _best([(items[number, 0], items[number, 1], score.astype(np.float32))], k, names)


def _rows_of(bag: Ragged, items: Rows) -> Rows:
    """The numbers of the rows of some items, rising as these."""
    begins, counts = bag.offsets[items], bag.counts()[items]
    return np.repeat(begins - np.cumsum(counts) + counts, counts) + np.arange(int(counts.sum()))


def _best(column: Column, k: int, names: Any) -> Nearest:
    """The k best of what segments gave: (part, row, score) each."""
    none = (np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))
    part, row, score = (np.concatenate(one) for one in zip(none, *column, strict=True))
    order, _ = ranked(np.zeros(len(score), np.int64), part, row, score, names)
    best = order[:k]
    return Nearest(part[best], row[best], score[best])
