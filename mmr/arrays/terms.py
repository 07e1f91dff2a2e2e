"""Bags of weighted terms, item by item: each item's terms and weights one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Places = NDArray[np.int64]
Wide = NDArray[np.float64]

KEY = 8  # bytes of a term that are compared at once
LARGEST = 1e15  # of a weight, so that scores fit float32
BLOCK = 1 << 20  # postings that are looked at in one go


class Weigh(Protocol):
    """What each term of a query adds to an item that has it."""

    def __call__(self, values: Wide, which: Places, rows: Places) -> Wide:
        """What postings (m,) add: `values` of terms `which` (numbers of the query's) in items `rows`."""


@dataclass(frozen=True)
class Vocabulary:
    """Terms, ascending by their UTF-8; `vocabulary` makes one.

    names  (b,) uint8, all of them one after the other
    ends   (t,) where each ends
    keys   (t,) uint64, the first 8 bytes of each as a number
    """

    names: NDArray[np.uint8]
    ends: Places
    keys: NDArray[np.uint64]

    def __len__(self) -> int:
        return len(self.ends)

    def name(self, place: int) -> bytes:
        """One term in UTF-8. Raises `ValueError` where its place in `names` is none."""
        start, end = int(self.ends[place - 1]) if place else 0, int(self.ends[place])
        if not 0 <= start <= end <= len(self.names):
            raise ValueError("a term lies outside of the names")
        return self.names[start:end].tobytes()

    def find(self, names: Sequence[bytes]) -> Places:
        """The numbers (n,) of terms; -1 of those that are not there."""
        if not len(self):
            return np.full(len(names), -1, np.int64)
        wanted = np.array([_key(name) for name in names], np.uint64)
        low, high = (np.searchsorted(self.keys, wanted, side) for side in ("left", "right"))
        place = np.minimum(low, len(self) - 1)
        starts, held = np.where(place > 0, self.ends[place - 1], 0), self.names.data
        columns = (low.tolist(), high.tolist(), starts.tolist(), self.ends[place].tolist())
        found = [
            (first if held[start:stop] == name else -1)
            if last - first == 1
            else self._among(name, first, last)
            for name, first, last, start, stop in zip(names, *columns, strict=True)
        ]
        return np.array(found, np.int64)

    def _among(self, name: bytes, low: int, high: int) -> int:
        while low < high:
            middle = (low + high) // 2
            there = self.name(middle)
            if there == name:
                return middle
            low, high = (middle + 1, high) if there < name else (low, middle)
        return -1

    def words(self, places: Iterable[int]) -> list[str]:
        """Terms by number. Raises `ValueError` for one that is no UTF-8."""
        return [self.name(int(place)).decode() for place in places]


def _key(name: bytes) -> int:
    return int.from_bytes(name[:KEY].ljust(KEY, b"\0"), "big")


def vocabulary(names: Sequence[bytes]) -> Vocabulary:
    """A vocabulary of terms that ascend."""
    blob = np.frombuffer(b"".join(names), np.uint8)
    keys = np.array([_key(name) for name in names], np.uint64)
    return Vocabulary(blob, np.cumsum([len(name) for name in names], dtype=np.int64), keys)


@dataclass(frozen=True)
class Bags:
    """The terms of n items; `bags` makes one. The arrays may be mapped from a file that is not sound.

    offsets  (n + 1,) from 0 to p: item i has terms[offsets[i]:offsets[i + 1]]; it may have none
    terms    (p,) uint32, numbers in the vocabulary, ascending in an item
    weights  (p,) float32 above 0
    lengths  (n,) uint32, the sum of an item's weights where these are counts; else None
    """

    vocabulary: Vocabulary
    offsets: Places
    terms: NDArray[np.uint32]
    weights: NDArray[np.float32]
    lengths: NDArray[np.uint32] | None = None

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def counts(self, rows: Places) -> Places:
        """How many terms items have. Raises `ValueError` where an item's place is none."""
        begins, ends = self.offsets[rows], self.offsets[rows + 1]
        if len(rows) and not (begins.min() >= 0 and ends.max() <= len(self.terms) and (begins <= ends).all()):
            raise ValueError("an item lies outside of the terms")
        found: Places = ends - begins
        return found

    def blocks(self, rows: Places) -> Iterator[tuple[slice, Places, NDArray[np.uint32], NDArray[np.float32]]]:
        """Yield (which of `rows`, the item of each posting counted from the first of these, terms, weights).

        rows  ascending. A block has about a million postings at most, unless one item has more.
        Raises `ValueError` for items and terms that are out of range and weights that are not finite.
        """
        counts = self.counts(rows)
        ends = np.cumsum(counts)
        start = 0
        while start < len(rows):
            before = int(ends[start] - counts[start])
            stop = max(start + 1, int(np.searchsorted(ends, before + BLOCK, side="right")))
            part = slice(start, stop)
            first, last = int(self.offsets[rows[start]]), int(self.offsets[rows[stop - 1] + 1])
            if last - first == ends[stop - 1] - before:
                terms, weights = self.terms[first:last], self.weights[first:last]
            else:
                at = spread(self.offsets[rows[part]], counts[part])
                terms, weights = self.terms[at], self.weights[at]
            if len(terms) and (terms.max() >= len(self.vocabulary) or not np.isfinite(weights).all()):
                raise ValueError("a term or a weight is none")
            yield part, np.repeat(np.arange(stop - start), counts[part]), terms, weights
            start = stop

    def only(self, rows: Sequence[int]) -> Bags:
        """The same of some of the items, with the same vocabulary."""
        chosen = np.asarray(rows, np.int64)
        counts = self.counts(chosen)
        at = spread(self.offsets[chosen], counts)
        lengths = None if self.lengths is None else self.lengths[chosen]
        return Bags(self.vocabulary, offsets_of(counts), self.terms[at], self.weights[at], lengths)

    def bag(self, row: int) -> dict[str, float]:
        """The terms of one item and their weights, ascending by UTF-8."""
        (_, _, terms, weights), = self.blocks(np.array([row]))  # fmt: skip
        return dict(zip(self.vocabulary.words(terms), weights.tolist(), strict=True))


def spread(begins: Places, counts: Places) -> Places:
    """begins[0], begins[0] + 1, ... for counts[0] numbers, then from begins[1] on, and so forth."""
    ends = np.cumsum(counts)
    found: Places = np.repeat(begins - (ends - counts), counts)
    found += np.arange(len(found))
    return found


def offsets_of(counts: Places) -> Places:
    """Where each of several runs begins, and where the last ends."""
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(counts, dtype=np.int64)])


def bags(found: Iterable[Mapping[bytes, float]], counted: bool = False) -> Bags:
    """Bags of mappings term -> weight as `checked` gives them, one an item; `counted`: these are counts."""
    numbers: dict[bytes, int] = {}
    counts: list[int] = []
    terms: list[int] = []
    weights: list[float] = []
    for one in found:
        held = sorted(one.items())
        counts.append(len(held))
        terms += [numbers.setdefault(name, len(numbers)) for name, _ in held]
        weights += [weight for _, weight in held]
    names = sorted(numbers)
    renamed = np.empty(len(names), np.uint32)
    renamed[[numbers[name] for name in names]] = np.arange(len(names), dtype=np.uint32)
    offsets, values = offsets_of(np.array(counts, np.int64)), np.array(weights, np.float32)
    lengths = _sums(offsets, values) if counted else None
    return Bags(vocabulary(names), offsets, renamed[np.array(terms, np.int64)], values, lengths)


def _sums(offsets: Places, weights: NDArray[np.float32]) -> NDArray[np.uint32]:
    total = offsets_of(weights.astype(np.int64))
    return (total[offsets[1:]] - total[offsets[:-1]]).astype(np.uint32)


def checked(bag: Mapping[str, float], least: float = 0.0) -> dict[bytes, float]:
    """A bag's terms in UTF-8 with their weights as float32; those of 0 are left out.

    Raises `ValueError`, saying which, for a weight that is no number, not finite, below `least` or above
    1e15, and for a term that is no text.
    """
    for name, value in bag.items():
        if type(value) not in (int, float) or not least <= value <= LARGEST:
            raise ValueError(f"the weight of {name[:40]!r} is no number from {least:g} to 1e15")
    weights = np.array(list(bag.values()), np.float32).tolist()
    try:
        return {name.encode(): weight for name, weight in zip(bag, weights, strict=True) if weight}
    except UnicodeEncodeError as error:
        raise ValueError(f"the term {error.object[:40]!r} is no text") from error


def scores(held: Bags, places: Places, weigh: Weigh, rows: Places) -> tuple[Wide, NDArray[np.bool_]]:
    """What items score, (m,), and whether they have a term of the query at all.

    places  (q,) the numbers of the query's terms, ascending
    rows    (m,) items, ascending
    The score is the sum over the terms, ascending, in float64. Raises `ValueError` as `Bags.blocks` does.
    """
    score, shares = np.zeros(len(rows)), np.zeros(len(rows), bool)
    table = np.zeros(len(held.vocabulary), np.int32)
    table[places] = np.arange(1, len(places) + 1)
    for part, item, terms, weights in held.blocks(rows):
        which = table[terms]
        hit = np.flatnonzero(which)
        item = item[hit]
        values = weights[hit].astype(np.float64)
        adds = weigh(values, which[hit].astype(np.int64) - 1, rows[part][item])
        score[part] = np.bincount(item, adds, part.stop - part.start)
        shares[part] = np.bincount(item, minlength=part.stop - part.start) > 0
    return score, shares


def equal_bags(one: Bags, rows: Places, other: Bags, others: Places) -> NDArray[np.bool_]:
    """Whether items `rows` of one have the terms and weights of items `others` of another, (m,)."""
    old, new = one.only(rows.tolist()), other.only(others.tolist())
    equal: NDArray[np.bool_] = np.diff(old.offsets) == np.diff(new.offsets)
    alike = np.flatnonzero(equal)
    old, new = old.only(alike.tolist()), new.only(alike.tolist())
    names = [new.vocabulary.name(place) for place in range(len(new.vocabulary))]
    wrong = (old.vocabulary.find(names)[new.terms] != old.terms) | (new.weights != old.weights)
    equal[np.repeat(alike, np.diff(new.offsets))[wrong]] = False
    return equal


class Joined(NamedTuple):
    """One vocabulary of several, and the number that every term of each has in it; -1 of unused ones."""

    vocabulary: Vocabulary
    renamed: list[Places]


def joined(parts: Sequence[tuple[Bags, Places]]) -> Joined:
    """One vocabulary of the terms that some items, (bags, rows), have."""
    used = []
    for held, rows in parts:
        mask = np.zeros(len(held.vocabulary), bool)
        for _, _, terms, _ in held.blocks(rows):
            mask[terms] = True
        used.append(np.flatnonzero(mask))
    own = [
        [held.vocabulary.name(int(place)) for place in mine]
        for (held, _), mine in zip(parts, used, strict=True)
    ]
    names = sorted(set().union(*own))
    numbers = {name: place for place, name in enumerate(names)}
    renamed = []
    for (held, _), mine, mine_names in zip(parts, used, own, strict=True):
        table = np.full(len(held.vocabulary), -1, np.int64)
        table[mine] = [numbers[name] for name in mine_names]
        renamed.append(table)
    return Joined(vocabulary(names), renamed)
