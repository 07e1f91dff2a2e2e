"""`rerank maxsim`, `transport` and `frames`: the vectors that records and hits carry."""

from __future__ import annotations

import numpy as np
import pytest

from mmr.arrays.transport import conditional, optimal
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


@pytest.mark.parametrize("method", ["maxsim", "transport", "frames"])
def test_a_hit_without_vectors_keeps_its_place(method):
    one = asked()
    one["hits"].insert(1, {"id": "d3", "score": 0.85})
    rejected = []
    found = rerank([one], method, reject=rejected.append)[0]
    assert ids(found) == ["d1", "d3", "d2"]
    assert 'has no "vectors"' in rejected[0].what and "d3" in rejected[0].where


@pytest.mark.parametrize("method", ["maxsim", "transport", "frames"])
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
