"""Items with a vector in each of several indexes."""

from __future__ import annotations

import json

import numpy as np
import pytest

from mmr.errors import BadDataError, UsageError
from mmr.rerank.fields import mixed, weights_of
from mmr.rerank.method import Tools
from tests.rerank.made import ids, record, rerank, scores, unit


class Index:
    """An index that has vectors of some ids."""

    name = "words.mmr"

    def __init__(self, held, model=None):
        self.held, self.model = held, model

    def partly(self, names):
        there = [name for name in names if name in self.held]
        found = np.array([self.held[name] for name in there], np.float32).reshape(len(there), -1)
        return np.array([name in self.held for name in names]), found


def asked(d=6, m=10):
    q, x = unit(1, d), unit(2, m, d)
    words = {f"x{i}": row for i, row in enumerate(unit(3, m, d), 1)}
    return q, x, words


def fields(one, held, model=None, **values):
    values.setdefault("field", ("text=words.mmr",))
    return rerank(one, "fields", tools=Tools(opened=lambda path: Index(held, model)), **values)


def test_fields_are_brought_to_one_scale_and_added():
    q, x, words = asked()
    first = np.float32(x @ q).astype(np.float64)
    other = np.array([words[f"x{i}"] for i in range(1, 11)], np.float32) @ q
    found = fields(record(q, x), words, weights="score=.7,text=.3")

    def scale(s):
        return (s - s.min()) / (s.max() - s.min())

    expected = 0.7 * scale(first) + 0.3 * scale(other)
    new = dict(zip(ids(found), scores(found), strict=True))
    assert [new[f"x{i}"] for i in range(1, 11)] == pytest.approx(expected, abs=1e-6)
    plain = fields(record(q, x), words, weights="score=.7,text=.3", raw=True)
    new = dict(zip(ids(plain), scores(plain), strict=True))
    assert [new[f"x{i}"] for i in range(1, 11)] == pytest.approx(0.7 * first + 0.3 * other, abs=1e-6)


def test_all_weight_on_the_first_score_keeps_order_and_scores():
    q, x, words = asked()
    found = fields(record(q, x), words, weights="score=1")
    assert (ids(found), scores(found)) == (ids(record(q, x)), scores(record(q, x)))


def test_an_item_without_the_field_counts_as_the_lowest():
    columns = {"score": np.array([0.3, 0.2, 0.1]), "text": np.array([np.nan, 0.9, 0.7])}
    assert mixed(columns, {"score": 0.5, "text": 0.5}) == pytest.approx([0.5, 0.75, 0])
    none = {"score": np.array([0.3, 0.1]), "text": np.full(2, np.nan)}
    assert mixed(none, {"score": 0.5, "text": 0.5}) == pytest.approx([0.5, 0])


def test_a_field_has_its_own_vector_of_the_query():
    q, x, _ = asked()
    words = {f"x{i}": row for i, row in enumerate(unit(4, 10, 3), 1)}
    own = unit(5, 3)
    one = record(q, x, bindings={"text": own * 7}, model="clip#1")
    found = fields(one, words, model="other#2", weights="text=1", raw=True)
    best = max(words, key=lambda name: words[name] @ own)
    assert ids(found)[0] == best and scores(found)[0] == pytest.approx(words[best] @ own, abs=1e-6)
    with pytest.raises(BadDataError, match="other#2"):
        fields(record(q, x, model="clip#1"), words, model="other#2")


def test_explained():
    q, x, words = asked()
    found = fields(record(q, x), words, explain=True)
    assert all(hit["why"].startswith("score ") and ", text " in hit["why"] for hit in found["hits"])


@pytest.mark.parametrize(
    "text", ["text", "text=x", "text=-1", "other=1", "text=.5,text=.5", "text=0", "text=nan"]
)
def test_wrong_weights(text):
    with pytest.raises(UsageError, match="--weights"):
        weights_of(text, ["score", "text"])


@pytest.mark.parametrize("field", [(), ("text",), ("=x",), ("score=x",), ("a=x", "a=y")])
def test_wrong_fields(field):
    q, x, words = asked()
    with pytest.raises(UsageError, match="--field"):
        fields(record(q, x), words, field=field)


def test_in_the_shell(tmp_path, sh):
    for name, seed, count in (("g", 1, 20), ("w", 2, 15), ("q", 3, 2)):
        with open(tmp_path / f"{name}.jsonl", "w") as file:
            for number, row in enumerate(unit(seed, count, 8)):
                letter = "q" if name == "q" else "i"
                one = {"id": f"{letter}{number}", "model": "toy#1", "vector": row.tolist()}
                file.write(json.dumps(one) + "\n")
    line = "mmr index -q g.mmr g.jsonl; mmr index -q w.mmr w.jsonl; mmr query g.mmr --from q.jsonl -k 20 | "
    done = sh(f"{line} mmr rerank fields --field text=w.mmr --weights score=.5,text=.5")
    assert done.status == 0 and [len(json.loads(line)["hits"]) for line in done.lines] == [20, 20]
    assert sh(f"{line} mmr rerank fields --field text=none.mmr").status == 66
    assert sh(f"{line} mmr rerank fields").status == 2
