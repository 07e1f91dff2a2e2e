"""The default composition against the formula of the reference, written naively."""

from __future__ import annotations

import numpy as np
import pytest

from mmr.compose.weighted import weighted


def unit(rng, n, d):
    x = rng.standard_normal((n, d))
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("weight", [0.0, 0.3, 0.8, 1.0])
def test_is_the_normalised_weighted_sum(weight):
    rng = np.random.default_rng(0)
    images, texts = unit(rng, 5, 9), unit(rng, 5, 9)
    for v, t, got in zip(images, texts, weighted(images, texts, weight), strict=True):
        mixed = [(1 - weight) * float(a) + weight * float(b) for a, b in zip(v, t, strict=True)]
        length = sum(x * x for x in mixed) ** 0.5
        np.testing.assert_allclose(got, [x / length for x in mixed], atol=1e-7)


def test_words_weigh_more_by_default():
    got = weighted(np.float32([[1, 0]]), np.float32([[0, 1]]))[0]
    np.testing.assert_allclose(got, np.array([0.2, 0.8]) / np.hypot(0.2, 0.8), atol=1e-7)


def test_opposites_vanish_without_a_warning():
    assert weighted(np.float32([[1, 0]]), np.float32([[-1, 0]]), 0.5).tolist() == [[0, 0]]
