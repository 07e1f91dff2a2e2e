"""MUVERA: bags of vectors as one vector each, whose inner product stands for MaxSim.

Dhulipala et al. 2024, as in google/graph-mining (sketching/point_cloud). The streams of random numbers are
our own, so encodings differ from those of that program.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmr.arrays.ragged import Ragged

Wide = NDArray[np.float64]
Whole = NDArray[np.int64]

MOST = 16  # random planes, so that blocks can be counted
CLOSE = 1e-9  # to a plane, beside the largest number
TOKENS = 4096  # vectors at a time
FAR = 1 << 32  # above every number of a vector
CELLS = 1 << 22  # numbers of encodings at a time


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
        self._check(rows)
        sums = np.zeros((self.reps, 1, self.block, self.width))
        for start in range(0, len(rows), TOKENS):
            wide = rows[start : start + TOKENS].astype(np.float64)
            member = self._numbers(wide)[:, None, :] == np.arange(self.block)[:, None]
            sums[:, 0] += member.astype(np.float64) @ self._projected(wide)
        found: NDArray[np.float32] = self._finished(sums)[0]
        return found

    def document(self, rows: NDArray[Any]) -> NDArray[np.float32]:
        """Encode a document's vectors (n, dim): each block is the mean of its own; returns (length,)."""
        found: NDArray[np.float32] = self._filled(self._pieces(rows, np.float64))[0]
        return found

    def documents(self, bags: Ragged, items: Whole) -> NDArray[np.float32]:
        """Encode several documents at once, projected in float32.

        items    ascending numbers of documents that have vectors
        returns  (items, length); memory for that, and for 4,096 vectors and what they become
        """
        found = np.empty((len(items), self.length), np.float32)
        step = max(1, CELLS // (self.reps * self.block * self.width))
        for start in range(0, len(items), step):
            for part, rows, begins in bags.blocks(items[start : start + step], TOKENS):
                alone = len(begins) == 1
                pieces = self._pieces(rows, np.float32) if alone else self._pooled(rows, begins, np.float32)
                found[start + part.start : start + part.stop] = self._filled(pieces)
        return found

    def _check(self, rows: NDArray[Any]) -> None:
        if rows.ndim != 2 or not len(rows) or rows.shape[1] != self.dim:
            raise ValueError(f"vectors of {self.dim} numbers, at least one")

    def _pieces(self, rows: NDArray[Any], dtype: Any) -> _Pooled:
        """What the vectors (n, dim) of one bag add up to, some of them at a time."""
        self._check(rows)
        begin = np.zeros(1, np.int64)
        whole = self._pooled(rows[:TOKENS], begin, dtype)
        for start in range(TOKENS, len(rows), TOKENS):
            more = self._pooled(rows[start : start + TOKENS], begin, dtype)
            nearer = more.wrong < whole.wrong
            whole = _Pooled(whole.sums + more.sums, whole.counts + more.counts,
                            np.where(nearer, more.wrong, whole.wrong),
                            np.where(nearer[..., None], more.nearest, whole.nearest))  # fmt: skip
        return whole

    def _pooled(self, rows: NDArray[Any], begins: Whole, dtype: Any) -> _Pooled:
        """What the vectors (n, dim) of bags that begin at `begins` (m,) add up to in each block."""
        number, projected = self._numbers(rows.astype(np.float64)), self._projected(rows.astype(dtype))
        shape = (self.reps, len(begins), self.block)
        sums, counts = np.zeros((*shape, self.width)), np.zeros(shape, np.int64)
        row = np.full(shape, FAR)
        owner = np.repeat(np.arange(len(begins)), np.diff(begins, append=len(rows))) * self.block
        for rep in range(self.reps):
            place = (owner + number[rep]).astype(
                np.uint16 if len(begins) * self.block < 1 << 16 else np.int64
            )
            order = np.argsort(place, kind="stable")
            sorted_ = place[order].astype(np.int64)
            first = np.flatnonzero(np.diff(sorted_, prepend=-1))
            filled = sorted_[first]
            sums[rep].reshape(-1, self.width)[filled] = np.add.reduceat(
                projected[rep][order], first, dtype=np.float64
            )
            counts[rep].reshape(-1)[filled] = np.diff(first, append=len(rows))
            row[rep].reshape(-1)[filled] = order[first]
        wrong, row = np.divmod(self._nearest(row), FAR)
        return _Pooled(sums, counts, wrong, projected[np.arange(self.reps)[:, None, None], row])

    def _nearest(self, row: Whole) -> Whole:
        """The vector of each block that is on the wrong side of the fewest planes, of equal ones the first.

        row      (..., blocks) the first vector of each block, FAR where it has none
        returns  that vector's number and FAR for each plane, the same shape: the distance transform of a cube
        """
        code = np.arange(self.block)
        code ^= code >> 1
        found = np.empty_like(row)
        found[..., code] = row
        found[found == FAR] = FAR * (self.ksim + 1)
        for plane in range(self.ksim):
            found = np.minimum(found, found[..., np.arange(self.block) ^ (1 << plane)] + FAR)
        return found[..., code]

    def _numbers(self, wide: Wide) -> Whole:
        """The block of each vector (n, dim) in each repetition: (reps, n)."""
        number = np.zeros((self.reps, len(wide)), np.int64)
        for side in self._sides(wide):
            number = 2 * number + (side ^ (number & 1))  # bits as a Gray code
        return number

    def _projected(self, rows: NDArray[Any]) -> NDArray[Any]:
        """Vectors (n, dim) as each repetition adds them up: (reps, n, width)."""
        if self.dproj is None:
            return np.broadcast_to(rows, (self.reps, *rows.shape))
        spread = np.zeros((self.reps, self.dim, self.dproj), rows.dtype)
        np.put_along_axis(spread, self.column[:, :, None], self.sign[:, :, None], axis=2)
        return rows @ spread

    def _filled(self, pooled: _Pooled) -> NDArray[np.float32]:
        """Means of blocks, and the nearest vector in empty ones: documents (m, length)."""
        found = pooled.sums / np.maximum(pooled.counts, 1)[..., None]
        if self.fill and self.ksim:
            found = np.where(pooled.counts[..., None] > 0, found, pooled.nearest)
        return self._finished(found)

    def _sides(self, wide: Wide) -> Whole:
        """On which side of each plane each vector is: (ksim, reps, n) of 0 and 1."""
        product = np.matmul(self.planes, wide.T)
        rep, plane, row = np.nonzero(np.abs(product) < CLOSE * np.abs(wide).max())  # BLAS may err on the side
        product[rep, plane, row] = np.einsum("ij,ij->i", self.planes[rep, plane], wide[row])
        sides: Whole = (product > 0).astype(np.int64).transpose(1, 0, 2)
        return sides

    def _finished(self, blocks: Wide) -> NDArray[np.float32]:
        """Blocks (reps, m, blocks, width) as encodings (m, length)."""
        flat = blocks.transpose(1, 0, 2, 3).reshape(blocks.shape[1], -1)
        if self.final is not None:
            flat = np.stack([np.bincount(self.bucket, self.turn * one, self.final) for one in flat])
        return flat.astype(np.float32)


class _Pooled(NamedTuple):
    """What m bags add up to in the blocks of each repetition.

    sums     (reps, m, blocks, width)
    counts   (reps, m, blocks), how many vectors
    wrong    (reps, m, blocks), on the wrong side of how many planes the nearest vector is
    nearest  (reps, m, blocks, width), that vector, of equal ones the first
    """

    sums: Wide
    counts: Whole
    wrong: Whole
    nearest: NDArray[Any]


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
