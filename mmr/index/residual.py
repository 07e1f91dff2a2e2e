"""bebr: some bits a dimension, each level coding what the one before left; queries are coded too."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import numpy as np

from mmr.arrays.residual import residual, turned
from mmr.index.coded import ADD_ROWS, SAMPLES, Coded, damaged, projected, read_arrays, write_arrays

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mmr.index.table import Params

MEAN_ROWS = 256
SEED = 0
WIDER = 4  # candidates of the scan, for one that comes out; lengths and products as they are decide
MEANS = 4  # half bytes that hold an item's product with the mean query for the scan, as steps from 0 to 15
SPREAD = 4  # standard deviations of these products that the steps reach to


class Learnt(NamedTuple):
    """What training finds: a rotation (d, m), the means of items and of queries (d,), and three numbers.

    span  the lowest and highest product with the mean query that the scan tells apart, and the mean length
          of an item about the mean over that of its code
    """

    turn: NDArray[np.float32]
    items: NDArray[np.float32]
    queries: NDArray[np.float32]
    span: NDArray[np.float32]


class Held(NamedTuple):
    """What a file holds: FAISS's codes, what was learnt, and two numbers a row.

    numbers  (n, 2): the length of an item about the mean over the length of its code, and its product with
             the mean query
    """

    codes: Any
    learnt: Learnt
    numbers: NDArray[np.float32]


class Bebr(Coded):
    """Recurrent residual bits (Gan et al., 2023) without training but for the mean of each modality.

    <q, x> = <q - m, x - n> + <m, x - n> + <q, n>: the first is read off the codes of both, the second is
    kept, the third is the same for every item.
    """

    suffix: str | None = "bebr"

    def needs(self, dim: int, params: Params) -> int:
        """Rows to take the mean of."""
        return MEAN_ROWS

    def size(self, dim: int, rows: int, params: Params) -> int:
        """Bytes of the structure's file: codes in blocks of 32 rows, two numbers a row, the rotation."""
        wide = _wide(dim)
        codes = -(-(wide * int(params["bits"]) + 4 * MEANS) // 8) + 8
        return rows * codes + 4 * dim * (wide + 2)

    def holds(self, dim: int, rows: int, params: Params) -> int:
        """Bytes of memory that training and building take at most; FAISS's arrays grow by doubling."""
        sample = SAMPLES * 4 * dim * self.takes(rows, params)
        return max(2 * self.size(dim, rows, params) + 12 * ADD_ROWS * _wide(dim), sample)

    def train(
        self, vectors: NDArray[np.float32], queries: NDArray[np.float32] | None, rows: int, params: Params,
        file: Path,
    ) -> None:  # fmt: skip
        """Take the means, of queries where there are some, and see how products with theirs spread."""
        dim = vectors.shape[1]
        items, asked = _mean(vectors), _mean(vectors if queries is None else queries)
        turn = turned(dim, _wide(dim), SEED)
        numbers, _ = _coded(vectors, Learnt(turn, items, asked, np.empty(0, np.float32)), int(params["bits"]))
        middle, width = numbers[:, 1].mean(), SPREAD * numbers[:, 1].std() + np.float32(1e-6)
        span = np.array([middle - width, middle + width, numbers[:, 0].mean()], np.float32)
        with open(file, "wb") as out:
            write_arrays(out, turn, items, asked, span)

    def write(self, vectors: NDArray[np.floating], params: Params, file: Path, trained: Path | None) -> None:
        """Code (n, d) vectors into `file`: FAISS's index, what was learnt, numbers, and their bytes."""
        assert trained is not None
        faiss: Any = import_module("faiss")
        bits = int(params["bits"])
        with open(trained, "rb") as source:
            learnt = _read_head(source, trained)
        codes, numbers = _empty(learnt, bits), np.empty((len(vectors), 2), np.float32)
        for start in range(0, len(vectors), ADD_ROWS):
            part = slice(start, start + ADD_ROWS)
            numbers[part], code = _coded(vectors[part], learnt, bits)
            codes.add(np.hstack([code, _steps(numbers[part, 1], learnt.span, bits)]))
        faiss.write_index(codes, str(file))
        with open(file, "ab") as out:
            start = out.tell()
            write_arrays(out, *learnt)
            out.write(numbers.tobytes())
            out.write((out.tell() - start).to_bytes(8, "little"))

    def candidates(
        self, file: Path, queries: NDArray[np.float32], depth: int, params: Params, share: float
    ) -> NDArray[np.int64]:
        """Row numbers (q, depth) of the best by the symmetric distance, lengths and means; -1 for none."""
        found: Held = self._opened(file)
        learnt, bits, count = found.learnt, int(params["bits"]), len(found.numbers)
        left = queries - learnt.queries
        code = residual(projected(left, learnt.turn), bits)
        code *= (np.linalg.norm(left, axis=1) / np.linalg.norm(code, axis=1))[:, None]
        means = np.tile(np.eye(1, 4 // bits, dtype=np.float32)[0], (len(code), MEANS))
        distance, rows = found.codes.search(np.hstack([code, means]), min(WIDER * depth, count))
        length, product = np.moveaxis(found.numbers[np.maximum(rows, 0)], 2, 0)
        low, high, usual = learnt.span
        score = (distance - np.clip(product, low, high) / usual) * length + product
        score[rows < 0] = -np.inf
        best = np.argsort(-score, axis=1, kind="stable")[:, : min(depth, count)]
        return np.asarray(np.take_along_axis(rows, best, axis=1), np.int64)

    def map(self, file: Path) -> Held:
        """Map a file that `write` wrote."""
        codes = super().map(file).index
        with open(file, "rb") as source:
            end = os.fstat(source.fileno()).st_size - 8
            source.seek(end)
            start = end - int.from_bytes(source.read(8), "little")
            if start < 0:
                raise damaged(file)
            source.seek(start)
            learnt = _read_head(source, file)
            place, shape = source.tell(), (int(codes.ntotal), 2)
            if end - place != 8 * codes.ntotal or not codes.ntotal or learnt.turn.shape[1] >= codes.d:
                raise damaged(file)
            numbers = np.memmap(source, np.float32, "r", place, shape).view(np.ndarray)
        return Held(codes, learnt, numbers)


def _wide(dim: int) -> int:
    """The numbers of a turned vector: a multiple of 4, so that codes fill half bytes."""
    return -(-dim // 4) * 4


def _mean(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(rows.mean(axis=0, dtype=np.float64), np.float32)


def _coded(
    vectors: NDArray[np.floating], learnt: Learnt, bits: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The numbers (n, 2) of vectors (n, d), and what their bits decode to (n, m)."""
    left = vectors.astype(np.float32) - learnt.items
    code = residual(left @ learnt.turn, bits)
    length = np.linalg.norm(left, axis=1) / np.linalg.norm(code, axis=1)
    return np.stack([length, left @ learnt.queries], axis=1), code


def _steps(product: NDArray[np.float32], span: NDArray[np.float32], bits: int) -> NDArray[np.float32]:
    """What `MEANS` half bytes hold of products (n,): their steps add up to it, as even as can be."""
    low, high, _ = span
    whole = np.rint((np.clip(product, low, high) - low) / (high - low) * (15 * MEANS)).astype(np.int64)
    steps = (whole[:, None] + np.arange(MEANS)) // MEANS
    found = np.zeros((len(product), MEANS, 4 // bits), np.float32)
    found[:, :, 0] = _values(span)[steps]
    return found.reshape(len(product), -1)


def _values(span: NDArray[np.float32]) -> NDArray[np.float32]:
    """What a step from 0 to 15 stands for, beside products of codes that items of the mean length have."""
    low, high, usual = span
    return np.asarray((low / MEANS + np.arange(16) * (high - low) / (15 * MEANS)) / usual, np.float32)


def _empty(learnt: Learnt, bits: int) -> Any:
    """FAISS's codes scanned by tables in registers; their centroids are all that `bits` bits decode to."""
    faiss: Any = import_module("faiss")
    width, wide = 4 // bits, learnt.turn.shape[1]
    values = np.arange(1 - 2**bits, 2**bits, 2, dtype=np.float32) * np.float32(2.0 ** (1 - bits))
    grid = np.stack(np.meshgrid(*[values] * width, indexing="ij"), -1).reshape(16, width)
    means = np.zeros((16, width), np.float32)
    means[:, 0] = _values(learnt.span)
    pieces = wide // width
    codes = faiss.IndexPQFastScan(wide + MEANS * width, pieces + MEANS, 4, faiss.METRIC_INNER_PRODUCT)
    centroids = np.concatenate([np.tile(grid, (pieces, 1)), np.tile(means, (MEANS, 1))])
    faiss.copy_array_to_vector(centroids.ravel(), codes.pq.centroids)
    codes.is_trained = True
    return codes


def _read_head(source: BinaryIO, file: Path) -> Learnt:
    """What was learnt, as it was written."""
    turn, items, queries, span = read_arrays(source, file, 4)
    if turn.ndim != 2 or items.shape != (len(turn),) or queries.shape != items.shape or span.shape != (3,):
        raise damaged(file)
    return Learnt(turn, items, queries, span)
