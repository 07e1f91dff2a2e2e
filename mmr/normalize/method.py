"""What every fitted method of scores is: fit beside apply, over banks and galleries of any size."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmr.arrays.affine import Affine

Array = NDArray[np.floating[Any]]
Columns = Mapping[str, Array]
Learned = Mapping[str, Array]
Params = Mapping[str, float]
Blocks = Callable[[], Iterable[Array]]

CELLS = 1 << 22  # scores of items with a bank that are held at a time


class Banks(NamedTuple):
    """Vectors (m, d) of queries, and for methods with two banks (l, d) of items; float32 or float64."""

    queries: Array
    gallery: Array | None = None

    @property
    def size(self) -> int:
        """Rows of both."""
        return len(self.queries) + (0 if self.gallery is None else len(self.gallery))


class Method:
    """One method. `learn` sees the whole gallery, `describe` some items, `corrected` the hits of one query.

    describe  numbers of an item that depend on nothing but its vector and what was learned, so that an item
              that comes later gets its own without fitting again
    affine    the correction of those items as scale and shift, None where the method has not that form
    wide      `describe` is to be given float64; not where it gives the same for float32
    """

    wide = True

    def learn(self, blocks: Blocks, banks: Banks, params: Params) -> Learned:
        """Return what the gallery as a whole gives; blocks() yields its vectors, (n, d) at a time."""
        return {}

    def describe(self, vectors: Array, banks: Banks, learned: Learned, params: Params) -> Columns:
        """Return columns (n,) float64 of items with `vectors` (n, d)."""
        raise NotImplementedError

    def affine(self, columns: Columns, params: Params) -> Affine | None:
        """Return the correction of items with those columns."""
        return None

    def corrected(
        self, scores: Array, columns: Columns, learned: Learned, params: Params, query: Array | None
    ) -> Array:
        """Return the corrected scores (n,) float64 of one query's hits, given best first.

        query  (d,), for methods that need it
        """
        affine = self.affine(columns, params)
        assert affine is not None
        return affine.applied(scores)

    def most(
        self, score: float, columns: Columns, first: Columns, learned: Learned, params: Params,
        query: Array | None,
    ) -> float | None:  # fmt: skip
        """The most that an item can have after the correction whose own score is at most `score`.

        columns  of all items, (n,)
        first    of the query's first hit, (1,): what gates look at
        returns  an upper bound; None where none is known
        """
        affine = self.affine(columns, params)
        return None if affine is None else affine.ceiling(score)


def cut(blocks: Iterable[Array], width: int) -> Iterator[Array]:
    """Cut blocks of rows so that each has at most `CELLS` scores with a bank of `width` rows."""
    rows = max(1, CELLS // max(1, width))
    for block in blocks:
        for start in range(0, len(block), rows):
            yield block[start : start + rows]


def described(
    method: Method, blocks: Iterable[Array], banks: Banks, learned: Learned, params: Params
) -> dict[str, Array]:
    """Describe items block by block, in memory for `CELLS` scores at a time and the columns.

    In float64, so that the numbers of an item do not depend on the other items of its block once scores are
    rounded to float32.
    """
    kind = np.float64 if method.wide else banks.queries.dtype
    held = Banks(*(None if rows is None else rows.astype(kind, copy=False) for rows in banks))  # type: ignore[arg-type]
    parts = [
        method.describe(block.astype(kind, copy=False), held, learned, params)
        for block in cut(blocks, banks.size)
    ]
    names = parts[0] if parts else ()
    return {name: np.concatenate([part[name] for part in parts]) for name in names}
