"""Where named vectors come from: fields of a record that are embedded, and pieces of a command line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from mmr.compose.expr import Name, Node, Number, Product, Sum
from mmr.errors import shown
from mmr.stream.records import Place, Record, default_id

SOURCES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "v": ("image", ("images", "image")),
    "t_m": ("text", ("texts", "text")),
    "t_r": ("text", ("captions", "caption")),
    "t_c": ("text", ("edited",)),
    "n": ("text", ("not",)),
    "whole": ("text", ("text",)),
}
PIECE = re.compile(r"(?P<sign>[+-])?(?:(?P<weight>\d+\.?\d*|\.\d+):(?!\d\d(?!\d)))?(?P<rest>.*)", re.DOTALL)


class Source(NamedTuple):
    """A field of a record, a path or words or a list of them, that is embedded as the vector `name`."""

    name: str
    kind: str
    field: str


class Piece(NamedTuple):
    """A picture or words of the command line, and their signed weight."""

    weight: float
    value: str


def sources(record: Mapping[str, Any]) -> dict[str, Source]:
    """What can be embedded of a record, by the vector's name."""
    found = {}
    for name, (kind, fields) in SOURCES.items():
        field = next((field for field in fields if record.get(field)), None)
        if field is not None:
            found[name] = Source(name, kind, field)
    return found


def piece(text: str) -> Piece:
    """Read `[+|-][WEIGHT:]REST`; a backslash in front keeps the rest as it is, and 12:30 is a time.

    >>> piece("-blue"), piece("0.5:b.png"), piece("12:30 at night")[1]
    (Piece(weight=-1.0, value='blue'), Piece(weight=0.5, value='b.png'), '12:30 at night')
    """
    if text.startswith("\\"):
        return Piece(1.0, text[1:])
    found = PIECE.fullmatch(text)
    assert found is not None
    weight = float(found["weight"] or 1)
    return Piece(-weight if found["sign"] == "-" else weight, found["rest"].strip())


def typed(
    images: Sequence[str], texts: Sequence[str], captions: Sequence[str], edited: Sequence[str],
    nots: Sequence[str],
) -> Record:  # fmt: skip
    """The one query of a command line; lists stand in `images`, `texts`, ... where there are several."""
    fields: dict[str, Any] = {}
    for one, several, values in (
        ("image", "images", images), ("text", "texts", texts), ("caption", "captions", captions),
        ("edited", "edited", edited), ("not", "not", nots),
    ):  # fmt: skip
        if len(values) == 1:
            fields[one] = values[0]
        elif values:
            fields[several] = list(values)
    named = {"image": images[0]} if images else {"text": "\n".join([*texts, *captions, *edited, *nots])}
    return Record({"id": default_id(named), **fields}, Place("the command line", None))


def numbered(name: str, count: int) -> tuple[str, ...]:
    """Names of several vectors of one kind: t1, t2 of t_m; the name itself of one."""
    return (name,) if count == 1 else tuple(f"{name[0]}{place}" for place in range(1, count + 1))


def signed_sum(names: Iterable[str], weights: Iterable[float]) -> Node:
    """The expression that adds named vectors, each with its weight."""
    terms: list[tuple[int, Node]] = []
    for name, weight in zip(names, weights, strict=True):
        factors = (Number(abs(weight), 0), Name(name, 0))
        terms.append((-1 if weight < 0 else 1, factors[1] if abs(weight) == 1 else Product(factors, 0)))
    return terms[0][1] if len(terms) == 1 and terms[0][0] == 1 else Sum(tuple(terms), 0)


def described(pieces: Iterable[Piece]) -> str:
    """Pieces as a person would write them, for `text`."""
    words: list[str] = []
    for weight, value in pieces:
        sign = "-" if weight < 0 else "+" if words else ""
        words.append(f"{sign}{'' if abs(weight) == 1 else f'{abs(weight):g}:'}{shown(value)}")
    return " ".join(words)
