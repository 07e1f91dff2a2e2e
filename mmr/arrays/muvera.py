"""MUVERA: bags of vectors as one vector each, whose inner product stands for MaxSim.

Dhulipala et al. 2024, as in google/graph-mining (sketching/point_cloud). The streams of random numbers are
our own, so encodings differ from those of that program.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Wide = NDArray[np.float64]
Whole = NDArray[np.int64]

MOST = 16  # random planes, so that blocks can be counted
CLOSE = 1e-9  # to a plane, beside the largest number


@dataclass(frozen=True)
class Muvera:
    """Fixed dimensional encodings of bags of vectors of `dim` numbers.

    reps   repetitions, each with planes and a projection of its own
    ksim   random planes: each repetition has 2 ** ksim blocks, of the vectors on the same side of every plane
    dproj  numbers of a block, into which each of the vector's is added with a random sign; None keeps all
    fill   a document's empty block takes the vector that is on the wrong side of the fewest planes
    final  a count sketch brings the encoding to as many numbers; None keeps all
    seed   of all of this; the same seed gives the same encodings

    Raises `ValueError` for settings out of range.
    """

    dim: int
    reps: int = 20
    ksim: int = 4
    dproj: int | None = 16
    fill: bool = True
    final: int | None = None
    seed: int = 0
    planes: Wide = field(init=False, repr=False, compare=False)
    column: Whole = field(init=False, repr=False, compare=False)
    sign: Wide = field(init=False, repr=False, compare=False)
    bucket: Whole = field(init=False, repr=False, compare=False)
    turn: Wide = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if min(self.dim, self.reps) < 1 or not 0 <= self.ksim <= MOST or self.seed < 0:
            raise ValueError(f"dim and reps from 1, ksim 0 to {MOST}, seed from 0")
        if self.dproj is not None and not 1 <= self.dproj <= self.dim:
            raise ValueError(f"dproj 1 to the {self.dim} numbers of a vector")
        if self.final is not None and self.final < 1:
            raise ValueError("final from 1")
        streams = [_raw(self.seed + rep, 2 * self.dim * (self.ksim + 1)) for rep in range(self.reps)]
        planes, rest = zip(*(np.split(raw, [2 * self.dim * self.ksim]) for raw in streams), strict=True)
        drawn = {
            "planes": np.stack([_normal(raw).reshape(self.ksim, self.dim) for raw in planes]),
            "column": np.stack([raw[: self.dim] % np.uint64(self.width) for raw in rest]).astype(np.int64),
            "sign": np.stack([_sign(raw[self.dim :]) for raw in rest]),
        }
        whole = self.reps * self.block * self.width
        bucket, turn = np.split(_raw(self.seed + self.reps, 2 * whole if self.final else 0), 2)
        drawn["bucket"] = (bucket % np.uint64(self.final or 1)).astype(np.int64)
        drawn["turn"] = _sign(turn)
        for name, values in drawn.items():
            object.__setattr__(self, name, values)

    @property
    def block(self) -> int:
        """Blocks of a repetition."""
        return 1 << self.ksim

    @property
    def width(self) -> int:
        """Numbers of a block."""
        return self.dim if self.dproj is None else self.dproj

    @property
    def length(self) -> int:
        """Numbers of an encoding."""
        return self.final or self.reps * self.block * self.width

    def query(self, rows: NDArray[Any]) -> NDArray[np.float32]:
        """Encode a query's vectors (n, dim): each block is the sum of its own; returns (length,)."""
        _, member, projected = self._blocks(rows)
        return self._finished(member @ projected)

    def document(self, rows: NDArray[Any]) -> NDArray[np.float32]:
        """Encode a document's vectors (n, dim): each block is the mean of its own; returns (length,)."""
        bits, member, projected = self._blocks(rows)
        counts = member.sum(axis=2, keepdims=True)
        found = member @ projected / np.maximum(counts, 1)
        if self.fill and self.ksim:
            code = np.arange(self.block)
            wrong = np.bitwise_count(bits[:, None, :] ^ (code ^ (code >> 1))[:, None])
            nearest = np.take_along_axis(projected, wrong.argmin(axis=2)[:, :, None], axis=1)
            found = np.where(counts > 0, found, nearest)
        return self._finished(found)

    def _blocks(self, rows: NDArray[Any]) -> tuple[Whole, Wide, Wide]:
        """Sides of the planes as bits (reps, n), members (reps, blocks, n), projected (reps, n, width)."""
        if rows.ndim != 2 or not len(rows) or rows.shape[1] != self.dim:
            raise ValueError(f"vectors of {self.dim} numbers, at least one")
        wide = rows.astype(np.float64)
        bits = np.zeros((self.reps, len(rows)), np.int64)
        number = np.zeros((self.reps, len(rows)), np.int64)
        for side in self._sides(wide):
            bits = 2 * bits + side
            number = 2 * number + (side ^ (number & 1))  # bits as a Gray code
        member = (number[:, None, :] == np.arange(self.block)[:, None]).astype(np.float64)
        if self.dproj is None:
            return bits, member, np.broadcast_to(wide, (self.reps, *wide.shape))
        spread = np.zeros((self.reps, self.dim, self.dproj))
        np.put_along_axis(spread, self.column[:, :, None], self.sign[:, :, None], axis=2)
        return bits, member, wide @ spread

    def _sides(self, wide: Wide) -> Whole:
        """On which side of each plane each vector is: (ksim, reps, n) of 0 and 1."""
        product = np.matmul(self.planes, wide.T)
        rep, plane, row = np.nonzero(np.abs(product) < CLOSE * np.abs(wide).max())  # BLAS may err on the side
        product[rep, plane, row] = np.einsum("ij,ij->i", self.planes[rep, plane], wide[row])
        sides: Whole = (product > 0).astype(np.int64).transpose(1, 0, 2)
        return sides

    def _finished(self, blocks: Wide) -> NDArray[np.float32]:
        flat = blocks.ravel()
        if self.final is not None:
            flat = np.bincount(self.bucket, self.turn * flat, self.final).astype(np.float64, copy=False)
        return flat.astype(np.float32)


def _raw(seed: int, count: int) -> NDArray[np.uint64]:
    """Numbers of 64 bits that depend on the seed alone, whatever the version of NumPy."""
    found: NDArray[np.uint64] = np.random.Philox(key=seed).random_raw(count)
    return found


def _normal(raw: NDArray[np.uint64]) -> Wide:
    """Half as many normal numbers, by Box and Muller."""
    uniform = ((raw >> np.uint64(11)) + 0.5) * 2.0**-53
    radius, angle = np.split(uniform, 2)
    found: Wide = np.sqrt(-2 * np.log(radius)) * np.cos(2 * np.pi * angle)
    return found


def _sign(raw: NDArray[np.uint64]) -> Wide:
    """1 or -1 by the highest bit."""
    return np.where(raw >> np.uint64(63), 1.0, -1.0)
