"""NPY blocks: headers, mapped files, blocks on a pipe. Pickled arrays are never loaded."""

from __future__ import annotations

import mmap
import os
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmr.errors import BadDataError, StreamError, shown

MAGIC = b"\x93NUMPY"
OUR_HEADER = 128  # bytes: room for any row count, and data that starts on a cache line
LONGEST_HEADER = 10_000  # numpy's own limit for headers that are read without trust
ROWS_AHEAD = 64  # rows of a pipe that are read at a time

Floats = NDArray[np.floating[Any]]


class Header(NamedTuple):
    """What an NPY header says: "f4" or "f2", rows, numbers a row, and its own length in bytes."""

    dtype: np.dtype[Any]
    rows: int
    dim: int
    length: int

    @property
    def data_bytes(self) -> int:
        return self.rows * self.dim * self.dtype.itemsize


def our_header(rows: int, dim: int) -> bytes:
    """Return the 128-byte NPY header of float32 rows in C order."""
    words = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {dim}), }}"
    return MAGIC + b"\x01\x00" + (OUR_HEADER - 10).to_bytes(2, "little") + words.encode().ljust(117) + b"\n"


def read_header(read: Callable[[int], bytes], source: str) -> Header:
    """Parse a header from `read(n)`, which returns n bytes unless the data ends.

    Raises `BadDataError` that says what to do for all but two-dimensional float32 or float16 in C order.
    """
    start = read(8)
    if len(start) < 8 or not start.startswith(MAGIC):
        raise BadDataError(f"{source} is no NPY file", "Write it with numpy.save, or `mmr embed -o X.npy`.")
    wide = 2 if start[6] == 1 else 4
    length = int.from_bytes(read(wide), "little")
    words = read(length) if start[6] in (1, 2, 3) and 0 < length <= LONGEST_HEADER else b""
    if not words or len(words) < length:
        raise BadDataError(f"{source} has a damaged NPY header", "Write the file again.")
    text = words.decode("latin-1")
    dtype = re.search(r"['\"]descr['\"]\s*:\s*(?:['\"]([^'\"]*)['\"]|\[)", text)
    order = re.search(r"['\"]fortran_order['\"]\s*:\s*(True|False)", text)
    shape = re.search(r"['\"]shape['\"]\s*:\s*\(([\d\s,]*)\)", text)
    if not dtype or not order or not shape:
        raise BadDataError(f"{source} has a damaged NPY header", "Write the file again.")
    sizes = [int(size) for size in shape[1].split(",") if size.strip()]
    _refuse(source, dtype[1] or "records", order[1] == "True", sizes)
    return Header(np.dtype(dtype[1]), sizes[0], sizes[1], 8 + wide + length)


def _refuse(source: str, dtype: str, fortran: bool, sizes: list[int]) -> None:
    """Say what is wrong with an array that is no list of vectors, and the line that cures it."""
    cure = "Save it again: np.save('new.npy', {}), with x = np.load of this file."
    if "O" in dtype:
        raise BadDataError(
            f"{source} holds pickled Python objects, which mmr never loads", "Save it as an array of float32."
        )
    if dtype not in ("<f4", "<f2"):
        raise BadDataError(
            f"{source} holds {shown(dtype)}, not float32 or float16", cure.format("x.astype('<f4')")
        )
    if len(sizes) != 2:
        fix = cure.format("x[None]") if len(sizes) == 1 else "Save it with one row a vector."
        raise BadDataError(f"{source} has {len(sizes)} dimensions, not 2 (rows × numbers)", fix)
    if fortran and sizes[0] > 1 and sizes[1] > 1:
        raise BadDataError(f"{source} is in Fortran order", cure.format("np.ascontiguousarray(x)"))
    if sizes[1] == 0 and sizes[0] > 0:
        raise BadDataError(f"{source} has rows of no numbers", "Save it with one row a vector.")


def mapped_blocks(path: str) -> list[Floats]:
    """Return the blocks of an NPY file, each (rows, d) float32 or float16, mapped and read-only.

    One block as numpy.save writes it, or several one after the other of the same d. Raises `BadDataError`
    when the file is shorter than its headers promise, or dimensions differ.
    """
    name = shown(path)
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        whole = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if size else b""
        blocks: list[Floats] = []
        offset = 0
        while offset < size or not blocks:
            file.seek(offset)
            header = read_header(file.read, name if not offset else f"{name} at byte {offset}")
            offset += header.length
            if offset + header.data_bytes > size:
                raise BadDataError(
                    f"{name} is truncated: {size} bytes, and its header wants {offset + header.data_bytes}",
                    "Write the file again.",
                )
            count = header.rows * header.dim
            flat = np.frombuffer(whole, header.dtype, count, offset) if count else np.empty(0, header.dtype)
            blocks.append(flat.reshape(header.rows, header.dim))
            _same_dim(name, blocks[0].shape[1], header.dim)
            offset += header.data_bytes
    return blocks


def piped_blocks(read: Callable[[int], bytes], source: str) -> Iterator[Floats]:
    """Yield the rows of NPY blocks on a pipe as they come, (at most 64, d) float32 or float16 at a time.

    Raises `StreamError` when the stream ends within a block: its writer died.
    """
    dim, done = None, 0
    start = read(1)
    while start:
        header = read_header(_after(start, read), source)
        dim = header.dim if dim is None else dim
        _same_dim(source, dim, header.dim)
        left = header.rows
        while left:
            rows = min(left, ROWS_AHEAD)
            wanted = rows * dim * header.dtype.itemsize
            data = read(wanted)
            if len(data) < wanted:
                raise StreamError(
                    f"{source} ends within a block, after row {done + len(data) * rows // wanted}",
                    "The program before mmr died; run the pipe again (`set -o pipefail` shows which).",
                )
            yield np.frombuffer(data, header.dtype).reshape(rows, dim)
            left -= rows
            done += rows
        start = read(1)


def _after(start: bytes, read: Callable[[int], bytes]) -> Callable[[int], bytes]:
    """A `read` that gives `start` first."""
    rest = [start]

    def joined(count: int) -> bytes:
        return (rest.pop() + read(count - len(start))) if rest else read(count)

    return joined


def _same_dim(source: str, first: int, dim: int) -> None:
    if first != dim:
        raise BadDataError(
            f"{source} holds blocks of {first} and of {dim} dimensions",
            "Keep vectors of one model in one file.",
        )


def finite_rows(block: Floats) -> NDArray[np.bool_]:
    """Tell of each row of (n, d) whether all its numbers are finite; (n,) bool, in memory for 4,096 rows."""
    steps = range(0, max(len(block), 1), 4096)
    return np.concatenate([np.isfinite(block[start : start + 4096]).all(axis=1) for start in steps])
