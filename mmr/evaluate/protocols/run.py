"""What a protocol asks of a run before it is scored: which queries it has, and its plain rankings."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import orjson

from mmr.errors import BadDataError, BadItem
from mmr.stream.compressed import open_input
from mmr.stream.read import read_records
from mmr.stream.trec import decoded, is_run

FIRST_ID = re.compile(rb'\{\s*"id"\s*:\s*("(?:[^"\\]|\\.)*")')


def is_ranking(path: str) -> bool:
    """Tell a run, or hits, from annotation files, by its first line; standard input is a run."""
    if path == "-":
        return True
    if not Path(path).is_file():
        return False
    with open_input(path) as file:
        line = next((line for line in file if not line.isspace()), b"").removeprefix(b"\xef\xbb\xbf")
    return is_run(line) or (line.lstrip().startswith(b"{") and b'"hits"' in line)


def asked(run: str) -> set[str]:
    """The ids of the queries of a run or of hits, read from the front of each line.

    What cannot be read is passed over here: scoring names it.
    """
    found: set[str] = set()
    with open_input(run) as file:
        for line in file:
            if line.lstrip().startswith(b"{"):
                query = _of_record(line)
            else:
                query = line.partition(b"\t" if b"\t" in line else b" ")[0].decode(errors="replace")
            if query:
                found.add(query)
                if line.rstrip().endswith(b" mmr"):
                    found.add(_decoded(query))
    return found


def _decoded(query: str) -> str:
    try:
        return decoded(query)
    except ValueError:
        return query


def _of_record(line: bytes) -> str | None:
    start = FIRST_ID.match(line.lstrip())
    try:
        name = orjson.loads(start[1]) if start else orjson.loads(line).get("id")
    except (orjson.JSONDecodeError, AttributeError):
        return None
    return name if isinstance(name, str) else None


def rankings(run: str) -> Iterator[tuple[str, Sequence[str]]]:
    """Yield each query with the ids of its hits, best first; hits in the order of their list.

    Raises `BadDataError` for the first line that is no record.
    """

    def refuse(item: BadItem) -> None:
        raise BadDataError(f"{item.where}: {item.what}", item.fix)

    for record in read_records([run], reject=refuse, vectors=False):
        yield record["id"], [hit["id"] for hit in record.get("hits", ())]
