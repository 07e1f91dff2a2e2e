"""The order of equal scores: as the field breaks ties, and the best and the worst that a ranking could be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mmr.evaluate.judged import Floats, Ints, Judged
from mmr.stream.spans import Bools

TIES = ("docid-desc", "docid-asc", "input", "average", "best", "worst")


def equal_to_previous(score: Floats, group: Ints) -> Bools:
    """(n,): whether a hit has the score of the one before it in its group; NaN is equal to nothing."""
    same = np.zeros(len(score), np.bool_)
    same[1:] = (score[1:] == score[:-1]) & (group[1:] == group[:-1])
    return same


def reordered(judged: Judged, how: str) -> Judged:
    """The same rankings with equal scores in the "best" or in the "worst" order.

    Best puts what is relevant first, the more relevant before the less, and what was judged not relevant
    last; worst is the reverse. Unjudged items stand between.
    """
    tied = np.flatnonzero(judged.last > judged.first)
    among = reordered(judged.among, how) if judged.among is not None else None
    if not len(tied):
        return replace(judged, among=among)
    row = judged.row
    rel = judged.rel[tied]
    merit = np.where(rel > 0, rel, np.where(rel < 0, 0, -1))
    sign = -1 if how == "best" else 1
    order = tied[np.lexsort((sign * merit, judged.first[tied], row[tied]))]
    new = np.ones(len(order), np.bool_)
    new[1:] = (row[order][1:] != row[order][:-1]) | (judged.first[order][1:] != judged.first[order][:-1])
    begins = np.flatnonzero(new)
    size = np.diff(np.append(begins, len(order)))
    nth = np.arange(len(order)) - np.repeat(begins, size)
    at_front = (judged.rel[order] != 0) == (how == "best")
    from_end = judged.last[order] - (np.repeat(size, size) - 1 - nth)
    rank = judged.rank.copy()
    rank[order] = np.where(at_front, judged.first[order] + nth, from_end)
    final = np.lexsort((rank, row))
    return replace(
        judged, rank=rank[final], rel=judged.rel[final], first=judged.first[final], last=judged.last[final],
        among=among,
    )  # fmt: skip
