"""Truncation: the best inner product of a lower rank for two modalities, against the definition."""

from __future__ import annotations

import numpy as np

from mmr.arrays import truncate
from mmr.arrays.truncate import projections


def two_modalities(rng, count=400, dim=12):
    """Items and queries that vary in other directions, about means of their own."""
    items = rng.standard_normal((count, dim)) * np.geomspace(1, 0.1, dim) + 0.5
    queries = rng.standard_normal((count, dim)) * np.geomspace(0.1, 1, dim) - 0.3
    return items.astype(np.float32), queries.astype(np.float32)


def loss(x, q, of_items, of_queries):
    """The mean square change of inner products."""
    return float((((q @ x.T) - (q @ of_queries) @ (x @ of_items).T) ** 2).mean())


def test_all_dimensions_change_no_inner_product():
    x, q = two_modalities(np.random.default_rng(0))
    assert loss(x, q, *projections(x, q, 12)) < 1e-9


def test_no_other_projection_of_that_rank_changes_less(monkeypatch):
    """Eckart and Young: the best rank-m matrix of Q^(1/2) X^(1/2), found here by solving for it directly."""
    monkeypatch.setattr(truncate, "FLOOR", 1e-9)
    rng = np.random.default_rng(1)
    x, q = two_modalities(rng)
    best = loss(x, q, *projections(x, q, 4))
    rows, asked = x.astype(np.float64), q.astype(np.float64)
    left, right = np.linalg.cholesky(asked.T @ asked / 400), np.linalg.cholesky(rows.T @ rows / 400)
    values = np.linalg.svd(left.T @ right, compute_uv=False)
    assert abs(best - float((values[4:] ** 2).sum())) < 1e-6 * float((values**2).sum())
    for _ in range(20):
        axes = np.linalg.qr(rng.standard_normal((12, 4)))[0]
        assert loss(x, q, axes, axes) > best


def test_one_modality_gets_its_main_directions_and_the_mean_stays():
    x, _ = two_modalities(np.random.default_rng(2))
    of_items, of_queries = projections(x, x, 3)
    assert np.allclose(of_items @ of_queries.T, of_queries @ of_items.T, atol=1e-4)
    main = np.linalg.svd(x.astype(np.float64), full_matrices=False)[2][:3]
    assert np.allclose(of_items @ of_queries.T, main.T @ main, atol=1e-3)


def test_queries_of_another_modality_lose_less_when_they_are_known():
    x, q = two_modalities(np.random.default_rng(3))
    assert loss(x, q, *projections(x, q, 4)) < 0.9 * loss(x, q, *projections(x, x, 4))
