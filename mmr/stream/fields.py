"""What the known fields of a record must hold, and what a record without an id is called."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from mmr.errors import BadItem
from mmr.stream.records import Place, Record, default_id, kind

NOTHING: Mapping[str, Any] = MappingProxyType({})


def bad(place: Place, what: str, fix: str = "", record: dict[str, Any] | None = None) -> BadItem:
    """Make the error of a record that could not be read."""
    return BadItem(str(place), what, fix, stage="read", record=record)


def raw(line: bytes) -> dict[str, Any]:
    """The record of a line that is none: the line itself, for the `--errors` file."""
    return {"raw": line.decode(errors="replace").rstrip("\r\n")}


def completed(
    fields: dict[str, Any], place: Place, vectors: bool, arrays: Mapping[str, Any] = NOTHING
) -> Record:
    """Return the record with its fields checked, its vectors decoded and its `id` filled in.

    fields   as parsed; `error` and `stage`, left by an earlier run's `--errors` file, are dropped
    vectors  False leaves vectors as they came and needs no numpy
    arrays   `vector` or `vectors` that came beside the record

    Raises `BadItem` with the whole record.
    """
    try:
        for name, value in fields.items():
            if name in CHECKS:
                CHECKS[name](name, value)
        record = Record(fields, place)
        if "error" in record and "stage" in record:
            del record["error"], record["stage"]
        if vectors:
            _decode(record)
        record.update(arrays)
        if "id" not in record and record.get("eof") is not True:
            record = Record({"id": _default_id(record), **record}, place)
        return record
    except Wrong as wrong:
        raise bad(place, wrong.what, wrong.fix, fields) from None


def _decode(record: dict[str, Any]) -> None:
    """Turn numbers and base64 into float32 arrays, in the record and in its hits."""
    try:
        if "vector" in record:
            from mmr.stream.vectors import vector

            record["vector"] = vector(record["vector"], "vector")
        if "vectors" in record:
            from mmr.stream.vectors import rows

            record["vectors"] = rows(record["vectors"], "vectors")
        if "bindings" in record:
            from mmr.stream.vectors import one_or_rows

            bindings = record["bindings"].items()
            record["bindings"] = {name: one_or_rows(value, f"bindings.{name}") for name, value in bindings}
    except ValueError as error:
        raise Wrong(str(error)) from None
    if "hits" in record and any("vector" in hit or "vectors" in hit for hit in record["hits"]):
        record["hits"] = [dict(hit) for hit in record["hits"]]
        for hit in record["hits"]:
            _decode(hit)


def _default_id(record: dict[str, Any]) -> str:
    try:
        return default_id(record)
    except (ValueError, TypeError, ArithmeticError) as error:
        raise Wrong(f"has no id, and none can be made of it: {error}") from None


class Wrong(Exception):  # noqa: N818 - becomes a BadItem where the place is known
    """A field that does not hold what it must."""

    def __init__(self, what: str, fix: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.fix = fix


def _string(name: str, value: Any) -> None:
    if type(value) is not str:
        raise Wrong(f'"{name}" is {kind(value)}, not a string')


def _id(name: str, value: Any) -> None:
    if type(value) is int:
        raise Wrong(f'"{name}" is the number {value}, not a string', f'write it as "{value}"')
    _string(name, value)
    if not value:
        raise Wrong(f'"{name}" is empty', "give it a name, or leave the field out for the default")


def _path(name: str, value: Any) -> None:
    _string(name, value)
    if not value:
        raise Wrong(f'"{name}" is empty, not a path')
    if "\0" in value:
        raise Wrong(f'"{name}" holds a zero byte, which no path can')


def _strings(name: str, value: Any) -> None:
    if type(value) is not list or not all(type(item) is str for item in value):
        raise Wrong(f'"{name}" is not a list of strings')


def _number(name: str, value: Any) -> None:
    if type(value) not in (int, float):
        raise Wrong(f'"{name}" is {kind(value)}, not a number')


def _rows(name: str, value: Any) -> None:
    if type(value) is not int or value < 0:
        raise Wrong(f'"{name}" is not a whole number of rows')


def _object(name: str, value: Any) -> None:
    if type(value) is not dict:
        raise Wrong(f'"{name}" is {kind(value)}, not an object')


def _true(name: str, value: Any) -> None:
    if type(value) is not bool:
        raise Wrong(f'"{name}" is {kind(value)}, not true or false')


def _hits(name: str, value: Any) -> None:
    if type(value) is not list:
        raise Wrong(f'"{name}" is {kind(value)}, not a list')
    if usual_hits(value) is not None:
        return
    for rank, hit in enumerate(value, 1):
        if type(hit) is not dict or type(hit.get("id")) is not str or not hit["id"]:
            raise Wrong(f'hit {rank} of "{name}" is not an object with an "id"')
        if type(hit.get("score", 0.0)) not in (int, float):
            raise Wrong(f"the score of hit {rank} is {kind(hit['score'])}, not a number")


def usual_hits(hits: list[Any]) -> tuple[list[str], list[float]] | None:
    """The ids and the scores (NaN where there is none) of hits; None unless all are as they should be."""
    if not set(map(type, hits)) <= {dict}:
        return None
    names = [hit.get("id") for hit in hits]
    scores = [hit.get("score", math.nan) for hit in hits]
    right = set(map(type, names)) <= {str} and all(names) and set(map(type, scores)) <= {int, float}
    return (names, scores) if right else None


CHECKS: dict[str, Callable[[str, Any], None]] = {
    "id": _id,
    "image": _path,
    "base": _path,
    "text": _string,
    "sparse": _object,
    "bindings": _object,
    "recipe": _object,
    "exclude": _strings,
    "among": _strings,
    "parent": _string,
    "model": _string,
    "digest": _string,
    "size": _number,
    "mtime": _number,
    "keep": _true,
    "unit": _true,
    "eof": _true,
    "rows": _rows,
    "hits": _hits,
    "via": _strings,
}
