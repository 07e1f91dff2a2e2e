"""Words cut into sentences, and the best of them under a budget."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

SHORT = frozenset(
    ["mr", "mrs", "ms", "dr", "prof", "st", "vs", "etc", "e.g", "i.e", "cf", "fig", "vol", "ed", "approx",
     "jr", "sr"]
)  # fmt: skip
END = re.compile(r"[.!?…]+[\"'”’)\]]*(?=\s)|[。！？]+[」』”]*|\n\s*\n")
NEXT = re.compile(r"\s*[\"'“‘(\[]*[^\W_a-z]")
LAST = re.compile(r"([\w.]+)\.$")


def sentences(text: str) -> list[str]:
    """Cut words into sentences: at . ! ? before a capital, a number or a script without case, at the stops of
    Chinese and Japanese, and at blank lines. Not after initials and common abbreviations.

    >>> sentences("Dr. A. Smith paints. Is it red? Yes, 3.5 m wide.")
    ['Dr. A. Smith paints.', 'Is it red?', 'Yes, 3.5 m wide.']
    """
    found: list[str] = []
    start = 0
    for stop in END.finditer(text):
        piece = text[start : stop.end()]
        if stop.group().isspace() or stop.group()[0] in "。！？" or _ends(piece, text[stop.end() :]):
            found.append(piece)
            start = stop.end()
    found.append(text[start:])
    return [" ".join(piece.split()) for piece in found if piece.strip()]


def _ends(piece: str, rest: str) -> bool:
    """Whether a sentence ends where `piece` does."""
    if not NEXT.match(rest):
        return False
    last = LAST.search(piece)
    if last is None:
        return True
    word = last.group(1)
    return not (word.lower() in SHORT or (len(word) == 1 and word.isalpha() and word.isupper()))


def size(sentence: str) -> int:
    """How many words a sentence has; each letter of a script without blanks counts as one.

    >>> size("a red apple"), size("赤い林檎")
    (3, 4)
    """
    return sum(max(1, len(re.findall(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]", word)))
               for word in sentence.split())  # fmt: skip


def within(
    scores: NDArray[np.floating[Any]], sizes: Sequence[int], words: int, most: int, least: float | None = None
) -> list[int]:
    """Places of the best sentences by score (n,), best first, that fit together into `words`.

    most   how many sentences at most; least: the lowest score of one. One that does not fit is left out, and
           shorter ones after it may fit. Of equal scores the first comes first.
    """
    chosen: list[int] = []
    left = words
    for place in np.argsort(-np.asarray(scores, np.float64), kind="stable").tolist():
        if len(chosen) == most or (least is not None and scores[place] < least):
            break
        if sizes[place] <= left:
            chosen.append(place)
            left -= sizes[place]
    return chosen
