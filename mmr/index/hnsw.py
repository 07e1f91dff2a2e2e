"""hnsw: a navigable small-world graph over each large segment, by FAISS; its vectors whole or in bytes."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mmr.index.coded import Coded

if TYPE_CHECKING:
    from mmr.index.table import Params

SQ8_ROWS = 256


class Hnsw(Coded):
    """A graph a segment (Malkov and Yashunin, 2016), kept in FAISS's own file and mapped by a search."""

    suffix: str | None = "hnsw"

    def empty(self, dim: int, rows: int, params: Params) -> Any:
        """A graph with `m` links a vector."""
        faiss: Any = import_module("faiss")
        graph = faiss.IndexHNSWFlat(dim, int(params["m"]), faiss.METRIC_INNER_PRODUCT)
        graph.hnsw.efConstruction = int(params["efc"])
        return graph

    def width(self, found: Any, params: Params) -> int:
        """Bytes of a vector: what is stored of it, 2m links below and on the average 2 above, offsets."""
        return int(found.storage.sa_code_size()) + 8 * int(params["m"]) + 16

    def looks(self, found: Any, depth: int, params: Params, share: float) -> Any:
        """Walk with `ef` or twice `depth` open ends, whichever is more."""
        faiss: Any = import_module("faiss")
        return faiss.SearchParametersHNSW(efSearch=max(int(params["ef"]), 2 * depth))


class HnswSq8(Hnsw):
    """The same graph over one byte a dimension, between the least and the greatest value seen."""

    suffix: str | None = "hnswsq8"

    def needs(self, dim: int, params: Params) -> int:
        """Rows to see the range of every dimension in."""
        return SQ8_ROWS

    def empty(self, dim: int, rows: int, params: Params) -> Any:
        """A graph over bytes, not trained yet."""
        faiss: Any = import_module("faiss")
        graph = faiss.IndexHNSWSQ(
            dim, faiss.ScalarQuantizer.QT_8bit, int(params["m"]), faiss.METRIC_INNER_PRODUCT
        )
        graph.hnsw.efConstruction = int(params["efc"])
        return graph
