"""Vectors in bytes: half a step off at most, and the same bytes when they are stored again."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mmr.arrays.small import Small, packed

finite = st.floats(-(2.0**99), 2.0**99, width=32)
rows = arrays.arrays(np.float32, arrays.array_shapes(min_dims=2, max_dims=2, max_side=9), elements=finite)


@given(rows)
def test_each_number_is_the_nearest_byte_and_the_length_stays(x):
    bytes_, wide = packed(x), x.astype(np.float64)
    step = np.abs(wide).max(axis=1, keepdims=True) / 127
    assert (np.abs(bytes_[:, :-4] * step - wide) <= 0.57 * step).all()
    read = Small(bytes_)[:]
    assert read.dtype == np.float32 and read.shape == x.shape
    lengths = np.linalg.norm(wide, axis=1)
    assert np.allclose(np.linalg.norm(read.astype(np.float64), axis=1), lengths, rtol=2**-12, atol=1e-40)


@given(rows)
def test_what_was_read_is_stored_as_the_same_bytes(x):
    normal = np.where(np.abs(x) < 1e-30, np.float32(0), x)
    bytes_ = packed(normal)
    assert np.array_equal(packed(Small(bytes_)[:]), bytes_)


def test_it_is_indexed_like_an_array():
    x = np.random.default_rng(0).standard_normal((20, 7)).astype(np.float32)
    small = Small(packed(x))
    whole = np.asarray(small)
    assert len(small) == 20 and small.shape == (20, 7) and small.itemsize == 1
    for index in (3, slice(2, 9), np.array([5, 5, 0]), np.array([[1, 2], [3, 4]]), slice(0, 0)):
        assert np.array_equal(small[index], whole[index])
    assert np.corrcoef(whole.ravel(), x.ravel())[0, 1] > 0.9999


def test_a_row_of_zeros_stays():
    assert not Small(packed(np.zeros((2, 3), np.float32)))[:].any()
