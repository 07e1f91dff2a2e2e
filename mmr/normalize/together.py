"""Transductive methods: the scores of a whole batch of queries, corrected by each other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmr.arrays.reduce import log_mean_exp
from mmr.errors import BadDataError, BadItem, Reject, shown
from mmr.normalize.apply import is_correction
from mmr.normalize.table import TogetherRow, checked, loaded
from mmr.stream.order import ranked
from mmr.stream.records import Record, add_step

Array = NDArray[np.floating[Any]]
SLACK = 1e-3  # how far above 1 a cosine may be rounded


def dual_softmax(scores: Array, params: dict[str, float]) -> Array:
    """s times the softmax over the queries of beta s: scores (q, n) of all queries with all items.

    "Improving Video-Text Retrieval by Multi-Stream Corpus Alignment and Dual Softmax Loss", Cheng et al.
    2021, section 3.4.
    """
    beta = params["beta"]
    share = np.exp(beta * (scores - scores.max(axis=0)))
    found: Array = scores * share / share.sum(axis=0)
    return found


def batch_sinkhorn(scores: Array, params: dict[str, float]) -> Array:
    """s + tau u: u (n,) is the items' potential once every item gets as much of the batch as every other.

    Sinkhorn of mmr-fit(1), its bank the batch itself.
    """
    tau = params["tau"]
    wide = scores.T / tau
    queries: Array = np.zeros(len(scores))
    for _ in range(int(params["iterations"])):
        items = -log_mean_exp(wide + queries, 1.0)
        queries = -log_mean_exp((wide + items[:, None]).T, 1.0)
    return scores + tau * items


class Together:
    """A transductive method at work on a stream, which it holds whole; iterate over `of(records)`.

    queries, items  how many there were
    """

    def __init__(self, row: TogetherRow, values: dict[str, float], k: int | None = None) -> None:
        self.row, self.params, self.k = row, checked(row, values), k
        self.queries = self.items = 0

    def of(self, records: Iterable[Record], reject: Reject) -> Iterator[Record]:
        """Yield the queries, corrected, in order; what has no scores goes to `reject`.

        Raises `BadDataError` where two queries have hits of different items (the method needs the score of
        every query with every item), scores that are no cosines, and scores that were corrected before.
        """
        held = list(records)
        ready = [record for record in held if record.get("eof") is not True and _is_ready(record, reject)]
        if ready:
            names = sorted(hit["id"] for hit in ready[0]["hits"])
            scores = np.array([_row(record, names, ready[0]) for record in ready], np.float64)
            self.queries, self.items = scores.shape
            found = loaded(self.row.loads)(scores, self.params).astype(np.float32)
            for record, row in zip(ready, found, strict=True):
                self._put(record, dict(zip(names, row, strict=True)))
        kept = {id(record) for record in ready}
        yield from (record for record in held if record.get("eof") is True or id(record) in kept)

    def _put(self, record: Record, scores: dict[str, np.float32]) -> None:
        record["hits"] = ranked({**hit, "score": scores[hit["id"]]} for hit in record["hits"])[: self.k]
        values = " ".join(f"{name}={value:g}" for name, value in self.params.items())
        add_step(record, f"normalize {self.row.name} {values} transductive over {self.queries:,} queries")


def _is_ready(record: Record, reject: Reject) -> bool:
    where = str(record.place or shown(record["id"]))
    before = next((step for step in record.get("via", ()) if is_correction(step)), None)
    if before is not None:
        raise BadDataError(f"{where} was corrected before ({shown(before)})", "Correct what query gave.")
    hits = record.get("hits")
    if hits and all(hit.get("score") is not None for hit in hits):
        worst = max((float(hit["score"]) for hit in hits), key=abs)
        if abs(worst) > 1 + SLACK:
            raise BadDataError(f"{where}: the score {worst:g} is no cosine", "Divide logits by their scale.")
        return True
    what = "a hit has no score" if hits else "has no hits"
    reject(BadItem(where, what, "`mmr query` gives them", stage="normalize", record=record))
    return False


def _row(record: Record, names: list[str], first: Record) -> list[float]:
    """The scores of a query's hits, in the order of the items' names."""
    scores = {hit["id"]: float(hit["score"]) for hit in record["hits"]}
    if len(scores) != len(names) or not all(name in scores for name in names):
        where = str(record.place or shown(record["id"]))
        raise BadDataError(
            f"{where} has {len(scores):,} hits that are not the {len(names):,} of "
            f"{first.place or shown(first['id'])}: the score of every query with every item is needed",
            "Ask for all of them: `mmr query -k` as many as the index has items.",
        )
    return [scores[name] for name in names]
