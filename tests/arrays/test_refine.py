"""The second stage against its definition in float64: what may be among the k best is kept, nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmr.arrays import refine
from mmr.arrays.refine import near


def expected(queries, vectors, rows, good, k):
    """(query, row) of every good candidate within 1e-5 of the k-th best score, in float64."""
    found = []
    for i, (query, mine, usable) in enumerate(zip(queries, rows, good, strict=True)):
        score = vectors[mine].astype(np.float64) @ query.astype(np.float64)
        best = np.sort(score[usable])[::-1]
        bound = best[k - 1] - 1e-5 if len(best) >= k else -np.inf
        found += [(i, int(row)) for row, s, u in zip(mine, score, usable, strict=True) if u and s >= bound]
    return found


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 12), st.integers(1, 9), st.sampled_from(["float32", "float16"]))
def test_what_may_be_among_the_best_is_kept(seed, candidates, k, dtype):
    rng = np.random.default_rng(seed)
    vectors = (rng.standard_normal((20, 7)) / 40).astype(dtype)  # scores below 1, where the margin is 1e-5
    queries = rng.standard_normal((5, 7)).astype(np.float32)
    rows = rng.integers(0, 20, (5, candidates))
    good = rng.random((5, candidates)) < 0.7
    query, row = near(queries, vectors, rows, good, k)
    assert sorted(zip(query.tolist(), row.tolist(), strict=True)) == sorted(
        expected(queries, vectors, rows, good, k)
    )


def test_scores_that_differ_by_less_than_float32_can_tell_are_all_kept():
    vectors = np.zeros((4, 3), np.float32)
    vectors[:, 0] = [1, np.nextafter(np.float32(1), np.float32(0)), 0.99, 1]
    query, row = near(np.float32([[1, 0, 0]]), vectors, np.array([[0, 1, 2, 3]]), np.ones((1, 4), bool), 1)
    assert query.tolist() == [0, 0, 0] and row.tolist() == [0, 1, 3]


@pytest.mark.parametrize("vectors", [np.float32, np.float16, "strided"])
def test_blocks_of_queries_change_nothing(vectors, monkeypatch):
    rng = np.random.default_rng(0)
    held = rng.standard_normal((50, 8)).astype(np.float32)
    held = np.repeat(held, 2, axis=1)[:, ::2] if vectors == "strided" else held.astype(vectors)
    asked, rows = rng.standard_normal((9, 8)).astype(np.float32), rng.integers(0, 50, (9, 20))
    good = np.ones(rows.shape, bool)
    whole = near(asked, held, rows, good, 3)
    monkeypatch.setattr(refine, "HELD_BYTES", 400)
    for found, before in zip(near(asked, held, rows, good, 3), whole, strict=True):
        assert np.array_equal(found, before)


def test_no_query_and_no_candidate():
    none = np.empty((0, 4), np.int64)
    query, row = near(np.empty((0, 3), np.float32), np.ones((5, 3), np.float32), none, none > 0, 2)
    assert len(query) == len(row) == 0
