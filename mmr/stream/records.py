"""One record: where it came from, how it is written, what it is called."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from mmr.errors import BadDataError

if TYPE_CHECKING:
    import numpy as np

WRITE = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS


class Place(NamedTuple):
    """Where a record came from; `str()` of it is what the user can look up.

    >>> str(Place("stdin", 4)), str(Place("x.npy", 7, "row"))
    ('stdin line 4', 'x.npy row 7')
    """

    source: str
    line: int | None
    unit: str = "line"

    def __str__(self) -> str:
        return self.source if self.line is None else f"{self.source} {self.unit} {self.line}"


class Record(dict[str, Any]):
    """The fields of one record in their order, and its `place` in the input (None of one made here).

    `vector` is a float32 array (d,), `vectors` (n, d), each value of `bindings` (d,) or (k, d); the arrays
    may be read-only views of a mapped file.
    """

    __slots__ = ("place",)

    def __init__(self, fields: Mapping[str, Any] = {}, place: Place | None = None) -> None:
        super().__init__(fields)
        self.place = place


def dump(record: Mapping[str, Any], vector_format: str = "list") -> bytes:
    """Return the record as one line of JSON with its newline.

    Arrays become numbers, shortest first, or with vector_format "base64" the base64 of little-endian float32,
    in `vector`, `vectors`, `bindings` and the same fields of `hits`.
    """
    if vector_format == "base64":
        record = _with_base64(record)
    return orjson.dumps(record, default=_plain, option=WRITE)


def _plain(value: Any) -> Any:
    """What orjson cannot write by itself: arrays that are not contiguous or of a rare type."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


def _with_base64(record: Mapping[str, Any]) -> Mapping[str, Any]:
    changed: dict[str, Any] = {}
    for name in ("vector", "vectors"):
        if hasattr(record.get(name), "dtype"):
            changed[name] = encoded(record[name])
    if isinstance(record.get("bindings"), Mapping):
        changed["bindings"] = {
            name: encoded(value) if hasattr(value, "dtype") else value
            for name, value in record["bindings"].items()
        }
    if any("vector" in hit or "vectors" in hit for hit in record.get("hits", ())):
        changed["hits"] = [_with_base64(hit) for hit in record["hits"]]
    return {**record, **changed} if changed else record


def encoded(array: np.ndarray) -> str | list[str]:
    """Return base64 of little-endian float32: a string of (d,), a list of strings of (n, d)."""
    from binascii import b2a_base64

    if array.ndim == 2:
        return [b2a_base64(row.astype("<f4").tobytes(), newline=False).decode("ascii") for row in array]
    return b2a_base64(array.astype("<f4").tobytes(), newline=False).decode("ascii")


def normal_path(path: str) -> str:
    """Return the path without empty and `.` parts; `..` stays, absolute stays absolute.

    >>> normal_path("./a//b"), normal_path("/x/./y/"), normal_path("../a")
    ('a/b', '/x/y', '../a')
    """
    if "//" not in path and "./" not in path and not path.endswith(("/", "/.")):
        return path
    parts = "/".join(part for part in path.split("/") if part not in ("", "."))
    return f"/{parts}" if path.startswith("/") else parts or "."


def default_id(record: Mapping[str, Any]) -> str:
    """Return the id of a record that has none: its picture's normalised path, else a hash of its content.

    The hash is BLAKE2b-128 in hex, of the text, else of the vector's float32 bytes, else of all fields as
    JSON with sorted keys. Raises `ValueError` of a record without fields.
    """
    if isinstance(record.get("image"), str):
        return normal_path(record["image"])
    from hashlib import blake2b

    return blake2b(_content(record), digest_size=16).hexdigest()


def _content(record: Mapping[str, Any]) -> bytes:
    if isinstance(record.get("text"), str):
        return str(record["text"]).encode()
    if not record:
        raise ValueError("it is empty")
    vector = record.get("vector")
    if isinstance(vector, str):
        from binascii import a2b_base64

        return a2b_base64(vector)
    if isinstance(vector, list):
        import struct

        return struct.pack(f"<{len(vector)}f", *vector)
    if vector is not None:
        return bytes(vector.astype("<f4").tobytes())
    return orjson.dumps(record, default=_plain, option=WRITE | orjson.OPT_SORT_KEYS)


def add_step(record: MutableMapping[str, Any], line: str) -> None:
    """Append one short line to `via`: what was done to this record."""
    record["via"] = [*record.get("via", ()), line]


def same_model(first: str | None, second: str | None) -> bool:
    """Tell whether vectors of two models may meet: only the hash after `#` counts.

    A name without a hash is compared by the part before it; an unknown model (None) meets any.

    >>> same_model("open_clip:ViT-B-32@a.safetensors#9f", "clip#9f"), same_model("builtin#1", "builtin#2")
    (True, False)
    """
    if first is None or second is None:
        return True
    one, _, one_hash = first.rpartition("#") if "#" in first else (first, "", "")
    two, _, two_hash = second.rpartition("#") if "#" in second else (second, "", "")
    return one_hash == two_hash if one_hash and two_hash else one == two


def unchanged(model: str) -> tuple[str, tuple[str, ...]]:
    """The spec of the encoder behind a model's name, and how its vectors were changed since.

    >>> unchanged("clip~centre~pca#1f"), unchanged("clip#9f")
    (('clip', ('centre', 'pca')), ('clip', ()))
    """
    spec = model.rpartition("#")[0] if "#" in model else model
    ways: list[str] = []
    while (parts := spec.rpartition("~"))[1] and parts[2].isalpha():
        spec = parts[0]
        ways.insert(0, parts[2])
    return spec, tuple(ways)


def apply_the_same(model: str) -> str:
    """What to do to get vectors of a model whose vectors `mmr normalize apply` changed; "" of any other."""
    spec, ways = unchanged(model)
    if not ways:
        return ""
    return (
        f"Its vectors are those of {spec} as `mmr normalize` changed them ({', '.join(ways)}): embed with "
        f"--model {spec}, then change the queries with the same file."
    )


def check_model(
    expected: str | None, found: str | None, *, expected_by: str, found_by: str, fix: str = ""
) -> None:
    """Raise `BadDataError` naming both when vectors of two models would meet (law 6).

    expected, found  "SPEC#hash", or None when unknown, which meets any
    expected_by      whose model the first is: "photos.mmr"
    found_by         where the second comes from: "stdin line 1"
    """
    if not same_model(expected, found):
        raise BadDataError(
            f"{expected_by} has vectors of {expected},\n  but {found_by} carries {found}.\n"
            "  Equal dimensions do not make vectors comparable.",
            fix or "Embed both with one model.",
        )


def kind(value: Any) -> str:
    """Say in JSON's words what a value is: "a string", "null", "an empty list"."""
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    return "null" if value is None else "an object" if isinstance(value, dict) else "a string"
