"""Scores that are not one vector: what a `recipe` makes of the scores of several named vectors.

A recipe is an object of a record, {"score": KIND, "of": [...], ...}: `of` names vectors in `bindings`, and
the score of an item is a function of their inner products with it. Every name needs its own score: what is
missing is an error, never a guess.

    and, or   `of` holds clauses: a name, {"not": clause}, {"and": [clauses]} or {"or": [clauses]}; `by` is
              "product" (default), "min" or "geometric"; scores become P from 0 to 1 by `scale`: "minmax" over
              all that is scored (default), or [lo, hi]; not is 1 - P. `whole` names a vector of the whole
              text, which counts `g` beside the clauses
    product   max(s, 0) of each, multiplied
    seize     A = s of the first, D = A - s of the second: A + n min(D, 0) + p max(D, 0)
    harris    n = max((s - least) / |least|, 0) of two: n1 n2 - lambda (n1 + n2)^2
    vote      the mean of softmax(s / tau) of each, over all that is scored
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]
Scores = Mapping[str, Array]

BY = ("product", "min", "geometric")
MINMAX = "minmax"
KEYS = {
    "and": {"by", "scale", "whole", "g"}, "or": {"by", "scale", "whole", "g"}, "product": set(),
    "seize": {"n", "p"}, "harris": {"lambda", "least"}, "vote": {"tau"},
}  # fmt: skip


class Recipe(NamedTuple):
    """A checked recipe.

    score   its kind
    names   the named vectors that it needs, each once
    seeds   those whose best items are worth scoring: a clause that is negated proposes nothing
    whole   its figures are taken over all that is scored, so that it matters what that is
    value   (scores of the items (n,), scores over which figures are taken (m,)) -> (n,) float64
    slope   of those figures: how much the score changes at most when every input changes by 1; infinite
            where no bound is known
    """

    score: str
    names: tuple[str, ...]
    seeds: tuple[str, ...]
    whole: bool
    value: Callable[[Scores, Scores], NDArray[np.float64]]
    slope: Callable[[Scores], float]


def read(recipe: Mapping[str, Any]) -> Recipe:
    """Check a recipe. Raises `ValueError`, whose words say what is wrong with it.

    >>> read({"score": "product", "of": ["v", "t"]}).value({"v": np.r_[.5], "t": np.r_[.2]}, {}).tolist()
    [0.1]
    """
    kind, of = recipe.get("score"), recipe.get("of")
    if not isinstance(kind, str) or kind not in KINDS:
        raise ValueError(f'"score" of the recipe is {kind!r}; there are {", ".join(KINDS)}')
    if not isinstance(of, list) or not of:
        raise ValueError('"of" of the recipe is not a list of names')
    spare = sorted(recipe.keys() - KEYS[kind] - {"score", "of"})
    if spare:
        raise ValueError(f'the recipe "{kind}" has no {spare[0]!r}')
    return KINDS[kind](recipe, of)


def clauses(of: Sequence[Any]) -> tuple[list[str], list[str]]:
    """All names of clauses, and those that are not negated, in their order. Raises `ValueError`."""
    names: dict[str, None] = {}
    seeds: dict[str, None] = {}

    def walk(clause: Any, positive: bool, depth: int) -> None:
        if isinstance(clause, str):
            names[clause] = None
            if positive:
                seeds[clause] = None
            return
        if not isinstance(clause, dict) or len(clause) != 1 or depth > 20:
            raise ValueError('a clause is a name, {"not": clause}, {"and": [...]} or {"or": [...]}')
        ((word, inside),) = clause.items()
        if word == "not":
            walk(inside, not positive, depth + 1)
        elif word in ("and", "or") and isinstance(inside, list) and inside:
            for one in inside:
                walk(one, positive, depth + 1)
        else:
            raise ValueError(
                f'a clause holds {word!r}; there are "not", "and" and "or", with a clause or a list'
            )

    for clause in of:
        walk(clause, True, 0)
    return list(names), list(seeds)


def both(values: Sequence[Array], by: str) -> NDArray[np.float64]:
    """AND of P (each (n,), 0 to 1): product, min, or the geometric mean, which does not fall with length."""
    stacked = np.stack(values).astype(np.float64)
    if by == "min":
        least: NDArray[np.float64] = stacked.min(axis=0)
        return least
    product: NDArray[np.float64] = stacked.prod(axis=0)
    return product ** (1 / len(values)) if by == "geometric" else product


def either(values: Sequence[Array], by: str) -> NDArray[np.float64]:
    """OR of P, the dual of `both`: 1 - both(1 - P)."""
    return 1 - both([1 - np.asarray(value, np.float64) for value in values], by)


def _logical(recipe: Mapping[str, Any], of: list[Any]) -> Recipe:
    kind, by, scale = recipe["score"], recipe.get("by", BY[0]), recipe.get("scale", MINMAX)
    g, whole_name = recipe.get("g", 0.5), recipe.get("whole")
    if by not in BY:
        raise ValueError(f'"by" of the recipe is {by!r}; there are {", ".join(BY)}')
    fixed = scale != MINMAX
    if fixed and not _is_span(scale):
        raise ValueError('"scale" of the recipe is neither "minmax" nor [lo, hi] with lo below hi')
    _number(g, "g", 0, 1)
    names, seeds = clauses(of)
    if whole_name is not None:
        if not isinstance(whole_name, str):
            raise ValueError('"whole" of the recipe is not a name')
        names, seeds = [*dict.fromkeys([*names, whole_name])], [*dict.fromkeys([*seeds, whole_name])]
    join = both if kind == "and" else either

    def span(over: Scores, name: str) -> tuple[float, float]:
        if fixed:
            return float(scale[0]), float(scale[1])
        return float(over[name].min()), float(over[name].max())

    def chance(scores: Scores, over: Scores, name: str) -> NDArray[np.float64]:
        lo, hi = span(over, name)
        if hi <= lo:
            return np.ones(len(scores[name]))
        found: NDArray[np.float64] = np.clip((scores[name].astype(np.float64) - lo) / (hi - lo), 0, 1)
        return found

    def of_clause(clause: Any, scores: Scores, over: Scores) -> NDArray[np.float64]:
        if isinstance(clause, str):
            return chance(scores, over, clause)
        ((word, inside),) = clause.items()
        if word == "not":
            return 1 - of_clause(inside, scores, over)
        return (both if word == "and" else either)([of_clause(one, scores, over) for one in inside], by)

    def value(scores: Scores, over: Scores) -> NDArray[np.float64]:
        joined = join([of_clause(one, scores, over) for one in of], by)
        if whole_name is None:
            return joined
        mixed: NDArray[np.float64] = g * chance(scores, over, whole_name) + (1 - g) * joined
        return mixed

    def slope(over: Scores) -> float:
        if by == "geometric":
            return float("inf")
        spans = [hi - lo for lo, hi in (span(over, name) for name in names)]
        return sum(1 / one for one in spans if one > 0) * max(1, _mentions(of))

    return Recipe(kind, tuple(names), tuple(seeds), not fixed, value, slope)


def _mentions(of: Sequence[Any]) -> int:
    """How often names stand in clauses: one that stands twice counts twice in a slope."""
    return sum(1 if isinstance(one, str) else _mentions(_inside(one)) for one in of)


def _inside(clause: Mapping[str, Any]) -> Sequence[Any]:
    ((_, inside),) = clause.items()
    return inside if isinstance(inside, list) else [inside]


def _product(recipe: Mapping[str, Any], of: list[Any]) -> Recipe:
    names = _names(of, 2, None)

    def value(scores: Scores, over: Scores) -> NDArray[np.float64]:
        found: NDArray[np.float64] = np.prod(
            [np.maximum(scores[one].astype(np.float64), 0) for one in names], axis=0
        )
        return found

    return Recipe("product", names, names, False, value, lambda over: _power(over, len(names)))


def _power(over: Scores, count: int) -> float:
    """The steepest a product of `count` scores can be: each other factor at its highest."""
    most = max([1.0, *(float(np.abs(one).max(initial=0)) for one in over.values())])
    return count * most ** (count - 1)


def _seize(recipe: Mapping[str, Any], of: list[Any]) -> Recipe:
    first, second = _names(of, 2, 2)
    n, p = (_number(recipe.get(key, usual), key, -100, 100) for key, usual in (("n", 2.1), ("p", 0.13)))

    def value(scores: Scores, over: Scores) -> NDArray[np.float64]:
        a = scores[first].astype(np.float64)
        d = a - scores[second]
        found: NDArray[np.float64] = a + n * np.minimum(d, 0) + p * np.maximum(d, 0)
        return found

    return Recipe("seize", (first, second), (first,), False, value, lambda over: 1 + 2 * max(abs(n), abs(p)))


def _harris(recipe: Mapping[str, Any], of: list[Any]) -> Recipe:
    names = _names(of, 2, 2)
    weight = _number(recipe.get("lambda", 0.1), "lambda", 0, 0.5)
    least = recipe.get("least", [-1, -1])
    if (
        not isinstance(least, list)
        or len(least) != 2
        or not all(_is_number(one) and one < 0 for one in least)
    ):
        raise ValueError('"least" of the recipe is not two numbers below 0')

    def parts(scores: Scores) -> list[NDArray[np.float64]]:
        pairs = zip(names, least, strict=True)
        return [np.maximum((scores[name].astype(np.float64) - low) / abs(low), 0) for name, low in pairs]

    def value(scores: Scores, over: Scores) -> NDArray[np.float64]:
        one, two = parts(scores)
        return one * two - weight * (one + two) ** 2

    def slope(over: Scores) -> float:
        most = max((float(part.max(initial=0)) for part in parts(over)), default=0.0)
        return float(2 * (1 + 4 * weight) * max(1.0, most) / min(abs(low) for low in least))

    return Recipe("harris", names, names, False, value, slope)


def _vote(recipe: Mapping[str, Any], of: list[Any]) -> Recipe:
    names = _names(of, 1, None)
    tau = _number(recipe.get("tau", 0.005), "tau", 1e-6, 1e6)

    def value(scores: Scores, over: Scores) -> NDArray[np.float64]:
        total = np.zeros(len(scores[names[0]]))
        for name in names:
            wide = over[name].astype(np.float64) / tau
            most = wide.max()
            sum_ = np.exp(wide - most).sum()
            total += np.exp(scores[name].astype(np.float64) / tau - most) / sum_
        return total / len(names)

    return Recipe("vote", names, names, True, value, lambda over: float("inf"))


KINDS: dict[str, Callable[[Mapping[str, Any], list[Any]], Recipe]] = {
    "and": _logical, "or": _logical, "product": _product, "seize": _seize, "harris": _harris, "vote": _vote,
}  # fmt: skip


def _names(of: list[Any], least: int, most: int | None) -> tuple[str, ...]:
    if not all(isinstance(one, str) for one in of) or len(set(of)) != len(of):
        raise ValueError('"of" of the recipe is not a list of different names')
    if len(of) < least or (most is not None and len(of) > most):
        raise ValueError(
            f'"of" of the recipe has {len(of)} names, and {least}{"" if most else " or more"} are needed'
        )
    return tuple(of)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_span(value: Any) -> bool:
    two = isinstance(value, list) and len(value) == 2 and all(_is_number(one) for one in value)
    return two and value[0] < value[1]


def _number(value: Any, name: str, low: float, high: float) -> float:
    if not _is_number(value) or not low <= value <= high:
        raise ValueError(f'"{name}" of the recipe is {value!r}, not a number from {low:g} to {high:g}')
    return float(value)
