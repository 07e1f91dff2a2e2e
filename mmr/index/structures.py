"""The structures of an index: quantisers trained once, a file a segment, all made of the stored vectors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mmr.errors import BadDataError, shown
from mmr.index import catalogue, fitted, mapped, memory, plan
from mmr.index.catalogue import TRAINED, Meta, change, is_data
from mmr.index.segments import Written, live_rows, write_structure
from mmr.index.table import Kind, adapter

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mmr.index.changer import Changer

GROWTH = 4  # an index that has so many times the rows that it was trained on is trained again
SEED = 0
HELD = 200  # rows that training leaves for measuring recall


class Part(NamedTuple):
    """A segment as the catalogue has it: number, rows, and how many of them live."""

    number: int
    rows: int
    live: int


def parts(changer: Changer) -> list[Part]:
    """The segments of the index's own model, oldest first; rows of a new one are compared exactly."""
    assert changer.meta is not None
    statement = "SELECT number, rows, rows - dead_rows, model FROM segments ORDER BY number"
    return [Part(*row) for *row, model in changer.connection.execute(statement)
            if not mapped.is_new(changer.meta, model)]  # fmt: skip


def build(changer: Changer) -> None:
    """Build the structures that segments lack, each committed by itself.

    Where the index has grown to four times the rows that its quantisers were trained on, all is made anew.
    Raises `BadDataError` where there are too few rows to train.
    """
    assert changer.meta is not None
    meta, kind = changer.meta, adapter(changer.meta.kind)
    if kind.suffix is None:
        return
    missing = [part for part in _large(changer, meta) if part.number not in _built(changer)]
    if not missing:
        return
    plan.start(changer, meta, [part.rows for part in missing])
    if _trains(kind, meta):
        rows = _trained_on(changer)
        if rows is None or sum(part.live for part in parts(changer)) > GROWTH * rows:
            convert(changer, meta)
            return
    trained = fitted.file_of(changer) or _trained_file(changer)
    for part in missing:
        written = _structure(changer, kind, meta, part, trained)
        with change(changer.connection):
            changer.add_files(part.number, [written])
            changer.connection.execute("DELETE FROM meta WHERE key = 'recall'")


def convert(changer: Changer, meta: Meta, stale: Sequence[str] = ()) -> None:
    """Make every structure anew as `meta` says, and commit kind, parameters and files in one change.

    stale  names of what the catalogue notes and does not hold then
    Until then the index is what it was. Raises `BadDataError` where there are too few rows to train.
    """
    kind, found = adapter(meta.kind), _large(changer, meta)
    connection = changer.connection
    old = [row[0] for row in connection.execute("SELECT name FROM files") if _is_structure(row[0])]
    written, gone, trained = fitted.kept(changer, meta)
    old, rows = [*old, *gone], None
    if kind.suffix is not None and found:
        plan.start(changer, meta, [part.rows for part in found])
        if _trains(kind, meta):
            rows = sum(part.live for part in parts(changer))
            written.append((TRAINED, _train(changer, kind, meta)))
            trained = changer.path / written[-1][1].name
        written += [(part.number, _structure(changer, kind, meta, part, trained)) for part in found]
    with change(connection):
        catalogue.write_meta(connection, meta)
        connection.execute("INSERT OR REPLACE INTO meta VALUES ('trained_on', ?)", (rows,))
        connection.executemany("DELETE FROM meta WHERE key = ?", [(key,) for key in ("recall", *stale)])
        connection.executemany("DELETE FROM files WHERE name = ?", [(name,) for name in old])
        for number, file in written:
            changer.add_files(number, [file])
    changer.meta = meta
    remove(changer, sorted(set(old) - {file.name for _, file in written}))


def remove(changer: Changer, names: Sequence[str]) -> None:
    """Remove files that no commit names any more; readers that mapped them keep them."""
    for name in names:
        (changer.path / name).unlink(missing_ok=True)


def _trains(kind: Kind, meta: Meta) -> bool:
    """Whether the index trains its quantisers on its own vectors."""
    return not fitted.is_fitted(meta.params) and bool(kind.needs(meta.dim, meta.params))


def _large(changer: Changer, meta: Meta) -> list[Part]:
    """The segments that get a structure: not those below `least` rows, which are searched exactly."""
    least = int(meta.params.get("least", 0))
    return [part for part in parts(changer) if part.live and part.rows >= least]


def _is_structure(name: str) -> bool:
    return name.startswith(("seg-", "trained")) and not is_data(name)


def _built(changer: Changer) -> set[int]:
    rows = changer.connection.execute("SELECT name, segment FROM files")
    return {number for name, number in rows if number != TRAINED and _is_structure(name)}


def _trained_file(changer: Changer) -> Path | None:
    rows = changer.connection.execute("SELECT name FROM files WHERE segment = ?", (TRAINED,))
    names = [name for (name,) in rows if _is_structure(name)]
    return changer.path / names[0] if names else None


def queries_file(changer: Changer) -> str | None:
    """The name of the file of queries that the index keeps, if it keeps some."""
    found = changer.connection.execute(
        "SELECT name FROM files WHERE segment = ? AND name LIKE '%.npy'", (TRAINED,)
    ).fetchone()
    return None if found is None else str(found[0])


def _trained_on(changer: Changer) -> int | None:
    """The rows that the index had when its quantisers were trained; None where they are not."""
    row = changer.connection.execute("SELECT value FROM meta WHERE key = 'trained_on'").fetchone()
    return None if row is None or row[0] is None or _trained_file(changer) is None else int(row[0])


def _structure(changer: Changer, kind: Kind, meta: Meta, part: Part, trained: Path | None) -> Written:
    def write(file: Path) -> None:
        kind.write(changer.content.source(changer, part.number), meta.params, file, trained)

    assert kind.suffix is not None
    with memory.enough(changer.path, meta):
        written = write_structure(changer.path, f"seg-{part.number}", kind.suffix, write)
    changer.forget([part.number])
    return written


def _train(changer: Changer, kind: Kind, meta: Meta) -> Written:
    """Train the quantisers on live rows drawn from all segments."""
    rows, needs = sum(part.live for part in parts(changer)), kind.needs(meta.dim, meta.params)
    if rows < needs:
        name = shown(str(changer.path))
        raise BadDataError(
            f"{meta.kind} needs {needs:,} vectors to train, and {name} has {rows:,}",
            "What is stored stays as it is. Give it more vectors, or fewer lists or bits.",
        )
    count = kind.takes(rows, meta.params)
    places = _drawn(changer, slice(0, min(count, max(needs, rows - HELD))))
    own = changer.content.sample(changer, places)
    sample = _vectors(changer, places) if own is None else own

    kept = queries_file(changer)
    queries = None if kept is None else np.load(changer.path / kept, allow_pickle=False)

    def write(file: Path) -> None:
        kind.train(sample, queries, rows, meta.params, file)

    assert kind.suffix is not None
    with memory.enough(changer.path, meta):
        return write_structure(changer.path, "trained", kind.suffix, write)


def held_out(changer: Changer) -> list[tuple[int, int]]:
    """(segment number, row) of live rows that training did not use, where the index has enough."""
    rows = sum(part.live for part in parts(changer))
    return [(int(number), int(row)) for number, row in _drawn(changer, slice(max(0, rows - HELD), rows))]


def _drawn(changer: Changer, which: slice) -> NDArray[np.int64]:
    """Some of all live rows, (m, 2) of segment number and row, in one random order of the whole index."""
    found = parts(changer)
    ends = np.cumsum([part.live for part in found])
    order = np.random.default_rng(SEED).permutation(int(ends[-1]))[which]
    places = np.empty((len(order), 2), np.int64)
    statement = "SELECT rows, dead FROM segments WHERE number = ?"
    for part, end in zip(found, ends.tolist(), strict=True):
        mine = (order >= end - part.live) & (order < end)
        rows, dead = changer.connection.execute(statement, (part.number,)).fetchone()
        live = np.flatnonzero(live_rows(dead, rows))
        places[mine, 0], places[mine, 1] = part.number, live[order[mine] - (end - part.live)]
    return places


def _vectors(changer: Changer, places: NDArray[np.int64]) -> NDArray[np.float32]:
    """The vectors of rows (m, 2), read in the order of the files; (m, d) float32."""
    assert changer.meta is not None
    found = np.empty((len(places), changer.meta.dim), np.float32)
    places = places[np.lexsort((places[:, 1], places[:, 0]))]
    for number in np.unique(places[:, 0]).tolist():
        mine = places[:, 0] == number
        found[mine] = changer.vectors(number)[places[mine, 1]]
    return found
