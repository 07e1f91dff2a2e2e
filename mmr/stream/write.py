"""Write records: JSONL, NPY pairs, NPY blocks, TREC runs, lists of ids."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from mmr.errors import BadDataError, OutputError, UsageError, shown
from mmr.stream.records import dump

if TYPE_CHECKING:
    import numpy as np

BLOCK_ROWS = 1024


class Writer(Protocol):
    """Takes records one by one; `flush` sends on what was held back, as live pipes want."""

    def write(self, record: Mapping[str, Any]) -> None: ...

    def flush(self) -> None: ...


def open_writer(path: str, format: str, *, vector_format: str = "list") -> AbstractContextManager[Writer]:
    """Open a writer of records; what it writes to a file appears whole, when the block ends without an error.

    path           `-` is standard output; `X.npy` is a pair, X.npy and X.jsonl
    format         jsonl, npy (blocks of bare vectors), trec (a run), ids (one hit's id a line)
    vector_format  list or base64: vectors in JSONL

    Raises `OutputError` where it cannot be written, `UsageError` for a run or ids in a pair, and from `write`
    `BadDataError` for a record that the format cannot hold.
    """
    if path.endswith(".npy"):
        if format not in ("jsonl", "npy"):
            raise UsageError(
                f"-o {shown(path)} holds vectors, not --format {format}", "Give the file another name."
            )
        from mmr.stream.pair_write import open_pair

        return open_pair(path, vector_format=vector_format)
    return _open_lines(path, format, vector_format)


@contextmanager
def _open_lines(path: str, format: str, vector_format: str) -> Iterator[Writer]:
    with opened(path) as file:
        if format == "npy":
            blocks = _Blocks(file)
            yield blocks
            blocks.flush()
            return
        lines: dict[str, Callable[[Mapping[str, Any]], bytes]] = {
            "jsonl": lambda record: dump(record, vector_format),
            "trec": _run,
            "ids": _ids,
        }
        yield _Lines(file, lines[format])
        file.flush()


@contextmanager
def opened(path: str) -> Iterator[BinaryIO]:
    """Open a file to write bytes to, seen whole or not at all; `-` is standard output.

    Raises `OutputError` where it cannot be made, also when standard output is closed.
    """
    if path == "-":
        if sys.stdout is None:
            raise OutputError("standard output is closed", "Name a file with -o.")
        yield sys.stdout.buffer
        return
    from mmr.stream.files import whole_file

    with whole_file(path) as file:
        yield file


class _Lines:
    """One or more lines a record."""

    def __init__(self, file: BinaryIO, lines: Callable[[Mapping[str, Any]], bytes]) -> None:
        self._file = file
        self._lines = lines

    def write(self, record: Mapping[str, Any]) -> None:
        self._file.write(self._lines(record))

    def flush(self) -> None:
        self._file.flush()


def _run(record: Mapping[str, Any]) -> bytes:
    if record.get("eof") is True:
        return b""
    from mmr.stream.trec import run_lines

    return run_lines(record).encode()


def _ids(record: Mapping[str, Any]) -> bytes:
    if record.get("eof") is True:
        return b""
    if "hits" not in record:
        raise BadDataError(
            f"{_named(record)} has no hits, and --format ids lists theirs", "Use --format jsonl."
        )
    for hit in record["hits"]:
        if "\n" in hit["id"]:
            raise BadDataError(f"the id {shown(hit['id'])} holds a line break", "Use --format jsonl.")
    return "".join(f"{hit['id']}\n" for hit in record["hits"]).encode()


class _Blocks:
    """NPY blocks of bare vectors, one every 1,024 rows and at each flush."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._held: list[bytes] = []
        self._rows = 0
        self._dim: int | None = None

    def write(self, record: Mapping[str, Any]) -> None:
        if record.get("eof") is True:
            return
        rows = own_rows(record)
        if rows is None:
            raise BadDataError(f"{_named(record)} has no vector, and --format npy holds nothing else",
                               "Use --format jsonl.")  # fmt: skip
        self._dim = same_dim(self._dim, rows, record)
        self._held.append(rows.tobytes())
        self._rows += len(rows)
        if self._rows >= BLOCK_ROWS:
            self._send()

    def _send(self) -> None:
        from mmr.stream.npy import our_header

        if self._rows and self._dim is not None:
            self._file.write(our_header(self._rows, self._dim))
            self._file.write(b"".join(self._held))
            self._held, self._rows = [], 0

    def flush(self) -> None:
        self._send()
        self._file.flush()


def own_rows(record: Mapping[str, Any]) -> np.ndarray | None:
    """Return `vector`, else `vectors`, of a record as (n, d) little-endian float32, else None."""
    import numpy as np

    value = record.get("vector")
    if value is None:
        value = record.get("vectors")
        return None if value is None else np.ascontiguousarray(value, "<f4")
    return np.ascontiguousarray(value, "<f4").reshape(1, -1)


def same_dim(dim: int | None, rows: np.ndarray, record: Mapping[str, Any]) -> int:
    """Return d of the rows; `BadDataError` when those before had another."""
    if dim is not None and rows.shape[1] != dim:
        raise BadDataError(
            f"{_named(record)} has a vector of {rows.shape[1]} numbers, those before it have {dim}",
            "One NPY file holds vectors of one model; use JSONL for a mixture.",
        )
    return int(rows.shape[1])


def _named(record: Mapping[str, Any]) -> str:
    place = getattr(record, "place", None)
    return str(place) if place is not None else f"the record {shown(str(record.get('id', '?')))}"
