"""A fitted file as an index holds it: method, bank and parameters, without what it says of single items."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from mmr.arrays.affine import Affine
from mmr.errors import UsageError
from mmr.normalize.fit import Gallery
from mmr.normalize.method import Array, described
from mmr.normalize.state import State, read_state
from mmr.normalize.table import method

QUICK = 2 * 10**10  # products of numbers; less than a second


def kept(state: State) -> State:
    """Return what an index keeps of a state. Raises `UsageError` where the method is no scale and shift."""
    if not state.row.affine:
        raise UsageError(
            f"{state.row.name} is not the same scale and shift for every query, so that no index can hold it",
            "Put it on hits with `mmr normalize apply`; nnn, csls, gc, is and others can be held.",
        )
    return replace(state, ids=[], columns=kept_columns(state))


def kept_columns(state: State) -> dict[str, Array]:
    """The columns of a state, of no item."""
    return {name: values[:0] for name, values in state.columns.items()}


def affordable(state: State, items: int) -> bool:
    """Whether the numbers of so many items cost less than a second or so."""
    return items * state.banks.size * state.dim <= QUICK


def refreshed(state: State, gallery: Gallery) -> State:
    """Return a state with the numbers of the items that a gallery has now, by what was learned before."""
    _, fitter = method(state.row.name)
    columns = described(fitter, gallery.blocks(), state.banks, state.learned, state.params)
    return replace(state, ids=list(gallery.ids), columns=columns or kept_columns(state))


def numbers_of(state: State, vectors: Array) -> Affine:
    """The scale and shift (n,) of items with `vectors` (n, d): float64, and of nothing but each vector."""
    _, fitter = method(state.row.name)
    columns = described(fitter, [vectors], state.banks, state.learned, state.params)
    found = fitter.affine(columns, state.params) if columns else Affine(np.empty(0), np.empty(0))
    assert found is not None
    return found


def corrector(path: Path) -> Callable[[Array], Affine]:
    """Read the fitted file that an index keeps; returns the function that gives the numbers of vectors."""
    return partial(numbers_of, read_state(str(path)))
