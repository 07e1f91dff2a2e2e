"""Binary codes: a projection, a threshold a bit, the bits packed into bytes; compared by differing bits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float32]

ITQ_ROUNDS = 50  # Gong and Lazebnik


def planes(dim: int, bits: int, seed: int) -> Matrix:
    """Normals of random planes, (dim, bits) float32; bits differ in proportion to the angle (Charikar)."""
    return np.random.default_rng(seed).standard_normal((dim, bits)).astype(np.float32)


def itq(rows: NDArray[np.floating], bits: int, seed: int, rounds: int = ITQ_ROUNDS) -> Matrix:
    """Iterative quantisation: the rotation of the first principal directions nearest to signs.

    rows     (n, d); bits at most d
    returns  (d, bits) float32 with orthonormal columns
    Gong and Lazebnik, 2011: B = sign(V R), then R from the singular vectors of B'V, in turn.
    """
    centred = rows.astype(np.float64) - rows.mean(axis=0, dtype=np.float64)
    _, directions = np.linalg.eigh(centred.T @ centred)
    main = directions[:, ::-1][:, :bits]
    reduced = centred @ main
    turn = np.linalg.qr(np.random.default_rng(seed).standard_normal((bits, bits)))[0]
    for _ in range(rounds):
        signs = np.where(reduced @ turn > 0, 1.0, -1.0)
        left, _, right = np.linalg.svd(signs.T @ reduced)
        turn = right.T @ left.T
    return np.asarray(main @ turn, np.float32)


def thresholds(rows: NDArray[np.floating], projection: Matrix | None) -> Matrix:
    """The mean of each projected dimension, (bits,) float32; of one modality, which has its own."""
    mean = rows.mean(axis=0, dtype=np.float64)
    return np.asarray(mean if projection is None else mean @ projection, np.float32)


def packed(rows: NDArray[np.floating], projection: Matrix | None, bounds: Matrix) -> NDArray[np.uint8]:
    """The codes of (n, d) rows, (n, bits / 8) uint8: a bit is set where the projection exceeds its bound.

    projection  (d, bits) float32, or None for the dimensions themselves
    """
    values = rows.astype(np.float32, copy=False)
    return np.packbits((values if projection is None else values @ projection) > bounds, axis=1)
