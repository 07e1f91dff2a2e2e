"""Items of several vectors each, without padding: all rows of a segment in one file, and where each begins.

Beside the vector of an item, which is the mean of its own ones, a segment keeps `seg-N-rows.npy` (t, d) and
`seg-N-offsets.npy` (n + 1, 1).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from io import BufferedReader, FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mmr.arrays.ragged import Ragged, stacked
from mmr.arrays.unit import SLACK, unit
from mmr.errors import BadDataError, Reject, shown
from mmr.index.content import Content, Fields, Ready, bad
from mmr.index.segments import as_stored, map_vectors, write_vectors

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mmr.arrays.topk import Nearest
    from mmr.index import Index, Segment
    from mmr.index.catalogue import Meta
    from mmr.index.changer import Changer
    from mmr.index.content import Kept, Rows
    from mmr.index.search import Wanted
    from mmr.index.segments import Written
    from mmr.stream.records import Record

LONGEST = "longest"  # in the catalogue: no row is longer
ROUNDED = 1.001  # how much longer another type can make a row
COPY_ROWS = 1 << 15
NO_TOKENS = "`mmr embed --tokens`, or --grid with cells of pictures and one vector of words, writes vectors"


class Bag(NamedTuple):
    """The vectors of some items: rows (t, d) as they will be read back, item i has those from offsets[i]."""

    rows: NDArray[np.floating]
    offsets: Rows

    def only(self, rows: Sequence[int]) -> Bag:
        """The same of some of the items."""
        counts = np.diff(self.offsets)[list(rows)]
        pieces = [self.rows[self.offsets[row] : self.offsets[row + 1]] for row in rows]
        return Bag(np.concatenate([self.rows[:0], *pieces]), _offsets(counts))


class Bags(Content):
    """Items of several vectors each, in `vectors`."""

    field = "vectors"
    taken = frozenset({"vectors"})
    single = False

    def missing(self, record: Fields) -> tuple[str, str] | None:
        """What a record lacks that comes, and what to do; else None."""
        if not self.has(record):
            has = "one vector and no vectors" if "vector" in record else "no vectors"
            return f"it has {has}", NO_TOKENS
        if np.ndim(record["vectors"]) != 2 or not np.size(record["vectors"]):
            return "its vectors are no table of numbers", NO_TOKENS
        return None

    def unusable(self, record: Fields) -> tuple[str, str] | None:
        """What is wrong with its vectors, and what to do; else None."""
        return _unusable(np.asarray(record["vectors"], np.float32))

    def dim(self, record: Fields) -> int:
        """The length of the record's vectors."""
        return int(np.shape(record["vectors"])[1])

    def weight(self, record: Fields) -> int:
        """About how many bytes the record holds while it waits to be written."""
        return 4 * int(np.size(record["vectors"]))

    def ready(self, records: Sequence[Fields], dtype: str, reject: Reject) -> Ready:
        """Bring the vectors of records to unit length and to `dtype`, and take their mean.

        `"unit": false` keeps their lengths. A record with a vector that cannot be stored goes to `reject`.
        """
        found, means, kept = [], [], []
        for record in records:
            rows = np.asarray(record["vectors"], np.float32)
            wide = rows.astype(np.float64)
            off = np.abs(np.sqrt(np.einsum("ij,ij->i", wide, wide)) - 1) > SLACK
            if record.get("unit") is not False and off.any():
                rows = np.where(off[:, None], unit(rows), rows)
            with np.errstate(over="ignore"):
                stored = as_stored(rows, dtype)
            problem = _unusable(np.asarray(stored, np.float32))
            if problem is not None:
                reject(bad(record, *problem))
                continue
            kept.append(record)
            found.append(stored)
            means.append(mean_of(stored))
        if not kept:
            return Ready([], np.empty((0, self.dim(records[0])), np.float32))
        counts = np.array([len(rows) for rows in found])
        return Ready(kept, as_stored(np.stack(means), dtype), Bag(np.concatenate(found), _offsets(counts)))

    def written(self, changer: Changer, number: int, found: Ready) -> list[Written]:
        """Write the rows and the offsets of a new segment."""
        assert changer.meta is not None
        bag: Bag = found.beside
        return _write(changer, number, [bag.rows], np.diff(bag.offsets), changer.meta)

    def noted(self, changer: Changer, found: Ready) -> None:
        """Note a length that no row is above, which comparing them takes into account."""
        wide = np.asarray(found.beside.rows, np.float64)
        longest = ROUNDED * float(np.einsum("ij,ij->i", wide, wide).max(initial=0)) ** 0.5
        if longest > _longest(changer):
            changer.connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (LONGEST, repr(longest)))

    def same(self, changer: Changer, number: int, rows: Rows, found: Ready, mine: Rows) -> NDArray[np.bool_]:
        """Whether `rows` of a stored segment hold, bit by bit, what the records `mine` bring."""
        held, bag = held_by(changer, number), found.beside
        pairs = zip(rows.tolist(), mine.tolist(), strict=True)
        return np.array([
            np.array_equal(held[row], bag.rows[bag.offsets[own] : bag.offsets[own + 1]])
            for row, own in pairs
        ], np.bool_)  # fmt: skip

    def merged(self, changer: Changer, number: int, kept: Kept, meta: Meta) -> list[Written]:
        """Gather the rows of the items that a merged segment keeps."""
        counts = [held_by(changer, old).counts()[rows] for old, rows in kept]

        def gathered() -> Iterator[NDArray[np.floating]]:
            for old, items in kept:
                for _, rows, _ in held_by(changer, old).blocks(items, COPY_ROWS):
                    yield as_stored(rows, meta.dtype)

        return _write(changer, number, gathered(), np.concatenate([np.empty(0, np.int64), *counts]), meta)

    def source(self, changer: Changer, number: int) -> Ragged:
        """What a structure over a segment is built of."""
        return held_by(changer, number)

    def sample(self, changer: Changer, places: Rows) -> Ragged:
        """What a kind is trained on: the vectors of the items at rows (m, 2) of (segment, row)."""
        return stacked([held_by(changer, number)[row] for number, row in places.tolist()])

    def mapped(self, index: Index, segment: Segment, files: Mapping[str, FileIO]) -> Segment:
        """The segment with its `Ragged` vectors."""
        longest = float(index.noted(LONGEST) or 1.0)  # type: ignore[arg-type]
        rows, offsets = _names(segment.number)
        bags = _mapped(files[rows], files[offsets], segment.rows, index.meta, longest)
        return segment._replace(beside=bags)

    def of_row(self, segment: Segment, row: int) -> dict[str, Any]:
        """The vectors of one item."""
        return {"vectors": segment.beside[row]}

    def bytes_of(self, segment: Segment) -> int:
        """Bytes of the vectors, of where each item's begin, and of the items' means."""
        bags: Ragged = segment.beside
        return int(segment.vectors.nbytes) + int(bags.rows.nbytes) + int(bags.offsets.nbytes)

    def damage(self, folder: Path, number: int, rows: int, meta: Meta) -> Iterator[str]:
        """Yield what is wrong with rows and offsets of a segment."""
        names = _names(number)
        try:
            with open(folder / names[0], "rb") as file, open(folder / names[1], "rb") as offsets:
                found = _mapped(file, offsets, rows, meta, 1.0)
        except (BadDataError, ValueError, OSError) as error:
            yield f"segment {number}, its several vectors an item: {error}"
            return
        if (found.counts() < 1).any():
            yield f"{names[1]}: an item has no vectors"

    def facts(self, index: Index) -> dict[str, Any]:
        """How many vectors there are, and of how many the longest item is."""
        counts = [segment.beside.counts()[segment.live] for segment in index.segments()]
        found = np.concatenate([np.empty(0, np.int64), *counts])
        return {"vectors": int(found.sum()), "longest_item": int(found.max(initial=0))}

    def answers(self, query: Record) -> bool:
        """Whether a query has what is searched with, or something that cannot be embedded into it."""
        return "vectors" in query or "recipe" in query or "vector" in query

    def unfit(self, index: Index, query: Record) -> tuple[str, str] | None:
        """What is wrong with a query, and what to do; else None, and its vectors are of unit length."""
        name = shown(index.path.name)
        if "recipe" in query:
            return f"has a recipe, and {name} is of the kind {index.meta.kind}", NO_TOKENS
        rows = query.get("vectors")
        if rows is None:
            has = "one vector" if "vector" in query else "no vectors"
            what = f"has {has}, and {name} compares several a query ({index.meta.kind})"
            return what, NO_TOKENS
        if rows.shape[1] != index.meta.dim:
            return (
                f"vectors of {rows.shape[1]} dimensions, but {name} has {index.meta.dim}",
                "embed it with the index's model",
            )
        problem = _unusable(rows)
        if problem is not None:
            return problem
        if query.get("unit", True):
            wide = rows.astype(np.float64)
            off = np.abs(np.sqrt(np.einsum("ij,ij->i", wide, wide)) - 1) > SLACK
            if off.any():
                query["vectors"] = np.where(off[:, None], unit(rows), rows)
        return None

    def places(self, index: Index, queries: Sequence[Record], wanted: Wanted) -> list[Nearest]:
        """Where the hits of each query are, and their scores, best first."""
        from mmr.index.bagged import places

        return places(index, queries, wanted)


def mean_of(rows: NDArray[Any]) -> NDArray[np.float32]:
    """The mean (d,) of rows (n, d) at length 1; the first row's direction where they add up to nothing."""
    wide = rows.astype(np.float64)
    mean = np.add.reduce(wide, axis=0) / len(wide)
    if float(mean @ mean) ** 0.5 < 1e-6 * float(np.abs(wide).max()):
        mean = wide[0]
    found: NDArray[np.float32] = unit(mean[None])[0]
    return found


def held_by(changer: Changer, number: int) -> Ragged:
    """The mapped vectors of the items of a segment, of an index that is open for writing."""
    if number not in changer.beside:
        assert changer.meta is not None
        found = changer.connection.execute("SELECT rows FROM segments WHERE number = ?", (number,))
        rows, offsets = (changer.path / name for name in _names(number))
        with open(rows, "rb") as file, open(offsets, "rb") as begins:
            changer.beside[number] = _mapped(
                file, begins, found.fetchone()[0], changer.meta, _longest(changer)
            )
    held: Ragged = changer.beside[number]
    return held


def _unusable(rows: NDArray[np.float32]) -> tuple[str, str] | None:
    """What is wrong with vectors (n, d), and what to do; None for good ones."""
    if not np.isfinite(rows).all():
        return "its vectors hold a number that is infinite, not a number or too large", "embed it again"
    zero = np.flatnonzero(~rows.any(axis=1))
    if len(zero):
        what = f"its vector {zero[0]}, counted from 0, is all zeros, which has no direction"
        return what, "leave padding out: only real vectors belong in"
    return None


def _names(number: int) -> tuple[str, str]:
    return f"seg-{number}-rows.npy", f"seg-{number}-offsets.npy"


def _offsets(counts: Rows) -> Rows:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(counts, dtype=np.int64)])


def _write(
    changer: Changer, number: int, blocks: Iterable[NDArray[np.floating]], counts: Rows, meta: Meta
) -> list[Written]:
    offsets, (rows_name, offsets_name) = _offsets(counts), _names(number)
    total, path = int(offsets[-1]), changer.path
    begins: Any = offsets[:, None]
    return [
        write_vectors(path, number, blocks, total, meta.dim, meta.dtype, rows_name),
        write_vectors(path, number, [begins], len(offsets), 1, "int64", offsets_name),
    ]


def _mapped(
    rows: BufferedReader | FileIO, offsets: BufferedReader | FileIO, items: int, meta: Meta, longest: float
) -> Ragged:
    """Map the files of a segment; raises `BadDataError` where they are not what was written."""
    begins = np.asarray(map_vectors(offsets, items + 1, 1, "int64"), np.int64)[:, 0]
    if begins[0] != 0 or (np.diff(begins) < 0).any():
        path = Path(offsets.name)
        raise BadDataError(
            f"{shown(str(path))} does not say where the vectors of {items:,} items begin",
            f"`mmr index {shown(str(path.parent))} --check` says what is damaged.",
        )
    return Ragged(map_vectors(rows, int(begins[-1]), meta.dim, meta.dtype), begins, longest)


def _longest(changer: Changer) -> float:
    found = changer.connection.execute("SELECT value FROM meta WHERE key = ?", (LONGEST,)).fetchone()
    return 0.0 if found is None else float(found[0])
