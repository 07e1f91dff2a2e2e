"""Sentences: where they end, what fits a budget, and the records that come of it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmr.errors import BadDataError, UsageError
from mmr.rerank.apply import reranked
from mmr.rerank.method import Tools
from mmr.rerank.sentences import sentences, size, within
from mmr.rerank.table import find
from mmr.stream.records import Record

ROW = find("extract")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []), ("one", ["one"]), ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        ("It is 3.5 m. e.g. this.", ["It is 3.5 m. e.g. this."]),
        ("Dr. A. Smith met J. Doe. They spoke.", ["Dr. A. Smith met J. Doe.", "They spoke."]),
        ('"Yes." "No!" (Maybe.) So.', ['"Yes."', '"No!"', "(Maybe.)", "So."]),
        ("今日は晴れ。明日は雨。", ["今日は晴れ。", "明日は雨。"]),
        ("a line\n\nanother", ["a line", "another"]),
        ("Wait... What? 5 apples.", ["Wait...", "What?", "5 apples."]), ("one\ntwo", ["one two"]),
        ("Überall. Élan vital. Öl.", ["Überall.", "Élan vital.", "Öl."]),
    ],
)  # fmt: skip
def test_where_sentences_end(text, expected):
    assert sentences(text) == expected


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet='aA. !?\n。3"(é', max_size=40))
def test_no_word_is_lost(text):
    assert "".join("".join(sentences(text)).split()) == "".join(text.split())


def test_size_counts_words():
    assert (size(""), size("a red apple"), size("赤い林檎"), size("apple 林檎")) == (0, 3, 4, 3)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.integers(-8, 8), st.integers(0, 6)), max_size=9), st.integers(1, 20),
    st.integers(1, 6), st.sampled_from([None, -0.5, 0.25]),
)  # fmt: skip
def test_what_fits(pairs, words, most, least):
    scores, sizes = np.array([score / 8 for score, _ in pairs]), [count for _, count in pairs]
    found = within(scores, sizes, words, most, least)
    assert sum(sizes[place] for place in found) <= words
    assert len(found) <= most
    assert all(least is None or scores[place] >= least for place in found)
    expected, left = [], words
    for place in sorted(range(len(pairs)), key=lambda place: -scores[place]):
        if len(expected) < most and (least is None or scores[place] >= least) and sizes[place] <= left:
            expected.append(place)
            left -= sizes[place]
    assert found == expected


AXES = ["apple", "sky", "cat"]


def encode(texts):
    """A vector that counts three words; a little of each, so that none is 0."""
    return np.array([[text.lower().count(word) + 0.01 for word in AXES] for text in texts], np.float32)


DOCUMENTS = [
    ("d1", "An apple. The sky over a cat. The sky."),
    ("d2", "The sky. Apple and apple and sky."),
    ("d3", None),
]
QUERY = np.array([1.0, 0, 0], np.float32)


def run(bad=None, query=None, documents=DOCUMENTS, tools=None, explain=False, **values):
    hits = [
        {"id": name, "score": 1 - place / 10, **({} if text is None else {"text": text})}
        for place, (name, text) in enumerate(documents)
    ]
    record = Record({"id": "q", **({"vector": QUERY} if query is None else query), "hits": hits})
    tools = Tools(**{"encode": encode, "note": print, "model": "m#1", **(tools or {})})
    found = list(reranked([record], ROW, values, tools=tools, explain=explain,
                          reject=pytest.fail if bad is None else bad.append))  # fmt: skip
    return found[0] if found else None


def test_sentences_become_hits():
    found = run(explain=True)
    assert [(hit["id"], hit["parent"], hit["text"]) for hit in found["hits"]] == [
        ("d1#1", "d1", "An apple."), ("d2#2", "d2", "Apple and apple and sky."),
        ("d1#3", "d1", "The sky."), ("d1#2", "d1", "The sky over a cat."),
    ]  # fmt: skip
    assert found["extract"] == {"sentences": 4, "of": 4, "words": 14}
    vectors = encode([hit["text"] for hit in found["hits"]]).astype(float)
    expected = vectors @ QUERY / np.linalg.norm(vectors, axis=1)
    assert [float(hit["score"]) for hit in found["hits"]] == pytest.approx(expected, abs=1e-6)
    assert [(hit["prev_rank"], hit["prev_score"]) for hit in found["hits"]] == [
        (1, 1), (2, 0.9), (1, 1), (1, 1)
    ]  # fmt: skip
    assert found["hits"][0]["why"] == "place 1 of 4 sentences, 2 words"


def test_a_sentence_that_comes_twice_counts_once():
    assert [hit["text"] for hit in run()["hits"]].count("The sky.") == 1


def test_budgets_and_none():
    assert [hit["id"] for hit in run(words=4)["hits"]] == ["d1#1", "d1#3"]
    assert [hit["id"] for hit in run(sentences=1)["hits"]] == ["d1#1"]
    assert [hit["id"] for hit in run(min_score=0.8)["hits"]] == ["d1#1", "d2#2"]
    empty = run(min_score=1)
    assert (empty["hits"], empty["extract"]["sentences"]) == ([], 0)
    assert run(documents=[])["hits"] == []


def test_words_of_the_index_and_of_the_query():
    stored = {"fields_of": lambda names, fields: [{"id": name, "text": "An apple here."} for name in names]}
    assert run(tools=stored)["extract"]["of"] == 5
    found = run(query={"text": "apple"})
    assert found["hits"][0]["id"] == "d1#1"


def test_the_vector_of_queries_from_elsewhere():
    found = run(query={}, tools={"queries": {"q": Record({"id": "q", "vector": QUERY})}})
    assert found["hits"][0]["id"] == "d1#1"


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({}, "has no vector"), ({"image": "a.png", "text": "at night"}, "has no vector"),
        ({"vector": np.zeros(3, np.float32)}, "a vector of zeros"),
        ({"vector": np.ones(2, np.float32)}, "a vector of 2 numbers, and its sentences have 3"),
    ],
)  # fmt: skip
def test_queries_that_cannot_be_compared(query, words):
    bad = []
    assert run(bad, query) is None
    assert words in str(bad[0])


def test_vectors_of_another_model_are_refused():
    with pytest.raises(BadDataError, match="vectors of m#1"):
        run(query={"vector": QUERY, "model": "m#2"})
    assert run(query={"vector": QUERY, "model": "m#1-int8"})["hits"]


def test_without_a_model():
    with pytest.raises(UsageError, match="needs a model for sentences"):
        run(tools={"encode": None})


def test_in_the_shell(sh, tmp_path):
    (tmp_path / "t.jsonl").write_text(
        '{"id":"d1","text":"A red apple lies on a table. Dogs bark at night."}\n'
        '{"id":"d2","text":"The sky is blue. A cat sleeps."}\n'
    )
    line = (
        "mmr embed -q t.jsonl | mmr index -q t.mmr && mmr query t.mmr 'a red apple' -k 2 | tee asked.jsonl | "
    )
    found = sh(line + "mmr rerank extract --index t.mmr --sentences 1 --format ids")
    assert (found.lines, found.status) == (["d1#1"], 0)
    assert sh("mmr rerank extract --format ids --sentences 1 asked.jsonl").lines == ["d1#1"]
    folded = sh("mmr rerank extract asked.jsonl | mmr rerank group --format ids")
    assert sorted(folded.lines) == ["d1", "d2"]
