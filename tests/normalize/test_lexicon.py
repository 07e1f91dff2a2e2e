"""Lexicons: bags of words equal their formula, alone and in a batch; their files; what is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmr.errors import BadDataError, BadItem, UsageError, raise_item
from mmr.normalize.lexicon import bag
from mmr.normalize.vector_fit import advice, fit_set, fit_words
from mmr.normalize.vectors import Changed, read_change, write_change
from mmr.stream.records import Record, unchanged
from tests.normalize.made import unit

D = 6
LIST, ASKED, PICTURES = unit(1, 25, D), unit(2, 30, D), unit(3, 40, D)


def records(rows, kind="text", model="toy#1", **more):
    return [Record({"id": f"{kind[0]}{i}", kind: f"{kind} {i}", "vector": row.astype(np.float32),
                    "model": model, **more}) for i, row in enumerate(rows)]  # fmt: skip


def fitted(words=LIST, sources=None, **values):
    sources = [("g", records(PICTURES, "image"))] if sources is None else sources
    return fit_words(values, ("words", records(words)), sources)


def naive(rows, mean, top, shrink, words=LIST):
    """The bag of one item in float64, dictionaries and eigenvalues, nothing shared with the code."""
    words = words.astype(np.float32).astype(np.float64)
    centred = np.stack([word - words.mean(axis=0) for word in words])
    covariance = sum(np.outer(word, word) for word in centred) / len(words)
    values, columns = np.linalg.eigh(
        (1 - shrink) * covariance + shrink * np.trace(covariance) / D * np.eye(D)
    )
    root = sum(np.outer(columns[:, i], columns[:, i]) / np.sqrt(values[i]) for i in range(D))
    weights = {}
    for row in rows:
        left = row.astype(np.float32).astype(np.float64)
        left = left / np.sqrt(left @ left) - mean
        left = left / np.sqrt(left @ left)
        for i, word in enumerate(centred):
            weights[f"text {i}"] = max(weights.get(f"text {i}", 0.0), float((root @ word) @ left))
    best = dict(sorted(weights.items(), key=lambda pair: -pair[1])[:top])
    length = sum(weight**2 for weight in best.values()) ** 0.5
    return {term: weight / length for term, weight in best.items() if weight > 0}


def near(found, expected):
    terms = set(found) | set(expected)
    return max(abs(found.get(term, 0) - expected.get(term, 0)) for term in terms)


@pytest.mark.parametrize("shrink", [0, 0.2, 1])
@pytest.mark.parametrize("top", [1, 5, 100])
def test_bags_are_the_formula(top, shrink):
    change = fitted(top=top, shrink=shrink)
    items = list(Changed(change).of(records(PICTURES[:5], "image"), raise_item))
    asked = list(Changed(change).of(records(ASKED), raise_item))
    pictures, words = (rows.astype(np.float32).astype(np.float64).mean(axis=0) for rows in (PICTURES, LIST))
    for record, row in zip(items, PICTURES, strict=False):
        assert near(record["sparse"], naive([row], pictures, top, shrink)) < 2e-6
    for record, row in zip(asked, ASKED, strict=True):
        assert near(record["sparse"], naive([row], words, top, shrink)) < 2e-6
        assert len(record["sparse"]) <= top


def test_the_mean_of_words_is_that_of_the_set_where_it_has_words():
    change = fitted(sources=[("g", records(PICTURES, "image")), ("q", records(ASKED))])
    (found,) = Changed(change).of(records(ASKED[:1]), raise_item)
    mean = ASKED.astype(np.float32).astype(np.float64).mean(axis=0)
    assert near(found["sparse"], naive(ASKED[:1], mean, 128, 0.2)) < 2e-6


def test_without_a_mean_no_modality_is_asked_for():
    bare = [Record({"id": "a", "vector": ASKED[0].astype(np.float32), "model": "toy#1"})]
    change = fitted(mean="none", sources=[("b", list(bare))])
    (found,) = Changed(change).of(bare, raise_item)
    assert near(found["sparse"], naive(ASKED[:1], np.zeros(D), 128, 0.2)) < 2e-6


def test_several_vectors_give_the_most_of_each_word():
    change = fitted(top=9)
    several = Record({"id": "a", "text": "x", "vectors": ASKED[:4].astype(np.float32), "model": "toy#1"})
    (found,) = Changed(change).of([several], raise_item)
    mean = LIST.astype(np.float32).astype(np.float64).mean(axis=0)
    assert near(found["sparse"], naive(ASKED[:4], mean, 9, 0.2)) < 2e-6
    assert "vectors" not in found and "vector" not in found


def test_whole_bags_of_decorrelated_words_keep_the_products():
    change = fitted(shrink=0)
    matrix = change.arrays["matrix"].astype(np.float64)
    gram = matrix.T @ matrix
    assert np.abs(gram / np.trace(gram) * D - np.eye(D)).max() < 1e-5


def test_what_comes_out():
    change = fitted(top=7)
    together = list(Changed(change).of(records(ASKED, unit=False, note="n"), raise_item))
    for one, record in zip(records(ASKED, unit=False), together, strict=True):
        (alone,) = Changed(change).of([one], raise_item)
        assert alone["sparse"] == record["sparse"]
        weights = list(record["sparse"].values())
        assert weights == sorted(weights, reverse=True) and all(type(weight) is float for weight in weights)
        assert sum(weight**2 for weight in weights) == pytest.approx(1, abs=1e-4)
        assert "vector" not in record and "unit" not in record and record["note"] == "n"
        assert record["via"] == [change.step] and record["model"] == change.to
    assert unchanged(change.to) == ("toy", ("lexicon",))


def test_a_lexicon_has_a_name_of_its_own():
    names = {fitted().to, fitted(top=5).to, fitted(shrink=0.3).to, fitted(LIST[::-1]).to,
             fit_words({}, ("w", [Record({**r, "text": f"the {r['text']}"}) for r in records(LIST)]),
                       [("g", records(PICTURES, "image"))]).to}  # fmt: skip
    assert len(names) == 5 and fitted().to in names


@given(st.lists(st.floats(0, 1, width=32), min_size=1, max_size=12), st.integers(1, 14))
def test_a_bag_has_the_heaviest_words(weights, top):
    found = bag(np.array([weights]), [f"t{i}" for i in range(len(weights))], top)
    assert len(found) <= top and list(found.values()) == sorted(found.values(), reverse=True)
    left = [weight for i, weight in enumerate(weights) if f"t{i}" not in found]
    kept = [weight for i, weight in enumerate(weights) if f"t{i}" in found]
    assert not kept or max(left, default=0) <= min(kept) or max(left) < 1e-5 * max(weights)


def test_of_equal_texts_the_first_counts():
    doubled = [*records(LIST), *records(LIST[::-1])]
    change = fit_words({}, ("w", doubled), [("g", records(PICTURES, "image"))])
    assert change.terms == fitted().terms and np.array_equal(
        change.arrays["matrix"], fitted().arrays["matrix"]
    )


def test_what_is_written_is_read(tmp_path):
    change, path = fitted(), str(tmp_path / "a.npz")
    write_change(path, change)
    found = read_change(path)
    assert (found.terms, found.to, found.out, found.groups) == (
        change.terms,
        change.to,
        25,
        ("image", "text"),
    )
    one, other = (list(Changed(c).of(records(ASKED), raise_item)) for c in (change, found))
    assert one == other
    write_change(str(tmp_path / "b.npz"), found)
    assert (tmp_path / "b.npz").read_bytes() == (tmp_path / "a.npz").read_bytes()


@pytest.mark.parametrize(
    "terms", [["a"], ["a"] * 25, list(range(25)), {"a": 1}, [f"other {i}" for i in range(25)]]
)
def test_other_words_than_those_that_were_learned_are_damage(terms, tmp_path):
    path = tmp_path / "a.npz"
    write_change(str(path), fitted())
    with np.load(path) as archive:
        whole = dict(archive)
    whole["terms"] = np.frombuffer(json.dumps(terms).encode(), np.uint8)
    np.savez(path, **whole)
    with pytest.raises(BadDataError, match="is no file that `mmr fit` wrote"):
        read_change(str(path))


def test_what_is_refused():
    words, pictures = ("w", records(LIST)), [("g", records(PICTURES, "image"))]
    bare = [("b", [Record({"id": "a", "vector": ASKED[0], "model": "toy#1"})])]
    cases = {
        "holds 1 of two words": lambda: fit_words({}, ("w", records(LIST[:1])), pictures),
        "has no text": lambda: fit_words({}, ("w", records(LIST, "image")), pictures),
        "has no vector": lambda: fit_words({}, ("w", [Record({"id": "a", "text": "x"})]), pictures),
        "have one vector": lambda: fit_words({}, ("w", records(LIST[[0, 0, 0]])), pictures),
        "do not say whether": lambda: fit_words({}, words, bare),
        "carries other#2": lambda: fit_words({}, ("w", records(LIST, model="other#2")), pictures),
        "3 numbers": lambda: fit_words({}, ("w", records(LIST[:, :3])), pictures),
    }
    for what, refused in cases.items():
        with pytest.raises(BadDataError, match=what):
            refused()
    with pytest.raises(UsageError, match="--top 0"):
        fitted(top=0)
    with pytest.raises(UsageError, match="not fitted so"):
        fit_set("lexicon", {}, pictures)


def test_a_vector_without_a_word_is_left_out():
    change = fitted()
    mean = change.arrays["means"][change.groups.index("text")]
    lost = Record({"id": "z", "text": "z", "unit": False, "vector": mean})
    bad = []
    assert list(Changed(change).of([lost], bad.append)) == []
    assert isinstance(bad[0], BadItem) and bad[0].record is lost and "vector" in lost


def test_few_words_are_said_to_be_few():
    assert any("25 words are few" in line for line in advice(fitted(), 25))
