"""The frame: what goes in and out whatever the method is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmr.errors import BadDataError, BadItem, UsageError
from mmr.rerank import table
from mmr.rerank.apply import described, reranked
from mmr.rerank.method import Answer, Method, Tools
from mmr.rerank.order import below, falling, in_order
from mmr.rerank.table import METHODS, Param, Row, checked, find
from mmr.stream.order import ranked
from mmr.stream.records import Record
from tests.rerank.made import Q, T, ids, record, rerank, scores

NAMES = st.text("abcé", min_size=1, max_size=3)
SCORES = st.floats(-100, 100, width=32)


class Given(Method):
    """A method of the test's own: gives the scores that the record names."""

    def rerank(self, given):
        new = given.record["new"]
        return Answer(new(given) if callable(new) else new, **given.record.get("more", {}))


ROW = Row("test", "of the test", f"{__name__}:Given", (), "nowhere", "")


def run(hits, new, *, depth=None, k=None, kept=None, explain=False, more=None):
    """One query through the frame: hits as (id, score), its reports."""
    reports: list[BadItem] = []
    hits = [{"id": name, "score": score} for name, score in hits]
    one = Record({"id": "q", "hits": hits, "new": new, "more": more or {}})
    found = list(reranked([one], ROW._replace(loads="x:y"), {}, reject=reports.append, depth=depth, k=k,
                          explain=explain))  # fmt: skip
    return found[0] if found else None, reports


@pytest.fixture(autouse=True)
def own_method(monkeypatch):
    real = table.loaded
    monkeypatch.setattr("mmr.rerank.apply.method", lambda row: Given if row.name == "test" else real(row))


@given(st.dictionaries(NAMES, st.tuples(SCORES, SCORES), max_size=12), st.integers(0, 12), st.data())
@settings(max_examples=150, deadline=None)
def test_order_and_tail(hits, depth, data):
    """The first `depth` hits are ordered by new scores, the others follow, and scores say the same."""
    before = ranked([{"id": name, "score": old} for name, (old, _) in hits.items()])
    found, reports = run([(name, old) for name, (old, _) in hits.items()],
                         lambda given: [hits[hit["id"]][1] for hit in given.hits], depth=depth)  # fmt: skip
    assert reports == []
    first = sorted(before[:depth], key=lambda hit: (np.float32(hits[hit["id"]][1]), hit["id"]), reverse=True)
    assert ids(found) == [hit["id"] for hit in (*first, *before[depth:])]
    assert ranked(found["hits"]) == found["hits"]
    assert scores(found)[:depth] == [hits[hit["id"]][1] for hit in first]


@given(st.lists(st.tuples(NAMES, st.one_of(SCORES, st.just(float("nan")))), max_size=10,
                unique_by=lambda pair: pair[0]))  # fmt: skip
@settings(max_examples=150, deadline=None)
def test_falling_says_the_given_order(pairs):
    names, values = [name for name, _ in pairs], np.array([value for _, value in pairs])
    found = falling(names, values)
    assert np.isfinite(found).all()
    assert in_order(names, found) == list(range(len(names)))
    untouched = np.asarray(sorted(values[np.isfinite(values)], reverse=True), np.float32)
    assert falling(["z"] * len(untouched), untouched).tolist() == untouched.tolist()


@given(st.lists(SCORES, max_size=8), SCORES)
def test_below_moves_all_by_one_step(values, lowest):
    values = sorted(values, reverse=True)
    found = below(np.array(values), lowest)
    assert len(found) == 0 or found[0] < lowest
    assert np.diff(found) == pytest.approx(np.diff(values), abs=1e-9)


def test_a_hit_without_a_new_score_keeps_its_place_and_is_reported():
    nan = float("nan")
    hits = [("a", 0.9), ("b", 0.8), ("c", 0.7), ("d", 0.6)]
    found, reports = run(hits, [0.1, nan, 0.3, 0.2])
    assert ids(found) == ["c", "b", "d", "a"]
    assert ranked(found["hits"]) == found["hits"]
    assert [str(item) for item in reports] == ["q, hit b: its new score is not a number; it keeps its place"]
    found, reports = run(hits, [0.1, 0.5, 0.3, 0.2], more={"failed": {0: "no answer"}})
    assert ids(found)[0] == "a" and "no answer" in str(reports[0])
    found, reports = run(hits, [nan] * 4)
    assert ids(found) == ["a", "b", "c", "d"] and "4 hits got no score" in str(reports[0])
    assert np.isfinite(scores(found)).all()


def test_hits_may_be_cut_replaced_and_given_fields():
    hits = [("a", 0.9), ("b", 0.8), ("c", 0.7)]
    found, _ = run(hits, [1, 2, 3], more={"kept": np.array([True, False, True]), "tail": False,
                                         "record": {"cut": "at c"}, "step": "kept 2"})  # fmt: skip
    assert ids(found) == ["c", "a"] and found["cut"] == "at c"
    assert found["via"] == ["rerank test kept 2"]
    found, _ = run(hits, [5, 4], more={"hits": [{"id": "b", "score": 0.8}, {"id": "new", "page": 2}],
                                       "tail": False, "fields": {"best": [7, None]}})  # fmt: skip
    assert found["hits"] == [{"id": "b", "score": 5.0, "prev_score": 0.8, "prev_rank": 2, "best": 7},
                             {"id": "new", "score": 4.0, "page": 2}]  # fmt: skip
    found, _ = run(hits, [1, 2, 3], more={"why": ["x", "y", "z"]}, explain=True, k=2)
    assert [(hit["id"], hit["why"]) for hit in found["hits"]] == [("c", "z"), ("b", "y")]


def test_a_second_step_overwrites_the_first():
    once = rerank(record(Q, T), "superglobal", neighbours=1, explain=True)
    twice = rerank(once, "alpha-qe", n=2)
    first = rerank(record(Q, T), "superglobal", neighbours=1)["hits"]
    was = {hit["id"]: (float(hit["score"]), rank) for rank, hit in enumerate(first, 1)}
    assert {hit["id"]: (float(hit["prev_score"]), hit["prev_rank"]) for hit in twice["hits"]} == was
    assert len(twice["via"]) == 2 and all("why" not in hit for hit in twice["hits"])


@pytest.mark.parametrize(("change", "words"), [
    (lambda one: one.pop("hits"), "has no hits"),
    (lambda one: one["hits"][1].pop("score"), "a hit has no score"),
    (lambda one: one["hits"][1].update(score=float("nan")), "a hit has no score"),
    (lambda one: one["hits"].append(dict(one["hits"][0])), "an item is a hit twice"),
    (lambda one: one.pop("vector"), "has no vector, and superglobal needs the query's"),
    (lambda one: one.update(vector=np.zeros(2, np.float32)), "has no vector"),
    (lambda one: one.update(vector=np.ones(3, np.float32)), "a vector of 3 numbers, and its hits have 2"),
])  # fmt: skip
def test_bad_queries_are_reported_and_the_others_go_on(change, words):
    bad, good = record(Q, T, name="bad"), record(Q, T, name="good")
    change(bad)
    reports: list[BadItem] = []
    found = rerank([bad, good], "superglobal", reject=reports.append)
    assert [one["id"] for one in found] == ["good"]
    assert words in str(reports[0]) and reports[0].stage == "rerank" and reports[0].record is bad


def test_the_end_of_a_stream_goes_through():
    end = Record({"eof": True, "items": 1})
    assert rerank([record(Q, T), end], "superglobal")[1] == {"eof": True, "items": 1}


def test_a_query_that_is_not_of_length_1():
    scaled = record(Q, T)
    scaled["vector"] = scaled["vector"] * 3
    assert scores(rerank(scaled, "superglobal")) == pytest.approx(scores(rerank(record(Q, T), "superglobal")))


def test_vectors_of_another_model_never_meet():
    tools = Tools(vectors_of=lambda lists: [T[: len(names)].astype(np.float32) for names in lists],
                  model="clip#1", note=lambda line: None)  # fmt: skip
    with pytest.raises(BadDataError, match="clip#1"):
        rerank(record(Q, T, model="clip#2"), "superglobal", tools=tools)
    rerank(record(Q, T, model="other#1"), "superglobal", tools=tools)


def test_hits_that_the_index_lacks_are_named():
    reports: list[BadItem] = []
    tools = Tools(vectors_of=lambda lists: ["x2" for _ in lists], gallery="g.mmr")
    assert rerank([record(Q, T)], "superglobal", reject=reports.append, tools=tools) == []
    assert "the hit x2 is not in g.mmr" in str(reports[0])


def test_hits_without_vectors_and_without_an_index():
    bare = record(Q, T)
    for hit in bare["hits"]:
        del hit["vector"]
    with pytest.raises(UsageError, match="--index"):
        rerank(bare, "superglobal")


@pytest.mark.parametrize(("values", "words"), [
    ({"neighbours": -1}, "--neighbours -1: it must be a whole number, 0 to 10,000"),
    ({"neighbours": 1.5}, "a whole number"), ({"beta": "x"}, "a number"), ({"beta": True}, "a number"),
    ({"size": 1}, "size is no parameter of superglobal"),
])  # fmt: skip
def test_wrong_parameters(values, words):
    with pytest.raises(UsageError, match=words):
        checked(find("superglobal"), values)


def test_parameters_of_every_kind():
    some = (
        Param("way", "a", "", "choice", choices=("a", "b")), Param("path", None, "", "text"),
        Param("on", False, "", "flag"), Param("many", (), "", "texts"), Param("low", -1, "", low=-1e9),
    )  # fmt: skip
    row = ROW._replace(params=some)
    values = {"way": "b", "path": "x y", "on": True, "many": ("u", "v"), "low": -5}
    assert checked(row, values) == values
    assert described(row, values) == "rerank test way=b path=x y on many=('u', 'v') low=-5"
    with pytest.raises(UsageError, match="a or b"):
        checked(row, {"way": "c"})
    assert some[4].span == "a number" and some[0].option == "--way"


def test_every_row_loads_and_says_what_a_user_needs():
    assert len({row.name for row in METHODS}) == len(METHODS)
    for row in METHODS:
        assert table.loaded(row) is not None
        assert row.summary and row.safe and not row.safe.endswith(".") and row.across in (
            "helps", "hurts", "unknown",
        )  # fmt: skip
        assert all(param.default is None or param.fits(param.default) for param in row.params)
        assert all(param.note and not param.note.endswith(".") for param in row.params)
