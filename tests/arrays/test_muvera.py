"""MUVERA against the reference's steps one by one, and what it is for: candidates for MaxSim."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmr.arrays import muvera
from mmr.arrays.maxsim import maxsim
from mmr.arrays.muvera import Muvera
from mmr.arrays.ragged import stacked

PLANE = [0.45392953226254174, -0.5139226845536322, -0.3782108743493519, -0.9763341043041224]
COLUMN = [0, 0, 1, 1]
SIGN = [-1.0, 1.0, 1.0, 1.0]


def bag(rng, n, d):
    x = rng.standard_normal((n, d)).astype(np.float32)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def gray(bits):
    """The number whose Gray code is these bits, read bit by bit."""
    number = 0
    for bit in bits:
        number = (number << 1) + (int(bit) ^ (number & 1))
    return number


def naive(how, rows, is_query):
    """The reference's steps for one bag, token by token."""
    found = []
    for rep in range(how.reps):
        signs = [[int(np.dot(np.float64(x), plane) > 0) for plane in how.planes[rep]] for x in rows]
        projected = []
        for x in rows:
            out = np.zeros(how.width)
            for i, value in enumerate(x):
                out[i if how.dproj is None else how.column[rep, i]] += (
                    float(value) if how.dproj is None else float(value) * how.sign[rep, i]
                )
            projected.append(out)
        for p in range(2**how.ksim):
            own = [out for out, bits in zip(projected, signs, strict=True) if gray(bits) == p]
            block = sum(own, np.zeros(how.width))
            if not is_query and own:
                block = block / len(own)
            if not is_query and not own and how.fill and how.ksim:
                code = next(bits for bits in np.ndindex(*[2] * how.ksim) if gray(bits) == p)
                wrong = [sum(a != b for a, b in zip(bits, code, strict=True)) for bits in signs]
                block = projected[wrong.index(min(wrong))]
            found.extend(block)
    if how.final is None:
        return np.array(found)
    sketch = np.zeros(how.final)
    for value, bucket, turn in zip(found, how.bucket, how.turn, strict=True):
        sketch[bucket] += turn * value
    return sketch


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1), n=st.integers(1, 12), d=st.integers(1, 9), reps=st.integers(1, 3),
    ksim=st.integers(0, 4), dproj=st.none() | st.integers(1, 9), fill=st.booleans(),
    final=st.none() | st.integers(1, 20),
)  # fmt: skip
def test_equals_the_reference(seed, n, d, reps, ksim, dproj, fill, final):
    how = Muvera(d, reps, ksim, None if dproj is None else min(dproj, d), fill, final, seed)
    rows = bag(np.random.default_rng(seed), n, d)
    for encoded, is_query in ((how.query(rows), True), (how.document(rows), False)):
        assert encoded.shape == (how.length,) and encoded.dtype == np.float32
        assert encoded == pytest.approx(naive(how, rows, is_query), abs=1e-6)


def test_without_planes_it_is_the_sum_by_the_mean():
    rng = np.random.default_rng(0)
    how = Muvera(8, reps=1, ksim=0, dproj=None)
    query, document = bag(rng, 3, 8), bag(rng, 5, 8)
    assert how.query(query) == pytest.approx(query.sum(axis=0), abs=1e-6)
    assert how.document(document) == pytest.approx(document.mean(axis=0), abs=1e-6)


def test_the_streams_are_fixed():
    """The same numbers on every machine and version: an index keeps the seed alone."""
    how = Muvera(4, reps=1, ksim=1, dproj=2, seed=7)
    assert how.planes[0, 0] == pytest.approx(PLANE, abs=1e-12)
    assert how.column[0].tolist() == COLUMN and how.sign[0].tolist() == SIGN
    assert np.array_equal(how.planes, Muvera(4, reps=1, ksim=1, dproj=2, seed=7).planes)
    assert not np.array_equal(how.planes, Muvera(4, reps=1, ksim=1, dproj=2, seed=8).planes)


def test_draws_are_normal_and_even():
    how = Muvera(256, reps=40, ksim=5, dproj=16)
    assert abs(how.planes.mean()) < 0.02 and abs(how.planes.std() - 1) < 0.02
    assert abs(how.sign.mean()) < 0.03
    assert np.bincount(how.column.ravel(), minlength=16).min() > 500


def test_recall_rises_with_repetitions():
    """The exact best ten of 300 documents among the first 30 by inner product, over 20 queries."""
    rng = np.random.default_rng(1)
    centres = bag(rng, 60, 32)
    documents = [_noisy(rng, centres[rng.integers(0, 60, 12)]) for _ in range(300)]
    queries = [_noisy(rng, documents[i][:6]) for i in range(20)]
    exact = np.argsort(-maxsim(stacked(queries), stacked(documents)), axis=1)[:, :10]
    recalls = []
    for reps in (1, 5, 25):
        how = Muvera(32, reps, ksim=3, dproj=8)
        stored = np.stack([how.document(document) for document in documents])
        found = np.argsort(-np.stack([how.query(query) for query in queries]) @ stored.T, axis=1)[:, :30]
        recalls.append(np.mean([np.isin(e, f).mean() for e, f in zip(exact, found, strict=True)]))
    assert recalls[0] + 0.05 < recalls[1] and recalls[1] + 0.05 < recalls[2]
    assert recalls[2] > 0.55, "thirty at random would hold a tenth"


def _noisy(rng, rows):
    noisy = rows + 0.12 * rng.standard_normal(rows.shape)
    return (noisy / np.linalg.norm(noisy, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize(
    "wrong", [{"dim": 0}, {"reps": 0}, {"ksim": 17}, {"ksim": -1}, {"dproj": 0}, {"dproj": 9}, {"final": 0},
              {"seed": -1}],
)  # fmt: skip
def test_settings_out_of_range(wrong):
    with pytest.raises(ValueError, match=r"from 1|seed from 0|dproj 1"):
        Muvera(**{"dim": 8, "dproj": None, **wrong})


@pytest.mark.parametrize("rows", [np.ones((0, 8)), np.ones((2, 7)), np.ones(8)])
def test_bags_of_another_shape(rows):
    with pytest.raises(ValueError, match="vectors of 8 numbers"):
        Muvera(8, dproj=4).document(rows)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1), counts=st.lists(st.integers(1, 9), min_size=1, max_size=6),
    ksim=st.integers(0, 4), dproj=st.none() | st.integers(1, 5), fill=st.booleans(),
    pieces=st.integers(1, 40),
)  # fmt: skip
def test_many_documents_are_what_each_is_alone(seed, counts, ksim, dproj, fill, pieces):
    rng = np.random.default_rng(seed)
    bags = [bag(rng, n, 5) for n in counts]
    how = Muvera(5, 2, ksim, dproj, fill, seed=seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(muvera, "TOKENS", pieces)
        found = how.documents(stacked(bags), np.arange(len(bags)))
        few = how.documents(stacked(bags), np.arange(len(bags))[1::2])
        long = np.stack([how.document(rows) for rows in bags])
        asked = np.stack([how.query(rows) for rows in bags])
    expected = np.stack([naive(how, rows, is_query=False) for rows in bags])
    assert found == pytest.approx(expected, abs=1e-6) and long == pytest.approx(expected, abs=1e-6)
    assert few == pytest.approx(expected[1::2], abs=1e-6)
    assert asked == pytest.approx(np.stack([naive(how, rows, is_query=True) for rows in bags]), abs=1e-6)
