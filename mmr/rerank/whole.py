"""Methods that look at a whole stream of hits at once: its records, checked and held."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from mmr.errors import BadItem, Reject, shown
from mmr.stream.order import ranked
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
        problem = _problem(record, seen)
        if problem:
            where = str(record.place or shown(record["id"]))
            reject(BadItem(where, *problem, stage="rerank", record=record))
            continue
        seen.add(record["id"])
        for name in dropped:
            record.pop(name, None)
        record["hits"] = ranked(record["hits"])
        found.append(record)
    return Held(found, sum(len(record["hits"]) for record in found), ends)


def _problem(record: Mapping[str, Any], seen: set[str]) -> tuple[str, str] | None:
    if "hits" not in record:
        return "has no hits", "`mmr query` gives them"
    hits = record["hits"]
    if any(hit.get("score") is None or hit["score"] != hit["score"] for hit in hits):
        return "a hit has no score", "`mmr query` gives them"
    if len({hit["id"] for hit in hits}) < len(hits):
        return "an item is a hit twice", "give each item one hit"
    if record["id"] in seen:
        return f"a second query with the id {shown(record['id'])!r}", "give each query its own id"
    return None
