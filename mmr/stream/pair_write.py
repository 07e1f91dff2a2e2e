"""Write an NPY pair: rows and records go to part files, which take their names when all is written."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from mmr.errors import BadDataError, BusyError, OutputError, shown
from mmr.stream.files import sync_folder
from mmr.stream.npy import OUR_HEADER, our_header
from mmr.stream.pair import closing_record, parsed, part_path, records_path, sha256_of, vectors_path
from mmr.stream.records import Record, dump
from mmr.stream.write import own_rows, same_dim


@contextmanager
def open_pair(path: str, *, vector_format: str = "list", resume: bool = False) -> Iterator[PairWriter]:
    """Write X.npy and X.jsonl; both take their names at the end, X.jsonl first.

    resume  keep what is written when the block ends with an error or a kill, and offer it to the next run
            in `left`; else an error leaves nothing

    Raises `BadDataError` when an X.jsonl is there that no pair of ours closes, `BusyError` when another run
    writes the same pair, `OutputError` when it cannot be made.
    """
    final = Path(path)
    records = records_path(final)
    if records.exists() and closing_record(records) is None:
        raise BadDataError(
            f"{shown(str(records))} is there already, and mmr did not write it as half of a pair",
            f"Move it away, or name another file than {shown(path)}.",
        )
    try:
        if final.is_dir():
            raise IsADirectoryError(None, "it is a folder")
        rows_file, lines_file = _parts(final, records)
    except OSError as error:
        where = shown(path)
        raise OutputError(f"cannot write {where}: {error.strerror}", "Name another place with -o.") from error
    with rows_file, lines_file:
        writer = PairWriter(rows_file, lines_file, vector_format)
        if not resume:
            writer.keep(0)
        try:
            yield writer
            writer.close()
            part_path(records).replace(records)
            part_path(final).replace(final)
            sync_folder(final.parent)
        except BaseException:
            if resume:
                with suppress(OSError):
                    writer.flush()
            else:
                for part in (part_path(final), part_path(records)):
                    part.unlink(missing_ok=True)
            raise


def _parts(final: Path, records: Path) -> tuple[BinaryIO, BinaryIO]:
    """Open both part files, the first one locked; finish a commit that stopped between its renames."""
    if vectors_path(final) != final:
        part_path(final).replace(final)
    part = part_path(final)
    while True:
        file = _read_write(part)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if part.exists() and os.fstat(file.fileno()).st_ino == part.stat().st_ino:
                return file, _read_write(part_path(records))
        except BlockingIOError:
            file.close()
            raise BusyError(
                f"another run is writing {shown(str(final))}",
                "Try again when it is done, or name another file.",
            ) from None
        except OSError:
            file.close()
            raise
        file.close()


def _read_write(path: Path) -> BinaryIO:
    """Open a file to read and write, as it is or new."""
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+b")


class PairWriter:
    """The writer of one pair.

    `left` and `keep` are for a run that goes on where a killed one stopped: compare the records in `left`
    with the first of the input, then `keep` those that agree, before the first `write`.
    """

    def __init__(self, rows_file: BinaryIO, lines_file: BinaryIO, vector_format: str) -> None:
        self._rows_file = rows_file
        self._lines_file = lines_file
        self._vector_format = vector_format
        self._dim: int | None = None
        self._rows = 0
        self._since = 0
        self._eof: tuple[Mapping[str, Any], int] | None = None

    def left(self) -> Iterator[Record]:
        """Yield the records, without vectors, that a run before this one wrote with all their rows."""
        for record, _, _ in self._scan():
            if record.get("eof") is not True:
                yield record

    def keep(self, count: int) -> None:
        """Keep the first `count` records of `left`, drop the rest, and write on after them."""
        position = rows = since = 0
        left = self._scan()
        kept = 0
        while kept < count:
            record, position, rows = next(left)
            kept, since = (kept, 0) if record.get("eof") is True else (kept + 1, since + 1)
        self._rows, self._since = rows, since
        self._dim = self._written_dim() if rows else None
        self._lines_file.seek(position)
        self._lines_file.truncate()
        self._rows_file.seek(OUR_HEADER + rows * 4 * self._dim if self._dim else 0)
        self._rows_file.truncate()

    def _written_dim(self) -> int | None:
        """The d that an earlier run noted in its header, whose first byte is zero until all is written."""
        from mmr.stream.npy import read_header

        self._rows_file.seek(0)
        header = self._rows_file.read(OUR_HEADER)
        if len(header) < OUR_HEADER:
            return None
        parts = [header[10:], header[8:10], our_header(0, 1)[:8]]
        return read_header(lambda _: parts.pop(), "the part file").dim

    def _scan(self) -> Iterator[tuple[Record, int, int]]:
        """The whole records of an earlier run, each with the end of its line and the rows up to there."""
        dim = self._written_dim()
        have = (self._rows_file.seek(0, os.SEEK_END) - OUR_HEADER) // (4 * dim) if dim else 0
        position = rows = 0
        while True:
            self._lines_file.seek(position)
            line = self._lines_file.readline()
            try:
                record = Record(parsed(line, "") if line.endswith(b"\n") else {})
            except BadDataError:
                return
            rows += 0 if record.get("eof") is True else record.get("rows", 1)
            position += len(line)
            if not record or rows > have:
                return
            yield record, position, rows

    def write(self, record: Mapping[str, Any]) -> None:
        """Append a record: its `vector`, else its `vectors`, to X.npy, the rest to X.jsonl.

        An eof record that closes the stream is joined with the pair's own. Raises `BadDataError` when the
        vector has another dimension than those before it.
        """
        if record.get("eof") is True:
            self._write_eof()
            self._eof, self._since = (record, self._since), 0
            return
        self._write_eof()
        rows = own_rows(record)
        line = dict(record)
        line.pop("rows", None)
        if rows is None:
            line["rows"] = 0
        else:
            self._write_rows(rows, record)
            if record.get("vector") is None:
                line["rows"] = len(rows)
            line.pop("vector" if record.get("vector") is not None else "vectors")
        self._lines_file.write(dump(line, self._vector_format))
        self._since += 1

    def write_rows(self, rows: Any, lines: bytes) -> None:
        """Append a block: rows (n, d) little-endian float32 in C order, and n whole lines of records."""
        self._write_eof()
        self._write_rows(rows, {})
        self._lines_file.write(lines)
        self._since += len(rows)

    def _write_rows(self, rows: Any, record: Mapping[str, Any]) -> None:
        if self._dim is None:
            self._dim = same_dim(None, rows, record)
            self._rows_file.write(b"\0" + our_header(0, self._dim)[1:])
        same_dim(self._dim, rows, record)
        self._rows_file.write(rows.data)
        self._rows += len(rows)

    def _write_eof(self) -> None:
        if self._eof is not None:
            self._lines_file.write(dump(self._eof[0]))
            self._eof = None

    def flush(self) -> None:
        """Send what is held back to the part files, so that a kill loses nothing of it."""
        self._rows_file.flush()
        self._lines_file.flush()

    def close(self) -> None:
        """Write the header and the closing record, and make both files durable."""
        self._rows_file.seek(0)
        self._rows_file.write(our_header(self._rows, self._dim or 0))
        self._rows_file.flush()
        os.fsync(self._rows_file.fileno())
        closing: dict[str, Any] = {"eof": True, "items": self._since}
        if self._eof is not None:
            record, items = self._eof
            if record.get("items") == items:
                closing = dict(record)
            else:
                self._write_eof()
        closing["npy"] = sha256_of(self._rows_file)
        self._lines_file.write(dump(closing))
        self._lines_file.flush()
        os.fsync(self._lines_file.fileno())
