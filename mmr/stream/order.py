"""The one order of hits, trec_eval's: score as float32 descending, then id descending by bytes."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

Hit = TypeVar("Hit", bound=Mapping[str, Any])


def ranked(hits: Iterable[Hit]) -> list[Hit]:
    """Return the hits (each with `id` and `score`) in the order in which they are written.

    Scores are compared as float32, so that two that print alike tie; ties go by id, descending by UTF-8
    bytes (which is the order of Python's strings); hits that agree in both keep their order.

    >>> [hit["id"] for hit in ranked([{"id": "a", "score": 1}, {"id": "b", "score": 1}])]
    ['b', 'a']
    """
    found = list(hits)
    scores = array("f", [hit["score"] for hit in found])
    places = sorted(range(len(found)), key=lambda i: (scores[i], found[i]["id"]), reverse=True)
    return [found[i] for i in places]


def shortest(score: float) -> str:
    """Return the shortest decimal (6 to 9 digits) that reads back as the same float32.

    >>> shortest(0.30000001192092896)
    '0.3'
    """
    exact = array("f", [score])[0]
    for digits in (6, 7, 8):
        text = f"{exact:.{digits}g}"
        if array("f", [float(text)])[0] == exact:
            return text
    return f"{exact:.9g}"
