"""What a composition did, in words and round numbers."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmr.compose.columns import Column, Weight
from mmr.compose.evaluate import Outcome

DIGITS = 4


def explained(
    step: str, columns: Mapping[str, Column], outcome: Outcome, i: int, *, fallback: bool = False
) -> dict[str, Any]:
    """The field `explain` of the i-th query.

    norms    of the named vectors as they came, of a list each; `result` before it became 1
    cosines  between the named vectors, of a list its mean, and of each with the result
    weights  what each vector, at unit length, was multiplied by to give the unit result
    """
    rows = {name: _rows(column, i) for name, column in columns.items()}
    norms: dict[str, Any] = {
        name: _round(np.linalg.norm(mine, axis=1)) if len(mine) > 1 else _round(np.linalg.norm(mine[0]))
        for name, mine in rows.items()
    }
    norms["result"] = _round(outcome.norms[i])
    dim = outcome.vectors.shape[1]
    means = {name: _unit(mine.mean(axis=0)) for name, mine in rows.items() if mine.shape[1] == dim}
    means["result"] = _unit(outcome.vectors[i].astype(np.float64))
    return {
        "composition": step + (" (fallback)" if fallback else ""),
        "norms": norms,
        "cosines": {f"{a} {b}": _round(means[a] @ means[b]) for a, b in combinations(means, 2)},
        "weights": {name: _round(_of(weight, i)) for name, weight in outcome.weights.items()},
    }


def _rows(column: Column, i: int) -> NDArray[np.float64]:
    if column.counts is None:
        start = i if len(column.rows) > 1 else 0
        return column.rows[start : start + 1].astype(np.float64)
    end = int(column.counts[: i + 1].sum())
    return column.rows[end - int(column.counts[i]) : end].astype(np.float64)


def _unit(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    length = float(np.linalg.norm(vector))
    return vector / length if length > 0 else vector


def _of(weight: Weight, i: int) -> float:
    many = np.atleast_1d(weight)
    return float(many[i if len(many) > 1 else 0])


def _round(value: Any) -> Any:
    return np.round(np.asarray(value, np.float64), DIGITS).tolist()
