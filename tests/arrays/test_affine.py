"""The affine correction as numbers and as vectors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmr.arrays.affine import Affine, asked, folded, identity, lift
from mmr.errors import BadDataError


def made(seed: int, n: int = 30, d: int = 6):
    generator = np.random.default_rng(seed)
    return (
        generator.standard_normal((n, d)),
        generator.standard_normal((5, d)),
        Affine(generator.uniform(0.2, 3, n), generator.standard_normal(n)),
    )


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.01, 100))
def test_folded_and_lifted_rows_give_the_corrected_scores(seed, weight):
    rows, queries, affine = made(seed)
    applied = affine.applied(queries @ rows.T)
    wide, questions = folded(rows, affine, weight), asked(queries, weight)
    assert np.abs(questions @ wide.T - applied).max() < 1e-9
    up = lift(wide)
    high, low = up.lifted(wide), up.asked(questions)
    distances = ((low[:, None] - high[None]) ** 2).sum(axis=2)
    expected = (questions**2).sum(axis=1)[:, None] + up.bound**2 - 2 * applied
    assert np.abs(distances - expected).max() < 1e-7 * up.bound**2
    assert np.allclose(np.linalg.norm(high, axis=1), up.bound)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.floats(-2, 2))
def test_the_ceiling_is_above_every_item_that_scores_less(seed, score):
    _, _, affine = made(seed)
    lower = np.random.default_rng(seed).uniform(-3, score, (20, len(affine.scale)))
    assert affine.applied(lower).max() <= affine.ceiling(score) + 1e-12


def test_the_ceiling_is_exact_where_the_scale_is_constant():
    affine = Affine(np.ones(3), np.array([-0.5, 0.25, 0]))
    assert affine.ceiling(0.5) == affine.applied(np.full(3, 0.5)).max() == 0.75
    assert identity(0).ceiling(1) == -np.inf


def test_the_identity_changes_nothing():
    scores = np.random.default_rng(0).standard_normal((3, 8))
    assert np.array_equal(identity(8).applied(scores), scores)


def test_a_row_above_the_bound_is_said():
    rows, _, _ = made(1)
    with pytest.raises(BadDataError, match="does not fit under the bound"):
        lift(rows).lifted(rows * 1.06)
    assert lift(rows).lifted(rows * 1.04).shape == (30, 7)
