"""Words of languages other than English: rows of a hashed table, and which words are looked up there.

A word is its whole self and its runs of 3 to 5 letters; where words are not set apart (Chinese,
Japanese, Thai and their neighbours) a run of letters is its runs of 1 to 3; Korean words are whole and
runs of 2 and 3 syllables. Each picks a row by CRC-32 (after Bojanowski et al., Enriching word vectors
with subword information, 2017). No language is named: the same rows carry a score that, summed over a
word, says whether the word is English.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from zlib import crc32

import numpy as np
import numpy.typing as npt

from .weights import Weights

FloatMatrix = npt.NDArray[np.float32]
LONGEST_WORD = 40  # characters; of a longer word the first
MOST_WORDS = 512
SPACELESS = (
    (0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x3040, 0x30FF), (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x2FA1F),
)  # fmt: skip
CLEAR = 4.0  # no word weighs more than this when a text's words vote
ALONE = 1.0  # score above which a word among English ones is taken for another language's


@lru_cache(maxsize=8192)
def kind(character: str) -> int:
    """Sort characters: 2 letters of scripts without blanks, 1 other letters, marks and digits, 0 others."""
    if not (character.isalnum() or unicodedata.category(character)[0] == "M"):
        return 0
    code = ord(character)
    return 2 if code > 0xDFF and any(first <= code <= last for first, last in SPACELESS) else 1


@lru_cache(maxsize=65536)
def grams(word: str) -> tuple[int, ...]:
    """Hash a word's parts: 32-bit numbers, to be taken modulo the rows of a table."""
    word = word[:LONGEST_WORD]
    sizes: tuple[int, ...]
    parts: list[str]
    if kind(word[0]) == 2:
        sizes, framed, parts = (1, 2, 3), word, []
    elif "\uac00" <= word[0] <= "\ud7a3":
        sizes, framed, parts = (2, 3), f"<{word}>", [f"={word}"]
    else:
        sizes, framed, parts = (3, 4, 5), f"<{word}>", [f"={word}"]
    for size in sizes:
        parts += [framed[at : at + size] for at in range(len(framed) - size + 1)]
    return tuple(crc32(part.encode("utf8", "replace")) for part in parts)


def lowered(text: str) -> str:
    """Put a text into the form in which its words are cut and hashed."""
    return unicodedata.normalize("NFC", text.lower())


def spans(text: str) -> list[tuple[int, int]]:
    """Find the words of a lowered text; a change to or from a script without blanks also cuts."""
    found: list[tuple[int, int]] = []
    start, last = 0, 0
    for at, character in enumerate(text):
        now = kind(character)
        if now != last:
            if last:
                found.append((start, at))
            start, last = at, now
    if last:
        found.append((start, len(text)))
    return found


def split(text: str) -> list[str]:
    """Cut a text into words in lower case."""
    text = lowered(text)
    return [text[start:end] for start, end in spans(text)]


def is_latin(word: str) -> bool:
    """Say whether a word could be English by its letters."""
    return all(ord(character) < 0x250 or 0x1E00 <= ord(character) < 0x1F00 for character in word)


def chosen(words: list[str], scores: list[float]) -> list[bool]:
    """Say which words of a text are not English, from each word's score (above 0: not English).

    Letters other than Latin ones decide at once. The words of a text vote; when most are of another
    language all are taken for it, else only those that are clearly so.
    """
    clear = [CLEAR if not is_latin(word) else score for word, score in zip(words, scores, strict=True)]
    vote = sum(max(-CLEAR, min(CLEAR, score)) for score in clear)
    return [vote > 0 or score > ALONE for score in clear]


class OtherTable:
    """The hashed table as it ships: rows of 4-bit numbers with a scale, and a score each."""

    def __init__(self, weights: Weights) -> None:
        self._packed = weights.tensor("other.table")
        self._scale = weights.tensor("other.scale")
        self._choice = weights.tensor("other.choice")
        self._choice_scale = float(weights.tensor("other.choice.step")[0])
        self._out = weights.matrix("other.out")

    def score(self, word: str) -> float:
        """Say how little a word looks like English: above 0 when another language is likelier."""
        if word.isdigit():
            return -0.5
        rows = np.array(grams(word), np.int64) % len(self._packed)
        return float(self._choice[rows].astype(np.int32).sum() * self._choice_scale)

    def vector(self, words: list[str]) -> FloatMatrix:
        """Give the unit vector (dim,) of at least one word."""
        rows = np.array([gram for word in words[:MOST_WORDS] for gram in grams(word)], np.int64)
        rows %= len(self._packed)
        packed = self._packed[rows]
        scale = self._scale[rows].astype(np.float32)
        halves = [scale @ (half.astype(np.float32) - 8) for half in (packed & 15, packed >> 4)]
        vector = np.concatenate(halves) @ self._out
        scaled: FloatMatrix = vector / np.maximum(np.sqrt(vector @ vector), np.float32(1e-12))
        return scaled

    def divide(self, text: str) -> tuple[str, int, list[str]]:
        """Part a text: the rest that is English, how many words that is, and the other words."""
        text = lowered(text)
        places = spans(text)
        words = [text[start:end] for start, end in places]
        other = chosen(words, [self.score(word) for word in words])
        if not any(other):
            return text, len(words), []
        rest, at = [], 0
        for (start, end), away in zip(places, other, strict=True):
            if away:
                rest.append(text[at:start])
                at = end
        rest.append(text[at:])
        left = " ".join(rest)
        pictures = sum(unicodedata.category(character) == "So" for character in left)
        mine = [word for word, away in zip(words, other, strict=True) if away]
        return left, len(words) - len(mine) + pictures, mine
