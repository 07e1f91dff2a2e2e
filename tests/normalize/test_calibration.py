"""Calibrations in a file and on a stream: chances in the order of the scores, and what is refused."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmr.errors import BadDataError, BadItem, MissingInputError, UsageError, raise_item
from mmr.normalize.calibration import (
    Calibrated,
    fit_calibration,
    held_calibration,
    read_calibration,
    steps_of,
    write_calibration,
)
from mmr.normalize.chances import LEAST
from mmr.normalize.table import CALIBRATIONS
from mmr.stream.archive import kind_of
from mmr.stream.order import ranked
from mmr.stream.records import Record, dump
from tests.normalize.made import unit

D, Q, HITS = 6, 40, 12
NAMES = [row.name for row in CALIBRATIONS]
SCORES = np.sort(np.random.default_rng(0).uniform(0, 0.7, (Q, HITS)), axis=1)[:, ::-1].astype(np.float32)
RELEVANT = np.random.default_rng(1).random((Q, HITS)) < 1 / (1 + np.exp(5 - 14 * SCORES))
VECTORS = unit(2, Q, D, dtype=np.float32)
JUDGED = {f"q{i}": {f"g{j}": int(RELEVANT[i, j]) for j in range(HITS)} for i in range(Q)}


def query(number, scores=None, **more):
    scores = SCORES[number] if scores is None else scores
    hits = [{"id": f"g{j}", "score": float(s), "text": "kept"} for j, s in enumerate(scores)]
    return Record({"id": f"q{number}", "text": "words", "vector": VECTORS[number], "model": "toy#1",
                   "via": ["query pics.mmr k=12"], **more, "hits": hits})  # fmt: skip


def fitted(tmp_path, name="platt", records=None, judged=JUDGED, **how):
    path = tmp_path / "dev.jsonl"
    path.write_bytes(b"".join(dump(one) for one in (records or [query(i) for i in range(Q)])))
    return fit_calibration(name, str(path), lambda one: judged.get(one, {}), **how)


@pytest.fixture(scope="module", params=NAMES)
def calibration(request, tmp_path_factory):
    return fitted(tmp_path_factory.mktemp("fit"), request.param)


def run(calibration, records, **how):
    return list(Calibrated(calibration, **how).of(records, raise_item))


def test_a_stream_gets_chances_in_the_order_of_its_scores(calibration):
    for record in run(calibration, [query(i) for i in range(Q)]):
        chances = np.array([hit["score"] for hit in record["hits"]])
        assert ((chances > 0) & (chances <= 1)).all() and (np.diff(chances) < 0).all()
        assert [hit["id"] for hit in record["hits"]] == [f"g{j}" for j in range(HITS)]
        assert ranked(record["hits"]) == record["hits"]
        assert all(hit["text"] == "kept" for hit in record["hits"])
        assert record["via"][-1] == calibration.step


def test_the_chances_are_the_map_s(calibration):
    """The curve at each score, but for the smallest steps that keep hits apart."""
    from mmr.normalize.table import loaded

    (record,) = run(calibration, [query(3)])
    vector = VECTORS[3].astype(np.float64)
    expected = loaded(calibration.row.loads)(
        calibration.arrays, SCORES[3].astype(np.float64), vector / np.linalg.norm(vector)
    )
    found = np.array([hit["score"] for hit in record["hits"]])
    assert np.abs(found - np.maximum(expected, LEAST)).max() < 1e-5


@settings(max_examples=60, deadline=None)
@given(values=st.lists(st.integers(-20, 20), min_size=1, max_size=25), name=st.sampled_from(NAMES))
def test_no_list_changes_its_order(values, name, tmp_path_factory):
    calibration = made(name, tmp_path_factory)
    before = ranked(query(0, np.array(values) / 20)["hits"])
    (record,) = run(calibration, [query(0, np.array(values) / 20)])
    assert [hit["id"] for hit in ranked(record["hits"])] == [hit["id"] for hit in before]
    equal = [a["score"] == b["score"] for a, b in itertools.pairwise(before)]
    after = record["hits"]
    assert [a["score"] == b["score"] for a, b in itertools.pairwise(after)] == equal


MADE = {}


def made(name, tmp_path_factory):
    if name not in MADE:
        MADE[name] = fitted(tmp_path_factory.mktemp("made"), name)
    return MADE[name]


def test_a_bound_cuts_and_k_cuts(calibration):
    whole, bound = run(calibration, [query(5)])[0]["hits"], 0.3
    applied = Calibrated(calibration, least=bound)
    (cut,) = applied.of([query(5)], raise_item)
    assert cut["hits"] == [hit for hit in whole if hit["score"] >= bound]
    assert run(calibration, [query(5)], k=3)[0]["hits"] == whole[:3]
    nothing = Calibrated(calibration, least=0.999999)
    assert not next(nothing.of([query(5, np.full(HITS, -0.9))], raise_item))["hits"]
    assert nothing.empty == 1


def test_other_numbers_of_hits_are_said(calibration):
    def advice(k):
        applied = Calibrated(calibration)
        list(applied.of([query(0, SCORES[0][:k])], raise_item))
        return applied.advice

    assert calibration.depth == HITS
    assert "12 hits a query, and these had 3: their chances are rather too low" in advice(3)
    assert advice(6) == advice(12) == advice(0) == ""
    applied = Calibrated(replace(calibration, depth=2))
    list(applied.of([query(0)], raise_item))
    assert "too high" in applied.advice


def test_what_is_written_is_read(calibration, tmp_path):
    path = tmp_path / "cal.npz"
    write_calibration(str(path), calibration)
    found = read_calibration(str(path))
    for field in ("row", "model", "dim", "relevant", "depth", "source", "steps", "step"):
        assert getattr(found, field) == getattr(calibration, field)
    assert all(np.array_equal(found.arrays[key], values) for key, values in calibration.arrays.items())
    with open(path, "rb") as file:
        assert held_calibration(file, path.stat().st_size, "it").step == calibration.step
    assert calibration.source.startswith(f"{Q * HITS} hits of {Q} queries of dev.jsonl#")


@settings(max_examples=120, deadline=None)
@given(data=st.data())
def test_a_damaged_file_is_an_error_in_words_or_the_same(data, tmp_path_factory):
    calibration = made(data.draw(st.sampled_from(NAMES)), tmp_path_factory)
    path = tmp_path_factory.mktemp("damaged") / "cal.npz"
    write_calibration(str(path), calibration)
    whole = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        whole = whole[: data.draw(st.integers(0, len(whole) - 1))]
    else:
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(whole)
    try:
        found = read_calibration(str(path))
    except BadDataError as error:
        assert "mmr fit" in str(error)
    else:
        assert all(np.array_equal(found.arrays[key], values) for key, values in calibration.arrays.items())


def changed(tmp_path, about=None, **arrays):
    """A file whose checksums are right and whose sense is not."""
    path = tmp_path / "x.npz"
    write_calibration(str(path), fitted(tmp_path))
    with np.load(path) as archive:
        whole = dict(archive)
    whole |= {f"learned.{name}": value for name, value in arrays.items()}
    if about:
        text = json.loads(whole["about"].tobytes()) | about
        whole["about"] = np.frombuffer(json.dumps(text).encode(), np.uint8)
    np.savez(path, **whole)
    return str(path)


@pytest.mark.parametrize(
    ("about", "arrays"),
    [
        ({"format": 2}, {}), ({"method": "evil"}, {}), ({"dim": 5}, {}),
        ({"method": "query", "dim": 6}, {}), ({"model": 3}, {}), ({"steps": [1]}, {}), ({"steps": None}, {}),
        ({}, {"sigmoid": np.array([3.0, 1.0])}), ({}, {"sigmoid": np.array([np.nan, 1.0])}),
        ({}, {"sigmoid": np.array([1.0])}), ({}, {"sigmoid": np.array([b"x"])}),
        ({"method": "isotonic"}, {}),
        ({"method": "isotonic"}, {"score": np.array([0.0, 1.0]), "chance": np.array([1.0, 0.0])}),
        ({"method": "isotonic"}, {"score": np.array([0.0, 1.0]), "chance": np.array([0.0, 2.0])}),
    ],
)  # fmt: skip
def test_a_file_that_makes_no_sense_is_said(about, arrays, tmp_path):
    with pytest.raises(BadDataError, match="is no file that `mmr fit` wrote"):
        read_calibration(changed(tmp_path, about, **arrays))


@pytest.mark.parametrize("kind", ["vectors", "evil", None])
def test_a_file_of_another_kind_is_said(kind, tmp_path):
    with pytest.raises(BadDataError, match="this needs a calibration"):
        read_calibration(changed(tmp_path, {"kind": kind}))


def test_the_kind_of_a_file_is_read_without_trust(tmp_path):
    assert kind_of(changed(tmp_path)) == "calibration"
    with pytest.raises(BadDataError, match="holds evil"):
        kind_of(changed(tmp_path, {"kind": "evil"}))
    for junk in (b"", b"PK", b"\x93NUMPY"):
        (tmp_path / "junk.npz").write_bytes(junk)
        with pytest.raises(BadDataError, match="wrote: it is no npz"):
            kind_of(str(tmp_path / "junk.npz"))
    np.savez_compressed(tmp_path / "packed.npz", about=np.zeros(9, np.uint8))
    with pytest.raises(BadDataError, match="compressed"):
        kind_of(str(tmp_path / "packed.npz"))
    with pytest.raises(MissingInputError):
        kind_of(str(tmp_path / "absent.npz"))


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(MissingInputError):
        read_calibration(str(tmp_path / "absent.npz"))


STEP = "normalize nnn neighbours=16 alpha=0.5 bank=9 texts of b.npy#00000000"


def test_scores_of_another_kind_are_refused(calibration):
    cases = [
        ({"model": "other#2"}, "other#2"),
        ({"via": ["query pics.mmr k=12", STEP]}, "other steps"),
        ({"via": ["query pics.mmr k=12", calibration.step]}, "calibrated before"),
    ]
    for more, words in cases:
        with pytest.raises(BadDataError, match=words):
            run(calibration, [query(0, **more)])
    assert run(calibration, [query(0, via=["query pics.mmr k=12", STEP])], force=True)
    bare = query(0)
    del bare["via"]
    assert run(calibration, [bare])
    assert run(calibration, [query(0, model="toy#1-int8")])


def test_a_calibration_of_corrected_scores_is_for_corrected_scores(tmp_path):
    via = ["query pics.mmr k=12", STEP]
    calibration = fitted(tmp_path, records=[query(i, via=via) for i in range(Q)])
    assert calibration.steps == (STEP,)
    assert run(calibration, [query(0, via=via)])
    with pytest.raises(BadDataError, match="other steps"):
        run(calibration, [query(0)])


def test_what_a_step_says_of_one_query_alone_does_not_count():
    def steps(*via):
        return steps_of({"via": list(via)})

    assert steps("embed builtin", "query pics.mmr k=10", "query pics.mmr k=50") == ()
    assert steps("query p.mmr k=9", "rerank cut p=0.5 kept 3 of 9") == ("rerank cut p=0.5",)
    assert steps("rerank cut p=0.5 kept 3 of 9") == steps("rerank cut p=0.5 kept 4 of 9")
    assert steps("rerank cut p=0.5") != steps("rerank cut p=0.6") != steps("rerank prf p=0.6")
    assert (
        steps("query p.mmr k=9 recipe product") == ("recipe product",) == steps("query q k=1 recipe product")
    )
    assert steps(STEP) == (STEP,)


def test_bad_records_are_left_out(calibration):
    bad = []
    none = Record({"id": "a", "text": "x"})
    lacking = Record({"id": "b", "hits": [{"id": "g0"}], "vector": VECTORS[0]})
    end = Record({"eof": True})
    found = list(Calibrated(calibration).of([none, lacking, query(0), end], bad.append))
    assert [record.get("id") for record in found] == ["q0", None] and len(bad) == 2


def test_the_map_of_a_query_needs_its_vector_and_cosines(tmp_path):
    calibration = fitted(tmp_path, "query")
    bare, short = query(0), query(0, vector=VECTORS[0][:3])
    del bare["vector"]
    for record, words in (
        (bare, "no vector"),
        (short, "3 numbers"),
        (query(0, SCORES[0] * 100), "no cosine"),
    ):
        with pytest.raises(BadItem, match=words):
            run(calibration, [record])
    longer = query(0, vector=VECTORS[0] * 5)
    assert run(calibration, [longer])[0]["hits"] == run(calibration, [query(0)])[0]["hits"]


def test_what_is_fitted_with_must_belong_together(tmp_path):
    good = [query(i) for i in range(Q)]
    cases = [
        ([*good, Record({"id": "z"})], {}, "has no hits"),
        ([*good[1:], query(0, model="x#2")], {}, "x#2"),
        ([*good[1:], query(0, via=[STEP])], {}, "other steps"),
        ([query(0, via=["normalize platt 1 hits"])], {}, "calibrated before"),
        (good, {"judged": {}}, "no query of dev.jsonl has judgements"),
        (good, {"rel": 2}, "no hit is relevant"),
        ([query(0, [])], {}, "no judged query of dev.jsonl has hits"),
    ]
    for records, how, words in cases:
        with pytest.raises(BadDataError, match=words):
            fitted(tmp_path, records=records, **how)
    unscored = query(0)
    unscored["hits"][0].pop("score")
    with pytest.raises(BadDataError, match="no score"):
        fitted(tmp_path, records=[unscored])
    bare = query(0)
    del bare["vector"]
    with pytest.raises(BadDataError, match="has no vector"):
        fitted(tmp_path, "query", records=[bare])
    with pytest.raises(BadDataError, match="3 numbers"):
        fitted(tmp_path, "query", records=[*good, query(0, vector=VECTORS[0][:3])])
    with pytest.raises(UsageError, match="There are: platt"):
        fitted(tmp_path, "sigmoid")


def test_queries_without_judgements_are_passed_over(tmp_path):
    half = {name: judged for name, judged in JUDGED.items() if int(name[1:]) < 20}
    part = fitted(tmp_path, judged=half)
    alone = fitted(tmp_path, records=[query(i) for i in range(20)])
    assert np.array_equal(part.arrays["sigmoid"], alone.arrays["sigmoid"])
