"""CSLS: scores against the neighbourhoods of both sides."""

from __future__ import annotations

from mmr.arrays.affine import Affine
from mmr.arrays.reduce import top_mean, top_products
from mmr.normalize.method import Array, Banks, Columns, Learned, Method, Params


class Csls(Method):
    """2 s - r(query) - r(item): r is the mean of the `neighbours` largest cosines with the other side.

    "Word Translation Without Parallel Data", Conneau et al. 2018, equation 5; r(item) over the bank.
    r(query) is over the hits at hand, which are its nearest items; it moves all hits alike.
    """

    wide = False

    def describe(self, vectors: Array, banks: Banks, learned: Learned, params: Params) -> Columns:
        """The mean of the largest cosines with the bank."""
        return {"mean": top_products(vectors, banks.queries, int(params["neighbours"])).mean(axis=1)}

    def affine(self, columns: Columns, params: Params) -> Affine:
        """Without r(query), which changes no order."""
        mean = columns["mean"]
        return Affine(mean * 0 + 2, -mean)

    def corrected(
        self, scores: Array, columns: Columns, learned: Learned, params: Params, query: Array | None
    ) -> Array:
        """With r(query)."""
        own = top_mean(scores[None], int(params["neighbours"]))
        return self.affine(columns, params).applied(scores) - own
