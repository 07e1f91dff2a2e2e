"""Fuse runs: the join of their hits, the score of each, and the fused rankings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmr.arrays.scales import SCALES
from mmr.errors import BadDataError
from mmr.rerank.fusion import WAYS, Cells, Wide, fused
from mmr.rerank.runs import Run, ranks, twice
from mmr.stream.ranking import order_by_score
from mmr.stream.spans import Hashes, Ints, Spans, equal, hashed, joined


@dataclass(frozen=True)
class Fused:
    """Fused rankings of g items in all, query by query, best first.

    queries  ids, in the order in which they are written
    start    (q + 1,): items start[i]:start[i + 1] are those of query i
    items    (g,) ids, score (g,) float32
    rank     (g, r) the place of each in each run, 0 where it has it not; value (g, r) its score there
    hit      (g, r) which hit of each run it is, -1 where none
    """

    queries: list[bytes]
    start: Ints
    items: Spans
    score: NDArray[np.float32]
    rank: Ints
    value: Wide
    hit: Ints


@dataclass(frozen=True)
class Joined:
    """Hits of several runs, side by side; those of an item of a query make one group.

    group  (n,) ascending by query; query (g,) of each group
    """

    run: Ints
    hit: Ints
    rank: Ints
    size: Ints
    group: Ints
    query: Ints
    first: Ints


def fuse(
    runs: Sequence[Run], method: str, *, scale: str | None = None, missing: str = "zero",
    depth: int | None = None, **params: Any,
) -> Fused:  # fmt: skip
    """Fuse runs by a method of `WAYS`.

    scale    of `SCALES`, put on each query's scores of each run; None takes them as they are
    missing  "zero": an item counts nothing where a run has it not. "min": it counts as that run's lowest
    depth    how many first hits of a query are taken of each run

    The result does not depend on the order of the runs. Raises `BadDataError` for an item that a run has
    twice for a query, and for a hit without a score where the method needs scores.
    """
    queries = query_order(runs)
    place = {name: number for number, name in enumerate(queries)}
    numbers = [np.array([place[name] for name in run.queries], np.int64) for run in runs]
    orders = [ranks(run, number) for run, number in zip(runs, numbers, strict=True)]
    values = [run.score for run in runs]
    if WAYS[method].scores:
        values = [_scaled(*pair, scale) for pair in zip(runs, orders, strict=True)]
    both = join(runs, numbers, orders, depth)
    g, r = len(both.query), len(runs)
    rank, hit = np.zeros((g, r), np.int64), np.full((g, r), -1)
    rank[both.group, both.run], hit[both.group, both.run] = both.rank, both.hit
    size = np.zeros((len(queries), r), np.int64)
    np.maximum.at(size, (both.query[both.group], both.run), both.rank)
    score = np.full((g, r), np.nan)
    for number in range(r):
        mine = hit[:, number] >= 0
        score[mine, number] = values[number][hit[mine, number]]
    if missing == "min":
        score = _filled(score, both.query, len(queries))
    union = np.bincount(both.query, minlength=len(queries))[both.query]
    cells = Cells(score, rank, size[both.query], union)
    found = fused(cells, method, **params).astype(np.float32)
    return _in_order(runs, queries, both, found, rank, hit)


def query_order(runs: Sequence[Run]) -> list[bytes]:
    """The queries of all runs: in their own order where all runs have the same, else by id."""
    first = runs[0].queries
    if all(run.queries == first for run in runs[1:]):
        return list(first)
    return sorted({name for run in runs for name in run.queries})


def join(
    runs: Sequence[Run], numbers: Sequence[Ints], orders: Sequence[tuple[Ints, Ints]], depth: int | None
) -> Joined:
    """Find which hits of the runs are of the same item for the same query."""
    kept = [(order, rank) if depth is None else (order[rank <= depth], rank[rank <= depth])
            for order, rank in orders]  # fmt: skip
    hit = np.concatenate([order for order, _ in kept])
    rank = np.concatenate([rank for _, rank in kept])
    run = np.repeat(np.arange(len(runs)), [len(order) for order, _ in kept])
    query = np.concatenate([number[one.query[order]] for one, number, (order, _) in
                            zip(runs, numbers, kept, strict=True)])  # fmt: skip
    items = joined([one.items.take(order) for one, (order, _) in zip(runs, kept, strict=True)])
    bits = np.uint64(max(1, int(query.max(initial=0)).bit_length()))
    keys = hashed(items)
    keys >>= bits
    keys |= query.astype(np.uint64) << (np.uint64(64) - bits)
    order = np.argsort(keys, kind="stable")
    keys, order = _distinct(items, keys, order, query)
    new = np.append(True, keys[order[1:]] != keys[order[:-1]])[: len(order)]
    group, first = np.cumsum(new) - 1, order[new]
    _once(runs, run[order], hit[order], group)
    return Joined(run[order], hit[order], rank[order], rank, group, query[first], first)


def _distinct(items: Spans, keys: Hashes, order: Ints, query: Ints) -> tuple[Hashes, Ints]:
    """Keys that are equal for equal ids alone; nearly always the given ones."""
    ordered = keys[order]
    same = np.flatnonzero(ordered[1:] == ordered[:-1])
    if equal(items.take(order[same]), items.take(order[same + 1])).all():
        return keys, order
    names: dict[tuple[int, bytes], int] = {}
    pairs = zip(query.tolist(), items.strings(), strict=True)
    number = np.array([names.setdefault(pair, len(names)) for pair in pairs], np.uint64)
    fresh = query.astype(np.uint64) << np.uint64(32) | number
    return fresh, np.argsort(fresh, kind="stable")


def _once(runs: Sequence[Run], run: Ints, hit: Ints, group: Ints) -> None:
    """Raise `BadDataError` where a run has two hits of a group."""
    again = np.flatnonzero((run[1:] == run[:-1]) & (group[1:] == group[:-1]))
    if len(again):
        one, two = sorted((int(hit[again[0]]), int(hit[again[0] + 1])))
        raise twice(runs[int(run[again[0]])], two, one)


def _scaled(run: Run, ordered: tuple[Ints, Ints], scale: str | None) -> Wide:
    """The scores of a run on a scale, query by query."""
    order, rank = ordered
    bad = np.flatnonzero(np.isnan(run.score))
    if len(bad):
        raise BadDataError(f"{run.source} line {run.line[bad[0]]}: a hit has no score",
                           "Fuse by places: --method rrf.")  # fmt: skip
    if scale is None:
        return run.score
    function = SCALES[scale]
    found = np.empty(len(run.score))
    begins = np.flatnonzero(rank == 1)
    ends = np.append(begins, len(rank))[1:]
    scores = run.score[order]
    out = np.empty(len(scores))
    for begin, end in zip(begins.tolist(), ends.tolist(), strict=True):
        part = scores[begin:end]
        try:
            out[begin:end] = function(part, part)
        except ValueError as error:
            name = run.queries[int(run.query[order[begin]])].decode()
            raise BadDataError(f"{run.source}, query {name}: {error}", "Take another --norm.") from None
    found[order] = out
    return found


def _filled(score: Wide, query: Ints, queries: int) -> Wide:
    """Scores with each run's lowest of the query where an item is missing; NaN where it has no hits."""
    found = score.copy()
    for column in found.T:
        held = ~np.isnan(column)
        lowest = np.full(queries, np.inf)
        np.minimum.at(lowest, query[held], column[held])
        lowest[np.isinf(lowest)] = np.nan
        column[~held] = lowest[query[~held]]
    return found


def _in_order(
    runs: Sequence[Run], queries: list[bytes], both: Joined, score: NDArray[np.float32], rank: Ints, hit: Ints
) -> Fused:
    """Put the groups of each query into the order of their scores."""
    owner = (hit >= 0).argmax(axis=1) if len(hit) else np.empty(0, np.int64)
    items = _items(runs, owner, hit[np.arange(len(hit)), owner] if len(hit) else owner)
    found = order_by_score(score, both.query, items, "docid-desc") if len(score) else None
    order = np.arange(len(score)) if found is None else found
    start = np.searchsorted(both.query, np.arange(len(queries) + 1))
    value = np.full(hit.shape, np.nan)
    for column in range(len(runs)):
        mine = hit[:, column] >= 0
        value[mine, column] = runs[column].score[hit[mine, column]]
    return Fused(queries, start, items.take(order), score[order], rank[order], value[order], hit[order])


def _items(runs: Sequence[Run], owner: Ints, hit: Ints) -> Spans:
    """The ids of hits, each of the run that owns it."""
    whole = joined([run.items for run in runs])
    shift = np.cumsum([0, *(len(run.items) for run in runs)])[:-1]
    return whole.take(shift[owner] + hit)
