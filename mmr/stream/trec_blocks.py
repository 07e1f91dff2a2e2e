"""A run of TREC, a block of whole queries at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from mmr.stream.spans import PAD, Bytes, changes
from mmr.stream.trec_lines import Hits, plain_hits
from mmr.stream.trec_scan import scanned_hits

BLOCK = 1 << 22
CARRIAGE = 13
FAR = 4096  # bytes in which a file shows whether its lines end in CR LF
BOM = (0xEF, 0xBB, 0xBF)


def hits_of_queries(file: BinaryIO, source: str, block: int | None = None) -> Iterator[Hits]:
    """Yield the lines of a run in their order; neighbouring lines of one query come together.

    block  bytes that are read at a time (4 MiB); more are held while one query has more lines than that

    Raises `BadDataError` naming file, line and column.
    """
    block = BLOCK if block is None else block
    held, line, wanted, first = np.empty(0, np.uint8), 1, block, True
    ended = False
    while not ended:
        buffer, size = _filled(file, held, wanted)
        ended = size < len(held) + wanted
        if first and tuple(buffer[:3]) == BOM:
            buffer, size = buffer[3:], size - 3
        first = False
        whole = size if ended else _last_line_end(buffer, size)
        hits = _parsed(buffer, whole, source, line)
        groups = changes(hits.query)
        if ended:
            if len(groups):
                yield hits
        elif len(groups) < 2:
            held, wanted = buffer[:size], max(wanted, size)
        else:
            last = int(groups[-1])
            held, wanted = buffer[int(hits.offset[last]) : size], block
            line = int(hits.line[last])
            yield upto(hits, last)


def upto(hits: Hits, count: int) -> Hits:
    """The first lines of some."""
    part = slice(count)
    query, item = hits.query.take(part), hits.item.take(part)
    return Hits(query, item, hits.score[part], hits.line[part], hits.offset[part])


def _filled(file: BinaryIO, held: Bytes, wanted: int) -> tuple[Bytes, int]:
    """A buffer of what was held and what was read after it, and its size; line feeds fill the rest."""
    buffer = np.empty(len(held) + wanted + PAD, np.uint8)
    buffer[: len(held)] = held
    size, view = len(held), memoryview(buffer.data)
    while size < len(held) + wanted:
        count = file.readinto(view[size : len(held) + wanted])  # type: ignore[attr-defined]
        if not count:
            break
        size += count
    buffer[size:] = 10
    return buffer, size


def _last_line_end(buffer: Bytes, size: int) -> int:
    """How many of the bytes belong to whole lines."""
    step = 1 << 16
    for end in range(size, 0, -step):
        feeds = np.flatnonzero(buffer[max(end - step, 0) : end] == 10)
        if len(feeds):
            return max(end - step, 0) + int(feeds[-1]) + 1
    return 0


def _parsed(buffer: Bytes, size: int, source: str, line: int) -> Hits:
    """The hits of whole lines, found all at once where they allow it."""
    return _scanned(buffer, size, line) or plain_hits(buffer[:size].tobytes(), source, line)


def _scanned(buffer: Bytes, size: int, line: int) -> Hits | None:
    """The hits of a scan, of lines that end in CR LF too."""
    if not size or not (buffer[: min(size, FAR)] == CARRIAGE).any():
        return scanned_hits(buffer, size, line)
    data = buffer[:size].tobytes()
    shorter = data.replace(b"\r\n", b"\n")
    hits = scanned_hits(np.frombuffer(shorter + b"\n" * PAD, np.uint8), len(shorter), line)
    if hits is None or size - len(shorter) != len(hits.line) - (not data.endswith(b"\n")):
        return None  # some lines have no CR, so that nobody knows where the others start
    return hits._replace(offset=hits.offset + np.arange(len(hits.line)))
