"""The fitted file: an npz without pickles that says how it was made. Whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmr import __version__
from mmr.normalize.bank import Bank, digest
from mmr.normalize.method import Banks
from mmr.normalize.table import Row, checked, method
from mmr.stream import archive
from mmr.stream.archive import Damaged

FORMAT = 1
IDS = "ids"


@dataclass(frozen=True)
class State:
    """A fitted method.

    params   all its parameters
    model    of the vectors that it was fitted to, None when unknown
    ids      of the items of the gallery, n
    columns  numbers an item, (n,) each
    learned  arrays of the gallery as a whole
    bank     the queries that it was fitted with; `items` for methods with two banks
    gallery  the name of the index
    chosen   how its parameters were chosen, where several were tried
    """

    row: Row
    params: dict[str, float]
    model: str | None
    dim: int
    ids: list[str]
    columns: dict[str, NDArray[Any]]
    learned: dict[str, NDArray[Any]]
    bank: Bank
    items: Bank | None
    gallery: str
    chosen: str = ""

    @property
    def banks(self) -> Banks:
        """The vectors of the banks, as methods take them."""
        return Banks(self.bank.rows, None if self.items is None else self.items.rows)

    @property
    def step(self) -> str:
        """The line for `via`: method, parameters and the provenance of the banks."""
        params = " ".join(f"{name}={value:g}" for name, value in self.params.items())
        banks = f"bank={self.bank.source}"
        if self.items is not None:
            banks += f", items={self.items.source}"
        if self.chosen:
            banks += f", {self.chosen}"
        return " ".join(filter(None, ["normalize", self.row.name, params, banks]))


def write_state(path: str, state: State) -> None:
    """Write the file; the same state gives the same bytes.

    Raises `OutputError` where it cannot be made.
    """
    arrays: dict[str, NDArray[Any]] = {
        archive.ABOUT: archive.as_bytes(_about(state)),
        IDS: archive.as_bytes(state.ids),
        "bank.rows": state.bank.rows,
        "bank.keys": state.bank.keys,
        **{f"column.{name}": values for name, values in state.columns.items()},
        **{f"learned.{name}": values for name, values in state.learned.items()},
    }
    if state.items is not None:
        arrays |= {"items.rows": state.items.rows, "items.keys": state.items.keys}
    archive.write(path, arrays)


def _about(state: State) -> dict[str, Any]:
    def of(bank: Bank | None) -> dict[str, Any] | None:
        if bank is None:
            return None
        return {"name": bank.name, "rows": len(bank.rows), "modality": bank.modality, "digest": bank.digest}

    return {
        "format": FORMAT, "method": state.row.name, "params": state.params, "model": state.model,
        "dim": state.dim, "gallery": {"name": state.gallery, "items": len(state.ids)},
        "bank": of(state.bank), "items": of(state.items),
        **({"chosen": state.chosen} if state.chosen else {}),
        "versions": {"mmr": __version__, "numpy": np.__version__},
    }  # fmt: skip


def read_state(path: str) -> State:
    """Read a fitted file. Nothing in it is unpickled, and nothing is believed.

    Raises `MissingInputError` where there is none, `BadDataError` for another kind of file and for one that
    is damaged, cut short, or of a later version of mmr.
    """
    with archive.fitted(path, "correction", FORMAT) as (about, arrays):
        return _state(about, arrays)


def _state(about: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> State:
    row, _ = method(str(about["method"]))
    params = {str(name): float(value) for name, value in about["params"].items()}
    dim, model, ids = about["dim"], about["model"], archive.value_of(arrays, IDS, list)
    if type(dim) is not int or not (model is None or type(model) is str):
        raise Damaged("it names no model or no dimension")
    if not all(type(name) is str for name in ids) or len(set(ids)) != len(ids):
        raise Damaged("its ids are not what they should be")
    columns = {k.removeprefix("column."): v for k, v in arrays.items() if k.startswith("column.")}
    learned = {k.removeprefix("learned."): v for k, v in arrays.items() if k.startswith("learned.")}
    bank = _bank(about["bank"], arrays, "bank", dim)
    items = _bank(about["items"], arrays, "items", dim) if row.banks == 2 else None
    if not columns or any(values.shape != (len(ids),) for values in columns.values()):
        raise Damaged("it has not one number an item")
    if not all(np.isfinite(values).all() for values in (*columns.values(), *learned.values())):
        raise Damaged("it holds numbers that are not finite")
    state = State(row, checked(row, params), model, dim, ids, columns, learned, bank, items,
                  str(about["gallery"]["name"]), str(about.get("chosen", "")))  # fmt: skip
    _same_columns(state)
    return state


def _bank(about: dict[str, Any], arrays: Mapping[str, NDArray[Any]], name: str, dim: int) -> Bank:
    rows, keys = arrays[f"{name}.rows"], arrays[f"{name}.keys"]
    if rows.dtype != np.float32 or rows.ndim != 2 or rows.shape[1] != dim or keys.shape != (len(rows),):
        raise Damaged("its bank has not the dimensions that it should have")
    if digest(rows) != about["digest"] or not len(rows):
        raise Damaged("its bank is not the one that it names")
    return Bank(rows, keys, None, str(about["modality"]), str(about["name"]), digest(rows))


def _same_columns(state: State) -> None:
    """Raise unless the file has the numbers of an item that the method gives, and all that it learned.

    A vector of the bank stands for an item and for a query: what is missing or misshapen shows.
    """
    _, fitter = method(state.row.name)
    found = fitter.describe(state.bank.rows[:1], state.banks, state.learned, state.params)
    if set(found) != set(state.columns):
        raise Damaged(f"it lacks numbers of {state.row.name}")
    query = state.bank.rows[0].astype(np.float64)
    if fitter.corrected(np.zeros(1), found, state.learned, state.params, query).shape != (1,):
        raise Damaged(f"what {state.row.name} learned has not the dimensions that it should have")
