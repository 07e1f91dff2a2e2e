"""Lines of columns, read one by one: the plain reader of runs, whose errors name line and column."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmr.errors import BadDataError, shown
from mmr.stream.spans import Ints, Spans
from mmr.stream.trec import TAG, decoded

RUN = "A run has six columns: query Q0 item rank score tag."
WHOLE = re.compile(r"[+-]?[0-9]+")
OUR_TAG = TAG.encode()
LARGEST = 2**31 - 1  # of a judgement


class Hits(NamedTuple):
    """n lines of a run, in the order of the file.

    query, item  ids, as UTF-8
    score        (n,) float64, never NaN
    line         (n,) number of each line in the file, from 1
    offset       (n,) where each line starts in the bytes that were read
    """

    query: Spans
    item: Spans
    score: NDArray[np.float64]
    line: Ints
    offset: Ints


def column_error(source: str, line: int, column: int, what: str, fix: str) -> BadDataError:
    """The error of one column, `run.trec line 7, column 5: score 'x' is not a number`."""
    return BadDataError(f"{source} line {line}, column {column}: {what}", fix)


def plain_hits(data: bytes, source: str, line: int) -> Hits:
    """Read whole lines of a run; blank ones are passed over.

    line  the number of the first line

    Columns stand between any blanks or tabs, more than six are allowed. Raises `BadDataError` for all else.
    """
    queries, items = list[bytes](), list[bytes]()
    scores, numbers, offsets = list[float](), list[int](), list[int]()
    for number, offset, text in numbered(data, line):
        query, item, score = _hit(text, source, number)
        queries.append(query)
        items.append(item)
        scores.append(score)
        numbers.append(number)
        offsets.append(offset)
    return Hits(
        Spans.of(queries), Spans.of(items), np.array(scores, np.float64),
        np.array(numbers, np.int64), np.array(offsets, np.int64),
    )  # fmt: skip


def numbered(data: bytes, line: int) -> Iterator[tuple[int, int, bytes]]:
    """Yield number, offset and bytes of each line that is not blank."""
    offset = 0
    while offset < len(data):
        end = data.find(b"\n", offset)
        end = len(data) if end < 0 else end
        text = data[offset:end]
        if text and not text.isspace():
            yield line, offset, text
        offset, line = end + 1, line + 1


def _hit(text: bytes, source: str, line: int) -> tuple[bytes, bytes, float]:
    columns = text.split()
    if len(columns) < 6:
        what = f"missing, the line has {len(columns)} column{'s' if len(columns) > 1 else ''}"
        raise column_error(source, line, len(columns) + 1, what, RUN)
    query, item, tag = columns[0], columns[2], columns[5]
    if not text.isascii():
        utf8(query, source, line, 1)
        utf8(item, source, line, 3)
    try:
        score = number(columns[4])
    except ValueError as error:
        raise column_error(source, line, 5, str(error), RUN) from None
    if tag == OUR_TAG and len(columns) == 6 and (b"%" in query or b"%" in item):
        query, item = _decoded(query, source, line, 1), _decoded(item, source, line, 3)
    return query, item, score


def number(text: bytes) -> float:
    """The value of a score; infinities are allowed. Raises `ValueError` in words."""
    try:
        score = math.nan if b"_" in text else float(text)
    except ValueError:
        score = math.nan
    if math.isnan(score):
        raise ValueError(f"score '{shown(text.decode(errors='replace'))}' is not a number")
    return score


def whole(text: bytes) -> int:
    """The value of a judgement. Raises `ValueError` in words."""
    words = text.decode(errors="replace")
    if not WHOLE.fullmatch(words):
        raise ValueError(f"judgement '{shown(words)}' is not a whole number")
    if len(words) > 12 or abs(int(words)) > LARGEST:
        raise ValueError(f"judgement {shown(words)} is too large, at most {LARGEST:,}")
    return int(words)


def utf8(text: bytes, source: str, line: int, column: int) -> None:
    """Raise `BadDataError` of the column unless the bytes are UTF-8."""
    try:
        text.decode()
    except UnicodeDecodeError:
        raise column_error(source, line, column, "not UTF-8", "`iconv -t utf-8` converts.") from None


def _decoded(name: bytes, source: str, line: int, column: int) -> bytes:
    try:
        return decoded(name.decode()).encode()
    except UnicodeDecodeError:
        what = "percent-encoding that is not UTF-8"
        raise column_error(source, line, column, what, "Ids are encoded so on lines tagged mmr.") from None
