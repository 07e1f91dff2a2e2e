"""Folding parts into parents and back: worked case, naive formulas, identities, each trap by name."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmr.errors import UsageError
from mmr.rerank.apply import reranked
from mmr.rerank.fold import OF_SOFT, WAYS, completed, folded
from mmr.rerank.method import Tools
from mmr.rerank.table import find
from mmr.stream.order import ranked
from mmr.stream.records import Record

PAGES = [("d1p1", "d1", 0.9), ("d2p1", "d2", 0.8), ("d1p2", "d1", 0.5), ("x", None, 0.45),
         ("d2p2", "d2", 0.3), ("d1p3", "d1", 0.1)]  # fmt: skip
WORKED = {"max": 0.9, "mean": 0.5, "softmax": 0.8925, "log-mean-exp": 0.7920}


def naive(x, way, n, t):
    if way == "top-mean":
        best = sorted(x, reverse=True)[:n]
        return sum(best) / len(best)
    weights = [math.exp(s / t) for s in x]
    return {
        "max": max(x), "mean": sum(x) / len(x), "sum": sum(x),
        "log-mean-exp": t * math.log(sum(weights) / len(x)),
        "softmax": sum(s * w for s, w in zip(x, weights, strict=True)) / sum(weights),
    }[way]  # fmt: skip


def hits_of(pages):
    return [
        {"id": name, "score": score, "text": f"words of {name}", **({"parent": parent} if parent else {})}
        for name, parent, score in pages
    ]


def run(method, pages, tools=None, **values):
    hits = pages if isinstance(pages[0] if pages else {}, dict) else hits_of(pages)
    (found,) = reranked(
        [Record({"id": "q", "hits": hits})], find(method), values, reject=pytest.fail, tools=tools
    )
    return found


def scores_of(found):
    return {hit["id"]: float(hit["score"]) for hit in found["hits"]}


@pytest.mark.parametrize("way", WORKED)
def test_worked(way):
    assert folded([0.9, 0.5, 0.1], way) == pytest.approx(WORKED[way], abs=1e-4)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.floats(-1, 1), min_size=1, max_size=12), st.sampled_from(WAYS), st.integers(1, 5),
    st.floats(0.02, 5), st.randoms(),
)  # fmt: skip
def test_formulas_and_permutations(x, way, n, t, random):
    assert folded(x, way, n, t) == pytest.approx(naive(x, way, n, t), abs=1e-10)
    mixed = list(x)
    random.shuffle(mixed)
    assert folded(mixed, way, n, t) == folded(x, way, n, t)


def test_soft_folds_do_not_overflow():
    for way in OF_SOFT:
        assert folded([900.0, -900.0], way, temperature=1e-3) == pytest.approx(900, abs=1e-2)


def test_parents_keep_their_best_child():
    found = run("group", PAGES)
    assert [(hit["id"], hit["best_child"], hit["retrieved"], hit["prev_rank"]) for hit in found["hits"]] == [
        ("d1", "d1p1", 3, 1), ("d2", "d2p1", 2, 2), ("x", "x", 1, 4),
    ]  # fmt: skip
    assert found["hits"][0]["text"] == "words of d1p1"
    assert found["group"] == {"by": "parent", "pool": "max", "over": "retrieved", "hits": 6, "parents": 3}


def test_children_that_are_kept():
    found = run("group", PAGES, children=1)
    assert [len(hit["children"]) for hit in found["hits"]] == [1, 1, 1]
    assert [hit["retrieved"] for hit in found["hits"]] == [3, 2, 1]


def test_trap_mean_over_retrieved_children_favours_one_good_child():
    """A document with one good page of ten beats one with two good pages, until all children count."""
    pages = [("a1", "a", 0.8), ("b1", "b", 0.79), ("b2", "b", 0.78), ("c1", "c", 0.1)]
    sizes = {"a": 10, "b": 2, "c": 1}
    tools = Tools(children_of=lambda names: [sizes[name] for name in names])
    assert run("group", pages, pool="mean")["hits"][0]["id"] == "a"
    found = run("group", pages, tools, pool="mean", over="all")
    assert [hit["id"] for hit in found["hits"]] == ["b", "a", "c"]
    assert scores_of(found)["a"] == pytest.approx((0.8 + 9 * 0.1) / 10)
    assert found["group"]["over"].startswith("all children, those that were not retrieved as the lowest")


def test_by_another_field():
    pages = [("a1", "a", 0.8), ("b1", "b", 0.79), ("b2", "b", 0.78)]
    films = {"a1": "x", "b1": "y", "b2": "x"}
    tools = Tools(fields_of=lambda names, fields: [{fields[0]: films[name]} for name in names])
    found = run("group", pages, tools, by="film")
    assert [(hit["id"], hit["retrieved"]) for hit in found["hits"]] == [("x", 2), ("y", 1)]


def test_trap_sum_favours_long_parents():
    pages = [("a1", "a", 0.5), ("b1", "b", 0.2), ("b2", "b", 0.2), ("b3", "b", 0.2)]
    assert run("group", pages, pool="sum")["hits"][0]["id"] == "b"
    assert run("group", pages, pool="max")["hits"][0]["id"] == "a"


def test_more_children_retrieved_than_known():
    assert completed(np.array([0.9, 0.8]), 1, 0.1).tolist() == [0.9, 0.8]


def test_parents_of_the_index_where_hits_have_none():
    known = {"a1": {"id": "a1", "parent": "a"}, "a2": {"id": "a2", "parent": "a"}}
    tools = Tools(fields_of=lambda names, fields: [known.get(name) for name in names])
    found = run("group", [("a1", None, 0.5), ("b1", None, 0.4), ("a2", None, 0.3)], tools)
    assert [(hit["id"], hit["retrieved"]) for hit in found["hits"]] == [("a", 2), ("b1", 1)]


def test_no_parent_at_all_is_said():
    said = []
    run("group", [("a", None, 0.5)], Tools(note=said.append))
    assert "no hit has a parent" in said[0]
    said.clear()
    run("group", [], Tools(note=said.append))
    run("group", PAGES, Tools(note=said.append))
    assert said == []


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(-20, 20)), max_size=12), st.sampled_from(WAYS))
def test_unfold_undoes_group(pairs, way):
    pages = [(f"p{place}", f"d{parent}", score / 8) for place, (parent, score) in enumerate(pairs)]
    grouped = run("group", pages, Tools(note=lambda _: None), pool=way)
    found = run("unfold", grouped["hits"])
    expected = ranked(hits_of(pages))
    assert [hit["id"] for hit in found["hits"]] == [hit["id"] for hit in expected]
    assert [float(hit["score"]) for hit in found["hits"]] == [hit["score"] for hit in expected]


def test_unfold_by_parent_keeps_families_together():
    found = run("unfold", run("group", PAGES)["hits"], order="parent")
    assert [hit["id"] for hit in found["hits"]] == ["d1p1", "d1p2", "d1p3", "d2p1", "d2p2", "x"]
    scores = [hit["score"] for hit in found["hits"]]
    assert all(one > other for one, other in pairwise(scores))
    assert [hit["prev_rank"] for hit in found["hits"]] == [1, 1, 1, 2, 2, 3]


@pytest.mark.parametrize(
    "children",
    [3, [3], [{"id": "c"}], [{"id": 1, "score": 1}], [{"id": "c", "score": math.nan}],
     [{"id": "c", "score": "1"}]],
)  # fmt: skip
def test_children_that_are_no_hits_are_a_bad_item(children):
    bad = []
    record = Record({"id": "q", "hits": [{"id": "b", "score": 1.0, "children": children}]})
    assert list(reranked([record], find("unfold"), {}, reject=bad.append)) == []
    assert '"children" of the hit b are no hits' in str(bad[0])


def test_a_child_of_two_parents_comes_once():
    child = {"id": "c", "score": 2.0}
    hits = [{"id": "a", "score": 1.0, "children": [child]}, {"id": "b", "score": 0.5, "children": [child]}]
    assert [hit["id"] for hit in run("unfold", hits)["hits"]] == ["c"]
    assert [hit["id"] for hit in run("unfold", hits, order="parent")["hits"]] == ["c"]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"top": 2}, "--top means nothing to --pool max\n  Leave it out, or use --pool top-mean."),
        (
            {"pool": "mean", "temperature": 1},
            "--pool mean\n  Leave it out, or use --pool softmax or log-mean-exp.",
        ),
        ({"over": "all"}, "--over all means nothing to --pool max"),
        ({"pool": "mean", "over": "all"}, "Name --index"),
        ({"by": "film", "pool": "mean", "over": "all"}, "--over all means nothing to --by film"),
    ],
)
def test_wrong_options(values, words):
    with pytest.raises(UsageError, match=words):
        run("group", PAGES, **values)
