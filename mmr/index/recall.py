"""What a kind finds of what the exact search finds, measured on the index itself and kept with it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from mmr.index.catalogue import change
from mmr.index.reader import Index
from mmr.index.search import Wanted, search
from mmr.index.structures import held_out, parts

if TYPE_CHECKING:
    from mmr.index.changer import Changer

K = 10


class Recall(NamedTuple):
    """Share of the k nearest that a search finds, over `queries` rows that were not trained on."""

    k: int
    queries: int
    share: float


def measure(changer: Changer) -> None:
    """Measure the recall of an index that has structures and no figure yet, and commit it.

    Rows that training did not use ask for their 10 nearest others, by the kind and exactly.
    """
    assert changer.meta is not None
    connection = changer.connection
    have = connection.execute("SELECT 1 FROM meta WHERE key = 'recall'").fetchone()
    structures = connection.execute("SELECT 1 FROM files WHERE segment > 0 AND name NOT LIKE '%.npy'")
    if have or structures.fetchone() is None or sum(part.live for part in parts(changer)) <= K:
        return
    with Index(changer.path) as index:
        found = measured(index, held_out(changer))
    with change(connection):
        connection.execute("INSERT INTO meta VALUES ('recall', ?)", (json.dumps(found._asdict()),))


def measured(index: Index, rows: list[tuple[int, int]]) -> Recall:
    """Search for the nearest others of rows (segment number, row) by the kind and exactly, and compare.

    A hit counts when it scores no less than the last exact one, so that equal pictures cost nothing.
    """
    from mmr.stream.records import Record

    vectors = {segment.number: segment.vectors for segment in index.segments()}
    queries = [
        Record({"id": index.ids(number, [row])[0], "vector": vectors[number][row]}) for number, row in rows
    ]
    wanted = Wanted(K, fields=(), exclude_self=True)
    truth = search(index, queries, wanted._replace(exact=True))
    pairs = zip(search(index, queries, wanted), truth, strict=True)
    found = sum(sum(hit["score"] >= exact[-1]["score"] for hit in mine) for mine, exact in pairs)
    return Recall(K, len(queries), round(found / sum(map(len, truth)), 4))
