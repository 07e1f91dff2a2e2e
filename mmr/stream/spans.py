"""Many short byte strings in one buffer: hashed, compared and ordered without a Python object each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]
Hashes = NDArray[np.uint64]
Bools = NDArray[np.bool_]

PAD = 16  # bytes after the last string: words of 8 bytes are read beyond its end
ALL = np.uint64(0xFFFF_FFFF_FFFF_FFFF)
# Odd constants of SplitMix64 (Steele, Lea and Flood, 2014).
MIX1 = np.uint64(0xBF58_476D_1CE4_E5B9)
MIX2 = np.uint64(0x94D0_49BB_1331_11EB)
GOLDEN = np.uint64(0x9E37_79B9_7F4A_7C15)
HALF = np.uint64(32)


@dataclass(frozen=True, slots=True)
class Spans:
    """n byte strings: `buffer[start[i]:end[i]]`.

    buffer      (size,) uint8, with at least 16 bytes after the last string
    start, end  (n,) int64
    """

    buffer: Bytes
    start: Ints
    end: Ints

    def __len__(self) -> int:
        return len(self.start)

    def __getitem__(self, place: int) -> bytes:
        return self.buffer[self.start[place] : self.end[place]].tobytes()

    def take(self, places: Ints | Bools | slice) -> Spans:
        """The strings at some places, in the same buffer."""
        return Spans(self.buffer, self.start[places], self.end[places])

    def strings(self) -> list[bytes]:
        """All strings."""
        whole = self.buffer.data
        bounds = zip(self.start.tolist(), self.end.tolist(), strict=True)
        return [bytes(whole[start:end]) for start, end in bounds]

    def texts(self) -> list[str]:
        """All strings, decoded. Raises `UnicodeDecodeError` where one is not UTF-8."""
        whole = self.buffer.data
        bounds = zip(self.start.tolist(), self.end.tolist(), strict=True)
        return [str(whole[start:end], "utf-8") for start, end in bounds]

    @staticmethod
    def of(strings: Iterable[bytes]) -> Spans:
        """Put strings into a buffer of their own."""
        held = list(strings)
        end = np.cumsum(np.fromiter(map(len, held), np.int64, len(held)))
        start = np.concatenate([np.zeros(1, np.int64), end[:-1]]) if held else end
        return Spans(np.frombuffer(b"".join([*held, bytes(PAD)]), np.uint8), start, end)

    @staticmethod
    def of_texts(texts: Sequence[str]) -> Spans:
        """The same of strings, in UTF-8."""
        whole = "".join(texts)
        if not whole.isascii():
            return Spans.of(text.encode() for text in texts)
        end = np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts)))
        buffer = np.frombuffer(whole.encode() + bytes(PAD), np.uint8)
        return Spans(buffer, np.concatenate([np.zeros(1, np.int64), end])[: len(end)], end)


def joined(parts: Sequence[Spans]) -> Spans:
    """The strings of all parts, one after the other, in a buffer of their own; needs at least one part."""
    before = np.cumsum([0, *(len(part.buffer) for part in parts[:-1])])
    return Spans(
        np.concatenate([part.buffer for part in parts]),
        np.concatenate([part.start + shift for part, shift in zip(parts, before, strict=True)]),
        np.concatenate([part.end + shift for part, shift in zip(parts, before, strict=True)]),
    )


def words(spans: Spans) -> Iterator[tuple[slice | Ints, Hashes]]:
    """Yield the strings eight bytes at a time: where they are that long, and the bytes.

    The j-th turn gives the places of the strings of more than 8j bytes (a slice when all are), and of each
    the bytes from 8j on as a little-endian number, zero beyond the end of the string.
    """
    buffer = spans.buffer
    view = np.ndarray((len(buffer) - 7,), "<u8", buffer, 0, (1,))
    left = spans.end - spans.start
    places: slice | Ints = slice(None)
    start = spans.start
    while len(left):
        shortest = int(left.min())
        if shortest <= 0:
            keep = np.flatnonzero(left > 0)
            places = keep if isinstance(places, slice) else places[keep]
            start, left = start[keep], left[keep]
            continue
        word = view[start]
        if shortest < 8:
            word &= ALL >> (8 * np.maximum(8 - left, 0)).astype(np.uint64)
        yield places, word
        start, left = start + 8, left - 8


def hashed(spans: Spans) -> Hashes:
    """A 64-bit hash of each string; equal strings have equal hashes, in any buffer."""
    sums = (spans.end - spans.start).astype(np.uint64)
    sums *= GOLDEN
    for places, word in words(spans):
        part = sums[places] ^ word
        part *= MIX1
        part ^= part >> HALF
        part *= MIX2
        sums[places] = part
    return sums


def equal(one: Spans, other: Spans) -> Bools:
    """(n,): whether the i-th strings of both are the same."""
    same: Bools = (one.end - one.start) == (other.end - other.start)
    alike = np.flatnonzero(same)
    for (places, first), (_, second) in zip(words(one.take(alike)), words(other.take(alike)), strict=True):
        same[alike[places]] &= first == second
    return same


def changes(spans: Spans) -> Ints:
    """Where strings differ from the one before: the first of each group of neighbours, 0 included."""
    if not len(spans):
        return np.empty(0, np.int64)
    length = spans.end - spans.start
    new = np.empty(len(spans), np.bool_)
    new[0] = True
    np.not_equal(length[1:], length[:-1], out=new[1:])
    for places, word in words(spans):
        if isinstance(places, slice):
            new[1:] |= word[1:] != word[:-1]
        else:  # neighbours of one length are both here, or both are not
            next_to = places[1:] == places[:-1] + 1
            new[places[1:][next_to]] |= (word[1:] != word[:-1])[next_to]
    return np.flatnonzero(new)


def order_keys(spans: Spans) -> list[Hashes]:
    """Arrays that order the strings by their bytes: compare by the first, where equal by the second, ..."""
    keys: list[Hashes] = []
    for places, word in words(spans):
        key = np.zeros(len(spans), np.uint64)
        key[places] = word.byteswap()
        keys.append(key)
    return [*keys, (spans.end - spans.start).astype(np.uint64)]


def joint(hashes: Hashes, group: Ints) -> Hashes:
    """The hash of a string as a member of a group: the same string in two groups has two of them."""
    mixed: Hashes = (group.astype(np.uint64) + np.uint64(1)) * GOLDEN
    mixed ^= mixed >> HALF
    mixed ^= hashes
    mixed *= MIX1
    return mixed


class Lookup:
    """Finds strings among wanted ones.

    keys  hashes of both, made alike (`hashed`, or `joint` with groups); equal hashes are compared byte by
          byte, so a collision between strings costs time and makes no mistake
    """

    def __init__(self, wanted: Spans, keys: Hashes) -> None:
        self._wanted = wanted
        self._order = np.argsort(keys, kind="stable")
        self._known = keys[self._order]
        bits = max(10, min(26, (8 * len(keys)).bit_length()))
        self._shift = np.uint64(64 - bits)
        self._likely = np.zeros(1 << bits, np.bool_)
        self._likely[self._slot(keys)] = True

    def _slot(self, keys: Hashes) -> Ints:
        return (keys >> self._shift).view(np.int64)

    def find(self, spans: Spans, keys: Hashes) -> tuple[Ints, Ints]:
        """Return the places of the strings that are wanted, ascending, and which wanted one each is."""
        places = np.flatnonzero(self._likely[self._slot(keys)])
        at = np.searchsorted(self._known, keys[places])
        found, which = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
        while len(places):
            same = np.zeros(len(places), np.bool_)
            inside = at < len(self._known)
            same[inside] = self._known[at[inside]] == keys[places[inside]]
            places, at = places[same], at[same]
            real = equal(spans.take(places), self._wanted.take(self._order[at]))
            found.append(places[real])
            which.append(self._order[at[real]])
            places, at = places[~real], at[~real] + 1
        rows, columns = np.concatenate(found), np.concatenate(which)
        if len(found) > 2:
            ascending = np.argsort(rows, kind="stable")
            return rows[ascending], columns[ascending]
        return rows, columns


def repeated(spans: Spans, keys: Hashes) -> tuple[int, int] | None:
    """The first string that came before: its place and the place before; None where all differ."""
    ordered = np.sort(keys)
    twice = ordered[1:][ordered[1:] == ordered[:-1]]
    if not len(twice):
        return None
    seen: dict[tuple[int, bytes], int] = {}
    for place in np.flatnonzero(np.isin(keys, twice)).tolist():
        mark = int(keys[place]), spans[place]
        if mark in seen:
            return place, seen[mark]
        seen[mark] = place
    return None


def ranges(start: Ints, count: Ints) -> Ints:
    """The numbers start[i] ... start[i] + count[i] - 1, one range after the other.

    >>> ranges(np.array([7, 2]), np.array([2, 3])).tolist()
    [7, 8, 2, 3, 4]
    """
    before = np.cumsum(count) - count
    return np.repeat(start - before, count) + np.arange(int(count.sum()))
