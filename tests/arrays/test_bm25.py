"""BM25 against cases worked by hand, and the formula as textbooks print it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmr.arrays.bm25 import Saturated, idf, norms


def weight(count, length, mean, k1=1.2, b=0.75):
    """What `count` occurrences add in a text, with a word of weight 1."""
    adds = Saturated(np.ones(1), norms(np.array([float(length)]), mean, k1, b), k1)
    both = (
        adds(np.array([float(count)]), np.zeros(1, int), np.zeros(1, int)),
        adds.of_lists(np.array([count]), np.zeros(1, int), np.ones(1), np.ones(1, int)),
    )
    assert both[0] == both[1]
    return both[0][0]


def test_worked():
    """N = 3, mean 7/3, "red" in two of "red car", "Red, red apple!", "blue sky": ln(1 + 1.5/2.5) = ln 1.6."""
    red = float(idf(np.array([2.0]), 3)[0])
    assert red == pytest.approx(math.log(1.6))
    assert red * weight(1, 2, 7 / 3) == pytest.approx(0.499176, abs=1e-6)
    assert red * weight(2, 3, 7 / 3) == pytest.approx(0.598186, abs=1e-6)
    assert idf(np.array([1.0]), 1)[0] == pytest.approx(math.log(4 / 3))


@settings(max_examples=60, deadline=None)
@given(
    count=st.integers(1, 50), length=st.integers(1, 500), mean=st.floats(0.5, 500), k1=st.floats(0, 5),
    b=st.floats(0, 1), n=st.integers(1, 1000), more=st.integers(0, 1000),
)  # fmt: skip
def test_equals_the_textbook(count, length, mean, k1, b, n, more):
    expected = count * (k1 + 1) / (count + k1 * (1 - b + b * length / mean))
    assert weight(count, length, mean, k1, b) == pytest.approx(expected, rel=1e-12)
    total = n + more
    assert idf(np.array([float(n)]), total)[0] == pytest.approx(math.log((total - n + 0.5) / (n + 0.5) + 1))


def test_counts_saturate():
    assert weight(1, 5, 5) == 1
    assert weight(10**9, 5, 5) == pytest.approx(2.2)
    assert weight(3, 9, 5, k1=0) == 1


def test_texts_without_words():
    assert norms(np.zeros(2), 0.0, 1.2, 0.75).tolist() == [pytest.approx(0.3)] * 2
