"""binary: one bit a dimension or plane; codes are compared by differing bits, the best exactly."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import numpy as np

from mmr.arrays import binary
from mmr.errors import UsageError
from mmr.index.coded import ADD_ROWS, SAMPLES, Coded, damaged, projected, read_arrays, write_arrays

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mmr.index.table import Params

MEAN_ROWS = 256
SEED = 0


class Codes(NamedTuple):
    """What a file holds: `projection` (d, bits) or None, bounds of items and of queries, codes (n, bytes)."""

    projection: NDArray[np.float32] | None
    items: NDArray[np.float32]
    queries: NDArray[np.float32]
    codes: NDArray[np.uint8]


class Binary(Coded):
    """Bits of items and of queries, each cut at the mean of its own modality."""

    suffix: str | None = "binary"

    def needs(self, dim: int, params: Params) -> int:
        """Rows to take means of, and the directions of ITQ."""
        bits = int(params["bits"]) or dim
        if params["code"] == "signs" and bits != dim:
            raise UsageError(f"bits={bits}: signs are {dim} bits here; planes and itq have as many as asked.")
        if params["code"] == "itq" and bits > dim:
            raise UsageError(f"bits={bits}: itq has {dim} bits at most here; planes have as many as asked.")
        return max(MEAN_ROWS, 2 * dim if params["code"] == "itq" else 0)

    def size(self, dim: int, rows: int, params: Params) -> int:
        """Bytes of the structure's file: the codes, and the projection where there is one."""
        bits = int(params["bits"]) or dim
        planes = 0 if params["code"] == "signs" else 4 * dim * bits
        return rows * ((bits + 7) // 8) + planes + 8 * bits

    def holds(self, dim: int, rows: int, params: Params) -> int:
        """Bytes of memory that training and building take at most; codes are written block by block."""
        bits = int(params["bits"]) or dim
        halves = 2 if params["code"] == "itq" else 1  # it is learnt in float64
        return halves * SAMPLES * 4 * max(dim, bits) * (self.takes(rows, params) + ADD_ROWS)

    def train(
        self, vectors: NDArray[np.float32], queries: NDArray[np.float32] | None, rows: int, params: Params,
        file: Path,
    ) -> None:  # fmt: skip
        """Fit the projection to the rows, the bounds to rows and to queries; without these they share one."""
        dim = vectors.shape[1]
        bits, projection = int(params["bits"]) or dim, None
        if params["code"] != "signs":
            planes = params["code"] == "planes"
            projection = binary.planes(dim, bits, SEED) if planes else binary.itq(vectors, bits, SEED)
        bounds = binary.thresholds(vectors, projection)
        asked = bounds if queries is None else binary.thresholds(queries, projection)
        with open(file, "wb") as out:
            write_arrays(out, _head(projection), bounds, asked)

    def write(self, vectors: NDArray[np.floating], params: Params, file: Path, trained: Path | None) -> None:
        """Write projection, bounds and the codes of (n, d) vectors."""
        assert trained is not None
        with open(trained, "rb") as source:
            projection, bounds, asked = _read_head(source, trained)
        with open(file, "wb") as out:
            write_arrays(out, _head(projection), bounds, asked)
            for start in range(0, len(vectors), ADD_ROWS):
                block = vectors[start : start + ADD_ROWS]
                out.write(binary.packed(block, projection, bounds).tobytes())

    def candidates(
        self, file: Path, queries: NDArray[np.float32], depth: int, params: Params, share: float
    ) -> NDArray[np.int64]:
        """Row numbers (q, depth) of the codes with the fewest bits that differ; ties by row."""
        faiss: Any = import_module("faiss")
        found: Codes = self._opened(file)
        values = queries if found.projection is None else projected(queries, found.projection)
        asked = binary.packed(values, None, found.queries)
        _, rows = faiss.knn_hamming(asked, found.codes, min(depth, len(found.codes)), variant="hc")
        return np.asarray(rows, np.int64)

    def map(self, file: Path) -> Codes:
        """Map a file that `write` wrote."""
        with open(file, "rb") as source:
            projection, bounds, asked = _read_head(source, file)
            start, size = source.tell(), os.fstat(source.fileno()).st_size
            width = (len(bounds) + 7) // 8
            if size <= start or (size - start) % width:
                raise damaged(file)
            shape = ((size - start) // width, width)
            codes = np.memmap(source, np.uint8, "r", start, shape).view(np.ndarray)
        return Codes(projection, bounds, asked, codes)


def _head(projection: NDArray[np.float32] | None) -> NDArray[np.float32]:
    return np.empty((0, 0), np.float32) if projection is None else projection


def _read_head(source: BinaryIO, file: Path) -> tuple[NDArray[np.float32] | None, Any, Any]:
    """(projection or None, bounds of items, bounds of queries) at the start of a file."""
    projection, items, queries = read_arrays(source, file, 3)
    fits = items.ndim == 1 and items.shape == queries.shape and len(items)
    if not fits or projection.ndim != 2 or (projection.size and projection.shape[1] != len(items)):
        raise damaged(file)
    return (projection if projection.size else None), items, queries
