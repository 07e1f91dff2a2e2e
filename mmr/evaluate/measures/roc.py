"""Verification: is a hit's score alone enough to tell whether it is relevant? Ranks do not matter here.

A hit is accepted at a threshold t when its score is at least t. FAR is the accepted share of the hits that
are not relevant (unjudged ones among them), TAR that of the relevant ones. Relevant items that were not
retrieved have no score and do not count.
"""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmr.errors import BadDataError, shown
from mmr.evaluate.judged import Floats, Ints, Judged


class Curve(NamedTuple):
    """The operating points, thresholds descending from +inf: FAR and TAR rise from 0 to 1, all (points,)."""

    far: Floats
    tar: Floats
    threshold: Floats


class _Points(NamedTuple):
    """Counts at each operating point: (points,) accepted of either kind, and how many pairs there are."""

    threshold: Floats
    false: Ints
    true: Ints
    negatives: int
    positives: int


def pairs(judged: Judged, rel: int = 1) -> tuple[Floats, NDArray[np.bool_]]:
    """Return the score of every hit and whether it is relevant, both (hits,), query after query.

    Raises `BadDataError` naming a query that has hits without scores.
    """
    unscored = np.isnan(judged.scores)
    if unscored.any():
        query = int(np.searchsorted(judged.hit_start, int(np.argmax(unscored)), side="right")) - 1
        raise BadDataError(
            f"hits of query {shown(judged.queries[query])} have no score",
            "AUC, EER, TAR and ECE look at scores: give every hit one.",
        )
    relevant = np.zeros(len(judged.scores), dtype=np.bool_)
    good = judged.rel >= rel
    relevant[(judged.hit_start[judged.row] + judged.rank - 1)[good]] = True
    return judged.scores, relevant


def auc(judged: Judged, *, rel: int = 1) -> float:
    """Chance that a relevant hit scores above another, over all queries, ties half (Mann-Whitney); 0 to 1."""
    points = _points(judged, rel)
    rise, run = np.diff(points.true), np.diff(points.false)
    # twice the area in whole numbers: what is accepted at a threshold beats all that is rejected, ties half
    doubled = int((run * (points.true[:-1] * 2 + rise)).sum())
    return doubled / (2 * points.positives * points.negatives)


def auc_per_query(judged: Judged, *, rel: int = 1) -> Floats:
    """(q,): AUC of each query's own hits, 0 to 1; NaN where all its hits, or none, are relevant."""
    scores, relevant = pairs(judged, rel)
    size = np.diff(judged.hit_start)
    owner = np.repeat(np.arange(len(size)), size)
    order = np.lexsort((scores, owner))
    score, query, good = scores[order], owner[order], relevant[order]
    opens = np.ones(len(order), dtype=np.bool_)
    opens[1:] = (query[1:] != query[:-1]) | (score[1:] != score[:-1])
    heads = np.flatnonzero(opens)
    positive, negative = (
        np.diff(np.concatenate([[0], np.cumsum(mask)])[np.append(heads, len(order))])
        for mask in (good, ~good)
    )
    below = np.cumsum(negative) - negative
    wins = np.bincount(query[heads], positive * (2.0 * below + negative), len(size)) / 2
    positives, negatives = (np.bincount(query[heads], counts, len(size)) for counts in (positive, negative))
    wins -= positives * (np.cumsum(negatives) - negatives)
    both = (positives > 0) & (negatives > 0)
    areas = np.full(len(size), np.nan)
    np.divide(wins, positives * negatives, out=areas, where=both)
    return areas


def curve(judged: Judged, *, rel: int = 1) -> Curve:
    """The points of the ROC curve, one a distinct score."""
    points = _points(judged, rel)
    return Curve(points.false / points.negatives, points.true / points.positives, points.threshold)


def eer(judged: Judged, *, rel: int = 1) -> float:
    """The error rate where FAR and FRR = 1 - TAR are equal, 0 to 1.

    It is the first operating point where they are, else a line between the points on either side.
    """
    points = _points(judged, rel)
    accepted = points.false * points.positives
    rejected = (points.positives - points.true) * points.negatives
    after = int(np.argmax(accepted >= rejected))
    pairs = points.positives * points.negatives
    if accepted[after] == rejected[after]:
        return int(accepted[after]) / pairs
    gap = int(rejected[after - 1] - accepted[after - 1])
    step = gap / (gap + int(accepted[after] - rejected[after]))
    return float(accepted[after - 1] + step * (accepted[after] - accepted[after - 1])) / pairs


def tar(judged: Judged, *, rel: int = 1, far: float = 0.1) -> float:
    """The largest TAR at a FAR of at most `far`, 0 to 1; without interpolation, as face recognition has it.

    Warns where `far` is finer than the hits can show: it then means that none of the others is accepted.
    """
    points = _points(judged, rel)
    if points.negatives * far < 1:
        warnings.warn(
            f"a FAR of {far:g} cannot be told from 0: {points.negatives:,} hits are not relevant",
            stacklevel=2,
        )
    return int(points.true[points.false / points.negatives <= far][-1]) / points.positives


def _points(judged: Judged, rel: int) -> _Points:
    """Accepted hits at +inf and at each distinct score, descending. Needs hits of both kinds."""
    scores, relevant = pairs(judged, rel)
    positives = int(np.count_nonzero(relevant))
    negatives = len(relevant) - positives
    if not positives or not negatives:
        raise BadDataError(
            f"{positives:,} hits are relevant and {negatives:,} are not",
            "AUC, EER and TAR need some of each: retrieve deeper, or look at the judgements.",
        )
    order = np.argsort(-scores, kind="stable")
    descending = scores[order]
    ends = np.append(np.flatnonzero(descending[1:] != descending[:-1]), len(descending) - 1)
    true = np.cumsum(relevant[order])[ends]
    return _Points(
        np.concatenate([[np.inf], descending[ends]]),
        np.concatenate([[0], ends + 1 - true]),
        np.concatenate([[0], true]),
        negatives,
        positives,
    )
