"""Sparse search against a sum over terms that one writes by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmr.arrays import sparse
from mmr.arrays.sparse import inverted, of_bags, search, shared

WEIGHTS = st.floats(0.0009765625, 1000, width=32)
BAGS = st.lists(st.dictionaries(st.sampled_from("abcdefé"), WEIGHTS, max_size=4), max_size=12)


def stored(lists, item):
    """The bag that an item has after its weights became bytes."""
    found = {}
    for place, name in enumerate(lists.terms):
        for at in range(lists.begins[place], lists.begins[place + 1]):
            if lists.rows[at] == item:
                found[name] = float(lists.scales[place]) * float(lists.weights[at])
    return found


def naive(bags, query, k, allowed):
    """Items that share a term, by a sum over terms, best first; all that tie with the k-th."""
    found = {}
    for item, bag in enumerate(bags):
        if allowed[item] and any(query[term] and bag.get(term) for term in query):
            total = 0.0
            for term in sorted(query):
                total += float(np.float32(query[term])) * bag.get(term, 0.0)
            found[item] = np.float32(total)
    least = sorted(found.values(), reverse=True)[:k][-1:]
    return {item: score for item, score in found.items() if least and score >= least[0]}


@pytest.mark.parametrize("quantised", [True, False])
@settings(max_examples=40, deadline=None)
@given(
    bags=BAGS, query=st.dictionaries(st.sampled_from("abcdefgé"), st.floats(-10, 10, width=32), max_size=5),
    k=st.integers(0, 9), dense=st.sampled_from([1e-9, 1e9]), group=st.integers(1, 3), data=st.data(),
)  # fmt: skip
def test_equals_a_sum_over_terms(quantised, bags, query, k, dense, group, data):
    lists = of_bags(bags, quantised)
    held = [stored(lists, item) for item in range(len(bags))]
    allowed = np.array(data.draw(st.lists(st.booleans(), min_size=len(bags), max_size=len(bags))), bool)
    mask = None if allowed.all() else allowed
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sparse, "DENSE", dense)
        patch.setattr(sparse, "GROUP", group)
        together = search(lists, [query, {"a": 1}, query], k, mask)
        (alone,) = search(lists, [query], k, mask)
    expected = naive(held, query, k, allowed)
    for found in (together[0], together[2], alone):
        assert found.row.tolist() == sorted(expected)
        assert found.score.tolist() == [expected[item] for item in sorted(expected)]
        assert found.score.dtype == np.float32
    for item, bag in enumerate(bags):
        assert set(held[item]) == set(bag)
        for term, weight in held[item].items():
            place = lists.number[term]
            step = float(lists.scales[place]) if quantised else 0
            assert abs(weight - bag[term]) <= max(step / 2 * 1.001, 0 if bag[term] > step else step)


def test_both_ways_of_adding_give_the_same_bits():
    rng = np.random.default_rng(0)
    bags = [{f"t{t}": float(w) for t, w in zip(rng.integers(0, 40, 12), rng.random(12) + 0.01, strict=True)}
            for _ in range(500)]  # fmt: skip
    lists, queries = of_bags(bags), bags[:20]
    answers = []
    for dense in (1e-9, 1e9):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sparse, "DENSE", dense)
            answers.append(search(lists, queries, 7))
    for one, other in zip(*answers, strict=True):
        assert np.array_equal(one.row, other.row) and np.array_equal(one.score, other.score)
        assert len(one.row) >= 7


def test_shared_terms_add_up_to_the_score():
    lists = of_bags([{"red": 2.0, "car": 1.0}, {"car": 3.0, "blue": 1.0}], quantised=False)
    parts = shared(lists, {"car": 2.0, "red": 1.0, "sky": 5.0}, 0)
    assert list(parts) == ["car", "red"]
    (found,) = search(lists, [{"car": 2.0, "red": 1.0, "sky": 5.0}], 1 + 1)
    assert found.score[0] == pytest.approx(sum(parts.values()))
    assert shared(lists, {"red": 1.0}, 1) == {}


def test_weights_take_a_byte():
    lists = of_bags([{"a": 1.0}, {"a": 0.5}, {"a": 1e-6}])
    assert lists.weights.dtype == np.uint8 and lists.weights.tolist() == [255, 127, 1]
    assert of_bags([{"a": 0.3}], quantised=False).weights.dtype == np.float32


def test_zero_weights_are_no_terms():
    lists = of_bags([{"a": 0.0, "b": 1.0}, {}])
    assert lists.terms == ["b"] and lists.items == 2
    assert len(search(lists, [{"b": 0.0}], 3)[0].row) == 0


@pytest.mark.parametrize(
    ("call", "what"),
    [
        (lambda: of_bags([{"a": -1.0}]), "above 0"),
        (lambda: of_bags([{"a": float("nan")}]), "above 0"),
        (lambda: of_bags([{"a": float("inf")}]), "above 0"),
        (lambda: made(["a", "a"]), "named twice"),
        (lambda: made(["a"], row=[3]), "an item is out of range"),
        (lambda: made(["a"], term=[1]), "a term is out of range"),
        (lambda: made(["a"], row=[0, 0], term=[0, 0], weight=[1, 1]), "a term twice"),
    ],
)
def test_what_is_refused(call, what):
    with pytest.raises(ValueError, match=what):
        call()


def made(terms, row=(0,), term=(0,), weight=(1.0,)):
    return inverted(terms, np.array(row), np.array(term), np.array(weight, np.float64), 1)
