"""ivfflat, ivfpq: rows stand in lists around centroids, and a search reads the nearest few lists."""

from __future__ import annotations

import math
from importlib import import_module
from typing import TYPE_CHECKING, Any

from mmr.index.coded import ADD_ROWS, CENTROID_ROWS, TRAIN_ROWS, Coded
from mmr.index.codes import fit, product, rotated
from mmr.index.fitted import code, is_fitted

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from mmr.index.table import Params

LIST_ROWS = 64  # rows a list that training takes


class IvfFlat(Coded):
    """Whole vectors in lists."""

    suffix: str | None = "ivfflat"

    def needs(self, dim: int, params: Params) -> int:
        """Rows for the centroids of the lists asked for, or for a few where it is left to us."""
        return CENTROID_ROWS * max(int(params["lists"]), 4)

    def takes(self, rows: int, params: Params) -> int:
        """64 rows a list, 16,384 at least."""
        return min(rows, max(TRAIN_ROWS, LIST_ROWS * how_many(rows, params)))

    def empty(self, dim: int, rows: int, params: Params) -> Any:
        """FAISS's lists of whole vectors."""
        faiss: Any = import_module("faiss")
        return faiss.index_factory(dim, f"IVF{how_many(rows, params)},Flat", faiss.METRIC_INNER_PRODUCT)

    def size(self, dim: int, rows: int, params: Params) -> int:
        """Bytes of the structure's file: also the centroids of the lists."""
        return super().size(dim, rows, params) + 4 * dim * how_many(rows, params)

    def width(self, found: Any, params: Params) -> int:
        """Bytes of a vector: what is stored of it, and its row."""
        faiss: Any = import_module("faiss")
        return int(faiss.extract_index_ivf(found).code_size) + 8

    def looks(self, found: Any, depth: int, params: Params, share: float) -> Any:
        """Read `probe` lists, or as many more as fewer rows may come; all at most."""
        faiss: Any = import_module("faiss")
        probe = min(math.ceil(int(params["probe"]) / share), faiss.extract_index_ivf(found).nlist)
        return faiss.SearchParametersIVF(nprobe=probe)


class IvfPq(IvfFlat):
    """Codes of what is left after the list's centroid, in lists (Jégou, Douze and Schmid, 2011)."""

    suffix: str | None = "ivfpq"

    def needs(self, dim: int, params: Params) -> int:
        """Rows for the lists and for the centroids of a piece, whichever is more."""
        product(dim, params)
        return max(super().needs(dim, params), CENTROID_ROWS << int(params["bits"]))

    def empty(self, dim: int, rows: int, params: Params) -> Any:
        """FAISS's lists of codes; 4 bits are scanned by tables in registers."""
        code = product(dim, params)
        code = code + "r" if code.endswith("fs") else code
        return rotated(dim, f"IVF{how_many(rows, params)},{code}", params)

    def fit(self, found: Any, vectors: NDArray[np.float32], params: Params) -> None:
        """Train the rotation, if there is one, the lists and the centroids."""
        fit(found, vectors, params)

    def write(self, vectors: NDArray[np.floating], params: Params, file: Path, trained: Path | None) -> None:
        """Code the vectors, by a fitted quantiser where `params` name one."""
        if is_fitted(params) and trained is not None:
            code(self.empty(vectors.shape[1], len(vectors), params), vectors, trained, file, ADD_ROWS)
        else:
            super().write(vectors, params, file, trained)


def how_many(rows: int, params: Params) -> int:
    """The number of lists: as asked for, else the power of two nearest to 4 sqrt(rows) that can be trained.

    >>> how_many(1_000_000, {"lists": 0}), how_many(2_000, {"lists": 0}), how_many(5, {"lists": 7})
    (4096, 32, 7)
    """
    if params["lists"]:
        return int(params["lists"])
    wanted = 2 ** round(math.log2(4 * math.sqrt(max(rows, 1))))
    while wanted > 1 and wanted * CENTROID_ROWS > rows:
        wanted //= 2
    return int(wanted)
