"""One batch of an upsert: records checked, vectors made ready, compared with what is stored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mmr.arrays.unit import SLACK, unit
from mmr.errors import BadDataError, BadItem, Reject, shown
from mmr.index.segments import as_stored
from mmr.stream.records import check_model, same_model

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from mmr.index.address import Address

ALL_ZEROS = "its vector is all zeros, which has no direction"
NOT_FINITE = "its vector holds a number that is infinite, not a number or too large"

Fields = Mapping[str, Any]


def where(record: Fields) -> str:
    """What the user can look up: the record's place in the input, else its id."""
    place = getattr(record, "place", None)
    return str(place) if place is not None else f"the record {shown(str(record.get('id', '?')))}"


def bad(record: Fields, what: str, fix: str) -> BadItem:
    """The error of one record that the index does not take."""
    return BadItem(where(record), what, fix, stage="index", record=record)


class Ready(NamedTuple):
    """Records that can be stored, and their vectors (n, d) as they will be read back, row i of record i."""

    records: list[Fields]
    vectors: NDArray[np.floating]


class Terms:
    """What an index takes: vectors of one model and of one dimension.

    model     "SPEC#hash" of the index, or None when it has none
    dim       d, or None before the first vector
    declared  what the user says (`--model`) vectors without a model are of
    """

    def __init__(
        self, index: Path | Address, model: str | None, dim: int | None, declared: str | None
    ) -> None:
        self.name = shown(index.name)
        self.path = shown(str(index))
        self.model = model
        self.dim = dim
        self.declared = declared
        self.is_new = dim is None
        if declared is not None and not self.is_new:
            check_model(
                model, declared, expected_by=self.name, found_by="--model",
                fix="Leave --model out, or put these vectors into an index of their own.",
            )  # fmt: skip
        self.model = model or declared
        self.trusted = False

    def check(self, record: Fields) -> None:
        """Raise `BadDataError` where the record's vector is of another model, or of none that is known."""
        found = record.get("model") or self.declared
        if self.dim is None and not self.trusted:
            self.model = found
            self.trusted = True
        elif found is None and self.model is not None:
            raise BadDataError(
                f"{self.name} has vectors of {self.model},\n"
                f"  but {where(record)} has a vector that names no model.",
                f"If it is of that model, say so: --model {shown(self.model)}",
            )
        elif found is not None and self.model is None:
            raise BadDataError(
                f"{self.name} has vectors that name no model,\n  but {where(record)} carries {shown(found)}.",
                f"If all of them are of that model, say so: --model {shown(found)}",
            )
        elif not same_model(self.model, found):
            check_model(
                self.model, found, expected_by=self.name, found_by=where(record),
                fix=f"Embed with --model-of {self.path}, or put these vectors into an index of their own.",
            )  # fmt: skip

    def takes(self, record: Fields, reject: Reject) -> bool:
        """Whether the record's vector can be stored, as far as one record tells; else it goes to `reject`."""
        vector = np.asarray(record["vector"], np.float32)
        if self.dim is not None:
            if len(vector) != self.dim:
                self.refuse_dim(record, reject)
                return False
            self.trusted = True
        if vector.any() and np.isfinite(vector).all():
            return True
        reject(bad(record, NOT_FINITE if vector.any() else ALL_ZEROS, "embed it again"))
        return False

    def settle_dim(self, records: Sequence[Fields]) -> None:
        """Take the dimension of a new index from its first batch: the one that most vectors have."""
        if self.dim is None and records:
            counts = Counter(len(record["vector"]) for record in records)
            self.dim = counts.most_common(1)[0][0]

    def refuse_dim(self, record: Fields, reject: Reject) -> None:
        """Report a vector of another dimension; `BadDataError` where not even the model is known to fit."""
        found = len(record["vector"])
        what = f"its vector has {found:,} numbers, and {self.name} has vectors of {self.dim:,}"
        named = record.get("model") is not None and self.model is not None
        if not self.trusted and not named:
            raise BadDataError(
                f"{where(record)}: {what}", "Embed with the model of this index, or make another index."
            )
        reject(bad(record, what, "embed it with the model of this index"))


def ready(records: Sequence[Fields], terms: Terms, dtype: str, reject: Reject) -> Ready:
    """Check the vectors of a batch and bring them to unit length and to `dtype`.

    A vector of another dimension, of zeros, or with a number that is not finite goes to `reject`.
    Vectors of records with `"unit": false` keep their length.
    """
    terms.settle_dim(records)
    fitting = []
    for record in records:
        if len(record["vector"]) == terms.dim:
            terms.trusted = True
            fitting.append(record)
        else:
            terms.refuse_dim(record, reject)
    if not fitting:
        return Ready([], np.empty((0, terms.dim or 0), np.float32))
    vectors = np.stack([np.asarray(record["vector"], np.float32) for record in fitting])
    wide = vectors.astype(np.float64)
    norms = np.sqrt(np.einsum("ij,ij->i", wide, wide))
    directed = np.array([record.get("unit") is not False for record in fitting])
    usable = np.isfinite(norms) & (norms > 0)
    off = usable & directed & (np.abs(norms - 1) > SLACK)
    if off.any():
        vectors[off] = unit(vectors[off])
    vectors[~usable] = 0
    with np.errstate(over="ignore"):
        stored = as_stored(vectors, dtype)
    usable &= np.isfinite(stored).all(axis=1)
    if usable.all():
        return Ready(fitting, stored)
    for i in np.flatnonzero(~usable):
        reject(bad(fitting[i], ALL_ZEROS if norms[i] == 0 else NOT_FINITE, "embed it again"))
    return Ready([fitting[i] for i in np.flatnonzero(usable)], stored[usable])
