"""One batch of an upsert: records checked, vectors made ready, compared with what is stored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mmr.errors import BadDataError, Reject, shown
from mmr.index.content import Content, Fields, Ready, bad, where
from mmr.stream.records import check_model, same_model

if TYPE_CHECKING:
    from pathlib import Path

    from mmr.index.address import Address


class Terms:
    """What an index takes: vectors of one model and of one dimension.

    model     "SPEC#hash" of the index, or None when it has none
    dim       d, or None before the first vector
    declared  what the user says (`--model`) vectors without a model are of
    content   what its items are made from
    """

    def __init__(
        self, index: Path | Address, model: str | None, dim: int | None, declared: str | None,
        content: Content,
    ) -> None:  # fmt: skip
        self.name = shown(index.name)
        self.path = shown(str(index))
        self.model = model
        self.dim = dim
        self.declared = declared
        self.content = content
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
        found = self.content.model_of(record, self.model) or self.declared
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
            again = "Make terms with the model of" if self.dim == 0 else "Embed with --model-of"
            check_model(
                self.model, found, expected_by=self.name, found_by=where(record),
                fix=f"{again} {self.path}, or put these vectors into an index of their own.",
            )  # fmt: skip

    def takes(self, record: Fields, reject: Reject) -> bool:
        """Whether the record's vector can be stored, as far as one record tells; else it goes to `reject`."""
        problem = self.content.missing(record)
        if problem is None and self.dim is not None:
            if self.content.dim(record) != self.dim:
                self.refuse_dim(record, reject)
                return False
            self.trusted = True
        problem = problem or self.content.unusable(record)
        if problem is not None:
            reject(bad(record, *problem))
        return problem is None

    def settle_dim(self, records: Sequence[Fields]) -> None:
        """Take the dimension of a new index from its first batch: the one that most vectors have."""
        if self.dim is None and records:
            counts = Counter(map(self.content.dim, records))
            self.dim = counts.most_common(1)[0][0]

    def refuse_dim(self, record: Fields, reject: Reject) -> None:
        """Report a vector of another dimension; `BadDataError` where not even the model is known to fit."""
        found = self.content.dim(record)
        what = f"its vector has {found:,} numbers, and {self.name} has vectors of {self.dim:,}"
        named = record.get("model") is not None and self.model is not None
        if not self.trusted and not named:
            raise BadDataError(
                f"{where(record)}: {what}", "Embed with the model of this index, or make another index."
            )
        reject(bad(record, what, "embed it with the model of this index"))


def ready(records: Sequence[Fields], terms: Terms, dtype: str, reject: Reject) -> Ready:
    """Check the vectors of a batch and bring them to unit length and to `dtype`, as their content does.

    A vector of another dimension, of zeros, or with a number that is not finite goes to `reject`.
    Vectors of records with `"unit": false` keep their length.
    """
    terms.settle_dim(records)
    fitting = []
    for record in records:
        if terms.content.dim(record) == terms.dim:
            terms.trusted = True
            fitting.append(record)
        else:
            terms.refuse_dim(record, reject)
    if not fitting:
        return Ready([], np.empty((0, terms.dim or 0), np.float32))
    return terms.content.ready(fitting, dtype, reject)
