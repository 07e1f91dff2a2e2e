"""Query expansion and feedback by vectors, and the guard against drift."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmr.errors import BadItem, UsageError, shown
from mmr.rerank.alike import products
from mmr.rerank.method import Answer, Floats, Given, Hit, Method, Tools
from mmr.stream.records import Record

Wide = NDArray[np.float64]
FIRST = 10  # how many first hits the guard compares
STEPS = (5, 3, 1)  # how much feedback is tried when more of it drifts
RRF = 60


def expanded(query: Floats, vectors: Floats, n: int, alpha: float = 0) -> Wide:
    """q + the first n hits, each times max(q . x, 0) ** alpha; alpha 0 is plain expansion (AQE).

    query (d,), vectors (m, d); returns (d,) float64, not of length 1 (Radenovic et al. 2018).
    """
    wide, first = np.asarray(query, np.float64), np.asarray(vectors[:n], np.float64)
    weights = np.ones(len(first)) if not alpha else np.maximum(first @ wide, 0) ** alpha
    found: Wide = wide + weights @ first
    return found


def rocchio(
    query: Floats, relevant: Floats, other: Floats, a: float = 1, b: float = 0.75, g: float = 0.15
) -> Wide:
    """a q + b mean(relevant) - g mean(other), (d,) float64; an empty side counts nothing (Rocchio 1971)."""
    found: Wide = a * np.asarray(query, np.float64)
    for rows, weight in ((relevant, b), (other, -g)):
        if len(rows):
            found = found + weight * np.asarray(rows, np.float64).mean(axis=0)
    return found


def feedback(query: Floats, vectors: Floats, n: int, a: float = 0.6, b: float = 0.4) -> Wide:
    """a q + b mean of the first n hits, (d,) float64: vector PRF (Li et al. 2021)."""
    return rocchio(query, vectors[:n], vectors[:0], a, b)


def averaged(query: Floats, vectors: Floats, n: int) -> Wide:
    """The mean of q and the first n hits, (d,) float64: average PRF (Li et al. 2021)."""
    found: Wide = np.vstack([query, vectors[:n]]).mean(axis=0, dtype=np.float64)
    return found


def unit(vector: Wide) -> Wide:
    """A vector at length 1; zeros stay."""
    length = float(np.sqrt(vector @ vector))
    return vector / length if length else vector


def overlap(scores: Floats, before: Floats, first: int = FIRST) -> float:
    """Share of the first hits of one scoring that are among the first of another; 1 of none."""
    first = min(first, len(scores))
    one, other = (set(np.argsort(-np.asarray(s), kind="stable")[:first].tolist()) for s in (scores, before))
    return len(one & other) / first if first else 1.0


def drifted(query: Floats, moved: Wide) -> float:
    """How far the query moved: 1 - its cosine to where it was, 0 of one that stayed."""
    return float(np.float32(max(0.0, 1 - float(moved @ np.asarray(query, np.float64)))))


def by_ranks(runs: Sequence[Floats]) -> Wide:
    """Reciprocal rank fusion, k = 60, of several scorings (m,) of the same hits."""
    total = np.zeros(len(runs[0]))
    for scores in runs:
        rank = np.empty(len(scores))
        rank[np.argsort(-np.asarray(scores), kind="stable")] = np.arange(1, len(scores) + 1)
        total += 1 / (RRF + rank)
    return total


class Expansion(Method):
    """A method that makes another query of the query and its first hits, and scores by that.

    A subclass says in `moved` what the query becomes with n hits of feedback.
    """

    def __init__(self, params: Mapping[str, Any], tools: Tools) -> None:
        super().__init__(params, tools)
        if params["research"] and params["guard"] == "fuse":
            raise UsageError("--research searches with one query, and --guard fuse makes several.",
                             "Take --guard overlap.")  # fmt: skip
        if params["research"] and tools.search is None:
            raise UsageError("--research searches the index again.", "Name it with --index.")

    def moved(self, given: Given, n: int) -> Wide:
        """The new query (d,), at any length."""
        raise NotImplementedError

    def judged(self, given: Given) -> bool:
        """Whether somebody said which hits are right, so that nothing has to be guarded."""
        return False

    def rerank(self, given: Given) -> Answer:
        """Score by the new query, unless it drifts too far."""
        assert given.query is not None and given.vectors is not None
        judged = self.judged(given)
        n, guard = int(self.params["n"]), "none" if judged else self.params["guard"]
        if not (n or judged) or not len(given.hits):
            return Answer(given.scores, record={"drift": 0.0})
        if guard == "fuse":
            return self._fused(given, n)
        tried = [n, *(step for step in STEPS if step < n)] if guard == "overlap" else [n]
        for count in tried:
            query = unit(self.moved(given, count))
            scores = given.vectors @ query
            if guard == "none" or overlap(scores, given.scores) >= self.params["overlap"]:
                return self._answer(given, query, scores, count, n)
        return Answer(given.scores, record={"drift": 0.0}, step="drifted: kept the first order")

    def _answer(self, given: Given, query: Wide, scores: Floats, count: int, n: int) -> Answer:
        assert given.query is not None
        drift = drifted(given.query, query)
        step = "" if count == n else f"drifted: feedback of {count}"
        if self.params["research"]:
            hits = self._search(query, given.record)
            new = [hit["score"] for hit in hits]
            said = [f"{score:.4f} to the query with feedback of {count} hits" for score in new]
            return Answer(new, hits, tail=False, record={"drift": drift}, why=said, step=step)
        why = self._why(given, query, count) if given.explain else None
        return Answer(scores, why=why, record={"drift": drift}, step=step)

    def _why(self, given: Given, query: Wide, count: int) -> list[str]:
        assert given.query is not None and given.vectors is not None
        own = given.vectors @ given.query.astype(np.float64)
        new = given.vectors @ query
        return [f"query {one:.4f}, with feedback of {min(count, len(own))} hits {two:.4f}"
                for one, two in zip(own.tolist(), new.tolist(), strict=True)]  # fmt: skip

    def _fused(self, given: Given, n: int) -> Answer:
        """The first order and those of less feedback, fused by their ranks."""
        assert given.vectors is not None and given.query is not None
        counts = [n, *(step for step in STEPS if step < n)]
        queries = [unit(self.moved(given, count)) for count in counts]
        scores = by_ranks([given.scores, *(given.vectors @ query for query in queries)])
        drift = drifted(given.query, queries[0])
        why = self._why(given, queries[0], n) if given.explain else None
        runs = ", ".join(map(str, sorted({0, *counts})))
        return Answer(scores, why=why, record={"drift": drift}, step=f"fused: feedback of {runs}")

    def _search(self, query: Wide, record: Record) -> Sequence[Hit]:
        assert self.tools.search is not None
        return self.tools.search(query.astype(np.float32)[None], [record], len(record["hits"]))[0]


class Aqe(Expansion):
    """The rows `aqe` and `alpha-qe`."""

    def moved(self, given: Given, n: int) -> Wide:
        """The query with the first n hits added."""
        assert given.query is not None and given.vectors is not None
        return expanded(given.query, given.vectors, n, self.params.get("alpha", 0))


class Prf(Expansion):
    """The row `prf`."""

    def moved(self, given: Given, n: int) -> Wide:
        """The query mixed with the mean of the first n hits."""
        assert given.query is not None and given.vectors is not None
        if self.params["average"]:
            return averaged(given.query, given.vectors, n)
        return feedback(given.query, given.vectors, n, self.params["a"], self.params["b"])


class Rocchio(Expansion):
    """The row `rocchio`: hits that the record calls relevant and irrelevant, else the first and the last."""

    def judged(self, given: Given) -> bool:
        """Whether the record has such lists."""
        return "relevant" in given.record or "irrelevant" in given.record

    def moved(self, given: Given, n: int) -> Wide:
        """The query moved towards some hits and away from others."""
        assert given.query is not None and given.vectors is not None
        a, b, g = (self.params[name] for name in ("a", "b", "g"))
        if self.judged(given):
            good, bad = (self._named(given, name) for name in ("relevant", "irrelevant"))
            return rocchio(given.query, good, bad, a, b, g)
        m, last = len(given.hits), int(self.params["last"])
        start = max(m - last, min(n, m))
        return rocchio(given.query, given.vectors[:n], given.vectors[start:], a, b, g)

    def _named(self, given: Given, name: str) -> Floats:
        """The vectors of the items that a list of the record names: of its hits, else of the index."""
        assert given.vectors is not None
        places = {hit["id"]: place for place, hit in enumerate(given.hits)}
        wanted = list(given.record.get(name, ()))
        inside = given.vectors[[places[one] for one in wanted if one in places]]
        others = [one for one in wanted if one not in places]
        if not others:
            return inside
        found = others[0] if self.tools.vectors_of is None else self.tools.vectors_of([others])[0]
        if isinstance(found, str):
            what = f"{shown(found)} of its {name!r} is neither a hit nor in {self.tools.gallery}"
            raise BadItem(
                given.where, what, "name the index with --index", stage="rerank", record=given.record
            )
        return np.vstack([inside, found])


def augmented(vectors: Floats, k: int, alpha: float | None = None) -> Wide:
    """Replace each hit by itself and its k nearest hits, weighted, at length 1 (DBA, Gordo et al. 2017).

    vectors (m, d); the j-th nearest weighs (k - j) / k, or with `alpha` max(cosine, 0) ** alpha.
    """
    wide = np.asarray(vectors, np.float64)
    cosines = products(wide)
    np.fill_diagonal(cosines, -np.inf)
    width = min(k, len(wide) - 1)
    if width < 1:
        return wide
    near = np.argsort(-cosines, axis=1, kind="stable")[:, :width]
    if alpha is None:
        weights = np.broadcast_to((k - np.arange(1.0, width + 1)) / k, near.shape)
    else:
        weights = np.maximum(np.take_along_axis(cosines, near, axis=1), 0) ** alpha
    mix = np.eye(len(wide))
    np.put_along_axis(mix, near, weights, axis=1)
    mixed = mix @ wide
    lengths = np.sqrt(np.einsum("md,md->m", mixed, mixed))[:, None]
    found: Wide = np.divide(mixed, lengths, out=mixed, where=lengths > 0)
    return found


class Dba(Method):
    """The row `dba`."""

    def rerank(self, given: Given) -> Answer:
        """Score the hits as their neighbours see them."""
        assert given.query is not None and given.vectors is not None
        k = int(self.params["neighbours"])
        if not k or len(given.hits) < 2:
            return Answer(given.scores)
        scores = augmented(given.vectors, k, self.params["alpha"]) @ given.query.astype(np.float64)
        own = given.vectors @ given.query.astype(np.float64)
        why = None
        if given.explain:
            why = [f"alone {one:.4f}, with its {min(k, len(own) - 1)} nearest hits {two:.4f}"
                   for one, two in zip(own.tolist(), scores.tolist(), strict=True)]  # fmt: skip
        return Answer(scores, why=why)
