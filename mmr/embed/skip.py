"""From pictures that a walk found to items; those that an index has as they are only get named."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from mmr.embed.item import Item, Known
from mmr.pictures.walk import Found
from mmr.stream.records import Record


def items_of(
    found: Iterable[Found], known: Mapping[str, Known], here: str, *, named: bool = False,
    rename: Callable[[Record], Record] | None = None,
) -> Iterator[Item | Mapping[str, Any]]:  # fmt: skip
    """Make an item of each picture, or a `keep` record where size and time are those that the index knows.

    known   by absolute path; a picture that is there keeps its id, also when it has changed
    here    the folder that relative paths are relative to
    named   a picture that cannot be read stays in the stream all the same
    rename  gives a new one its id; the default is its path
    """
    for path, absolute, size, mtime, place in found:
        old = known.get(absolute)
        if old is not None and size is not None and old.size == size and old.mtime == mtime:
            if path[0] == "/":
                yield {"id": old.id, "image": path, "keep": True, "size": size, "mtime": mtime}
            else:
                yield {"id": old.id, "image": path, "base": here, "keep": True, "size": size, "mtime": mtime}
            continue
        record = Record({"id": path if old is None else old.id, "image": path})
        if path[0] != "/":
            record["base"] = here
        if old is None and rename is not None:
            record = rename(record)
        yield Item(record, place, old, named)
