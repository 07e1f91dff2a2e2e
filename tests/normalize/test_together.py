"""Transductive methods: their formulas, and what they refuse."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mmr.errors import BadDataError, raise_item
from mmr.normalize.table import TOGETHER, loaded
from mmr.normalize.together import Together
from mmr.stream.records import Record
from tests.normalize import naive
from tests.normalize.made import Fit, unit

GALLERY, QUERIES = unit(1, 15, 6), unit(2, 9, 6)
ROWS = {row.name: row for row in TOGETHER}
IDS = [f"g{i:02}" for i in range(15)]


def record(number, scores, k=None, **more):
    hits = [{"id": name, "score": float(s)} for name, s in zip(IDS, scores, strict=True)]
    return Record({"id": f"q{number}", **more, "hits": hits[:k]})


def of(name, scores, **params):
    row = ROWS[name]
    return loaded(row.loads)(
        scores, {param.name: params.get(param.name, param.default) for param in row.params}
    )


@pytest.mark.parametrize("beta", [1.0, 20.0, 100.0, 5000.0])
def test_dual_softmax_equals_its_formula(beta):
    s = QUERIES @ GALLERY.T
    found = of("dual-softmax", s, beta=beta)
    for i in range(len(QUERIES)):
        for j in range(len(GALLERY)):
            shares = [math.exp(beta * (x - s[:, j].max())) for x in s[:, j]]
            assert found[i, j] == pytest.approx(s[i, j] * shares[i] / sum(shares), abs=1e-10)


@pytest.mark.parametrize("params", [{}, {"tau": 0.1, "iterations": 1}, {"tau": 0.05, "iterations": 40}])
def test_batch_sinkhorn_is_sinkhorn_with_the_batch_for_a_bank(params):
    s = QUERIES @ GALLERY.T
    expected = Fit("sinkhorn", GALLERY, QUERIES, **params)(QUERIES)
    assert np.abs(of("batch-sinkhorn", s, **params) - expected).max() < 1e-10
    p = {"tau": 0.01, "iterations": 10, **params}
    plain = np.array([naive.sinkhorn(row, s, p) for row in s])
    assert np.abs(of("batch-sinkhorn", s, **params) - plain).max() < 1e-10


@pytest.mark.parametrize("name", ROWS)
def test_hits_are_corrected_whatever_their_order(name):
    s = (QUERIES @ GALLERY.T).astype(np.float32).astype(np.float64)
    records = [record(i, row) for i, row in enumerate(s)]
    records[3]["hits"].reverse()
    method = Together(ROWS[name], {}, k=4)
    found = list(method.of(records, raise_item))
    expected = of(name, s).astype(np.float32)
    for row, one in zip(expected, found, strict=True):
        best = sorted(zip(row.tolist(), IDS, strict=True), reverse=True)[:4]
        assert [hit["id"] for hit in one["hits"]] == [name for _, name in best]
        assert [float(hit["score"]) for hit in one["hits"]] == pytest.approx([score for score, _ in best])
        assert "transductive over 9 queries" in one["via"][-1]
    assert (method.queries, method.items) == (9, 15)


def test_what_is_refused():
    s = QUERIES @ GALLERY.T
    whole = [record(i, row) for i, row in enumerate(s)]
    cut = [*whole[:2], record(7, s[7], k=5)]
    other = [*whole[:2], Record({"id": "q", "hits": [{"id": f"x{i}", "score": 0} for i in range(15)]})]
    done = [record(0, s[0], via=["normalize nnn alpha=0.5"])]
    logits = [record(0, s[0] * 100)]
    for records, words in ((cut, "5 hits"), (other, "not the 15"), (done, "corrected before"),
                           (logits, "is no cosine")):  # fmt: skip
        with pytest.raises(BadDataError, match=words):
            list(Together(ROWS["dual-softmax"], {}).of(records, raise_item))


def test_bad_records_are_left_out_and_the_end_passes():
    s = QUERIES @ GALLERY.T
    bad = []
    records = [record(0, s[0]), Record({"id": "x", "hits": []}), Record({"id": "y"}), record(1, s[1]),
               Record({"eof": True, "items": 4})]  # fmt: skip
    found = list(Together(ROWS["batch-sinkhorn"], {}).of(records, bad.append))
    assert [one.get("id") for one in found] == ["q0", "q1", None]
    assert len(bad) == 2
    assert list(Together(ROWS["batch-sinkhorn"], {}).of([], raise_item)) == []
