"""One shard of the items, by a hash of their ids: runs on many machines share the work without talking."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from hashlib import blake2b
from typing import Any, NamedTuple

from mmr.embed.item import Item
from mmr.errors import UsageError, shown

Fields = Mapping[str, Any]


class Shard(NamedTuple):
    """Shard `number` of `of`: 1 <= number <= of; 1 of 1 is everything."""

    number: int = 1
    of: int = 1

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


def parse_shard(text: str) -> Shard:
    """Read I/N, with I from 1 to N. Raises `UsageError` for anything else.

    >>> parse_shard("3/16")
    Shard(number=3, of=16)
    """
    found = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text)
    number, of = (int(found[1]), int(found[2])) if found else (0, 0)
    if 1 <= number <= of:
        return Shard(number, of)
    fix = "Write I/N with I from 1 to N: --shard 1/16 is the first of 16, --shard 16/16 the last."
    raise UsageError(f"--shard {shown(text)!r} is no shard", fix)


def shard_of(name: str, of: int) -> int:
    """Return which of the shards 1 to `of` an id belongs to.

    It is 1 + (BLAKE2b-64 of the id's UTF-8 bytes, as a big-endian number) modulo `of`: the same on every
    machine and in every version.

    >>> [shard_of(name, 4) for name in ("a.jpg", "b.jpg", "c.jpg")]
    [2, 3, 3]
    """
    data = name.encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(data, digest_size=8).digest(), "big") % of + 1


def end_record(count: int, roots: list[str], shard: Shard) -> Fields:
    """The record that closes a stream of `count` records; of a shard it says so, for it names but a part."""
    part = {"shard": str(shard)} if shard.of > 1 else {}
    return {"eof": True, "items": count, **part, "roots": roots}


class Sharded(Iterator[Item | Fields]):
    """The items of one shard, in their order; each item and record must have its id.

    waits  tells of the stream behind whether its next item would have to be waited for
    """

    def __init__(
        self, items: Iterable[Item | Fields], shard: Shard, waits: Callable[[], bool] = lambda: False
    ) -> None:
        self._items = iter(items)
        self._shard = shard
        self._waits = waits
        self._next: Item | Fields | None = None

    def __next__(self) -> Item | Fields:
        item, self._next = self._next, None
        while item is None:
            item = self._mine(next(self._items))
        return item

    def waits(self) -> bool:
        """Whether the next item of this shard would have to be waited for; others are passed over."""
        while self._next is None and not self._waits():
            try:
                self._next = self._mine(next(self._items))
            except StopIteration:
                return False
        return self._next is None

    def _mine(self, item: Item | Fields) -> Item | Fields | None:
        """The item, if it is of this shard."""
        record = item.record if isinstance(item, Item) else item
        return item if shard_of(record["id"], self._shard.of) == self._shard.number else None
