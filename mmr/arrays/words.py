"""The words of a text, for search by words: the same rule for every language, without lists of words.

1. Unicode form NFKC, one case (casefold); accents, and the points of Hebrew and Arabic, are dropped.
2. A word is a run of letters, digits and the marks that belong to them; all else parts words, _ too.
3. Scripts that put no blanks between words (Han, kana, Hangul, Thai, Lao, Khmer, Burmese) give every
   character with its marks, and every pair of neighbours.

Nothing is stemmed and no word is left out.
"""

from __future__ import annotations

import re
import unicodedata
from itertools import pairwise

FINGERPRINT = "5a10b5e8"  # of this rule; another rule must have another one
SAMPLE = "Two RED Ｃars, half-eaten_1.5: Straße, Ἀθῆναι, ёлка, İzmir, हिन्दी, שָׁלוֹם, 黒い猫, 빨간 차, แมวดำ ﬁn"

_ASCII = re.compile(r"[a-z0-9]+")
_POINTS = (range(0x300, 0x370), range(0x591, 0x5C8), range(0x64B, 0x660), (0x640, 0x670))
_DROPPED = {code: None for points in _POINTS for code in points}
_JOINED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u2e80-\u2fdf\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\ua9e0-\ua9ff\uaa60-\uaa7f\uac00-\ud7ff\uf900-\ufaff\U00020000-\U0003ffff]+"
)


class _Kept(dict[int, str]):
    """A table for `str.translate`: letters, digits and marks stay, all else becomes a blank."""

    def __missing__(self, code: int) -> str:
        letter = chr(code)
        found = self[code] = letter if unicodedata.category(letter)[0] in "LNM" else " "
        return found


_KEPT = _Kept()


def words(text: str) -> list[str]:
    """The words of a text in order.

    >>> words("Red cars, RED Ｃars: 2!"), words("Café Straße"), words("黒い猫")
    (['red', 'cars', 'red', 'cars', '2'], ['cafe', 'strasse'], ['黒', 'い', '猫', '黒い', 'い猫'])
    """
    if text.isascii():
        return _ASCII.findall(text.lower())
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    bare = unicodedata.normalize("NFKC", unicodedata.normalize("NFD", folded).translate(_DROPPED))
    found: list[str] = []
    for run in bare.translate(_KEPT).split():
        start = 0
        for joined in _JOINED.finditer(run):
            if joined.start() > start:
                found.append(run[start : joined.start()])
            found += _neighbours(joined[0])
            start = joined.end()
        if start < len(run):
            found.append(run[start:])
    return found


def _neighbours(run: str) -> list[str]:
    """Every character of a run with its marks, then every pair of them."""
    cells: list[str] = []
    for letter in run:
        if cells and unicodedata.category(letter)[0] == "M":
            cells[-1] += letter
        else:
            cells.append(letter)
    return cells + [first + second for first, second in pairwise(cells)]
