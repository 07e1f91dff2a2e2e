"""A correction of scores that lives in an index: the fitted file, and two numbers a row beside the vectors.

What is searched scores scale * s + shift, with the scale and shift of its row. Where they come from the
index does not know: a `Corrector`, which the caller hands in, reads the fitted file and gives the numbers of
vectors, so that what comes later gets its own.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from io import BufferedReader, FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mmr.arrays.affine import Affine
from mmr.errors import BadDataError, UsageError, shown
from mmr.index.catalogue import KEPT, change, translated
from mmr.index.segments import blocks, map_vectors, write_structure, write_vectors
from mmr.stream.records import check_model

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mmr.index.catalogue import Meta
    from mmr.index.changer import Changer
    from mmr.index.segments import Written
    from mmr.stream.records import Record

NumbersOf = Callable[["NDArray[np.floating]"], Affine]
Corrector = Callable[[Path], NumbersOf]
KEY = "correction"
WIDTH = 2  # numbers a row


class Correction(NamedTuple):
    """What the catalogue says of a correction.

    step      the line that it adds to `via`
    modality  of the queries that it is for: "text", "image", ...; "" and "mixed" for all
    model     of the vectors that it was fitted to, or None
    dim       their length
    facts     for people: method, parameters, bank
    """

    step: str
    modality: str
    model: str | None
    dim: int
    facts: dict[str, Any]

    def is_for(self, query: Record) -> bool:
        """Whether a query's scores are corrected: the bank was of its modality, or that is not known.

        A recipe scores by several vectors, and no bank was like that.
        """
        if "recipe" in query:
            return False
        own = ",".join(name for name in ("image", "text") if query.get(name))
        return not own or self.modality in ("", "mixed", own)


def read(text: str | None) -> Correction | None:
    """The correction as the catalogue has it; None where there is none."""
    return None if text is None else Correction(**json.loads(text))


def is_numbers(name: str) -> bool:
    """Tell whether a file of a segment holds its scales and shifts."""
    return name.startswith("seg-") and "-corrected" in name


def correct(
    path: str | os.PathLike[str], correction: Correction, write: Callable[[Path], None], corrector: Corrector,
    *, wait: float = 0.0, tick: Callable[[int], None] = lambda rows: None,
) -> int:  # fmt: skip
    """Put a correction into an index, in the place of one that is there, in one change; returns the items.

    write  writes the fitted file; the index keeps it, and `corrector` reads it whenever rows come
    tick   told of every block of rows that is done

    Raises `BadDataError` where it is of another model or length than the vectors, `MissingInputError` where
    there is no index, `BusyError` when another writer holds the lock; the index is then what it was.
    """
    from mmr.index import upgrade
    from mmr.index.check import writer
    from mmr.index.recall import measure

    with writer(path, wait, corrector) as changer, translated(changer.path):
        assert changer.meta is not None
        if upgrade.progress(changer)[0]:
            raise upgrade.mixed(changer, "a correction")
        if not changer.content.single:
            raise UsageError(
                f"{shown(str(changer.path))} is of the kind {changer.meta.kind}, whose scores no "
                "correction of single vectors fits.",
                "Correct hits with `mmr normalize`, or an index of one vector an item.",
            )
        check_fits(changer.path.name, changer.meta, correction, "the correction")
        kept = write_structure(changer.path, KEY, "npz", write)
        try:
            numbers = corrector(changer.path / kept.name)
            segments = changer.connection.execute("SELECT number FROM segments").fetchall()
            files = [(number, _written(changer, number, numbers, _told(_all(changer, number), tick)))
                     for (number,) in segments]  # fmt: skip
            _commit(changer, [(KEPT, kept), *files], json.dumps(correction._asdict()))
        except BaseException:
            _drop_unnamed(changer, kept.name)
            raise
        measure(changer)
        return changer.meta.count


def _drop_unnamed(changer: Changer, name: str) -> None:
    """Remove a file unless a commit names it."""
    if changer.connection.execute("SELECT 1 FROM files WHERE name = ?", (name,)).fetchone() is None:
        (changer.path / name).unlink(missing_ok=True)


def check_fits(index: str, meta: Meta, correction: Correction, name: str) -> None:
    """Raise `BadDataError` where a correction, called `name`, is of another model or length than an index."""
    check_model(meta.model, correction.model, expected_by=index, found_by=name, fix="Fit to this index.")
    if correction.dim != meta.dim:
        raise BadDataError(
            f"{shown(name)} is of {correction.dim} dimensions, and {shown(index)} has {meta.dim}",
            "Fit to this index.",
        )


def uncorrect(path: str | os.PathLike[str], *, wait: float = 0.0) -> bool:
    """Take the correction out of an index; False where it has none."""
    from mmr.index.check import writer
    from mmr.index.recall import measure

    with writer(path, wait) as changer, translated(changer.path):
        if stated(changer) is None:
            return False
        _commit(changer, [], None)
        measure(changer)
        return True


def stated(changer: Changer) -> Correction | None:
    """The correction of the index that is open for writing."""
    found = changer.connection.execute("SELECT value FROM meta WHERE key = ?", (KEY,)).fetchone()
    return read(found[0] if found else None)


def beside(changer: Changer, number: int, vectors: Iterable[NDArray[np.floating]]) -> list[Written]:
    """Write the numbers of a new segment's vectors (n, d), given in blocks; nothing without a correction."""
    if stated(changer) is None:
        return []
    return [_written(changer, number, _numbers_of(changer), vectors)]


def carried(changer: Changer, number: int, kept: Sequence[tuple[int, NDArray[np.int64]]]) -> list[Written]:
    """Write the numbers of a merged segment: those that the rows it kept had, given as (segment, rows)."""
    if stated(changer) is None:
        return []
    parts = [mapped(changer, old)[rows] for old, rows in kept]
    return [_store(changer, number, np.concatenate([np.empty((0, WIDTH)), *parts]))]


def mapped(changer: Changer, number: int) -> NDArray[np.float64]:
    """The scales and shifts (n, 2) of a segment."""
    rows = changer.connection.execute("SELECT rows FROM segments WHERE number = ?", (number,)).fetchone()[0]
    with open(changer.path / _name(changer, number), "rb") as file:
        return as_numbers(file, rows)


def as_numbers(file: BufferedReader | FileIO, rows: int) -> NDArray[np.float64]:
    """Map a file of scales and shifts (n, 2); raises `BadDataError` where it is not what was written."""
    return np.asarray(map_vectors(file, rows, WIDTH, "float64"), np.float64)


def _name(changer: Changer, number: int) -> str:
    found = changer.connection.execute("SELECT name FROM files WHERE segment = ?", (number,)).fetchall()
    name = next((name for (name,) in found if is_numbers(name)), None)
    if name is None:
        raise BadDataError(
            f"segment {number} of {shown(str(changer.path))} lacks the numbers of the correction",
            "`mmr index INDEX --correct FILE` computes them anew.",
        )
    return str(name)


def _numbers_of(changer: Changer) -> NumbersOf:
    """The function that the corrector gives for the file that the index keeps, read once."""
    if changer.numbers_of is None:
        if changer.corrector is None:
            raise UsageError(
                f"{shown(str(changer.path))} holds a correction, and new rows need its numbers",
                "Hand in a corrector: mmr.normalize.held.corrector.",
            )
        found = changer.connection.execute("SELECT name FROM files WHERE segment = ?", (KEPT,)).fetchall()
        changer.numbers_of = changer.corrector(changer.path / next(n for (n,) in found if n.startswith(KEY)))
    return changer.numbers_of


def _all(changer: Changer, number: int) -> Iterator[NDArray[np.floating]]:
    """The vectors of a segment, dead rows too, so that every row has its place."""
    yield from blocks(changer.vectors(number))


def _told(
    vectors: Iterable[NDArray[np.floating]], tick: Callable[[int], None]
) -> Iterator[NDArray[np.floating]]:
    for block in vectors:
        yield block
        tick(len(block))


def _written(
    changer: Changer, number: int, numbers: NumbersOf, vectors: Iterable[NDArray[np.floating]]
) -> Written:
    found = [np.stack(numbers(block), axis=1) for block in vectors]
    return _store(changer, number, np.concatenate([np.empty((0, WIDTH)), *found]))


def _store(changer: Changer, number: int, numbers: NDArray[np.float64]) -> Written:
    stem, more = f"seg-{number}-corrected", 1
    name = f"{stem}.npy"
    while (changer.path / name).exists():
        more += 1
        name = f"{stem}-{more}.npy"
    return write_vectors(changer.path, number, [numbers], len(numbers), WIDTH, "float64", name)


def _commit(changer: Changer, files: Sequence[tuple[int, Written]], text: str | None) -> None:
    """Name the files and the correction in the catalogue, and let go of the old ones, in one change."""
    from mmr.index.structures import remove

    rows = changer.connection.execute("SELECT name, segment FROM files").fetchall()
    old = [name for name, segment in rows if is_numbers(name) or (segment == KEPT and name.startswith(KEY))]
    with change(changer.connection):
        changer.connection.executemany("DELETE FROM files WHERE name = ?", [(name,) for name in old])
        for number, file in files:
            changer.add_files(number, [file])
        changer.connection.execute("DELETE FROM meta WHERE key IN (?, 'recall')", (KEY,))
        if text is not None:
            changer.connection.execute("INSERT INTO meta VALUES (?, ?)", (KEY, text))
    changer.numbers_of = None
    remove(changer, old)


def damaged_numbers(path: Path, rows: int, live: NDArray[np.bool_]) -> str | None:
    """What is wrong with a segment's file of numbers; None for a sound one."""
    try:
        with open(path, "rb") as file:
            found = as_numbers(file, rows)
    except (BadDataError, ValueError, OSError) as error:
        return str(error)
    mine = found[live]
    if not np.isfinite(mine).all() or (mine[:, 0] <= 0).any():
        return "it holds numbers that correct nothing"
    return None
