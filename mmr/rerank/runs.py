"""Runs that are fused: TREC or JSONL, read whole into columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from mmr.errors import BadDataError, BadItem, shown
from mmr.stream.compressed import open_input
from mmr.stream.fields import completed, usual_hits
from mmr.stream.ranking import order_by_score
from mmr.stream.records import Place, Record
from mmr.stream.spans import Ints, Spans, changes, joined
from mmr.stream.text import BOM, parsed
from mmr.stream.trec import is_run
from mmr.stream.trec_blocks import hits_of_queries

PART = "A fused ranking of part of a run would be a wrong one."


@dataclass(frozen=True)
class Run:
    """One run: n hits of its queries, and of JSONL the records whole.

    source   what the user calls the file
    queries  ids, in the order of the file
    query    (n,) which of them each hit is of
    items    (n,) ids
    score    (n,) float64; NaN where a hit of JSONL has none
    line     (n,) where each stands in the file
    records  of JSONL one a query; else None. The order of their hits is the ranking, and no score is needed
    """

    source: str
    queries: list[bytes]
    query: Ints
    items: Spans
    score: NDArray[np.float64]
    line: Ints
    records: list[Record] | None = None

    def __len__(self) -> int:
        return len(self.query)


def read_run(path: str) -> Run:
    """Read a run; `-` is standard input, gzip is unpacked, the first line tells the format.

    Raises `BadDataError` naming file and line for whatever is no hit, `MissingInputError` without the file.
    """
    source = "stdin" if path == "-" else shown(path)
    with open_input(path) as file:
        start: bytes = file.peek(1 << 16)  # type: ignore[attr-defined]
        first = start.removeprefix(BOM).lstrip().partition(b"\n")[0]
        return (
            _listed(file, source) if first.startswith(b"{") and not is_run(first) else _scored(file, source)
        )


def _scored(file: BinaryIO, source: str) -> Run:
    """A run of TREC; lines of a query may stand anywhere."""
    blocks = list(hits_of_queries(file, source))
    if not blocks:
        none = np.empty(0, np.int64)
        return Run(source, [], none, Spans.of([]), np.empty(0), none)
    query, items = joined([hits.query for hits in blocks]), joined([hits.item for hits in blocks])
    groups = changes(query)
    numbers: dict[bytes, int] = {}
    number = [numbers.setdefault(name, len(numbers)) for name in query.take(groups).strings()]
    counts = np.diff(np.append(groups, len(query)))
    of_hit = np.repeat(np.array(number, np.int64), counts)
    score = np.concatenate([hits.score for hits in blocks])
    line = np.concatenate([hits.line for hits in blocks])
    bad = np.flatnonzero(np.abs(score) > np.finfo(np.float32).max)
    if len(bad):
        raise BadDataError(f"{source} line {line[bad[0]]}, column 5: the score is not a finite float32", PART)
    return Run(source, list(numbers), of_hit, items, score, line)


def _listed(file: BinaryIO, source: str) -> Run:
    """JSONL of queries with hits."""
    records, seen = list[Record](), dict[bytes, int]()
    items, scores, counts, lines = list[str](), list[float](), list[int](), list[int]()
    for number, line in enumerate(file, 1):
        text = line.removeprefix(BOM) if number == 1 else line
        if not text or text.isspace():
            continue
        found = _record(text, Place(source, number))
        if found is None:
            continue
        record, names, values = found
        name = record["id"].encode()
        if name in seen:
            what = f"{record.place}: query {shown(record['id'])} came before (line {seen[name]})"
            raise BadDataError(what, "Give each query one record.")
        seen[name] = number
        records.append(record)
        items += names
        scores += values
        counts.append(len(names))
        lines.append(number)
    size = np.array(counts, np.int64)
    query = np.repeat(np.arange(len(records)), size)
    score = np.array(scores, np.float64)
    return Run(source, list(seen), query, Spans.of_texts(items), score,
               np.repeat(np.array(lines, np.int64), size), records)  # fmt: skip


def _record(line: bytes, place: Place) -> tuple[Record, list[str], list[float]] | None:
    """A query with the ids and scores of its hits; None at the end of a stream."""
    try:
        record = completed(parsed(line, place), place, vectors=False)
    except BadItem as item:
        raise BadDataError(str(item), PART) from None
    if record.get("eof") is True:
        return None
    columns = usual_hits(record["hits"]) if "hits" in record else None
    if columns is None:
        what = f"{place}: query {shown(record['id'])} has no hits"
        raise BadDataError(what, "`mmr query` writes records with hits.")
    return record, *columns


def ranks(run: Run, number: Sequence[int] | Ints) -> tuple[Ints, Ints]:
    """Order the hits of a run by query and place; returns (order, rank from 1), both (n,).

    number  of each of its queries: what the hits are ordered by first

    By list in JSONL; else by score as float32 descending, then id descending by bytes.
    """
    group = np.asarray(number, np.int64)[run.query] if len(run.query) else run.query
    order: Ints = np.arange(len(group))
    if (group[1:] < group[:-1]).any():
        order = np.argsort(group, kind="stable")
    if run.records is None and len(group):
        by_score = order_by_score(
            run.score[order].astype(np.float32), group[order], run.items.take(order), "docid-desc"
        )
        order = order if by_score is None else order[by_score]
    ordered = group[order]
    begins = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])) if len(order) else order
    size = np.diff(np.append(begins, len(order)))
    return order, np.arange(len(order)) - np.repeat(begins, size) + 1


def twice(run: Run, hit: int, before: int) -> Any:
    """The error of an item that a run has twice for a query."""
    item, name = shown(run.items[hit].decode()), shown(run.queries[int(run.query[hit])].decode())
    what = f"{run.source} line {run.line[hit]}: {item} came before for query {name} (line {run.line[before]})"
    return BadDataError(what, "A ranking holds an item once.")
