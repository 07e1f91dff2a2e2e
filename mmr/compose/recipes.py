"""Write recipes: records with named vectors in, the same with a `recipe` over those vectors out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from types import MappingProxyType
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from mmr.arrays.recipe import read
from mmr.arrays.unit import unit
from mmr.compose.apply import WAYS, lacks
from mmr.compose.bindings import numbered
from mmr.compose.columns import lengths
from mmr.compose.table import RecipeRow
from mmr.errors import BadItem, Reject, UsageError, shown
from mmr.stream.records import Record, add_step

WHOLE = "whole"
NONE: Mapping[str, NDArray[Any]] = MappingProxyType({})
CLAUSES = ("v", "t_m", "n")


class Recipes:
    """Gives each record of a stream the recipe of a row.

    settings  (what is added to the id, its numbers), one record each
    how       options that are no numbers: {"by": "min"}
    scale     (lo, hi) that become 0 and 1 in clauses; None for the extremes of all that is scored
    of        the named vectors in place of the row's
    explain   add the field `explain`
    keep      keep every named vector, not only those of the recipe
    shared    named vectors (d,) or (k, d) that every query has
    """

    def __init__(
        self, row: RecipeRow, settings: Sequence[tuple[str, Mapping[str, float]]], *,
        how: Mapping[str, str] | None = None, scale: tuple[float, float] | None = None,
        of: Sequence[str] = (), explain: bool = False, keep: bool = False,
        shared: Mapping[str, NDArray[Any]] = NONE,
    ) -> None:  # fmt: skip
        self.row, self.settings, self.how, self.scale = row, list(settings), dict(how or {}), scale
        self.takes = tuple(of) or row.takes
        self._lacking = 0
        self._joins = CLAUSES if row.negates else CLAUSES[:2]
        self.explain, self.keep, self.shared = explain, keep, shared
        if row.takes and len(self.takes) != len(row.takes):
            raise UsageError(f"{row.name} joins {len(row.takes)} vectors, and --of names {len(self.takes)}",
                             f"Its own are {', '.join(row.takes)}.")  # fmt: skip

    def needs(self, have: Iterable[str], lists: Iterable[str] = ()) -> tuple[str, ...]:
        """Which named vectors a query shall have, of those that it can have."""
        wanted = self.takes or self._joins
        weighed = any(numbers.get("g", 0) > 0 for _, numbers in self.settings)
        return tuple(name for name in (*wanted, *([WHOLE] if weighed else [])) if name in set(have))

    def of(self, records: Iterable[Record], reject: Reject) -> Iterator[Record]:
        """Yield the records with their recipe, in order; one that lacks a vector goes to `reject`."""
        for record in records:
            if self.shared:
                record["bindings"] = {**self.shared, **record.get("bindings", {})}
            try:
                made = [self._made(record, suffix, numbers) for suffix, numbers in self.settings]
            except BadItem as item:
                reject(item)
                continue
            yield from made

    def _made(self, record: Record, suffix: str, numbers: Mapping[str, float]) -> Record:
        vectors, of = self._clauses(record) if not self.takes else self._named(record)
        recipe: dict[str, Any] = {"score": self.row.score, "of": of, **self.how}
        if self.row.score in ("and", "or"):
            recipe["scale"] = "minmax" if self.scale is None else list(self.scale)
            if numbers.get("g"):
                vectors[WHOLE] = self._one(record, WHOLE)
                recipe |= {"whole": WHOLE, "g": numbers["g"]}
        elif self.row.score == "harris":
            recipe |= {"lambda": numbers["lambda"], "least": [numbers["least_v"], numbers["least_t"]]}
        else:
            recipe |= numbers
        read(recipe)
        made = Record({k: v for k, v in record.items() if k != "vector"}, record.place)
        made["id"] = f"{record['id']}{suffix}"
        if suffix:
            made["of"] = record["id"]
        made["bindings"] = {**(record["bindings"] if self.keep else {}), **vectors}
        made["recipe"] = recipe
        if self.explain:
            made["explain"] = explained(self.row.name, vectors)
        shown_numbers = [f"{name}={value:g}" for name, value in numbers.items()]
        named = [f"{name}={value}" for name, value in self.how.items()]
        add_step(made, " ".join(["compose", self.row.name, *named, *shown_numbers]))
        return made

    def _clauses(self, record: Record) -> tuple[dict[str, NDArray[np.float32]], list[Any]]:
        """Every picture and text under a name of its own, those of n negated."""
        found: dict[str, NDArray[np.float32]] = {}
        of: list[Any] = []
        bindings = record.get("bindings", {})
        for name in self._joins:
            if name not in bindings:
                continue
            rows = self._units(record, name)
            for one, row in zip(numbered(name, len(rows)), rows, strict=True):
                found[one] = row
                of.append({"not": one} if name == "n" else one)
        if not of:
            self._lacks(record, [" or ".join(self._joins)])
        return found, of

    def _named(self, record: Record) -> tuple[dict[str, NDArray[np.float32]], list[Any]]:
        """The vectors of the row's names; a list is its mean."""
        missing = [name for name in self.takes if name not in record.get("bindings", {})]
        if missing:
            self._lacks(record, missing)
        return {name: self._one(record, name) for name in self.takes}, list(self.takes)

    def _one(self, record: Record, name: str) -> NDArray[np.float32]:
        """One vector of a name: of a list the mean, at length 1."""
        if name not in record.get("bindings", {}):
            self._lacks(record, [name])
        rows = self._units(record, name)
        mean: NDArray[np.float32] = unit(rows.astype(np.float64).mean(axis=0, keepdims=True))[0]
        return rows[0] if len(rows) == 1 else mean

    def _units(self, record: Record, name: str) -> NDArray[np.float32]:
        rows = np.atleast_2d(record["bindings"][name])
        if not rows.any(axis=1).all():
            raise BadItem(_where(record), f"{name} is a vector of zeros", "embed it again", stage="compose",
                          record=record)  # fmt: skip
        found: NDArray[np.float32] = (rows / lengths(rows)[:, None]).astype(np.float32)
        return found

    def _lacks(self, record: Record, missing: Sequence[str]) -> NoReturn:
        self._lacking += 1
        raise lacks(self.row.name, missing, record, WAYS if self._lacking == 1 else "")


def explained(name: str, vectors: Mapping[str, NDArray[np.float32]]) -> dict[str, Any]:
    """The field `explain` of a recipe: its name, and the cosines between its vectors."""
    wide = {one: vector.astype(np.float64) for one, vector in vectors.items()}
    cosines = {f"{a} {b}": round(float(wide[a] @ wide[b]), 4) for a, b in combinations(wide, 2)}
    return {"composition": name, "cosines": cosines}


def _where(record: Record) -> str:
    return str(record.place or shown(record["id"]))
