"""Galleries, banks and queries that the tests of this room share, and a fit over blocks of any size."""

from __future__ import annotations

import numpy as np

from mmr.normalize.method import Banks, described
from mmr.normalize.table import checked, method

SEED = 7


def unit(seed: int, *shape: int, dtype=np.float64):
    """Random vectors with a common direction, so that there are hubs."""
    generator = np.random.default_rng(seed)
    x = generator.standard_normal(shape) + 0.5 * np.eye(shape[-1])[0]
    return (x / np.linalg.norm(x, axis=-1, keepdims=True)).astype(dtype)


def blocks_of(gallery, size: int):
    return lambda: (gallery[start : start + size] for start in range(0, len(gallery), size))


class Fit:
    """A method fitted to a gallery; calling it corrects the scores (q, n) of whole lists."""

    def __init__(self, name, gallery, bank, other=None, size=1_000_000, **params):
        self.row, self.method = method(name)
        self.params = checked(self.row, params)
        self.banks = Banks(bank, other)
        self.gallery = gallery
        blocks = blocks_of(gallery, size)
        self.learned = self.method.learn(blocks, self.banks, self.params)
        self.columns = described(self.method, blocks(), self.banks, self.learned, self.params)

    def __call__(self, queries):
        out = []
        for query in queries:
            scores = self.gallery @ query
            order = np.argsort(-scores, kind="stable")
            columns = {name: values[order] for name, values in self.columns.items()}
            found = np.empty(len(scores))
            found[order] = self.method.corrected(scores[order], columns, self.learned, self.params, query)
            out.append(found)
        return np.stack(out)
