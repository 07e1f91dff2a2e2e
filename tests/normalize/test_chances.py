"""Calibration: each map equals its formula, keeps the order, and says a chance where it was held out."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from mmr.errors import BadDataError
from mmr.normalize.chances import (
    LEAST,
    Pairs,
    fit_isotonic,
    fit_platt,
    fit_query,
    in_order,
    isotonic,
    platt,
    query_map,
)
from tests.normalize.made import unit

Q, HITS, D = 60, 20, 6


def made(seed=0, queries=Q, tilt=0.0):
    """Hits whose chance is a sigmoid of the score; with `tilt` it depends on the query too."""
    generator = np.random.default_rng(seed)
    vectors = unit(seed, queries, D)
    scores = generator.uniform(0, 0.6, (queries, HITS))
    logit = 14 * scores - 5 + tilt * vectors[:, 1:2]
    relevant = generator.random(scores.shape) < 1 / (1 + np.exp(-logit))
    return Pairs(scores.ravel(), relevant.ravel(), np.repeat(np.arange(queries), HITS), vectors)


def test_platt_is_where_the_cross_entropy_is_least():
    """Platt's smoothed targets, minimised by a method that knows nothing of Newton."""
    pairs = made()
    relevant = pairs.relevant.sum()
    others = len(pairs.relevant) - relevant
    target = np.where(pairs.relevant, (relevant + 1) / (relevant + 2), 1 / (others + 2))

    def loss(theta):
        p = 1 / (1 + np.exp(theta[0] * pairs.scores + theta[1]))
        return -(target * np.log(p) + (1 - target) * np.log(1 - p)).sum()

    found = fit_platt(pairs)["sigmoid"]
    assert loss(found) <= minimize(loss, found, method="Nelder-Mead", options={"xatol": 1e-9}).fun + 1e-9
    p = 1 / (1 + np.exp(found[0] * pairs.scores + found[1]))
    assert abs((pairs.scores * (p - target)).sum()) < 1e-8
    assert abs((p - target).sum()) < 1e-8
    assert found[0] == pytest.approx(-14, rel=0.15)
    assert np.abs(platt({"sigmoid": found}, pairs.scores) - p).max() < 1e-10


def pooled(values, weights):
    """Adjacent violators, pooled as one writes it down."""
    blocks = []
    for value, weight in zip(values, weights, strict=True):
        blocks.append([value, weight, 1])
        while len(blocks) > 1 and blocks[-2][0] >= blocks[-1][0]:
            value, weight, count = blocks.pop()
            before = blocks[-1]
            total = before[1] + weight
            blocks[-1] = [(before[0] * before[1] + value * weight) / total, total, before[2] + count]
    return [value for value, _, count in blocks for _ in range(count)]


def test_isotonic_pools_adjacent_violators():
    pairs = made(1)
    rounded = pairs._replace(scores=pairs.scores.round(2))
    scores = np.unique(rounded.scores)
    share = [rounded.relevant[rounded.scores == s].mean() for s in scores]
    weight = [(rounded.scores == s).sum() for s in scores]
    found = fit_isotonic(rounded)
    assert np.abs(isotonic(found, scores) - pooled(share, weight)).max() < 1e-10
    assert isotonic(found, np.array([-9.0, 9.0])).tolist() == [found["chance"][0], found["chance"][-1]]


def naive_query_map(found, score, query):
    z = found["head"] @ (query - found["mean"]) + found["bias"]
    steep, m = found["shape"]
    a, p = steep * math.log1p(math.exp(z[0])), math.log1p(math.exp(z[1]))
    s = min(max(score, 0), 1)
    return 1 / (1 + math.exp(-(a * m * ((s / m) ** p - 1) / p + z[2])))


def test_the_map_of_a_query_equals_its_formula():
    pairs = made(2, tilt=6)
    found = fit_query(pairs)
    assert np.abs(found["head"]).max() > 0
    scores = np.linspace(-0.5, 1, 40)
    for query in pairs.vectors[:10]:
        expected = [naive_query_map(found, score, query) for score in scores]
        assert np.abs(query_map(found, scores, query) - expected).max() < 1e-10


def loss(chances, relevant):
    return -np.log(np.where(relevant, chances, 1 - chances)).mean()


def of_queries(found, pairs):
    return np.concatenate(
        [query_map(found, pairs.scores[pairs.query == q], v) for q, v in enumerate(pairs.vectors)]
    )


def test_the_head_helps_where_queries_differ_and_stays_away_where_they_do_not():
    train, test = made(3, 400, tilt=8), made(4, 200, tilt=8)
    one = loss(platt(fit_platt(train), test.scores), test.relevant)
    assert loss(of_queries(fit_query(train), test), test.relevant) < 0.95 * one
    train, test = made(5, 400), made(6, 200)
    one = loss(platt(fit_platt(train), test.scores), test.relevant)
    assert loss(of_queries(fit_query(train), test), test.relevant) < 1.02 * one


def test_the_gradient_of_the_head_is_the_gradient():
    from mmr.normalize.chances import _Training

    pairs = made(7, 12)
    training = _Training(pairs, pairs.vectors, np.array([9.0, 0.3]), np.ones(len(pairs.scores), bool))
    flat = np.random.default_rng(0).normal(0, 0.4, 3 * (D + 1))
    value, gradient = training.objective(flat, 2.0)
    assert math.isfinite(value)
    for place in range(len(flat)):
        step = np.eye(len(flat))[place] * 1e-6
        rise = (training.objective(flat + step, 2.0)[0] - training.objective(flat - step, 2.0)[0]) / 2e-6
        assert gradient[place] == pytest.approx(rise, rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("fit", [fit_platt, fit_isotonic, fit_query])
def test_what_tells_nothing_is_refused(fit):
    pairs = made()
    for wrong, words in (
        (pairs._replace(relevant=np.zeros(len(pairs.scores), bool)), "no hit is relevant"),
        (pairs._replace(relevant=np.ones(len(pairs.scores), bool)), "every hit is relevant"),
        (pairs._replace(scores=np.full(len(pairs.scores), 0.5)), "all scores are equal"),
        (pairs._replace(scores=-pairs.scores), "not more often relevant"),
    ):
        with pytest.raises(BadDataError, match=words):
            fit(wrong)


def test_the_map_of_a_query_needs_vectors():
    with pytest.raises(BadDataError, match="have none"):
        fit_query(made()._replace(vectors=None))


falling = st.lists(st.integers(0, 40), min_size=1, max_size=40).map(
    lambda values: np.array(sorted(values, reverse=True), np.float32) / 40
)


@settings(max_examples=200, deadline=None)
@given(falling, st.floats(0.001, 2000), st.floats(-2000, 2000))
def test_the_order_never_changes(scores, slope, offset):
    """Also where the sigmoid is 0 or 1 for many scores: ties come from ties alone."""
    chances = in_order(scores, platt({"sigmoid": np.array([-slope, offset])}, scores.astype(np.float64)))
    assert chances.dtype == np.float32
    assert (chances > 0).all() and (chances <= 1).all()
    assert np.array_equal(np.diff(chances) < 0, np.diff(scores) < 0)
    assert (np.diff(chances) <= 0).all()


@settings(max_examples=100, deadline=None)
@given(falling, st.integers(1, 40))
def test_what_a_hit_gets_does_not_depend_on_those_after_it(scores, k):
    flat = np.full(len(scores), 0.25)
    assert np.array_equal(in_order(scores, flat)[:k], in_order(scores[:k], flat[:k]))


def test_chances_move_by_less_than_a_millionth():
    scores = np.linspace(1, 0, 1000).astype(np.float32)
    for chance in (0.0, 1e-6, 0.3, 1.0):
        found = in_order(scores, np.full(1000, chance))
        assert np.abs(found - max(chance, LEAST)).max() < 1e-4
