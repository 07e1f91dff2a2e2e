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
from mmr.index.by_tokens import Told, scored
from mmr.index.encoded import columns
from mmr.index.muvera import Encodings
from mmr.index.table import adapter
from mmr.index.tokens import Tokens

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
    are compared with `exact` and among fewer than `least`; else, `refine` a hit and 500 at least, those whose
    mean is nearest to the mean of the query's, or, of kind tokens, that have the best vectors near the
    query's; of kind muvera, `refine` a hit, those whose encoding is nearest. With score=xtr an item counts by
    those of its vectors that are among the `near` nearest of all.
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
    count = sum(
        segment.rows if rows is None else len(rows) for segment, rows in zip(segments, allowed, strict=True)
    )
    refine, kind = wanted.refine or int(params["refine"]), adapter(index.meta.kind)
    depth = max(LEAST, wanted.k * refine)
    tokens = kind if isinstance(kind, Tokens) and not wanted.exact else None
    told = Told(int(params.get("near", 0)), tokens, params)
    if params.get("score") == "xtr":
        near_ones = [scored(segments, allowed, asked[i], told, names) for i in range(len(asked))]
        return [_best([one], wanted.k, names) for one in near_ones]
    if isinstance(kind, Encodings) and not wanted.exact:
        found = columns(kind, segments, allowed, asked, wanted.k, refine, params, names)
        return [_best(column, wanted.k, names) for column in found]
    if wanted.exact or count < int(params["least"]) or count <= depth:
        return _of_all(segments, allowed, asked, wanted.k, names)
    if tokens is not None:
        return [
            _proposed(segments, allowed, stacked([asked[i]]), told, wanted.k, depth, names)
            for i in range(len(asked))
        ]
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


def _proposed(
    segments: Sequence[Segment], allowed: Allowed, query: Ragged, told: Told, k: int, depth: int, names: Any
) -> Nearest:
    """The k best of `depth` items with vectors near the query's; of all where these are fewer than k."""
    some = _best([scored(segments, allowed, query[0], told, names)], depth, names)
    if len(some.row) < k:
        return _of_all(segments, allowed, query, k, names)[0]
    return _of_some(segments, some.part, some.row, query, k, names)


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


def _best(column: Column, k: int, names: Any) -> Nearest:
    """The k best of what segments gave: (part, row, score) each."""
    none = (np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))
    part, row, score = (np.concatenate(one) for one in zip(none, *column, strict=True))
    order, _ = ranked(np.zeros(len(score), np.int64), part, row, score, names)
    best = order[:k]
    return Nearest(part[best], row[best], score[best])
