"""sq8, pq, rabitq: every vector is compared by a short code; the best are compared exactly."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mmr.errors import UsageError
from mmr.index.coded import ADD_ROWS, CENTROID_ROWS, Coded
from mmr.index.fitted import code, is_fitted

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from mmr.index.table import Params

RANGE_ROWS = 256
OPQ_ROUNDS = 10  # FAISS's 50 take 45 s at d = 64 for .006 of recall among 40 candidates


class Sq8(Coded):
    """One byte a dimension, between the least and the greatest value seen in training."""

    suffix: str | None = "sq8"

    def needs(self, dim: int, params: Params) -> int:
        """Rows to see the range of every dimension in."""
        return RANGE_ROWS

    def empty(self, dim: int, rows: int, params: Params) -> Any:
        """FAISS's scalar quantiser of 8 bits."""
        faiss: Any = import_module("faiss")
        return faiss.index_factory(dim, "SQ8", faiss.METRIC_INNER_PRODUCT)


class RaBitQ(Coded):
    """Signs about the mean after a rotation, with two numbers a vector that keep the estimate unbiased."""

    suffix: str | None = "rabitq"

    def needs(self, dim: int, params: Params) -> int:
        """Rows to take the mean of."""
        return RANGE_ROWS

    def empty(self, dim: int, rows: int, params: Params) -> Any:
        """FAISS's RaBitQ behind a random rotation; one bit is scanned by tables in registers."""
        faiss: Any = import_module("faiss")
        bits = int(params["bits"])
        code = "RaBitQfs" if bits == 1 else f"RaBitQ{bits}"
        return faiss.index_factory(dim, f"RR{dim},{code}", faiss.METRIC_INNER_PRODUCT)


class Pq(Coded):
    """Each of `m` pieces of a vector becomes the number of its nearest centroid (4 or 8 bits)."""

    suffix: str | None = "pq"

    def needs(self, dim: int, params: Params) -> int:
        """Rows for the centroids of a piece; `UsageError` where the pieces do not divide d."""
        pieces(dim, params)
        return CENTROID_ROWS << int(params["bits"])

    def takes(self, rows: int, params: Params) -> int:
        """FAISS's k-means looks at 256 rows a centroid at most."""
        return min(rows, 256 << int(params["bits"]))

    def empty(self, dim: int, rows: int, params: Params) -> Any:
        """The product quantiser, behind a learnt rotation where `opq=yes`."""
        return rotated(dim, product(dim, params), params)

    def fit(self, found: Any, vectors: NDArray[np.float32], params: Params) -> None:
        """Train the rotation, if there is one, and the centroids."""
        fit(found, vectors, params)

    def write(self, vectors: NDArray[np.floating], params: Params, file: Path, trained: Path | None) -> None:
        """Code the vectors, by a fitted quantiser where `params` name one."""
        if is_fitted(params) and trained is not None:
            code(self.empty(vectors.shape[1], len(vectors), params), vectors, trained, file, ADD_ROWS)
        else:
            super().write(vectors, params, file, trained)


def product(dim: int, params: Params) -> str:
    """FAISS's name of the product quantiser; 4 bits are scanned by tables in registers.

    >>> product(64, {"m": 0, "bits": "4"})
    'PQ32x4fs'
    """
    fast = "x4fs" if params["bits"] == "4" else "x8"
    return f"PQ{pieces(dim, params)}{fast}"


def pieces(dim: int, params: Params) -> int:
    """How many pieces a vector is cut into: `m`, or half of its dimensions; they must divide d."""
    count = int(params["m"]) or (dim // 2 if dim % 2 == 0 else dim)
    if dim % count:
        raise UsageError(f"m={count}: vectors of {dim} numbers cannot be cut into so many equal pieces.")
    return count


def rotated(dim: int, code: str, params: Params) -> Any:
    """An index by FAISS's name for it, behind a learnt rotation (OPQ, Ge et al. 2013) where `opq=yes`."""
    faiss: Any = import_module("faiss")
    if params["opq"] == "no":
        return faiss.index_factory(dim, code, faiss.METRIC_INNER_PRODUCT)
    return faiss.index_factory(dim, f"OPQ{pieces(dim, params)},{code}", faiss.METRIC_INNER_PRODUCT)


def fit(found: Any, vectors: NDArray[np.float32], params: Params) -> None:
    """Train what `rotated` made; the rotation is learnt for codes of the bits asked for."""
    if params["opq"] == "no":
        found.train(vectors)
        return
    faiss: Any = import_module("faiss")
    dim = vectors.shape[1]
    turn = faiss.downcast_VectorTransform(found.chain.at(0))
    codes = faiss.ProductQuantizer(dim, pieces(dim, params), int(params["bits"]))
    turn.niter, turn.pq = OPQ_ROUNDS, codes
    found.train(vectors)
    turn.pq = None
