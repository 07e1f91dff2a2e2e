"""NICDM: distances measured in units of an item's own neighbourhood."""

from __future__ import annotations

import numpy as np

from mmr.arrays.affine import Affine
from mmr.arrays.reduce import top_products
from mmr.normalize.method import Array, Banks, Columns, Learned, Method, Params

LEAST = 1e-6  # the smallest neighbourhood: an item that has the same vector as its bank queries


class Nicdm(Method):
    """(s - 1) / mean distance of the `neighbours` nearest bank queries, a distance being sqrt(2 - 2 s).

    "Local and global scaling reduce hubs in space", Schnitzer et al. 2012: d / sqrt(mu_q mu_j), squared and
    without mu_q, which is the same for all items of a query.
    """

    wide = False

    def describe(self, vectors: Array, banks: Banks, learned: Learned, params: Params) -> Columns:
        """The mean distance."""
        scores = top_products(vectors, banks.queries, int(params["neighbours"]))
        return {"mean": np.maximum(np.sqrt(np.maximum(2 - 2 * scores, 0)).mean(axis=1), LEAST)}

    def affine(self, columns: Columns, params: Params) -> Affine:
        """Scale 1 / mean."""
        scale = 1 / columns["mean"]
        return Affine(scale, -scale)
