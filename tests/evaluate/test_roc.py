"""ROC, EER, TAR at a FAR: against scikit-learn, a naive count, and the reference's case 13."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score, roc_curve

from mmr.errors import BadDataError
from mmr.evaluate.measures.roc import auc, auc_per_query, curve, eer, pairs, tar
from tests.evaluate.hits import by_score, judged

CASE_13 = judged([by_score([0.9, 0.8, 0.8, 0.5, 0.4, 0.2], [1, 1, 0, 1, 0, 0])])

samples = st.lists(
    st.tuples(st.integers(-4, 4).map(lambda n: n / 4), st.sampled_from([None, -1, 0, 1, 2])),
    min_size=2, max_size=24,
)  # fmt: skip


def labels_of(sample, rel=1):
    return [relevance is not None and relevance >= rel for _, relevance in sample]


def test_case_13():
    assert auc(CASE_13) == pytest.approx(0.8333333333333334, rel=1e-15)
    points = curve(CASE_13)
    assert points.threshold.tolist() == [math.inf, 0.9, 0.8, 0.5, 0.4, 0.2]
    assert points.far.tolist() == pytest.approx([0, 0, 1 / 3, 1 / 3, 2 / 3, 1])
    assert (1 - points.tar).tolist() == pytest.approx([1, 2 / 3, 1 / 3, 0, 0, 0])
    assert eer(CASE_13) == pytest.approx(1 / 3, rel=1e-15)
    assert tar(CASE_13, far=0.4) == 1
    ties = judged([by_score([0.9, 0.9, 0.4, 0.1], [1, 0, 1, 0])])
    assert auc(ties) == 0.625


def test_case_13_tar_and_what_so_few_hits_can_show():
    with pytest.warns(UserWarning, match=r"a FAR of 0\.1 cannot be told from 0: 3 hits are not relevant"):
        assert tar(CASE_13, far=0.1) == pytest.approx(1 / 3, rel=1e-15)
    more = judged([by_score([0.9, 0.8, 0.8, 0.5, 0.4, 0.2, *[0.1] * 7], [1, 1, 0, 1, *[0] * 9])])
    assert tar(more, far=0.1) == 1


@given(samples, st.sampled_from([1, 2]))
def test_curve_and_area_are_scikit_learns(sample, rel):
    labels = labels_of(sample, rel)
    assume(0 < sum(labels) < len(labels))
    scores = [score for score, _ in sample]
    block = judged([sample])
    far, rate, threshold = roc_curve(labels, scores, drop_intermediate=False)
    points = curve(block, rel=rel)
    assert points.far.tolist() == pytest.approx(far.tolist())
    assert points.tar.tolist() == pytest.approx(rate.tolist())
    assert points.threshold.tolist() == threshold.tolist()
    assert auc(block, rel=rel) == pytest.approx(roc_auc_score(labels, scores), rel=1e-12)


@given(st.lists(samples | st.just([]), min_size=1, max_size=5))
def test_area_of_each_query_and_of_all_together(queries):
    each = auc_per_query(judged(queries))
    for value, sample in zip(each, queries, strict=True):
        labels = labels_of(sample)
        if 0 < sum(labels) < len(labels):
            assert value == pytest.approx(roc_auc_score(labels, [score for score, _ in sample]), rel=1e-12)
        else:
            assert math.isnan(value)
    together = [pair for sample in queries for pair in sample]
    labels = labels_of(together)
    if 0 < sum(labels) < len(labels):
        assert auc(judged(queries)) == pytest.approx(auc(judged([together])), rel=1e-15)


@given(samples)
def test_equal_error_rate_lies_where_the_curves_cross(sample):
    labels = labels_of(sample)
    assume(0 < sum(labels) < len(labels))
    block = judged([sample])
    points = curve(block)
    far, frr = points.far, 1 - points.tar
    value = eer(block)
    touching = [f for f, r in zip(far, frr, strict=True) if abs(f - r) < 1e-12]
    if touching:
        assert value == pytest.approx(touching[0])
        return
    place = next(i for i in range(len(far)) if far[i] > frr[i])
    where = np.linspace(0, 1, 100_001)
    gap = np.interp(where, [0, 1], far[place - 1 : place + 1]) - np.interp(
        where, [0, 1], frr[place - 1 : place + 1]
    )
    at = where[np.argmin(np.abs(gap))]
    assert value == pytest.approx(float(np.interp(at, [0, 1], far[place - 1 : place + 1])), abs=2e-5)


@given(samples, st.floats(0.05, 1))
def test_tar_is_the_largest_within_the_far(sample, far):
    labels = labels_of(sample)
    assume(sum(labels) > 0 and (len(labels) - sum(labels)) * far >= 1)
    points = curve(judged([sample]))
    want = max(t for f, t in zip(points.far, points.tar, strict=True) if f <= far)
    assert tar(judged([sample]), far=far) == pytest.approx(want)


def test_unjudged_hits_are_not_relevant_and_infinite_scores_tie():
    infinite = math.inf
    block = judged([[(infinite, 1), (infinite, None), (0.5, 1), (-infinite, None)]])
    assert pairs(block)[1].tolist() == [True, False, True, False]
    assert auc(block) == (0.5 + 1 + 0 + 1) / 4


def test_order_of_the_ranking_does_not_matter():
    shuffled = judged([[(0.2, 1), (0.9, 0), (0.5, 1)]])
    assert auc(shuffled) == 0
    assert auc_per_query(shuffled).tolist() == [0]


def test_hits_without_scores_or_of_one_kind():
    with pytest.raises(BadDataError, match="hits of query q1 have no score"):
        auc(judged([[(0.5, 1)], [(0.4, 0), (math.nan, 0)]]))
    for measure in (auc, eer, tar, curve):
        with pytest.raises(BadDataError, match="1 hits are relevant and 0 are not"):
            measure(judged([[(0.5, 1)]]))
