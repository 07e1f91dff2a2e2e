"""Recipes against their formulas, written naively, and the laws of the reference's section 6.9."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmr.arrays.recipe import BY, both, either, read

chances = st.lists(st.lists(st.floats(0, 1), min_size=4, max_size=4), min_size=1, max_size=4)


def value(recipe, scores, over=None):
    scores = {name: np.asarray(one, np.float64) for name, one in scores.items()}
    return read(recipe).value(scores, scores if over is None else over)


FIXED = {"scale": [0, 1]}


def test_9_worked_case_of_the_reference():
    p = {"a": [0.9], "b": [0.6]}
    of = ["a", "b"]
    assert value({"score": "and", "of": of, **FIXED}, p) == pytest.approx([0.54])
    assert value({"score": "and", "of": of, "by": "geometric", **FIXED}, p) == pytest.approx(
        [0.735], abs=5e-4
    )
    assert value({"score": "and", "of": of, "by": "min", **FIXED}, p) == pytest.approx([0.6])
    negated = {"score": "and", "of": [{"not": "a"}, {"not": "b"}], **FIXED}
    assert value(negated, {"a": [0.2], "b": [0.8]}) == pytest.approx([0.8 * 0.2])


@given(chances)
def test_9_product_min_geometric_mean_and_most_in_their_order(rows):
    values = [np.array(row) for row in rows]
    product, least, geometric = (both(values, by) for by in BY)
    slack = 1e-12
    assert (product <= least + slack).all()
    assert (least <= geometric + slack).all()
    assert (geometric <= np.max(values, axis=0) + slack).all()


@given(chances, st.sampled_from(["product", "min"]))
def test_9_de_morgan(rows, by):
    values = [np.array(row) for row in rows]
    np.testing.assert_allclose(1 - either(values, by), both([1 - one for one in values], by), atol=1e-12)
    if by == "min":
        np.testing.assert_allclose(either(values, by), np.max(values, axis=0), atol=1e-12)


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=8, unique=True), st.sampled_from(BY))
def test_9_one_clause_ranks_as_itself(scores, by):
    found = value({"score": "and", "of": ["a"], "by": by}, {"a": scores})
    assert np.argsort(found, kind="stable").tolist() == np.argsort(scores, kind="stable").tolist() or (
        np.diff(np.sort(scores)).min() < 1e-12
    )


@given(chances, st.randoms(), st.sampled_from(["and", "or"]), st.sampled_from(BY))
def test_9_the_order_of_clauses_changes_nothing(rows, random, score, by):
    names = [f"t{place}" for place in range(len(rows))]
    scores = dict(zip(names, rows, strict=True))
    mixed = random.sample(names, len(names))
    one = value({"score": score, "of": names, "by": by, **FIXED}, scores)
    np.testing.assert_allclose(
        value({"score": score, "of": mixed, "by": by, **FIXED}, scores), one, atol=1e-12
    )


def test_nested_clauses_and_the_whole_text():
    p = {"a": [0.9], "b": [0.6], "c": [0.3], "w": [0.5]}
    of = ["a", {"or": ["b", {"not": "c"}]}, {"not": {"and": ["b", "c"]}}]
    inner = 0.9 * (1 - (1 - 0.6) * (1 - 0.7)) * (1 - 0.6 * 0.3)
    assert value({"score": "and", "of": of, **FIXED}, p) == pytest.approx([inner])
    mixed = {"score": "and", "of": of, "whole": "w", "g": 0.25, **FIXED}
    assert value(mixed, p) == pytest.approx([0.25 * 0.5 + 0.75 * inner])
    assert read(mixed).names == ("a", "b", "c", "w")
    assert read(mixed).seeds == ("a", "b", "w")


def test_minmax_is_over_all_that_is_scored_and_equal_scores_are_1():
    scores = {"a": [0.1, 0.2, 0.3], "b": [0.5, 0.5, 0.5]}
    assert value({"score": "and", "of": ["a", "b"]}, scores) == pytest.approx([0, 0.5, 1])
    over = {"a": np.array([0.0, 0.4]), "b": np.array([0.5, 0.5])}
    assert value({"score": "and", "of": ["a", "b"]}, scores, over) == pytest.approx([0.25, 0.5, 0.75])


def test_a_fixed_scale_is_cut_at_its_ends():
    recipe = {"score": "and", "of": ["a"], "scale": [0.1, 0.3]}
    assert value(recipe, {"a": [0.0, 0.15, 0.9]}) == pytest.approx([0, 0.25, 1])


def test_product_of_positive_scores():
    found = value({"score": "product", "of": ["v", "t"]}, {"v": [0.5, -0.5, -1.0], "t": [0.4, 0.4, -1.0]})
    assert found == pytest.approx([0.2, 0, 0])


@given(st.floats(-1, 1), st.floats(-1, 1), st.floats(0, 3), st.floats(0, 3))
def test_seize_by_its_formula(a, b, n, p):
    d = a - b
    expected = a + (n * d if d < 0 else p * d)
    assert value({"score": "seize", "of": ["c", "r"], "n": n, "p": p}, {"c": [a], "r": [b]}) == pytest.approx(
        [expected], abs=1e-12
    )


@given(st.floats(-1, 1), st.floats(-1, 1), st.floats(0, 3))
def test_3_seize_with_equal_factors_is_linear(a, b, m):
    recipe = {"score": "seize", "of": ["c", "r"], "n": m, "p": m}
    assert value(recipe, {"c": [a], "r": [b]}) == pytest.approx([(1 + m) * a - m * b], abs=1e-12)


def test_harris_by_its_formula_and_its_identity():
    s, least, weight = (0.3, -0.2), (-0.5, -0.4), 0.1
    one, two = ((score - low) / abs(low) for score, low in zip(s, least, strict=True))
    recipe = {"score": "harris", "of": ["v", "t"], "least": list(least), "lambda": weight}
    found = value(recipe, {"v": [s[0]], "t": [s[1]]})
    assert found == pytest.approx([one * two - weight * (one + two) ** 2])
    assert found == pytest.approx([(1 - 2 * weight) * one * two - weight * (one**2 + two**2)])
    below = value(recipe, {"v": [-0.9], "t": [s[1]]})
    assert below == pytest.approx([-weight * two**2])


def test_harris_grows_with_one_only_where_the_other_keeps_up():
    recipe = {"score": "harris", "of": ["v", "t"]}
    for other, grows in ((0.3, True), (0.2, False)):
        near, far = (value(recipe, {"v": [s - 1], "t": [other - 1]})[0] for s in (1.0, 1.001))
        assert (far > near) == grows == (other > 0.25)


def test_vote_is_a_mean_of_softmaxes_and_does_not_overflow():
    scores = {"a": [0.9, 0.1, 0.5], "b": [0.2, 0.3, 0.1]}
    tau = 0.005
    found = value({"score": "vote", "of": ["a", "b"], "tau": tau}, scores)
    naive = []
    for place in range(3):
        parts = [math.exp(one[place] / tau) / sum(math.exp(s / tau) for s in one) for one in scores.values()]
        naive.append(sum(parts) / 2)
    assert found == pytest.approx(naive)
    assert found.sum() == pytest.approx(1)
    assert np.isfinite(value({"score": "vote", "of": ["a"], "tau": 1e-6}, {"a": [1.0, -1.0]})).all()


@given(chances, st.sampled_from(["product", "min"]), st.integers(0, 3), st.floats(-1e-3, 1e-3))
def test_the_slope_bounds_how_much_a_score_can_move(rows, by, place, step):
    names = [f"t{number}" for number in range(len(rows))]
    recipe = read({"score": "and", "of": [*names, {"not": names[0]}], "by": by, "scale": [0.1, 0.4]})
    scores = {name: np.array(row) for name, row in zip(names, rows, strict=True)}
    moved = {name: row + step * (np.arange(4) == place) for name, row in scores.items()}
    change = np.abs(recipe.value(moved, moved) - recipe.value(scores, scores)).max()
    assert change <= recipe.slope(scores) * abs(step) + 1e-9


WRONG = [
    ({"score": "nand", "of": ["a"]}, "there are and, or"),
    ({"of": ["a"]}, "there are and, or"),
    ({"score": "and"}, "not a list of names"),
    ({"score": "and", "of": []}, "not a list of names"),
    ({"score": "and", "of": [1]}, "a clause is"),
    ({"score": "and", "of": [{"nor": "a"}]}, "'nor'"),
    ({"score": "and", "of": [{"and": []}]}, "with a clause or a list"),
    ({"score": "and", "of": [{"not": "a", "and": ["b"]}]}, "a clause is"),
    ({"score": "and", "of": ["a"], "by": "max"}, "there are product, min, geometric"),
    ({"score": "and", "of": ["a"], "scale": "cosine"}, "neither"),
    ({"score": "and", "of": ["a"], "scale": [1, 0]}, "lo below hi"),
    ({"score": "and", "of": ["a"], "g": 2}, "from 0 to 1"),
    ({"score": "and", "of": ["a"], "whole": 3}, "not a name"),
    ({"score": "and", "of": ["a"], "tau": 3}, "has no 'tau'"),
    ({"score": "product", "of": ["a"]}, "2 or more are needed"),
    ({"score": "product", "of": ["a", "a"]}, "different names"),
    ({"score": "seize", "of": ["a", "b", "c"]}, "has 3 names"),
    ({"score": "seize", "of": ["a", "b"], "n": "x"}, "not a number"),
    ({"score": "harris", "of": ["a", "b"], "least": [-1, 0]}, "below 0"),
    ({"score": "vote", "of": ["a"], "tau": 0}, "not a number from"),
]


@pytest.mark.parametrize(("recipe", "what"), WRONG)
def test_what_is_no_recipe_is_said(recipe, what):
    with pytest.raises(ValueError, match=re.escape(what)):
        read(recipe)


words = st.sampled_from([
    "and", "or", "not", "product", "seize", "harris", "vote", "a", "b", "score", "of", "by", "min", "scale",
    "whole", "g", "n", "p", "lambda", "least", "tau", "minmax",
])  # fmt: skip
values = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.floats(-2, 2) | words,
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(words, inside, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(words, values, max_size=5), words, values)
def test_any_json_is_a_recipe_or_is_refused(more, score, of):
    try:
        recipe = read({**more, "score": score, "of": of})
    except ValueError:
        return
    scores = {name: np.array([-0.3, 0.0, 0.4]) for name in recipe.names}
    assert np.isfinite(recipe.value(scores, scores)).all()
    assert recipe.slope(scores) >= 0
    assert set(recipe.seeds) <= set(recipe.names)
