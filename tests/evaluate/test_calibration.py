"""Expected calibration error: the reference's case 16, a naive sum, the edges of bins."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmr.errors import BadDataError
from mmr.evaluate.measures.calibration import ece, reliability
from tests.evaluate.hits import judged


def test_case_16():
    assert ece(judged([[(0.95, 1), (0.85, 0), (0.55, 1), (0.35, 0)]])) == pytest.approx(0.425, rel=1e-15)


def naive(hits, bins):
    error = 0.0
    for b in range(bins):
        own = [(s, rel == 1) for s, rel in hits if b / bins < s <= (b + 1) / bins or (b == 0 and s == 0)]
        if own:
            error += len(own) / len(hits) * abs(np.mean([y for _, y in own]) - np.mean([s for s, _ in own]))
    return error


scores = st.one_of(
    st.floats(0, 1), st.integers(0, 30).map(lambda n: n / 30), st.integers(0, 10).map(lambda n: n / 10)
)


@given(
    st.lists(st.tuples(scores, st.sampled_from([0, 1, None])), min_size=1, max_size=30),
    st.sampled_from([1, 3, 10, 15]),
)
def test_naively(hits, bins):
    assert ece(judged([hits]), bins=bins) == pytest.approx(naive(hits, bins), abs=1e-12)


@pytest.mark.parametrize(
    ("score", "place"), [(0, 0), (0.1, 0), (0.3, 2), (0.30000000000000004, 3), (0.7, 6), (1, 9)]
)
def test_the_upper_edge_belongs_to_a_bin(score, place):
    assert np.flatnonzero(reliability(judged([[(score, 1)]])).hits).tolist() == [place]


def test_only_the_first_k_hits_of_each_query():
    block = judged([[(0.9, 1), (0.8, 0)], [], [(0.6, 0), (0.2, 1)]])
    assert ece(block, 1) == pytest.approx((0.1 + 0.6) / 2)
    assert reliability(block, 1).hits.sum() == 2
    assert reliability(block).hits.sum() == 4


def test_level_of_relevance():
    assert ece(judged([[(0.75, 1)]]), rel=2) == 0.75


def test_empty_bins_are_not_zero():
    bins = reliability(judged([[(0.95, 1)]]))
    assert math.isnan(bins.accuracy[0])
    assert (bins.accuracy[9], bins.confidence[9]) == (1, 0.95)


def test_scores_that_are_no_chances():
    for score in (-0.1, 1.0001, math.inf):
        with pytest.raises(BadDataError, match="chances between 0 and 1"):
            ece(judged([[(0.5, 1), (score, 0)]]))
    with pytest.raises(BadDataError, match="no hits"):
        ece(judged([[], []]))
