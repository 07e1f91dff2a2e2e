"""TREC runs: `qid Q0 docid rank score tag`, one hit a line."""

from __future__ import annotations

import math
import re
from array import array
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from mmr.errors import BadDataError, Reject, shown
from mmr.stream.fields import bad, raw
from mmr.stream.order import ranked, shortest
from mmr.stream.records import Place, Record

TAG = "mmr"
# What C's isspace and Python's str.split take for a blank, other control characters, the sign itself, and
# two that would make the first line look like JSON or start with a byte order mark.
UNSAFE = re.compile(r"^[{\ufeff]|[\s\x00-\x20\x7f-\x9f%]")
ESCAPED = re.compile(rb"%([0-9A-Fa-f]{2})")


def encoded(name: str) -> str:
    """Return the id with blanks, control characters and `%` percent-encoded as UTF-8.

    >>> encoded("a b%")
    'a%20b%25'
    """
    return UNSAFE.sub(lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode()), name)


def decoded(name: str) -> str:
    """Undo `encoded`. Raises `ValueError` (not UTF-8) for what it never writes.

    >>> decoded("a%20b%25")
    'a b%'
    """
    if "%" not in name:
        return name
    return ESCAPED.sub(lambda found: bytes([int(found[1], 16)]), name.encode()).decode()


def run_lines(record: Mapping[str, Any]) -> str:
    """Return a query's hits as lines of a run, in the order of scores, ranks from 1.

    Scores are float32 in the fewest digits that read back the same. Raises `BadDataError` when the record has
    no hits field or a hit no score.
    """
    hits, query = record.get("hits"), record.get("id")
    if hits is None or query is None or any("score" not in hit for hit in hits):
        where = f"record {shown(str(query))}" if query is not None else "a record"
        raise BadDataError(
            f"{where} has no hits with scores, and a run holds nothing else", "Use --format jsonl."
        )
    name = encoded(query)
    return "".join(
        f"{name} Q0 {encoded(hit['id'])} {rank} {shortest(hit['score'])} {TAG}\n"
        for rank, hit in enumerate(ranked(hits), 1)
    )


def is_run(line: bytes) -> bool:
    """Tell whether a line is one of a run: six columns, a rank and a score in the right places."""
    columns = line.split()
    if len(columns) != 6:
        return False
    try:
        int(columns[3])
        float(columns[4])
    except ValueError:
        return False
    return True


def run_records(lines: Iterable[tuple[int, bytes]], source: str, reject: Reject) -> Iterator[Record]:
    """Yield one record a query, `{"id": qid, "hits": [{"id", "score"}, ...]}`, hits in the order of scores.

    lines   numbered; the lines of a query stand together, else `BadDataError`
    reject  gets lines that are no hit, and a second line of the same hit

    Percent-signs are decoded on lines that carry our own tag, and on no others.
    """
    done: set[str] = set()
    query, first, hits = None, 0, dict[str, float]()
    for number, line in lines:
        place = Place(source, number)
        try:
            name, hit, score = _columns(line)
        except ValueError as error:
            reject(bad(place, str(error), "a run has: query Q0 item rank score tag", raw(line)))
            continue
        if name != query:
            if query is not None:
                yield _query(query, hits, Place(source, first))
                done.add(query)
            if name in done:
                raise BadDataError(
                    f"{place}: the lines of query {shown(name)} do not stand together",
                    "Sort the run by its first column: `sort -s -k1,1`.",
                )
            query, first, hits = name, number, {}
        if hit in hits:
            reject(bad(place, f"{shown(hit)} came before for query {shown(name)}", "", raw(line)))
            continue
        hits[hit] = score
    if query is not None:
        yield _query(query, hits, Place(source, first))


def _query(name: str, hits: dict[str, float], place: Place) -> Record:
    found = ranked([{"id": hit, "score": score} for hit, score in hits.items()])
    return Record({"id": name, "hits": found}, place)


def _columns(line: bytes) -> tuple[str, str, float]:
    """Query, item and score of a line. Raises `ValueError` in words."""
    columns = line.split()
    if len(columns) != 6:
        raise ValueError(f"{len(columns)} columns, not 6")
    try:
        query, _, item, _, text, tag = (column.decode() for column in columns)
    except UnicodeDecodeError:
        raise ValueError("not UTF-8") from None
    try:
        score = float(text)
    except ValueError:
        raise ValueError(f"score {shown(text)} is not a number") from None
    if not math.isfinite(array("f", [score])[0]):
        raise ValueError(f"score {shown(text)} is not a finite float32")
    if tag != TAG:
        return query, item, score
    try:
        return decoded(query), decoded(item), score
    except UnicodeDecodeError:
        raise ValueError("percent-encoding that is not UTF-8") from None
