"""Exact search against the obvious formula, and law 5: the same bytes at any batch size."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmr.arrays import topk
from mmr.arrays.topk import Part, exact_scores, nearest, ranked


def unit(rng, n, d):
    x = rng.standard_normal((n, d)).astype(np.float32)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def names(part, row):
    return [f"{p}/{r}" for p, r in zip(part.tolist(), row.tolist(), strict=True)]


def naive(query, parts, k):
    """Score every allowed row in float64, round, and sort by (-score, id descending)."""
    found = []
    for number, part in enumerate(parts):
        rows = range(len(part.vectors)) if part.rows is None else part.rows.tolist()
        for row in rows:
            exact = float(np.sum(part.vectors[row].astype(np.float64) * query.astype(np.float64)))
            found.append((np.float32(exact), f"{number}/{row}"))
    found.sort(key=lambda hit: (hit[0], hit[1].encode()), reverse=True)
    return found[:k]


def hits(answer, query=0):
    ids = names(answer.part[query], answer.row[query])
    return list(zip(answer.score[query].tolist(), ids, strict=True))


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1), n=st.integers(1, 60), d=st.integers(1, 40), k=st.integers(1, 12),
    copies=st.integers(1, 8), half=st.booleans(), block=st.integers(1, 50), data=st.data(),
)  # fmt: skip
def test_equals_the_naive_search(seed, n, d, k, copies, half, block, data):
    rng = np.random.default_rng(seed)
    vectors = np.repeat(unit(rng, n, d), copies, axis=0).astype(np.float16 if half else np.float32)
    allowed = data.draw(st.lists(st.integers(0, len(vectors) - 1), unique=True).map(sorted))
    parts = [Part(vectors), Part(vectors[: n // 2 + 1]), Part(vectors, np.array(allowed, np.int64))]
    queries = unit(rng, 5, d)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(topk, "ROW_BLOCK", block)
        patch.setattr(topk, "HELD", 1)
        answer = nearest(queries, parts, k, names)
    for number, query in enumerate(queries):
        assert hits(answer, number) == naive(query, parts, k)


@pytest.mark.parametrize("d", [7, 64, 512, 768])
def test_batch_size_and_block_size_change_no_bit(d, monkeypatch):
    rng = np.random.default_rng(d)
    vectors = np.repeat(unit(rng, 400, d), 3, axis=0)
    vectors[1::3] *= np.float32(1 + 3e-7)
    queries = unit(rng, 64, d)
    together = nearest(queries, [Part(vectors)], 10, names)
    monkeypatch.setattr(topk, "ROW_BLOCK", 77)
    for number in range(64):
        alone = nearest(queries[number : number + 1], [Part(vectors)], 10, names)
        assert alone.row[0].tolist() == together.row[number].tolist()
        assert alone.score.tobytes() == together.score[number : number + 1].tobytes()


def test_ascending_rows_do_not_pile_up(monkeypatch):
    monkeypatch.setattr(topk, "HELD", 1000)
    vectors = np.linspace(0, 1, 20_000, dtype=np.float32)[:, None]
    answer = nearest(np.ones((3, 1), np.float32), [Part(vectors)], 4, names)
    assert answer.row.tolist() == [[19_999, 19_998, 19_997, 19_996]] * 3


def test_identical_rows_come_in_descending_id_order():
    answer = nearest(np.ones((1, 2), np.float32), [Part(np.ones((300, 2), np.float32))], 3, names)
    assert hits(answer) == [(2.0, "0/99"), (2.0, "0/98"), (2.0, "0/97")]


def test_no_rows_and_no_queries():
    nothing = Part(np.ones((4, 2), np.float32), np.empty(0, np.int64))
    assert nearest(np.ones((2, 2), np.float32), [nothing], 3, names).row.shape == (2, 0)
    assert nearest(np.ones((0, 2), np.float32), [Part(np.ones((4, 2), np.float32))], 3, names).row.shape == (
        0,
        3,
    )


def test_exact_scores_is_the_float64_sum():
    rng = np.random.default_rng(1)
    q, x = rng.standard_normal((2, 33)).astype(np.float32), rng.standard_normal((5, 33)).astype(np.float32)
    expected = [np.float32(sum(float(a) * float(b) for a, b in zip(q[1], row, strict=True))) for row in x]
    got = exact_scores(q, np.ones(5, np.int64), x, np.arange(5))
    np.testing.assert_allclose(got, expected, rtol=1e-7)


@given(st.integers(0, 10**6))
def test_the_order_of_candidates_is_by_query_score_and_id(seed):
    rng = np.random.default_rng(seed)
    scores = np.float32([-np.inf, -2, -1e-40, -0.0, 0.0, 1e-40, 0.5, 0.5, 3e38])
    query, row = rng.integers(0, 4, 40), rng.permutation(40)
    score = rng.choice(scores, 40)
    order, place = ranked(
        query, np.zeros(40, np.int64), row, score, lambda _, rows: [f"{r:02}" for r in rows]
    )
    expected = sorted(range(40), key=lambda i: (query[i], -float(score[i]), -row[i]))
    assert order.tolist() == expected
    assert place.tolist() == [sum(query[j] == query[i] for j in expected[:n]) for n, i in enumerate(expected)]


@pytest.mark.parametrize("dim", [1, 2, 3, 17, 512, 5000, 20_001])
def test_an_exact_score_does_not_depend_on_what_stands_beside_it(dim):
    rng = np.random.default_rng(dim)
    queries = rng.standard_normal((6, dim)).astype(np.float32)
    vectors = rng.standard_normal((30, dim)).astype(np.float32)
    even, row = np.repeat(np.arange(6), 5), rng.integers(0, 30, 30)
    together = exact_scores(queries, even, vectors, row)
    assert together.tolist() == [
        float(exact_scores(queries[[q]], np.array([0]), vectors, np.array([r]))[0])
        for q, r in zip(even, row, strict=True)
    ]
    order = rng.permutation(30)
    assert np.array_equal(exact_scores(queries, even[order], vectors, row[order]), together[order])
    uneven = np.sort(rng.choice([0, 0, 0, 0, 3, 5], 30))
    apart = exact_scores(queries[::-1], 5 - uneven, vectors[::-1], 29 - row)
    assert np.array_equal(exact_scores(queries, uneven, vectors, row), apart)
