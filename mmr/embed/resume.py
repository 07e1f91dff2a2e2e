"""Go on where a killed run stopped: what its pair holds already is not embedded again."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

from mmr.embed.item import Item, Wanted, file_of, plan, step, where_of
from mmr.embed.load import load
from mmr.embed.regions import cutter
from mmr.encoders import described, model_name
from mmr.errors import BadItem, Reject
from mmr.pictures.read import split_member

if TYPE_CHECKING:
    from mmr.encoders import Encoder

CHANGED = frozenset({"vector", "vectors", "boxes", "model", "via", "size", "mtime", "digest"})
Fields = Mapping[str, Any]
Items = Iterator[Item | Fields]


class Resumed(NamedTuple):
    """Where a stream goes on.

    kept   records of the run before that stay
    items  what is still to be done
    """

    kept: int
    items: Items


def resumed(
    items: Iterable[Item | Fields], left: Iterable[Fields], encoder: Callable[[], Encoder], wanted: Wanted,
    reject: Reject,
) -> Resumed:  # fmt: skip
    """Compare a stream with the records that a killed run of the same command left.

    left     those records, in order, without vectors
    encoder  gives the encoder; called only when there is a record with a vector to compare

    Bad items among the first records left nothing; they are looked at and reported again.
    """
    stream = iter(items)
    kept = 0
    for old in left:
        for item in stream:
            found = _compared(item, old, encoder, wanted, reject)
            if found is None:
                return Resumed(kept, chain([item], stream))
            if found:
                kept += 1
                break
        else:
            break
    return Resumed(kept, stream)


def _compared(
    item: Item | Fields, old: Fields, encoder: Callable[[], Encoder], wanted: Wanted, reject: Reject
) -> bool | None:
    """True of an item that left the record `old`, False of a bad one that left none, else None."""
    if not isinstance(item, Item):
        here = {name: value for name, value in item.items() if name not in ("vector", "vectors")}
        return here == {name: value for name, value in old.items() if name != "rows"} or None
    if _same(item, old, encoder, wanted):
        only_named = "keep" in old and "size" not in old
        return True if not only_named or _is_bad(item, wanted, reject) else None
    return False if not item.named and _is_bad(item, wanted, reject) else None


def _same(item: Item, old: Fields, encoder: Callable[[], Encoder], wanted: Wanted) -> bool:
    """Whether an item would become the record that was written of it."""
    record = item.record
    if any(old.get(name) != value for name, value in record.items() if name not in CHANGED):
        return False
    if "keep" in old:
        return item.named and _unchanged(item, old)
    try:
        how = plan(record, wanted, "").how
    except BadItem:
        return False
    made_by = encoder()
    steps = [*record.get("via", ()), step(how, wanted, described(made_by), record)]
    fits = old.get("model") == model_name(made_by) and old.get("via") == steps
    return fits and (how not in ("image", "both") or not wanted.facts or _unchanged(item, old))


def _unchanged(item: Item, old: Fields) -> bool:
    """Whether the picture has the size and time that were written; of a bad one there are none."""
    path = file_of(item.record, item.record["image"])
    if "size" not in old:
        return True
    if item.place is not None:
        return (old["size"], old["mtime"]) == (item.place.size, item.place.mtime)
    if split_member(path) is not None:
        return False
    try:
        state = os.stat(path)
    except OSError:
        return False
    return (old["size"], old["mtime"]) == (state.st_size, state.st_mtime)


def _is_bad(item: Item, wanted: Wanted, reject: Reject) -> bool:
    """Report an item that cannot be embedded, as the run before did."""
    record = item.record
    where = where_of(record)
    try:
        for image in plan(record, wanted, where).images:
            cut = cutter(wanted.parts, record, where)
            load(file_of(record, image), item.place, None, None, wanted.pixels, cut)
    except BadItem as bad:
        reject(BadItem(where, bad.what, bad.fix, stage=bad.stage, record=record))
        return True
    return False
