"""Average precision in the forms that the field calls AP; `revisited` has the trapezoid with junk."""

from __future__ import annotations

import numpy as np

from mmr.evaluate.judged import Floats, Ints, Judged
from mmr.evaluate.measures import revisited
from mmr.evaluate.measures.places import deepest, running, share, tied, total


def average_precision(judged: Judged, k: int | None = None, *, rel: int = 1, norm: str = "rel") -> Floats:
    """(q,): sum of r_i P@i over the first k places (all without k), divided by what `norm` names; 0 to 1.

    rel        R, every relevant item of the judgements; trec_eval's map and map_cut
    min        min(k, R); CIRCO's mAP@k, INQUIRE's AP@k
    ret        the relevant items among the first k; torchmetrics, MMDocIR. Not comparable across systems:
               finding less can score more
    trapezoid  the area under a line through the points, junk (negative judgements) taken out; revisited
               Oxford and Paris, of the whole ranking only; NaN where R = 0

    Relevant items not retrieved add 0, and R = 0 gives 0. INQUIRE's script groups equal scores as
    scikit-learn does. Ties averaged: rel and min.
    """
    if norm == "trapezoid":
        return revisited.trapezoid(judged, rel=rel)
    relevant = judged.relevant(rel)
    deep = np.full(len(relevant), deepest(judged, k))
    if norm == "ret":
        whole = judged.per_query((judged.rel >= rel) & (judged.rank <= deep[judged.row]))
    else:
        whole = relevant if norm == "rel" or k is None else np.minimum(relevant, k)
    return share(_precisions(judged, rel, deep), whole)


def at_r(judged: Judged, *, rel: int = 1) -> Floats:
    """(q,): (1/R) sum of r_i P@i over the first R places, 0 to 1; mAP@R of ECCV Caption and metric learning.

    Musgrave et al., A Metric Learning Reality Check, 2020. R = 0 gives 0.
    """
    relevant = judged.relevant(rel)
    return share(_precisions(judged, rel, relevant), relevant)


def _precisions(judged: Judged, rel: int, cut: Ints) -> Floats:
    """(q,): sum of r_i P@i over the first cut[query] places, in order of rank; its mean over tied orders.

    In a group of n places from f on, c of them relevant and s relevant above, place i adds in expectation
    (c/n) (s + 1 + (i - f)(c - 1)/(n - 1)) / i (McSherry and Najork 2008).
    """
    mask = judged.rel >= rel
    if not judged.average:
        terms = running(judged, mask) / judged.rank
        return judged.per_query(terms * (mask & (judged.rank <= cut[judged.row])))
    groups = tied(judged, mask)
    depth = int((groups.first + groups.size).max(initial=1))
    harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, depth + 1, dtype=np.float64))])
    inside = np.clip(cut[groups.query] - groups.first + 1, 0, groups.size)
    reciprocals = harmonic[groups.first - 1 + inside] - harmonic[groups.first - 1]
    more = (groups.relevant - 1) / np.maximum(groups.size - 1, 1)
    sums = (groups.before + 1) * reciprocals + more * (inside - groups.first * reciprocals)
    alone = np.where(inside > 0, (groups.before + 1) / groups.first, 0.0)
    terms = np.where(groups.size == 1, alone, groups.relevant / groups.size * sums)
    return total(groups.query, terms, len(cut))
