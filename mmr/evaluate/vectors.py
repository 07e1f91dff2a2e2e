"""Vectors of a file, whatever its format, as one array."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmr.errors import BadDataError, raise_item, shown
from mmr.stream.read import read_records
from mmr.stream.records import check_model


class Vectors(NamedTuple):
    """The ids and vectors (n, d) of a file, and the model that its records name."""

    ids: Sequence[str]
    rows: NDArray[np.float32]
    model: str | None


def read_vectors(path: str) -> Vectors:
    """Read the records that have a vector; the others are passed over.

    Raises `BadDataError` for a bad line, a file without vectors, and vectors of two models or lengths.
    """
    ids: list[str] = []
    rows: list[NDArray[np.float32]] = []
    model: str | None = None
    for record in read_records([path], reject=raise_item):
        vector = record.get("vector")
        if vector is None:
            continue
        if rows and len(vector) != len(rows[0]):
            raise BadDataError(f"{record.place}: a vector of {len(vector)} numbers, those before have "
                               f"{len(rows[0])}", "One file holds vectors of one model.")  # fmt: skip
        check_model(model, record.get("model"), expected_by="the records before", found_by=str(record.place),
                    fix="One file holds vectors of one model.")  # fmt: skip
        model = model or record.get("model")
        ids.append(record["id"])
        rows.append(vector)
    if not rows:
        raise BadDataError(f"{shown(path)} has no vectors", "`mmr embed` makes them.")
    return Vectors(ids, np.stack(rows), model)


def same_space(first: Vectors, second: Vectors, names: tuple[str, str]) -> None:
    """Raise `BadDataError` for vectors of two models or two lengths."""
    check_model(first.model, second.model, expected_by=names[0], found_by=names[1],
                fix="Embed both with one model.")  # fmt: skip
    if first.rows.shape[1] != second.rows.shape[1]:
        raise BadDataError(
            f"{shown(names[0])} has {first.rows.shape[1]} dimensions, {shown(names[1])} has "
            f"{second.rows.shape[1]}", "Embed both with one model.",
        )  # fmt: skip
