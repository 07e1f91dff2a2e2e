"""Unit length against the formula, number by number."""

from __future__ import annotations

import numpy as np

from mmr.arrays.unit import unit


def test_is_each_number_over_the_length():
    rows = np.random.default_rng(0).standard_normal((6, 17)).astype(np.float32) * np.float32(1e18)
    for row, got in zip(rows, unit(rows), strict=True):
        length = sum(float(x) ** 2 for x in row) ** 0.5
        np.testing.assert_allclose(got, [float(x) / length for x in row], rtol=1e-6)


def test_zeros_stay_and_the_input_is_left_alone():
    rows = np.float32([[0, 0], [3, 4]])
    assert unit(rows).dtype == np.float32 and unit(rows)[0].tolist() == [0, 0]
    assert rows.tolist() == [[0, 0], [3, 4]]
