"""Maps between two models: low rank by its formula, pairs held out, what is refused, the file."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmr.errors import BadDataError, UsageError
from mmr.normalize.maps import judged
from mmr.normalize.table import loaded, vector_row
from mmr.normalize.vector_fit import fit_pairs
from mmr.normalize.vectors import read_change, write_change
from mmr.stream import archive
from tests.normalize.made import unit
from tests.normalize.test_vectors import records

D = 6
RIDGE = {"form": "ridge", "ridge": 0.3, "rank": 128.0}


def pairs(new, old, **options):
    values = options.pop("values", {})
    return fit_pairs(values, ("new", records(new)), ("old", records(old, model="old#2")), **options)


def turned(seed=0, n=60, noise=0.0):
    rows = unit(seed, n, D)
    generator = np.random.default_rng(seed)
    other = rows @ np.linalg.qr(generator.standard_normal((D, D)))[0]
    other += noise * generator.standard_normal((n, D))
    return rows, other / np.linalg.norm(other, axis=1, keepdims=True)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 4), st.integers(8, 40), st.sampled_from([4, 6]))
def test_a_low_rank_map_is_the_best_of_its_rank(seed, rank, n, out):
    x, y = unit(seed, n, D), unit(seed + 1, n, out)
    method = loaded(vector_row("map").loads)()
    found = method.learn(x, y, {"form": "low-rank", "ridge": 0.3, "rank": rank})["matrix"].T
    assert np.linalg.matrix_rank(found, tol=1e-9) <= rank

    def loss(w):
        return ((y - x @ w) ** 2).sum() + 0.3 * (w**2).sum()

    full = method.learn(x, y, RIDGE)["matrix"].T
    wide = np.vstack([x, np.sqrt(0.3) * np.eye(D)])
    _, sizes, _ = np.linalg.svd(wide @ full, full_matrices=False)
    assert loss(found) == pytest.approx(loss(full) + (sizes[rank:] ** 2).sum())


def test_a_low_rank_map_of_full_rank_is_ridge():
    x, y = unit(1, 40, D), unit(2, 40, 4)
    method = loaded(vector_row("map").loads)()
    low = method.learn(x, y, {"form": "low-rank", "ridge": 0.3, "rank": 4})
    full = method.learn(x, y, RIDGE)
    assert all(np.abs(low[name] - full[name]).max() < 1e-12 for name in ("matrix", "back"))


def test_the_way_back_is_the_map_of_the_pairs_turned_round():
    x, y = unit(1, 40, D), unit(2, 40, 4)
    method = loaded(vector_row("map").loads)()
    for form in ("orthogonal", "ridge", "low-rank"):
        values = {"form": form, "ridge": 0.3, "rank": 3}
        one, other = method.learn(x, y, values), method.learn(y, x, values)
        assert np.abs(one["back"] - other["matrix"]).max() < 1e-12
        assert one["matrix"].shape == (4, D)


def test_a_rank_that_no_map_has_is_refused():
    new, old = turned()
    with pytest.raises(BadDataError, match="dimensions has a rank of 6 at most"):
        pairs(new, old, values={"form": "low-rank", "rank": 7})
    with pytest.raises(UsageError, match="--rank"):
        pairs(new, old, values={"form": "low-rank", "rank": 0})


def test_pairs_held_out_are_not_learned_from():
    x, y = unit(1, 40, 30), unit(2, 40, 30)
    found = judged(x, y, RIDGE)
    assert found.pairs == 8
    assert found.cosine < 0.5, "a map of noise says nothing of pairs that it has not seen"
    rows, other = turned()
    exact = judged(rows, other, {"form": "orthogonal", "ridge": 0.0})
    assert (exact.pairs, exact.recall) == (12, 1)
    assert exact.cosine == pytest.approx(1)
    assert judged(rows, other, RIDGE) == judged(rows, other, RIDGE)


def test_a_target_that_is_there_twice_is_found():
    rows, other = turned()
    twice = judged(np.repeat(rows[:1], 30, axis=0), np.repeat(other[:1], 30, axis=0), RIDGE)
    assert twice.recall == 1


def test_a_bad_map_is_refused_with_its_figures():
    with pytest.raises(BadDataError, match=r"12 pairs held out the mean cosine is 0\.\d+, .*at least 0\.9"):
        pairs(*turned(noise=0.6))
    change = pairs(*turned(noise=0.6), force=True)
    assert change.held["cosine"] < 0.9
    assert pairs(*turned()).held == {"pairs": 12, "cosine": pytest.approx(1, abs=0.01), "recall": 1}


def test_a_map_by_which_many_find_their_own_is_not_bad():
    generator = np.random.default_rng(1)
    rows = generator.standard_normal((600, 32))
    other = rows + 0.6 * generator.standard_normal(rows.shape)
    rows, other = (one / np.linalg.norm(one, axis=1, keepdims=True) for one in (rows, other))
    held = pairs(rows, other).held
    assert held["pairs"] == 120
    assert held["cosine"] < 0.9 <= held["recall"]
    with pytest.raises(BadDataError, match="98 pairs held out"):
        pairs(rows[:490], other[:490])


@pytest.mark.parametrize("count", [1, 2, 19])
def test_few_pairs_are_refused(count):
    new, old = turned()
    with pytest.raises(BadDataError, match=f"{count} pairs? tells? nothing"):
        pairs(new[:count], old[:count])
    assert bool(pairs(new[:count], old[:count], force=True).held) == (count > 1)


def test_the_file_keeps_what_was_held_out_and_both_ways(tmp_path):
    change = pairs(*turned())
    write_change(str(tmp_path / "up.npz"), change)
    found = read_change(str(tmp_path / "up.npz"))
    assert (found.held, found.model, found.to, found.step) == (change.held, "toy#1", "old#2", change.step)
    assert np.array_equal(found.arrays["back"], change.arrays["back"])


def test_a_way_back_of_another_shape_is_damage(tmp_path):
    change = pairs(*turned())
    path = str(tmp_path / "up.npz")
    write_change(path, change)
    arrays = archive.unpack(path, 1 << 20)
    archive.write(path, {**arrays, "learned.back": arrays["learned.back"][:, :-1].copy()})
    with pytest.raises(BadDataError, match="dimensions"):
        read_change(path)
