"""XTR, pooled frames and transport: the reference's worked cases, and formulas as they are printed."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from mmr.arrays.frames import frames
from mmr.arrays.maxsim import maxsim
from mmr.arrays.ragged import stacked
from mmr.arrays.transport import conditional, optimal
from mmr.arrays.xtr import xtr

Q = np.array([[1, 0], [0, 1]], np.float32)
D1 = np.array([[1, 0], [0.6, 0.8]], np.float32)
D2 = np.array([[0.8, 0.6], [0.8, 0.6]], np.float32)
X2 = np.array([[0.8, 0.6], [0.28, 0.96]], np.float32)


def unit(rng, n, d):
    x = rng.standard_normal((n, d))
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


def searched(query, documents, k):
    """The k nearest vectors of all documents for each of the query's: (documents, scores)."""
    owner = np.concatenate([np.full(len(d), i) for i, d in enumerate(documents)])
    scores = query.astype(np.float64) @ np.concatenate(documents).astype(np.float64).T
    order = np.argsort(-scores, axis=1)[:, :k]
    return owner[order], np.take_along_axis(scores, order, axis=1)


@pytest.mark.parametrize(("k", "floors"), [(2, [0.8, 0.8]), (3, [0.6, 0.6])])
def test_xtr_worked(k, floors):
    owner, scores = searched(Q, [D1, X2], k)
    assert scores[:, -1] == pytest.approx(floors, abs=1e-6)
    found, total = xtr(owner, scores)
    assert found.tolist() == [0, 1]
    assert total == pytest.approx([0.90, 0.88], abs=1e-6)


def test_xtr_imputes_the_floor():
    """With k' = 1 each document has one vector found, and the other's score is its floor."""
    found, total = xtr(*searched(Q, [D1, X2], 1))
    assert found.tolist() == [0, 1] and total == pytest.approx([0.98, 0.98])


def test_xtr_drops_missing_labels():
    owner = np.array([[3, 7, -1], [7, -1, -1], [-1, -1, -1]])
    scores = np.array([[0.9, 0.5, -3e38], [0.4, np.nan, -3e38], [-3e38, 0, 0]])
    found, total = xtr(owner, scores)
    assert found.tolist() == [3, 7]
    assert total == pytest.approx([(0.9 + 0.4) / 3, (0.5 + 0.4) / 3])
    nothing, none = xtr(np.full((2, 2), -1), np.zeros((2, 2)))
    assert len(nothing) == len(none) == 0
    with pytest.raises(ValueError, match="without vectors"):
        xtr(owner[:0], scores[:0])


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), k=st.integers(1, 30), counts=st.lists(st.integers(1, 6), min_size=1))
def test_xtr_equals_its_definition_and_with_every_vector_maxsim(seed, k, counts):
    rng = np.random.default_rng(seed)
    query, documents = unit(rng, 3, 8), [unit(rng, n, 8) for n in counts]
    owner, scores = searched(query, documents, k)
    found, total = xtr(owner, scores)
    for document, score in zip(found.tolist(), total.tolist(), strict=True):
        best = [max((s for o, s in zip(*row, strict=True) if o == document), default=row[1][-1])
                for row in zip(owner, scores, strict=True)]  # fmt: skip
        assert score == pytest.approx(sum(best) / 3)
    every, full = xtr(*searched(query, documents, sum(counts)))
    assert every.tolist() == list(range(len(counts)))
    assert full == pytest.approx(maxsim(stacked([query]), stacked(documents), mean=True)[0], abs=1e-6)


def test_frames_worked():
    query, documents = Q[0], stacked([D1, D2, D1[:0]])
    mean = np.array([0.8, 0.4]) / np.hypot(0.8, 0.4)
    expected = {"mean": [mean[0], 0.8], "max": [1, 0.8], "top": [0.8, 0.8]}
    for pool, values in expected.items():
        assert frames(query, documents, pool, top=2)[:2] == pytest.approx(values, abs=1e-6)
    assert frames(query, documents, "top", top=1)[0] == pytest.approx(1)
    assert frames(query, documents, "top", top=9)[0] == pytest.approx(0.8)
    assert np.isnan(frames(query, documents)[2])


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 9), t=st.floats(0.01, 5))
def test_frames_by_softmax(seed, n, t):
    rng = np.random.default_rng(seed)
    query, own = unit(rng, 1, 8)[0].astype(np.float64), unit(rng, n, 8)
    weights = np.exp(own @ query / t) / np.exp(own @ query / t).sum()
    pooled = weights @ own.astype(np.float64)
    documents = stacked([own])
    expected = query @ pooled / np.linalg.norm(pooled)
    assert frames(3 * query, documents, "softmax", temperature=t)[0] == pytest.approx(expected, abs=1e-5)
    hot, cold = (frames(query, documents, "softmax", temperature=x)[0] for x in (1e7, 1e-4))
    assert hot == pytest.approx(frames(query, documents, "mean")[0], abs=1e-4)
    assert cold == pytest.approx(frames(query, documents, "max")[0], abs=1e-3)


def test_frames_that_cancel_or_are_zero():
    documents = stacked([np.array([[1, 0], [-1, 0]], np.float32), np.zeros((2, 2), np.float32)])
    assert frames(Q[0], documents).tolist() == [0, 0]
    assert frames(np.zeros(2), documents, "max").tolist() == [0, 0]


def test_optimal_worked():
    first, second = optimal(Q, D1), optimal(Q, D2)
    assert first.cost == pytest.approx(0.1, abs=1e-4)
    assert first.plan == pytest.approx(np.diag([0.5, 0.5]), abs=1e-4)
    assert second.cost == pytest.approx(0.3, abs=1e-4)


@pytest.mark.parametrize(("document", "there", "back"), [(D1, 0.30427, 0.27949), (D2, 0.30000, 0.29003)])
def test_conditional_worked(document, there, back):
    found = conditional(Q, document, temperature=1)
    assert found.cost == pytest.approx(there + back, abs=2e-5)
    cost = 1 - Q.astype(np.float64) @ document.T
    assert (found.plan * cost).sum() == pytest.approx(there, abs=1e-5)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1), n=st.integers(1, 6), m=st.integers(1, 6),
    beta=st.sampled_from([0.1, 0.2, 0.5]),
)  # fmt: skip
def test_plans_carry_everything(seed, n, m, beta):
    rng = np.random.default_rng(seed)
    query, document = unit(rng, n, 4), unit(rng, m, 4)
    found = optimal(query, document, beta, 1000)
    assert found.plan.sum(axis=0) == pytest.approx(np.full(m, 1 / m))
    assert found.plan.sum(axis=1) == pytest.approx(np.full(n, 1 / n), rel=0.02)
    assert (found.plan >= 0).all()
    assert conditional(query, document).plan.sum(axis=1) == pytest.approx(np.full(n, 1 / n))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 6))
def test_optimal_is_the_best_assignment_where_sides_are_as_long(seed, n):
    rng = np.random.default_rng(seed)
    query, document = unit(rng, n, 4), unit(rng, n, 4)
    cost = 1 - query.astype(np.float64) @ document.T
    rows, columns = linear_sum_assignment(cost)
    assert optimal(query, document, 0.5, 500).cost == pytest.approx(cost[rows, columns].mean(), abs=2e-3)


def test_the_way_there_tends_to_maxsim():
    rng = np.random.default_rng(3)
    query, document = unit(rng, 5, 8), unit(rng, 7, 8)
    cost = 1 - query.astype(np.float64) @ document.T
    there = (conditional(query, document, 0.01).plan * cost).sum()
    assert there == pytest.approx(
        1 - maxsim(stacked([query]), stacked([document]), mean=True)[0, 0], abs=5e-3
    )


@pytest.mark.parametrize(
    ("call", "what"),
    [
        (lambda: optimal(Q[:0], D1), "without vectors"),
        (lambda: conditional(Q, D1[:0]), "without vectors"),
        (lambda: optimal(Q, np.ones((1, 3))), "2 numbers and of 3"),
        (lambda: optimal(Q, D1, beta=0), "at least"),
        (lambda: conditional(Q, D1, temperature=0), "at least"),
        (lambda: optimal(Q, D1, steps=0), "one step"),
        (lambda: frames(Q[0], stacked([D1]), "median"), "pool one of"),
        (lambda: frames(Q[0], stacked([D1]), top=0), "pool one of"),
        (lambda: frames(Q[0], stacked([D1]), temperature=0), "pool one of"),
        (lambda: frames(np.ones(3), stacked([D1])), "3 numbers and of 2"),
    ],
)
def test_what_cannot_be_scored(call, what):
    with pytest.raises(ValueError, match=what):
        call()


def test_zero_vectors_have_no_direction():
    """A vector of zeros costs 1 wherever it goes."""
    for score in (optimal, conditional):
        expected = 1 if score is optimal else 2
        assert score(np.zeros((2, 2)), D1).cost == pytest.approx(expected)
    assert all(itertools.chain(np.isfinite(optimal(np.zeros((2, 2)), D1).plan).ravel()))
