"""Diffusion over the graph of the hits (Iscen et al. 2017), truncated to them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mmr.arrays.scales import minmax
from mmr.rerank.alike import products
from mmr.rerank.method import Answer, Floats, Given, Method

Wide = NDArray[np.float64]


def diffused(
    query: Floats, vectors: Floats, alpha: float = 0.9, gamma: float = 3, neighbours: int = 50,
    seeds: int = 10,
) -> Wide:  # fmt: skip
    """Return how much of the query's weight reaches each hit, (m,) float64.

    query (d,), vectors (m, d) of length 1. Edges are max(cosine, 0) ** gamma between hits that are among
    each other's `neighbours` nearest; the query starts at its `seeds` nearest hits. Solves
    (I - alpha W) f = y, W = D^-1/2 A D^-1/2, exactly.
    """
    wide, start = np.asarray(vectors, np.float64), np.asarray(query, np.float64)
    m = len(wide)
    edges = np.maximum(products(wide), 0) ** gamma
    np.fill_diagonal(edges, 0)
    if neighbours < m - 1:
        inside = np.zeros((m, m), np.bool_)
        np.put_along_axis(inside, np.argsort(-edges, axis=1, kind="stable")[:, :neighbours], True, axis=1)
        edges *= inside & inside.T
    degree = edges.sum(axis=1)
    scale = np.divide(1, np.sqrt(degree), out=np.zeros(m), where=degree > 0)
    own = wide @ start
    weights = np.maximum(own, 0) ** gamma
    weights[np.argsort(-own, kind="stable")[seeds:]] = 0
    found: Wide = np.linalg.solve(np.eye(m) - alpha * scale[:, None] * edges * scale, weights)
    return found


class Diffusion(Method):
    """The row `diffusion`."""

    def rerank(self, given: Given) -> Answer:
        """Score the hits by what reaches them, mixed with the first score."""
        assert given.query is not None and given.vectors is not None
        blend = self.params["blend"]
        if not blend or not len(given.hits):
            return Answer(given.scores)
        alpha, gamma = self.params["alpha"], self.params["gamma"]
        counts = int(self.params["neighbours"]), int(self.params["seeds"])
        reached = diffused(given.query, given.vectors, alpha, gamma, *counts)
        scores = reached
        if blend < 1:
            scores = (1 - blend) * minmax(given.scores, given.scores) + blend * minmax(reached, reached)
        why = [f"{one:.4g} of the query's weight reaches it" for one in reached.tolist()]
        return Answer(scores, why=why if given.explain else None)
