"""Items of the catalogue: from records to rows of the table and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

from mmr.index.bases import Bases

COLUMNS = "place, id, image, base, digest, size, mtime, parent, fields"
SAME_AS_ID = 1  # stored as `image` of an item whose picture's path is its id
LARGEST = 2**63 - 1
NOT_STORED = frozenset({"id", "vector", "model", "keep", "rows", "eof"})


class Item(NamedTuple):
    """One row of the table `items`, without its place.

    image   a path, SAME_AS_ID, or None
    base    number of a base folder, or None
    fields  all other fields as JSON, or None where there are none
    """

    id: str
    image: str | int | None
    base: int | None
    digest: str | None
    size: int | float | None
    mtime: int | float | None
    parent: str | None
    fields: str | None

    def path(self) -> str | None:
        """The picture's path as the record gave it."""
        return self.id if self.image == SAME_AS_ID else self.image if isinstance(self.image, str) else None


def is_number(value: Any) -> bool:
    """Tell whether SQLite can hold the value as a number, exactly."""
    if type(value) is int:
        return -LARGEST <= value <= LARGEST
    return type(value) is float


def to_item(record: Mapping[str, Any], bases: Bases, elsewhere: frozenset[str] = frozenset()) -> Item:
    """Make the row of a record; a base folder that is new becomes known.

    elsewhere  names of fields that are stored in files of the segment

    What a column cannot hold (a size that is no number, a base without a picture) stays among `fields`.
    """
    taken: dict[str, Any] = {}
    for name in ("image", "digest", "parent"):
        if isinstance(record.get(name), str):
            taken[name] = record[name]
    for name in ("size", "mtime"):
        if is_number(record.get(name)):
            taken[name] = record[name]
    base = None
    if "image" in taken and isinstance(record.get("base"), str):
        taken["base"] = record["base"]
        base = bases.number(record["base"])
    out = NOT_STORED | elsewhere | taken.keys()
    rest = {name: value for name, value in record.items() if name not in out}
    image = taken.get("image")
    return Item(
        record["id"], SAME_AS_ID if image == record["id"] else image, base, taken.get("digest"),
        taken.get("size"), taken.get("mtime"), taken.get("parent"), _json(rest) if rest else None,
    )  # fmt: skip


def _json(fields: Mapping[str, Any]) -> str:
    from mmr.stream.records import dump

    return dump(fields, "base64")[:-1].decode()


def to_record(
    item: Item, bases: Bases, fields: tuple[str, ...] | None, model: str | None, here: str
) -> dict[str, Any]:
    """Make the stored fields of an item into a record for a reader: `id`, then those asked for.

    `image` is relative to the folder `here` where it lies below it, else absolute; a path that is relative
    to nothing known stays as it is.
    """
    record: dict[str, Any] = {"id": item.id}
    if fields is None or "image" in fields:
        image = item.path()
        if image is not None:
            record["image"] = for_reader(bases.path(item.base, image) or image, here)
    if item.fields is not None and (fields is None or not _columns_only(fields)):
        stored = orjson.loads(item.fields)
        wanted = stored if fields is None else [name for name in fields if name in stored]
        record.update({name: stored[name] for name in wanted})
    columns = {"digest": item.digest, "size": item.size, "mtime": item.mtime, "parent": item.parent}
    for name, value in columns.items():
        if value is not None and (fields is None or name in fields):
            record[name] = value
    if fields is not None and "base" in fields and item.base is not None:
        record["base"] = bases.folders[item.base]
    if fields is not None and "model" in fields and model is not None:
        record["model"] = model
    return record


def _columns_only(fields: tuple[str, ...]) -> bool:
    return all(name in ("id", "image", "base", "model") for name in fields)


def to_dump(item: Item, bases: Bases) -> dict[str, Any]:
    """Make an item into the record that an index, also one elsewhere, takes back: paths as given."""
    record: dict[str, Any] = {"id": item.id}
    image = item.path()
    if image is not None:
        record["image"] = image
    if item.base is not None:
        record["base"] = bases.folders[item.base]
    if item.fields is not None:
        record.update(orjson.loads(item.fields))
    columns = {"parent": item.parent, "digest": item.digest, "size": item.size, "mtime": item.mtime}
    record.update({name: value for name, value in columns.items() if value is not None})
    return record


def for_reader(path: str, here: str) -> str:
    """Show an absolute path relative to the folder `here` where it lies below it.

    >>> for_reader("/a/b/c.jpg", "/a"), for_reader("/x/c.jpg", "/a")
    ('b/c.jpg', '/x/c.jpg')
    """
    start = here if here.endswith("/") else here + "/"
    return path[len(start) :] if path.startswith(start) and len(path) > len(start) else path
