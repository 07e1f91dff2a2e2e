"""What the items of an index are made from: one vector each, or what a kind names in its row."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, Sequence
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mmr.arrays.unit import SLACK, unit
from mmr.errors import BadItem, Reject, UsageError, shown
from mmr.index.segments import as_stored
from mmr.index.table import parse

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mmr.arrays.topk import Nearest
    from mmr.index import AnyIndex, Index, Segment
    from mmr.index.catalogue import Meta
    from mmr.index.changer import Changer
    from mmr.index.search import Wanted
    from mmr.index.segments import Written
    from mmr.index.table import Params
    from mmr.stream.records import Record

    Rows = NDArray[np.int64]

ALL_ZEROS = "its vector is all zeros, which has no direction"
NOT_FINITE = "its vector holds a number that is infinite, not a number or too large"
OTHERS = {"vectors": "maxsim", "sparse": "sparse"}  # what a record may have, and the kind that takes it

Fields = Mapping[str, Any]
Kept = Sequence[tuple[int, "Rows"]]


def where(record: Fields) -> str:
    """What the user can look up: the record's place in the input, else its id."""
    place = getattr(record, "place", None)
    return str(place) if place is not None else f"the record {shown(str(record.get('id', '?')))}"


def bad(record: Fields, what: str, fix: str) -> BadItem:
    """The error of one record that the index does not take."""
    return BadItem(where(record), what, fix, stage="index", record=record)


class Ready(NamedTuple):
    """Records that can be stored, and what is stored of them, row i of record i.

    vectors  (n, d) as they will be read back
    beside   what their content keeps beside these, which has `only(rows)` too, or None
    """

    records: list[Fields]
    vectors: NDArray[np.floating]
    beside: Any = None

    def only(self, rows: Sequence[int]) -> Ready:
        """Some of the records, by number."""
        beside = None if self.beside is None else self.beside.only(rows)
        return Ready([self.records[row] for row in rows], self.vectors[list(rows)], beside)


class Content:
    """Items of one vector each, in `vector`. Others override what differs for them.

    field   of records, that an item cannot do without
    taken   fields that live in the files of segments, and are not stored once more with the others
    single  whether items are searched by one vector, which corrections and kept queries are of

    Every segment has `seg-N.npy`, one vector an item, also where a content keeps more beside it, so that
    dead rows, merges and everything that takes one vector an item work alike.
    """

    field = "vector"
    taken: frozenset[str] = frozenset()
    single = True

    def __init__(self, params: Params) -> None:
        self.params = params

    def has(self, record: Fields) -> bool:
        """Whether a record brings what an item is made from; one that does not may have been seen alone."""
        return record.get(self.field) is not None

    def missing(self, record: Fields) -> tuple[str, str] | None:
        """What a record lacks that comes, and what to do; else None."""
        if self.has(record):
            return None
        other = next((name for name in OTHERS if name in record), None)
        if other is not None:
            return f"it has {other} and no vector", f"make an index of those: --kind {OTHERS[other]}"
        return "it has no vector", "embed it first: mmr embed"

    def unusable(self, record: Fields) -> tuple[str, str] | None:
        """What is wrong with what it has, as far as the record alone tells, and what to do; else None."""
        vector = np.asarray(record["vector"], np.float32)
        if vector.any() and np.isfinite(vector).all():
            return None
        return NOT_FINITE if vector.any() else ALL_ZEROS, "embed it again"

    def dim(self, record: Fields) -> int:
        """The length of the record's vector; 0 where there is none."""
        return len(record["vector"])

    def weight(self, record: Fields) -> int:
        """About how many bytes the record holds while it waits to be written."""
        return 4 * len(record["vector"])

    def ready(self, records: Sequence[Fields], dtype: str, reject: Reject) -> Ready:
        """Bring what records of one dimension carry to unit length and to `dtype`.

        Zeros, and numbers that are not finite, go to `reject`. `"unit": false` keeps its length.
        """
        vectors = np.stack([np.asarray(record["vector"], np.float32) for record in records])
        wide = vectors.astype(np.float64)
        norms = np.sqrt(np.einsum("ij,ij->i", wide, wide))
        directed = np.array([record.get("unit") is not False for record in records])
        usable = np.isfinite(norms) & (norms > 0)
        off = usable & directed & (np.abs(norms - 1) > SLACK)
        if off.any():
            vectors[off] = unit(vectors[off])
        vectors[~usable] = 0
        with np.errstate(over="ignore"):
            stored = as_stored(vectors, dtype)
        usable &= np.isfinite(stored).all(axis=1)
        found = Ready(list(records), stored)
        if usable.all():
            return found
        for i in np.flatnonzero(~usable).tolist():
            reject(bad(records[i], ALL_ZEROS if norms[i] == 0 else NOT_FINITE, "embed it again"))
        return found.only(np.flatnonzero(usable).tolist())

    def written(self, changer: Changer, number: int, found: Ready) -> list[Written]:
        """Write what a new segment has beside its vectors."""
        return []

    def noted(self, changer: Changer, found: Ready) -> None:
        """Note in the catalogue what new items bring, inside the transaction that adds their segment."""

    def same(self, changer: Changer, number: int, rows: Rows, found: Ready, mine: Rows) -> NDArray[np.bool_]:
        """Whether `rows` of a stored segment hold, bit by bit, what the records `mine` bring."""
        equal: NDArray[np.bool_] = (changer.vectors(number)[rows] == found.vectors[mine]).all(axis=1)
        return equal

    def merged(self, changer: Changer, number: int, kept: Kept, meta: Meta) -> list[Written]:
        """Write what a merged segment has beside its vectors, of the rows kept of each segment, in order.

        meta  what the index becomes
        """
        return []

    def source(self, changer: Changer, number: int) -> Any:
        """What the kind's structure over a segment is built of."""
        return changer.vectors(number)

    def sample(self, changer: Changer, places: Rows) -> Any:
        """What a kind is trained on, of rows (m, 2) of (segment, row); None for their vectors."""
        return None

    def mapped(self, index: Index, segment: Segment, files: Mapping[str, FileIO]) -> Segment:
        """A segment with what it has beside its vectors, mapped from its open files by their names."""
        return segment

    def of_row(self, segment: Segment, row: int) -> dict[str, Any]:
        """The fields of one item that make it again: what a dump writes."""
        return {"vector": np.asarray(segment.vectors[row], np.float32)}

    def bytes_of(self, segment: Segment) -> int:
        """Bytes of what came in, as a segment stores it."""
        return int(segment.vectors.nbytes)

    def damage(self, folder: Path, number: int, rows: int, meta: Meta) -> Iterator[str]:
        """Yield what is wrong with what a segment has beside its vectors."""
        yield from ()

    def facts(self, index: Index) -> dict[str, Any]:
        """What `--info` says of it."""
        return {}

    def model_of(self, record: Fields, own: str | None) -> str | None:
        """The model that a record, also a query, states for what it brings; `own` is that of the index."""
        stated: str | None = record.get("model")
        return stated

    def answers(self, query: Record) -> bool:
        """Whether a query has what is searched with, so that nothing is to be embedded."""
        return "vector" in query or "recipe" in query

    def unfit(self, index: Index, query: Record) -> tuple[str, str] | None:
        """What is wrong with a query, and what to do; else None, and what it has is of unit length."""
        if "recipe" in query:
            return _unfit_recipe(index, query)
        vector = query.get("vector")
        if vector is None:
            found = next((name for name in OTHERS if name in query), None)
            what = f"has {found!r}, which this index does not answer" if found else (
                "has no vector, words or picture"
            )  # fmt: skip
            return what, 'give it a "vector", "text" or "image"'
        if len(vector) != index.meta.dim:
            what = f"{len(vector)} dimensions, but {index.path.name} has {index.meta.dim}"
            return what, "embed it with the index's model"
        if query.get("unit", True):
            length = float(np.linalg.norm(vector.astype(np.float64)))
            if not length > 0:
                return "a vector of zeros has no direction", "embed it again"
            if abs(length - 1) > SLACK:
                query["vector"] = unit(vector[None])[0]
        return None

    def places(self, index: Index, queries: Sequence[Record], wanted: Wanted) -> list[Nearest]:
        """Where the hits of each query are, and their scores, (hits,) a query, best first."""
        from mmr.index.search import by_vectors

        return by_vectors(index, queries, wanted)

    def whys(
        self, index: Index, queries: Sequence[Record], found: Sequence[Nearest], wanted: Wanted
    ) -> list[list[dict[str, Any]]]:
        """What the score of every hit is made of, as fields of it; `UsageError` where nothing is said."""
        raise UsageError(
            f"--explain says which terms matched, and {shown(index.path.name)} compares vectors.",
            "Leave it out; `mmr rerank METHOD --explain` says why hits moved.",
        )


def _unfit_recipe(index: Index, query: Record) -> tuple[str, str] | None:
    """What is wrong with a query that has a recipe; else None, and its named vectors are of unit length."""
    from mmr.index.recipes import asked

    try:
        vectors = dict(zip((one := asked(query)).recipe.names, one.vectors, strict=True))
        if one.vectors.shape[1] != index.meta.dim:
            dim = one.vectors.shape[1]
            raise ValueError(f"named vectors of {dim} dimensions, but {index.path.name} has {index.meta.dim}")
        zero = next((name for name, vector in vectors.items() if not vector.any()), None)
        if zero is not None:
            raise ValueError(f"{zero} is a vector of zeros, which has no direction")
    except ValueError as error:
        return str(error), "`mmr compose` writes recipes with their vectors"
    if query.get("unit", True):
        for name, vector in vectors.items():
            if abs(float(np.linalg.norm(vector.astype(np.float64))) - 1) > SLACK:
                query["bindings"] = {**query["bindings"], name: unit(vector[None])[0]}
    return None


def refuse_without_vectors(index: AnyIndex, what: str) -> None:
    """Raise `UsageError` where the items of an index have no vectors, which `what` needs."""
    if index.meta.dim == 0:
        raise UsageError(
            f"{what} needs vectors, and the items of {shown(index.path.name)} have none ({index.meta.kind}).",
            "Name the index of their vectors.",
        )


def content_of(kind: str, params: Params) -> Content:
    """The content of the items of a kind."""
    module, _, attribute = parse(kind)[0].content.partition(":")
    found: Content = getattr(importlib.import_module(module), attribute)(params)
    return found
