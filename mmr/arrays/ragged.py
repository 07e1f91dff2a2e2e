"""Several vectors an item, without padding: all rows one after the other, and where each item's begin."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmr.arrays.small import Small

Places = NDArray[np.int64]
Wide = NDArray[np.float64]

LONGEST = 1e15  # of a row, so that products fit float32
BLOCK = 4096


@dataclass(frozen=True)
class Ragged:
    """The vectors of m items; `ragged` makes and checks one.

    rows     (n, d) float32, float16 or `Small`, may be mapped
    offsets  (m + 1,) from 0 to n: item i has rows[offsets[i]:offsets[i + 1]]; it may have none
    longest  no row is longer
    """

    rows: NDArray[np.floating] | Small
    offsets: Places
    longest: float

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, item: int) -> NDArray[np.float32]:
        """The rows (n, d) of one item as float32."""
        return np.asarray(self.rows[self.offsets[item] : self.offsets[item + 1]], np.float32)

    def counts(self) -> Places:
        """How many rows each item has, (m,)."""
        return np.diff(self.offsets)

    def blocks(self, items: Places, rows: int) -> Iterator[tuple[slice, NDArray[np.float32], Places]]:
        """Yield (which of `items`, their rows as float32, where each one's begin in these).

        items  ascending numbers of items that have rows
        rows   a block has so many at most, unless one item has more
        """
        begins, ends = self.offsets[items], self.offsets[items + 1]
        counts = ends - begins
        total = np.cumsum(counts)
        start = 0
        while start < len(items):
            before = int(total[start] - counts[start])
            stop = max(start + 1, int(np.searchsorted(total, before + rows, side="right")))
            part = slice(start, stop)
            if ends[stop - 1] - begins[start] == total[stop - 1] - before:
                found = np.asarray(self.rows[begins[start] : ends[stop - 1]], np.float32)
            else:
                pieces = [self.rows[b:e] for b, e in zip(begins[part], ends[part], strict=True)]
                found = np.concatenate(pieces, dtype=np.float32)
            yield part, found, total[part] - counts[part] - before
            start = stop


def ragged(rows: Any, offsets: Any) -> Ragged:
    """Check rows (n, d) and offsets (m + 1,), and measure the longest row.

    Raises `ValueError` where offsets do not rise from 0 to n, or a row is not finite or above 1e15.
    """
    offsets = np.asarray(offsets, np.int64)
    if rows.ndim != 2:
        raise ValueError("rows must be a table")
    if offsets.ndim != 1 or not len(offsets) or offsets[0] != 0 or offsets[-1] != len(rows):
        raise ValueError("offsets must go from 0 to the number of rows")
    if (np.diff(offsets) < 0).any():
        raise ValueError("offsets must not fall")
    square = 0.0
    for start in range(0, len(rows), BLOCK):
        wide = np.asarray(rows[start : start + BLOCK], np.float64)
        square = float(np.maximum(square, np.einsum("ij,ij->i", wide, wide).max(initial=0)))
    if not square < LONGEST**2:  # also where it is not a number
        raise ValueError("rows must be finite and at most 1e15 long")
    return Ragged(rows, offsets, square**0.5)


def stacked(items: Sequence[Any]) -> Ragged:
    """Put the vectors of several items, each (n, d) of one d, one after the other.

    Raises `ValueError` for tables of different d, and as `ragged` does.
    """
    if len({item.shape[1] for item in items}) > 1:
        raise ValueError("vectors of several lengths")
    rows = np.concatenate(items) if len(items) else np.empty((0, 0), np.float32)
    return ragged(rows, np.concatenate([[0], np.cumsum([len(item) for item in items])]).astype(np.int64))
