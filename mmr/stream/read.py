"""Read records: JSONL, TSV, NPY pairs, NPY blocks and TREC runs, told apart by their first bytes or name."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from mmr.errors import BadDataError, BadItem, MissingInputError, Reject, shown
from mmr.stream import text
from mmr.stream.compressed import GZIP, unpacked
from mmr.stream.fields import bad, completed
from mmr.stream.pipe import Pipe, Records
from mmr.stream.records import Place, Record
from mmr.stream.trec import is_run, run_records

if TYPE_CHECKING:
    from mmr.stream.npy import Floats

BUFFER = 1 << 18
LONGEST_LINE = 1 << 28
NPY_MAGIC = b"\x93NUMPY"
KNOWN_FILES = (
    (b"\x89PNG", "a PNG picture", "mmr embed"),
    (b"\xff\xd8\xff", "a JPEG picture", "mmr embed"),
    (b"GIF8", "a GIF picture", "mmr embed"),
    (b"\x28\xb5\x2f\xfd", "zstd data", "zstd -dc"),
    (b"PK\x03\x04", "a zip archive", "unzip -p"),
    (b"SQLite format 3", "an SQLite database", "mmr index --dump"),
)


def read_records(
    sources: Sequence[str], *, reject: Reject, vectors: bool = True, eof: bool = False
) -> Records:
    """Yield the records of files, one after the other; `-` is standard input, gzip is unpacked.

    reject   gets every line that is no record; the others come through
    vectors  False leaves `vector`, `vectors` and `bindings` as they came, and needs no numpy
    eof      True yields eof records too; otherwise they are dropped

    A record is there as soon as its line is (see `batches`). `id` is always filled in; in bare NPY it is the
    row's number, from 0, counted through all files. Raises `MissingInputError` at once when a file is not
    there, and `BadDataError` when one cannot be read as a whole.
    """
    names = list(sources)
    for name in names:
        _check_there(name)
    reader = _Reader(reject, vectors, eof)
    return Records(reader.records(names), reader.waits)


def _check_there(name: str) -> None:
    """Raise `MissingInputError` unless the named input can be opened."""
    where = shown(name)
    if name == "-":
        if sys.stdin is None:
            raise MissingInputError("standard input is closed", "Name a file, or pipe records in.")
        return
    path = Path(name)
    if path.is_dir():
        index = (path / "catalogue.sqlite").exists()
        fix = (
            f"`mmr index {where} --dump` gives its records."
            if index
            else f"Did you mean `mmr embed {where}`?"
        )
        raise MissingInputError(
            f"{where} is {'an index' if index else 'a folder'}, not a file of records", fix
        )
    if name.endswith(".npy") and not path.exists():
        from mmr.stream.pair import vectors_path

        path = vectors_path(name)
    if not path.exists() or not os.access(path, os.R_OK):
        reason = "cannot be read (permissions)" if path.exists() else "does not exist"
        raise MissingInputError(f"{where} {reason}", "Check the name; `-` is standard input.")


class _Reader:
    """One run over some files: what its caller wants, and the rows of bare NPY counted so far."""

    def __init__(self, reject: Reject, vectors: bool, eof: bool) -> None:
        self.reject = reject
        self.vectors = vectors
        self.eof = eof
        self.row = 0
        self.pipe: Pipe | None = None

    def waits(self) -> bool:
        """Whether the next record would have to be waited for."""
        return self.pipe is not None and self.pipe.waits()

    def records(self, names: list[str]) -> Iterator[Record]:
        for name in names:
            if name == "-":
                with open(0, "rb", buffering=BUFFER, closefd=False) as file:
                    regular = stat.S_ISREG(os.fstat(0).st_mode)
                    self.pipe = None if regular else Pipe(0)
                    yield from self._stream(self.pipe or file, "stdin", "-")
                    self.pipe = None
            elif name.endswith(".npy") and _vectors_path(name).is_file():
                yield from self._npy_file(name)
            else:
                with open(name, "rb", buffering=BUFFER) as file:
                    yield from self._stream(file, shown(name), name)

    def _stream(self, file: BinaryIO | Pipe, source: str, name: str) -> Iterator[Record]:
        """Tell the format by the first line that is not blank, and read on from there."""
        lines = _numbered(file, source)
        first = next(lines, None)
        if first is None:
            return
        line = first[1]
        if line.startswith(GZIP):
            self.pipe = None
            inside = unpacked(_Joined(line, file), source)
            yield from self._stream(inside, source, name.removesuffix(".gz"))
            return
        if line.startswith(NPY_MAGIC):
            yield from self._npy_stream(file, line, source)
            return
        _refuse_binary(line, source, name)
        json = name.endswith((".jsonl", ".ndjson", ".json")) or line.lstrip().startswith(b"{")
        if name.endswith((".run", ".trec")) or (is_run(line) and not json):
            yield from run_records(_chain(first, lines), source, self.reject)
        elif json:
            yield from self._json(first, lines, source)
        elif name.endswith(".tsv") or text.is_header(line):
            yield from text.tsv_records(first, lines, source, self.reject, self.vectors)
        else:
            yield from self._json(first, lines, source)

    def _json(
        self, first: tuple[int, bytes], lines: Iterator[tuple[int, bytes]], source: str
    ) -> Iterator[Record]:
        for number, line in _chain(first, lines):
            place = Place(source, number)
            try:
                record = completed(text.parsed(line, place), place, self.vectors)
            except BadItem as item:
                self.reject(item)
                continue
            if self.eof or record.get("eof") is not True:
                yield record

    def _npy_stream(self, file: BinaryIO | Pipe, start: bytes, source: str) -> Iterator[Record]:
        from mmr.stream.npy import piped_blocks

        for block in piped_blocks(_Joined(start, file).read, source):
            yield from self._rows(block, source)

    def _rows(self, block: Floats, source: str) -> Iterator[Record]:
        """The rows of a block as records that are named by their number."""
        from mmr.stream.npy import finite_rows

        for vector, usable in zip(block.astype("<f4", copy=False), finite_rows(block).tolist(), strict=True):
            place, name = Place(source, self.row, "row"), str(self.row)
            self.row += 1
            if usable:
                yield Record({"id": name, "vector": vector}, place)
            else:
                self.reject(bad(place, "a number is infinite or not a number", record={"id": name}))

    def _npy_file(self, name: str) -> Iterator[Record]:
        from mmr.stream import pair

        records = pair.records_path(name)
        if records.is_file() and not self.vectors:
            yield from self._without_vectors(records)
            return
        from mmr.stream.npy import mapped_blocks

        path = pair.vectors_path(name)
        blocks = mapped_blocks(str(path))
        if not records.is_file():
            for block in blocks:
                for start in range(0, len(block), 64):
                    yield from self._rows(block[start : start + 64], shown(name))
            return
        if len(blocks) != 1:
            raise BadDataError(
                f"{shown(name)} holds {len(blocks)} blocks, and {shown(str(records))} belongs to one",
                "Write the pair again with -o.",
            )
        pair.check(name, path, len(blocks[0]))
        yield from pair.joined(name, blocks[0], self.reject, self.eof)

    def _without_vectors(self, records: Path) -> Iterator[Record]:
        """The records of a pair whose vectors nobody wants."""
        with open(records, "rb", buffering=BUFFER) as file:
            for record in self._stream(file, shown(str(records)), str(records)):
                record.pop("rows", None)
                record.pop("npy", None)
                yield record


class _Joined:
    """A file whose first line was read already, from its start again."""

    def __init__(self, start: bytes, file: BinaryIO | Pipe) -> None:
        self._start = start
        self._file = file

    def read(self, count: int) -> bytes:
        """Return `count` bytes, fewer only at the end."""
        head, self._start = self._start[:count], self._start[count:]
        return head if len(head) == count else head + self._file.read(count - len(head))

    def close(self) -> None:
        """Leave the file to whoever opened it."""


def _vectors_path(name: str) -> Path:
    from mmr.stream.pair import vectors_path

    return vectors_path(name)


def _numbered(file: BinaryIO | Pipe, source: str) -> Iterator[tuple[int, bytes]]:
    """The lines that are not blank, numbered from 1, each as soon as it is there; a BOM is left out."""
    for number, line in enumerate(iter(partial(file.readline, LONGEST_LINE), b""), 1):
        if number == 1 and line.startswith(b"\xef\xbb\xbf"):
            line = line[3:]
        if len(line) >= LONGEST_LINE:
            raise BadDataError(
                f"{source} line {number} is longer than {LONGEST_LINE >> 20} MiB",
                "One record is one line of JSON.",
            )
        if line and not line.isspace():
            yield number, line


def _chain(first: tuple[int, bytes], lines: Iterator[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
    yield first
    yield from lines


def _refuse_binary(line: bytes, source: str, name: str) -> None:
    """Raise `BadDataError` for files that are known to be something else."""
    if is_run(line):
        return
    for magic, what, tool in KNOWN_FILES:
        if line.startswith(magic):
            given = "..." if name == "-" else shown(name)
            raise BadDataError(
                f"{source} is {what}, not a stream of records", f"Did you mean `{tool} {given}`?"
            )
    if b"\0" in line[:4096] and not line.lstrip().startswith(b"{"):
        raise BadDataError(
            f"{source} is binary data, not a stream of records", "One record is one line of JSON."
        )
