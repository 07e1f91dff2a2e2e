"""Expressions of Milvus: strings that are quoted, pieces of lists, and numbers that stand for values."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import orjson

from mmr.index.bases import absolute
from mmr.index.engine import Stored, Where

TERMS = 4_096  # values of a record that can be looked for, which is what an array of Milvus holds
ANY = 0  # the term of a record with more values: it is looked at in every search
PATH, HAS = "\0path", "\0has"  # stand for the fields of terms that no record has
PIECE = 1 << 20  # bytes of the strings of one expression


def is_text(text: str) -> bool:
    """Whether a string has UTF-8; bytes of a command line that are none stand for what no server holds."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def pieces(texts: Sequence[str], most: int = 4_096) -> Iterator[Sequence[str]]:
    """Strings in pieces that an expression may hold: so many, and so many bytes; without what is no text."""
    texts = [text for text in texts if is_text(text)]
    start = size = 0
    for end, text in enumerate(texts):
        size += len(text) + 4
        if end > start and (end - start >= most or size > PIECE):
            yield texts[start:end]
            start, size = end, len(text) + 4
    if len(texts) > start:
        yield texts[start:]


def quoted(text: str) -> str:
    """A string as an expression of Milvus has it.

    >>> quoted('a"b')
    '"a\\\\"b"'
    """
    safe = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    return f'"{safe}"'


def expression(where: Where) -> str:
    """What items must have, as an expression; more may fit it than fit, never fewer.

    >>> expression([("id", "a")])
    '(id == "a")'
    """
    return " and ".join(f"({_fits(field, value)})" for field, value in where)


def _fits(field: str, value: str) -> str:
    if field == "id" and is_text(value):
        return f"id == {quoted(value)}"
    wanted = [_term(field, value)]
    if field == "image":
        wanted.append(_term(PATH, absolute(str(Path.cwd()), value) or value))
    else:
        with suppress(ValueError):
            wanted.append(_term(field, float(value)))
    return _any(wanted)


def naming(names: Sequence[str]) -> str:
    """The items whose `image`, `path` or `digest` is one of these, and perhaps a few more."""
    return _any([_term(field, name) for name in names for field in ("image", "digest", PATH)])


def with_parent() -> str:
    """The items that name a parent, and perhaps a few more."""
    return _any([_term(HAS, "parent")])


def _any(wanted: Sequence[int]) -> str:
    return f"array_contains_any(terms, [{','.join(map(str, (ANY, *wanted)))}])"


def terms(item: Stored) -> list[int]:
    """The numbers that stand for the values of an item's fields, those within lists too, each once."""
    found: set[int] = set()
    if item.path is not None:
        found.add(_term(PATH, item.path))
    if item.parent is not None:
        found.add(_term(HAS, "parent"))
    for field, value in orjson.loads(item.fields).items():
        left = [value]
        while left:
            one = left.pop()
            if isinstance(one, list):
                left += one
            elif isinstance(one, bool):
                found.add(_term(field, "true" if one else "false"))
            elif isinstance(one, str | int | float):
                found.add(_term(field, one))
    return sorted(found) if len(found) <= TERMS else [ANY]


def _term(field: str, value: str | float) -> int:
    """A number of 63 bits for a field's value; numbers that are equal have the same."""
    said = f"{field}\0s{value}" if isinstance(value, str) else f"{field}\0n{float(value) + 0.0!r}"
    number = (
        int.from_bytes(hashlib.blake2b(said.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")
        >> 1
    )
    return number or 1
