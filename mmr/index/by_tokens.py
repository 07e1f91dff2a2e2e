"""Search items by those of their vectors that are near the query's: XTR's score, or candidates for MaxSim."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mmr.arrays.topk import Part, exact_scores, nearest, ranked
from mmr.arrays.xtr import xtr
from mmr.index.catalogue import ROW_BITS

if TYPE_CHECKING:
    from mmr.arrays.ragged import Ragged
    from mmr.arrays.topk import Floats, Rows
    from mmr.index import Segment
    from mmr.index.table import Params
    from mmr.index.tokens import Tokens

    Allowed = Sequence[Rows | None]

FEW = 20  # a segment of which fewer than one row in so many is allowed is compared as a whole
MORE = 10


class Scored(NamedTuple):
    """Items by segment and row, and their scores, (m,) each."""

    part: Rows
    row: Rows
    score: Floats


class Told(NamedTuple):
    """How near vectors are looked for: how many of each of the query's, by which structure, if by one."""

    near: int
    kind: Tokens | None
    params: Params


def scored(segments: Sequence[Segment], allowed: Allowed, query: Floats, told: Told, names: Any) -> Scored:
    """The items that own one of the `near` vectors that are nearest to one of a query's (n, d), by XTR."""
    bags = [segment.beside for segment in segments]
    which, part, row, score, place = _hits(segments, allowed, query, told, names)
    shape = (len(query), int(place.max(initial=-1)) + 1)
    items, scores = np.full(shape, -1, np.int64), np.zeros(shape, np.float64)
    items[which, place], scores[which, place] = part << ROW_BITS | _owners(bags, part, row), score
    found, value = xtr(items, scores)
    return Scored(found >> ROW_BITS, found & ((1 << ROW_BITS) - 1), value.astype(np.float32))


def _hits(
    segments: Sequence[Segment], allowed: Allowed, query: Floats, told: Told, names: Any
) -> tuple[Rows, Rows, Rows, Floats, Rows]:
    """The nearest vectors: (row of the query, segment, row, product, place) of each."""
    bags = [segment.beside for segment in segments]

    def tokens(part: Rows, row: Rows) -> list[str]:
        ids = names(part, _owners(bags, part, row))
        return [f"{name}\0{number:015}" for name, number in zip(ids, row.tolist(), strict=True)]

    walked = {
        i: rows for i, segment in enumerate(segments)
        if (rows := _walked(segment, allowed[i], query, told)) is not None
    }  # fmt: skip
    none = np.empty(0, np.int64)
    parts = [Part(bag.rows, none if i in walked else None if rows is None else rows_of(bag, rows))
             for i, (bag, rows) in enumerate(zip(bags, allowed, strict=True))]  # fmt: skip
    answer = nearest(query, parts, told.near, tokens)
    width = answer.row.shape[1]
    columns = [(np.repeat(np.arange(len(query)), width), answer.part.ravel(), answer.row.ravel(),
                answer.score.ravel())]  # fmt: skip
    for i, (which, row) in walked.items():
        columns.append((which, np.full(len(row), i), row, exact_scores(query, which, bags[i].rows, row)))
    which, part, row, score = (np.concatenate(column) for column in zip(*columns, strict=True))
    order, place = ranked(which, part, row, score, tokens)
    best = place < told.near
    chosen = order[best]
    return which[chosen], part[chosen], row[chosen], score[chosen], place[best]


def _walked(segment: Segment, allowed: Rows | None, query: Floats, told: Told) -> tuple[Rows, Rows] | None:
    """(row of the query, row) of what the segment's structure proposes; None where all are compared."""
    bag = segment.beside
    if told.kind is None or segment.structure is None:
        return None
    if allowed is not None and len(allowed) * FEW < segment.rows:
        return None
    share = 1.0 if allowed is None else len(allowed) / segment.rows
    try:
        found = told.kind.near(
            segment.structure, bag, query, ceil((told.near + MORE) / share), told.params, share
        )
    except FileNotFoundError:  # merged away since the index was opened
        return None
    good = found >= 0
    if allowed is not None:
        mask = np.zeros(segment.rows, bool)
        mask[allowed] = True
        good &= mask[np.searchsorted(bag.offsets, found, side="right") - 1]
    which, column = np.nonzero(good)
    return which, found[which, column]


def _owners(bags: Sequence[Ragged], part: Rows, row: Rows) -> Rows:
    """The items that own rows."""
    found = np.empty(len(part), np.int64)
    for number in np.unique(part).tolist():
        mine = part == number
        found[mine] = np.searchsorted(bags[number].offsets, row[mine], side="right") - 1
    return found


def rows_of(bag: Ragged, items: Rows) -> Rows:
    """The numbers of the rows of some items, rising as these."""
    begins, counts = bag.offsets[items], bag.counts()[items]
    return np.repeat(begins - np.cumsum(counts) + counts, counts) + np.arange(int(counts.sum()))
