"""Sinkhorn over gallery and bank: every item gets the same share of the bank's queries."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain

import numpy as np

from mmr.arrays.affine import Affine
from mmr.arrays.reduce import log_mean_exp
from mmr.normalize.method import Array, Banks, Blocks, Columns, Learned, Method, Params, cut


class Sinkhorn(Method):
    """s + tau u: u is the item's potential once rows and columns of exp(B / tau) sum to the same.

    "Hubness Reduction with Dual Bank Sinkhorn Normalization", Pan et al. 2024, one bank: from v = 0, repeat
    u_j = -log mean_i exp(B_ij / tau + v_i) and v_i = -log mean_j exp(B_ij / tau + u_j). Their uniform
    marginals add the same to all u, and with means in place of sums the score stays near the cosine.
    """

    def learn(self, blocks: Blocks, banks: Banks, params: Params) -> Learned:
        """The bank's potentials (m,) from which the last u is computed."""
        bank, tau = banks.queries, params["tau"]
        potential = np.zeros(len(bank))
        for _ in range(int(params["iterations"]) - 1):
            total, count = np.full(len(bank), -np.inf), 0
            for block in cut(self.rows(blocks, banks), len(bank)):
                scores = (block @ bank.T).astype(np.float64) / tau
                own = -log_mean_exp(scores + potential, 1.0)
                total = np.logaddexp(total, _log_sum(scores + own[:, None]))
                count += len(block)
            potential = np.log(max(count, 1)) - total
        return {"potential": potential}

    def rows(self, blocks: Blocks, banks: Banks) -> Iterable[Array]:
        """The items that are balanced: those of the gallery."""
        return blocks()

    def describe(self, vectors: Array, banks: Banks, learned: Learned, params: Params) -> Columns:
        """The item's potential."""
        tau = params["tau"]
        scores = (vectors @ banks.queries.T).astype(np.float64) / tau
        return {"potential": -tau * log_mean_exp(scores + learned["potential"], 1.0)}

    def affine(self, columns: Columns, params: Params) -> Affine:
        """Scale 1."""
        potential = columns["potential"]
        return Affine(potential * 0 + 1, potential)


class Dbsn(Sinkhorn):
    """Sinkhorn over gallery and bank of items together, so that a small gallery is not balanced by itself.

    "Hubness Reduction with Dual Bank Sinkhorn Normalization", Pan et al. 2024, both banks: the bank of items
    adds rows to the matrix, and the potentials of the gallery's rows are kept.
    """

    def rows(self, blocks: Blocks, banks: Banks) -> Iterable[Array]:
        """The gallery, then the bank of items."""
        assert banks.gallery is not None
        return chain(blocks(), [banks.gallery])


def _log_sum(scores: Array) -> Array:
    """log(sum(exp)) of each column (n, m)."""
    most = scores.max(axis=0)
    found: Array = most + np.log(np.exp(scores - most).sum(axis=0))
    return found
