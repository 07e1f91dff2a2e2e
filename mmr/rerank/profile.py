"""Results that fit a user's taste: centroids of what the user chose before (PerSRV, Chee et al. 2024)."""

from __future__ import annotations

from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmr.arrays.scales import minmax
from mmr.errors import BadDataError, BadItem, UsageError, raise_item, shown
from mmr.rerank.method import Answer, Floats, Given, Method, Tools

Wide = NDArray[np.float64]
MOST, EACH = 5, 10  # centroids at most, and past choices a centroid
ENOUGH = 20  # past choices from which on the taste counts in full
ROUNDS = 50


def without(rows: Floats, query: Floats) -> Wide:
    """Rows (n, d) without their part along the query (d,), at length 1: x - (x . q) q."""
    wide, axis = np.asarray(rows, np.float64), np.asarray(query, np.float64)
    found = wide - np.outer(wide @ axis, axis)
    lengths = np.sqrt(np.einsum("nd,nd->n", found, found))[:, None]
    out: Wide = np.divide(found, lengths, out=np.zeros_like(found), where=lengths > 1e-6)
    return out


def centroids(rows: Floats, count: int | None = None) -> tuple[Wide, Wide]:
    """Unit centroids (k, d) of rows (n, d) of length 1, and the share (k,) of the rows in each.

    k = min(5, n / 10 rounded up) unless given. Spherical k-means that starts with the row nearest to the
    mean and then always with the row farthest from those taken, so that nothing is random.
    """
    wide = np.asarray(rows, np.float64)
    k = min(MOST, ceil(len(wide) / EACH)) if count is None else min(count, len(wide))
    chosen = [int((wide @ wide.mean(axis=0)).argmax())]
    near = wide @ wide[chosen[0]]
    while len(chosen) < k:
        chosen.append(int(near.argmin()))
        near = np.maximum(near, wide @ wide[chosen[-1]])
    centres = wide[chosen]
    member = np.full(len(wide), -1)
    for _ in range(ROUNDS):
        new = (wide @ centres.T).argmax(axis=1)
        if (new == member).all():
            break
        member = new
        for c in range(k):
            total = wide[member == c].sum(axis=0)
            length = float(np.sqrt(total @ total))
            if length:
                centres[c] = total / length
    return centres, np.bincount(member, minlength=k) / len(wide)


def preference(vectors: Floats, centres: Wide, shares: Wide | None = None) -> Wide:
    """How near each of (m, d) is to a centroid: the most, or with shares their weighted sum; (m,)."""
    cosines = np.asarray(vectors, np.float64) @ centres.T
    found: Wide = cosines.max(axis=1) if shares is None else cosines @ shares
    return found


class Profile(Method):
    """The row `profile`."""

    def __init__(self, params: Any, tools: Tools) -> None:
        super().__init__(params, tools)
        self._common = None if params["history"] is None else _history(params["history"], tools)

    def rerank(self, given: Given) -> Answer:
        """Mix relevance with the nearness to what the user chose before."""
        assert given.query is not None and given.vectors is not None
        history = self._chosen(given)
        weight = self.params["weight"] * min(1, len(history) / ENOUGH)
        if not weight or not len(given.hits):
            return Answer(given.scores)
        centres, shares = centroids(without(history, given.query))
        taste = preference(without(given.vectors, given.query), centres,
                           shares if self.params["share"] else None)  # fmt: skip
        scores = (1 - weight) * minmax(given.scores, given.scores) + weight * minmax(taste, taste)
        of = "the taste" if len(centres) == 1 else f"the nearest of {len(centres)} tastes"
        why = [f"cosine {one:.4f} to {of}" for one in taste.tolist()]
        return Answer(scores, why=why if given.explain else None)

    def _chosen(self, given: Given) -> Floats:
        """The vectors of past choices: of the record's `history`, else of --history."""
        assert given.query is not None
        if "history" not in given.record:
            if self._common is None:
                raise BadItem(given.where, 'has no "history", and there is no --history', "",
                              stage="rerank", record=given.record)  # fmt: skip
            if len(self._common) and self._common.shape[1] != len(given.query):
                raise UsageError(f"--history has vectors of {self._common.shape[1]} numbers, and "
                                 f"{given.where} has {len(given.query)}.", "Use one model.")  # fmt: skip
            return self._common
        if self.tools.vectors_of is None:
            raise UsageError("the histories of the records name items.", "Name the index with --index.")
        found = self.tools.vectors_of([list(given.record["history"])])[0]
        if isinstance(found, str):
            raise BadItem(given.where, f"{shown(found)} of its history is not in {self.tools.gallery}", "",
                          stage="rerank", record=given.record)  # fmt: skip
        return found


def _history(path: str, tools: Tools) -> Floats:
    """The vectors of a file of past choices: records with vectors, or ids of the index."""
    from mmr.stream.read import read_records

    name = "stdin" if path == "-" else shown(path)
    records = list(read_records([path], reject=raise_item))
    if not records:
        return np.empty((0, 0))
    if all("vector" in record for record in records):
        if len({len(record["vector"]) for record in records}) > 1:
            raise BadDataError(f"{name} has vectors of several lengths", "Use one model.")
        return np.stack([record["vector"] for record in records])
    if tools.vectors_of is None:
        raise UsageError(f"{name} names items without their vectors.", "Name the index with --index.")
    found = tools.vectors_of([[record["id"] for record in records]])[0]
    if isinstance(found, str):
        raise BadDataError(f"{shown(found)} of {name} is not in {tools.gallery}", "Name its index.")
    return found
