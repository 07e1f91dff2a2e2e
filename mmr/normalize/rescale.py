"""Put a scale on a stream of queries with hits, or bring a stream of vectors to length 1."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmr.arrays.scales import Scale
from mmr.arrays.unit import unit
from mmr.errors import BadItem, Reject, shown
from mmr.normalize.table import ScaleRow, scale
from mmr.stream.order import ranked
from mmr.stream.records import Record, add_step


def rescaled(records: Iterable[Record], row: ScaleRow, stream: bool, reject: Reject) -> Iterator[Record]:
    """Yield queries with their scores on another scale, in order; what has no scores goes to `reject`.

    stream  take the scale's figures over all hits of the stream, which is then held whole; else over the
            hits of each query
    """
    function = scale(row)
    whole: NDArray[np.float64] | None = None
    if stream:
        records = list(records)
        parts = [_scores(record) for record in records if _has_scores(record)]
        found = np.concatenate([np.empty(0), *parts])
        whole = found if len(found) else None
    for record in records:
        if record.get("eof") is True:
            yield record
            continue
        try:
            _rescale(record, row, function, whole)
        except BadItem as item:
            reject(item)
            continue
        add_step(record, f"normalize {row.name}{' over the stream' if stream else ''}")
        yield record


def _has_scores(record: Record) -> bool:
    return "hits" in record and all(hit.get("score") is not None for hit in record["hits"])


def _scores(record: Record) -> NDArray[np.float64]:
    return np.array([hit["score"] for hit in record["hits"]], np.float64)


def _rescale(record: Record, row: ScaleRow, function: Scale, whole: NDArray[np.float64] | None) -> None:
    where = str(record.place or shown(record["id"]))
    if not _has_scores(record):
        what = "a hit has no score" if "hits" in record else "has no hits"
        raise BadItem(where, what, "`mmr query` gives them", stage="normalize", record=record)
    record["hits"] = ranked(record["hits"])
    if not record["hits"]:
        return
    scores = _scores(record)
    try:
        found = function(scores, scores if whole is None else whole).astype(np.float32)
    except ValueError as error:
        fix = f"{row.name} is not for these scores"
        raise BadItem(where, str(error), fix, stage="normalize", record=record) from None
    pairs = zip(record["hits"], found, strict=True)
    record["hits"] = ranked({**hit, "score": score} for hit, score in pairs)


class Units:
    """Brings the vectors of a stream to length 1; `zeros` counts those that have no direction and stay."""

    def __init__(self) -> None:
        self.zeros = 0

    def of(self, records: Iterable[Record], reject: Reject) -> Iterator[Record]:
        """Yield the records with `vector`, `vectors` and `bindings` of length 1, in order.

        A record without any goes to `reject`.
        """
        for record in records:
            if record.get("eof") is True or record.get("keep") is True:
                yield record
                continue
            if not {"vector", "vectors", "bindings"} & set(record):
                where = str(record.place or shown(record["id"]))
                reject(BadItem(where, "has no vector", "`mmr embed` makes one", stage="normalize",
                               record=record))  # fmt: skip
                continue
            for name in {"vector", "vectors"} & set(record):
                record[name] = self._unit(record[name])
            if "bindings" in record:
                record["bindings"] = {name: self._unit(rows) for name, rows in record["bindings"].items()}
            record.pop("unit", None)
            add_step(record, "normalize l2")
            yield record

    def _unit(self, rows: NDArray[Any]) -> NDArray[np.float32]:
        wide = np.atleast_2d(rows)
        self.zeros += int((~wide.any(axis=1)).sum())
        return unit(wide).reshape(rows.shape)
