"""Revisited Oxford and Paris: junk is taken out of the ranking, precision is a line between two places.

Radenović et al., Revisiting Oxford and Paris, 2018; the authors' compute_map. Junk is judged negative.
"""

from __future__ import annotations

import numpy as np

from mmr.evaluate.judged import Floats, Ints, Judged
from mmr.evaluate.measures.places import running, total


def trapezoid(judged: Judged, *, rel: int = 1) -> Floats:
    """(q,): sum over positives found of [a_j + (j + 1)/(p_j + 1)] / (2 R), 0 to 1; NaN where R = 0.

    p_j  the 0-based place of the j-th positive once junk is out;  a_j = j / p_j, and 1 where p_j = 0

    The authors rank the whole gallery; of a ranking that was cut off, the value is a lower bound.
    """
    relevant = judged.relevant(rel)
    rows, place, number = _positives(judged, rel)
    before = np.where(place > 0, number / np.maximum(place, 1), 1.0)
    terms = np.zeros(len(judged.rank))
    terms[rows] = before + (number + 1) / (place + 1)
    return np.where(relevant > 0, judged.per_query(terms) / np.maximum(2 * relevant, 1), np.nan)


def precision(judged: Judged, k: int, *, rel: int = 1) -> Floats:
    """(q,): positives among the first kq places / kq, junk out; mP@k.

    kq = min(place of the last positive that was found, k), so a ranking can reach 1 where R < k. NaN where
    R = 0; 0 where no positive was retrieved (the authors' code raises).
    """
    rows, place, _ = _positives(judged, rel)
    query = judged.row[rows]
    last = np.zeros(len(judged.retrieved), dtype=np.int64)
    last[query] = place + 1
    cut = np.minimum(last, k)
    inside = total(query, place < cut[query], len(cut))
    return np.where(judged.relevant(rel) > 0, inside / np.maximum(cut, 1), np.nan)


def _positives(judged: Judged, rel: int) -> tuple[Ints, Ints, Ints]:
    """The rows that are positive, their places without junk and their numbers in the query, both from 0."""
    positive = judged.rel >= rel
    rows = np.flatnonzero(positive)
    place = judged.rank[rows] - 1 - running(judged, judged.rel < 0)[rows]
    return rows, place, running(judged, positive)[rows] - 1
