"""bebr: some bits a dimension, each level coding what the one before left; queries are coded too."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import numpy as np

from mmr.arrays.residual import residual, turned
from mmr.index.coded import ADD_ROWS, SAMPLES, Coded, damaged, read_arrays, write_arrays

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mmr.index.table import Params

MEAN_ROWS = 256
SEED = 0
WIDER = 4  # candidates by codes alone, for one that comes out; lengths and means decide among them


class Held(NamedTuple):
    """What a file holds: FAISS's codes, the rotation (d, m), the means of items and queries (d,), numbers.

    numbers  (n, 2): the length of an item about the mean over the length of its code, and its product with
             the mean query
    """

    codes: Any
    turn: NDArray[np.float32]
    items: NDArray[np.float32]
    queries: NDArray[np.float32]
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
        codes = -(-wide * int(params["bits"]) // 8) + 8
        return rows * codes + 4 * dim * (wide + 2)

    def holds(self, dim: int, rows: int, params: Params) -> int:
        """Bytes of memory that training and building take at most; FAISS's arrays grow by doubling."""
        sample = SAMPLES * 4 * dim * self.takes(rows, params)
        return max(2 * self.size(dim, rows, params) + 12 * ADD_ROWS * _wide(dim), sample)

    def train(
        self, vectors: NDArray[np.float32], queries: NDArray[np.float32] | None, rows: int, params: Params,
        file: Path,
    ) -> None:  # fmt: skip
        """Take the mean of items and, where there are queries, that of queries."""
        dim = vectors.shape[1]
        asked = vectors if queries is None else queries
        with open(file, "wb") as out:
            write_arrays(out, turned(dim, _wide(dim), SEED), _mean(vectors), _mean(asked))

    def write(self, vectors: NDArray[np.floating], params: Params, file: Path, trained: Path | None) -> None:
        """Code (n, d) vectors into `file`: FAISS's index, then rotation, means, numbers, and their bytes."""
        assert trained is not None
        faiss: Any = import_module("faiss")
        with open(trained, "rb") as source:
            turn, items, queries = _read_head(source, trained)
        codes, numbers = _empty(turn.shape[1], int(params["bits"])), np.empty((len(vectors), 2), np.float32)
        for start in range(0, len(vectors), ADD_ROWS):
            left = vectors[start : start + ADD_ROWS].astype(np.float32) - items
            code = residual(left @ turn, int(params["bits"]))
            codes.add(code)
            part = numbers[start : start + ADD_ROWS]
            part[:, 0] = np.linalg.norm(left, axis=1) / np.linalg.norm(code, axis=1)
            part[:, 1] = left @ queries
        faiss.write_index(codes, str(file))
        with open(file, "ab") as out:
            start = out.tell()
            write_arrays(out, turn, items, queries)
            out.write(numbers.tobytes())
            out.write((out.tell() - start).to_bytes(8, "little"))

    def candidates(
        self, file: Path, queries: NDArray[np.float32], depth: int, params: Params, share: float
    ) -> NDArray[np.int64]:
        """Row numbers (q, depth) of the best by the symmetric distance, lengths and means; -1 for none."""
        found: Held = self._opened(file)
        left = queries - found.queries
        code = residual(left @ found.turn, int(params["bits"]))
        depth = min(depth, len(found.numbers))
        distance, rows = found.codes.search(code, min(WIDER * depth, len(found.numbers)))
        length = np.linalg.norm(left, axis=1) / np.linalg.norm(code, axis=1)
        chosen = found.numbers[np.maximum(rows, 0)]
        score = distance * length[:, None] * chosen[:, :, 0] + chosen[:, :, 1]
        score[rows < 0] = -np.inf
        best = np.argsort(-score, axis=1, kind="stable")[:, :depth]
        return np.asarray(np.take_along_axis(rows, best, axis=1), np.int64)

    def map(self, file: Path) -> Held:
        """Map a file that `write` wrote."""
        codes = super().map(file)
        with open(file, "rb") as source:
            end = os.fstat(source.fileno()).st_size - 8
            source.seek(end)
            start = end - int.from_bytes(source.read(8), "little")
            if start < 0:
                raise damaged(file)
            source.seek(start)
            turn, items, queries = _read_head(source, file)
            place, shape = source.tell(), (int(codes.ntotal), 2)
            if end - place != 8 * codes.ntotal or not codes.ntotal or turn.shape[1] != codes.d:
                raise damaged(file)
            numbers = np.memmap(source, np.float32, "r", place, shape).view(np.ndarray)
        return Held(codes, turn, items, queries, numbers)


def _wide(dim: int) -> int:
    """The numbers of a turned vector: a multiple of 4, so that codes fill half bytes."""
    return -(-dim // 4) * 4


def _mean(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(rows.mean(axis=0, dtype=np.float64), np.float32)


def _empty(wide: int, bits: int) -> Any:
    """FAISS's codes scanned by tables in registers; their centroids are all that `bits` bits decode to."""
    faiss: Any = import_module("faiss")
    width = 4 // bits
    values = np.arange(1 - 2**bits, 2**bits, 2, dtype=np.float32) * np.float32(2.0 ** (1 - bits))
    grid = np.stack(np.meshgrid(*[values] * width, indexing="ij"), -1).reshape(16, width)
    codes = faiss.IndexPQFastScan(wide, wide // width, 4, faiss.METRIC_INNER_PRODUCT)
    faiss.copy_array_to_vector(np.tile(grid, (wide // width, 1)).ravel(), codes.pq.centroids)
    codes.is_trained = True
    return codes


def _read_head(source: BinaryIO, file: Path) -> Any:
    """(rotation, mean of items, mean of queries), as they were written."""
    turn, items, queries = read_arrays(source, file, 3)
    if turn.ndim != 2 or items.shape != (len(turn),) or queries.shape != items.shape:
        raise damaged(file)
    return turn, items, queries
