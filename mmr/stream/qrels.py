"""Files of judgements: TREC, BEIR, M-BEIR and JSON maps, told apart by their first line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

from mmr.errors import BadDataError, shown
from mmr.stream.decimals import integers
from mmr.stream.records import kind
from mmr.stream.spans import PAD, Ints, Spans
from mmr.stream.trec_lines import LARGEST, column_error, numbered, utf8, whole
from mmr.stream.trec_scan import columns

BLOCK = 1 << 22  # bytes that are read at a time
FORMS = "Judgements are lines of query, 0, item, judgement, or BEIR's query, item, judgement between tabs."
QUERY_NAMES = frozenset({b"query-id", b"query_id", b"queryid", b"qid", b"query", b"topic"})
REL_NAMES = frozenset({b"score", b"rel", b"relevance", b"label", b"judgement", b"judgment"})


class Judgements(NamedTuple):
    """n judgements in the order of the file.

    query, item  ids, as UTF-8
    rel          (n,) int32
    line         (n,) number of each line, 0 of JSON
    column       of the item, from 1
    """

    source: str
    query: Spans
    item: Spans
    rel: NDArray[np.int32]
    line: Ints
    column: int

    def where(self, place: int) -> str:
        """Where a judgement stands, in words."""
        return f"line {self.line[place]}" if self.line[place] else "an item of the same list"

    def error(self, place: int, what: str) -> BadDataError:
        """The error of one judgement."""
        fix = "Each pair of a query and an item is judged once."
        if not self.line[place]:
            return BadDataError(f"{self.source}: {what}", fix)
        return column_error(self.source, int(self.line[place]), self.column, what, fix)


class Layout(NamedTuple):
    """How the columns of a file stand: between tabs alone or any blanks, and where they are, from 0."""

    tabs: bool
    columns: int
    item: int
    rel: int
    positive: bool = False


TREC = Layout(False, 4, 2, 3)
TREC_TABS = Layout(True, 4, 2, 3)
BEIR = Layout(True, 3, 1, 2)
BEIR_BLANKS = Layout(False, 3, 1, 2)
M_BEIR = Layout(False, 5, 2, 3, positive=True)


def parse_lines(data: bytes, source: str) -> Judgements:
    """Read lines of columns. Raises `BadDataError` naming line and column."""
    first = next((line for line in numbered(data, 1) if line[2][:1] != b"#"), None)
    if first is None:
        nothing = Spans.of([])
        return Judgements(source, nothing, nothing, np.empty(0, np.int32), np.empty(0, np.int64), 1)
    number, offset, text = first
    layout, header = layout_of(text.rstrip(b"\r"))
    if header:
        number, offset = number + 1, offset + len(text) + 1
    parts = []
    while offset < len(data):
        end = data.rfind(b"\n", offset, offset + BLOCK) + 1 or data.find(b"\n", offset) + 1 or len(data)
        piece = data[offset:end]
        parts.append(_scanned(piece, source, layout, number) or _plain(piece, source, layout, number))
        number, offset = number + piece.count(b"\n"), end
    return _joined(source, parts, layout)


def _joined(source: str, parts: list[Judgements], layout: Layout) -> Judgements:
    """The judgements of all parts, whose queries and items share a buffer in each, in one buffer."""
    buffers = [part.query.buffer for part in parts]
    shifts = np.cumsum([0, *map(len, buffers)])[: len(buffers)].tolist()
    buffer = np.concatenate([*buffers, np.zeros(PAD, np.uint8)])

    def moved(column: list[Ints]) -> Ints:
        moves = (places + shift for places, shift in zip(column, shifts, strict=True))
        return np.concatenate([np.empty(0, np.int64), *moves])

    query = Spans(
        buffer, moved([part.query.start for part in parts]), moved([part.query.end for part in parts])
    )
    item = Spans(buffer, moved([part.item.start for part in parts]), moved([part.item.end for part in parts]))
    rel = np.concatenate([np.empty(0, np.int32), *(part.rel for part in parts)])
    line = np.concatenate([np.empty(0, np.int64), *(part.line for part in parts)])
    return Judgements(source, query, item, rel, line, layout.item + 1)


def _plain(data: bytes, source: str, layout: Layout, line: int) -> Judgements:
    """Lines, one by one."""
    queries, items, rels, numbers = list[bytes](), list[bytes](), list[int](), list[int]()
    for number, _, text in numbered(data, line):
        if text[:1] == b"#":
            continue
        query, item, rel = _judgement(text.rstrip(b"\r"), layout, source, number)
        queries.append(query)
        items.append(item)
        rels.append(rel)
        numbers.append(number)
    both, count = Spans.of(queries + items), len(queries)
    found = Judgements(
        source, both.take(slice(count)), both.take(slice(count, None)), np.array(rels, np.int32),
        np.array(numbers, np.int64), layout.item + 1,
    )  # fmt: skip
    return _kept(found, layout)


def _scanned(data: bytes, source: str, layout: Layout, line: int) -> Judgements | None:
    """All lines at once; None where one of them needs to be read by itself.

    Between tabs alone ids may hold blanks, which the scan takes for columns too many.
    """
    if data[:1] == b"#" or b"\n#" in data:
        return None
    data = data.replace(b"\r\n", b"\n")
    buffer = np.frombuffer(data + b"\n" * PAD, np.uint8)
    found = columns(buffer, len(data), layout.columns)
    if found is None:
        return None
    start, ends = found
    if layout.tabs and (buffer[ends[:, :-1]] != ord("\t")).any():
        return None
    rel = integers(Spans(buffer, ends[:, layout.rel - 1] + 1, ends[:, layout.rel]))
    if rel is None:
        return None
    query = Spans(buffer, start, ends[:, 0])
    item = Spans(buffer, ends[:, layout.item - 1] + 1, ends[:, layout.item])
    lines = np.arange(line, line + len(start))
    return _kept(Judgements(source, query, item, rel.astype(np.int32), lines, layout.item + 1), layout)


def _kept(found: Judgements, layout: Layout) -> Judgements:
    """Those that count in this layout."""
    if not layout.positive:
        return found
    keep = found.rel > 0
    return found._replace(
        query=found.query.take(keep), item=found.item.take(keep), rel=found.rel[keep], line=found.line[keep]
    )


def layout_of(line: bytes) -> tuple[Layout, bool]:
    """Tell the layout of a file by its first line, and whether that line is a header."""
    cells, columns = line.split(b"\t"), line.split()
    header = len(columns) > 2 and columns[0].lower() in QUERY_NAMES and columns[-1].lower() in REL_NAMES
    if len(cells) == 3 and all(cells) and not (len(columns) == 4 and columns[1] in (b"0", b"Q0")):
        return BEIR, header
    if len(cells) == 4 and all(cells):
        return TREC_TABS, header
    if len(columns) == 3:
        return BEIR_BLANKS, header
    return (M_BEIR if len(columns) == 5 else TREC), header


def _judgement(text: bytes, layout: Layout, source: str, line: int) -> tuple[bytes, bytes, int]:
    columns = text.split(b"\t") if layout.tabs else text.split()
    if layout.tabs and len(columns) < layout.columns <= len(text.split()):
        columns = text.split()
    if len(columns) != layout.columns:
        many = f"{len(columns)} column{'s' if len(columns) > 1 else ''}"
        what = "missing" if len(columns) < layout.columns else "one too many"
        column = min(len(columns), layout.columns) + 1
        raise column_error(source, line, column, f"{what}, the line has {many}, not {layout.columns}", FORMS)
    query, item = columns[0], columns[layout.item]
    for column, name in ((1, query), (layout.item + 1, item)):
        if not name:
            raise column_error(source, line, column, "empty", FORMS)
        utf8(name, source, line, column)
    try:
        return query, item, whole(columns[layout.rel].strip())
    except ValueError as error:
        raise column_error(source, line, layout.rel + 1, str(error), FORMS) from None


def parse_json(data: bytes, source: str) -> Judgements:
    """Read an object of query -> list of relevant items, or of query -> item -> judgement.

    Items of lists may be numbers. Raises `BadDataError`.
    """
    try:
        found = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        where = f"{source} line {error.lineno}, column {error.colno}"
        raise BadDataError(
            f"{where}: not JSON", "Judgements in JSON are one object, {query: [items]}."
        ) from None
    queries, items, rels = list[bytes](), list[bytes](), list[int]()
    for query, judged in found.items():
        for item, rel in _pairs(query, judged, source):
            queries.append(query.encode())
            items.append(item.encode())
            rels.append(rel)
    values, lines = np.array(rels, np.int32), np.zeros(len(rels), np.int64)
    return Judgements(source, Spans.of(queries), Spans.of(items), values, lines, 1)


def _pairs(query: str, judged: Any, source: str) -> Iterator[tuple[str, int]]:
    where = f"{source}: query {shown(query)}"
    fix = "Write {query: [items]} or {query: {item: judgement}}."
    if isinstance(judged, list):
        for item in judged:
            if type(item) not in (str, int):
                raise BadDataError(f"{where}: an item is {kind(item)}, not a string", fix)
            yield str(item), 1
    elif isinstance(judged, dict):
        for item, rel in judged.items():
            if type(rel) is not int or abs(rel) > LARGEST:
                raise BadDataError(f"{where}: the judgement of {shown(item)} is no whole number", fix)
            yield item, rel
    else:
        raise BadDataError(f"{where} has {kind(judged)}, not a list of items", fix)
