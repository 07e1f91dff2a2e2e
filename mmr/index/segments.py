"""Segments: vectors in immutable files, the bitmap of their dead rows, and their ids in bulk."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from io import BufferedReader, FileIO
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import numpy as np

from mmr.arrays.small import SCALE_BYTES, Small, packed
from mmr.errors import BadDataError, shown
from mmr.stream.files import sync_folder, whole_file

if TYPE_CHECKING:
    from numpy.typing import NDArray

COPY_BYTES = 16 << 20


class Written(NamedTuple):
    """A file of the index: its name, bytes and SHA-256."""

    name: str
    size: int
    sha256: str


class Segment(NamedTuple):
    """One segment, ready to be searched.

    number     its number, which no other segment ever has
    name       of its vectors' file, "seg-7.npy"
    rows       n
    vectors    (n, d) float32, float16 or `Small`, mapped, read-only
    live       (n,) bool; False for rows of items that were deleted or replaced
    folder     where its files are
    structure  the file of its kind ("seg-7.hnsw"), or None
    numbers    (n, 2) float64, scale and shift of every row where the index holds a correction, or None
    model      "SPEC#hash" of its vectors, or None where the index has no name for its model
    beside     what the content of the index keeps beside the vectors, mapped, or None
    """

    number: int
    name: str
    rows: int
    vectors: NDArray[np.floating]
    live: NDArray[np.bool_]
    folder: Path
    structure: Path | None
    numbers: NDArray[np.float64] | None = None
    model: str | None = None
    beside: Any = None


class _Sums:
    """A file that counts and hashes what is written to it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes | memoryview) -> None:
        self._file.write(data)
        self._hash.update(data)
        self.size += len(data)

    def written(self, name: str) -> Written:
        return Written(name, self.size, self._hash.hexdigest())


def header(rows: int, dim: int, dtype: str) -> bytes:
    """The 128 bytes before the data of an NPY file of (rows, dim) in C order."""
    kind = np.dtype(dtype).newbyteorder("<").str
    words = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': ({rows}, {dim}), }}"
    return b"\x93NUMPY\x01\x00" + (118).to_bytes(2, "little") + words.encode().ljust(117) + b"\n"


def write_vectors(
    folder: Path, number: int, blocks: Iterable[NDArray[np.floating]], rows: int, dim: int, dtype: str,
    name: str = "",
) -> Written:  # fmt: skip
    """Write the vectors of a segment; the file has its name only when all of it is on the disk.

    blocks  (m, d) arrays as `as_stored` gives them, together `rows` rows
    name    of another file than that of its vectors
    Raises OSError where the disk is full.
    """
    name = name or f"seg-{number}.npy"
    with whole_file(folder / name) as file:
        sums = _Sums(file)
        sums.write(header(rows, _width(dim, dtype), dtype))
        for block in blocks:
            kept = packed(block) if dtype == "int8" else np.ascontiguousarray(block, dtype)
            if kept.size:
                sums.write(kept.data.cast("B"))
        file.flush()
        return sums.written(name)


def write_structure(folder: Path, stem: str, suffix: str, write: Callable[[Path], None]) -> Written:
    """Let `write` make a file under a temporary name, and name it `stem.suffix`, or `stem-2.suffix`, ....

    A name that is taken stays with its file, which readers may be about to open. Raises OSError where the
    file cannot be written.
    """
    names = chain([f"{stem}.{suffix}"], (f"{stem}-{i}.{suffix}" for i in count(2)))
    name = next(name for name in names if not (folder / name).exists())
    temporary = folder / f".{name}.tmp"
    try:
        try:
            write(temporary)
        except RuntimeError as error:
            raise OSError(
                errno.EIO, f"the structure was not written ({error})", str(folder / name)
            ) from error
        with open(temporary, "rb") as file:
            written = Written(name, os.fstat(file.fileno()).st_size, file_sha256(file))
            os.fsync(file.fileno())
        temporary.replace(folder / name)
        sync_folder(folder)
        return written
    finally:
        with suppress(OSError):
            temporary.unlink()


def file_sha256(file: BufferedReader) -> str:
    """The SHA-256 of an open file, in hex."""
    return hashlib.file_digest(file, "sha256").hexdigest()


def map_vectors(file: BufferedReader | FileIO, rows: int, dim: int, dtype: str) -> NDArray[np.floating]:
    """Map the vectors of a segment, read-only; the file may be closed or removed afterwards.

    Raises `BadDataError` where it is not what was written.
    """
    width = _width(dim, dtype)
    expected = header(rows, width, dtype)
    file.seek(0)
    size = len(expected) + rows * width * np.dtype(dtype).itemsize
    if file.read(len(expected)) != expected or os.fstat(file.fileno()).st_size != size:
        path = Path(file.name)
        raise BadDataError(
            f"{shown(str(path))} does not hold {rows:,} vectors of {dim} {dtype} numbers",
            f"`mmr index {shown(str(path.parent))} --check` says what is damaged.",
        )
    if rows == 0 or width == 0:
        return np.empty((rows, dim), np.float32 if dtype == "int8" else dtype)
    mapped: Any = np.memmap(file, dtype, "r", len(expected), (rows, width)).view(np.ndarray)
    vectors: Any = Small(mapped) if dtype == "int8" else mapped
    found: NDArray[np.floating] = vectors
    return found


def as_stored(vectors: NDArray[np.floating], dtype: str) -> NDArray[np.floating]:
    """What finite vectors (n, d) are when they are read back from a segment of `dtype`."""
    if dtype == "int8":
        return Small(packed(vectors))[:]
    return vectors.astype(dtype, copy=False)


def _width(dim: int, dtype: str) -> int:
    """Numbers of a row in its file: a row of bytes ends with its scale."""
    return dim + SCALE_BYTES if dtype == "int8" else dim


def live_rows(dead: bytes | None, rows: int) -> NDArray[np.bool_]:
    """Unpack the bitmap of dead rows; True for the rows that live."""
    if dead is None:
        return np.ones(rows, bool)
    bits = np.unpackbits(np.frombuffer(dead, np.uint8), count=rows, bitorder="little")
    live: NDArray[np.bool_] = bits == 0
    return live


def pack_dead(live: NDArray[np.bool_]) -> bytes:
    """Pack (n,) bool into the bitmap of dead rows."""
    return np.packbits(~live, bitorder="little").tobytes()


def blocks(
    vectors: NDArray[np.floating], rows: NDArray[np.int64] | None = None
) -> Iterator[NDArray[np.floating]]:
    """Cut vectors, or the named rows of them, into pieces of about 16 MiB."""
    step = max(1, COPY_BYTES // max(1, vectors.shape[1] * vectors.itemsize))
    total = len(vectors) if rows is None else len(rows)
    for start in range(0, total, step):
        yield vectors[start : start + step] if rows is None else vectors[rows[start : start + step]]
