"""Recipes through a real index against the obvious answer: every allowed item scored, none guessed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmr.arrays.recipe import read
from mmr.errors import BadDataError
from mmr.index import delete, open_index, upsert
from mmr.index.answer import answer
from mmr.index.search import Wanted, search
from mmr.stream.records import Record
from tests.index.test_search import fail, pairs, records, unit

RECIPES = [
    {"score": "and", "of": ["a", "b", {"not": "c"}]},
    {"score": "and", "of": ["a", {"or": ["b", "c"]}], "by": "min", "scale": [-0.5, 0.9]},
    {"score": "and", "of": ["a", "b"], "by": "geometric"},
    {"score": "or", "of": ["a", "b"], "whole": "c", "g": 0.3},
    {"score": "product", "of": ["a", "b"]},
    {"score": "seize", "of": ["a", "b"], "n": 2.1, "p": 0.13},
    {"score": "harris", "of": ["a", "b"], "least": [-0.6, -0.7]},
    {"score": "vote", "of": ["a", "b", "c"], "tau": 0.05},
]


def query(rng, recipe, **more):
    return Record(
        {"id": "q", "recipe": recipe, "bindings": dict(zip("abc", unit(rng, 3, 12), strict=True)), **more}
    )


def naive(items, one, k, *, where=None):
    """All allowed items by float64 products rounded to float32, joined, then by id descending."""
    allowed = [
        item for name, item in items.items()
        if name not in one.get("exclude", ()) and ("among" not in one or name in one["among"])
        and (where is None or item["colour"] == where)
    ]  # fmt: skip
    if not allowed:
        return []
    wide = [item["vector"].astype(np.float64) for item in allowed]
    scores = {
        name: np.array([np.float32(np.sum(vector.astype(np.float64) * item)) for item in wide])
        for name, vector in one["bindings"].items()
    }
    found = read(one["recipe"]).value(scores, scores).astype(np.float32)
    ranked = zip(found, (item["id"] for item in allowed), strict=True)
    return sorted(ranked, key=lambda pair: (pair[0], pair[1].encode()), reverse=True)[:k]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**31), recipe=st.sampled_from(RECIPES),
       where=st.sampled_from([None, "blue"]), exact=st.booleans(),
       kind=st.sampled_from(["flat", "hnsw:m=8,ef=256,least=8"]), data=st.data())  # fmt: skip
def test_a_recipe_scores_every_allowed_item(tmp_path_factory, seed, recipe, where, exact, kind, data):
    path = tmp_path_factory.mktemp("index") / "x.mmr"
    rng = np.random.default_rng(seed)
    vectors = unit(rng, 60, 12)
    vectors[40:50] = vectors[:10]
    items = {}
    for start, stop in ((0, 25), (25, 60), (5, 15)):
        chunk = records(vectors[start:stop], start)
        upsert(path, chunk, reject=fail, kind=kind)
        items.update({record["id"]: record for record in chunk})
    gone = data.draw(st.lists(st.sampled_from(sorted(items)), unique=True, max_size=20))
    delete(path, gone)
    for name in gone:
        del items[name]
    one = query(rng, recipe)
    one["exclude"] = data.draw(st.lists(st.sampled_from(sorted(items)), unique=True, max_size=8))
    among = data.draw(st.none() | st.lists(st.sampled_from(sorted(items)), unique=True))
    if among is not None:
        one["among"] = among
    k = data.draw(st.integers(1, 70))
    wanted = Wanted(k, where=(("colour", where),) if where else (), exact=exact)
    with open_index(path) as index:
        (hits,) = search(index, [one], wanted)
    assert pairs(hits) == naive(items, one, k, where=where)


def test_candidates_are_the_union_of_what_the_vectors_propose(tmp_path):
    """What no vector proposes cannot come up where a structure is walked; what comes has its exact score."""
    rng = np.random.default_rng(0)
    items = {record["id"]: record for record in records(unit(rng, 3000, 12))}
    upsert(tmp_path / "x.mmr", list(items.values()), reject=fail, kind="hnsw:least=8,ef=64")
    one = query(rng, {"score": "product", "of": ["a", "b"]})
    with open_index(tmp_path / "x.mmr") as index:
        (some,), (all_,) = (search(index, [one], Wanted(10, exact=exact)) for exact in (False, True))
        near = {
            hit["id"] for name in "ab"
            for hit in search(index, [Record({"id": name, "vector": one["bindings"][name]})], Wanted(100))[0]
        }  # fmt: skip
    assert pairs(all_) == naive(items, one, 10)
    assert {hit["id"] for hit in some} <= near
    exact = {name: score for score, name in naive(items, one, 3000)}
    assert all(hit["score"] == exact[hit["id"]] for hit in some)


def test_queries_with_and_without_recipes_in_one_stream(tmp_path):
    rng = np.random.default_rng(1)
    items = {record["id"]: record for record in records(unit(rng, 40, 12))}
    upsert(tmp_path / "x.mmr", list(items.values()), reject=fail)
    one = query(rng, RECIPES[0])
    vector = Record({"id": "v", "vector": unit(rng, 12)})
    other = query(rng, RECIPES[5])
    with open_index(tmp_path / "x.mmr") as index:
        found = search(index, [one, vector, other], Wanted(5))
        alone = [search(index, [each], Wanted(5))[0] for each in (one, vector, other)]
        below = search(index, [other], Wanted(5, min_score=found[2][1]["score"]))[0]
    assert [pairs(each) for each in found] == [pairs(each) for each in alone]
    assert pairs(found[0]) == naive(items, one, 5)
    assert len(below) == 2


WRONG = [
    ({"score": "and", "of": ["a", "x"]}, "needs x in"),
    ({"score": "nand", "of": ["a"]}, "there are and"),
    ({"score": "and", "of": ["many"]}, "one vector for many"),
    ({"score": "and", "of": ["zero"]}, "vector of zeros"),
    ({"score": "and", "of": ["short"]}, "7 dimensions"),
]


@pytest.mark.parametrize(("recipe", "what"), WRONG)
def test_a_recipe_that_cannot_be_scored_is_reported(tmp_path, recipe, what):
    rng = np.random.default_rng(2)
    upsert(tmp_path / "x.mmr", records(unit(rng, 4, 12)), reject=fail)
    one = query(rng, recipe)
    one["bindings"] |= {"many": unit(rng, 2, 12), "zero": np.zeros(12, np.float32), "short": unit(rng, 7)}
    rejected = []
    with open_index(tmp_path / "x.mmr") as index:
        assert list(answer(index, [one], lambda _: iter(()), Wanted(), reject=rejected.append)) == []
    assert what in rejected[0].what


def test_named_vectors_of_another_model_are_refused(tmp_path):
    rng = np.random.default_rng(3)
    upsert(
        tmp_path / "x.mmr",
        [Record({**one, "model": "m#1"}) for one in records(unit(rng, 4, 12))],
        reject=fail,
    )
    one = query(rng, RECIPES[0], model="m#2")
    with open_index(tmp_path / "x.mmr") as index, pytest.raises(BadDataError, match="m#2"):
        list(answer(index, [one], lambda _: iter(()), Wanted(), reject=fail))


def test_named_vectors_come_to_length_1(tmp_path):
    rng = np.random.default_rng(4)
    items = {record["id"]: record for record in records(unit(rng, 20, 12))}
    upsert(tmp_path / "x.mmr", list(items.values()), reject=fail)
    one = query(rng, RECIPES[4])
    long = Record({**one, "bindings": {name: 5 * vector for name, vector in one["bindings"].items()}})
    with open_index(tmp_path / "x.mmr") as index:
        (got,) = answer(index, [long], lambda _: iter(()), Wanted(5), reject=fail)
    for hit, (score, name) in zip(got["hits"], naive(items, one, 5), strict=True):
        assert (hit["id"], hit["score"]) == (name, pytest.approx(score, abs=1e-6))
