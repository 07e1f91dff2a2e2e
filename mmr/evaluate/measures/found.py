"""Was it found: any relevant item, all of them, and the sums that papers print of these."""

from __future__ import annotations

import numpy as np

from mmr.errors import BadDataError
from mmr.evaluate.judged import Floats, Judged
from mmr.evaluate.measures.places import Bools, tied, within


def hit(judged: Judged, k: int, *, rel: int = 1) -> Floats:
    """(q,): 1 if any of the first k is relevant, else 0; trec_eval's success.

    This is "Recall@K" in the papers on images and text, CIRR, FashionIQ, GeneCIS and M-BEIR; with several
    relevant items a query it differs from `R`. Ties averaged: 1 - C(n - c, t) / C(n, t) for the group of n
    places, c relevant, that the cut crosses after t.
    """
    mask = judged.rel >= rel
    if judged.average:
        found: Floats = 1 - _chance(judged, mask, k, missed=True)
        return found
    return (judged.per_query(within(judged, k) * mask) > 0).astype(np.float64)


def every(judged: Judged, k: int, *, rel: int = 1) -> Floats:
    """(q,): 1 if every relevant item is among the first k, else 0: all evidence found, in multi-hop search.

    0 where k < R and where R = 0. Ties averaged: C(t, c) / C(n, c) for the group that the cut crosses.
    """
    mask = judged.rel >= rel
    relevant = judged.relevant(rel)
    inside = mask if judged.average else mask & (judged.rank <= k)
    complete: Bools = (judged.per_query(inside) == relevant) & (relevant > 0)
    chance = _chance(judged, mask, k, missed=False) if judged.average else np.ones(len(relevant))
    return np.where(complete, chance, 0.0)


def rsum(judged: Judged, *, rel: int = 1) -> Floats:
    """(q,): 100 (hit@1 + hit@5 + hit@10), 0 to 300; the total of one direction is the mean.

    The rsum of a paper adds both directions, image to text and text to image (0 to 600), unrounded.
    """
    return 100 * (hit(judged, 1, rel=rel) + hit(judged, 5, rel=rel) + hit(judged, 10, rel=rel))


def subset_hit(judged: Judged, k: int, *, rel: int = 1) -> Floats:
    """(q,): hit@k when each query ranks its own candidates alone; CIRR's Recall_subset@k.

    Raises `BadDataError` where the queries have no candidates (`among`).
    """
    if judged.among is None:
        raise BadDataError(
            "no query has candidates of its own (`among`), which R_subset ranks",
            "Give the records a field `among`, or use --protocol cirr.",
        )
    return hit(judged.among, k, rel=rel)


def cirr_average(judged: Judged, *, rel: int = 1) -> Floats:
    """(q,): (hit@5 + R_subset@1) / 2, the "Avg" of CIRR's tables, 0 to 1. Raises as `subset_hit` does."""
    return (hit(judged, 5, rel=rel) + subset_hit(judged, 1, rel=rel)) / 2


def _chance(judged: Judged, mask: Bools, k: int, *, missed: bool) -> Floats:
    """(q,): the chance that the first k hold none of the retrieved rows that have the mask, or all of them.

    A group of n equal scores of which t places are inside puts its j-th such row (from 0) outside with
    (n - t - j) / (n - j) given that the earlier ones are, inside with (t - j) / (n - j).
    """
    rows = np.flatnonzero(mask)
    groups = tied(judged, mask)
    j = np.arange(len(rows)) - np.repeat(np.cumsum(groups.relevant) - groups.relevant, groups.relevant)
    first, size = judged.first[rows], np.repeat(groups.size, groups.relevant)
    inside = np.clip(k - first + 1, 0, size)
    factor = np.maximum((size - inside if missed else inside) - j, 0) / (size - j)
    chance = np.ones(len(judged.retrieved))
    np.multiply.at(chance, judged.row[rows], factor)
    return chance
