"""What the fit of a quantiser looks at of a large index: samples that stand for all, rows drawn alive."""

from __future__ import annotations

import numpy as np
import pytest

from mmr.arrays.distill import Student, encoded, gradient
from mmr.index import delete, open_index, quantizer_fit, quantizer_learn, upsert
from mmr.index.quantizer_learn import Pool, learn, nearest, shares
from tests.index.made import fail
from tests.index.test_quantizer import DIM, asked, items, records


def pool(rows=400, queries=120):
    vectors = items(rows)
    books = np.random.default_rng(0).standard_normal((4, 16, DIM // 4)).astype(np.float32) * 0.25
    start = Student(books, np.zeros((1, DIM), np.float32), np.eye(DIM, dtype=np.float32))
    coded = encoded(vectors, start.books, start.centroids)
    return start, Pool(vectors, coded, asked(queries), asked(60, 8))


def test_the_nearest_are_those_of_a_sort_block_by_block(monkeypatch):
    rows, queries = items(300), asked(50)
    whole = np.argsort(-(queries @ rows.T), axis=1, kind="stable")[:, :10]
    assert np.array_equal(nearest(queries, rows, 10), whole)
    monkeypatch.setattr(quantizer_learn, "HELD", 900)
    assert np.array_equal(nearest(queries, rows, 10), whole)
    assert nearest(queries, rows[:4], 10).shape == (50, 4)
    assert shares(whole[:, :5], whole).tolist() == [0.5] * 50


def test_a_sample_of_all_rows_has_the_gradient_of_all_rows(monkeypatch):
    start, held = pool()
    batch = np.arange(20)
    near = nearest(held.queries, held.rows, 8)
    _, whole = gradient(start, held.queries[batch], held.coded, held.queries[batch] @ held.rows.T,
                        quantizer_learn.TEMPERATURE)  # fmt: skip
    monkeypatch.setattr(quantizer_learn, "WHOLE", 10)
    monkeypatch.setattr(quantizer_learn, "SPREAD", 400)
    found = quantizer_learn._slope(start, held, batch, near, near, np.random.default_rng(0))
    for mine, right in zip(found, whole, strict=True):
        assert np.allclose(mine, right, atol=1e-5 * np.abs(right).max() + 2e-6)


def test_samples_point_where_all_rows_do(monkeypatch):
    """The mean of many samples is the gradient of all rows, but for what the logarithm bends."""
    start, held = pool()
    batch = np.arange(20)
    near = nearest(held.queries, held.rows, 8)
    _, whole = gradient(start, held.queries[batch], held.coded, held.queries[batch] @ held.rows.T,
                        quantizer_learn.TEMPERATURE)  # fmt: skip
    monkeypatch.setattr(quantizer_learn, "WHOLE", 10)
    monkeypatch.setattr(quantizer_learn, "SPREAD", 150)
    rng = np.random.default_rng(1)
    found = np.mean([quantizer_learn._slope(start, held, batch, near, near, rng).asked for _ in range(60)],
                    axis=0)  # fmt: skip
    cosine = (found * whole.asked).sum() / np.linalg.norm(found) / np.linalg.norm(whole.asked)
    assert cosine > 0.98


@pytest.mark.parametrize("whole", [4096, 10])
def test_learning_never_ends_below_its_start_and_tells_its_rounds(monkeypatch, whole):
    start, held = pool()
    monkeypatch.setattr(quantizer_learn, "WHOLE", whole)
    monkeypatch.setattr(quantizer_learn, "SPREAD", 100)
    right, told = nearest(held.kept, held.rows, 10), []

    def worth(student):
        found = nearest(held.kept @ student.asked, student.decoded(held.coded), 10)
        return shares(found, right).mean()

    closed = learn(start, held, 0, 0)
    best = learn(start, held, 12, 0, told.append)
    assert worth(start) <= worth(closed) <= worth(best) and worth(best) > worth(start)
    assert sum(told) == len(told) <= 12


def test_the_pool_is_of_live_rows_of_all_segments(tmp_path, monkeypatch):
    path = tmp_path / "x.mmr"
    upsert(path, records(items(300)), reject=fail)
    upsert(path, records(items(200, 5), "more"), reject=fail)
    delete(path, [f"i{i}" for i in range(60)])
    with open_index(path) as index:
        whole = quantizer_fit._pool(index)
        monkeypatch.setattr(quantizer_fit, "POOL", 100)
        some = quantizer_fit._pool(index)
    assert whole.shape == (440, DIM) and some.shape == (100, DIM)
    live = {row.tobytes() for row in np.concatenate([items(300)[60:], items(200, 5)])}
    assert {row.tobytes() for row in whole} == live
    assert len({row.tobytes() for row in some}) == 100 and {row.tobytes() for row in some} <= live


def test_as_many_lists_as_the_pool_can_train():
    lists = {"lists": 0}
    assert quantizer_fit._lists(1_000_000, 1_000_000, lists) == 4096
    assert quantizer_fit._lists(32_768, 1_000_000, lists) == 512
    assert quantizer_fit._lists(30, 30, lists) == 1
    assert quantizer_fit._lists(32_768, 1_000_000, {"lists": 7}) == 7
