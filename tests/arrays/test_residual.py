"""Recurrent residual bits: the reference's worked case, and the symmetric distance by differing bits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmr.arrays.residual import residual, turned


def test_the_worked_case_of_the_reference():
    """m = 4, s0 = ++-+, s1 = +-+-: b = (1.5, .5, -.5, .5)."""
    f = np.float32([[3, 1, -1, 1]])
    assert residual(f, 1).tolist() == [[1, 1, -1, 1]]
    assert residual(f, 2).tolist() == [[1.5, 0.5, -0.5, 0.5]]


def signs_of(code, levels):
    """The sign bits of each level, read off what they decode to: (levels, n, m) bool."""
    left, found = code.astype(np.float64), []
    for level in range(levels):
        found.append(left > 0)
        left = left - np.where(found[-1], 1, -1) * 2.0**-level
    assert np.all(left == 0), "a code is a sum of its signs, each of half the weight of the one before"
    return np.array(found)


@given(st.integers(0, 10**6), st.integers(1, 4), st.integers(1, 40))
def test_the_symmetric_distance_is_the_product_of_what_the_bits_decode_to(seed, levels, m):
    """<b, b'> = sum over levels i, j of 2^-(i + j) (m - 2 popcount(s_i xor s'_j))."""
    f = np.random.default_rng(seed).standard_normal((6, m))
    code = residual(f, levels)
    bits = signs_of(code, levels)
    for one in range(3):
        for other in range(3, 6):
            expected = sum(
                2.0 ** -(i + j) * (m - 2 * int((bits[i, one] ^ bits[j, other]).sum()))
                for i in range(levels)
                for j in range(levels)
            )
            assert float(code[one].astype(np.float64) @ code[other]) == expected


@given(st.integers(0, 10**6), st.integers(2, 4))
def test_each_level_is_the_formula_of_the_reference(seed, levels):
    f = np.random.default_rng(seed).standard_normal(20).astype(np.float32).astype(np.float64)
    b = np.where(f > 0, 1.0, -1.0)
    for level in range(1, levels):
        left = f - (f @ b) / (b @ b) * b
        if np.abs(left).min() < 1e-5:
            return
        b = b + 2.0**-level * np.where(left > 0, 1, -1)
    assert residual(f[None], levels).tolist() == [b.tolist()]


def test_more_levels_leave_less():
    f = np.random.default_rng(1).standard_normal((50, 64)).astype(np.float32)
    left = []
    for levels in (1, 2, 3, 4):
        b = residual(f, levels)
        share = (f * b).sum(1) / (b * b).sum(1)
        left.append(float(((f - share[:, None] * b) ** 2).sum()))
    assert left == sorted(left, reverse=True) and left[3] < 0.1 * left[0]


@pytest.mark.parametrize(("dim", "wide"), [(8, 8), (5, 8)])
def test_a_rotation_keeps_inner_products(dim, wide):
    turn = turned(dim, wide, 0)
    assert turn.shape == (dim, wide)
    assert np.allclose(turn @ turn.T, np.eye(dim), atol=1e-6)
