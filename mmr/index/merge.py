"""Merge segments when there are many or when dead rows weigh too much; build structures; rebuild."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import orjson

from mmr.index import catalogue, mapped, plan, upgrade
from mmr.index.catalogue import ROW_BITS, Meta, change, place
from mmr.index.corrected import beside, carried
from mmr.index.segments import as_stored, blocks, live_rows, write_vectors
from mmr.index.structures import Part, build, convert, parts, remove
from mmr.index.table import adapter

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mmr.index.changer import Changer

MANY = 64  # segments of one run, before they are merged while it goes on
SEGMENTS = 8  # a search over so many costs nothing that shows; with a structure each, one is better
DEAD_SHARE = 0.3  # rewriting a segment then costs at most 2.4 copied rows a deleted one


def costly(segments: Sequence[Part], many: int) -> list[int]:
    """The numbers of the segments that are worth merging into one.

    Where there are more than `many`: the largest group of small ones in which none is larger than all
    smaller ones together, so that a row is copied O(log n) times in its life. Always: those with more
    than 30 % dead rows.
    >>> costly([Part(1, 100, 100), Part(2, 5, 5), Part(3, 5, 5)], 2), costly([Part(1, 10, 6)], 2)
    ([2, 3], [1])
    """
    chosen = {part.number for part in segments if part.rows - part.live > DEAD_SHARE * part.rows}
    if len(segments) > many:
        falling = sorted(segments, key=lambda part: -part.live)
        smaller = sum(part.live for part in falling)
        for i, part in enumerate(falling[:-1]):
            smaller -= part.live
            if part.live <= smaller:
                chosen.update(one.number for one in falling[i:])
                break
    return sorted(chosen)


def settle_own(changer: Changer, own: set[int]) -> set[int]:
    """Merge the segments that a long run has written so far, when they are many; return what they are now."""
    if len(own) <= MANY:
        return own
    for group in upgrade.groups(changer):
        chosen = costly([part for part in group if part.number in own], MANY)
        own = own - set(chosen) | {together(changer, chosen)} if chosen else own
    return own


def settle(changer: Changer) -> None:
    """Merge what costs too much, then build what is missing, or another kind where auto says so.

    An index whose last item of the old model went becomes one of the new model first.
    """
    upgrade.finish(changer)
    assert changer.meta is not None
    meta = plan.decided(changer, sum(upgrade.progress(changer)))
    kind = changer.meta.kind if meta is None else meta.kind
    many = SEGMENTS if adapter(kind).suffix is None else 1
    for group in upgrade.groups(changer):
        if chosen := costly(group, many):
            together(changer, chosen)
    if meta is None:
        build(changer)
    else:
        convert(changer, meta)


def compact(changer: Changer) -> None:
    """Leave one segment (of each model) without dead rows, and no free pages in the catalogue."""
    wasteful = [group for group in upgrade.groups(changer)
                if len(group) > 1 or any(part.live < part.rows for part in group)]  # fmt: skip
    for group in wasteful:
        together(changer, [part.number for part in group])
    if wasteful:
        changer.connection.execute("VACUUM")
    build(changer)


def rebuild(changer: Changer, meta: Meta, stale: Sequence[str] = ()) -> None:
    """Build every structure anew from the vectors, after the change to another kind or other parameters.

    stale  names of what the catalogue notes and does not hold then
    """
    assert changer.meta is not None
    found = parts(changer)
    if meta.dtype != changer.meta.dtype and upgrade.progress(changer)[0]:
        raise upgrade.mixed(changer, "vectors of another type")
    if meta.dtype != changer.meta.dtype and found:
        together(changer, [part.number for part in found], meta)
    elif adapter(meta.kind).suffix is not None and (chosen := costly(found, 1)):
        together(changer, chosen)
    convert(changer, meta, stale)


def together(changer: Changer, numbers: Sequence[int], meta: Meta | None = None) -> int:
    """Write the live rows of segments into one new segment and commit it in their place; return its number.

    meta  what the index becomes in the same commit (another dtype), or None
    """
    assert changer.meta is not None
    target = meta if meta is not None else changer.meta
    connection, number = changer.connection, changer.next_number()
    model = changer.model_of(numbers[0])
    dim = mapped.dim(target, model)
    kept: list[tuple[int, NDArray[np.int64]]] = []
    columns: list[bytes] = []
    for old in numbers:
        found = connection.execute("SELECT rows, dead, ids FROM segments WHERE number = ?", (old,))
        rows, dead, ids = found.fetchone()
        live = np.flatnonzero(live_rows(dead, rows))
        if len(live) < rows:
            column = orjson.loads(ids)
            ids = orjson.dumps([column[row] for row in live.tolist()])
        if len(live):
            columns.append(ids[1:-1])
        kept.append((old, live))
    count, written = sum(len(live) for _, live in kept), []
    if count:
        same = target.dtype == changer.meta.dtype
        written = [
            write_vectors(
                changer.path, number, _blocks(changer, kept, target.dtype), count, dim, target.dtype
            ),
            *(carried(changer, number, kept) if same
              else beside(changer, number, _blocks(changer, kept, target.dtype))),
            *changer.content.merged(changer, number, kept, target),
        ]  # fmt: skip
    files = connection.execute("SELECT name, segment FROM files").fetchall()
    gone = [name for name, segment in files if segment in numbers]
    with change(connection):
        connection.execute("DELETE FROM meta WHERE key = 'recall'")
        if meta is not None:
            catalogue.write_meta(connection, meta)
        connection.executemany("DELETE FROM segments WHERE number = ?", [(old,) for old in numbers])
        connection.executemany("DELETE FROM files WHERE segment = ?", [(old,) for old in numbers])
        if written:
            changer.add_segment(number, count, b"[" + b",".join(columns) + b"]", written, model)
            connection.executemany("UPDATE items SET place = ? WHERE place = ?", _moves(kept, number))
    if meta is not None:
        changer.meta = meta
    changer.forget(numbers)
    remove(changer, gone)
    return number


def _blocks(
    changer: Changer, kept: Sequence[tuple[int, NDArray[np.int64]]], dtype: str
) -> Iterator[NDArray[np.floating]]:
    for old, live in kept:
        vectors = changer.vectors(old)
        for block in blocks(vectors, None if len(live) == len(vectors) else live):
            yield as_stored(block, dtype)


def _moves(kept: Sequence[tuple[int, NDArray[np.int64]]], number: int) -> Iterator[tuple[int, int]]:
    """(new place, old place) of every live row."""
    start = place(number, 0)
    for old, live in kept:
        for row in live.tolist():
            yield start, old << ROW_BITS | row
            start += 1
