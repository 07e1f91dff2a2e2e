"""How ids, texts, scores and queries read, on a terminal and on a page."""

from __future__ import annotations

import math
import os
import unicodedata
from collections.abc import Mapping
from typing import Any

JOINERS = "\u200c\u200d"
HASH_LENGTH = 32
ELLIPSIS = "…"


def visible(text: str) -> str:
    """`text` on one line with everything that acts instead of showing written out.

    Control characters, line ends and marks that turn the direction of writing become escapes; the joiners
    of scripts and emoji and the blanks of all languages stay.

    >>> visible("a\\tb\\u202egpj.exe")
    'a\\\\tb\\\\u202egpj.exe'
    """
    if text.isprintable():
        return text
    return "".join(c if _harmless(c) else c.encode("unicode_escape").decode("ascii") for c in text)


def _harmless(c: str) -> bool:
    return c.isprintable() or c in JOINERS or unicodedata.category(c) == "Zs"


def prose(text: str) -> str:
    """`text` as running words: blanks of any kind become one blank, the rest as `visible`.

    >>> prose("two\\n  lines ")
    'two lines'
    """
    return visible(" ".join(text.split()))


def cells(text: str) -> int:
    """How many columns of a terminal `text` takes: wide characters two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(_cell(c) for c in text)


def _cell(c: str) -> int:
    if c in JOINERS or unicodedata.category(c) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(c) in "WF" else 1


def cut_middle(text: str, width: int) -> str:
    """Cut `text` in the middle to at most `width` columns: both ends of a path or an id tell most.

    >>> cut_middle("photos/2024/summer/apple.jpg", 15)
    'photos/…ple.jpg'
    """
    if cells(text) <= width:
        return text
    if width <= 1:
        return ELLIPSIS[:width]
    tail = _head(text[::-1], (width - 1) // 2)[::-1]
    return _head(text, width - 1 - cells(tail)) + ELLIPSIS + tail


def cut_end(text: str, width: int) -> str:
    """Cut the end of `text` so that it takes at most `width` columns: of words the start tells most."""
    if cells(text) <= width:
        return text
    return _head(text, width - 1).rstrip() + ELLIPSIS if width > 0 else ""


def _head(text: str, width: int) -> str:
    taken = 0
    for position, c in enumerate(text):
        taken += _cell(c)
        if taken > width:
            return text[:position]
    return text


def score_words(score: Any) -> str:
    """A score to four places; one that has none, or is no number, is a dash.

    >>> score_words(0.31209), score_words(2.5e9), score_words(None)
    ('0.3121', '2.5000e+09', '-')
    """
    if isinstance(score, bool) or not hasattr(score, "__float__") or math.isnan(score):
        return "-"
    return f"{score:.4f}" if abs(score) < 1e6 else f"{score:.4e}"


def words_of(record: Mapping[str, Any], field: str) -> str:
    """The field as text; "" where it is missing or no text."""
    value = record.get(field)
    return value if isinstance(value, str) else ""


def picture_path(record: Mapping[str, Any]) -> str:
    """Where the record's picture is: `image`, below `base` where it is relative; "" without one."""
    image, base = words_of(record, "image"), words_of(record, "base")
    return os.path.join(base, image) if image and base else image  # noqa: PTH118 - tar members are no paths


def asked(record: Mapping[str, Any]) -> str:
    """What the query asks, on one line: its picture, its words, or both; its id where it has neither.

    >>> asked({"id": "7", "image": "ref.jpg", "text": "at night"})
    'ref.jpg + at night'
    """
    parts = [visible(words_of(record, "image")), prose(words_of(record, "text"))]
    return " + ".join(part for part in parts if part) or visible(words_of(record, "id"))


def given_name(record: Mapping[str, Any]) -> str:
    """The record's id where a person gave it one: neither its path nor a hash; else ""."""
    name = words_of(record, "id")
    hashed = len(name) == HASH_LENGTH and set(name) <= set("0123456789abcdef")
    told = name in (record.get("image"), record.get("text")) or visible(name) == asked(record)
    return "" if hashed or told else visible(name)


def count(number: int, one: str, many: str = "") -> str:
    """A number with its noun.

    >>> count(1, "hit"), count(1200, "hit"), count(2, "query", "queries")
    ('1 hit', '1,200 hits', '2 queries')
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"
