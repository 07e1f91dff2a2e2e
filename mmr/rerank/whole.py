"""Methods that look at a whole stream of hits at once: its records, checked and held."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from mmr.errors import BadItem, Reject, shown
from mmr.stream.order import ranked
from mmr.stream.pipe import is_new
from mmr.stream.records import Record


class Held(NamedTuple):
    """Records in their order, their hits best first; `hits` counts those, `eof` has the ends."""

    records: list[Record]
    hits: int
    eof: list[Record]


def held(records: Iterable[Record], reject: Reject, needless: Iterable[str] = ()) -> Held:
    """Read a stream whole; what has no hits with scores, or an id for the second time, goes to `reject`.

    needless  fields that are dropped, as they would only be held
    """
    found: list[Record] = []
    ends: list[Record] = []
    seen: set[str] = set()
    dropped = tuple(needless)
    for record in records:
        if record.get("eof") is True:
            ends.append(record)
            continue
        if not is_new(record, seen, reject, "rerank"):
            continue
        problem = unfit(record)
        if problem is not None:
            where = str(record.place or shown(record["id"]))
            reject(BadItem(where, *problem, stage="rerank", record=record))
            continue
        for name in dropped:
            record.pop(name, None)
        record["hits"] = ranked(record["hits"])
        found.append(record)
    return Held(found, sum(len(record["hits"]) for record in found), ends)


def unfit(record: Record) -> tuple[str, str] | None:
    """What is wrong with the hits of a query, and what to do; None where each has a score and comes once."""
    if "hits" not in record:
        return "has no hits", "`mmr query` gives them"
    hits = record["hits"]
    if any(hit.get("score") is None or hit["score"] != hit["score"] for hit in hits):
        return "a hit has no score", "`mmr query` gives them"
    if len({hit["id"] for hit in hits}) < len(hits):
        return "an item is a hit twice", "give each item one hit"
    return None
