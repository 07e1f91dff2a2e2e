"""Lines of text that become records: JSON, and TSV with a header."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from mmr.errors import BadDataError, BadItem, Reject, shown
from mmr.stream.fields import CHECKS, bad, completed, raw
from mmr.stream.records import Place, Record, kind

BOM = b"\xef\xbb\xbf"
STRINGS = frozenset({"id", "image", "base", "text", "parent", "model", "digest"})
JSON_COLUMNS = (frozenset(CHECKS) | {"vector", "vectors"}) - STRINGS
HEADER_NAMES = frozenset({"id", "image", "text", "vector"})


def parsed(line: bytes, place: Place) -> dict[str, Any]:
    """Return the object on a line. Raises `BadItem` that says what is there instead."""
    try:
        fields = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        if line.startswith(BOM):
            return parsed(line[3:], place)
        raise bad(place, *_why(line, error), raw(line)) from None
    if type(fields) is not dict:
        fix = "`jq -c '.[]'` makes lines of a list" if isinstance(fields, list) else "write one object a line"
        raise bad(place, f"{kind(fields)}, not an object", fix, raw(line))
    return fields


def _why(line: bytes, error: orjson.JSONDecodeError) -> tuple[str, str]:
    """What is wrong with a line that is no JSON, and what to do."""
    try:
        line.decode()
    except UnicodeDecodeError as wrong:
        return f"not UTF-8 (byte {wrong.start + 1})", "`iconv -t utf-8` converts"
    after = line[len(line.decode()[: error.pos].encode()) :].lstrip(b"- ")
    if after.startswith((b"NaN", b"Inf", b"nan", b"inf")):
        return "NaN and Infinity are not JSON", "leave the field out, or write null"
    return f"not JSON (column {error.colno})", "write one object a line, as `jq -c .` does"


def is_header(line: bytes) -> bool:
    """Tell whether a line looks like the first of a TSV: it has tabs, or is a known name by itself."""
    return b"\t" in line.strip(b"\r\n") or line.strip().decode(errors="replace") in HEADER_NAMES


def tsv_records(
    first: tuple[int, bytes], lines: Iterator[tuple[int, bytes]], source: str, reject: Reject, vectors: bool
) -> Iterator[Record]:
    """Yield a record a row of a TSV; the first line names the fields.

    Known fields that are no strings (`size`, `vector`, `exclude`, ...) are read as JSON; a known field whose
    cell is empty is left out. Rows with another number of columns go to `reject`.
    """
    names = _header(first[1], f"{source} line {first[0]}")
    for number, line in lines:
        place = Place(source, number)
        try:
            yield completed(_row(names, line, place), place, vectors)
        except BadItem as item:
            reject(item)


def _header(line: bytes, where: str) -> list[str]:
    names = line.rstrip(b"\r\n").decode(errors="replace").split("\t")
    if not HEADER_NAMES & set(names):
        raise BadDataError(
            f"{where}: a TSV needs a header, and this one names none of id, image, text, vector",
            "Put a line of field names first, with tabs between them.",
        )
    if "" in names or len(set(names)) < len(names):
        raise BadDataError(f"{where}: the header has an empty name or one twice", "Name each column once.")
    return names


def _row(names: list[str], line: bytes, place: Place) -> dict[str, Any]:
    try:
        cells = line.rstrip(b"\r\n").decode().split("\t")
    except UnicodeDecodeError as error:
        raise bad(
            place, f"not UTF-8 (byte {error.start + 1})", "`iconv -t utf-8` converts", raw(line)
        ) from None
    if len(cells) != len(names):
        raise bad(place, f"{len(cells)} columns, and the header names {len(names)}", "", raw(line))
    known = CHECKS.keys() | {"vector", "vectors"}
    fields: dict[str, Any] = {}
    for name, cell in zip(names, cells, strict=True):
        if cell or name not in known:
            fields[name] = _value(name, cell, place) if name in JSON_COLUMNS else cell
    return fields


def _value(name: str, cell: str, place: Place) -> Any:
    try:
        return orjson.loads(cell)
    except ValueError:
        if name == "vector":
            return cell
        raise bad(place, f'"{name}" is {shown(cell, 40)}, which is not JSON', "", {name: cell}) from None
