"""An index on its way from one model to another: the map put in and out, rows of both, the last step."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain, count
from typing import TYPE_CHECKING, Any

import numpy as np

from mmr.errors import BadDataError, UsageError, shown
from mmr.index import catalogue, mapped
from mmr.index.catalogue import KEPT, ROW_BITS, TOWER, TRAINED, change, translated
from mmr.index.mapped import BACK, KEY, NEW, OLD, STEM, THERE, QueryMap
from mmr.index.segments import write_vectors
from mmr.index.structures import Part, remove
from mmr.stream.records import check_model, same_model

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mmr.index.catalogue import Meta
    from mmr.index.changer import Changer
    from mmr.index.content import Ready
    from mmr.index.segments import Written

    Matrix = NDArray[np.floating]

PAIRS = 256  # items seen by both models that are kept
STALE = (KEY, "recall", "trained_on", "calibration")  # what the catalogue says of the old model's vectors


def hold(
    path: str | os.PathLike[str], query_map: QueryMap, to: str | None, there: Matrix, back: Matrix, *,
    wait: float = 0.0,
) -> None:  # fmt: skip
    """Put a map into an index, in the place of one that is there, in one change.

    to           the model that the map leads to
    there, back  (d, d of the new model) and the other way

    Raises `BadDataError` where it leads to another model or length, or where the index holds rows of a
    third model, `MissingInputError` where there is no index, `BusyError` when another writer holds the lock.
    """
    from mmr.index.check import writer

    with writer(path, wait) as changer, translated(changer.path):
        meta = changer.meta
        assert meta is not None
        if not changer.content.single:
            raise UsageError(f"{shown(str(changer.path))} is of the kind {meta.kind}: it holds no map.",
                             "Maps are for indexes of one vector an item.")  # fmt: skip
        check_fits(changer.path.name, meta, query_map, to, there.shape)
        before = meta.query_map
        if before is not None and not before.takes(query_map.model) and progress(changer)[0]:
            raise BadDataError(
                f"{shown(changer.path.name)} is being embedded anew with {before.model}, and the map is of "
                f"{query_map.model}", "Finish that first, or embed with the old model again what is new.",
            )  # fmt: skip
        keeps = before is not None and before.takes(query_map.model) and before.dim == query_map.dim
        files = dict(before.files) if keeps and before is not None else {}
        new = {THERE: there, BACK: back}
        written = {name: _written(changer, name, rows, "float64") for name, rows in new.items()}
        files |= {name: file.name for name, file in written.items()}
        model = before.model if keeps and before is not None else query_map.model
        pairs = before.pairs if keeps and before is not None else 0
        _commit(changer, query_map._replace(model=model, files=files, pairs=pairs), list(written.values()))


def check_fits(index: str, meta: Meta, query_map: QueryMap, to: str | None, shape: tuple[int, ...]) -> None:
    """Raise `BadDataError` where a map does not lead to the model of an index, from another one."""
    if meta.model is None or to is None:
        raise BadDataError(
            f"{shown(index)} has vectors of {meta.model or 'no stated model'}, and the map leads to "
            f"{to or 'no stated model'}", "Both must be named: embed and fit with vectors that say of which "
            "model they are.",
        )  # fmt: skip
    check_model(meta.model, to, expected_by=index, found_by="the map", fix="Fit a map to this index's model.")
    if same_model(meta.model, query_map.model):
        raise BadDataError(f"{shown(index)} is of {meta.model} already", "It needs no map from there.")
    if shape != (meta.dim, query_map.dim):
        raise BadDataError(
            f"the map leads from {query_map.dim:,} to {shape[0]:,} dimensions, and {shown(index)} has "
            f"{meta.dim:,}", "Fit a map to this index's vectors.",
        )  # fmt: skip


def drop(path: str | os.PathLike[str], *, wait: float = 0.0) -> bool:
    """Take the map out of an index; False where it has none. Raises `BadDataError` where rows need it."""
    from mmr.index.check import writer

    with writer(path, wait) as changer, translated(changer.path):
        assert changer.meta is not None
        held = changer.meta.query_map
        if held is None:
            return False
        rows = progress(changer)[0]
        if rows:
            raise BadDataError(
                f"{rows:,} items of {shown(changer.path.name)} are of {held.model}, and only the map joins "
                "them with the others",
                "Embed the others with that model too, and the map goes by itself; or embed these with "
                f"{named(changer)} again.",
            )
        _commit(changer, None, [])
        return True


def named(changer: Changer) -> str:
    """The index's model, for a sentence."""
    assert changer.meta is not None
    return changer.meta.model or "the old model"


def progress(changer: Changer) -> tuple[int, int]:
    """How many live items are of the new model, and how many of the index's."""
    assert changer.meta is not None
    rows = changer.connection.execute("SELECT model, sum(rows - dead_rows) FROM segments GROUP BY model")
    found = [0, 0]
    for model, live in rows:
        found[0 if mapped.is_new(changer.meta, model) else 1] += live
    return found[0], found[1]


def groups(changer: Changer) -> list[list[Part]]:
    """The segments, oldest first, those of each model by themselves; merges never mix them."""
    assert changer.meta is not None
    found: tuple[list[Part], list[Part]] = ([], [])
    statement = "SELECT number, rows, rows - dead_rows, model FROM segments ORDER BY number"
    for *part, model in changer.connection.execute(statement):
        found[mapped.is_new(changer.meta, model)].append(Part(*part))
    return [group for group in found if group]


def check_takes(changer: Changer) -> None:
    """Raise `BadDataError` where an index that is asked to take rows of the new model cannot hold them."""
    from mmr.index.corrected import stated

    if stated(changer) is not None:
        name = shown(str(changer.path))
        raise BadDataError(
            f"{name} holds a correction, which knows vectors of {named(changer)} alone",
            f"Take it out (`mmr index {name} --no-correct`), embed anew, and fit it again then.",
        )


def mixed(changer: Changer, what: str) -> BadDataError:
    """The error of what cannot be done while rows are of two models."""
    new, old = progress(changer)
    name = shown(str(changer.path))
    return BadDataError(
        f"{what}: not while {name} is embedded anew ({new:,} of {new + old:,} items are done)",
        f"Do it when the rest is embedded; `mmr index {name} --info` says how far it is.",
    )


def pairs(
    changer: Changer, found: Ready, fresh: Sequence[int], old: Mapping[str, Sequence[Any]]
) -> list[tuple[str, Written]]:
    """Write the rows of items that the new model sees now and the old one saw, until there are 256.

    fresh  the records that are to be stored, by number
    old    of the items that the index has by id, the place first

    Raises `BadDataError` where the index cannot hold rows of the new model.
    """
    meta = changer.meta
    if meta is None or meta.query_map is None:
        return []
    check_takes(changer)
    held = meta.query_map
    mine: list[Matrix] = []
    theirs: list[Matrix] = []
    for row in fresh:
        known = old.get(found.records[row]["id"])
        if held.pairs + len(mine) == PAIRS:
            break
        key = None if known is None else int(known[0])
        if key is not None and not mapped.is_new(meta, changer.model_of(key >> ROW_BITS)):
            mine.append(found.vectors[row])
            theirs.append(changer.vectors(key >> ROW_BITS)[key & ((1 << ROW_BITS) - 1)])
    if not mine:
        return []
    written = []
    for name, rows in ((OLD, theirs), (NEW, mine)):
        before = [np.load(changer.path / held.files[name], allow_pickle=False)] if held.pairs else []
        whole = np.concatenate([*before, np.asarray(rows, np.float32)])
        written.append((name, _written(changer, name, whole, "float32")))
    changer.meta = replace(meta, query_map=held._replace(pairs=held.pairs + len(mine)))
    return written


def note_pairs(changer: Changer, written: Sequence[tuple[str, Written]]) -> list[str]:
    """Name them in the catalogue, inside the transaction under way; returns the names of files that go."""
    if not written:
        return []
    meta = changer.meta
    assert meta is not None and meta.query_map is not None
    old = [meta.query_map.files[name] for name, _ in written if name in meta.query_map.files]
    files = {**meta.query_map.files, **{name: file.name for name, file in written}}
    changer.meta = replace(meta, query_map=meta.query_map._replace(files=files))
    changer.connection.executemany("DELETE FROM files WHERE name = ?", [(name,) for name in old])
    changer.add_files(KEPT, [file for _, file in written])
    _note(changer, changer.meta.query_map)
    return old


def finish(changer: Changer) -> bool:
    """Where no item of the old model is left, make the index one of the new model, in one change."""
    meta = changer.meta
    if meta is None or meta.query_map is None:
        return False
    new, old = progress(changer)
    if old or not new:
        return False
    connection = changer.connection
    rows = connection.execute("SELECT number, model FROM segments").fetchall()
    gone = [number for number, model in rows if not mapped.is_new(meta, model)]
    files = connection.execute("SELECT name, segment FROM files").fetchall()
    names = [name for name, segment in files
             if segment in (*gone, TOWER, TRAINED) or name.startswith(STEM)]  # fmt: skip
    made = replace(meta, model=meta.query_map.model, dim=meta.query_map.dim, query_map=None)
    with change(connection):
        catalogue.write_meta(connection, made)
        connection.executemany("DELETE FROM meta WHERE key = ?", [(key,) for key in STALE])
        connection.executemany("DELETE FROM segments WHERE number = ?", [(number,) for number in gone])
        connection.executemany("DELETE FROM files WHERE name = ?", [(name,) for name in names])
    changer.meta = made
    changer.forget(gone)
    remove(changer, names)
    return True


def _written(changer: Changer, stem: str, rows: Matrix, dtype: str) -> Written:
    names = chain([f"{STEM}{stem}.npy"], (f"{STEM}{stem}-{i}.npy" for i in count(2)))
    name = next(name for name in names if not (changer.path / name).exists())
    return write_vectors(changer.path, KEPT, [rows], len(rows), rows.shape[1], dtype, name)


def _commit(changer: Changer, query_map: QueryMap | None, written: Sequence[Written]) -> None:
    """Put a map, or none, in the place of the one that is there; files that it does not name go."""
    assert changer.meta is not None
    stays = set(query_map.files.values()) if query_map is not None else set()
    rows = changer.connection.execute("SELECT name FROM files WHERE segment = ?", (KEPT,)).fetchall()
    old = [name for (name,) in rows if name.startswith(STEM) and name not in stays]
    with change(changer.connection):
        changer.connection.executemany("DELETE FROM files WHERE name = ?", [(name,) for name in old])
        changer.add_files(KEPT, written)
        _note(changer, query_map)
    changer.meta = replace(changer.meta, query_map=query_map)
    remove(changer, old)


def _note(changer: Changer, query_map: QueryMap | None) -> None:
    changer.connection.execute("DELETE FROM meta WHERE key = ?", (KEY,))
    if query_map is not None:
        values = (KEY, mapped.written(query_map))
        changer.connection.execute("INSERT INTO meta VALUES (?, ?)", values)
