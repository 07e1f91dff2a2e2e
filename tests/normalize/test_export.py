"""A correction as vectors: one ranking on hits, in exported vectors, and in lifted ones under distances."""

from __future__ import annotations

import numpy as np
import pytest

from mmr.errors import BadDataError, UsageError, raise_item
from mmr.normalize.apply import Correction
from mmr.normalize.export import Export, same_model
from mmr.normalize.table import METHODS
from mmr.stream.records import Record, unchanged
from tests.normalize.test_apply import GALLERY, IDS, QUERIES, D, fitted, query

AFFINE = [row.name for row in METHODS if row.affine]


def items():
    return [Record({"id": name, "image": f"{name}.png", "vector": row, "model": "toy#1"})
            for name, row in zip(IDS, GALLERY, strict=True)]  # fmt: skip


def queries():
    return [Record({"id": f"q{i}", "text": str(i), "vector": row, "model": "toy#1"})
            for i, row in enumerate(QUERIES)]  # fmt: skip


def exported(name, **how):
    export = Export(fitted(name), **how)
    if export.lift:
        export.measure([GALLERY[:7], GALLERY[7:]])
    rows = list(export.items(items(), raise_item))
    asked = list(export.queries(queries(), raise_item))
    return export, rows, asked


def vectors(records):
    return np.stack([record["vector"] for record in records]).astype(np.float64)


def on_hits(name):
    records = Correction(fitted(name)).of([query(i) for i in range(len(QUERIES))], raise_item)
    return [{hit["id"]: float(hit["score"]) for hit in record["hits"]} for record in records]


def orders(keys):
    return [[IDS[j] for j in row] for row in np.argsort(keys, axis=1)]


@pytest.mark.parametrize("name", AFFINE)
@pytest.mark.parametrize("weight", [1.0, 0.25])
def test_exported_vectors_rank_as_corrected_hits(name, weight):
    _, rows, asked = exported(name, weight=weight)
    scores = vectors(asked) @ vectors(rows).T
    expected = on_hits(name)
    assert orders(-scores) == [sorted(IDS, key=one.get, reverse=True) for one in expected]
    reach = 2e-6 * max(1, np.abs(scores).max())
    for row, one in zip(scores, expected, strict=True):
        apart = row - [one[item] for item in IDS]
        assert np.ptp(apart) < reach
        assert name == "csls" or np.abs(apart).max() < reach  # r(query) of csls moves all hits alike
    assert {len(record["vector"]) for record in (*rows, *asked)} == {D + 1}


@pytest.mark.parametrize("name", AFFINE)
def test_lifted_vectors_rank_so_by_distance(name):
    export, rows, asked = exported(name, lift=True)
    up, q = vectors(rows), vectors(asked)
    distance = ((q[:, None] - up[None]) ** 2).sum(axis=2)
    assert orders(distance) == [sorted(IDS, key=one.get, reverse=True) for one in on_hits(name)]
    assert np.linalg.norm(up, axis=1) == pytest.approx([export.bound] * len(IDS), rel=1e-6)
    assert (q[:, -1] == 0).all()


def test_both_sides_have_one_name_that_nothing_else_has():
    names = set()
    for how in ({}, {"weight": 0.5}, {"lift": True}):
        export, rows, asked = exported("nnn", **how)
        assert {record["model"] for record in (*rows, *asked)} == {export.model}
        assert all(record["unit"] is False for record in (*rows, *asked))
        names.add(export.model)
    names |= {exported("gc")[0].model, "toy#1"}
    assert len(names) == 5
    assert unchanged(export.model) == ("toy", ("export",))


def test_the_weight_that_is_named_spreads_the_added_dimension_like_the_others():
    export, *_ = exported("nnn")
    even = export.even_weight()
    again, rows, _ = exported("nnn", weight=even)
    found = vectors(rows)
    usual = np.sqrt((found[:, :-1] ** 2).sum(axis=1).mean() / D)
    assert found[:, -1].std() == pytest.approx(usual, rel=1e-3)
    assert again.even_weight() == pytest.approx(even, rel=1e-3)


def test_fields_and_lengths_stay():
    _, rows, _ = exported("nnn")
    assert rows[3]["image"] == "g03.png" and rows[3]["via"][-1].startswith("normalize export weight=1: nnn")
    long = [Record({"id": "q", "vector": 3 * QUERIES[0], "unit": False})]
    (found,) = Export(fitted("nnn")).queries(long, raise_item)
    assert found["vector"][:-1] == pytest.approx(3 * QUERIES[0], rel=1e-6)
    (short,) = Export(fitted("nnn")).queries([Record({"id": "q", "vector": 3 * QUERIES[0]})], raise_item)
    assert short["vector"][:-1] == pytest.approx(QUERIES[0], rel=1e-6)


@pytest.mark.parametrize("name", [row.name for row in METHODS if not row.affine])
def test_what_is_no_scale_and_shift_is_refused(name):
    with pytest.raises(UsageError, match="not one scale and shift"):
        Export(fitted(name))


def test_what_does_not_fit_is_refused():
    export = Export(fitted("nnn"), name="hubs.npz")
    bad = []
    mixed = [Record({"id": "a"}), Record({"id": "b", "vector": QUERIES[0][:3]}),
             Record({"id": "c", "vector": 0 * QUERIES[0]}), queries()[0], Record({"eof": True})]  # fmt: skip
    assert [record["id"] for record in export.queries(mixed, bad.append)] == ["q0"]
    assert len(bad) == 3
    with pytest.raises(BadDataError, match="toy#1"):
        list(export.queries([Record({"id": "a", "vector": QUERIES[0], "model": "x#9"})], raise_item))
    with pytest.raises(BadDataError, match="x#9"):
        same_model(export.state, "x#9", D, "pics.mmr", "hubs.npz")
    with pytest.raises(BadDataError, match="has 9"):
        same_model(export.state, "toy#1", 9, "pics.mmr", "hubs.npz")
    lifted = Export(fitted("nnn"), lift=True)
    lifted.measure([GALLERY])
    longer = Record({"id": "a", "vector": 9 * GALLERY[0], "unit": False})
    with pytest.raises(BadDataError, match="larger bound"):
        list(lifted.items([longer], raise_item))
