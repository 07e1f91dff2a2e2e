"""Inverted lists: term by term the items that have it, a byte a weight.

A byte is a multiple of the term's scale, its largest weight over 255, so that it is off by half of that at
most; how far those of a term are off is kept. So lists propose every item that may be among the best, and
what the items hold says which are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from mmr.arrays.terms import Bags, Places, Wide

PEAK = 255
GROUP = 64  # scores of which one is the best
DENSE = 16  # postings are counted over all items where there is one for as many items
STEP = 2.0**-22  # more than a float32 is rounded by
LEAST = 2.0**-149  # and where it is near 0
SAFE = 1e30  # products between this and 1 over it are added up as float32
BUILT = 1 << 22  # postings that are sorted in one go


class Adds(Protocol):
    """What the postings of a query's terms add, as lists hold them."""

    def of_lists(
        self, codes: NDArray[Any], rows: Places, scales: Wide, counts: Places
    ) -> NDArray[np.floating]:
        """(p,) of postings: codes and items (p,), the scale (t,) and the postings (t,) of each term."""

    def slack(self, scales: Wide, errors: Wide) -> float:
        """How far two scores may be off together, of scales and errors (t,) of the terms."""

    @property
    def rises(self) -> bool:
        """Whether every posting adds more than 0."""


@dataclass(frozen=True)
class Inverted:
    """The items that have each of t terms, and how much. The arrays may be mapped from an unsound file.

    begins   (t + 1,) where each term's postings begin
    rows     (p,) uint32, the items of each term, ascending
    codes    (p,) uint8, 1 or more; counts are themselves, uint8 or wider
    scales   (t,) float64, what a code is multiplied by
    errors   (t,) float64, how far a weight of the term may be from its code times its scale
    items    number of items
    """

    begins: Places
    rows: NDArray[np.uint32]
    codes: NDArray[Any]
    scales: Wide
    errors: Wide
    items: int

    def postings(self, places: Places) -> tuple[Places, NDArray[Any], Places]:
        """Items and codes (p,) of the terms `places`, one term after the other, and how many each has.

        Raises `ValueError` for what is out of range.
        """
        begins, ends = self.begins[places].tolist(), self.begins[places + 1].tolist()
        parts = list(map(slice, begins, ends))
        if not all(0 <= start <= stop <= len(self.rows) for start, stop in zip(begins, ends, strict=True)):
            raise ValueError("a list lies outside of the postings")
        rows = np.concatenate([np.empty(0, np.int64), *(self.rows[part] for part in parts)], dtype=np.int64)
        codes = np.concatenate([self.codes[:0], *(self.codes[part] for part in parts)])
        if len(rows) and rows.max() >= self.items:
            raise ValueError("an item is out of range")
        return rows, codes, self.begins[places + 1] - self.begins[places]


def proposed(
    lists: Inverted, places: Places, adds: Adds, k: int, dead: NDArray[np.bool_] | None = None
) -> tuple[Places, Wide]:
    """The items that may be among the k best of a query, ties with the k-th too, ascending; their scores.

    places  (t,) the numbers of the query's terms, ascending
    dead    (items,) which must not be found; None is none

    Items that share no term are not found. Scores are sums over the terms in order, of what `adds` says.
    Raises `ValueError` for lists that are not sound.
    """
    rows, codes, counts = lists.postings(places)
    scales, errors = lists.scales[places], lists.errors[places]
    if not (np.isfinite(scales).all() and np.isfinite(errors).all()):
        raise ValueError("a scale is no number")
    with np.errstate(all="ignore"):
        weights, slack = adds.of_lists(codes, rows, scales, counts), adds.slack(scales, errors)
    total = np.zeros(lists.items, weights.dtype)
    np.add.at(total, rows, weights)
    if DENSE * len(rows) < lists.items or not adds.rises:
        last = np.zeros(lists.items, np.int64)
        last[rows] = count = np.arange(len(rows))
        row = rows[last[rows] == count]
        if dead is not None:
            row = row[~dead[row]]
        row = np.sort(row[_near(total[row], k, slack, -np.inf)])
    else:
        if dead is not None:
            total[dead] = 0
        row = _near(total, k, slack, float(np.finfo(total.dtype).smallest_subnormal))
    return row, total[row].astype(np.float64)


def _near(total: NDArray[np.floating], k: int, slack: float, least: float) -> Places:
    """Which of totals (m,), from `least` on, are not more than `slack` below the k-th best; ascending."""
    groups = len(total) // GROUP
    if not groups >= k > 0:
        return np.flatnonzero(total >= least)
    tops = total[: GROUP * groups].reshape(GROUP, groups).max(axis=0)
    bound = np.partition(tops, len(tops) - k)[len(tops) - k]  # not above the k-th best
    least = max(least, _below(float(bound), slack))
    good = np.flatnonzero(tops >= least)
    some = np.concatenate([(np.arange(GROUP)[:, None] * groups + good).ravel(),
                           np.arange(GROUP * groups, len(total))])  # fmt: skip
    some = some[total[some] >= least]
    if len(some) > k:
        kth = np.partition(total[some], len(some) - k)[len(some) - k]
        some = some[total[some] >= max(least, _below(float(kth), slack))]
    return np.sort(some)


def _below(score: float, slack: float) -> float:
    return score - slack - abs(score) * STEP - LEAST


class Block(NamedTuple):
    """The lists of some terms: from the first on, their items and codes, scales and errors."""

    first: int
    rows: NDArray[np.uint32]
    codes: NDArray[Any]
    scales: Wide
    errors: Wide


def inverted_blocks(held: Bags, begins: Places, counted: np.dtype[Any] | None) -> Iterator[Block]:
    """Invert bags, some terms at a time, so that millions of postings are in memory and not all.

    begins   (t + 1,) where each term's postings begin, as `begins_of` gives them
    counted  the type of counts, which are kept as they are; None makes weights bytes
    """
    rows, first, terms = np.arange(len(held)), 0, len(held.vocabulary)
    while first < terms:
        last = max(first + 1, int(np.searchsorted(begins, begins[first] + BUILT, side="right")) - 1)
        found: list[list[NDArray[Any]]] = [[], [], []]
        for part, item, term, weight in held.blocks(rows):
            mine = slice(None) if last - first == terms else (term >= first) & (term < last)
            item = (item[mine] + part.start).astype(np.uint32)
            for column, values in zip(
                found, (item, term[mine] - np.uint32(first), weight[mine]), strict=True
            ):
                column.append(values)
        item, term, weight = (np.concatenate([np.empty(0, np.uint32), *column]) for column in found)
        order = _by_term(term.astype(np.uint32))
        sizes = np.diff(begins[first : last + 1])
        codes, scales, errors = _coded(np.asarray(weight[order], np.float64), sizes, counted)
        yield Block(first, item[order].astype(np.uint32), codes, scales, errors)
        first = last


def begins_of(held: Bags) -> Places:
    """Where each term's postings begin when they stand term by term, (t + 1,)."""
    counts = np.zeros(len(held.vocabulary), np.int64)
    for _, _, terms, _ in held.blocks(np.arange(len(held))):
        counts += np.bincount(terms, minlength=len(counts))
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])


def counts_of(held: Bags) -> np.dtype[Any]:
    """The least type that the largest count fits: uint8, uint16 or uint32."""
    return np.min_scalar_type(int(np.clip(held.weights.max(initial=0), 0, 2**32 - 1)))


def _by_term(term: NDArray[np.uint32]) -> Places:
    """What sorts terms, in two passes of 16 bits, which are sorted by counting."""
    order = np.argsort(term.astype(np.uint16), kind="stable")
    if len(term) and term.max() >> 16:
        order = order[np.argsort((term >> 16).astype(np.uint16)[order], kind="stable")]
    return order


def _coded(weight: Wide, sizes: Places, counted: np.dtype[Any] | None) -> tuple[NDArray[Any], Wide, Wide]:
    """Codes of weights, one term after the other, and the scale and the largest error of each term."""
    scales, errors = np.ones(len(sizes)), np.zeros(len(sizes))
    if counted is not None:
        return weight.astype(counted), scales, errors
    filled = np.flatnonzero(sizes)
    starts = (np.cumsum(sizes) - sizes)[filled]
    if len(filled):
        scales[filled] = np.maximum.reduceat(weight, starts) / PEAK
    each = np.repeat(scales, sizes)
    codes = np.clip(np.rint(weight / each), 1, PEAK)
    if len(filled):
        errors[filled] = np.maximum.reduceat(np.abs(weight - codes * each), starts)
    return codes.astype(np.uint8), scales, errors


class Plain(NamedTuple):
    """A query's weights (t,) of its terms: a posting adds its weight times the item's."""

    weights: Wide

    def __call__(self, values: Wide, which: Places, rows: Places) -> Wide:
        """What postings add."""
        return values * self.weights[which]

    def of_lists(
        self, codes: NDArray[Any], rows: Places, scales: Wide, counts: Places
    ) -> NDArray[np.floating]:
        """What postings add, as lists hold them: float32, where that can hold it."""
        factor = scales * self.weights
        size = np.abs(factor)
        dtype = np.float32 if len(size) and size.min() > 1 / SAFE and size.sum() < SAFE else np.float64
        found = np.repeat(factor.astype(dtype), counts)
        found *= codes.astype(dtype)
        return found

    def slack(self, scales: Wide, errors: Wide) -> float:
        """Twice the errors of the terms, and what sums of float32 are rounded by."""
        weights = np.abs(self.weights)
        return float((weights * (2 * errors + (len(scales) + 2) * STEP * PEAK * scales)).sum())

    @property
    def rises(self) -> bool:
        """Whether every posting adds more than 0."""
        return bool((self.weights > 0).all())
