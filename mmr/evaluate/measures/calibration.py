"""Calibration: does a score of 0.8 mean relevant 8 times in 10?"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mmr.errors import BadDataError, shown
from mmr.evaluate.judged import Floats, Ints, Judged
from mmr.evaluate.measures.roc import pairs


class Bins(NamedTuple):
    """Bins of equal width over (0, 1]: (bins,) hits, their mean score, the share that is relevant.

    An empty bin's mean and share are NaN.
    """

    hits: Ints
    confidence: Floats
    accuracy: Floats


def ece(judged: Judged, k: int | None = None, *, rel: int = 1, bins: int = 10) -> float:
    """Expected calibration error of the first k hits' scores (of all without k), 0 to 1, lower is better.

    Sum over bins of share of hits × |share relevant - mean score|; Naeini et al. 2015, Guo et al. 2017. Bins
    are (lo, hi], and a score of 0 is in the first. Raises `BadDataError` for scores outside 0 to 1, and where
    there are no hits.
    """
    found = reliability(judged, k, rel=rel, bins=bins)
    used = found.hits > 0
    error = np.abs(found.accuracy[used] - found.confidence[used])
    return float((found.hits[used] * error).sum() / found.hits.sum())


def reliability(judged: Judged, k: int | None = None, *, rel: int = 1, bins: int = 10) -> Bins:
    """The bins that `ece` adds up: what a reliability diagram shows."""
    scores, relevant = pairs(judged, rel)
    size = np.diff(judged.hit_start)
    place = np.arange(len(scores)) - np.repeat(judged.hit_start[:-1], size)
    if k is not None:
        scores, relevant = scores[place < k], relevant[place < k]
    if not len(scores):
        raise BadDataError("no hits, so no scores to calibrate", "Was the run cut off?")
    outside = (scores < 0) | (scores > 1)
    if outside.any():
        worst = float(scores[int(np.argmax(outside))])
        raise BadDataError(
            f"ECE takes scores as chances between 0 and 1, and one is {shown(f'{worst:g}')}",
            "A cosine is no chance: `mmr fit calibrate` learns what a score means.",
        )
    inner = np.arange(1, bins) / bins
    owner = np.searchsorted(inner, scores, side="left")
    count = np.bincount(owner, minlength=bins)
    empty = np.full(bins, np.nan)
    sums, hits = (np.bincount(owner, weights, bins) for weights in (scores, relevant))
    return Bins(
        count.astype(np.int64),
        np.divide(sums, count, out=empty.copy(), where=count > 0),
        np.divide(hits, count, out=empty, where=count > 0),
    )
