"""Fit a method: look at the bank and the gallery, refuse what would mislead, learn."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmr.errors import BadDataError, UsageError, shown
from mmr.normalize.bank import SAME, Bank
from mmr.normalize.method import Array, Banks, Blocks, cut, described
from mmr.normalize.state import State
from mmr.normalize.table import checked, method
from mmr.stream.records import check_model

Advance = Callable[[int], None]


class Gallery(NamedTuple):
    """What is to be searched: ids of n items, blocks() of their vectors (n, d) in that order, model, name."""

    ids: Sequence[str]
    blocks: Blocks
    dim: int
    model: str | None
    name: str


def fit(
    name: str, values: dict[str, float], gallery: Gallery, bank: Bank, items: Bank | None = None, *,
    force: bool = False, advance: Advance | None = None,
) -> State:  # fmt: skip
    """Fit a method to a gallery and return what it learned.

    values   parameters that are not to have their default
    items    the bank of items, for methods with two banks
    force    fit although a bank shares vectors with the gallery
    advance  told of every block of items that is done

    Reads the gallery once for nnn, csls, gc, is, nicdm and zscore, more often for the others; memory is
    bounded by a block of scores, the bank and a few numbers an item. Raises `UsageError` for a wrong
    parameter or a missing bank, `BadDataError` for what does not belong together.
    """
    row, fitter = method(name)
    params = checked(row, values)
    if (row.banks == 2) != (items is not None):
        takes = "also takes a bank of items" if row.banks == 2 else "takes no bank of items"
        raise UsageError(f"{row.name} {takes} (--gallery-bank FILE)", "`mmr fit --help` lists the methods.")
    if not gallery.ids:
        raise BadDataError(f"{shown(gallery.name)} has no items", "Fit to an index that has some.")
    for one in (bank, *([items] if items is not None else [])):
        _belongs(one, gallery)
    if not force:
        apart(bank, items, gallery)
    banks = Banks(bank.rows, None if items is None else items.rows)
    learned = fitter.learn(gallery.blocks, banks, params)
    columns = described(fitter, _told(gallery.blocks(), advance), banks, learned, params)
    wrong = [name for name, values in columns.items() if not np.isfinite(values).all()]
    if wrong:
        raise BadDataError(
            f"{shown(gallery.name)} holds vectors with which {row.name} gives no finite number",
            "`mmr index INDEX --check` looks at the vectors.",
        )
    return State(row, params, bank.model or gallery.model, gallery.dim, list(gallery.ids), columns,
                 dict(learned), bank, items, gallery.name)  # fmt: skip


def apart(bank: Bank, items: Bank | None, gallery: Gallery) -> None:
    """Raise `BadDataError` where a bank shares vectors with the gallery that it is to correct."""
    _apart(bank, gallery, "The bank is to be like the queries, and not the gallery itself")
    if items is not None:
        _far(items, gallery)


def _told(blocks: Iterable[Array], advance: Advance | None) -> Iterator[Array]:
    for block in blocks:
        yield block
        if advance is not None:
            advance(len(block))


def _belongs(bank: Bank, gallery: Gallery) -> None:
    """Raise `BadDataError` for a bank of another model or length."""
    check_model(gallery.model, bank.model, expected_by=gallery.name, found_by=bank.name,
                fix="Embed the bank with the model of the index, or say --model if it is of it.")  # fmt: skip
    if bank.rows.shape[1] != gallery.dim:
        raise BadDataError(
            f"{shown(bank.name)} has {bank.rows.shape[1]} dimensions, and {shown(gallery.name)} has "
            f"{gallery.dim}", "Embed the bank with the model of the index.",
        )  # fmt: skip


def _apart(bank: Bank, gallery: Gallery, why: str) -> None:
    """Raise `BadDataError` where items of the gallery have the very vectors of the bank.

    Vectors are taken for the same by their largest coordinates, then by their cosine; a product of all with
    all would cost as much as the fit.
    """
    places: dict[int, list[int]] = {}
    for place, sign in enumerate(_signs(bank.rows).tolist()):
        places.setdefault(sign, []).append(place)
    found = 0
    for block in gallery.blocks():
        for row, sign in zip(block, _signs(block).tolist(), strict=True):
            found += sign in places and bool((bank.rows[places[sign]] @ row > SAME).any())
    if found:
        raise BadDataError(
            f"{found:,} of {len(gallery.ids):,} items of {shown(gallery.name)} are in the bank "
            f"{shown(bank.name)}: they alone would be pushed down",
            f"{why}; take other vectors, or fit with --force.",
        )


def _signs(rows: Array) -> NDArray[np.int64]:
    """A number (n,) a row: which its four largest coordinates are, in order; rounding hardly changes it."""
    few = min(4, rows.shape[1])
    top = np.argpartition(-rows, few - 1, axis=1)[:, :few]
    top = np.take_along_axis(top, np.argsort(-np.take_along_axis(rows, top, 1), axis=1), 1)
    weights = rows.shape[1] ** np.arange(few, dtype=np.int64)
    return np.asarray(top.astype(np.int64) @ weights, np.int64)


def _far(items: Bank, gallery: Gallery) -> None:
    """Raise `BadDataError` where a bank of items holds items of the gallery, or nearly the same."""
    near = np.zeros(len(items.rows), bool)
    for block in cut(gallery.blocks(), len(items.rows)):
        near |= (block @ items.rows.T > SAME).any(axis=0)
    if near.any():
        raise BadDataError(
            f"{near.sum():,} of {len(near):,} vectors of the bank {shown(items.name)} are items of "
            f"{shown(gallery.name)} (cosine above {SAME}): those alone would be pushed down",
            "A bank of items holds others than the gallery; take them out, or fit with --force.",
        )
