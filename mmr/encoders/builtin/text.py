"""The text tower: the sum of the rows of a text's pieces, then a small residual network.

Words that are not English are looked up in a second table; a text of both is the sum of both parts,
each weighted by its words.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .languages import OtherTable
from .weights import Weights
from .wordpiece import WordPiece

FloatMatrix = npt.NDArray[np.float32]
BLOCK = 256  # texts at a time
LONGEST = 20_000  # characters of a text that are read


def gelu(x: FloatMatrix) -> FloatMatrix:
    """Bend values by the tanh form of GELU (Hendrycks and Gimpel, 2016)."""
    bent: FloatMatrix = 0.5 * x * (1 + np.tanh(np.float32(0.7978845608) * (x + np.float32(0.044715) * x**3)))
    return bent


def unit(x: FloatMatrix) -> FloatMatrix:
    """Scale rows to length 1; a row of zeros stays."""
    scaled: FloatMatrix = x / np.maximum(np.sqrt((x * x).sum(1, keepdims=True)), np.float32(1e-12))
    return scaled


class TextTower:
    """Turns texts into unit rows (n, dim) float32; reads only the rows of the table it needs.

    Without a table of other languages every word is taken for English.
    """

    def __init__(self, weights: Weights, vocabulary: bytes, others: OtherTable | None = None) -> None:
        self._cutter = WordPiece(vocabulary)
        self._table = weights.tensor("text.table")
        self._scale = weights.tensor("text.scale")
        self._layers = [
            (weights.matrix(f"text.{name}.weight"), weights.matrix(f"text.{name}.bias"))
            for name in ("inner", "outer")
        ]
        self._others = others
        self.dim = int(self._table.shape[1])

    def _sum(self, text: str) -> FloatMatrix:
        rows = self._cutter.pieces(text)
        scale = self._scale[rows].astype(np.float32)
        summed: FloatMatrix = scale @ self._table[rows].astype(np.float32)
        return summed

    def _english(self, texts: list[str]) -> FloatMatrix:
        out = np.empty((len(texts), self.dim), np.float32)
        (inner, inner_bias), (outer, outer_bias) = self._layers
        for start in range(0, len(texts), BLOCK):
            sums = np.stack([self._sum(text) for text in texts[start : start + BLOCK]])
            sums = 4 * unit(sums)
            out[start : start + BLOCK] = unit(sums + gelu(sums @ inner + inner_bias) @ outer + outer_bias)
        return out

    def encode(self, texts: list[str]) -> FloatMatrix:
        """Encode texts: (n,) → (n, dim) float32 unit rows. A text without a word gets one fixed row."""
        if self._others is None:
            return self._english(texts)
        parts = [self._others.divide(text[:LONGEST]) for text in texts]
        out = self._english([text for text, _, _ in parts])
        for row, (_, count, words) in enumerate(parts):
            if words:
                out[row] = count * out[row] + len(words) * self._others.vector(words)
        return unit(out)
