"""GC: what the whole bank scores on average is taken off; also as a change of the query alone."""

from __future__ import annotations

import numpy as np

from mmr.arrays.affine import Affine
from mmr.normalize.method import Array, Banks, Blocks, Columns, Learned, Method, Params


class Gc(Method):
    """s - alpha * mean of the item's cosines with the bank, which is (q - alpha * mean of the bank) · g.

    "Cross Modal Retrieval with Querybank Normalisation", Bogolin et al. 2022, its baseline GC (alpha 1);
    "Test-Time Distribution Normalization", Zhou et al. 2023, ranks the same at lambda = alpha.
    """

    def learn(self, blocks: Blocks, banks: Banks, params: Params) -> Learned:
        """The mean of the bank (d,); the gallery is not needed."""
        return {"mean": banks.queries.mean(axis=0, dtype=np.float64)}

    def describe(self, vectors: Array, banks: Banks, learned: Learned, params: Params) -> Columns:
        """The cosine with the mean is the mean of the cosines."""
        return {"mean": vectors.astype(np.float64) @ learned["mean"]}

    def affine(self, columns: Columns, params: Params) -> Affine:
        """Scale 1."""
        mean = columns["mean"]
        return Affine(mean * 0 + 1, -params["alpha"] * mean)


def moved(query: Array, learned: Learned, params: Params) -> Array:
    """The query side: q - alpha * mean (d,) float64, not of length 1, to be searched as it is."""
    found: Array = query.astype(np.float64) - params["alpha"] * learned["mean"]
    return found
