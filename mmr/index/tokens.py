"""tokens: the vectors of all items in a structure of one vector each; those near a query's propose items."""

from __future__ import annotations

from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mmr.index.coded import damaged
from mmr.index.table import Kind, Params, adapter, parse

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mmr.arrays.ragged import Ragged

ITEMS = 2000  # whose vectors are drawn from for training
SEED = 0


class Tokens:
    """A kind that keeps all vectors of a segment's items in a structure of another kind."""

    suffix: str | None = "tok"

    def needs(self, dim: int, params: Params) -> int:
        """Items that training needs: as many as the kind underneath needs vectors, which are more."""
        under, told = _under(params)
        return under.needs(dim, told)

    def takes(self, rows: int, params: Params) -> int:
        """Items that training draws vectors from, when the index has `rows`."""
        return min(rows, ITEMS)

    def train(
        self, vectors: Any, queries: NDArray[np.float32] | None, rows: int, params: Params, file: Path
    ) -> None:
        """Train the kind underneath on some of the vectors of items, given as `Ragged`."""
        under, told = _under(params)
        bags: Ragged = vectors
        total, dim = bags.rows.shape
        whole = max(total, ceil(total / max(1, len(bags)) * rows))
        while under.takes(whole, told) > total:  # as many lists as these vectors can train
            whole = max(total, whole // 2)
        count = max(under.needs(dim, told), under.takes(whole, told))
        chosen = np.random.default_rng(SEED).permutation(total)[:count]
        sample = np.asarray(bags.rows[np.sort(chosen)], np.float32)
        under.train(sample, None, whole, told, file)

    def write(self, vectors: Any, params: Params, file: Path, trained: Path | None) -> None:
        """Build the structure over all rows of `Ragged` vectors."""
        under, told = _under(params)
        under.write(vectors.rows, told, file, trained)

    def size(self, dim: int, rows: int, params: Params) -> int:
        """Bytes of the structure's file over `rows` vectors."""
        under, told = _under(params)
        return under.size(dim, rows, told)

    def holds(self, dim: int, rows: int, params: Params) -> int:
        """Bytes of memory that training and building take at least: for one vector an item."""
        under, told = _under(params)
        return under.holds(dim, rows, told)

    def candidates(
        self, file: Path, queries: NDArray[np.float32], depth: int, params: Params, share: float
    ) -> NDArray[np.int64]:
        """Numbers (q, depth) of the vectors that are probably the nearest; -1 where there is none."""
        under, told = _under(params)
        return under.candidates(file, queries, depth, told, share)

    def near(
        self, file: Path, bags: Ragged, query: NDArray[np.float32], depth: int, params: Params, share: float
    ) -> NDArray[np.int64]:
        """The same of the vectors of some items; `BadDataError` where the file is of others."""
        found = self.candidates(file, query, min(depth, len(bags.rows)), params, share)
        if found.max(initial=-1) >= len(bags.rows):
            raise damaged(file)
        return found


def _under(params: Params) -> tuple[Kind, Params]:
    """The kind underneath and its parameters."""
    name = str(params["under"])
    return adapter(name), parse(name)[1]
