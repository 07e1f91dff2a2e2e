"""What codes propose, against their formulas written naively in float64."""

from __future__ import annotations

import numpy as np
import pytest

from mmr.arrays.binary import planes
from mmr.arrays.residual import residual, turned
from mmr.arrays.truncate import projections
from mmr.errors import BadDataError
from mmr.index import upsert
from mmr.index.table import adapter, parse
from mmr.stream.records import Record
from tests.index.made import fail
from tests.index.test_kinds import clustered

DIM = 30  # not a multiple of 4


def sample():
    """Items, and queries of another modality: about another mean."""
    x, q = clustered(2, 800)[:, :DIM], clustered(3, 300)[:, :DIM]
    shift = np.random.default_rng(0).standard_normal(DIM).astype(np.float32) * 0.2
    return np.ascontiguousarray(x), np.ascontiguousarray(q + shift)


def proposed(tmp_path, spec, x, q, depth):
    row, params = parse(spec)
    kind = adapter(row.name)
    kind.train(x, q[100:], len(x), params, tmp_path / "trained")
    kind.write(x, params, tmp_path / "codes", tmp_path / "trained")
    return kind.candidates(tmp_path / "codes", q[:100], depth, params, 1.0)


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_bebr_scores_by_the_symmetric_distance_lengths_and_means(tmp_path, bits):
    """|q - m| |x - n| <b, b'> / (|b| |b'|) + <m, x - n>, where m and n are the means of queries and items."""
    x, q = sample()
    rows = proposed(tmp_path, f"bebr:bits={bits}", x, q, 20)
    n, m = x.mean(0, dtype=np.float64), q[100:].mean(0, dtype=np.float64)
    turn = turned(DIM, 32, 0).astype(np.float64)
    left, asked = x - n, q[:100] - m
    code, other = (residual((v @ turn).astype(np.float32), bits).astype(np.float64) for v in (left, asked))
    cosine = (other @ code.T) / np.linalg.norm(other, axis=1)[:, None] / np.linalg.norm(code, axis=1)
    score = cosine * np.linalg.norm(asked, axis=1)[:, None] * np.linalg.norm(left, axis=1) + left @ m
    truth = np.argsort(-score, axis=1)[:, :20]
    shared = np.mean([len(set(a) & set(b)) / 20 for a, b in zip(rows, truth, strict=True)])
    assert shared > 0.95, "the tables that FAISS scans have 8 bits an entry"
    kept = np.take_along_axis(score, rows, axis=1).min(axis=1)
    assert (kept > np.take_along_axis(score, truth, axis=1)[:, -1] - 0.03).all()


def test_svd_scores_by_whole_numbers(tmp_path):
    x, q = sample()
    rows = proposed(tmp_path, "svd:dims=8", x, q, 20)
    of_items, of_queries = projections(x, q[100:], 8)
    items, asked = x @ of_items, q[:100] @ of_queries
    codes = np.rint(items * np.float32(127 / np.abs(items).max())).astype(np.int64)
    other = np.rint(asked / np.abs(asked).max(axis=1, keepdims=True) * 127).astype(np.int64)
    score = other @ codes.T
    kept = np.sort(np.take_along_axis(score, rows, axis=1), axis=1)
    best = np.sort(score, axis=1)[:, -20:]
    assert (np.abs(kept - best) <= 127).all() and (kept == best).mean() > 0.99
    assert all(len(set(row)) == 20 for row in rows.tolist())


def test_bits_are_compared_by_how_many_differ(tmp_path):
    x, q = sample()
    rows = proposed(tmp_path, "binary:code=planes,bits=64", x, q, 20)
    normals = planes(DIM, 64, 0)
    bits = x @ normals > x.mean(0, dtype=np.float64) @ normals
    asked = q[:100] @ normals > q[100:].mean(0, dtype=np.float64) @ normals
    differ = (asked[:, None] != bits[None]).sum(axis=2)
    kept = np.sort(np.take_along_axis(differ, rows, axis=1), axis=1)
    assert (np.abs(kept - np.sort(differ, axis=1)[:, :20]) <= 1).all()
    assert (kept == np.sort(differ, axis=1)[:, :20]).mean() > 0.98


@pytest.mark.parametrize(("kind", "needed"), [("bebr", 256), ("svd", 256), ("binary:code=itq", 256)])
def test_codes_say_how_many_rows_they_need(tmp_path, kind, needed):
    items = [Record({"id": str(i), "vector": v}) for i, v in enumerate(clustered(1, needed - 1))]
    spec = f"{kind}{',' if ':' in kind else ':'}least=2"
    with pytest.raises(BadDataError, match=f"needs {needed} vectors to train, and .* has {needed - 1}"):
        upsert(tmp_path / "x.mmr", items, reject=fail, kind=spec)


@pytest.mark.parametrize(
    "kind", ["rabitq", "rabitq:bits=4", "pq:opq=yes,m=15", "bebr", "svd", "binary:code=itq"]
)
def test_candidates_do_not_depend_on_the_batch(tmp_path, kind):
    """Rotations are taken in float64, so that no kernel of a matrix product shows."""
    x, q = clustered(2, 3000)[:, :DIM].copy(), clustered(3, 400)[:, :DIM].copy()
    row, params = parse(kind)
    adapted, file = adapter(row.name), tmp_path / "codes"
    adapted.train(x, None, len(x), params, tmp_path / "trained")
    adapted.write(x, params, file, tmp_path / "trained")
    whole = adapted.candidates(file, q, 60, params, 1.0)
    for size in (1, 7):
        for start in range(0, 400, size):
            few = adapted.candidates(file, q[start : start + size], 60, params, 1.0)
            for mine, others in zip(few, whole[start : start + size], strict=True):
                assert set(mine) == set(others)
