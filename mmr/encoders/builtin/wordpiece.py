"""Cut text into word pieces as BERT's uncased tokenizer does, over a smaller vocabulary.

Source: Devlin et al., BERT, 2018 (tokenization). Two things differ: a word that cannot be cut
gives no piece, and a picture character (an emoji) is read as its Unicode name.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

LONGEST_WORD = 100  # characters; BERT's own limit
MOST_CHARACTERS = 20_000
MOST_PIECES = 512


def _is_sign(character: str) -> bool:
    code = ord(character)
    if 33 <= code <= 47 or 58 <= code <= 64 or 91 <= code <= 96 or 123 <= code <= 126:
        return True
    return code > 127 and unicodedata.category(character).startswith("P")


def _is_ideograph(code: int) -> bool:
    return (
        0x4E00 <= code <= 0x9FFF
        or 0x3400 <= code <= 0x4DBF
        or 0xF900 <= code <= 0xFAFF
        or 0x20000 <= code <= 0x2CEAF
        or 0x2F800 <= code <= 0x2FA1F
    )


@lru_cache(maxsize=4096)
def _spread(character: str) -> str:
    """Replace one character: a blank around signs and ideographs, nothing for marks, names for emoji."""
    if character.isspace():
        return " "
    category = unicodedata.category(character)
    if category in {"Mn", "Cc", "Cf", "Cn", "Co", "Cs"}:
        return ""
    if category == "So":
        return f" {unicodedata.name(character, '').lower()} "
    if _is_sign(character) or _is_ideograph(ord(character)):
        return f" {character} "
    return character


def words(text: str) -> list[str]:
    """Lower the case, drop accents, and split at blanks, signs and ideographs."""
    text = text[:MOST_CHARACTERS].lower()
    if not text.isascii():
        text = unicodedata.normalize("NFD", text)
    return "".join(map(_spread, text)).split()


class WordPiece:
    """A vocabulary (piece → row) and the greedy cutting of words into its longest pieces."""

    def __init__(self, vocabulary: bytes) -> None:
        pieces = vocabulary.decode("utf8").split("\n")[:-1]
        self.rows = dict(zip(pieces, range(len(pieces)), strict=True))

    def cut(self, word: str) -> list[int]:
        """Give the rows of one word's pieces, or none when it cannot be cut."""
        rows = self.rows
        whole = rows.get(word)
        if whole is not None:
            return [whole]
        found: list[int] = []
        start = 0
        while start < len(word) <= LONGEST_WORD:
            front = "##" if start else ""
            for end in range(len(word), start, -1):
                row = rows.get(front + word[start:end])
                if row is not None:
                    break
            else:
                return []
            found.append(row)
            start = end
        return found

    def pieces(self, text: str) -> list[int]:
        """Give the rows of a text's pieces, at most 512."""
        found: list[int] = []
        for word in words(text):
            found += self.cut(word)
            if len(found) >= MOST_PIECES:
                break
        return found[:MOST_PIECES]
