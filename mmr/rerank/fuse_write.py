"""Fused rankings as records, or as lines of a run without a record each."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import orjson

from mmr.rerank.fuse import Fused
from mmr.rerank.runs import Run
from mmr.stream.order import shortest
from mmr.stream.records import Record
from mmr.stream.trec import TAG, encoded

QUERIES = 256  # whose lines are made at a time
SMALL, LARGE = 1e-4, 1e6  # scores between these are written without an exponent
SUSPECT = re.compile(r"[\s\x00-\x20\x7f-\x9f%{\ufeff]")


def run_lines(found: Fused, k: int | None = None) -> Iterator[bytes]:
    """Yield the lines of a run, many at a time; ids are encoded and scores written as in any run of ours."""
    for first in range(0, len(found.queries), QUERIES):
        last = min(first + QUERIES, len(found.queries))
        begin, end = int(found.start[first]), int(found.start[last])
        items = found.items.take(slice(begin, end)).texts()
        queries = [name.decode() for name in found.queries[first:last]]
        if SUSPECT.search("".join(items)) or SUSPECT.search("".join(queries)):
            items, queries = list(map(encoded, items)), list(map(encoded, queries))
        scores = _decimals(found, begin, end)
        lines: list[str] = []
        for number, query in enumerate(queries, first):
            low = int(found.start[number]) - begin
            high = int(found.start[number + 1]) - begin
            high = high if k is None else min(high, low + k)
            lines += [
                f"{query} Q0 {item} {rank} {score} {TAG}\n"
                for rank, (item, score) in enumerate(zip(items[low:high], scores[low:high], strict=True), 1)
            ]
        yield "".join(lines).encode()


def _decimals(found: Fused, begin: int, end: int) -> list[str]:
    """Scores in the fewest digits that read back the same, as `shortest` writes them."""
    part = found.score[begin:end]
    if not len(part):
        return []
    words = orjson.dumps(part, option=orjson.OPT_SERIALIZE_NUMPY)[1:-1].decode().split(",")
    out = [word.removesuffix(".0") for word in words]
    size = np.abs(part)
    for place in np.flatnonzero((size < SMALL) & (size > 0) | (size >= LARGE)).tolist():
        out[place] = shortest(float(part[place]))
    return out


def records(
    runs: Sequence[Run], found: Fused, step: str, k: int | None = None, explain: bool = False
) -> Iterator[Record]:
    """Yield one record a query. What runs in JSONL know of queries and hits comes along.

    Where they say different things, the value that is first as JSON text is taken, whatever run it is of.
    """
    known = [_known(run) for run in runs]
    names = [run.source for run in runs]
    for number, query in enumerate(found.queries):
        begin, end = int(found.start[number]), int(found.start[number + 1])
        last = end if k is None else min(end, begin + k)
        mine = [one[query] for one in known if query in one]
        record = Record(
            {"id": query.decode(), **_merged([_without(one, "hits", "via", "id") for one in mine])}
        )
        told = sorted(dict.fromkeys(tuple(one.get("via", ())) for one in mine))
        record["via"] = [*(line for lines in told for line in lines), step]
        fields = _fields(mine)
        record["hits"] = [_hit(found, place, fields, names, explain) for place in range(begin, last)]
        yield record


def _known(run: Run) -> dict[bytes, Record]:
    return {} if run.records is None else dict(zip(run.queries, run.records, strict=True))


def _fields(mine: Sequence[Record]) -> dict[str, dict[str, Any]]:
    """What the records know of their hits."""
    held: dict[str, list[dict[str, Any]]] = {}
    for record in mine:
        for hit in record["hits"]:
            held.setdefault(hit["id"], []).append(hit)
    gone = ("id", "score", "prev_score", "prev_rank", "why")
    return {name: _merged([_without(hit, *gone) for hit in hits]) for name, hits in held.items()}


def _without(fields: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name not in names}


def _merged(several: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One set of fields out of several; the order of the sets does not matter."""
    if not several or all(one == several[0] for one in several[1:]):
        return several[0] if several else {}
    names = sorted({name for one in several for name in one})
    return {name: min((one[name] for one in several if name in one), key=orjson.dumps) for name in names}


def _hit(
    found: Fused, place: int, fields: Mapping[str, dict[str, Any]], names: Sequence[str], explain: bool
) -> dict[str, Any]:
    """One fused hit, with its best place in a run and the score that it had there."""
    name = found.items[place].decode()
    places, values = found.rank[place].tolist(), found.value[place].tolist()
    had = [one for one in zip(places, values, names, strict=True) if one[0]]
    best = min(rank for rank, _, _ in had)
    scores = [value for rank, value, _ in had if rank == best and value == value]
    hit = {"id": name, "score": found.score[place], **fields.get(name, {})}
    hit |= {"prev_score": max(scores)} if scores else {}
    hit["prev_rank"] = best
    if explain:
        hit["why"] = ", ".join(f"place {rank} in {run}" for rank, run in sorted((r, n) for r, _, n in had))
    return hit
