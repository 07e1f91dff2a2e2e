"""Recurrent residual bits: each level of signs codes what the levels before left over (BEBR, 2023)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float32]


def turned(dim: int, wide: int, seed: int) -> Matrix:
    """A random rotation, (dim, wide) float32 with orthonormal rows; wide at least dim.

    It spreads a vector evenly over its numbers, so that signs lose as little as they can.
    """
    square = np.linalg.qr(np.random.default_rng(seed).standard_normal((wide, wide)))[0]
    return np.ascontiguousarray(square[:dim], np.float32)


def residual(rows: NDArray[np.floating], levels: int) -> Matrix:
    """What the bits of each row decode to, (n, m) float32: odd multiples of 2^(1 - levels) up to 2.

    rows     (n, m), turned
    b = sign(f); then for u = 1, 2, ...: b = b + 2^-u sign(f - c b), where c = <f, b> / <b, b>. The inner
    product of two such b is the symmetric distance, sum over levels of 2^-(i + j) (m - 2 differing bits).

    >>> residual(np.float32([[4, 1, -1, 2]]), 2).tolist()
    [[1.5, 0.5, -0.5, 0.5]]
    """
    rows = rows.astype(np.float32, copy=False)
    found = np.where(rows > 0, np.float32(1), np.float32(-1))
    for level in range(1, levels):
        square = np.einsum("ij,ij->i", found, found)
        share = np.einsum("ij,ij->i", rows, found) / square
        left = rows - share[:, None] * found
        found += np.where(left > 0, np.float32(2.0**-level), np.float32(-(2.0**-level)))
    return found
