"""NPY pairs: X.npy holds the vectors, X.jsonl the records without them, in the same order.

A pair is committed by renaming X.jsonl, whose closing record names the SHA-256 of X.npy; X.npy follows.
A reader that comes between the two renames finds the vectors under the name that they were written to.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import orjson

from mmr.errors import BadDataError, BadItem, Reject, shown
from mmr.stream.fields import bad, completed
from mmr.stream.records import Place, Record

if TYPE_CHECKING:
    from mmr.stream.npy import Floats


class Sums(NamedTuple):
    """What X.jsonl says: rows in all, records before its closing line since the eof before it, that line.

    `closing` is None of a pair made by hand.
    """

    rows: int
    records: int
    closing: dict[str, Any] | None


def records_path(npy: str | Path) -> Path:
    """The X.jsonl of an X.npy."""
    return Path(npy).with_suffix(".jsonl")


def part_path(final: Path) -> Path:
    """Where a file of a pair is written until it is whole."""
    return final.with_name(f".{final.name}.part")


def vectors_path(npy: str | Path) -> Path:
    """Where the vectors lie: X.npy, or its part file when a commit stopped between its two renames.

    The header of a part is zeros until the moment of the commit, so that one in the making is told at once.
    """
    final = Path(npy)
    part, records = part_path(final), records_path(final)
    if not part.is_file() or not records.is_file():
        return final
    with open(part, "rb") as file:
        if not file.read(1).strip(b"\0"):
            return final
    closing = closing_record(records)
    return part if closing is not None and closing["npy"] == sha256(part) else final


def closing_record(records: Path) -> dict[str, Any] | None:
    """Return the last line of X.jsonl when it is an eof record of ours, else None."""
    with open(records, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        reach, last = 4096, b""
        while True:
            file.seek(max(0, size - reach))
            before, _, last = file.read().rstrip().rpartition(b"\n")
            if before or reach >= size:
                break
            reach *= 16
    try:
        record = orjson.loads(last)
    except ValueError:
        return None
    ours = isinstance(record, dict) and record.get("eof") is True and isinstance(record.get("npy"), str)
    return record if ours else None


def sha256(path: Path) -> str:
    """Return the file's SHA-256 in hex."""
    with open(path, "rb") as file:
        return sha256_of(file)


def sha256_of(file: BinaryIO) -> str:
    """Return the SHA-256 in hex of an open file, from its start."""
    file.seek(0)
    digest = hashlib.sha256()
    for chunk in iter(partial(file.read, 1 << 20), b""):
        digest.update(chunk)
    return digest.hexdigest()


def sums(records: Path) -> Sums:
    """Count the records of X.jsonl and the rows that they own.

    Raises `BadDataError` for a line that is no record: the rows after it could belong to any.
    """
    rows = count = counted = 0
    with open(records, "rb") as file:
        for number, line in enumerate(file, 1):
            if line.isspace():
                continue
            own = 1
            if b'"rows"' in line or b'"eof"' in line:
                fields = parsed(line, f"{shown(str(records))} line {number}")
                if fields.get("eof") is True:
                    count, counted = 0, count
                    continue
                own = fields.get("rows", 1)
                if type(own) is not int or own < 0:
                    raise BadDataError(
                        f'{shown(str(records))} line {number}: "rows" is not a whole number of rows',
                        "Without it the vectors cannot be told apart. Write the pair again.",
                    )
            count += 1
            rows += own
    return Sums(rows, counted, closing_record(records))


def parsed(line: bytes, where: str) -> dict[str, Any]:
    """Return the record on a line of X.jsonl. Raises `BadDataError` when there is none."""
    try:
        fields = orjson.loads(line)
    except ValueError:
        fields = None
    if not isinstance(fields, dict):
        raise BadDataError(
            f"{where} is no record", "The vectors after it could belong to any. Write the pair again."
        )
    return fields


def check(npy: str, vectors: Path, rows: int) -> None:
    """Raise `BadDataError` unless X.jsonl and the vectors (rows of them) belong together."""
    records = records_path(npy)
    name, other = shown(npy), shown(str(records))
    found = sums(records)
    closing = found.closing
    again = "Write the pair again with -o, and move or copy both files together."
    if closing is not None and closing.get("items") != found.records:
        raise BadDataError(
            f"{other} has {found.records} records, its closing line says {closing.get('items')}", again
        )
    if found.rows != rows:
        raise BadDataError(f"{name} has {rows} rows, the records of {other} want {found.rows}", again)
    if closing is not None and closing["npy"] != sha256(vectors):
        raise BadDataError(f"{name} is not the file that {other} was written with (SHA-256 differs)", again)


def lines(records: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the records of X.jsonl with their line's number, eof records too."""
    with open(records, "rb") as file:
        for number, line in enumerate(file, 1):
            if not line.isspace():
                yield number, parsed(line, f"{shown(str(records))} line {number}")


def joined(npy: str, block: Floats, reject: Reject, eof: bool) -> Iterator[Record]:
    """Yield the records of X.jsonl with their row of X.npy as `vector`, or `rows` of them as `vectors`.

    Bad records take their rows with them to `reject`, so that nobody else's shift.
    """
    from mmr.stream.npy import finite_rows

    unusable = set((~finite_rows(block)).nonzero()[0].tolist())
    start = 0
    for number, fields in lines(records_path(npy)):
        if fields.get("eof") is True:
            if eof:
                yield Record({name: value for name, value in fields.items() if name != "npy"})
            continue
        first, place = start, Place(shown(npy), start, "row")
        try:
            if "rows" not in fields:
                start += 1
                own, taken = {"vector": block[first].astype("<f4", copy=False)}, "vector" in fields
            else:
                start += fields.pop("rows")
                own = {"vectors": block[first:start].astype("<f4", copy=False)} if start > first else {}
                taken = bool(own) and ("vector" in fields or "vectors" in fields)
            if taken:
                raise bad(
                    place, f"{records_path(npy).name} line {number} has a vector of its own", "", fields
                )
            if unusable and not unusable.isdisjoint(range(first, start)):
                raise bad(place, "a number is infinite or not a number", "", fields)
            yield completed(fields, place, True, own)
        except BadItem as item:
            reject(item)
