"""Precision, recall and their kin: how many of the first places are relevant."""

from __future__ import annotations

import numpy as np

from mmr.evaluate.judged import Floats, Judged
from mmr.evaluate.measures.places import share, within


def precision(judged: Judged, k: int, *, rel: int = 1) -> Floats:
    """(q,): (1/k) sum of r_i over the first k places, 0 to 1; trec_eval's P.

    Divides by k however short the ranking is. Ties averaged: each relevant item adds its chance of being
    among the first k.
    """
    return judged.per_query(within(judged, k) * (judged.rel >= rel)) / k


def recall(judged: Judged, k: int, *, rel: int = 1) -> Floats:
    """(q,): (1/R) sum of r_i over the first k places, 0 to 1; trec_eval's recall, BEIR's Recall.

    R counts every relevant item of the judgements, retrieved or not; R = 0 gives 0. The papers on images and
    text print `hit` under this name.
    """
    return share(judged.per_query(within(judged, k) * (judged.rel >= rel)), judged.relevant(rel))


def recall_capped(judged: Judged, k: int, *, rel: int = 1) -> Floats:
    """(q,): the sum of r_i over the first k places, divided by min(k, R), 0 to 1; BEIR's R_cap.

    Reaches 1 where R exceeds k; R = 0 gives 0.
    """
    found = judged.per_query(within(judged, k) * (judged.rel >= rel))
    return share(found, np.minimum(k, judged.relevant(rel)))


def r_precision(judged: Judged, *, rel: int = 1) -> Floats:
    """(q,): (1/R) sum of r_i over the first R places, 0 to 1; trec_eval's Rprec.

    R = 0 gives 0; a ranking shorter than R is still divided by R (the script of ECCV Caption divides by the
    length of what it was given).
    """
    relevant = judged.relevant(rel)
    cut = np.repeat(relevant, np.diff(judged.start))
    return share(judged.per_query(within(judged, cut) * (judged.rel >= rel)), relevant)


def judged_share(judged: Judged, k: int | None = None) -> Floats:
    """(q,): the items among the first k that have a judgement, divided by min(k, n); ir_measures' Judged.

    n is the length of the ranking; without k, all of it. Any judgement counts, negative ones as well. An
    empty ranking gives 0. ir_measures orders ties by id ascending here; we keep the order of all measures.
    """
    length = judged.retrieved if k is None else np.minimum(judged.retrieved, k)
    inside = within(judged, int(judged.retrieved.max(initial=0)) if k is None else k)
    return share(judged.per_query(inside), length)
