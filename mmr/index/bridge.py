"""Search across two models: queries mapped to the rows that they are compared with, scores made comparable.

A query is compared with rows of its own model as it is, and with rows of the other one after it was mapped to
their space. Scores of mapped queries are lower and lie closer together. They are brought to the query's own
scale by items that both models have seen, which the index keeps while it is embedded anew: of these the mean
and the spread of the query's scores, in the one space and in the other, are made equal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from io import FileIO
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mmr.arrays.topk import Nearest, ranked
from mmr.arrays.unit import SLACK, unit
from mmr.errors import BadDataError, shown
from mmr.index import mapped
from mmr.index.mapped import BACK, NEW, OLD, THERE
from mmr.index.segments import map_vectors
from mmr.stream.records import Record, add_step

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mmr.index import Index, Segment
    from mmr.index.search import Wanted

    Rows = NDArray[np.floating]

LEAST = 32  # items seen by both models, below which scores of mapped queries stay as they are

AGAIN = "`mmr index INDEX --query-map FILE` puts the map in anew."

Search = Callable[["Index", "Sequence[Segment]", Sequence[Record], "Wanted"], list[Nearest]]


class Bridge(NamedTuple):
    """The map of an index, read.

    there, back  float64 (d of the index, d of the new model), and the other way
    old, new     float64 (m, d) rows of the same items in both models
    """

    there: NDArray[np.float64]
    back: NDArray[np.float64]
    old: NDArray[np.float64]
    new: NDArray[np.float64]

    def crossed(self, vector: Rows, *, back: bool) -> NDArray[np.float32]:
        """A vector (d,) of the new model in the index's space, or `back`; of unit length.

        In one fixed order, so that the batch does not show. Zeros where nothing is left of it.
        """
        matrix = self.back if back else self.there
        with np.errstate(over="ignore", invalid="ignore"):
            found = np.einsum("ij,j->i", matrix, np.asarray(vector, np.float64))
            length = np.sqrt(np.einsum("i,i->", found, found))
        if not 0 < length < np.inf:
            return np.zeros(len(matrix), np.float32)
        return np.asarray(found / length, np.float32)

    def scale(self, vector: Rows, crossed: Rows, *, back: bool) -> tuple[float, float]:
        """Factor (above 0) and shift that bring scores of a query that was mapped to its own scale."""
        if len(self.old) < LEAST:
            return 1.0, 0.0
        own, other = (self.old, self.new) if back else (self.new, self.old)
        mine = np.einsum("ij,j->i", own, np.asarray(vector, np.float64))
        theirs = np.einsum("ij,j->i", other, np.asarray(crossed, np.float64))
        factor = float(mine.std() / theirs.std()) if mine.std() > 0 and theirs.std() > 0 else 1.0
        return factor, float(mine.mean() - factor * theirs.mean())


def read(index: Index, files: Mapping[str, FileIO]) -> Bridge:
    """The map that an index holds, of its open files by their names.

    Raises `BadDataError` where these are not what they should be.
    """
    meta, held = index.meta, index.meta.query_map
    assert held is not None
    shapes = {THERE: (meta.dim, held.dim, "float64"), BACK: (held.dim, meta.dim, "float64"),
              OLD: (held.pairs, meta.dim, "float32"), NEW: (held.pairs, held.dim, "float32")}  # fmt: skip
    found = []
    for name, (rows, dim, dtype) in shapes.items():
        if rows:
            file = files.get(held.files.get(name, ""))
            if file is None:
                raise BadDataError(f"{shown(str(index.path))} lacks a file of its map ({name})", AGAIN)
            found.append(np.asarray(map_vectors(file, rows, dim, dtype), np.float64))
        else:
            found.append(np.empty((0, dim)))
        if not np.isfinite(found[-1]).all():
            what = f"{shown(held.files[name])} of {shown(str(index.path))} holds numbers that are not finite"
            raise BadDataError(what, AGAIN)
    return Bridge(*found)


def unfit(index: Index, query: Record, model: str | None) -> tuple[str, str] | None:
    """Map a query of the new model, or get it ready for rows of both; what is wrong with it and what to do.

    model  of a vector that names none

    While all rows are of one model the query's vectors become the index's, and it says so; where rows are of
    both it stays what it is, and names its model.
    """
    held = index.meta.query_map
    assert held is not None
    mixed, new = index.is_mixed(), held.takes(query.get("model") or model)
    if mixed and "recipe" in query:
        return ("a recipe scores by several vectors, and rows are of two models while the index is embedded "
                "anew", "ask again when that is done")  # fmt: skip
    if mixed or new:
        add_step(query, held.step)
    if not new:
        return index.content.unfit(index, query)
    problem = _unready(query, held.dim)
    if problem is not None:
        return problem
    if mixed:
        query["model"] = held.model
        return None
    across = index.bridge()
    if "recipe" in query:
        query["bindings"] = {name: _each(across, value) for name, value in query["bindings"].items()}
    else:
        query["vector"] = across.crossed(query["vector"], back=False)
    query["model"] = index.meta.model
    query.pop("unit", None)
    return index.content.unfit(index, query)


def _each(across: Bridge, value: Any) -> NDArray[np.float32]:
    """A named vector (d,), or several (k, d), in the index's space."""
    if np.ndim(value) == 1:
        return across.crossed(value, back=False)
    return np.stack([across.crossed(row, back=False) for row in value])


def _unready(query: Record, dim: int) -> tuple[str, str] | None:
    """What keeps a query of the new model from being mapped; its vector is of unit length then."""
    if "recipe" in query:
        wrong = next((name for name, value in query["bindings"].items() if np.shape(value)[-1] != dim), None)
        what = f"{shown(wrong or '')} has not the {dim:,} numbers of its model"
        return None if wrong is None else (what, "embed it again")
    vector = query.get("vector")
    if vector is None:
        return "has no vector, words or picture", 'give it a "vector", "text" or "image"'
    if len(vector) != dim:
        return f"{len(vector):,} dimensions, but its model has {dim:,}", "embed it again"
    length = float(np.linalg.norm(np.asarray(vector, np.float64)))
    if length == 0:
        return "a vector of zeros has no direction", "embed it again"
    if query.get("unit", True) and abs(length - 1) > SLACK:
        query["vector"] = unit(vector[None])[0]
    return None


def places(index: Index, queries: Sequence[Record], wanted: Wanted, search: Search) -> list[Nearest]:
    """Where the hits of each query are among rows of both models, best first, and their scores.

    search  over some segments, with vectors of their model
    """
    from mmr.index.search import names_of

    if any("recipe" in query for query in queries):
        mapped.refuse_mixed(index, "a recipe")
    if wanted.with_vectors:
        mapped.refuse_mixed(index, "--with-vectors")
    held, segments, across = index.meta.query_map, index.segments(), index.bridge()
    assert held is not None
    sides = [[place for place, one in enumerate(segments) if mapped.is_new(index.meta, one.model) == new]
             for new in (False, True)]  # fmt: skip
    names, found = names_of(index, segments), dict[int, Nearest]()
    for new in (False, True):
        members = [i for i, query in enumerate(queries) if held.takes(query.get("model")) == new]
        asked = [queries[i] for i in members]
        vectors = [across.crossed(query["vector"], back=not new) for query in asked]
        turned = [Record({**query, "vector": vector}) for query, vector in zip(asked, vectors, strict=True)]
        here = search(index, [segments[place] for place in sides[new]], asked, wanted)
        there = search(index, [segments[place] for place in sides[not new]], turned, wanted)
        for i, query, other, own, far in zip(members, asked, turned, here, there, strict=True):
            factor, shift = across.scale(query["vector"], other["vector"], back=not new)
            scaled = far._replace(score=(factor * far.score.astype(np.float64) + shift).astype(np.float32))
            parts = [(sides[new], own), (sides[not new], scaled)]
            found[i] = _merged(parts, wanted.k, names)
    return [found[i] for i in range(len(queries))]


def _merged(parts: Sequence[tuple[list[int], Nearest]], k: int, names: Any) -> Nearest:
    """One query's hits of several searches, each over the segments named, in the one order."""
    part = np.concatenate([np.array(places, np.int64)[one.part] for places, one in parts])
    row = np.concatenate([one.row for _, one in parts])
    score = np.concatenate([one.score for _, one in parts])
    best = ranked(np.zeros(len(part), np.int64), part, row, score, names)[0][:k]
    return Nearest(part[best], row[best], score[best])
