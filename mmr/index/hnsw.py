"""hnsw: a navigable small-world graph over each large segment, by FAISS."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mmr.index.table import Params

ADD_ROWS = 8192


class Hnsw:
    """A graph a segment (Malkov and Yashunin, 2016), kept in FAISS's own file and mapped by a search."""

    suffix: str | None = "hnsw"

    def __init__(self) -> None:
        self._open: dict[Path, Any] = {}

    def write(self, vectors: NDArray[np.floating], params: Params, file: Path) -> bool:
        """Build the graph over (n, d) vectors; a segment under `least` rows gets none."""
        if len(vectors) < int(params["least"]):
            return False
        faiss: Any = import_module("faiss")
        import numpy as np

        graph = faiss.IndexHNSWFlat(vectors.shape[1], int(params["m"]), faiss.METRIC_INNER_PRODUCT)
        graph.hnsw.efConstruction = int(params["efc"])
        for start in range(0, len(vectors), ADD_ROWS):
            graph.add(np.ascontiguousarray(vectors[start : start + ADD_ROWS], np.float32))
        faiss.write_index(graph, str(file))
        return True

    def candidates(
        self, file: Path, queries: NDArray[np.float32], k: int, params: Params
    ) -> NDArray[np.int64]:
        """Row numbers (q, k) found by walking the graph with `ef` or 2k open ends, whichever is more."""
        faiss: Any = import_module("faiss")

        if file not in self._open:
            self._open[file] = _mapped(file)
        looks = faiss.SearchParametersHNSW(efSearch=max(int(params["ef"]), 2 * k))
        _, rows = self._open[file].search(queries, k, params=looks)
        found: NDArray[np.int64] = rows
        return found


def _mapped(file: Path) -> Any:
    """Open a graph by mapping; the kernel is told to read it, since FAISS maps without read-ahead."""
    faiss: Any = import_module("faiss")

    handle = os.open(file, os.O_RDONLY)
    try:
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_WILLNEED)
    finally:
        os.close(handle)
    return faiss.read_index(str(file), faiss.IO_FLAG_MMAP_IFC)
