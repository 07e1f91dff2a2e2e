"""Rankings joined with judgements, as flat arrays: what every measure reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Judged:
    """The judged items that the rankings of q queries hold, and what was judged at all.

    queries    the q query ids
    start      (q + 1,): rows start[i]:start[i + 1] belong to query i, by rank ascending
    rank       (m,): place in the ranking, from 1, unjudged items counted
    rel        (m,): the judgement; negative is judged but excluded
    first, last  (m,): places of the first and the last item that has the row's score
    retrieved  (q,): length of each ranking
    pool_start (q + 1,), pool: every judgement of a query, retrieved or not, descending
    hit_start  (q + 1,), scores: the score of every item retrieved, by rank; empty unless asked for
    average    measures are expectations over all orders of equal scores
    gallery    number of items that could be retrieved, where it is known
    fields     of each query, for breakdowns: name -> q values (None where a query lacks it)
    among      the same rankings cut down to each query's own candidates, where there are some
    """

    queries: Sequence[str]
    start: Ints
    rank: Ints
    rel: Ints
    first: Ints
    last: Ints
    retrieved: Ints
    pool_start: Ints
    pool: Ints
    hit_start: Ints
    scores: Floats
    average: bool = False
    gallery: int | None = None
    fields: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    among: Judged | None = None

    @cached_property
    def row(self) -> Ints:
        """(m,): the number of the query that each row belongs to."""
        return np.repeat(np.arange(len(self.retrieved)), np.diff(self.start))

    def field(self, name: str) -> Sequence[Any]:
        """q values of a field of the queries; None for all where no query has it."""
        return self.fields.get(name) or [None] * len(self.queries)

    def relevant(self, rel: int = 1) -> Ints:
        """(q,): how many judged items of each query have at least that judgement, retrieved or not."""
        return self.per_query(self.pool >= rel, self.pool_start)

    def per_query(self, values: NDArray[Any], start: Ints | None = None) -> NDArray[Any]:
        """(q,): the sum of a value a row over each query, added in the order of rows (of ranks).

        Whole numbers stay whole; `start` names another set of bounds (`pool_start`, `hit_start`).
        """
        queries = len(self.retrieved)
        owner = self.row if start is None else np.repeat(np.arange(queries), np.diff(start))
        sums = np.bincount(owner, weights=values, minlength=queries)
        return sums if values.dtype.kind == "f" else sums.astype(np.int64)


def concatenated(blocks: Sequence[Judged]) -> Judged:
    """Join blocks of queries into one, in their order. Needs at least one block."""
    if len(blocks) == 1:
        return blocks[0]
    first = blocks[0]
    names = dict.fromkeys(name for block in blocks for name in block.fields)
    inner = [block.among for block in blocks]
    return Judged(
        queries=[query for block in blocks for query in block.queries],
        start=_bounds([block.start for block in blocks]),
        rank=np.concatenate([block.rank for block in blocks]),
        rel=np.concatenate([block.rel for block in blocks]),
        first=np.concatenate([block.first for block in blocks]),
        last=np.concatenate([block.last for block in blocks]),
        retrieved=np.concatenate([block.retrieved for block in blocks]),
        pool_start=_bounds([block.pool_start for block in blocks]),
        pool=np.concatenate([block.pool for block in blocks]),
        hit_start=_bounds([block.hit_start for block in blocks]),
        scores=np.concatenate([block.scores for block in blocks]),
        average=first.average,
        gallery=first.gallery,
        fields={name: [value for block in blocks for value in block.field(name)] for name in names},
        among=concatenated([part for part in inner if part is not None]) if None not in inner else None,
    )


def _bounds(starts: Sequence[Ints]) -> Ints:
    """The bounds of joined blocks, from the bounds of each."""
    sizes = np.concatenate([np.diff(start) for start in starts])
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
