"""`rerank recipe`: the scores of `mmr query`, over the hits."""

from __future__ import annotations

import numpy as np
import pytest

from mmr.errors import UsageError
from mmr.index import open_index, upsert
from mmr.index.search import Wanted, search
from mmr.stream.records import Record
from tests.rerank.made import ids, record, rerank, scores, unit

RECIPE = {"score": "product", "of": ["v", "t"]}


def asked(seed=0, **more):
    vectors, named = unit(seed, 12, 8), unit(seed + 1, 2, 8, dtype=np.float32)
    return record(unit(seed + 2, 8), vectors, bindings=dict(zip("vt", named, strict=True)), **more), vectors


def test_hits_are_scored_by_the_recipe():
    one, vectors = asked(recipe=RECIPE)
    v, t = (one["bindings"][name].astype(np.float64) for name in "vt")
    expected = {f"x{i}": max(x @ v, 0) * max(x @ t, 0) for i, x in enumerate(vectors.astype(np.float32), 1)}
    got = rerank(one, "recipe", explain=True)
    assert ids(got) == sorted(expected, key=expected.get, reverse=True)
    assert scores(got) == pytest.approx(sorted(expected.values(), reverse=True), abs=1e-6)
    assert got["hits"][0]["why"].startswith("v ")
    assert "product" in got["via"][-1]


def test_the_scores_are_those_of_query(tmp_path):
    one, vectors = asked(recipe={"score": "seize", "of": ["v", "t"]})
    items = [Record({"id": f"x{i}", "vector": v.astype(np.float32)}) for i, v in enumerate(vectors, 1)]
    upsert(tmp_path / "x.mmr", items, reject=None)
    with open_index(tmp_path / "x.mmr") as index:
        (hits,) = search(index, [one], Wanted(12))
    got = rerank(one, "recipe")
    assert [(hit["id"], hit["score"]) for hit in got["hits"]] == [(hit["id"], hit["score"]) for hit in hits]


def test_a_recipe_of_the_command_line_wins():
    one, _ = asked(recipe=RECIPE)
    clauses = '{"score": "and", "of": ["v", {"not": "t"}], "by": "min"}'
    got = rerank(one, "recipe", recipe=clauses)
    plain = rerank(
        Record({**one, "recipe": {"score": "and", "of": ["v", {"not": "t"}], "by": "min"}}), "recipe"
    )
    assert scores(got) == scores(plain) != scores(rerank(one, "recipe"))


def test_named_vectors_come_to_length_1():
    one, _ = asked(recipe=RECIPE)
    long = Record({**one, "bindings": {name: 4 * vector for name, vector in one["bindings"].items()}})
    assert scores(rerank(long, "recipe")) == pytest.approx(scores(rerank(one, "recipe")), abs=1e-6)


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ({}, "has no recipe"),
        ({"recipe": {"score": "product", "of": ["v", "w"]}}, "needs w in"),
        ({"recipe": {"score": "sum", "of": ["v"]}}, "there are and"),
        ({"recipe": {"score": "and", "of": ["many"]}}, "it is a list"),
        ({"recipe": {"score": "and", "of": ["v", "short"]}}, "different dimensions"),
        ({"recipe": {"score": "and", "of": ["short"]}}, "3 numbers, and the hits' 8"),
    ],
)
def test_what_cannot_be_scored_is_reported(more, what):
    one, _ = asked(**more)
    one["bindings"] |= {"many": unit(5, 2, 8, dtype=np.float32), "short": unit(6, 3, dtype=np.float32)}
    rejected = []
    assert rerank([one], "recipe", reject=rejected.append) == []
    assert what in rejected[0].what


def test_a_recipe_that_is_no_json_is_wrong_usage():
    one, _ = asked()
    for text in ("{", "[1]"):
        with pytest.raises(UsageError, match="no JSON"):
            rerank(one, "recipe", recipe=text)


def test_without_hits_nothing_happens():
    one, _ = asked(recipe=RECIPE)
    assert rerank(Record({**one, "hits": []}), "recipe")["hits"] == []
