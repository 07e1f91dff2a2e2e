"""svd: every vector is compared by fewer numbers of a byte, that keep inner products of two modalities."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import numpy as np

from mmr.arrays.truncate import projections
from mmr.errors import UsageError
from mmr.index.coded import ADD_ROWS, SAMPLES, Coded, damaged, projected, read_arrays, write_arrays

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from mmr.index.table import Params

LEAST_ROWS = 256
MOST = 1024  # numbers: sums of so many products of two bytes are whole in float32, whatever their order
PEAK = 127
SCAN_BYTES = 16 << 20  # of float32 made of bytes at a time


class Short(NamedTuple):
    """What a file holds: projections of items and of queries (d, dims), the scale, the codes (n, dims)."""

    items: NDArray[np.float32]
    queries: NDArray[np.float32]
    scale: NDArray[np.float32]
    codes: NDArray[np.int8]


class Svd(Coded):
    """Items and queries, each projected by the best of its own modality; nothing is centred."""

    suffix: str | None = "svd"

    def needs(self, dim: int, params: Params) -> int:
        """Rows to see the main directions in; `UsageError` for more numbers than a vector has."""
        _dims(dim, params)
        return max(LEAST_ROWS, dim)

    def size(self, dim: int, rows: int, params: Params) -> int:
        """Bytes of the structure's file: a byte a number, and two projections."""
        return (rows + 8 * dim) * _dims(dim, params)

    def holds(self, dim: int, rows: int, params: Params) -> int:
        """Bytes of memory that training and building take at most; codes are written block by block."""
        return 2 * SAMPLES * 4 * dim * (self.takes(rows, params) + ADD_ROWS) + 64 * dim * dim

    def train(
        self, vectors: NDArray[np.float32], queries: NDArray[np.float32] | None, rows: int, params: Params,
        file: Path,
    ) -> None:  # fmt: skip
        """Fit the projections to the rows and to queries, where the index keeps some."""
        dim = vectors.shape[1]
        of = projections(vectors, vectors if queries is None else queries, _dims(dim, params))
        peak = float(np.abs(vectors @ of[0]).max())
        scale = np.asarray([PEAK / peak if peak else 1.0], np.float32)
        with open(file, "wb") as out:
            write_arrays(out, *of, scale)

    def write(self, vectors: NDArray[np.floating], params: Params, file: Path, trained: Path | None) -> None:
        """Write projections, scale and the codes of (n, d) vectors."""
        assert trained is not None
        with open(trained, "rb") as source:
            items, queries, scale = _read_head(source, trained)
        with open(file, "wb") as out:
            write_arrays(out, items, queries, scale)
            for start in range(0, len(vectors), ADD_ROWS):
                block = vectors[start : start + ADD_ROWS].astype(np.float32, copy=False)
                out.write(_bytes(block @ items * scale).astype(np.int8).tobytes())

    def candidates(
        self, file: Path, queries: NDArray[np.float32], depth: int, params: Params, share: float
    ) -> NDArray[np.int64]:
        """Row numbers (q, depth) of the best by the projected inner product, both sides in bytes."""
        faiss: Any = import_module("faiss")
        found: Short = self._opened(file)
        asked = projected(queries, found.queries)
        peak = np.maximum(np.abs(asked).max(axis=1, keepdims=True), np.finfo(np.float32).tiny)
        asked = _bytes(asked / peak * PEAK)
        depth = min(depth, len(found.codes))
        scores, rows = [], []
        for start, block in _blocks(found.codes):
            near, row = _knn(faiss, asked, block, min(depth, len(block)))
            scores.append(near)
            rows.append(row + start)
        score, place = np.hstack(scores), np.hstack(rows)
        best = np.argsort(-score, axis=1, kind="stable")[:, :depth]
        return np.asarray(np.take_along_axis(place, best, axis=1), np.int64)

    def map(self, file: Path) -> Short:
        """Map a file that `write` wrote."""
        with open(file, "rb") as source:
            items, queries, scale = _read_head(source, file)
            start, size, width = source.tell(), os.fstat(source.fileno()).st_size, items.shape[1]
            if size <= start or (size - start) % width:
                raise damaged(file)
            codes = np.memmap(source, np.int8, "r", start, ((size - start) // width, width)).view(np.ndarray)
        return Short(items, queries, scale, codes)


def _dims(dim: int, params: Params) -> int:
    """How many numbers are kept: `dims`, or a quarter of them."""
    dims = int(params["dims"]) or min(max(1, dim // 4), MOST)
    if dims > dim:
        raise UsageError(f"dims={dims}: vectors have {dim} numbers here.")
    return dims


def _bytes(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Whole numbers from -127 to 127, still float32."""
    return np.clip(np.rint(values), -PEAK, PEAK)


def _blocks(codes: NDArray[np.int8]) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """(first row, float32) of some rows at a time."""
    step = max(1, SCAN_BYTES // (4 * codes.shape[1]))
    for start in range(0, len(codes), step):
        yield start, codes[start : start + step].astype(np.float32)


def _knn(faiss: Any, queries: NDArray[np.float32], rows: NDArray[np.float32], k: int) -> Any:
    """FAISS's exact search by matrix products; the sums are whole numbers, so that their order is nothing."""
    before = faiss.cvar.distance_compute_blas_threshold
    faiss.cvar.distance_compute_blas_threshold = 0
    try:
        return faiss.knn(queries, rows, k, faiss.METRIC_INNER_PRODUCT)
    finally:
        faiss.cvar.distance_compute_blas_threshold = before


def _read_head(source: BinaryIO, file: Path) -> Any:
    """(projection of items, of queries, scale), as they were written."""
    items, queries, scale = read_arrays(source, file, 3)
    if items.ndim != 2 or items.shape != queries.shape or not items.size or scale.shape != (1,):
        raise damaged(file)
    return items, queries, scale
