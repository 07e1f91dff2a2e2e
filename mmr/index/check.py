"""Look an index over: every byte of its files, and whether catalogue and files agree; repair; describe."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import orjson

from mmr.errors import BadDataError, Reject, UsageError, raise_item, shown
from mmr.index import calibrated, catalogue, fitted, mapped, merge, plan
from mmr.index.catalogue import KEPT, ROW_BITS, TOWER, Meta, is_data, place, translated
from mmr.index.changer import Changer
from mmr.index.content import content_of
from mmr.index.corrected import Corrector, damaged_numbers, is_numbers
from mmr.index.memory import bytes_a_vector
from mmr.index.plan import Asked
from mmr.index.reader import Index
from mmr.index.recall import keep_queries, measure
from mmr.index.remote import Remote
from mmr.index.segments import file_sha256, live_rows, map_vectors
from mmr.index.table import FITTED, Params
from mmr.stream.records import Record

FROM_PICTURES = "embed its pictures again, or restore it from a copy"


def check(path: str | os.PathLike[str]) -> list[str]:
    """Return what is damaged, one sentence each; an empty list for a sound index.

    Reads every file whole. Raises `MissingInputError` where there is no index.
    """
    folder = Path(path)
    try:
        for _ in range(3):
            found, stale = _checked(folder)
            if not stale:
                break
    except BadDataError as error:
        return [error.what]
    return found


def _checked(folder: Path) -> tuple[list[str], bool]:
    """The damage of one committed state, and whether a writer changed the index meanwhile."""
    opened = catalogue.open_reader(folder)
    try:
        with translated(folder):
            opened.connection.execute("BEGIN")
            meta = catalogue.read_meta(opened.connection, folder)
            number = catalogue.change_number(opened.connection)
            found = [*_database(opened.connection), *_files(opened.connection, folder),
                     *_segments(opened.connection, folder, meta)]  # fmt: skip
            opened.connection.execute("ROLLBACK")
            return found, bool(found) and catalogue.change_number(opened.connection) != number
    finally:
        opened.close()


def _database(connection: sqlite3.Connection) -> Iterator[str]:
    for (line,) in connection.execute("PRAGMA integrity_check(10)"):
        if line != "ok":
            yield f"{catalogue.CATALOGUE}: {line}"


def _files(connection: sqlite3.Connection, folder: Path) -> Iterator[str]:
    rows = connection.execute("SELECT name, size, sha256, segment FROM files ORDER BY segment, name")
    for name, size, sha256, segment in rows.fetchall():
        cure = FROM_PICTURES if is_data(name) else "--rebuild makes it anew"
        if segment == TOWER:
            cure = "--export-tower makes it anew"
        elif segment == KEPT or is_numbers(name):
            cure = f"{_puts_back(name)} makes it anew"
        try:
            with open(folder / name, "rb") as file:
                found = os.fstat(file.fileno()).st_size
                if found != size:
                    yield f"{name} has {found:,} bytes, and {size:,} were written: {cure}"
                elif file_sha256(file) != sha256:
                    yield f"{name} is not what was written (another SHA-256): {cure}"
        except OSError as error:
            yield f"{name}: {error.strerror}: {cure}"


def _puts_back(name: str) -> str:
    """The option that puts a fitted file into an index."""
    if name.startswith(FITTED):
        return f"--convert KIND:{FITTED}=FILE"
    return "--query-map" if name.startswith(mapped.STEM) else "--correct"


def _segments(connection: sqlite3.Connection, folder: Path, meta: Meta) -> Iterator[str]:
    """Whether rows, ids, dead rows and items of every segment fit together."""
    files = {row[0] for row in connection.execute("SELECT name FROM files")}
    corrected = connection.execute("SELECT 1 FROM meta WHERE key = 'correction'").fetchone() is not None
    statement = "SELECT number, rows, dead_rows, dead, ids, model FROM segments ORDER BY number"
    numbers, content = [], content_of(meta.kind, meta.params)
    for number, rows, dead_rows, dead, ids, model in connection.execute(statement).fetchall():
        numbers.append(number)
        name = f"seg-{number}.npy"
        if name not in files:
            yield f"segment {number} names no file of vectors: {FROM_PICTURES}"
        elif (folder / name).is_file():
            try:
                with open(folder / name, "rb") as file:
                    map_vectors(file, rows, mapped.dim(meta, model), meta.dtype)
            except (BadDataError, ValueError, OSError) as error:
                yield f"{name}: {error}"
        yield from content.damage(folder, number, rows, meta)
        live = live_rows(dead, rows)
        if rows - int(live.sum()) != dead_rows:
            yield f"segment {number}: {dead_rows:,} dead rows are counted, {rows - int(live.sum()):,} marked"
        try:
            column = orjson.loads(ids)
        except orjson.JSONDecodeError as error:
            yield f"segment {number}: its ids cannot be read: {error}"
            continue
        if len(column) != rows:
            yield f"segment {number} has {rows:,} rows and {len(column):,} ids"
            continue
        if corrected:
            mine = next((one for one in files if one.startswith(f"seg-{number}-") and is_numbers(one)), "")
            wrong = damaged_numbers(folder / mine, rows, live)
            if wrong:
                yield f"segment {number}, its numbers of the correction: {wrong}"
        between = (place(number, 0), place(number + 1, 0))
        items = connection.execute("SELECT place, id FROM items WHERE place >= ? AND place < ?", between)
        found = {key & ((1 << ROW_BITS) - 1): name for key, name in items}
        expected = {row: column[row] for row in live.nonzero()[0].tolist()}
        odd = len(expected.items() ^ found.items())
        if odd:
            yield f"segment {number}: {odd:,} items do not fit its rows"
    marks = ",".join("?" * len(numbers))
    lost = connection.execute(
        f"SELECT count(*) FROM items WHERE place >> {ROW_BITS} NOT IN ({marks})", numbers
    ).fetchone()[0]
    if lost:
        yield f"{lost:,} items belong to no segment"


def rebuild(
    path: str | os.PathLike[str], *, kind: str | None = None, wait: float = 0.0,
    queries: Iterable[Record] = (), reject: Reject = raise_item, model: str | None = None,
    corrector: Corrector | None = None, asked: Asked | None = None,
) -> Meta:  # fmt: skip
    """Build every structure anew from the vectors, for another kind if one is named; returns what it is now.

    kind       where it names no `dtype`, vectors are stored as before
    queries    that stand for those to come: they are kept, and recall is measured with them
    model      what queries without a model are of
    corrector  reads the correction that the index holds, where it holds one and its vectors change type
    asked      what the user says of memory and recall, and who is told of plans

    Raises `MissingInputError` where there is no index, `BusyError` when another writer holds the lock.
    """
    with writer(path, wait, corrector, asked) as changer, translated(changer.path):
        assert changer.meta is not None
        meta, stale = changer.meta, tuple[str, ...]()
        if kind is not None:
            row, params, changer.fitted = fitted.parsed(kind, meta)
            _same_content(changer, row.name, params)
            stays = {"dtype": meta.dtype} if "dtype" in params and "dtype=" not in kind else {}
            meta, stale = plan.converted(changer, row, {**params, **stays})
        keep_queries(changer, queries, reject=reject, model=model)
        merge.rebuild(changer, meta, stale)
        measure(changer, changer.asked.recall)
        return changer.meta


def _same_content(changer: Changer, kind: str, params: Params) -> None:
    """Raise `UsageError` for a kind whose items are made from something else than those of the index."""
    assert changer.meta is not None
    has, wants = changer.content.field, content_of(kind, params).field
    if has != wants:
        name = shown(str(changer.path))
        raise UsageError(
            f"{kind} takes items with {wants!r}, and those of {name} have {has!r} ({changer.meta.kind}).",
            f"Make an index of its own of what has {wants!r}: `mmr index OTHER --kind {kind}`.",
        )


def compact(path: str | os.PathLike[str], *, wait: float = 0.0) -> tuple[int, int]:
    """Merge all segments into one without dead rows; returns how many bytes the index had and has.

    Raises `MissingInputError` where there is no index, `BusyError` when another writer holds the lock.
    """
    folder = Path(path)
    with writer(path, wait) as changer:
        before = disk_bytes(folder)
        with translated(folder):
            merge.compact(changer)
            measure(changer)
    return before, disk_bytes(folder)


def writer(
    path: str | os.PathLike[str], wait: float, corrector: Corrector | None = None, asked: Asked | None = None
) -> Changer:
    """A writer of an index that must be there, with its lock taken."""
    folder = Path(path)
    catalogue.open_reader(folder).close()
    changer = Changer(folder, wait=wait, corrector=corrector, asked=asked)
    changer.open()
    if changer.meta is None:
        changer.__exit__(None, None, None)
        raise UsageError(f"{shown(str(folder))} is empty.", "Put vectors into it first.")
    return changer


def disk_bytes(folder: Path) -> int:
    """The bytes of all files of an index."""
    return sum(file.stat().st_size for file in folder.iterdir() if file.is_file())


def tower_kind(index: Index | Remote) -> str:
    """The kind of the text tower beside the catalogue: "fp32", "int8", "damaged" or "none"."""
    path = index.tower()
    if path is None:
        return "none"
    from mmr.encoders.tower_file import TowerFile

    try:
        return TowerFile(path).stated.kind
    except (BadDataError, OSError):
        return "damaged"


def describe(index: Index) -> dict[str, Any]:
    """Return what there is to know of an index, as JSON would hold it."""
    segments = index.segments()
    rows = sum(segment.rows for segment in segments)
    meta = index.meta
    return {
        "path": str(index.path), "model": meta.model, "dim": meta.dim, "kind": meta.kind,
        "params": meta.params, "items": meta.count, **index.content.facts(index),
        "segments": len(segments), "dead_rows": rows - meta.count,
        "structures": sum(segment.structure is not None for segment in segments),
        "bytes_a_vector" if index.content.single else "bytes_an_item": bytes_a_vector(index),
        **({"recall": found} if (found := index.recall()) else {}),
        **plan.facts(index.noted("tuned"), index.noted("auto")),
        **({"correction": held.facts} if (held := index.correction()) else {}),
        **mapped.info(index),
        **({"calibration": known.step} if (known := calibrated.held(index)) else {}),
        "text_tower": tower_kind(index), "bases": sorted(index.bases.folders.values()),
        "bytes": disk_bytes(index.path), "format": catalogue.FORMAT,
    }  # fmt: skip
