"""Rank-biased precision: a reader who goes on to the next place with probability p."""

from __future__ import annotations

import numpy as np

from mmr.errors import BadDataError
from mmr.evaluate.judged import Floats, Judged
from mmr.evaluate.measures.places import deepest, weighed


def rbp(
    judged: Judged, k: int | None = None, *, rel: int = 1, p: float = 0.8, gain: str = "binary", top: int = 0
) -> Floats:
    """(q,): (1 - p) sum of g_i p^(i-1) over the first k places (all without k), 0 to 1.

    gain  "binary": g = 1 from `rel` on; "graded": g = max(rel, 0) / top
    top   the highest judgement of the scale; 0 takes the highest of the query's own judgements

    Moffat and Zobel 2008. Unjudged items gain nothing: `RBP_residual` says how much they could add. ranx
    does not divide graded gains, so its value can exceed 1. Raises `BadDataError` for a judgement above top.
    """
    return judged.per_query(_gain(judged, rel, gain, top) * weighed(judged, _chances(deepest(judged, k), p)))


def residual(judged: Judged, k: int | None = None, *, p: float = 0.8) -> Floats:
    """(q,): how much RBP could grow if everything unjudged or not retrieved were relevant, 0 to 1.

    1 - (1 - p) sum of p^(i-1) over the judged places: p^n for the places after the n-th, and the weight of
    each unjudged place. Negative judgements count as judged. Moffat and Zobel 2008, section 4.
    """
    return 1 - judged.per_query(weighed(judged, _chances(deepest(judged, k), p)))


def _chances(n: int, p: float) -> Floats:
    """(n,): (1 - p) p^(i-1) for places i = 1 to n."""
    return (1 - p) * np.power(p, np.arange(n, dtype=np.float64))


def _gain(judged: Judged, rel: int, gain: str, top: int) -> Floats:
    """(m,): the gain of each row, 0 to 1."""
    if gain == "binary":
        return (judged.rel >= rel).astype(np.float64)
    highest = int(judged.pool.max(initial=0))
    if top and highest > top:
        raise BadDataError(
            f"a judgement of {highest:,} is above the highest of the scale, top={top:,}",
            f"Write RBP(gain=graded,top={highest}), or leave top out.",
        )
    if top:
        return np.maximum(judged.rel, 0) / top
    own = np.zeros(len(judged.retrieved), dtype=np.int64)
    filled = np.diff(judged.pool_start) > 0
    own[filled] = judged.pool[judged.pool_start[:-1][filled]]
    return np.maximum(judged.rel, 0) / np.maximum(own, 1)[judged.row]
