"""Laws of the methods that need scores alone: order of hits, batch mates, the one order of what comes out."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmr.rerank.apply import reranked
from mmr.rerank.method import Tools
from mmr.rerank.table import find
from mmr.stream.order import ranked
from mmr.stream.records import Record, dump
from tests.rerank.test_model import Fake

ROWS = {
    "cut": {}, "cut gap": {"method": "gap", "min": 0}, "cut ratio": {"method": "threshold", "ratio": 0.5},
    "cut probability": {"method": "probability", "temperature": 0.3}, "group": {"pool": "softmax"},
    "group mean": {"pool": "mean", "over": "all"}, "unfold": {}, "unfold parent": {"order": "parent"},
    "model": {}, "model convex": {"final": "convex", "budget": 3}, "model some": {"min_score": 0.5},
    "model yes-no": {"method": "yes-no"}, "cur": {"budget": 4, "rounds": 2}, "extract": {"words": 6},
}  # fmt: skip


def number(words):
    """A number from 0 to 1 that depends on the words alone."""
    return (sum(ord(letter) * (place + 7) for place, letter in enumerate(words)) % 97) / 97


def answer(request):
    value = number(request["qid"][0] + request["id"])
    return {"score": value, "yes": value / 2, "no": 0.4, "logprob": -value}


def vector(words):
    return np.random.default_rng(int(number(words) * 1000)).normal(size=4).astype(np.float32)


def tools():
    return Tools(
        scorer=Fake(answer), note=lambda _: None, model="m",
        children_of=lambda names: [3] * len(names), encode=lambda texts: np.stack([vector(t) for t in texts]),
        vectors_of=lambda lists: [np.array([vector(n) for n in names], np.float32).reshape(-1, 4)
                                  for names in lists],
    )  # fmt: skip


def record(name, values):
    """Equal scores are common: eighths."""
    hits = [
        {"id": f"{name}h{place}", "score": value / 8, "parent": f"{name}p{place % 3}",
         "text": f"Words {place}. More {value} of {place}."}
        for place, value in enumerate(values)
    ]  # fmt: skip
    return Record({"id": name, "text": f"words {name}", "vector": np.ones(4, np.float32), "hits": hits})


def run(records, case):
    method, _, _ = case.partition(" ")
    if method == "unfold":
        records = list(reranked(records, find("group"), {}, reject=pytest.fail, tools=tools()))
    return list(reranked(records, find(method), ROWS[case], reject=pytest.fail, tools=tools(), explain=True))


lists = st.lists(st.integers(1, 16), max_size=9)


@settings(max_examples=25, deadline=None)
@pytest.mark.parametrize("case", ROWS)
@given(values=lists, random=st.randoms())
def test_the_order_in_which_hits_come_changes_nothing(case, values, random):
    one, other = record("a", values), record("a", values)
    random.shuffle(other["hits"])
    assert dump(run([one], case)[0]) == dump(run([other], case)[0])


@settings(max_examples=15, deadline=None)
@pytest.mark.parametrize("case", ROWS)
@given(several=st.lists(lists, min_size=1, max_size=12))
def test_batch_mates_never_change_a_score(case, several):
    def made():
        return [record(f"{'abcdefghijkl'[place]}", values) for place, values in enumerate(several)]

    together = run(made(), case)
    alone = [run([one], case)[0] for one in made()]
    assert [dump(one) for one in together] == [dump(one) for one in alone]


@settings(max_examples=25, deadline=None)
@pytest.mark.parametrize("case", ROWS)
@given(values=lists)
def test_what_comes_out_is_in_the_one_order(case, values):
    (found,) = run([record("a", values)], case)
    assert ranked(found["hits"]) == found["hits"]
    for hit in found["hits"]:
        assert math.isfinite(hit["score"])
        assert hit["why"]
    assert found["via"][-1].startswith(f"rerank {case.split()[0]}")


@pytest.mark.parametrize(
    ("method", "values"),
    [
        ("cut", {"method": "threshold", "min_score": -9, "max": 99}),
        ("model", {"final": "convex", "weight": 0}),
        ("group", {}),
    ],
)
def test_neutral_parameters_keep_the_order(method, values):
    """Groups are neutral where nothing has a parent."""
    hits = [{"id": f"h{place}", "score": value} for place, value in enumerate([0.9, 0.9, 0.5, 0.1, 0.1])]
    records = [Record({"id": "q", "text": "words", "hits": hits})]
    (found,) = reranked(records, find(method), values, reject=pytest.fail, tools=tools())
    assert [hit["id"] for hit in found["hits"]] == [hit["id"] for hit in ranked(hits)]
