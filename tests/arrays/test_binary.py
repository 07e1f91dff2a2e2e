"""Binary codes against their definitions, in float64 and one row at a time."""

from __future__ import annotations

import numpy as np

from mmr.arrays.binary import itq, packed, planes, thresholds


def rows(count=400, dim=24):
    rng = np.random.default_rng(0)
    return (rng.standard_normal((count, dim)) * np.linspace(2, 0.1, dim) + 0.3).astype(np.float32)


def test_a_bit_is_whether_the_projection_exceeds_the_mean():
    x = rows()
    for projection in (None, planes(24, 40, 1)):
        bounds = thresholds(x, projection)
        codes = packed(x, projection, bounds)
        for code, row in zip(codes[:50], x[:50], strict=True):
            values = row if projection is None else [float(np.dot(row, plane)) for plane in projection.T]
            close = np.abs(np.asarray(values) - bounds) < 1e-5
            bits = np.unpackbits(code)[: len(bounds)]
            assert np.all((bits == (np.asarray(values) > bounds)) | close)
    y = np.array([[sum(float(a) * float(b) for a, b in zip(row, plane, strict=True)) for plane in planes(
        24, 40, 1).T] for row in x])  # fmt: skip
    assert np.allclose(y.mean(axis=0), thresholds(x, planes(24, 40, 1)), atol=1e-5)


def test_differing_bits_of_random_planes_measure_the_angle():
    x = rows(2, 24)
    cosine = np.dot(*(x / np.linalg.norm(x, axis=1, keepdims=True)))
    codes = packed(x, planes(24, 40_000, 2), np.zeros(40_000, np.float32))
    share = np.unpackbits(codes[0] ^ codes[1]).mean()
    assert abs(share - np.arccos(cosine) / np.pi) < 0.01


def test_itq_is_a_rotation_that_lies_nearer_to_signs_than_it_began():
    x = rows()
    centred = x - x.mean(axis=0)

    def loss(projection):
        values = centred.astype(np.float64) @ projection
        return np.sum((np.where(values > 0, 1, -1) - values) ** 2)

    found = itq(x, 12, 3)
    assert np.allclose(found.T @ found, np.eye(12), atol=1e-5)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    inside = axes[:12].T @ axes[:12]
    assert np.allclose(inside @ found, found, atol=1e-4), "it spans the first principal directions"
    losses = [loss(itq(x, 12, 3, rounds)) for rounds in (0, 1, 5, 50)]
    assert losses == sorted(losses, reverse=True) and losses[0] > 1.02 * losses[-1]
