"""Assign the items of a stream of hits to its queries."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from mmr.errors import BadItem, Reject, shown
from mmr.rerank.assign import assigned
from mmr.rerank.method import Note
from mmr.rerank.whole import held
from mmr.stream.records import Record, add_step

Capacity = Callable[[Mapping[str, Any]], Any]


class Wanted(NamedTuple):
    """How to assign.

    capacity  hit -> how many queries its item may have; None where the hit does not say, which is 1
    floor     a query stays without an item rather than take one at or under this score; None: it never does
              while one is left
    step      the line of `via`
    explain   hits say in `why` why they were chosen
    """

    capacity: Capacity
    floor: float | None
    step: str
    explain: bool = False


def assigned_hits(
    records: Iterable[Record], wanted: Wanted, reject: Reject, note: Note = print
) -> Iterator[Record]:
    """Yield queries with the one item that they are assigned, or none, in the order in which they came.

    The sum of the scores is the most that is possible; `assign` in the record says why a query has none. What
    ties does not depend on the order of the stream. Holds the whole stream, and says so.
    """
    stream = held(records, reject)
    queries = sorted(range(len(stream.records)), key=lambda place: stream.records[place]["id"])
    pairs = [(query, hit) for query in queries for hit in stream.records[query]["hits"]]
    sizes = _capacities(stream.records, wanted.capacity, reject)
    names = sorted(sizes)
    number = {name: place for place, name in enumerate(names)}
    place_of = {query: place for place, query in enumerate(queries)}
    found = assigned(
        np.array([place_of[query] for query, _ in pairs], np.int64),
        np.array([number[hit["id"]] for _, hit in pairs], np.int64),
        np.array([hit["score"] for _, hit in pairs], np.float64),
        np.array([sizes[name] for name in names], np.int64), wanted.floor,
    )  # fmt: skip
    chosen = {pairs[edge][0]: pairs[edge][1] for edge in found.edges.tolist()}
    total = sum(float(hit["score"]) for hit in chosen.values())
    note(
        f"{len(chosen):,} of {len(stream.records):,} queries have an item, scores add up to {total:.6g}. "
        f"Held: {stream.hits:,} hits; the largest component has {found.rows:,} queries and "
        f"{found.columns:,} items, {found.bytes / 1e6:,.1f} MB."
    )
    for place, record in enumerate(stream.records):
        yield _written(record, chosen.get(place), wanted)
    yield from stream.eof


def _capacities(records: Sequence[Record], capacity: Capacity, reject: Reject) -> dict[str, int]:
    """How many queries each item may have, as the first hit that says it; one that says it wrongly is
    nobody's."""
    found: dict[str, int] = {}
    said: set[str] = set()
    for record in records:
        for hit in record["hits"]:
            name = hit["id"]
            size = None if name in said else capacity(hit)
            if size is None:
                found.setdefault(name, 1)
                continue
            said.add(name)
            found[name] = size if type(size) is int and size >= 0 else 0
            if found[name] is not size:
                where = f"{record.place or shown(record['id'])}, hit {shown(name)}"
                what = f"its capacity {shown(str(size))!r} is no whole number of 0 or more"
                reject(BadItem(where, what, "nobody gets it", stage="rerank"))
    return found


def _written(record: Record, hit: Mapping[str, Any] | None, wanted: Wanted) -> Record:
    hits = record["hits"]
    rank = next((rank for rank, one in enumerate(hits, 1) if one is hit), 0)
    if hit is None:
        reason = "it has no hits" if not hits else "all that it wants went to other queries"
        if wanted.floor is not None and hits and not hits[0]["score"] > wanted.floor:
            reason = f"no hit is above {wanted.floor:g}"
        record["hits"] = []
    else:
        reason = "its first choice" if rank == 1 else f"choice {rank}; those before it went to other queries"
        chosen = {name: value for name, value in hit.items() if name != "why"}
        chosen |= {"score": np.float32(hit["score"]), "prev_score": hit["score"], "prev_rank": rank}
        record["hits"] = [{**chosen, **({"why": reason} if wanted.explain else {})}]
    record["assign"] = {"of": len(hits), "reason": reason}
    add_step(record, wanted.step)
    return record
