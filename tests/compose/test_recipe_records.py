"""Writing recipes: which vectors stand in a record, under which names, and what the recipe says."""

from __future__ import annotations

import numpy as np
import pytest

from mmr.arrays.recipe import read
from mmr.compose.recipes import Recipes
from mmr.compose.table import RECIPES, checked, recipe_row
from mmr.errors import UsageError, raise_item
from mmr.stream.records import Record
from tests.compose.made import unit, units


def written(name, bindings, *, numbers=None, **how):
    row = recipe_row(name)
    settings = [("", checked(name, row.params, numbers or {}))]
    record = Record({"id": "q", "text": "x", "vector": np.zeros(8, np.float32), "bindings": bindings})
    (made,) = Recipes(row, settings, **how).of([record], raise_item)
    return made


V, T, N = units(0, 2), units(1, 2), units(2, 1)[0]


@pytest.mark.parametrize("row", RECIPES, ids=lambda row: row.name)
def test_every_row_writes_a_recipe_that_can_be_read(row):
    names = row.takes or ("v", "t_m")
    made = written(row.name, {name: units(place, 1)[0] for place, name in enumerate(names)})
    recipe = read(made["recipe"])
    assert set(recipe.names) == set(made["bindings"])
    assert "vector" not in made
    assert made["via"][-1].startswith(f"compose {row.name}")
    assert all(param.low <= param.default <= param.high for param in row.params)


def test_each_picture_and_text_is_a_clause_of_its_own_name():
    made = written("and", {"v": V[0], "t_m": T, "n": N}, how={"by": "min"}, scale=(0.1, 0.3))
    assert made["recipe"] == {
        "score": "and", "of": ["v", "t1", "t2", {"not": "n"}], "by": "min", "scale": [0.1, 0.3],
    }  # fmt: skip
    np.testing.assert_array_equal(made["bindings"]["t2"], T[1])


def test_the_whole_text_counts_beside_its_clauses():
    made = written("and", {"t_m": T, "whole": V[0]}, numbers={"g": 0.25})
    assert (made["recipe"]["whole"], made["recipe"]["g"]) == ("whole", 0.25)
    assert set(made["bindings"]) == {"t1", "t2", "whole"}
    row = recipe_row("and")
    assert "whole" in Recipes(row, [("", {"g": 0.25})]).needs(["t_m", "whole"])
    assert "whole" not in Recipes(row, [("", {"g": 0})]).needs(["t_m", "whole"])


def test_a_list_under_a_fixed_name_is_its_mean_at_length_1():
    made = written("product", {"v": 3 * V[:1], "t_m": 2 * T})
    np.testing.assert_allclose(made["bindings"]["v"], V[0], atol=1e-6)
    np.testing.assert_allclose(made["bindings"]["t_m"], unit(unit(T).mean(axis=0)), atol=1e-6)


def test_other_names_and_numbers():
    bindings = {"a": V[0], "b": V[1], "c": N}
    made = written("harris", bindings, of=("b", "a"), numbers={"lambda": 0.2, "least_t": -0.3})
    assert made["recipe"] == {"score": "harris", "of": ["b", "a"], "lambda": 0.2, "least": [-1, -0.3]}
    assert set(written("harris", bindings, of=("b", "a"), keep=True)["bindings"]) == {"a", "b", "c"}
    with pytest.raises(UsageError, match="joins 2 vectors, and --of names 1"):
        Recipes(recipe_row("harris"), [("", {})], of=("a",))


def test_explain_tells_the_cosines():
    made = written("product", {"v": V[0], "t_m": T[0]}, explain=True)
    assert made["explain"]["cosines"] == {"v t_m": pytest.approx(float(V[0] @ T[0]), abs=1e-4)}


def test_a_sweep_writes_one_record_a_setting():
    row = recipe_row("vote")
    record = Record({"id": "q", "bindings": {"t_m": T}})
    made = list(Recipes(row, [("@tau=1", {"tau": 1}), ("@tau=2", {"tau": 2})]).of([record], raise_item))
    assert [(one["id"], one["of"], one["recipe"]["tau"]) for one in made] == [
        ("q@tau=1", "q", 1),
        ("q@tau=2", "q", 2),
    ]


def test_what_is_missing_or_zero_is_reported():
    rejected = []
    records = [
        Record({"id": "a", "bindings": {"v": V[0]}}),
        Record({"id": "b"}),
        Record({"id": "c", "bindings": {"v": V[0], "t_m": 0 * V[0]}}),
    ]
    assert list(Recipes(recipe_row("product"), [("", {})]).of(records, rejected.append)) == []
    assert "product needs t_m, which a has not" in rejected[0].what
    assert "--bind" in rejected[0].fix
    assert "--fallback" not in rejected[0].fix
    assert str(rejected[1]) == "b: product needs v and t_m, which b has not"
    assert rejected[2].what == "t_m is a vector of zeros"
    assert list(Recipes(recipe_row("and"), [("", {})]).of(records[1:2], rejected.append)) == []
    assert "v or t_m or n" in rejected[3].what
    assert list(Recipes(recipe_row("vote"), [("", {"tau": 1})]).of(records[1:2], rejected.append)) == []
    assert "vote needs v or t_m, which" in rejected[4].what
