"""Score hits by several vectors of each: tokens, patches, frames, in the `vectors` of records and hits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmr.arrays.frames import frames, lengthened
from mmr.arrays.maxsim import maxsim
from mmr.arrays.ragged import Ragged, stacked
from mmr.arrays.transport import Carried, conditional, optimal
from mmr.arrays.xtr import xtr
from mmr.errors import BadItem
from mmr.rerank.method import Answer, Given, Method

MISSING = 'has no "vectors"'
NAMED = 3  # pairs that --explain names


class Many(Method):
    """A method of hits of several vectors; they are gathered for one query at a time, since they are many."""

    BATCH = 1


class MaxSim(Many):
    """The row `maxsim`."""

    def rerank(self, given: Given) -> Answer:
        """Score each hit by its best vector for each of the query's. Raises `BadItem` without vectors."""
        query, held, documents = _both(given)
        scores = np.full(len(given.hits), np.nan)
        scores[held] = maxsim(query, documents, mean=self.params["mean"])[0]
        why = _why(given, held, [_pairs(documents[i], query[0]) for i in range(len(held) * given.explain)])
        return Answer(scores, failed=_missing(given, held), why=why)


class Xtr(Many):
    """The row `xtr`."""

    def rerank(self, given: Given) -> Answer:
        """Score each hit by those of its vectors that were near. Raises `BadItem` without vectors."""
        query, held, documents = _both(given)
        if not held:
            return Answer(np.full(len(given.hits), np.nan), failed=_missing(given, held))
        products = query[0].astype(np.float64) @ _wide(documents).T
        owner = np.repeat(np.arange(len(held)), documents.counts())
        near = min(self.params["near"], products.shape[1])
        first = np.argsort(-products, axis=1, kind="stable")[:, :near]
        best = np.take_along_axis(products, first, axis=1)
        scores = np.full(len(given.hits), np.nan)
        scores[held] = best[:, -1].mean()
        found, score = xtr(owner[first], best)
        scores[np.array(held, np.int64)[found]] = score
        said = [f"near {int((owner[first] == i).sum())} times" for i in range(len(held))]
        return Answer(scores, failed=_missing(given, held), why=_why(given, held, said))


class Transport(Many):
    """The row `transport`."""

    def rerank(self, given: Given) -> Answer:
        """Score each hit by what it costs to carry the query to it. Raises `BadItem` without vectors."""
        query, held, documents = _both(given)
        scores = np.full(len(given.hits), np.nan)
        said: list[str] = []
        plans: list[Any] = [None] * len(given.hits)
        for number, place in enumerate(held):
            found = self._carried(query[0], documents[number])
            scores[place] = -found.cost
            said.append(_largest(found.plan))
            if self.params["plan"]:
                plans[place] = found.plan.round(6).tolist()
        fields = {"plan": plans} if self.params["plan"] else {}
        return Answer(scores, failed=_missing(given, held), why=_why(given, held, said), fields=fields)

    def _carried(self, query: NDArray[np.float32], document: NDArray[np.float32]) -> Carried:
        if self.params["method"] == "conditional":
            return conditional(query, document, self.params["temperature"])
        return optimal(query, document, self.params["beta"])


class Frames(Many):
    """The row `frames`."""

    def rerank(self, given: Given) -> Answer:
        """Score each hit by its frames and the query's one vector. Raises `BadItem` without vectors."""
        assert given.query is not None
        held, documents = _documents(given, len(given.query))
        pool, top, temperature = (self.params[name] for name in ("pool", "top", "temperature"))
        scores = np.full(len(given.hits), np.nan)
        scores[held] = frames(given.query, documents, pool, top, temperature)
        one = given.query[None]
        why = _why(given, held, [_best(documents[i], one) for i in range(len(held) * given.explain)])
        return Answer(scores, failed=_missing(given, held), why=why)


def _both(given: Given) -> tuple[Ragged, list[int], Ragged]:
    """The query's vectors, the places of the hits that have some, and theirs."""
    if given.rows is None:
        raise _bad(given, MISSING, "`mmr embed --tokens` gives it some; `mmr rerank frames` takes one vector")
    return _bags(given, [given.rows]), *_documents(given, given.rows.shape[1])


def _documents(given: Given, dim: int) -> tuple[list[int], Ragged]:
    """The places of the hits that have vectors, and these."""
    held = [place for place, hit in enumerate(given.hits) if given.bags is not None or "vectors" in hit]
    if given.hits and not held:
        fix = "name the index that they are from with --index, or give them to each hit"
        raise _bad(given, 'none of its hits has "vectors"', fix)
    documents = given.bags
    if documents is None:
        documents = _bags(given, [given.hits[place]["vectors"] for place in held])
    if held and documents.rows.shape[1] != dim:
        what = f"vectors of {dim} numbers, and those of its hits have {documents.rows.shape[1]}"
        raise _bad(given, what, "vectors of one model belong together")
    return held, documents


def _bags(given: Given, bags: Sequence[NDArray[np.float32]]) -> Ragged:
    try:
        return stacked(bags)
    except ValueError as error:
        raise _bad(given, str(error), "vectors of one model belong together") from None


def _wide(bags: Ragged) -> NDArray[np.float64]:
    """All rows of some items, (t, d) float64."""
    return np.asarray(bags.rows[:], np.float64)


def _bad(given: Given, what: str, fix: str) -> BadItem:
    return BadItem(given.where, what, fix, stage="rerank", record=given.record)


def _missing(given: Given, held: Sequence[int]) -> dict[int, str]:
    return dict.fromkeys(set(range(len(given.hits))) - set(held), MISSING)


def _why(given: Given, held: Sequence[int], said: Sequence[str]) -> list[str] | None:
    """A line of each hit, where lines are wanted."""
    if not given.explain:
        return None
    found = [MISSING] * len(given.hits)
    for place, line in zip(held, said, strict=True):
        found[place] = line
    return found


def _pairs(document: NDArray[np.float32], query: NDArray[np.float32]) -> str:
    """The pairs of MaxSim that add the most: "0 to 3: .912, 1 to 0: .833"."""
    products = query.astype(np.float64) @ document.astype(np.float64).T
    best = products.argmax(axis=1)
    kept = np.zeros(products.shape)
    kept[np.arange(len(query)), best] = products.max(axis=1)
    return _largest(kept)


def _best(document: NDArray[np.float32], query: NDArray[np.float32]) -> str:
    """The best frame: "frame 3 of 12: .913"."""
    cosines = (lengthened(query) @ lengthened(document).T)[0]
    return f"frame {cosines.argmax()} of {len(cosines)}: {cosines.max():.3f}"


def _largest(table: NDArray[np.float64]) -> str:
    """The largest numbers of a table that are above 0, and where they stand: query, then hit, from 0."""
    largest = np.argsort(-table, axis=None, kind="stable")[:NAMED]
    pairs = zip(*np.unravel_index(largest, table.shape), strict=True)
    return ", ".join(f"{i} to {j}: {table[i, j]:.3f}" for i, j in pairs if table[i, j] >= 0.0005)
