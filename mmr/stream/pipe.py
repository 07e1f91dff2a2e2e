"""Lines of a pipe as they come, and batches that never hold back a record while they wait for the next."""

from __future__ import annotations

import fcntl
import os
import select
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress

from mmr.errors import BadItem, Reject, shown
from mmr.stream.records import Record

CHUNK = 1 << 18
ROOM = 1 << 20  # bytes that the kernel may hold for us: the most that Linux gives to anybody
PATIENCE = 5  # milliseconds: a writer whose pipe was full needs a moment to fill it again


class Pipe:
    """Reads a pipe, socket or terminal; unlike Python's own reader it can tell whether a line is there."""

    def __init__(self, handle: int) -> None:
        self._handle = handle
        self._lines: deque[bytes] = deque()
        self._rest: list[bytes] = []
        if hasattr(fcntl, "F_SETPIPE_SZ"):
            with suppress(OSError):
                fcntl.fcntl(handle, fcntl.F_SETPIPE_SZ, ROOM)

    def readline(self, limit: int) -> bytes:
        """Return the next line with its end; at the end what is left, then b"".

        A line without an end is given out when it has `limit` bytes or more.
        """
        size = sum(map(len, self._rest))
        while not self._lines and size < limit:
            chunk = os.read(self._handle, CHUNK)
            if not chunk:
                break
            size += len(chunk)
            self._hold(chunk)
        if self._lines:
            return self._lines.popleft()
        line = b"".join(self._rest)
        self._rest.clear()
        return line

    def read(self, count: int) -> bytes:
        """Return `count` bytes, fewer only at the end."""
        have = b"".join((*self._lines, *self._rest))
        self._lines.clear()
        parts, missing = [have[:count]], count - len(have)
        self._rest.clear()
        self._hold(have[count:])
        while missing > 0 and (chunk := os.read(self._handle, missing)):
            parts.append(chunk)
            missing -= len(chunk)
        return b"".join(parts)

    def _hold(self, data: bytes) -> None:
        """Keep what was read: whole lines, and the start of the next."""
        head, *others = data.split(b"\n")
        self._rest.append(head)
        for part in others:
            self._lines.append(b"".join((*self._rest, b"\n")))
            self._rest = [part]

    def waits(self) -> bool:
        """Tell whether the next line would have to be waited for longer than a few milliseconds."""
        if self._lines:
            return False
        poll = select.poll()
        poll.register(self._handle, select.POLLIN)
        return not poll.poll(PATIENCE)


class Records(Iterator[Record]):
    """The records of a stream; `waits` tells whether the next one would have to be waited for."""

    def __init__(self, records: Iterator[Record], waits: Callable[[], bool]) -> None:
        self._records = records
        self.waits = waits

    def __next__(self) -> Record:
        return next(self._records)


def is_new(query: Record, seen: set[str], reject: Reject, stage: str) -> bool:
    """Whether no query of that id was seen; a second one goes to `reject`. `seen` gets the id."""
    if query["id"] in seen:
        what = f"a second query with the id {shown(query['id'])!r}"
        reject(BadItem(str(query.place), what, "give each query its own id", stage=stage, record=query))
        return False
    seen.add(query["id"])
    return True


def once(records: Records, reject: Reject, stage: str) -> Records:
    """The queries of a stream without those whose id came before; it holds all ids."""
    seen: set[str] = set()
    fresh = (one for one in records if one.get("eof") is True or is_new(one, seen, reject, stage))
    return Records(fresh, records.waits)


def batches(records: Iterable[Record], size: int) -> Iterator[list[Record]]:
    """Yield lists of at most `size` records, in order; full ones, unless the stream makes us wait.

    What came is given out before the next record is waited for, so that a program that sends one query and
    waits for its answer gets it. An iterable that cannot tell (`Records` can) gives full lists.
    """
    waits = records.waits if isinstance(records, Records) else None
    batch: list[Record] = []
    for record in records:
        batch.append(record)
        if len(batch) >= size or (waits is not None and waits()):
            yield batch
            batch = []
    if batch:
        yield batch
