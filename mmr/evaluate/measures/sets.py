"""Measures of the whole returned set, whatever its order, and plain counts."""

from __future__ import annotations

import numpy as np

from mmr.evaluate.judged import Floats, Judged
from mmr.evaluate.measures.places import share


def set_precision(judged: Judged, *, rel: int = 1) -> Floats:
    """(q,): relevant items retrieved / items retrieved, 0 to 1; trec_eval's set_P. Empty gives 0."""
    return share(found(judged, rel=rel), judged.retrieved)


def set_recall(judged: Judged, *, rel: int = 1) -> Floats:
    """(q,): relevant items retrieved / R, 0 to 1; trec_eval's set_recall. R = 0 gives 0."""
    return share(found(judged, rel=rel), judged.relevant(rel))


def set_f(judged: Judged, *, rel: int = 1, beta: float = 1.0) -> Floats:
    """(q,): (1 + beta) P R / (R + beta P) of the two above, 0 to 1; trec_eval's set_F, ir_measures' SetF.

    Their beta enters as it is written: van Rijsbergen's F_b is beta = b * b. P = R = 0 gives 0.
    """
    p, r = set_precision(judged, rel=rel), set_recall(judged, rel=rel)
    return share((1 + beta) * p * r, r + beta * p)


def retrieved(judged: Judged) -> Floats:
    """(q,): how many items each query retrieved; the total is their sum, as in trec_eval's num_ret."""
    return judged.retrieved.astype(np.float64)


def relevant(judged: Judged, *, rel: int = 1) -> Floats:
    """(q,): R, how many items are relevant, retrieved or not; the total is their sum.

    Counts judgements of at least `rel`, as pytrec_eval does; trec_eval -c counts those of at least 1. A query
    that the run lacks is counted with its own R where it is scored at all, as trec_eval -c does.
    """
    return judged.relevant(rel).astype(np.float64)


def found(judged: Judged, *, rel: int = 1) -> Floats:
    """(q,): how many relevant items each query retrieved; the total is their sum (num_rel_ret)."""
    return judged.per_query(judged.rel >= rel).astype(np.float64)
