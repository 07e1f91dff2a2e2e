"""Hubness: items that come back for everything, and items that never do."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from mmr.errors import BadDataError, UsageError


@dataclass(frozen=True)
class Hubness:
    """Figures of N, how many queries have each item of the gallery in their first k; items never seen count.

    queries, k, gallery   what they rest on; seen: items with N > 0; hits: the sum of N
    skewness        third standardised moment of N (population); 0 where every item comes equally often
    skewness_chance what it would be if every item were as likely to be hit; large where hits are few
    antihub_share   share of the gallery with N = 0
    antihub_least   the least that it can be: so many hits cannot reach more items
    hub_share_2k    share of the hits taken by items with N >= 2k (scikit-hubness, hub_size 2)
    hub_share_2sd   share of the hits taken by items with N > mean + 2 sd
    gini, hoover, atkinson  inequality of N, 0 (even) to 1; Atkinson's epsilon is 0.5
    largest         the largest N
    hubs            the items with the largest N, with it
    """

    queries: int
    k: int
    gallery: int
    seen: int
    hits: int
    skewness: float
    skewness_chance: float
    antihub_share: float
    antihub_least: float
    hub_share_2k: float
    hub_share_2sd: float
    gini: float
    hoover: float
    atkinson: float
    largest: int
    hubs: tuple[tuple[str, int], ...]


def hubness(lists: Iterable[Sequence[str]], k: int, gallery: int, *, hubs: int = 10) -> Hubness:
    """Count the first k ids of each query's list over a gallery of that many items.

    Radovanović et al. 2010, with zeros: DBNorm's code counts only items that occur, and scikit-hubness
    divides its hub occurrence by the gallery where we divide by the hits. Holds a number an item seen.
    Raises `BadDataError` for no hits at all, and for more different items than the gallery has.
    """
    if k < 1:
        raise UsageError(f"the first {k} hits are none", "Use -k 1 or more.")
    times: Counter[str] = Counter()
    queries = 0
    for ids in lists:
        times.update(set(ids[:k]))
        queries += 1
    if not times:
        raise BadDataError(f"{queries:,} queries without a hit", "Hubness needs the hits of many queries.")
    if len(times) > gallery:
        raise BadDataError(
            f"the hits name {len(times):,} different items, and the gallery has {gallery:,}",
            "Name the size of the gallery that was searched: --index INDEX or --gallery-size N.",
        )
    largest = sorted(times.items(), key=lambda item: (-item[1], item[0]))[:hubs]
    counts = np.sort(np.fromiter(times.values(), np.int64, len(times)))
    return _figures(counts, queries, k, gallery, tuple(largest))


def _figures(
    counts: np.ndarray, queries: int, k: int, gallery: int, hubs: tuple[tuple[str, int], ...]
) -> Hubness:
    """The figures of ascending counts above 0; the gallery's other items have 0."""
    zeros = gallery - len(counts)
    hits = int(counts.sum())
    mean = hits / gallery
    away = counts - mean
    second, third = (
        (math.fsum((away**power).tolist()) + zeros * (-mean) ** power) / gallery for power in (2, 3)
    )
    place = np.arange(zeros + 1, gallery + 1)
    return Hubness(
        queries=queries,
        k=k,
        gallery=gallery,
        seen=len(counts),
        hits=hits,
        skewness=third / second**1.5 if second > 0 else 0.0,
        skewness_chance=_chance(queries, mean),
        antihub_share=zeros / gallery,
        antihub_least=max(0.0, 1 - hits / gallery),
        hub_share_2k=int(counts[counts >= 2 * k].sum()) / hits,
        hub_share_2sd=int(counts[counts > mean + 2 * math.sqrt(second)].sum()) / hits,
        gini=int(((2 * place - gallery - 1) * counts).sum()) / (gallery * hits),
        hoover=(math.fsum(np.abs(away).tolist()) + zeros * mean) / (2 * hits),
        atkinson=1 - (math.fsum(np.sqrt(counts).tolist()) / gallery) ** 2 / mean,
        largest=int(counts[-1]),
        hubs=hubs,
    )


def _chance(queries: int, mean: float) -> float:
    """The skewness of a binomial count of so many queries with that mean."""
    chance = mean / queries
    return (1 - 2 * chance) / math.sqrt(mean * (1 - chance)) if chance < 1 else 0.0


def meaning(found: Hubness) -> str:
    """Say in one sentence what the figures mean; hubs are twice as skewed as chance."""
    top = sum(times for _, times in found.hubs) / found.hits
    skewness = f"skewness {found.skewness:.2f}, by chance {found.skewness_chance:.2f}"
    reach = f"{found.seen:,} of {found.gallery:,} items come up"
    if found.skewness <= max(1.0, 2 * found.skewness_chance):
        return f"{reach}, about as unevenly as chance would have it ({skewness}): no hubs to be seen."
    return (
        f"{reach}, and the {len(found.hubs)} most frequent take {top:.1%} of all hits ({skewness}): there are"
        " hubs. Look at them: they stand where better answers could."
    )
