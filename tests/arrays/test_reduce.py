"""The largest products of rows with a bank: those of a full sort in float64, whatever the block."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmr.arrays.reduce import log_mean_exp, top_mean, top_products


def unit(seed, *shape):
    x = np.random.default_rng(seed).standard_normal(shape)
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 12), st.integers(1, 1200), st.integers(1, 40), st.booleans())
def test_the_largest_products(seed, n, m, k, narrow):
    rows, bank = unit(seed, n, 7), unit(seed + 1, m, 7)
    if m > 3:
        bank[1] = bank[2] = bank[3]
    if narrow:
        rows, bank = rows.astype(np.float32), bank.astype(np.float32)
    exact = np.sort(rows.astype(np.float64) @ bank.astype(np.float64).T, axis=1)[:, ::-1][:, :k]
    found = top_products(rows, bank, k)
    assert found.shape == (n, min(k, m)) and found.dtype == np.float64
    assert found == pytest.approx(exact, abs=1e-15, rel=1e-13)


def test_no_row_depends_on_the_others():
    rows, bank = unit(1, 500, 64).astype(np.float32), unit(2, 3000, 64).astype(np.float32)
    whole = top_products(rows, bank, 16)
    assert np.array_equal(
        whole, np.vstack([top_products(rows[i : i + 7], bank, 16) for i in range(0, 500, 7)])
    )
    shuffled = np.random.default_rng(3).permutation(3000)
    assert np.array_equal(whole, top_products(rows, bank[shuffled], 16))


def test_rows_of_one_vector_and_banks_of_one_vector():
    rows, bank = np.repeat(unit(1, 1, 5), 9, axis=0), np.repeat(unit(2, 1, 5), 1000, axis=0)
    found = top_products(rows, bank, 3)
    assert (found == found[0, 0]).all() and found[0, 0] == pytest.approx(rows[0] @ bank[0])


def test_means():
    scores = unit(3, 6, 40)
    assert top_mean(scores, 5) == pytest.approx(np.sort(scores, axis=1)[:, -5:].mean(axis=1))
    assert top_mean(scores, 99) == pytest.approx(scores.mean(axis=1))
    assert log_mean_exp(scores, 20.0) == pytest.approx(np.log(np.exp(20 * scores).mean(axis=1)))
