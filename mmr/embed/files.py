"""Pictures that a walk found, as records: named, and looked up in the index, which may have them already."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from mmr.errors import UsageError, shown
from mmr.stream.records import Place, Record

if TYPE_CHECKING:
    from mmr.pictures.read import Member
    from mmr.pictures.walk import Found


class Known(NamedTuple):
    """What the index knows of a file."""

    id: str
    size: int | float | None
    mtime: int | float | None
    digest: str | None


class FileRecord(Record):
    """A record of a picture on disk: where a tar holds it, and the digest that the index knows."""

    __slots__ = ("digest", "member")

    def __init__(
        self, fields: Mapping[str, Any], place: Place, member: Member | None, digest: str | None
    ) -> None:
        super().__init__(fields, place)
        self.member = member
        self.digest = digest


NAMES: dict[str, Callable[[str], str]] = {
    "path": lambda path: path,
    "name": lambda path: path.rpartition("#")[2].rpartition("/")[2],
    "stem": lambda path: os.path.splitext(path.rpartition("#")[2].rpartition("/")[2])[0],
}


def file_records(found: Iterable[Found], known: Mapping[str, Known], named: str) -> Iterator[Record]:
    """Yield a record for each picture, in order.

    found  what the walk came across
    known  what an index has, by absolute path: an unchanged file becomes a `keep` record under its id there
    named  "path", "name" or "stem": what becomes the id
    """
    if named not in NAMES:
        raise UsageError(f"--id {shown(named)}: pictures on disk have no fields.", "Use path, name or stem.")
    name, here = NAMES[named], os.getcwd()
    for path, absolute, size, mtime, member in found:
        old = known.get(absolute)
        fields: dict[str, Any] = {"id": name(path) if old is None else old.id, "image": path}
        if not path.startswith("/"):
            fields["base"] = here
        if old is not None and old.size == size and old.mtime == mtime:
            yield Record({**fields, "keep": True, "size": size, "mtime": mtime})
        else:
            yield FileRecord(fields, Place(path, None), member, None if old is None else old.digest)
