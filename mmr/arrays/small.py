"""Vectors kept in bytes: each row as whole numbers from -127 to 127 and one scale of its own."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

PEAK = 127
SCALE_BYTES = 4
BITS = 12  # of a scale, so that its products with bytes are exact and what is stored again does not change


class Small:
    """Rows of bytes that read as float32: what an index maps where its vectors are `int8`.

    packed  (n, d + 4) int8, the last four bytes of a row its scale
    It is indexed along its rows, as an array is; what comes out is (…, d) float32.
    """

    ndim = 2
    dtype = np.dtype(np.float32)

    def __init__(self, packed: NDArray[np.int8]) -> None:
        self.packed = packed
        self.shape = (len(packed), packed.shape[1] - SCALE_BYTES)
        self.itemsize, self.nbytes = 1, packed.nbytes

    def __len__(self) -> int:
        return len(self.packed)

    def __getitem__(self, rows: Any) -> NDArray[np.float32]:
        found = self.packed[rows]
        scale = np.ascontiguousarray(found[..., -SCALE_BYTES:]).view("<f4")
        values: NDArray[np.float32] = found[..., :-SCALE_BYTES].astype(np.float32)
        values *= scale
        return values

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self[:], dtype)


def packed(rows: NDArray[np.floating]) -> NDArray[np.int8]:
    """Pack finite rows (n, d) into (n, d + 4) bytes; `Small` reads them back at the same length.

    A step is the largest number of the row over 127; then the scale is set so that the length is the row's,
    to 12 bits. Rows that were read from bytes give the same bytes.
    """
    wide = rows.astype(np.float64)
    step = _rounded(np.abs(wide).max(axis=1, initial=0) / PEAK, np.ceil)
    codes = np.clip(np.rint(wide / np.where(step > 0, step, 1)[:, None]), -PEAK, PEAK)
    length = np.sqrt(np.einsum("ij,ij->i", codes, codes))
    scale = _rounded(np.sqrt(np.einsum("ij,ij->i", wide, wide)) / np.maximum(length, 1), np.rint)
    found = np.empty((len(rows), rows.shape[1] + SCALE_BYTES), np.int8)
    found[:, :-SCALE_BYTES] = codes
    found[:, -SCALE_BYTES:] = scale.astype("<f4").view(np.int8).reshape(-1, SCALE_BYTES)
    return found


def _rounded(values: NDArray[np.float64], how: Any) -> NDArray[np.float64]:
    """Values with 12 bits, rounded by `how`."""
    part, power = np.frexp(values)
    found: NDArray[np.float64] = np.ldexp(how(np.ldexp(part, BITS)), power - BITS)
    return found
