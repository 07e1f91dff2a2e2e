"""Files opened for reading, unpacked on the way where they are gzip."""

from __future__ import annotations

import io
import sys
from typing import Any, BinaryIO, Protocol, cast

from mmr.errors import BadDataError, MissingInputError, shown

GZIP = b"\x1f\x8b"
BUFFER = 1 << 18


def open_input(path: str) -> BinaryIO:
    """Open a file for reading bytes; `-` is standard input; gzip is known by its first two bytes.

    Raises `MissingInputError` where there is nothing to read; reading from it raises `BadDataError` where the
    gzip data is damaged or cut off.
    """
    file = _stdin() if path == "-" else _file(path)
    if file.peek(2)[:2] != GZIP:
        return file
    return unpacked(file, "stdin" if path == "-" else shown(path))


class Readable(Protocol):
    """What gzip data is read from: `read(n)` gives n bytes, fewer only at the end."""

    def read(self, count: int, /) -> bytes: ...

    def close(self) -> None: ...


def unpacked(file: Readable, source: str) -> BinaryIO:
    """What is inside gzip data; reading it raises `BadDataError` where the data is damaged or cut off."""
    return cast(BinaryIO, io.BufferedReader(_Unpacked(file, source), BUFFER))


def is_regular(path: str) -> bool:
    """Tell whether a name is that of an ordinary file, which can be read twice."""
    from pathlib import Path  # 10 ms, and asked only when something is wrong

    return path != "-" and Path(path).is_file()


def _stdin() -> io.BufferedReader:
    if sys.stdin is None:
        raise MissingInputError("standard input is closed", "Name a file, or pipe data in.")
    return io.BufferedReader(io.FileIO(0, closefd=False), BUFFER)


def _file(path: str) -> io.BufferedReader:
    where = shown(path)
    try:
        return io.BufferedReader(io.FileIO(path), BUFFER)
    except IsADirectoryError:
        raise MissingInputError(f"{where} is a folder, not a file", "Name the file in it.") from None
    except PermissionError:
        raise MissingInputError(f"{where} cannot be read (permissions)", "Check the name.") from None
    except (OSError, ValueError) as error:
        why = "does not exist" if isinstance(error, FileNotFoundError) else f"cannot be opened: {error}"
        raise MissingInputError(f"{where} {why}", "Check the name; `-` is standard input.") from None


class _Unpacked(io.RawIOBase):
    """The bytes inside gzip data; damage is named as bad data of its source."""

    def __init__(self, file: Readable, source: str) -> None:
        import gzip  # 3 ms that plain files need not wait for

        self._file = file
        self._inner = gzip.GzipFile(fileobj=cast(Any, file))
        self._source = source

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        from zlib import error as zlib_error

        try:
            return self._inner.readinto(buffer)  # type: ignore[arg-type]
        except (OSError, EOFError, zlib_error) as error:
            raise BadDataError(
                f"{self._source} is damaged gzip data: {error}", "Fetch or write the file again."
            ) from None

    def close(self) -> None:
        self._inner.close()
        self._file.close()
        super().close()
