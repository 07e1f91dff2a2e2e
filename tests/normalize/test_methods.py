"""Every method equals its formula, whatever the blocks; what must change nothing changes nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmr.arrays.affine import asked, folded, lift
from mmr.errors import UsageError
from mmr.normalize import method as machinery
from mmr.normalize.gc import moved
from mmr.normalize.table import METHODS, checked, method
from tests.normalize import naive
from tests.normalize.made import Fit, unit

NAMES = [row.name for row in METHODS]
AFFINE = [row.name for row in METHODS if row.affine]
TWO = {row.name for row in METHODS if row.banks == 2}
OTHER = {
    "nnn": {"neighbours": 3, "alpha": 1.25}, "csls": {"neighbours": 1}, "gc": {"alpha": 1},
    "is": {"beta": 50}, "dis": {"beta": 5, "hubs": 3}, "dualis": {"beta": 5, "gallery_beta": 20},
    "dualdis": {"beta": 3, "gallery_beta": 7, "hubs": 2}, "nicdm": {"neighbours": 3}, "zscore": {}, "mp": {},
    "sinkhorn": {"tau": 0.1, "iterations": 3}, "dbsn": {"tau": 0.1, "iterations": 3},
}  # fmt: skip

GALLERY, BANK, ITEMS, QUERIES = unit(1, 60, 12), unit(2, 40, 12), unit(3, 30, 12), unit(4, 25, 12)


def fitted(name, gallery=GALLERY, bank=BANK, other=ITEMS, **params):
    return Fit(name, gallery, bank, other if name in TWO else None, **params)


def expected(name, params, gallery=GALLERY, bank=BANK, queries=QUERIES):
    more = (ITEMS.astype(np.float64) @ gallery.T,) if name in TWO else ()
    if name == "dbsn":
        more = (bank @ ITEMS.astype(np.float64).T,)
    return np.array([naive.ALL[name](gallery @ q, bank @ gallery.T, params, *more) for q in queries])


def test_every_method_has_a_formula():
    assert set(naive.ALL) == set(NAMES) == set(OTHER)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("other", [False, True])
def test_equals_its_formula(name, other):
    fit = fitted(name, **(OTHER[name] if other else {}))
    assert np.abs(fit(QUERIES) - expected(name, fit.params)).max() < 1e-10


@pytest.mark.parametrize("name", NAMES)
def test_equals_its_formula_in_float32(name):
    single = [x.astype(np.float32) for x in (GALLERY, BANK, ITEMS)]
    fit = fitted(name, *single)
    wide = expected(name, fit.params, single[0].astype(np.float64), single[1].astype(np.float64))
    limit = 1e-5 * max(1, np.abs(wide).max())
    assert np.abs(fit(QUERIES.astype(np.float32)) - wide).max() < limit


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("size", "cells"), [(1, 1), (7, 100), (60, 90)])
def test_blocks_change_nothing(name, size, cells, monkeypatch):
    whole = fitted(name)
    monkeypatch.setattr(machinery, "CELLS", cells)
    cut = fitted(name, size=size)
    for column, values in whole.columns.items():
        assert np.abs(values - cut.columns[column]).max() < 1e-6


@pytest.mark.parametrize("name", NAMES)
def test_the_order_of_the_bank_does_not_matter(name):
    shuffled = np.random.default_rng(5).permutation(len(BANK))
    assert np.abs(fitted(name)(QUERIES) - fitted(name, bank=BANK[shuffled])(QUERIES)).max() < 1e-10


@pytest.mark.parametrize("name", NAMES)
def test_an_item_that_comes_later_gets_its_numbers(name):
    fit = fitted(name)
    one = fit.method.describe(GALLERY[7:8], fit.banks, fit.learned, fit.params)
    assert {column: values[7] for column, values in fit.columns.items()} == pytest.approx(
        {column: values[0] for column, values in one.items()}, abs=1e-12
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_constant_bank_changes_no_ranking(name):
    """A bank that scores the same with every item."""
    gallery = GALLERY * [*[1] * 11, 0]
    gallery /= np.linalg.norm(gallery, axis=1, keepdims=True)
    bank = np.tile(np.eye(12)[11], (9, 1))
    fit = Fit(name, gallery, bank, bank if name in TWO else None)
    assert np.array_equal(np.argsort(-fit(QUERIES)), np.argsort(-(QUERIES @ gallery.T)))


@pytest.mark.parametrize("name", ["nnn", "gc"])
def test_alpha_0_returns_the_scores_bit_for_bit(name):
    assert np.array_equal(fitted(name, alpha=0)(QUERIES), np.stack([GALLERY @ q for q in QUERIES]))


def test_a_closed_gate_returns_the_scores_bit_for_bit():
    fit = fitted("dis")
    fit.columns["hub"][:] = 0
    assert np.array_equal(fit(QUERIES), np.stack([GALLERY @ q for q in QUERIES]))


@pytest.mark.parametrize("name", ["gc", "is", "zscore"])
def test_a_bank_twice_is_the_bank(name):
    twice = fitted(name, bank=np.vstack([BANK, BANK]))
    assert np.abs(fitted(name)(QUERIES) - twice(QUERIES)).max() < 1e-10


def test_neighbours_of_a_bank_twice_are_twice_as_many():
    twice = fitted("nnn", bank=np.vstack([BANK, BANK]), neighbours=10)
    assert np.abs(fitted("nnn", neighbours=5)(QUERIES) - twice(QUERIES)).max() < 1e-10


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(["nnn", "gc", "is", "sinkhorn"]))
def test_a_constant_on_all_scores_of_the_bank_changes_no_ranking(seed, name):
    """One more dimension in which all items and all bank queries agree, and test queries are 0."""
    gallery, bank, queries = unit(seed, 20, 5), unit(seed + 1, 9, 5), unit(seed + 2, 4, 5)
    ones = np.hstack([gallery, np.full((20, 1), 0.4)])
    shifted = np.hstack([bank, np.full((9, 1), 0.7)])
    plain = Fit(name, gallery, bank)(queries)
    moved_ = Fit(name, ones, shifted)(np.hstack([queries, np.zeros((4, 1))]))
    assert np.ptp(plain - moved_, axis=1).max() < 1e-9


def orders(scores):
    return np.argsort(-scores, axis=1)


def test_identities_of_the_reference():
    every = len(BANK)
    assert np.array_equal(orders(fitted("is", beta=5000)(QUERIES)),
                          orders(fitted("nnn", alpha=1, neighbours=1)(QUERIES)))  # fmt: skip
    gc1 = fitted("gc", alpha=1)(QUERIES)
    assert np.abs(fitted("is", beta=0.01)(QUERIES) - gc1).max() < 1e-3
    assert np.abs(fitted("nnn", alpha=0.7, neighbours=every)(QUERIES)
                  - fitted("gc", alpha=0.7)(QUERIES)).max() < 1e-12  # fmt: skip
    assert np.array_equal(orders(fitted("csls")(QUERIES)),
                          orders(fitted("nnn", alpha=0.5, neighbours=10)(QUERIES)))  # fmt: skip
    half = fitted("sinkhorn", tau=0.05, iterations=1)(QUERIES)
    assert np.abs(half - fitted("is", beta=20)(QUERIES)).max() < 1e-12
    mean = BANK.mean(axis=0)
    z = fitted("zscore")
    assert np.abs(z(QUERIES) - (QUERIES - mean) @ (GALLERY / z.columns["sd"][:, None]).T).max() < 1e-12


def test_gc_of_the_query_side_is_gc():
    fit = fitted("gc", alpha=0.3)
    found = np.stack([GALLERY @ moved(query, fit.learned, fit.params) for query in QUERIES])
    assert np.abs(found - fit(QUERIES)).max() < 1e-12


@pytest.mark.parametrize("name", AFFINE)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_three_forms_have_one_ranking(name, dtype):
    """Applied to whole lists, folded into vectors, and lifted for an index of distances."""
    fit = fitted(name)
    applied = orders(fit(QUERIES))
    affine = fit.method.affine(fit.columns, fit.params)
    for weight in (1.0, 0.25):
        rows = folded(GALLERY.astype(dtype), affine, weight)
        queries = asked(QUERIES.astype(dtype), weight)
        assert rows.dtype == queries.dtype == dtype
        assert np.abs(queries @ rows.T - affine.applied(QUERIES @ GALLERY.T)).max() < 1e-5
        assert np.array_equal(orders(queries @ rows.T), applied)
        up = lift(rows)
        distances = ((up.asked(queries)[:, None] - up.lifted(rows)[None]) ** 2).sum(axis=2)
        if dtype is np.float64:
            assert np.array_equal(np.argsort(distances, axis=1), applied)


def test_parameters_are_checked():
    row, _ = method("nnn")
    assert checked(row, {}) == {"neighbours": 16, "alpha": 0.5}
    for wrong in (
        {"alpha": 5.0},
        {"alpha": float("nan")},
        {"neighbours": 1.5},
        {"neighbours": 0},
        {"beta": 1},
    ):
        with pytest.raises(UsageError):
            checked(row, wrong)
    with pytest.raises(UsageError, match="There are: nnn, csls"):
        method("knn")
