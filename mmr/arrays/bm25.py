"""BM25: texts as bags of weighted words, for inverted lists.

Robertson and Zaragoza 2009, with the logarithm of Lucene, which never falls below 0.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

K1 = 1.2
B = 0.75

_WORD = re.compile(r"\w+")


def words(text: str) -> list[str]:
    """The words of a text in order: letters, digits and _, in one case and one Unicode form (NFKC).

    >>> words("Red cars, RED Ｃars: 2!")
    ['red', 'cars', 'red', 'cars', '2']
    """
    return _WORD.findall(unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold()))


def idf(holding: int, items: int) -> float:
    """What a word weighs that `holding` of `items` texts have: ln(1 + (N - n + .5) / (n + .5)), above 0."""
    return math.log1p((items - holding + 0.5) / (holding + 0.5))


def saturated(count: float, length: float, mean: float, k1: float = K1, b: float = B) -> float:
    """What `count` occurrences of a word count in a text of `length` words where the mean is `mean`.

    count * (k1 + 1) / (count + k1 * (1 - b + b * length / mean)), from 0 to k1 + 1. `k1` from 0: how long
    more occurrences count more; `b` 0 to 1: how much longer texts lose.
    """
    return count * (k1 + 1) / (count + k1 * (1 - b + b * length / mean))


def bags(texts: Iterable[str], k1: float = K1, b: float = B) -> Iterator[dict[str, float]]:
    """Yield the weight of each word of each text, so that a sum over the words of a query is its BM25.

    The weights depend on all texts, whose counts are held. Raises `ValueError` for `k1` below 0 and `b`
    outside 0 to 1.
    """
    if not (0 <= k1 < math.inf and 0 <= b <= 1):
        raise ValueError("k1 from 0, b 0 to 1")
    counted = [Counter(words(text)) for text in texts]
    lengths = [count.total() for count in counted]
    holding = Counter(word for count in counted for word in count)
    weighs = {word: idf(number, len(counted)) for word, number in holding.items()}
    mean = sum(lengths) / len(lengths) if lengths else 0.0
    for count, length in zip(counted, lengths, strict=True):
        yield {word: weighs[word] * saturated(times, length, mean, k1, b) for word, times in count.items()}


def asked(text: str) -> Mapping[str, float]:
    """A query's bag: each word as often as it is asked for."""
    return {word: float(times) for word, times in Counter(words(text)).items()}
