"""Several vectors of an item, each in an index of its own: their cosines on one scale, weighted and added."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmr.arrays.scales import minmax
from mmr.errors import BadItem, UsageError, shown
from mmr.rerank.method import Answer, Floats, Given, Method, Stored, Tools
from mmr.stream.records import check_model

Wide = NDArray[np.float64]
FIRST = "score"  # the field that a hit's first score is


def mixed(columns: Mapping[str, Floats], weights: Mapping[str, float], scaled: bool = True) -> Wide:
    """Add up the scores (m,) of several fields by their weights; returns (m,) float64.

    columns  NaN where an item has not the field: it counts as the lowest of those that have it
    scaled   each field from 0 to 1 first: words near words have cosines of .5 to .9, words near pictures of
             .2 to .35
    """
    total = np.zeros(len(next(iter(columns.values()))))
    for name, column in columns.items():
        values = np.asarray(column, np.float64)
        held = ~np.isnan(values)
        if not held.any():
            continue
        values = np.where(held, values, values[held].min())
        total += weights[name] * (minmax(values, values) if scaled else values)
    return total


class Fields(Method):
    """The row `fields`."""

    def __init__(self, params: Mapping[str, Any], tools: Tools) -> None:
        super().__init__(params, tools)
        if not params["field"]:
            raise UsageError("fields needs the index of a field.", "Name it with --field text=captions.mmr.")
        if tools.opened is None:
            raise UsageError("nobody opens the indexes of the fields.", "`mmr rerank fields` does.")
        self._fields: dict[str, Stored] = {}
        for text in params["field"]:
            name, equals, path = text.partition("=")
            if not (name and equals and path) or name == FIRST or name in self._fields:
                raise UsageError(f"--field {shown(text)}: write NAME=INDEX, each name once, none {FIRST!r}.")
            self._fields[name] = tools.opened(path)
        self.weights = weights_of(params["weights"], [FIRST, *self._fields])

    def rerank(self, given: Given) -> Answer:
        """Add up the first score and the cosines of every field."""
        if not len(given.hits) or self.weights[FIRST] == sum(self.weights.values()):
            return Answer(given.scores)
        columns: dict[str, Floats] = {FIRST: given.scores}
        for name in self._fields:
            columns[name] = self._cosines(given, name)
        why = None
        if given.explain:
            why = [", ".join(f"{name} {column[place]:.4f}" for name, column in columns.items())
                   for place in range(len(given.hits))]  # fmt: skip
        return Answer(mixed(columns, self.weights, not self.params["raw"]), why=why)

    def _cosines(self, given: Given, name: str) -> Wide:
        """Of each hit its cosine in a field, NaN where the field's index has it not."""
        field = self._fields[name]
        bindings = given.record.get("bindings", {})
        query = bindings.get(name, given.query)
        assert query is not None
        if name not in bindings:
            fix = f"Give the queries a vector {name!r} of that model: `mmr embed --bind`."
            check_model(field.model, given.record.get("model"), expected_by=field.name,
                        found_by=given.where, fix=fix)  # fmt: skip
        held, vectors = field.partly([hit["id"] for hit in given.hits])
        if len(vectors) and vectors.shape[1] != len(query):
            what = f"its vector has {len(query)} numbers, and {field.name} {vectors.shape[1]}"
            raise BadItem(given.where, what, "", stage="rerank", record=given.record)
        found = np.full(len(given.hits), np.nan)
        wide = np.asarray(query, np.float64)
        found[held] = vectors @ (wide / max(float(np.sqrt(wide @ wide)), 1e-30))
        return found


def weights_of(text: str | None, names: Sequence[str]) -> dict[str, float]:
    """Read "score=.7,text=.3"; all equal where nothing is said. Raises `UsageError` for anything else."""
    if text is None:
        return dict.fromkeys(names, 1 / len(names))
    found: dict[str, float] = {}
    for word in text.split(","):
        name, _, value = word.partition("=")
        try:
            number = float(value)
        except ValueError:
            number = -1.0
        if name not in names or name in found or not 0 <= number < np.inf:
            raise UsageError(f"--weights {shown(text)}: write NAME=X,..., X from 0, of {', '.join(names)}.")
        found[name] = number
    if not sum(found.values()):
        raise UsageError(f"--weights {shown(text)}: one of them must be above 0.")
    return {name: found.get(name, 0.0) for name in names}
