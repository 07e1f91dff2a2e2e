"""z-score of an item's scores, and mutual proximity: scores against the moments of both sides."""

from __future__ import annotations

import numpy as np

from mmr.arrays.affine import Affine
from mmr.normalize.method import Array, Banks, Blocks, Columns, Learned, Method, Params

LEAST = 1e-9  # a smaller standard deviation is rounding; the item then counts as if it were 1


class ZScore(Method):
    """(s - mean) / sd of the item's cosines with the bank (population sd)."""

    def describe(self, vectors: Array, banks: Banks, learned: Learned, params: Params) -> Columns:
        """Mean and standard deviation over the bank."""
        scores = vectors @ banks.queries.T
        mean = scores.mean(axis=1, dtype=np.float64)
        return {"mean": mean, "sd": _sd(scores.std(axis=1, dtype=np.float64))}

    def affine(self, columns: Columns, params: Params) -> Affine | None:
        """Scale 1 / sd."""
        return Affine(1 / columns["sd"], -columns["mean"] / columns["sd"])


class MutualProximity(ZScore):
    """log of the chance that both the query's and the item's other scores are lower, as independent normals.

    "Local and global scaling reduce hubs in space", Schnitzer et al. 2012: log Phi((s - mean_q) / sd_q) +
    log Phi((s - mean_j) / sd_j). The query's moments are those of its cosines with the whole gallery, from
    the gallery's mean and covariance, so that a cut list of hits gets the same as a whole one.
    """

    def learn(self, blocks: Blocks, banks: Banks, params: Params) -> Learned:
        """The gallery's mean (d,) and covariance (d, d)."""
        d = banks.queries.shape[1]
        count, total, squares = 0, np.zeros(d), np.zeros((d, d))
        for block in blocks():
            wide = block.astype(np.float64)
            count, total, squares = count + len(wide), total + wide.sum(axis=0), squares + wide.T @ wide
        mean = total / max(count, 1)
        return {"mean": mean, "covariance": squares / max(count, 1) - np.outer(mean, mean)}

    def affine(self, columns: Columns, params: Params) -> Affine | None:
        """None: the sum of two logarithms is not affine."""
        return None

    def corrected(
        self, scores: Array, columns: Columns, learned: Learned, params: Params, query: Array | None
    ) -> Array:
        """Both logarithms, added."""
        from scipy.special import log_ndtr

        mean, sd = _of_query(query, learned)
        found: Array = log_ndtr((scores - mean) / sd) + log_ndtr((scores - columns["mean"]) / columns["sd"])
        return found

    def most(
        self, score: float, columns: Columns, first: Columns, learned: Learned, params: Params,
        query: Array | None,
    ) -> float:  # fmt: skip
        """Both grow with the score: the query's own, and that of the item for which it is the highest."""
        from scipy.special import log_ndtr

        mean, sd = _of_query(query, learned)
        best = ((score - columns["mean"]) / columns["sd"]).max()
        return float(log_ndtr((score - mean) / sd) + log_ndtr(best))


def _of_query(query: Array | None, learned: Learned) -> tuple[float, float]:
    """Mean and standard deviation of a query's cosines with the whole gallery."""
    assert query is not None
    wide = query.astype(np.float64)
    variance = wide @ learned["covariance"] @ wide
    return float(wide @ learned["mean"]), float(_sd(np.sqrt(np.maximum(variance, 0))))


def _sd(sd: Array) -> Array:
    return np.where(sd > LEAST, sd, 1.0)
