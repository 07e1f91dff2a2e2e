"""Many decimal numbers in text at once, each rounded to the nearest float64 as Python's `float` does."""

from __future__ import annotations

import numpy as np
import orjson
from numpy.typing import NDArray

from mmr.stream.spans import ALL, Bools, Hashes, Ints, Spans

Floats = NDArray[np.float64]
ZEROS = np.uint64(0x3030_3030_3030_3030)
DOTS = np.uint64(0x2E2E_2E2E_2E2E_2E2E)
LOW7 = np.uint64(0x7F7F_7F7F_7F7F_7F7F)
TOP = np.uint64(0x8080_8080_8080_8080)
TO_TOP = np.uint64(0x4646_4646_4646_4646)
POWERS = 10.0 ** np.arange(17)  # exact, as all powers of ten up to 22 are
ONE, SEVEN, EIGHT = np.uint64(1), np.uint64(7), np.uint64(8)
LONGEST = 40  # characters of a number that is read with the others


def decimals(spans: Spans) -> tuple[Floats, Ints]:
    """Read numbers: their values (n,) float64, and the places of those that could not be read here.

    Up to 16 characters without an exponent are an integer below 10^16 over a power of ten up to 10^15, both
    exact in float64, so that one division rounds once (Clinger, 1990); the words of 8 digits are turned into
    numbers as in Lemire's "Number parsing at a gigabyte per second" (2021). The others are read as JSON.
    """
    values, plain = _short(spans)
    others = np.flatnonzero(~plain)
    if not len(others):
        return values, others
    read = _as_json(spans.take(others))
    if read is None:
        return values, others
    values[others] = read
    return values, others[:0]


def integers(spans: Spans) -> Ints | None:
    """Read whole numbers of at most nine characters, a sign included; None where one is none."""
    length = spans.end - spans.start
    if not len(length) or int(length.max()) > 9 or int(length.min()) < 1:
        return None
    lead = spans.buffer[spans.start]
    signed = (lead == ord("-")) | (lead == ord("+"))
    if (length == signed).any():
        return None
    values = np.zeros(len(length), np.int64)
    for place in range(int(length.max())):
        digit = spans.buffer[spans.start + place] - np.uint8(48)
        counts = (length > place) & ~(signed & (place == 0))
        if (counts & (digit > 9)).any():
            return None
        values = np.where(counts, values * 10 + digit, values)
    return np.where(lead == ord("-"), -values, values)


def _short(spans: Spans) -> tuple[Floats, Bools]:
    """The values, and which of them are right."""
    view = np.ndarray((len(spans.buffer) - 7,), "<u8", spans.buffer, 0, (1,))
    negative = spans.buffer[spans.start] == ord("-")
    length = spans.end - spans.start - negative
    low = _filled(view[np.maximum(spans.end - 8, 0)], length)
    dot = _dots(low)
    if len(length) and int(length.max()) <= 8:
        high, point = None, dot
        low, fraction = _without(low, dot, np.uint64(0x30))
        number = _number(low)
        good = _digits(low)
    else:
        high = _filled(view[np.maximum(spans.end - 16, 0)], length - 8)
        high_dot = _dots(high)
        good = (dot == 0) | (high_dot == 0)
        point = dot | high_dot
        in_low = dot != 0
        low, fraction = _without(low, dot, high >> np.uint64(56))
        shifted, more = _without(high, high_dot, np.uint64(0x30))
        high = np.where(in_low, (high << EIGHT) | np.uint64(0x30), shifted)
        fraction += np.where(high_dot != 0, more + 8, 0).astype(fraction.dtype)
        number = _number(high) * np.uint64(10**8) + _number(low)
        good &= _digits(low) & _digits(high)
    good &= (length <= 16) & (length - (point != 0) > 0) & (spans.end >= 16)
    values = number.astype(np.float64)
    values /= POWERS[fraction]
    np.negative(values, out=values, where=negative)
    return values, good


def _filled(word: Hashes, length: Ints) -> Hashes:
    """The last `length` characters of each word, zeros before them."""
    keep = ALL << (8 * np.maximum(8 - length, 0)).astype(np.uint64)
    filled: Hashes = (word & keep) | (ZEROS & ~keep)
    return filled


def _dots(word: Hashes) -> Hashes:
    """The top bit of each byte that is a dot."""
    other = word ^ DOTS
    return ~(((other & LOW7) + LOW7) | other | LOW7)


def _without(word: Hashes, dot: Hashes, first: Hashes | np.uint64) -> tuple[Hashes, NDArray[np.uint8]]:
    """Close the gap of a dot, with `first` as the first character, and count the digits behind the dot.

    A word without a dot stays; one with two keeps a character that is no digit.
    """
    behind = ~((dot << ONE) - ONE)
    moved = (word & behind) | ((word & ((dot >> SEVEN) - ONE)) << EIGHT) | first
    has = dot != 0
    digits = np.where(has, np.bitwise_count(behind) >> 3, 0).astype(np.uint8)
    closed: Hashes = np.where(has, moved, word)
    return closed, digits


def _digits(word: Hashes) -> Bools:
    """Whether all eight characters are digits."""
    good: Bools = (((word + TO_TOP) | (word - ZEROS)) & TOP) == 0
    return good


def _number(word: Hashes) -> Hashes:
    """The value of eight digits."""
    word = (word & np.uint64(0x0F0F_0F0F_0F0F_0F0F)) * np.uint64(2561) >> EIGHT
    word = (word & np.uint64(0x00FF_00FF_00FF_00FF)) * np.uint64(6553601) >> np.uint64(16)
    number: Hashes = (word & np.uint64(0x0000_FFFF_0000_FFFF)) * np.uint64(42949672960001) >> np.uint64(32)
    return number


def _as_json(spans: Spans) -> Floats | None:
    """The values, read as a list of JSON numbers; None where one is none."""
    length = spans.end - spans.start
    width = int(length.max()) + 1
    if width > LONGEST or int(spans.end.min()) < width:
        return None
    before = np.arange(width)[::-1]
    rows = np.lib.stride_tricks.sliding_window_view(spans.buffer, width)[spans.end - width + 1]
    rows[before[None, :] > length[:, None]] = ord(" ")
    rows[:, -1] = ord(",")
    text = bytearray(b"[" + rows.tobytes())
    text[-1] = ord("]")
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    if len(found) != len(length) or not set(map(type, found)) <= {float, int}:
        return None
    return np.array(found, np.float64)
