"""Corrected hits: the same as whole lists, the certificate, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmr.errors import BadDataError, UsageError, raise_item
from mmr.normalize.apply import Correction, turned
from mmr.normalize.bank import Bank, digest, key
from mmr.normalize.fit import Gallery, fit
from mmr.normalize.method import Banks
from mmr.normalize.table import METHODS
from mmr.stream.records import Record, dump
from tests.normalize import naive
from tests.normalize.made import blocks_of, unit

NAMES = [row.name for row in METHODS]
TWO = {row.name for row in METHODS if row.banks == 2}
N, D = 40, 8
GALLERY, QUERIES = unit(1, N, D, dtype=np.float32), unit(2, 12, D, dtype=np.float32)
IDS = [f"g{i:02}" for i in range(N)]


def bank(seed: int, m: int = 25, modality: str = "text") -> Bank:
    rows = unit(seed, m, D, dtype=np.float32)
    return Bank(rows, np.zeros(m, np.uint64), "toy#1", modality, "bank.npy", digest(rows))


def fitted(name="nnn", gallery=GALLERY, ids=IDS, **params):
    items = bank(5) if name in TWO else None
    return fit(name, params, Gallery(ids, blocks_of(gallery, 7), D, "toy#1", "g"), bank(4), items)


def query(number: int, k: int = N, **more) -> Record:
    scores = GALLERY @ QUERIES[number]
    best = np.argsort(-scores)[:k]
    hits = [{"id": IDS[j], "score": float(scores[j]), "text": "kept"} for j in best]
    return Record({"id": f"q{number}", "text": f"words {number}", "vector": QUERIES[number], "model": "toy#1",
                   **more, "hits": hits})  # fmt: skip


def run(correction, records):
    return list(correction.of(records, raise_item))


@pytest.mark.parametrize("name", NAMES)
def test_hits_are_corrected_by_the_formula(name):
    state = fitted(name)
    wide = GALLERY.astype(np.float64)
    banks = [state.bank.rows.astype(np.float64) @ wide.T]
    if state.items is not None:
        items = state.items.rows.astype(np.float64)
        banks.append(items @ wide.T if name != "dbsn" else state.bank.rows.astype(np.float64) @ items.T)
    records = run(Correction(state), [query(i) for i in range(5)])
    for number, record in enumerate(records):
        s = wide @ QUERIES[number].astype(np.float64)
        more = banks[1:]
        expected = naive.ALL[name](s, banks[0], state.params, *more)
        found = {hit["id"]: float(hit["score"]) for hit in record["hits"]}
        assert [found[i] for i in IDS] == pytest.approx(expected, abs=2e-5, rel=2e-5)
        assert all(hit["text"] == "kept" for hit in record["hits"])
        scores = [hit["score"] for hit in record["hits"]]
        assert scores == sorted(scores, reverse=True)
        assert record["via"] == [state.step]
        assert f"normalize {name}" in state.step and "bank=25 texts of bank.npy#" in state.step


def held(table, names):
    """Which names are in a table, and the vectors of those."""
    there = [name for name in names if name in table]
    rows = np.stack([table[one] for one in there]) if there else np.empty((0, 1), np.float32)
    return np.isin(names, there), rows


@pytest.mark.parametrize("name", NAMES)
def test_numbers_from_the_index_are_those_of_the_file(name):
    state = fitted(name)
    half = fitted(name, GALLERY, IDS)
    table = dict(zip(IDS, GALLERY, strict=True))
    asked: list[str] = []

    def vectors_of(names):
        asked.extend(names)
        return held(table, names)

    computed = run(Correction(half, vectors_of=vectors_of), [query(i, 10) for i in range(6)])
    plain = run(Correction(state), [query(i, 10) for i in range(6)])
    for one, two in zip(computed, plain, strict=True):
        assert [h["id"] for h in one["hits"]] == [h["id"] for h in two["hits"]]
        assert [h["score"] for h in one["hits"]] == pytest.approx([h["score"] for h in two["hits"]], abs=1e-5)
    assert len(asked) == len(set(asked))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 11), st.integers(1, N), st.integers(1, 8), st.sampled_from([0.25, 1.0]))
def test_a_certain_query_has_the_hits_of_the_whole_gallery(number, pool, k, alpha):
    state = fitted("nnn", neighbours=4, alpha=alpha)
    correction = Correction(state, k=k)
    cut = run(correction, [query(number, pool)])[0]
    whole = run(Correction(state, k=k), [query(number)])[0]
    if correction.certain:
        assert [hit["id"] for hit in cut["hits"]] == [hit["id"] for hit in whole["hits"]]
    if pool == N:
        assert correction.certain == 1


@pytest.mark.parametrize("name", NAMES)
def test_the_certificate_holds_for_every_method(name):
    state = fitted(name)
    found = 0
    for number in range(12):
        for pool in (5, 20, 35, 39):
            correction = Correction(state, k=3)
            cut = run(correction, [query(number, pool)])[0]
            if correction.certain:
                found += 1
                whole = run(Correction(state, k=3), [query(number)])[0]
                assert [hit["id"] for hit in cut["hits"]] == [hit["id"] for hit in whole["hits"]]
    assert found or name in ("zscore", "sinkhorn")


@pytest.mark.parametrize("name", NAMES)
def test_the_batch_does_not_matter(name, monkeypatch):
    table = dict(zip(IDS, GALLERY, strict=True))
    answers = []
    for size in (1, 5, 256):
        monkeypatch.setattr("mmr.normalize.apply.BATCH", size)
        correction = Correction(fitted(name), vectors_of=lambda names: held(table, names))
        answers.append([dump(record) for record in run(correction, [query(i, 12) for i in range(12)])])
    assert answers[0] == answers[1] == answers[2]


def test_alpha_is_turned_without_another_fit():
    once = run(Correction(fitted("nnn", alpha=0.9)), [query(0)])[0]["hits"]
    later = run(Correction(turned(fitted("nnn", alpha=0.1), {"alpha": 0.9})), [query(0)])[0]["hits"]
    assert once == later
    with pytest.raises(UsageError, match="has no alpha"):
        turned(fitted("csls"), {"alpha": 0.9})
    with pytest.raises(UsageError, match="has no neighbours"):
        turned(fitted("nnn"), {"neighbours": 3})


@pytest.mark.parametrize("name", ["nnn", "gc"])
def test_alpha_0_keeps_scores_and_order(name):
    assert run(Correction(fitted(name, alpha=0)), [query(3)])[0]["hits"] == [
        {**hit, "score": np.float32(hit["score"])} for hit in query(3)["hits"]
    ]


def test_gc_moves_a_query_without_hits():
    state = fitted("gc")
    record = Record({"id": "q", "vector": QUERIES[0] * 2})
    moved = run(Correction(state), [record])[0]
    assert moved["unit"] is False
    expected = QUERIES[0] - 0.25 * state.bank.rows.mean(axis=0)
    assert moved["vector"] == pytest.approx(expected, abs=1e-6)


def refused(words, record, state=None, **how):
    with pytest.raises(Exception, match=words) as caught:
        run(Correction(state or fitted(), **how), [record])
    return caught.value


def test_what_must_not_meet_is_refused():
    assert isinstance(refused("toy#2", query(0, model="toy#2")), BadDataError)
    assert isinstance(refused("was corrected before", query(0, via=["normalize csls x"])), BadDataError)
    assert isinstance(refused("is a query of image", query(0, text="", image="a.png")), BadDataError)
    state = fitted()
    known = state.bank.rows[3]
    assert isinstance(refused("is in the bank", query(0, vector=known * 3)), BadDataError)
    keyed = state.bank._replace(keys=np.array([key({"text": "words 0"})] * 25, np.uint64))
    object.__setattr__(state, "bank", keyed)
    assert isinstance(refused("is in the bank", query(0), state), BadDataError)
    run(Correction(state, force=True), [query(0), query(1, text="", image="a.png"), query(2, vector=known)])


def test_a_hit_that_nobody_knows_is_a_bad_item_and_the_others_go_on():
    stranger = query(1)
    stranger["hits"][3:5] = [{"id": "stranger", "score": 0.5}, {"id": "other", "score": 0.4}]
    table = dict(zip(IDS, GALLERY, strict=True))
    for how, words in (
        ({}, "the hit stranger is not among the 40 items that"),
        ({"vectors_of": lambda names: held(table, names)}, "the hit stranger is not in the index"),
    ):
        bad: list = []
        records = [query(0), Record(stranger), query(2)]
        found = list(Correction(fitted(), **how).of(records, bad.append))
        assert [record["id"] for record in found] == ["q0", "q2"]
        assert len(bad) == 1 and words in bad[0].what and bad[0].record["id"] == "q1"
        assert [one["hits"] for one in found] == [
            one["hits"] for one in run(Correction(fitted(), **how), [query(0), query(2)])
        ]


def test_a_bad_item_does_not_stop_the_stream():
    bad: list = []
    logits = query(1)
    logits["hits"][0]["score"] = 31.5
    scoreless = query(2)
    del scoreless["hits"][3]["score"]
    records = [
        query(0),
        Record({"id": "n", "text": "no hits"}),
        logits,
        scoreless,
        Record({"eof": True}),
        query(3),
    ]
    found = list(Correction(fitted()).of(records, bad.append))
    assert [record.get("id") for record in found] == ["q0", None, "q3"]
    assert [str(item).split(": ")[1].split(";")[0] for item in bad] == [
        "has no hits", "the score 31.5 is no cosine", "a hit has no score",
    ]  # fmt: skip
    unscaled = query(4, unit=False)
    unscaled["hits"][0]["score"] = 2.5
    run(Correction(fitted()), [unscaled])


def test_mutual_proximity_needs_the_querys_vector():
    record = query(0)
    del record["vector"]
    refused("mp needs the query's", record, fitted("mp"))
    refused("a vector of 3 numbers", query(0, vector=np.ones(3, np.float32)), fitted("mp"))


def test_banks_count_both():
    assert Banks(GALLERY, GALLERY[:3]).size == N + 3


def test_queries_of_the_int8_tower_are_queries_of_the_model():
    (plain,) = run(Correction(fitted()), [query(0)])
    (small,) = run(Correction(fitted()), [query(0, model="toy#1-int8")])
    assert small["hits"] == plain["hits"]
