"""Search by recipes: scores of several named vectors, joined item by item; nothing is guessed.

Without a structure every allowed item is scored, and so it is with `exact`, and for recipes whose figures
are taken over the whole index. Otherwise each vector that is not negated proposes its nearest items, and the
union is scored exactly by all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmr.arrays import recipe as recipes
from mmr.arrays.topk import Floats, Nearest, Part, Rows, exact_scores, ranked
from mmr.index import search as plain

if TYPE_CHECKING:
    from mmr.arrays.topk import Names
    from mmr.index import Index, Segment
    from mmr.index.search import Wanted
    from mmr.stream.records import Record

PROPOSED = (10, 100)  # candidates that each vector proposes: this many a hit, and at least
MARGIN = 1e-5  # how far a float32 product may be from the exact one


class Asked(NamedTuple):
    """One query: its recipe, and the vectors (c, d) float32 of the recipe's names."""

    recipe: recipes.Recipe
    vectors: Floats


class Place(NamedTuple):
    """Candidates: the number of the segment and the row of each, (n,)."""

    part: Rows
    row: Rows


def asked(query: Record) -> Asked:
    """Read the recipe of a query. Raises `ValueError` for what is no recipe and for a missing vector."""
    recipe = recipes.read(query["recipe"])
    bindings = query.get("bindings", {})
    missing = [name for name in recipe.names if name not in bindings]
    if missing:
        raise ValueError(f'its recipe needs {" and ".join(missing)} in "bindings"')
    several = next((name for name in recipe.names if np.ndim(bindings[name]) != 1), None)
    if several is not None:
        raise ValueError(f"its recipe needs one vector for {several}, and it is a list")
    return Asked(recipe, np.stack([bindings[name] for name in recipe.names]).astype(np.float32, copy=False))


def places(
    index: Index, segments: Sequence[Segment], queries: Sequence[Record], wanted: Wanted
) -> list[Nearest]:
    """Where the hits of queries with recipes are, and their scores, (hits,) a query, best first."""
    allowed = plain.allowed_rows(index, segments, wanted.where)
    names = plain.names_of(index, segments)
    found = []
    for query in queries:
        one = asked(query)
        excluded = plain.rows_of(index, plain.excluded_names(query, wanted))
        among = plain.rows_of(index, query["among"]) if "among" in query else None
        rows = allowed
        if among is not None or excluded:
            rows = plain.narrowed(segments, allowed, among, excluded)
        walks = any(segment.structure is not None for segment in segments)
        if not walks or wanted.exact or one.recipe.whole or not one.recipe.seeds:
            found.append(_scanned(one, segments, rows, wanted.k, names))
        else:
            found.append(_proposed(one, index, segments, rows, wanted, names))
    return found


def _scanned(
    one: Asked, segments: Sequence[Segment], rows: Sequence[Rows | None], k: int, names: Names
) -> Nearest:
    """The k best of all allowed rows."""
    parts, numbers, scores = [np.empty(0, np.int64)], [np.empty(0, np.int64)], []
    for part, (segment, mine) in enumerate(zip(segments, rows, strict=True)):
        for chosen, vectors in Part(segment.vectors, mine).blocks():
            parts.append(np.full(len(chosen), part))
            numbers.append(chosen)
            scores.append(one.vectors @ vectors.T)
    everything = Place(np.concatenate(parts), np.concatenate(numbers))
    if not scores:
        return _best(one, everything, segments, {}, k, names)
    rough = dict(zip(one.recipe.names, np.concatenate(scores, axis=1), strict=True))
    over = _figures(one, rough, everything, segments)
    slope = one.recipe.slope(over)
    if np.isinf(slope) or len(everything.row) <= k:
        return _best(one, everything, segments, over, k, names)
    value = one.recipe.value(rough, over)
    most = max(1.0, *(float(np.abs(each).max()) for each in rough.values()))
    bound = np.partition(value, len(value) - k)[-k] - 2 * MARGIN * most * slope
    near = np.flatnonzero(value >= bound)
    return _best(one, Place(everything.part[near], everything.row[near]), segments, over, k, names)


def _proposed(
    one: Asked, index: Index, segments: Sequence[Segment], rows: Sequence[Rows | None], wanted: Wanted,
    names: Names,
) -> Nearest:  # fmt: skip
    """The k best of what the vectors propose."""
    depth = max(PROPOSED[0] * wanted.k, PROPOSED[1])
    seeds = [one.recipe.names.index(name) for name in one.recipe.seeds]
    found = plain.find(segments, rows, one.vectors[seeds], depth, names, index, wanted)
    union = np.unique(np.stack([found.part.ravel(), found.row.ravel()], axis=1), axis=0)
    return _best(one, Place(union[:, 0], union[:, 1]), segments, {}, wanted.k, names)


def _figures(
    one: Asked, rough: recipes.Scores, place: Place, segments: Sequence[Segment]
) -> dict[str, NDArray[np.floating]]:
    """The scores over which a recipe takes its figures: all, exactly, or the extremes alone where they do."""
    if not one.recipe.whole:
        return dict(rough)
    if one.recipe.score == "vote":
        return _exact(one, place, segments)
    figures = {}
    for name, scores in rough.items():
        slack = 2 * MARGIN * max(1.0, float(np.abs(scores).max()))
        ends = np.flatnonzero((scores <= scores.min() + slack) | (scores >= scores.max() - slack))
        figures[name] = _exact(one, Place(place.part[ends], place.row[ends]), segments, (name,))[name]
    return figures


def _exact(
    one: Asked, place: Place, segments: Sequence[Segment], names: Sequence[str] | None = None
) -> dict[str, Floats]:
    """Scores of candidates by named vectors, in float64 and rounded, as a plain search gives them."""
    wanted = one.recipe.names if names is None else names
    found = {name: np.empty(len(place.row), np.float32) for name in wanted}
    for part in np.unique(place.part):
        mine = np.flatnonzero(place.part == part)
        for name, scores in found.items():
            query = np.full(len(mine), one.recipe.names.index(name))
            scores[mine] = exact_scores(one.vectors, query, segments[part].vectors, place.row[mine])
    return found


def _best(
    one: Asked, place: Place, segments: Sequence[Segment], over: recipes.Scores, k: int, names: Names
) -> Nearest:
    """The k best of some candidates, scored exactly."""
    exact = _exact(one, place, segments)
    if len(place.row):
        score = one.recipe.value(exact, over or exact).astype(np.float32)
    else:
        score = np.empty(0, np.float32)
    order, _ = ranked(np.zeros(len(score), np.int64), place.part, place.row, score, names)
    best = order[:k]
    return Nearest(place.part[best], place.row[best], score[best])
