"""NNN: what an item's nearest bank queries score on average is taken off its score."""

from __future__ import annotations

from mmr.arrays.affine import Affine
from mmr.arrays.reduce import top_products
from mmr.normalize.method import Array, Banks, Columns, Learned, Method, Params


class Nnn(Method):
    """s - alpha * mean of the item's `neighbours` largest cosines with the bank.

    "Nearest Neighbor Normalization Improves Multimodal Retrieval", Chowdhury et al. 2024, equation 2.
    More neighbours than the bank has count as all of it, which is GC.
    """

    wide = False

    def describe(self, vectors: Array, banks: Banks, learned: Learned, params: Params) -> Columns:
        """The mean of the largest cosines."""
        return {"mean": top_products(vectors, banks.queries, int(params["neighbours"])).mean(axis=1)}

    def affine(self, columns: Columns, params: Params) -> Affine:
        """Scale 1."""
        mean = columns["mean"]
        return Affine(mean * 0 + 1, -params["alpha"] * mean)
