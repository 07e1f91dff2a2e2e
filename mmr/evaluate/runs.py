"""Rankings in: TREC runs and hits in JSONL, a block of whole queries at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, BinaryIO

import numpy as np

from mmr.errors import BadDataError, BadItem, shown
from mmr.evaluate.judged import Floats, Ints
from mmr.stream.fields import completed, usual_hits
from mmr.stream.records import Place
from mmr.stream.spans import Spans, changes, joined
from mmr.stream.text import BOM, parsed
from mmr.stream.trec import is_run
from mmr.stream.trec_blocks import hits_of_queries
from mmr.stream.trec_lines import Hits, column_error

HITS_HELD = 1 << 17  # of JSONL, in a block
QUERIES_HELD = 1 << 14


@dataclass(frozen=True)
class Rankings:
    """The hits of g whole queries.

    source   what the user calls the file
    queries  (g,) ids
    start    (g + 1,): hits start[i]:start[i + 1] are those of query i
    items    (n,) ids
    score    (n,) float64, NaN where a hit has none
    line     (n,) where each hit stands in the file; query_line (g,) where each query begins
    listed   the order of hits is the ranking; otherwise scores make it
    fields   name -> of each query its value or None
    among    of each query its candidates, or None
    """

    source: str
    queries: Spans
    start: Ints
    items: Spans
    score: Floats
    line: Ints
    query_line: Ints
    listed: bool = False
    fields: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    among: Sequence[Sequence[str] | None] | None = None

    def twice(self, hit: int, before: int) -> BadDataError:
        """The error of a hit whose item was a hit of the same query before."""
        query = int(np.searchsorted(self.start, hit, side="right")) - 1
        item, name = shown(self.items[hit].decode()), shown(self.queries[query].decode())
        fix = "A ranking holds an item once."
        if not self.listed:
            what = f"{item} came before for query {name} (line {self.line[before]})"
            return column_error(self.source, int(self.line[hit]), 3, what, fix)
        places = hit - int(self.start[query]) + 1, before - int(self.start[query]) + 1
        where = f"{self.source} line {self.line[hit]}"
        return BadDataError(f"{where}: hit {places[0]} of query {name}, {item}, is hit {places[1]} too", fix)


def read_rankings(
    file: BinaryIO, source: str, *, fields: Sequence[str] = (), renamed: Callable[[str], str] | None = None,
    whole: bool = False,
) -> Iterator[Rankings]:  # fmt: skip
    """Yield the rankings of a run, told apart by its first line: JSONL of hits or TREC.

    fields   of the query records, to be kept
    renamed  makes another id of each item's
    whole    reads a TREC run at once and puts the lines of a query together

    Memory is bounded by a block, or by the run with `whole`. Raises `BadDataError` naming file and line.
    """
    first = _first_line(file)
    found = (
        _listed(file, source, fields) if first.startswith(b"{") and not is_run(first)
        else _scored(file, source, whole)
    )  # fmt: skip
    for rankings in found:
        yield rankings if renamed is None else replace(rankings, items=_renamed(rankings.items, renamed))


def _renamed(items: Spans, renamed: Callable[[str], str]) -> Spans:
    return Spans.of_texts([renamed(item) for item in items.texts()])


def _first_line(file: BinaryIO) -> bytes:
    """The first line that is not blank, as far as it can be seen without reading."""
    start: bytes = file.peek(1 << 16)  # type: ignore[attr-defined]
    return start.removeprefix(BOM).lstrip().partition(b"\n")[0]


def _scored(file: BinaryIO, source: str, whole: bool) -> Iterator[Rankings]:
    if whole:
        held = list(hits_of_queries(file, source))
        if held:
            yield _rankings(_together(held), source)
        return
    for hits in hits_of_queries(file, source):
        yield _rankings(hits, source)


def _rankings(hits: Hits, source: str) -> Rankings:
    groups = changes(hits.query)
    start = np.append(groups, len(hits.query))
    return Rankings(
        source, hits.query.take(groups), start, hits.item, hits.score, hits.line, hits.line[groups]
    )


def _together(blocks: Sequence[Hits]) -> Hits:
    """All lines with those of a query side by side, else in their order."""
    query, item = joined([hits.query for hits in blocks]), joined([hits.item for hits in blocks])
    groups = changes(query)
    numbers: dict[bytes, int] = {}
    number = [numbers.setdefault(name, len(numbers)) for name in query.take(groups).strings()]
    counts = np.diff(np.append(groups, len(query)))
    order = np.argsort(np.repeat(np.array(number, np.int64), counts), kind="stable")
    score = np.concatenate([hits.score for hits in blocks])[order]
    line = np.concatenate([hits.line for hits in blocks])[order]
    return Hits(query.take(order), item.take(order), score, line, line)


class _Held:
    """Records of JSONL until they make a block."""

    def __init__(self, fields: Sequence[str]) -> None:
        self.queries: list[str] = []
        self.counts: list[int] = []
        self.lines: list[int] = []
        self.items: list[str] = []
        self.scores: list[float] = []
        self.fields: dict[str, list[Any]] = {name: [] for name in fields}
        self.among: list[Sequence[str] | None] = []

    def add(self, record: Mapping[str, Any], items: list[str], scores: list[float], line: int) -> None:
        self.queries.append(record["id"])
        self.counts.append(len(items))
        self.lines.append(line)
        self.items.extend(items)
        self.scores.extend(scores)
        for name, column in self.fields.items():
            column.append(record.get(name))
        self.among.append(record.get("among"))

    def rankings(self, source: str) -> Rankings:
        counts = np.array(self.counts, np.int64)
        start = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        lines = np.array(self.lines, np.int64)
        among = self.among if any(one is not None for one in self.among) else None
        queries, items = Spans.of_texts(self.queries), Spans.of_texts(self.items)
        scores = np.array(self.scores, np.float64)
        return Rankings(
            source, queries, start, items, scores, np.repeat(lines, counts), lines, True, self.fields, among
        )


def _listed(file: BinaryIO, source: str, fields: Sequence[str]) -> Iterator[Rankings]:
    held = _Held(fields)
    for number, line in enumerate(file, 1):
        if number == 1:
            line = line.removeprefix(BOM)
        if not line or line.isspace():
            continue
        record = _record(line, Place(source, number))
        if record is None:
            continue
        held.add(*record, number)
        if len(held.items) >= HITS_HELD or len(held.queries) >= QUERIES_HELD:
            yield held.rankings(source)
            held = _Held(fields)
    if held.queries:
        yield held.rankings(source)


def _record(line: bytes, place: Place) -> tuple[Mapping[str, Any], list[str], list[float]] | None:
    """The record of a line, its items and their scores; None of one that only marks the end of a stream."""
    try:
        found = parsed(line, place)
        if "error" in found and "stage" in found:
            why = shown(str(found["error"]))
            raise BadDataError(f"{place} was rejected: {why}", "Mend it and search again: it has no ranking.")
        columns = usual_hits(found["hits"]) if type(found.get("hits")) is list else None
        if columns is not None and "id" in found:
            del found["hits"]  # they are checked, and no id has to be made of them
        record = completed(found, place, vectors=False)
    except BadItem as item:
        raise BadDataError(str(item), "A measure over part of a file is a wrong number.") from None
    if record.get("eof") is True:
        return None
    if columns is None:
        raise BadDataError(
            f"{place}: query {shown(record['id'])} has no hits", "`mmr query` writes records with hits."
        )
    return record, *columns
