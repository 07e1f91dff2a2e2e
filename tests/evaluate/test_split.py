"""Near and far from the training queries."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mmr.errors import BadDataError
from mmr.evaluate import split as module
from mmr.evaluate.doubt import unpaired_interval
from mmr.evaluate.grammar import parse
from mmr.evaluate.scored import Counts, Scored
from mmr.evaluate.split import between, similarities, split

MEASURES = parse("AP,MedR,NumRet")


def scored(values, medians=None):
    queries = [f"q{place}" for place in range(len(values))]
    columns = {
        "AP": np.array(values, dtype=float),
        "MedR": np.array(medians or range(1, len(values) + 1), dtype=float),
        "NumRet": np.full(len(values), 10.0),
    }
    return Scored("run", queries, columns, {}, Counts(len(values), len(values), len(values), 0, 0))


@pytest.mark.parametrize("rows", [7, 64, 1 << 14])
def test_highest_cosine(monkeypatch, rows):
    monkeypatch.setattr(module, "ROWS", rows)
    rng = np.random.default_rng(3)
    test, training = rng.standard_normal((40, 8)) * 3, rng.standard_normal((150, 8))
    unit = [a / np.linalg.norm(a, axis=1, keepdims=True) for a in (test, training)]
    naive = (unit[0] @ unit[1].T).max(axis=1)
    assert similarities(test, training.astype(np.float32)) == pytest.approx(naive, abs=1e-6)


def test_a_training_query_itself_is_at_one():
    rng = np.random.default_rng(4)
    vectors = rng.standard_normal((30, 8)).astype(np.float16)
    assert similarities(vectors[::-1], vectors) == pytest.approx(1, abs=1e-6)


def test_vectors_that_do_not_fit():
    with pytest.raises(BadDataError, match="have 3 dimensions, the training queries 2"):
        similarities(np.ones((1, 3)), np.ones((1, 2)))
    with pytest.raises(BadDataError, match="no training queries"):
        similarities(np.ones((1, 2)), np.ones((0, 2)))
    with pytest.raises(BadDataError, match="training query 2 is not finite"):
        similarities(np.ones((1, 2)), np.array([[1, 1], [0, 1], [math.inf, 0]]))


def test_the_median_splits_and_the_gap_has_an_interval():
    similarity = {"q0": 0.9, "q1": 0.2, "q2": 0.8, "q3": 0.1, "q4": 0.5}
    found = split(scored([0.9, 0.1, 0.7, 0.2, 0.8]), MEASURES, similarity)
    assert (found.threshold, found.left_out) == (0.5, 0)
    ap, medr, ret = found.sides
    assert (ap.measure, ap.near_queries, ap.far_queries) == ("AP", 3, 2)
    assert (ap.near, ap.far, ap.gap) == pytest.approx((0.8, 0.15, 0.65))
    assert (ap.low, ap.high) == unpaired_interval(np.array([0.9, 0.7, 0.8]), np.array([0.1, 0.2]))
    assert (medr.near, medr.far, medr.gap) == (3, 3, 0)
    assert (ret.near, ret.far) == (30, 20)
    assert math.isnan(ret.low)


def test_two_groups_named_by_hand():
    (one,) = between(scored([0.9, 0.1, 0.7, 0.2]), parse("AP"), [0, 2], [1, 3])
    assert one[:5] == ("AP", pytest.approx(0.8), pytest.approx(0.15), 2, 2)
    assert one.low <= one.gap <= one.high


def test_queries_without_a_vector_or_a_value_are_left_out():
    found = split(scored([0.9, math.nan, 0.5, 0.3]), MEASURES[:1], {"q0": 0.9, "q1": 0.9, "q3": 0.1})
    assert (found.threshold, found.left_out) == (0.9, 1)
    assert found.sides[0][1:5] == (0.9, 0.3, 1, 1)


def test_a_similarity_that_was_asked_for():
    similarity = {"q0": 0.9, "q1": 0.6, "q2": 0.5}
    assert split(scored([1, 1, 0]), MEASURES, similarity, 0.55).sides[0][3:5] == (2, 1)
    with pytest.raises(BadDataError, match=r"no query is near at a similarity of 0\.95: the highest is 0\.9"):
        split(scored([1, 1, 0]), MEASURES, similarity, 0.95)
    with pytest.raises(BadDataError, match=r"no query is far at a similarity of 0\.5: the lowest is 0\.5"):
        split(scored([1, 1, 0]), MEASURES, similarity, 0.5)


def test_vectors_of_other_queries():
    with pytest.raises(BadDataError, match="no scored query has a vector"):
        split(scored([1, 0]), MEASURES, {"x": 0.5})
