"""BM25 against cases worked by hand, and the formula as textbooks print it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmr.arrays.bm25 import asked, bags, idf, saturated, words
from mmr.arrays.sparse import of_bags, search

TEXTS = ["red car", "Red, red apple!", "blue sky"]
TEXT = st.lists(st.sampled_from(["red", "Car", "sky", "a", "b"]), max_size=8).map(" ".join)


def textbook(texts, query, k1, b):
    """Sum over the query's words of idf times the saturated count, one document after the other."""
    split = [text.lower().split() for text in texts]
    mean = sum(map(len, split)) / len(split)
    scores = []
    for document in split:
        total = 0.0
        for word in query.lower().split():
            n = sum(word in other for other in split)
            f = document.count(word)
            if f:
                weight = math.log((len(split) - n + 0.5) / (n + 0.5) + 1)
                total += weight * f * (k1 + 1) / (f + k1 * (1 - b + b * len(document) / mean))
        scores.append(total)
    return scores


def test_worked():
    """N = 3, mean 7/3, "red" in two: ln(1 + 1.5/2.5) = ln 1.6."""
    red = [bag.get("red") for bag in bags(TEXTS)]
    assert red[0] == pytest.approx(math.log(1.6) * 2.2 / (1 + 1.2 * (0.25 + 0.75 * 6 / 7)))
    assert red[0] == pytest.approx(0.499176, abs=1e-6)
    assert red[1] == pytest.approx(math.log(1.6) * 4.4 / (2 + 1.2 * (0.25 + 0.75 * 9 / 7)))
    assert red[1] == pytest.approx(0.598186, abs=1e-6)
    assert red[2] is None
    assert idf(1, 1) == pytest.approx(math.log(4 / 3))


@settings(max_examples=50, deadline=None)
@given(texts=st.lists(TEXT, min_size=1, max_size=8), query=TEXT, k1=st.floats(0, 5), b=st.floats(0, 1))
def test_search_equals_the_textbook(texts, query, k1, b):
    if not any(text.split() for text in texts):
        return
    expected = textbook(texts, query, k1, b)
    (found,) = search(of_bags(bags(texts, k1, b), quantised=False), [asked(query)], len(texts))
    assert found.row.tolist() == [i for i, score in enumerate(expected) if score > 0]
    assert found.score == pytest.approx(np.array(expected)[found.row], rel=1e-6)


def test_bytes_change_scores_by_little():
    rng = np.random.default_rng(0)
    texts = [" ".join(f"w{t}" for t in rng.zipf(1.5, 30) % 500) for _ in range(300)]
    for query in texts[:20]:
        one, other = (
            search(of_bags(bags(texts), quantised=q), [asked(query)], 300)[0] for q in (True, False)
        )
        assert np.array_equal(one.row, other.row)
        assert one.score == pytest.approx(other.score, rel=0.01)


def test_words():
    assert words("Straße STRASSE ﬁn 東京 don't") == ["strasse", "strasse", "fin", "東京", "don", "t"]
    assert words(" ,. ") == []
    assert asked("red Red car") == {"red": 2.0, "car": 1.0}


def test_texts_without_words():
    assert list(bags([])) == []
    assert list(bags(["", "..."])) == [{}, {}]


def test_counts_saturate():
    assert saturated(1, 5, 5) == 1
    assert saturated(1e9, 5, 5) == pytest.approx(2.2)
    assert saturated(3, 9, 5, k1=0) == 1


@pytest.mark.parametrize(("k1", "b"), [(-1, 0.5), (math.nan, 0.5), (1, 1.5), (1, -0.1), (math.inf, 0)])
def test_settings_out_of_range(k1, b):
    with pytest.raises(ValueError, match="k1 from 0"):
        list(bags(["a"], k1, b))
