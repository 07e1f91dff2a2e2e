"""A correction folded into vectors with one more dimension, for indexes that know nothing of corrections."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from mmr.arrays.affine import Lift, asked, folded
from mmr.arrays.unit import SLACK as ROUNDED
from mmr.errors import BadDataError, BadItem, Reject, UsageError, shown
from mmr.normalize.bank import plain_model
from mmr.normalize.held import numbers_of
from mmr.normalize.method import Array
from mmr.normalize.state import State
from mmr.stream.pipe import batches
from mmr.stream.records import Record, add_step, check_model

BATCH = 1024
SLACK = 0.05  # how much longer than the longest row a later one may be
WAY = "export"


class Export:
    """Items become [scale g; shift / weight], queries [q; weight]: their product is the corrected score.

    state   what was fitted; its method is a scale and a shift an item
    weight  what the queries have in the last dimension; the same on both sides
    lift    one more dimension that gives all items one length, so that an index of distances finds the same
            order; the queries have 0 there
    bound   that length, from `measure`

    Raises `UsageError` for a method that is no scale and shift.
    """

    def __init__(self, state: State, *, weight: float = 1.0, lift: bool = False, name: str = "") -> None:
        if not state.row.affine:
            raise UsageError(
                f"{state.row.name} is not one scale and shift for every query, so that no vectors hold it",
                "Put it on hits with `mmr normalize apply`; nnn, csls, gc, is and others can be exported.",
            )
        self.state, self.weight, self.lift = state, weight, lift
        self.bound: float | None = None
        self._name = shown(name or "the fitted file")
        self._spread: list[NDArray[np.float64]] = []

    @property
    def model(self) -> str:
        """The name of the vectors, "SPEC~export#hash": those of items and queries that belong together."""
        spec, _, old = (self.state.model or "unknown").rpartition("#")
        words = f"{old}\0{self.state.step}\0{self.weight!r}\0{self.lift}"
        return f"{spec or old}~{WAY}#{blake2b(words.encode(), digest_size=6).hexdigest()}"

    @property
    def step(self) -> str:
        """The line for `via`."""
        more = f" lift={self.bound:g}" if self.bound is not None else " lift" if self.lift else ""
        return f"normalize export weight={self.weight:g}{more}: {self.state.step.removeprefix('normalize ')}"

    def measure(self, blocks: Iterable[Array]) -> None:
        """Find the bound of a lift: the longest of the items' rows and a little more."""
        longest = 0.0
        for block in blocks:
            wide = self._folded(block)
            longest = max(longest, float(np.square(wide, dtype=np.float64).sum(axis=1).max(initial=0)))
        self.bound = longest**0.5 * (1 + SLACK)

    def _folded(self, vectors: Array) -> NDArray[np.float64]:
        wide = np.asarray(vectors, np.float64)
        rows = folded(wide, numbers_of(self.state, wide), self.weight)
        return np.asarray(rows, np.float64)

    def items(self, records: Iterable[Record], reject: Reject) -> Iterator[Record]:
        """Yield items with their rows, in order. With a lift, `measure` comes first."""
        for batch in batches(records, BATCH):
            ready, vectors = self._ready(batch, reject)
            if not ready:
                continue
            rows = self._folded(vectors)
            self._spread.append(np.stack([rows[:, -1], np.square(rows[:, :-1]).sum(axis=1)], axis=1))
            if self.lift:
                assert self.bound is not None
                rows = np.asarray(Lift(self.bound).lifted(rows), np.float64)
            yield from self._named(ready, rows)

    def queries(self, records: Iterable[Record], reject: Reject) -> Iterator[Record]:
        """Yield queries with vectors that meet the items' rows, in order."""
        for batch in batches(records, BATCH):
            ready, vectors = self._ready(batch, reject)
            if ready:
                rows = asked(vectors, self.weight)
                yield from self._named(ready, asked(rows, 0.0) if self.lift else rows)

    def even_weight(self) -> float | None:
        """The weight with which the added dimension of the items spreads like the others."""
        if not self._spread:
            return None
        shift, squares = np.concatenate(self._spread).T
        usual = np.sqrt(squares.mean() / self.state.dim)
        spread = float(shift.std() * self.weight)
        return spread / float(usual) if usual > 0 and spread > 0 else None

    def _ready(self, batch: Iterable[Record], reject: Reject) -> tuple[list[Record], Array]:
        """The records that can be exported, and their vectors (n, d)."""
        ready: list[Record] = []
        for record in batch:
            if record.get("eof") is True:
                continue
            where = str(record.place or shown(record["id"]))
            check_model(self.state.model, plain_model(record.get("model")), expected_by=self._name,
                        found_by=where, fix="Fit with the model of these vectors.")  # fmt: skip
            vector = record.get("vector")
            if vector is None or len(vector) != self.state.dim or not np.any(vector):
                what = "has no vector that is not zero" if vector is None or not np.any(vector) else (
                    f"a vector of {len(vector)} numbers, but {self._name} has {self.state.dim}"
                )  # fmt: skip
                reject(BadItem(where, what, "embed it again", stage="normalize", record=record))
                continue
            ready.append(record)
        vectors = np.stack([_unit(record) for record in ready]) if ready else np.empty((0, self.state.dim))
        return ready, vectors

    def _named(self, records: list[Record], rows: Array) -> Iterator[Record]:
        for record, row in zip(records, rows.astype(np.float32), strict=True):
            record["vector"] = row
            record["unit"] = False
            record["model"] = self.model
            add_step(record, self.step)
            yield record


def _unit(record: Record) -> NDArray[np.float64]:
    """The vector as an index would search it: at length 1, where it is far from it and does not say so."""
    wide = np.asarray(record["vector"], np.float64)
    length = float(np.linalg.norm(wide))
    return wide / length if record.get("unit", True) and abs(length - 1) > ROUNDED else wide


def same_model(state: State, model: str | None, dim: int, index: str, name: str) -> None:
    """Raise `BadDataError` where an index is of another model or length than what was fitted."""
    check_model(state.model, model, expected_by=name, found_by=index, fix="Fit to this index.")
    if dim != state.dim:
        raise BadDataError(
            f"{shown(name)} is of {state.dim} dimensions, and {shown(index)} has {dim}", "Fit to this index."
        )
