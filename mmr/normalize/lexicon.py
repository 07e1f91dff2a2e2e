"""Vectors as bags of words: how much each word of a list is in a vector, the most of them kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmr.normalize.spaces import LEAST, Array, Arrays, Values, unit_rows

DIGITS = 6  # of a weight


class Lexicon:
    """relu(W (x - mean)), the mean that of x's modality: the rows of W are the words, made more unlike.

    W = (V - their mean) C'^-1/2 with C' = (1 - shrink) C + shrink (trace C / d) I and C the covariance of
    the words' vectors V. With shrink 1 these are the words themselves; with 0, over words that vary in all
    directions, W' W is a multiple of I, so that the products of whole bags, before what is below 0 is left
    out, are those of the vectors.
    """

    def learn(self, words: Array, values: Values) -> dict[str, Array]:
        """The matrix (words, d), its longest row of length 1, from the words' unit vectors (words, d)."""
        wide = words.astype(np.float64)
        wide = wide - wide.mean(axis=0)
        left, sizes, right = np.linalg.svd(wide, full_matrices=False)
        shrink = float(values["shrink"])
        square = sizes**2
        spread = (1 - shrink) * square + shrink * square.sum() / wide.shape[1]
        kept = square > LEAST * square[0]
        scales = np.divide(sizes, np.sqrt(spread), out=np.zeros_like(sizes), where=kept)
        matrix = (left * scales) @ right
        longest = np.linalg.norm(matrix, axis=1).max()
        return {"matrix": (matrix / longest if longest > 0 else matrix).astype(np.float32)}

    def apply(self, rows: Array, group: NDArray[np.int64], arrays: Arrays, values: Values) -> Array:
        """How much of each word is in rows (n, d) float64: (n, words), from 0."""
        left = rows - arrays["means"][group] if values["mean"] == "modality" else rows
        found: Array = np.maximum(unit_rows(left) @ arrays["matrix"].T.astype(np.float64), 0)
        return found


def bag(rows: Array, terms: Sequence[str], top: int) -> dict[str, float]:
    """The words of one item, the heaviest first, from its rows (n, words) as `Lexicon.apply` gives them.

    Of each word the most of any row counts, the `top` heaviest words stay (of equal ones those that come
    first in the list), and the weights, of six decimals, are together of length 1. Empty where nothing is
    above 0.
    """
    most = rows.max(axis=0).astype(np.float64)
    order = np.argsort(-most, kind="stable")[:top]
    length = np.sqrt((most[order] ** 2).sum())
    if not length > 0:
        return {}
    weights: list[Any] = np.round(most[order] / length, DIGITS).tolist()
    return {terms[place]: weight for place, weight in zip(order.tolist(), weights, strict=True) if weight > 0}
