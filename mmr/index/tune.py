"""Tune an index: measure what a search can be told, and keep what is fastest at the recall wanted."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any, NamedTuple

from mmr.errors import BadDataError, Reject, UsageError, raise_item, shown
from mmr.index import plan
from mmr.index.catalogue import Meta, translated
from mmr.index.check import writer
from mmr.index.memory import bytes_a_vector
from mmr.index.reader import Index
from mmr.index.recall import keep_queries, measure
from mmr.index.settings import K, Setting
from mmr.index.table import adapter
from mmr.stream.records import Record


class Tuned(NamedTuple):
    """What tuning found.

    meta       the index with what was chosen
    settings   all that was measured, fastest first
    exact      CPU seconds a query of the exact search
    asked      how many asked, and whether they were queries (else rows that training did not use)
    size       bytes a vector: of the vectors, and of the structure beside them
    """

    meta: Meta
    settings: list[Setting]
    exact: float
    asked: int
    by_queries: bool
    size: dict[str, float]


def tune(
    path: str | os.PathLike[str], wanted: float, *, queries: Iterable[Record] | None = None,
    wait: float = 0.0, reject: Reject = raise_item, model: str | None = None,
) -> Tuned:  # fmt: skip
    """Walk what a search of the index can be told; the fastest that finds `wanted` of the hits is kept.

    queries  that stand for those to come: they are kept; without them, and without earlier ones, rows that
             training did not use ask for their neighbours
    model    what queries without a model are of

    Raises `UsageError` for an index that is searched exactly, `BadDataError` where no query can be used,
    `MissingInputError` where there is no index,
    `BusyError` when another writer holds the lock.
    """
    with writer(path, wait) as changer, translated(changer.path):
        assert changer.meta is not None
        with Index(changer.path) as index:
            if index.meta.dim == 0:
                raise UsageError(f"{shown(str(path))} has nothing to tune: {index.meta.kind} is exact.")
            if all(segment.structure is None for segment in index.segments()):
                name, least = shown(str(path)), changer.meta.params.get("least")
                why = f"segments of fewer than {least:,} rows are" if least else f"{changer.meta.kind} is"
                if adapter(changer.meta.kind).suffix is None and not changer.content.single:
                    raise UsageError(f"{name} has nothing to tune: {changer.meta.kind} builds nothing.")
                other = (
                    f"`mmr index {name} --convert auto` chooses a kind, which is another one where it helps."
                )
                if not changer.content.single:
                    other = f"`mmr index {name} --convert {changer.meta.kind}:least=N` builds over fewer."
                raise UsageError(f"{name} has nothing to tune: {why} searched exactly.", other)
            if changer.meta.count <= K:
                raise UsageError(f"{shown(str(path))} has no more than {K} items: every search finds all.")
        if queries is not None and not keep_queries(changer, queries, reject=reject, model=model):
            raise BadDataError(
                "none of the queries can be used.", "Give some with vectors of the index's model."
            )
        measure(changer, wanted)
        plan.aim(changer.connection, wanted)
        with Index(changer.path) as index:
            found: dict[str, Any] = index.noted("recall") or {}
            table = sorted((Setting(*row) for row in found["table"]), key=lambda one: one.seconds)
            asked = found.get("queries", found["rows"])
            size = bytes_a_vector(index)
        return Tuned(changer.meta, table, found["exact"], asked, "queries" in found, size)
