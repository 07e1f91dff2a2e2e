"""What a kind finds of what the exact search finds, measured on the index itself and kept with it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from mmr.arrays.unit import unit
from mmr.errors import BadItem, Reject, UsageError, shown
from mmr.index import settings
from mmr.index.catalogue import TRAINED, change, write_meta
from mmr.index.reader import Index
from mmr.index.segments import write_structure
from mmr.index.settings import K
from mmr.index.structures import held_out, parts, queries_file, remove
from mmr.index.table import parse
from mmr.stream.records import Record, check_model

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from mmr.index.changer import Changer
    from mmr.index.table import Params

QUERIES = 1000
STEM = "trained-queries"


def keep_queries(
    changer: Changer, records: Iterable[Record], *, reject: Reject, model: str | None = None
) -> int:
    """Keep the first 1,000 queries in the index, in the place of others; recall is measured with them.

    model  what vectors without a model are of; returns how many were kept
    Queries without a vector of the index's length go to `reject`. Raises `BadDataError` for another model.
    """
    if not changer.content.single:
        if next(iter(records), None) is not None:
            assert changer.meta is not None
            raise UsageError(
                f"{changer.meta.kind} keeps no queries.",
                "Leave --tune-with out; its own items stand for them.",
            )
        return 0
    vectors = list(islice(_vectors(changer, records, reject, model), QUERIES))
    if not vectors:
        return 0
    block, old = np.stack(vectors).astype(np.float32), queries_file(changer)
    if old is not None and np.array_equal(np.load(changer.path / old, allow_pickle=False), block):
        return len(block)

    def write(file: Path) -> None:
        with open(file, "wb") as out:
            np.save(out, block, allow_pickle=False)

    written = write_structure(changer.path, STEM, "npy", write)
    with change(changer.connection):
        changer.connection.execute("DELETE FROM files WHERE name = ?", (old,))
        changer.connection.execute("DELETE FROM meta WHERE key = 'recall'")
        changer.add_files(TRAINED, [written])
    remove(changer, [old] if old else [])
    return len(block)


def _vectors(
    changer: Changer, records: Iterable[Record], reject: Reject, model: str | None
) -> Iterable[NDArray[np.floating]]:
    assert changer.meta is not None
    for record in records:
        vector = record.get("vector")
        if vector is None or len(vector) != changer.meta.dim or not np.any(vector):
            what = "has no vector" if vector is None else (
                f"{len(vector)} dimensions or only zeros, where the index has {changer.meta.dim}"
            )  # fmt: skip
            reject(BadItem(str(record.place), what, "embed it with the index's model", stage="read",
                           record=record))  # fmt: skip
            continue
        stated = record.get("model") or model
        check_model(
            changer.meta.model, stated or ("no stated model" if changer.meta.model else None),
            expected_by=changer.path.name, found_by=str(record.place),
            fix=f"Embed the queries with --model-of {shown(str(changer.path))}, or say --model.",
        )  # fmt: skip
        yield unit(vector[None])[0] if record.get("unit", True) else vector


def measure(changer: Changer, wanted: float | None = None) -> None:
    """Measure the recall of an index that has structures and no figure yet, and commit it.

    Rows that training did not use, and the queries that the index keeps, ask for their 10 nearest, by the
    kind and exactly. Where a recall is `wanted` now, or the index was tuned to one before, what a search can
    be told is walked too, with the queries if there are some, and the fastest that gives it is kept.
    """
    assert changer.meta is not None
    connection = changer.connection
    have = connection.execute("SELECT 1 FROM meta WHERE key = 'recall'").fetchone() and wanted is None
    structures = connection.execute("SELECT 1 FROM files WHERE segment > 0 AND name NOT LIKE '%.npy'")
    if parse(changer.meta.kind)[0].exact:
        return
    if have or structures.fetchone() is None or sum(part.live for part in parts(changer)) <= K:
        return
    before = settings.tuned(connection)
    wanted = before[0] if wanted is None and before is not None else wanted
    with Index(changer.path) as index:
        rows, queries = _rows(index, held_out(changer)), _kept(changer)
        table, exact = ([], None) if wanted is None else settings.walk(index, queries or rows)
        best = settings.choose(table, wanted).knobs if wanted is not None else {}
        found: dict[str, Any] = {"k": K, "rows": len(rows), "of_rows": measured(index, rows, best)}
        if queries:
            found |= {"queries": len(queries), "of_queries": measured(index, queries, best)}
    if exact is not None:
        found |= {"table": table, "exact": exact.seconds}
    meta = replace(changer.meta, params={**changer.meta.params, **best})
    with change(connection):
        connection.execute("INSERT OR REPLACE INTO meta VALUES ('recall', ?)", (json.dumps(found),))
        if wanted is not None:
            settings.keep(connection, wanted, best)
            write_meta(connection, meta)
    changer.meta = meta


def _kept(changer: Changer) -> list[Record]:
    """The queries that the index keeps."""
    name = queries_file(changer)
    if name is None:
        return []
    kept = np.load(changer.path / name, allow_pickle=False)
    return [Record({"id": f"query {i}", "vector": vector}) for i, vector in enumerate(kept)]


def _rows(index: Index, places: list[tuple[int, int]]) -> list[Record]:
    """Rows (segment number, row) as queries that leave themselves out."""
    segments, content = {segment.number: segment for segment in index.segments()}, index.content
    records = []
    for number, row in places:
        name = index.ids(number, [row])[0]
        asked = content.of_row(segments[number], row)
        records.append(Record({"id": f"row of {name}", **asked, "exclude": [name]}))
    return records


def measured(index: Index, queries: list[Record], told: Params | None = None) -> float:
    """The share of the exact search's 10 hits that the kind finds, rounded to 4 places.

    told  parameters of a search, in the place of the index's
    """
    return settings.recall(index, queries, settings.truth(index, queries), told).recall
