"""Assign items to queries so that the scores add up to the most: each query one item, each item so many."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SMALL = 1 << 14  # cells of a matrix that is not worth a graph


class Assigned(NamedTuple):
    """Which edges were chosen, ascending (c,), and the largest component: its rows, columns and bytes."""

    edges: Ints
    rows: int
    columns: int
    bytes: int


def assigned(
    row: Ints, column: Ints, score: Floats, capacity: Ints | None = None, floor: float | None = None,
    dense: bool | None = None,
) -> Assigned:  # fmt: skip
    """Choose edges so that no row has two, no column more than its capacity, and the scores add up to most.

    row, column, score  (e,) the edges: a row may have that column, at that score; no edge twice
    capacity            (columns,) how many rows a column may have, 1 where None
    floor               the score of having none: a row stays alone rather than take an edge at or under it.
                        None: as many rows as possible get a column, and only then scores count
    dense               solve components as matrices, or as graphs; None: what holds less

    Connected components are solved one by one, by `scipy.optimize.linear_sum_assignment` or, where most pairs
    are missing, by `scipy.sparse.csgraph.min_weight_full_bipartite_matching` (Kuhn 1955), which takes a
    quarter of the time at one pair in twenty.
    """
    edges = np.arange(len(row)) if floor is None else np.flatnonzero(score > floor)
    chosen: list[Ints] = []
    largest = (0, 0, 0)
    for members in _components(row, column, edges):
        found, held = _solved(row[members], column[members], score[members], capacity, floor, dense)
        chosen.append(members[found])
        largest = max(largest, held, key=lambda size: size[2])
    none = np.empty(0, np.int64)
    return Assigned(np.sort(np.concatenate([none, *chosen])), *largest)


def _components(row: Ints, column: Ints, edges: Ints) -> Iterator[Ints]:
    """The edges of each connected component, ascending."""
    if not len(edges):
        return
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    rows = int(row.max()) + 1
    size = rows + int(column.max()) + 1
    graph = coo_array((np.ones(len(edges), np.int8), (row[edges], rows + column[edges])), (size, size))
    _, labels = connected_components(graph, directed=False)
    mine = labels[row[edges]]
    order = np.argsort(mine, kind="stable")
    for members in np.split(order, np.flatnonzero(np.diff(mine[order])) + 1):
        yield edges[members]


def _solved(
    row: Ints, column: Ints, score: Floats, capacity: Ints | None, floor: float | None, dense: bool | None
) -> tuple[Ints, tuple[int, int, int]]:
    """The chosen edges of one component, and its rows, columns and bytes."""
    rows, r = np.unique(row, return_inverse=True)
    columns, c = np.unique(column, return_inverse=True)
    if floor is None:
        floor = float(score.min()) - (float(score.max()) - float(score.min()) + 1) * len(rows)
    gain = score - floor
    copies = np.ones(len(columns), np.int64)
    if capacity is not None:
        copies = np.minimum(capacity[columns], np.bincount(c))
    starts = np.cumsum(copies) - copies
    places = int(copies.sum())
    edge = np.repeat(np.arange(len(r)), copies[c])
    place = starts[c[edge]] + (np.arange(len(edge)) - np.repeat(np.cumsum(copies[c]) - copies[c], copies[c]))
    size = len(rows) * places
    if dense or not size or (dense is None and (size <= SMALL or size <= 2 * len(edge))):
        pairs, held = _dense(r[edge], place, gain[edge], len(rows), places), size * 8
    else:
        pairs = _sparse(r[edge], place, gain[edge], len(rows), places)
        held = (len(edge) + len(rows)) * 16
    owner = np.repeat(np.arange(len(columns)), copies)
    known = dict(zip(zip(r.tolist(), c.tolist(), strict=True), range(len(r)), strict=True))
    found = [known.get((one, int(owner[other]))) for one, other in pairs]
    return np.array([place for place in found if place is not None], np.int64), (len(rows), places, held)


def _dense(r: Ints, c: Ints, gain: Floats, rows: int, columns: int) -> Iterator[tuple[int, int]]:
    """What is not an edge gains nothing, and so does a row without a column."""
    from scipy.optimize import linear_sum_assignment

    matrix = np.zeros((rows, columns))
    matrix[r, c] = gain
    yield from zip(*(side.tolist() for side in linear_sum_assignment(matrix, maximize=True)), strict=True)


def _sparse(r: Ints, c: Ints, gain: Floats, rows: int, columns: int) -> Iterator[tuple[int, int]]:
    """Every row has a column of its own besides, which gains nothing; a full matching wants costs above 0."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import min_weight_full_bipartite_matching

    most = float(gain.max()) + 1
    own = np.arange(rows)
    values = np.concatenate([most - gain, np.full(rows, most)])
    where = np.concatenate([r, own]), np.concatenate([c, columns + own])
    graph = csr_array((values, where), (rows, columns + rows))
    for one, other in zip(
        *(side.tolist() for side in min_weight_full_bipartite_matching(graph)), strict=True
    ):
        if other < columns:
            yield one, other
