"""Lines of a run in which one blank or tab stands between six columns, found all at once."""

from __future__ import annotations

import numpy as np

from mmr.stream.decimals import decimals
from mmr.stream.spans import Bytes, Ints, Spans, words
from mmr.stream.trec import TAG
from mmr.stream.trec_lines import Hits, number

COLUMNS = 6
FEED, TAB, BLANK, PERCENT = 10, 9, 32, 37


def scanned_hits(buffer: Bytes, size: int, line: int) -> Hits | None:
    """Read the lines in the first `size` bytes; None where one of them needs the plain reader.

    buffer  uint8, line feeds after `size`
    line    the number of the first line
    """
    found = columns(buffer, size, COLUMNS)
    if found is None:
        return None
    start, ends = found
    if _encoded(buffer[:size], Spans(buffer, ends[:, 4] + 1, ends[:, 5])):
        return None
    query = Spans(buffer, start, ends[:, 0])
    item = Spans(buffer, ends[:, 1] + 1, ends[:, 2])
    text = Spans(buffer, ends[:, 3] + 1, ends[:, 4])
    score, others = decimals(text)
    try:
        score[others] = [number(text[place]) for place in others.tolist()]
    except ValueError:
        return None
    return Hits(query, item, score, np.arange(line, line + len(start)), start)


def columns(buffer: Bytes, size: int, count: int) -> tuple[Ints, Ints] | None:
    """Find the columns of lines that all have `count`, one blank or tab between two, none empty.

    Returns where each line starts (n,) and where each column ends (n, count); None of other lines, and of
    those that are not UTF-8.
    """
    if size and buffer[size - 1] != FEED:
        size += 1  # a last line without its end
    data = buffer[:size]
    blank = data <= BLANK
    found = np.flatnonzero(blank)
    if not len(found) or len(found) % count or blank[0] or (blank[1:] & blank[:-1]).any():
        return None
    ends = found.reshape(-1, count)
    feeds = np.count_nonzero(data == FEED)
    if feeds != len(ends) or (data[ends[:, -1]] != FEED).any():
        return None
    if feeds + np.count_nonzero(data == BLANK) + np.count_nonzero(data == TAB) != ends.size:
        return None
    if data.max() >= 128:
        try:
            data.tobytes().decode()
        except UnicodeDecodeError:
            return None
    start = np.empty(len(ends), np.int64)
    start[0] = 0
    start[1:] = ends[:-1, -1] + 1
    return start, ends


def _encoded(data: Bytes, tag: Spans) -> bool:
    """Tell whether ids may be percent-encoded: there is a percent-sign, and our tag."""
    if not (data == PERCENT).any():
        return False
    ours = int.from_bytes(TAG.encode(), "little")
    return bool(((tag.end - tag.start == len(TAG)) & (next(words(tag))[1] == ours)).any())
