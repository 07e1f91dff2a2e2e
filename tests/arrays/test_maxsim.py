"""MaxSim against the double loop that one writes by hand, and law 5: batch mates change no bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmr.arrays import maxsim as module
from mmr.arrays.maxsim import maxsim, near
from mmr.arrays.ragged import ragged, stacked
from mmr.arrays.small import Small, packed

Q = np.array([[1, 0], [0, 1]], np.float32)
D1 = np.array([[1, 0], [0.6, 0.8]], np.float32)
D2 = np.array([[0.8, 0.6], [0.8, 0.6]], np.float32)


def naive(query, document, mean=False):
    """Sum over the query's rows of the best product, in float64, rounded to float32."""
    total = 0.0
    for q in query:
        best = -np.inf
        for d in document:
            best = max(best, float(np.sum(np.float64(q) * np.float64(d))))
        total += best
    return np.float32(total / len(query) if mean else total)


def made(rng, counts, d, kind="float32", spread=1.0):
    rows = rng.standard_normal((int(np.sum(counts)), d)).astype(np.float32) * np.float32(spread)
    stored = Small(packed(rows)) if kind == "int8" else rows.astype(kind)
    return ragged(stored, np.concatenate([[0], np.cumsum(counts)]))


def test_worked():
    found = maxsim(stacked([Q]), stacked([D1, D2]))
    assert found == pytest.approx(np.array([[1.8, 1.4]]), abs=1e-6)
    assert maxsim(stacked([Q]), stacked([D1, D2]), mean=True) == pytest.approx(
        np.array([[0.9, 0.7]]), abs=1e-6
    )


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1), counts=st.lists(st.integers(0, 9), min_size=1, max_size=12),
    asked=st.lists(st.integers(1, 6), min_size=1, max_size=4), d=st.integers(1, 24), mean=st.booleans(),
    kind=st.sampled_from(["float32", "float16", "int8"]), tokens=st.integers(1, 40),
    spread=st.sampled_from([1e-24, 1e-3, 1.0, 1e9]), data=st.data(),
)  # fmt: skip
def test_equals_the_double_loop(seed, counts, asked, d, mean, kind, tokens, spread, data):
    rng = np.random.default_rng(seed)
    spread = 1.0 if kind == "float16" else spread
    documents, queries = made(rng, counts, d, kind, spread), made(rng, asked, d, spread=spread)
    chosen = np.array(data.draw(st.lists(st.integers(0, len(counts) - 1), unique=True).map(sorted)), np.int64)
    k = data.draw(st.integers(0, len(counts)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "TOKENS", tokens)
        patch.setattr(module, "QUERY_TOKENS", tokens)
        found = maxsim(queries, documents, mean=mean)
        part = maxsim(queries, documents, chosen, mean)
        best = near(queries, documents, k, chosen, mean)
    expected = np.array([[naive(queries[i], documents[j], mean) for j in range(len(counts))]
                         for i in range(len(asked))])  # fmt: skip
    full = np.array(counts) > 0
    assert (found[:, ~full] == -np.inf).all()
    np.testing.assert_allclose(found[:, full], expected[:, full], rtol=2e-7, atol=1e-6 * spread**2 * d)
    assert np.array_equal(part, found[:, chosen])
    for i, (place, score) in enumerate(best):
        assert np.array_equal(score, found[i, place])
        among = chosen[full[chosen]]
        bound = np.sort(found[i, among])[::-1][:k][-1:]
        assert set(among[found[i, among] >= (bound if len(bound) else np.inf)]) <= set(place)
        assert set(place) <= set(among)


@pytest.mark.parametrize("d", [3, 64, 128, 770])
def test_batch_mates_change_no_bit(d):
    rng = np.random.default_rng(d)
    documents, queries = made(rng, rng.integers(1, 40, 50), d), made(rng, [1, 7, 32, 5], d)
    together = maxsim(queries, documents)
    for i in range(len(queries)):
        for j in range(len(documents)):
            alone = maxsim(stacked([queries[i]]), stacked([documents[j]]))
            assert alone[0, 0] == together[i, j]


def test_a_copy_ties_wherever_it_stands():
    """Documents with the same rows get the same bits in every block."""
    rng = np.random.default_rng(0)
    one = rng.standard_normal((7, 64)).astype(np.float32)
    others = [rng.standard_normal((n, 64)).astype(np.float32) for n in rng.integers(1, 30, 60)]
    mixed = [row for other in others for row in (other, one)]
    scores = maxsim(stacked([others[0]]), stacked(mixed))[0]
    assert len(set(scores[1::2].tolist())) == 1


def test_near_leaves_out_what_cannot_be_among_the_best():
    rng = np.random.default_rng(1)
    documents, queries = made(rng, rng.integers(1, 20, 500), 32), made(rng, [8], 32)
    ((place, score),) = near(queries, documents, 10)
    assert 10 <= len(place) <= 12
    every = maxsim(queries, documents)[0]
    assert np.array_equal(np.sort(score)[::-1][:10], np.sort(every)[::-1][:10])


@pytest.mark.parametrize(
    ("call", "what"),
    [
        (lambda: maxsim(stacked([Q[:0]]), stacked([D1])), "without vectors"),
        (lambda: maxsim(stacked([Q]), stacked([np.ones((2, 3), np.float32)])), "2 numbers and of 3"),
        (lambda: ragged(Q, [0, 1]), "go from 0"),
        (lambda: ragged(Q, [0, 2, 1, 2]), "must not fall"),
        (lambda: ragged(Q[0], [0, 2]), "a table"),
        (lambda: ragged(np.float32([[np.nan]]), [0, 1]), "finite"),
        (lambda: ragged(np.float32([[np.inf]]), [0, 1]), "finite"),
        (lambda: ragged(np.float32([[3e15]]), [0, 1]), "1e15 long"),
        (lambda: stacked([Q, np.ones((1, 3), np.float32)]), "several lengths"),
    ],
)
def test_what_cannot_be_scored(call, what):
    with pytest.raises(ValueError, match=what):
        call()


def test_nothing_to_score():
    assert maxsim(stacked([Q]), stacked([])).shape == (1, 0)
    assert maxsim(stacked([Q]), stacked([D1[:0]])).tolist() == [[-np.inf]]
    assert [len(one.place) for one in near(stacked([Q]), stacked([D1, D2]), 0)] == [0]
