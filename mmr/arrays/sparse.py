"""Bags of weighted terms: inverted lists, a byte a weight, exact scores of what is kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Places = NDArray[np.int64]
Wide = NDArray[np.float64]

PEAK = 255
GROUP = 64  # scores of which one is the best
DENSE = 16  # postings are counted over all items where there is one for as many items
STEP = 2.0**-22  # more than a float32 is rounded by
LEAST = 2.0**-149  # and where it is near 0
BITS = 16  # of a scale, so that scale * byte * a query's weight (float32) is exact in float64


@dataclass(frozen=True)
class Inverted:
    """The items that have each term, and how much; `inverted` and `of_bags` make one.

    terms    (t,) the terms; `number` gives the place of each
    begins   (t + 1,) where each term's postings begin
    rows     (p,) uint32, the items of each term, ascending
    weights  (p,) uint8, or float32 where they are not quantised
    scales   (t,) float64, what a weight is multiplied by; 1 where they are not quantised
    items    number of items
    """

    terms: Sequence[str]
    begins: Places
    rows: NDArray[np.uint32]
    weights: NDArray[Any]
    scales: Wide
    items: int
    number: Mapping[str, int] = field(repr=False)


class Found(NamedTuple):
    """Items of at least the k-th best score, ascending, and their scores as float32."""

    row: Places
    score: NDArray[np.float32]


def inverted(
    terms: Sequence[str], row: NDArray[Any], term: NDArray[Any], weight: NDArray[Any], items: int,
    quantised: bool = True,
) -> Inverted:  # fmt: skip
    """Invert postings: item row[i] has terms[term[i]] with weight[i], three arrays (p,).

    quantised  a weight becomes a byte: the nearest multiple, at least one, of the term's largest weight over
               255. False keeps float32

    Raises `ValueError` for a term named twice, a weight that is not finite and above 0, an item or a term out
    of range, and an item that has a term twice.
    """
    number = {name: place for place, name in enumerate(terms)}
    if len(number) < len(terms):
        raise ValueError("a term is named twice")
    if not (np.isfinite(weight) & (weight > 0)).all():
        raise ValueError("weights are finite and above 0")
    for name, values, end in (("an item", row, items), ("a term", term, len(terms))):
        if len(values) and not (values.min() >= 0 and values.max() < end):
            raise ValueError(f"{name} is out of range")
    order = np.argsort(term.astype(np.int64) * max(1, items) + row, kind="stable")
    row, term, weight = row[order], term[order], np.asarray(weight, np.float32)[order]
    if ((np.diff(row) == 0) & (np.diff(term) == 0)).any():
        raise ValueError("an item has a term twice")
    begins = np.searchsorted(term, np.arange(len(terms) + 1)).astype(np.int64)
    scales = np.ones(len(terms))
    if quantised and len(weight):
        filled = np.flatnonzero(np.diff(begins))
        scales[filled] = _rounded(np.maximum.reduceat(weight, begins[filled]).astype(np.float64) / PEAK)
        codes = np.rint(weight / np.repeat(scales, np.diff(begins)))
        weight = np.clip(codes, 1, PEAK).astype(np.uint8)
    return Inverted(terms, begins, row.astype(np.uint32), weight, scales, items, number)


def of_bags(bags: Iterable[Mapping[str, float]], quantised: bool = True) -> Inverted:
    """Invert bags, one an item in order: term -> weight; weights of 0 are left out.

    Terms are sorted. Raises `ValueError` for a weight below 0 or not finite.
    """
    names: dict[str, int] = {}
    row: list[Places] = []
    term: list[int] = []
    weight: list[float] = []
    items = 0
    for items, bag in enumerate(bags, 1):
        held = [(names.setdefault(name, len(names)), value) for name, value in bag.items() if value != 0]
        row.append(np.full(len(held), items - 1, np.int64))
        term.extend(place for place, _ in held)
        weight.extend(value for _, value in held)
    terms = sorted(names)
    renamed = np.empty(len(terms), np.int64)
    renamed[[names[name] for name in terms]] = np.arange(len(terms))
    rows = np.concatenate(row) if row else np.empty(0, np.int64)
    return inverted(terms, rows, renamed[np.array(term, np.int64)], np.array(weight, np.float64), items,
                    quantised)  # fmt: skip


def search(
    lists: Inverted, queries: Sequence[Mapping[str, float]], k: int, allowed: NDArray[np.bool_] | None = None
) -> list[Found]:
    """For every query, the items that share a term with it and are among the k best, ties with the k-th too.

    The score is the sum over the query's terms, in the order of the terms of `lists`, of its weight (float32)
    times the item's, in float64, rounded to float32 at the end. Terms that no item has count nothing, and so
    do weights of 0; weights below 0 take off.

    allowed  (items,) which items may be found; None is all
    """
    total, last = np.zeros(lists.items), np.empty(lists.items, np.int64)
    found = []
    for query in queries:
        rows, weights, rises = _postings(lists, query)
        if DENSE * len(rows) < lists.items or not rises:
            np.add.at(total, rows, weights)
            last[rows] = count = np.arange(len(rows))
            row = rows[last[rows] == count]
            score = total[row]
            total[rows] = 0
            if allowed is not None:
                row, score = row[allowed[row]], score[allowed[row]]
            row, best = _best(row, score, k)
        else:
            score = np.bincount(rows, weights, lists.items).astype(np.float64, copy=False)
            if allowed is not None:
                score[~allowed] = 0
            row, best = _best(None, score, k, least=float(np.nextafter(0, 1)))
        order = np.argsort(row)
        found.append(Found(row[order], best[order]))
    return found


def _postings(lists: Inverted, query: Mapping[str, float]) -> tuple[Places, Wide, bool]:
    """The items of a query's terms, what each adds, and whether all of them add more than 0."""
    known = sorted((lists.number[name], np.float32(value)) for name, value in query.items()
                   if value != 0 and name in lists.number)  # fmt: skip
    parts = [(slice(lists.begins[place], lists.begins[place + 1]), float(value) * float(lists.scales[place]))
             for place, value in known]  # fmt: skip
    if not parts:
        return np.empty(0, np.int64), np.empty(0), False
    rows = np.concatenate([lists.rows[part] for part, _ in parts], dtype=np.int64)
    weights = np.empty(len(rows))
    start = 0
    for part, scale in parts:
        stop = start + part.stop - part.start
        np.multiply(lists.weights[part], scale, out=weights[start:stop], dtype=np.float64)
        start = int(stop)
    return rows, weights, all(scale > 0 for _, scale in parts)


def _best(
    row: Places | None, total: Wide, k: int, least: float = -np.inf
) -> tuple[Places, NDArray[np.float32]]:
    """Those of totals (m,) from `least` on that are among the k best as float32; `row` names them."""
    groups = len(total) // GROUP
    if groups >= k > 0:  # the k-th best of groups' best is not above the k-th best
        tops = total[: GROUP * groups].reshape(GROUP, groups).max(axis=0)
        bound = np.partition(tops, len(tops) - k)[len(tops) - k]
        least = max(least, bound - abs(bound) * STEP - LEAST)
    near = np.flatnonzero(total >= least)
    score = total[near].astype(np.float32)
    if len(near) > k:
        best = (
            score >= np.partition(score, len(score) - k)[len(score) - k] if k else np.zeros(len(score), bool)
        )
        near, score = near[best], score[best]
    return near if row is None else row[near], score


def shared(lists: Inverted, query: Mapping[str, float], item: int) -> dict[str, float]:
    """What each term that a query and an item share adds to the score, the most first."""
    found = {}
    for name, value in query.items():
        place = lists.number.get(name)
        if place is None:
            continue
        part = slice(int(lists.begins[place]), int(lists.begins[place + 1]))
        at = part.start + int(np.searchsorted(lists.rows[part], item))
        if at < part.stop and lists.rows[at] == item:
            found[name] = float(np.float32(value)) * float(lists.scales[place]) * float(lists.weights[at])
    return dict(sorted(found.items(), key=lambda pair: (-pair[1], pair[0])))


def _rounded(values: Wide) -> Wide:
    """Values rounded up to 16 bits."""
    part, power = np.frexp(values)
    found: Wide = np.ldexp(np.ceil(np.ldexp(part, BITS)), power - BITS)
    return found
