"""Codes fitted to retrieval: gradients against finite differences, the closed form against its system."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmr.arrays.distill import Adam, Coded, Student, adapter, encoded, gradient, listwise

SEEDS = st.integers(0, 2**32 - 1)


def made(seed, rows=9, queries=5, pieces=3, count=4, width=2, lists=2):
    """A student, queries, coded rows and their exact scores, all float64."""
    rng = np.random.default_rng(seed)
    dim = pieces * width
    student = Student(rng.standard_normal((pieces, count, width)), rng.standard_normal((lists, dim)),
                      np.eye(dim) + 0.1 * rng.standard_normal((dim, dim)))  # fmt: skip
    coded = Coded(rng.integers(0, count, (rows, pieces)), rng.integers(0, lists, rows))
    asked = rng.standard_normal((queries, dim))
    return student, asked, coded, rng.standard_normal((queries, rows))


def naive(student, queries, coded):
    """Every score by its sum, piece by piece."""
    scores = np.empty((len(queries), len(coded.codes)))
    width = student.books.shape[2]
    for i, query in enumerate(queries):
        turned = query @ student.asked
        for r, (codes, own) in enumerate(zip(coded.codes, coded.lists, strict=True)):
            scores[i, r] = turned @ student.centroids[own]
            for j, code in enumerate(codes):
                scores[i, r] += turned[j * width : (j + 1) * width] @ student.books[j, code]
    return scores


def divergence(exact, scores, t, weights=None):
    total = 0.0
    weights = np.ones(exact.shape[1]) if weights is None else weights
    for a, b in zip(exact, scores, strict=True):
        p, q = weights * np.exp(a / t), weights * np.exp(b / t)
        p, q = p / p.sum(), q / q.sum()
        total += (p * np.log(p / q)).sum()
    return total / len(exact)


@given(SEEDS)
def test_scores_are_those_of_the_sum_of_the_pieces(seed):
    student, asked, coded, _ = made(seed)
    assert np.allclose(student.scores(asked, coded), naive(student, asked, coded), atol=1e-10)


@given(SEEDS, st.sampled_from([0.05, 0.5, 2.0]))
def test_the_loss_is_the_divergence_and_never_below_zero(seed, t):
    rng = np.random.default_rng(seed)
    exact, scores, weights = rng.random((3, 7)), rng.random((3, 7)), rng.random(7) + 0.1
    assert listwise(exact, scores, t)[0] == pytest.approx(divergence(exact, scores, t), abs=1e-9)
    found = listwise(exact, scores, t, weights)[0]
    assert found == pytest.approx(divergence(exact, scores, t, weights), abs=1e-9) and found >= -1e-12


@given(SEEDS)
def test_what_moves_all_scores_of_a_query_alike_costs_nothing(seed):
    rng = np.random.default_rng(seed)
    exact = rng.random((4, 6))
    loss, slope = listwise(exact, exact + rng.random((4, 1)), 0.05)
    assert abs(loss) < 1e-9 and np.abs(slope).max() < 1e-9


@given(SEEDS)
def test_a_weight_counts_as_so_many_rows_of_the_same_scores(seed):
    rng = np.random.default_rng(seed)
    exact, scores, times = rng.random((3, 5)), rng.random((3, 5)), rng.integers(1, 4, 5)
    wide = np.repeat(np.arange(5), times)
    loss, slope = listwise(exact, scores, 0.2, times.astype(float))
    long, by_row = listwise(exact[:, wide], scores[:, wide], 0.2)
    assert loss == pytest.approx(long, abs=1e-10)
    assert np.allclose(slope, [np.bincount(wide, one) for one in by_row])


@settings(deadline=None)  # SciPy is imported by the first
@given(SEEDS, st.booleans())
def test_gradients_are_those_of_finite_differences(seed, weighted):
    student, asked, coded, exact = made(seed)
    weights = np.random.default_rng(seed).random(exact.shape[1]) + 0.5 if weighted else None
    _, slope = gradient(student, asked, coded, exact, 0.7, weights)
    rng, step = np.random.default_rng(seed), 1e-6
    for name in Student._fields:
        held = getattr(student, name)
        place = tuple(rng.integers(0, size) for size in held.shape)
        sides = []
        for sign in (1, -1):
            moved = held.copy()
            moved[place] += sign * step
            scores = student._replace(**{name: moved}).scores(asked, coded)
            sides.append(divergence(exact, scores, 0.7, weights))
        wanted = (sides[0] - sides[1]) / (2 * step)
        assert getattr(slope, name)[place] == pytest.approx(wanted, abs=1e-5, rel=1e-4), name


@given(SEEDS)
def test_a_code_is_the_nearest_centroid_of_what_the_list_leaves(seed):
    student, _, _, _ = made(seed)
    rows = np.random.default_rng(seed + 1).standard_normal((12, 6))
    found = encoded(rows, student.books, student.centroids)
    for row, codes, own in zip(rows, found.codes, found.lists, strict=True):
        assert own == np.argmax(student.centroids @ row)
        rest = (row - student.centroids[own]).reshape(3, 2)
        far = ((student.books - rest[:, None]) ** 2).sum(axis=2)
        assert np.array_equal(codes, far.argmin(axis=1))


def test_codes_are_those_of_faiss():
    faiss = pytest.importorskip("faiss")
    rng = np.random.default_rng(5)
    rows = rng.standard_normal((2000, 8)).astype(np.float32)
    quantiser = faiss.ProductQuantizer(8, 4, 8)
    quantiser.cp.min_points_per_centroid = 1
    quantiser.train(rows)
    books = faiss.vector_to_array(quantiser.centroids).reshape(4, 256, 2)
    mine = encoded(rows, books, np.zeros((1, 8), np.float32)).codes
    assert (mine == quantiser.compute_codes(rows)).mean() > 0.999  # the rest are ties of float32


@given(SEEDS, st.sampled_from([0.01, 0.3, 5.0]))
def test_the_map_is_the_one_that_the_normal_equations_give(seed, strength):
    """The minimum of |(Q + Q A) H' - Q X'|^2 / (p n) + r |A|^2, by one large linear system."""
    rng = np.random.default_rng(seed)
    rows, back, asked = (
        rng.standard_normal((20, 3)),
        rng.standard_normal((20, 3)),
        rng.standard_normal((8, 3)),
    )
    found = adapter(rows, back, asked, strength)
    x, h = rows - rows.mean(axis=0), back - back.mean(axis=0)
    q, s = asked.T @ asked / 8, h.T @ h / 20
    ridge = strength * np.trace(q) / 3 * np.trace(s) / 3
    system = np.kron(q, s) + ridge * np.eye(9)
    wanted = np.linalg.solve(system, (q @ (x - h).T @ h / 20).ravel()).reshape(3, 3)
    assert np.allclose(found, wanted, atol=1e-8)


def test_rows_that_are_decoded_as_they_are_need_no_map():
    rows = np.random.default_rng(3).standard_normal((30, 4))
    assert np.abs(adapter(rows, rows + 7.0, rows, 0.1)).max() < 1e-12


def test_directions_that_no_query_has_are_left_alone():
    rng = np.random.default_rng(4)
    asked = np.concatenate([rng.standard_normal((50, 2)), np.zeros((50, 2))], axis=1)
    found = adapter(rng.standard_normal((30, 4)), rng.standard_normal((30, 4)), asked, 0.1)
    assert np.abs(found[2:]).max() < 1e-12 < np.abs(found[:2]).max()


def test_steps_are_those_of_the_paper():
    """Two steps of Adam by hand on one number of size 2: rate .1 of its size."""
    start = Student(np.full((1, 1, 1), 2.0), np.zeros((1, 1)), np.ones((1, 1)))
    adam, student = Adam(start, (0.1, 0.1, 0.0)), start
    mean = square = 0.0
    wanted = 2.0
    for number, slope in enumerate((3.0, -1.0), start=1):
        student = adam.step(student, Student(np.full((1, 1, 1), slope), np.ones((1, 1)), np.ones((1, 1))))
        mean, square = 0.9 * mean + 0.1 * slope, 0.999 * square + 0.001 * slope**2
        wanted -= 0.2 * (mean / (1 - 0.9**number)) / (np.sqrt(square / (1 - 0.999**number)) + 1e-8)
        assert student.books[0, 0, 0] == pytest.approx(wanted, rel=1e-6)
    assert student.asked[0, 0] == 1 and student.centroids[0, 0] == 0  # no rate, and zeros that have no size
