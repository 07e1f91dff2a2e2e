"""Discounted cumulative gain: graded judgements, worth less the deeper they stand."""

from __future__ import annotations

import numpy as np

from mmr.errors import BadDataError
from mmr.evaluate.judged import Floats, Ints, Judged
from mmr.evaluate.measures.places import deepest, share, weighed

HIGHEST = 1000


def dcg(judged: Judged, k: int | None = None, *, gain: str = "linear") -> Floats:
    """(q,): sum of g_i / log2(i + 1) over the first k places (all without k), 0 and more.

    gain  "linear": g = max(rel, 0); "exp2": g = 2^rel - 1, 0 for negative judgements

    Järvelin and Kekäläinen 2002 in the form of trec_eval; exp2 is Burges et al. 2005. Unjudged items gain
    nothing. What counts as relevant elsewhere changes no gain. Ties averaged: the mean weight of the group.
    """
    return judged.per_query(gains(judged.rel, gain) * weighed(judged, _discounts(deepest(judged, k))))


def ndcg(judged: Judged, k: int | None = None, *, gain: str = "linear") -> Floats:
    """(q,): DCG / the highest DCG that the judgements allow, 0 to 1; trec_eval's ndcg and ndcg_cut.

    The ideal takes all judged items of the query by gain, retrieved or not, the first k of them with a
    cut-off (torchmetrics and scikit-learn take only the retrieved). Without any gain the value is 0.
    """
    discounts = _discounts(deepest(judged, k))
    counts = np.diff(judged.pool_start)
    place = np.arange(len(judged.pool)) - np.repeat(judged.pool_start[:-1], counts)
    weights = np.append(discounts, 0.0)[np.minimum(place, len(discounts))]
    ideal = judged.per_query(gains(judged.pool, gain) * weights, judged.pool_start)
    return share(judged.per_query(gains(judged.rel, gain) * weighed(judged, discounts)), ideal)


def gains(rel: Ints, gain: str) -> Floats:
    """(n,): the gain of each judgement. Raises `BadDataError` where 2^rel would leave float64."""
    positive = np.maximum(rel, 0).astype(np.float64)
    if gain == "linear":
        return positive
    if positive.max(initial=0) > HIGHEST:
        raise BadDataError(
            f"a judgement of {int(positive.max()):,} is too high for gain=exp2, which takes 2 to its power",
            f"Use gain=linear, or judgements of at most {HIGHEST:,}.",
        )
    return np.exp2(positive) - 1


def _discounts(n: int) -> Floats:
    """(n,): 1 / log2(i + 1) for places i = 1 to n."""
    return 1 / np.log2(np.arange(2, n + 2, dtype=np.float64))
