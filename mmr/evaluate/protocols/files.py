"""Annotation files: opened, parsed, and their fields checked with the place named."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, TypeVar

import orjson

from mmr.errors import BadDataError, MissingInputError, shown
from mmr.stream.compressed import open_input
from mmr.stream.records import kind

T = TypeVar("T")
KINDS = {int: "a whole number", str: "a string", list: "a list", dict: "an object", float: "a number"}


def load_bytes(path: str) -> bytes:
    """The content of a file, unpacked where it is gzip, without a byte order mark."""
    with open_input(path) as file:
        return file.read().removeprefix(b"\xef\xbb\xbf")


def load_json(path: str) -> Any:
    """The JSON value of a file. Raises `BadDataError` with line and column where it is none."""
    return parse_json(load_bytes(path), path)


def parse_json(data: bytes, path: str) -> Any:
    """The JSON value in `data`, or a list of the values of its lines where every line is an object."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        if _is_object(data.lstrip().partition(b"\n")[0]):
            return [value for _, value in _lines(data.split(b"\n"), path)]
        raise BadDataError(
            f"{shown(path)} line {error.lineno} column {error.colno}: not JSON", "Is the download complete?"
        ) from None


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(orjson.loads(line), dict)
    except orjson.JSONDecodeError:
        return False


def _lines(lines: Iterable[bytes], path: str) -> Iterator[tuple[str, Any]]:
    for number, line in enumerate(lines, 1):
        if line.strip():
            where = f"{shown(path)} line {number}"
            try:
                yield where, orjson.loads(line)
            except orjson.JSONDecodeError as error:
                what = f"{where} column {error.colno}: not JSON"
                raise BadDataError(what, "Is the download complete?") from None


def stream_json(path: str) -> Iterator[tuple[str, Any]]:
    """Yield the JSON value of each line with what the user can look up; the file is not held."""
    with open_input(path) as file:
        yield from _lines(file, path)


def load_table(path: str) -> list[dict[str, str]]:
    """The rows of a CSV file with a header, by column. Raises `BadDataError` for a row of another length."""
    import csv
    import io

    try:
        text = load_bytes(path).decode()
    except UnicodeDecodeError as error:
        raise BadDataError(
            f"{shown(path)} is not UTF-8 (byte {error.start + 1})", "Is it a CSV file?"
        ) from None
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    table: list[dict[str, str]] = []
    head: list[str] | None = None
    try:
        for row in rows:
            if head is None:
                head = row
            elif len(row) != len(head):
                raise csv.Error(f"{len(row)} columns, and the header has {len(head)}")
            else:
                table.append(dict(zip(head, row, strict=True)))
    except csv.Error as error:
        where = f"{shown(path)} line {rows.line_num}"
        raise BadDataError(f"{where}: {error}", "Is the download complete?") from None
    return table


def expanded(paths: Sequence[str], names: Sequence[str]) -> list[str]:
    """The files that were named; of a folder those whose name fits one of the globs, also with `.gz`.

    A folder often holds several splits: the globs are those of the one that papers report.

    Raises `MissingInputError` for a name that does not exist and a folder that holds none of them.
    """
    found: list[str] = []
    for path in paths:
        if path == "-" or not Path(path).is_dir():
            found.append(path)
            continue
        inside = sorted(
            str(file) for file in Path(path).iterdir()
            if any(fnmatch(file.name, glob) or fnmatch(file.name, glob + ".gz") for glob in names)
        )  # fmt: skip
        if not inside:
            raise MissingInputError(f"{shown(path)} holds none of {', '.join(names)}", "Name the files.")
        found += inside
    return found


def field(entry: Any, name: str, wanted: type[T], where: str) -> T:
    """`entry[name]`, checked to be of a type (`true` is no number); `BadDataError` names the place."""
    if not isinstance(entry, Mapping):
        raise BadDataError(f"{where} is {kind(entry)}, not an object", "Is it the right file?")
    value = entry.get(name)
    if value is None or not isinstance(value, wanted) or isinstance(value, bool):
        found = "is missing" if name not in entry else f"is {kind(value)}, not {KINDS[wanted]}"
        raise BadDataError(f'{where}: "{name}" {found}', "Is it the right file, and whole?")
    return value


def texts(entry: Any, name: str, where: str) -> list[str]:
    """`entry[name]`, a list of strings."""
    values = field(entry, name, list, where)
    if not all(isinstance(value, str) for value in values):
        raise BadDataError(f'{where}: "{name}" is not a list of strings', "Is it the right file?")
    return values


def numbers(entry: Any, name: str, where: str) -> list[int]:
    """`entry[name]`, a list of whole numbers."""
    values = field(entry, name, list, where)
    if not all(type(value) is int for value in values):
        raise BadDataError(f'{where}: "{name}" is not a list of whole numbers', "Is it the right file?")
    return values


def placed(path: str, entries: Iterable[T]) -> Iterator[tuple[str, T]]:
    """Each entry of a list with what the user can look up: `val.json entry 3`, from 1."""
    for number, entry in enumerate(entries, 1):
        yield f"{shown(path)} entry {number}", entry


def put(target: dict[str, T], key: str, value: T, where: str) -> None:
    """Set `target[key]`. Raises `BadDataError` when it is there already."""
    if key in target:
        raise BadDataError(
            f"{where}: {shown(key)} came before", "An id names one thing: is a file named twice?"
        )
    target[key] = value


def unknown_file(path: str, protocol: str, wanted: str) -> BadDataError:
    """The error of a file that is none of those a protocol reads."""
    return BadDataError(f"{shown(path)} is no file of {protocol}", f"It reads {wanted}.")
