"""BM25: what the words of a query add to a text's score.

Robertson and Zaragoza 2009, with the logarithm of Lucene, which never falls below 0.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmr.arrays.terms import Places, Wide


def idf(holding: Wide, items: int) -> Wide:
    """What words weigh that n = `holding` (t,) of N = `items` texts have: ln(1 + (N - n + .5) / (n + .5))."""
    found: Wide = np.log1p((items - holding + 0.5) / (holding + 0.5))
    return found


def norms(lengths: Wide, mean: float, k1: float, b: float) -> Wide:
    """k1 * (1 - b + b * length / mean) of texts (n,): what length adds to a count before it saturates.

    k1  from 0: how long more occurrences count more. b  0 to 1: how much longer texts lose.
    """
    return k1 * (1 - b + b * lengths / mean) if mean > 0 else np.full(len(lengths), k1 * (1 - b))


class Saturated(NamedTuple):
    """A query's words: weight * count * (k1 + 1) / (count + norm) of each is added.

    weights  (t,) of its words: how often it asks for each, times its idf
    norms    (n,) of all texts
    """

    weights: Wide
    norms: Wide
    k1: float
    rises: bool = True

    def __call__(self, values: Wide, which: Places, rows: Places) -> Wide:
        """What postings add: counts (m,) of words `which` in texts `rows`."""
        return self.weights[which] * self._saturated(values, rows)

    def of_lists(self, codes: NDArray[Any], rows: Places, scales: Wide, counts: Places) -> Wide:
        """What postings add, as lists hold them, which counts are exact in."""
        return np.repeat(self.weights, counts) * self._saturated(codes.astype(np.float64), rows)

    def slack(self, scales: Wide, errors: Wide) -> float:
        """None: scores are exact."""
        return 0.0

    def _saturated(self, counts: Wide, rows: Places) -> Wide:
        return counts * (self.k1 + 1) / (counts + self.norms[rows])
