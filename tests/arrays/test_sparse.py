"""Bags of terms and inverted lists against a sum over terms that one writes by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmr.arrays import sparse, terms
from mmr.arrays.sparse import Inverted, Plain, begins_of, counts_of, inverted_blocks, proposed
from mmr.arrays.terms import bags, checked, joined, scores, vocabulary

WEIGHTS = st.floats(0.0009765625, 1000, width=32)
BAGS = st.lists(st.dictionaries(st.sampled_from("abcdefé"), WEIGHTS, max_size=4), max_size=12)


def of(found):
    return bags(map(checked, found))


def inverted(held):
    """The lists of bags, in memory."""
    begins, kind = begins_of(held), None if held.lengths is None else counts_of(held)
    blocks = list(inverted_blocks(held, begins, kind))
    types = (np.uint32, kind or np.uint8, np.float64, np.float64)
    columns = [np.concatenate([np.empty(0, dtype), *(block[place] for block in blocks)], dtype=dtype)
               for place, dtype in enumerate(types, 1)]  # fmt: skip
    return Inverted(begins, *columns, len(held))


def asked(held, query):
    """The numbers of a query's terms, ascending, and what they add."""
    pairs = sorted((name.encode(), float(np.float32(value))) for name, value in query.items() if value)
    places = held.vocabulary.find([name for name, _ in pairs])
    known = places >= 0
    return places[known], Plain(np.array([weight for _, weight in pairs])[known])


def naive(found, query, k, allowed):
    """Items that share a term, by a sum over terms; all that are at least as good as the k-th."""
    scored = {}
    for item, bag in enumerate(found):
        shared = sorted(term for term in query if query[term] and bag.get(term))
        if allowed[item] and shared:
            total = 0.0
            for term in shared:
                total += float(np.float32(query[term])) * bag[term]
            scored[item] = total
    least = sorted(scored.values(), reverse=True)[:k][-1:]
    return {item: score for item, score in scored.items() if least and score >= least[0]}


@settings(max_examples=60, deadline=None)
@given(
    found=BAGS, query=st.dictionaries(st.sampled_from("abcdefgé"), st.floats(-10, 10, width=32), max_size=5),
    k=st.integers(1, 9), dense=st.sampled_from([1e-9, 1e9]), group=st.integers(1, 3),
    block=st.integers(1, 9), data=st.data(),
)  # fmt: skip
def test_equals_a_sum_over_terms(found, query, k, dense, group, block, data):
    with pytest.MonkeyPatch.context() as patch:
        for module, name, value in ((sparse, "DENSE", dense), (sparse, "GROUP", group),
                                    (sparse, "BUILT", block), (terms, "BLOCK", block)):  # fmt: skip
            patch.setattr(module, name, value)
        held = of(found)
        assert [held.bag(row) for row in range(len(found))] == [dict(sorted(bag.items())) for bag in found]
        lists = inverted(held)
        allowed = np.array(data.draw(st.lists(st.booleans(), min_size=len(found), max_size=len(found))), bool)
        places, adds = asked(held, query)
        rows, _ = proposed(lists, places, adds, k, None if allowed.all() else ~allowed)
        exact, shares = scores(held, places, adds, rows)
        whole, found_at_all = scores(held, places, adds, np.flatnonzero(allowed))
    expected = naive(found, query, k, allowed)
    assert shares.all() and (np.diff(rows) > 0).all() and set(expected) <= set(rows.tolist())
    mine = dict(zip(rows.tolist(), exact.tolist(), strict=True))
    assert {item: mine[item] for item in expected} == expected
    everything = naive(found, query, len(found) or 1, allowed)
    assert np.flatnonzero(allowed)[found_at_all].tolist() == sorted(everything)
    assert whole[found_at_all].tolist() == [everything[item] for item in sorted(everything)]


@settings(max_examples=40, deadline=None)
@given(found=BAGS, counted=st.booleans())
def test_lists_hold_what_bags_hold(found, counted):
    if counted:
        found = [{term: float(round(weight) + 1) for term, weight in bag.items()} for bag in found]
    held = bags(map(checked, found), counted)
    lists = inverted(held)
    there = {}
    for place, name in enumerate(held.vocabulary.words(range(len(held.vocabulary)))):
        part = slice(lists.begins[place], lists.begins[place + 1])
        assert (np.diff(lists.rows[part].astype(int)) > 0).all()
        for row, code in zip(lists.rows[part].tolist(), lists.codes[part].tolist(), strict=True):
            there[row, name] = weight = code * lists.scales[place]
            real = float(np.float32(found[row][name]))
            assert code >= 1 and abs(weight - real) <= lists.errors[place] <= lists.scales[place]
            assert not counted or weight == real
    assert set(there) == {(row, name) for row, bag in enumerate(found) for name in bag}
    if counted:
        assert held.lengths.tolist() == [sum(bag.values()) for bag in found]


def test_many_proposals_are_few():
    rng = np.random.default_rng(0)
    found = [{f"t{t}": float(w) for t, w in zip(rng.integers(0, 40, 12), rng.random(12) + 0.01, strict=True)}
             for _ in range(3000)]  # fmt: skip
    held = of(found)
    lists = inverted(held)
    for query in found[:20]:
        places, adds = asked(held, query)
        rows, _ = proposed(lists, places, adds, 10)
        assert 10 <= len(rows) < 100
        best = np.sort(scores(held, places, adds, np.arange(len(held)))[0])[-10:]
        assert np.array_equal(np.sort(scores(held, places, adds, rows)[0])[-10:], best)


def test_weights_take_a_byte_and_counts_what_they_need():
    lists = inverted(of([{"a": 1.0}, {"a": 0.5}, {"a": 1e-6}]))
    assert lists.codes.dtype == np.uint8 and lists.codes.tolist() == [255, 128, 1]
    for most, dtype in ((255, np.uint8), (256, np.uint16), (70_000, np.uint32)):
        counts = inverted(bags([{b"a": float(most)}, {b"a": 3.0}], counted=True))
        assert counts.codes.dtype == dtype and counts.codes.tolist() == [most, 3]


def test_terms_are_found_by_their_bytes():
    names = sorted(
        {b"", b"a", b"a\0", b"photograph", b"photographer", b"photographs", "é".encode(), b"z" * 40}
    )
    held = vocabulary(names)
    assert held.find(names).tolist() == list(range(len(names)))
    assert held.find([b"photo", b"a\0\0", b"zz", b"z" * 41, b"photographes"]).tolist() == [-1] * 5
    assert len(vocabulary([])) == 0 and vocabulary([]).find([b"a"]).tolist() == [-1]


@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf"), 1e16, "1", None, True])
def test_what_is_no_weight(weight):
    with pytest.raises(ValueError, match="the weight of 'a' is no number"):
        checked({"a": weight})


def test_what_is_no_term():
    with pytest.raises(ValueError, match="is no text"):
        checked({"a\ud800": 1})
    assert checked({"a": 0, "b": 1e-60, "c": 2}) == {b"c": 2.0}
    assert checked({"a": -2}, least=-10) == {b"a": -2.0}


def test_one_vocabulary_of_several():
    first, second = of([{"a": 1.0, "c": 2.0}, {"d": 1.0}]), of([{"b": 1.0, "c": 3.0}])
    both = joined([(first, np.array([0])), (second, np.array([0]))])
    assert both.vocabulary.words(range(3)) == ["a", "b", "c"]
    assert [one.tolist() for one in both.renamed] == [[0, 2, -1], [1, 2]]


def test_what_is_not_sound_is_said():
    held = of([{"a": 1.0, "b": 1.0}, {"b": 2.0}])
    lists, plain = inverted(held), Plain(np.ones(1))
    rows = np.arange(2)
    forged = [
        terms.Bags(held.vocabulary, np.array([0, 9, 3]), held.terms, held.weights),
        terms.Bags(held.vocabulary, np.array([0, -2, 3]), held.terms, held.weights),
        terms.Bags(held.vocabulary, held.offsets, held.terms + np.uint32(7), held.weights),
        terms.Bags(held.vocabulary, held.offsets, held.terms, held.weights * np.float32(np.nan)),
    ]
    for one in forged:
        with pytest.raises(ValueError):
            scores(one, np.array([0]), plain, rows)
    wrong = [
        {"begins": np.array([0, 99, 3])}, {"begins": np.array([5, 2, 3])},
        {"rows": lists.rows + np.uint32(9)}, {"scales": np.array([np.inf, 1])},
        {"errors": np.array([np.nan, 0])},
    ]  # fmt: skip
    for change in wrong:
        with pytest.raises(ValueError):
            proposed(Inverted(**{**vars(lists), **change}), np.array([0]), plain, 1)
    with pytest.raises(ValueError):
        terms.Vocabulary(held.vocabulary.names, np.array([1, 99]), held.vocabulary.keys).name(1)
