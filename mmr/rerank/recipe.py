"""Score hits by a recipe over named vectors: what `mmr query` does with the whole index."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from orjson import JSONDecodeError, loads

from mmr.arrays.recipe import Recipe as Read
from mmr.arrays.recipe import read
from mmr.arrays.topk import exact_scores
from mmr.arrays.unit import SLACK, unit
from mmr.errors import BadItem, UsageError
from mmr.rerank.method import Answer, Given, Method


class Recipe(Method):
    """The row `recipe`.

    Scores by named vectors are the float64 inner products that `mmr query` gives. Figures over all that is
    scored (minmax, vote) are those of the hits.
    """

    def rerank(self, given: Given) -> Answer:
        """Score the hits by the record's recipe, or by --recipe. Raises `BadItem` where it cannot be done."""
        assert given.vectors is not None
        try:
            recipe, named = self._named(given)
            if len(given.hits) and named.shape[1] != given.vectors.shape[1]:
                dims = f"{named.shape[1]} numbers, and the hits' {given.vectors.shape[1]}"
                raise ValueError(f"its named vectors have {dims}")
        except ValueError as error:
            fix = "`mmr compose` writes recipes with their vectors"
            raise BadItem(given.where, str(error), fix, stage="rerank", record=given.record) from None
        if not len(given.hits):
            return Answer(given.scores)
        rows = np.arange(len(given.hits))
        scores = {
            name: exact_scores(named, np.full(len(rows), place), given.vectors, rows)
            for place, name in enumerate(recipe.names)
        }
        why = None
        if given.explain:
            parts = zip(*scores.values(), strict=True)
            why = [
                ", ".join(f"{n} {score:.4f}" for n, score in zip(scores, part, strict=True)) for part in parts
            ]
        return Answer(recipe.value(scores, scores), why=why, step=recipe.score)

    def _named(self, given: Given) -> tuple[Read, NDArray[np.float32]]:
        """The recipe, and the vectors (c, d) of its names at length 1."""
        found = self._own() or given.record.get("recipe")
        if found is None:
            raise ValueError("has no recipe")
        recipe, bindings = read(found), given.record.get("bindings", {})
        missing = [name for name in recipe.names if name not in bindings]
        if missing:
            raise ValueError(f'its recipe needs {" and ".join(missing)} in "bindings"')
        several = next((name for name in recipe.names if np.ndim(bindings[name]) != 1), None)
        if several is not None:
            raise ValueError(f"its recipe needs one vector for {several}, and it is a list")
        if len({len(bindings[name]) for name in recipe.names}) > 1:
            raise ValueError("its named vectors have different dimensions")
        named = np.stack([bindings[name] for name in recipe.names]).astype(np.float32, copy=False)
        off = np.abs(np.linalg.norm(named.astype(np.float64), axis=1) - 1) > SLACK
        if given.record.get("unit", True) and off.any():
            named = np.where(off[:, None], unit(named), named)
        return recipe, named

    def _own(self) -> dict[str, Any] | None:
        """The recipe of --recipe."""
        text = self.params["recipe"]
        if text is None:
            return None
        try:
            found = loads(text)
        except JSONDecodeError as error:
            raise UsageError(f"--recipe is no JSON: {error}", self._form) from None
        if not isinstance(found, dict):
            raise UsageError("--recipe is no JSON object", self._form)
        return found

    _form = 'Write it like {"score": "product", "of": ["v", "t_m"]}.'
