"""`rerank maxsim`, `transport` and `frames`: the vectors that records and hits carry."""

from __future__ import annotations

import numpy as np
import pytest

from mmr.arrays.ragged import stacked
from mmr.arrays.transport import conditional, optimal
from mmr.errors import BadDataError
from mmr.rerank.method import Tools
from mmr.stream.records import Record
from tests.rerank.made import ids, rerank, scores

Q = np.array([[1, 0], [0, 1]], np.float32)
BAGS = {
    "d1": np.array([[1, 0], [0.6, 0.8]], np.float32),
    "d2": np.array([[0.8, 0.6], [0.8, 0.6]], np.float32),
}


def asked(**more):
    hits = [{"id": name, "score": score, "vectors": BAGS[name]} for name, score in (("d2", 0.9), ("d1", 0.8))]
    return Record({"id": "q", "vector": Q[0], "vectors": Q, "hits": hits, **more})


@pytest.mark.parametrize(
    ("method", "values", "expected"),
    [
        ("maxsim", {}, [1.8, 1.4]),
        ("maxsim", {"mean": True}, [0.9, 0.7]),
        ("transport", {}, [-0.1, -0.3]),
        ("transport", {"method": "conditional", "temperature": 1}, [-0.58376, -0.59003]),
        ("frames", {}, [0.8944, 0.8]),
        ("frames", {"pool": "max"}, [1, 0.8]),
        ("frames", {"pool": "top", "top": 1}, [1, 0.8]),
    ],
)
def test_worked(method, values, expected):
    found = rerank(asked(), method, **values)
    assert ids(found) == ["d1", "d2"]
    assert scores(found) == pytest.approx(expected, abs=1e-4)
    assert found["hits"][0]["prev_rank"] == 2 and "vectors" in found["hits"][0]


def test_frames_by_softmax_lie_between_mean_and_max():
    mean, soft, best = (
        scores(rerank(asked(), "frames", pool=pool))[0] for pool in ("mean", "softmax", "max")
    )
    assert mean < soft < best


@pytest.mark.parametrize(("method", "plain"), [("optimal", optimal), ("conditional", conditional)])
def test_the_plan_goes_with_the_hit(method, plain):
    found = rerank(asked(), "transport", method=method, plan=True, explain=True)
    first = found["hits"][0]
    assert np.array(first["plan"]) == pytest.approx(plain(Q, BAGS["d1"]).plan, abs=1e-6)
    assert first["why"].startswith(("0 to 0: 0.", "1 to 1: 0."))
    assert "plan" not in rerank(asked(), "transport")["hits"][0]


@pytest.mark.parametrize("method", ["maxsim", "xtr", "transport", "frames"])
def test_a_hit_without_vectors_keeps_its_place(method):
    one = asked()
    one["hits"].insert(1, {"id": "d3", "score": 0.85})
    rejected = []
    found = rerank([one], method, reject=rejected.append)[0]
    assert ids(found) == ["d1", "d3", "d2"]
    assert 'has no "vectors"' in rejected[0].what and "d3" in rejected[0].where


@pytest.mark.parametrize("method", ["maxsim", "xtr", "transport", "frames"])
def test_nothing_to_score(method):
    assert rerank(asked(hits=[]), method)["hits"] == []
    assert ids(rerank(asked(), method, depth=0)) == ["d2", "d1"]


@pytest.mark.parametrize(
    ("method", "change", "what"),
    [
        ("maxsim", {"vectors": None}, 'has no "vectors"'),
        ("transport", {"vectors": None}, 'has no "vectors"'),
        ("maxsim", {"vectors": np.ones((2, 3), np.float32)}, "3 numbers, and those of its hits have 2"),
        ("frames", {"vector": np.ones(3, np.float32)}, "3 numbers, and those of its hits have 2"),
        ("maxsim", {"hits": [{"id": "a", "score": 1.0}]}, 'none of its hits has "vectors"'),
        ("maxsim", {"vectors": np.full((1, 2), np.inf, np.float32)}, "finite"),
    ],
)
def test_what_cannot_be_scored_is_reported(method, change, what):
    one = asked(**change)
    if one["vectors"] is None:
        del one["vectors"]
    rejected = []
    assert rerank([one], method, reject=rejected.append) == []
    assert what in rejected[0].what


def test_batch_mates_change_no_bit():
    rng = np.random.default_rng(0)
    bags = [rng.standard_normal((n, 8)).astype(np.float32) for n in rng.integers(1, 9, 12)]
    hits = [{"id": f"h{i:02}", "score": float(i), "vectors": bag} for i, bag in enumerate(bags)]
    one = Record({"id": "q", "vector": bags[0][0], "vectors": bags[0], "hits": hits})
    for method in ("maxsim", "transport", "frames"):
        together = {hit["id"]: hit["score"] for hit in rerank(Record(one), method)["hits"]}
        for hit in hits:
            alone = rerank(Record({**one, "hits": [hit]}), method)
            assert alone["hits"][0]["score"] == together[hit["id"]]


@pytest.mark.parametrize(
    ("method", "line"),
    [
        ("maxsim", "0 to 0: 1.000, 1 to 1: 0.800"), ("transport", "0 to 0: 0.500, 1 to 1: 0.500"),
        ("frames", "frame 0 of 2: 1.000"),
    ],
)  # fmt: skip
def test_why(method, line):
    one = asked()
    one["hits"].append({"id": "d3", "score": 0.1})
    found = rerank([one], method, explain=True, reject=lambda item: None)[0]
    assert [hit["why"] for hit in found["hits"]][::2] == [line, 'has no "vectors"']
    assert "why" not in rerank(asked(), method)["hits"][0]


XTR = {"d1": BAGS["d1"], "d2": np.array([[0.8, 0.6], [0.28, 0.96]], np.float32)}


@pytest.mark.parametrize(("near", "expected"), [(2, [0.9, 0.88]), (3, [0.9, 0.88]), (100, [0.9, 0.88])])
def test_xtr_worked(near, expected):
    hits = [{"id": name, "score": 0.5, "vectors": XTR[name]} for name in ("d2", "d1")]
    found = rerank(Record({"id": "q", "vectors": Q, "hits": hits}), "xtr", near=near)
    assert ids(found) == ["d1", "d2"] and scores(found) == pytest.approx(expected, abs=1e-6)


def test_xtr_gives_the_floor_to_what_is_not_near():
    far = np.array([[-1, -0.1], [-0.1, -1]], np.float32)
    hits = [{"id": "far", "score": 0.9, "vectors": far}, {"id": "d1", "score": 0.8, "vectors": BAGS["d1"]}]
    found = rerank(Record({"id": "q", "vectors": Q, "hits": hits}), "xtr", near=2, explain=True)
    assert ids(found) == ["d1", "far"]
    assert scores(found) == pytest.approx([0.9, (0.6 + 0) / 2], abs=1e-6)
    assert found["hits"][1]["why"] == "near 0 times"


def stored(lists):
    """What an index of BAGS gives."""
    return [next((name for name in names if name not in BAGS), None)
            or stacked([BAGS[name] for name in names]) for names in lists]  # fmt: skip


@pytest.mark.parametrize("method", ["maxsim", "xtr", "transport", "frames"])
def test_vectors_of_hits_come_out_of_an_index(method):
    carried = rerank(asked(), method)
    bare = [{"id": hit["id"], "score": hit["score"]} for hit in asked()["hits"]]
    tools = Tools(bags_of=stored, model="m#1", gallery="pages.mmr")
    found = rerank(asked(hits=bare, model="m#1"), method, tools=tools)
    assert [(hit["id"], hit["score"]) for hit in found["hits"]] == [
        (hit["id"], hit["score"]) for hit in carried["hits"]
    ]
    longer = rerank(asked(hits=bare, vectors=3 * Q, vector=3 * Q[0]), method, tools=tools)
    assert scores(longer) == pytest.approx(scores(found), abs=1e-6)
    rejected = []
    lost = asked(hits=[*bare, {"id": "d9", "score": 0.1}])
    assert rerank([lost], method, tools=tools, reject=rejected.append) == []
    assert rejected[0].what == "the hit d9 is not in pages.mmr"
    with pytest.raises(BadDataError, match="other#2"):
        rerank(asked(hits=bare, model="other#2"), method, tools=tools)


def test_queries_come_from_elsewhere():
    bare = Record({"id": "q", "hits": [{"id": name, "score": 0.5} for name in BAGS]})
    tools = Tools(bags_of=stored, queries={"q": Record({"id": "q", "vectors": Q})})
    assert scores(rerank(bare, "maxsim", tools=tools)) == pytest.approx([1.8, 1.4])
