"""Items of weighted terms and of words: stored, searched and looked after as single vectors are."""

from __future__ import annotations

import math
import shutil
import struct
from collections import Counter

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmr.arrays.words import words
from mmr.errors import BadDataError, BadItem, UsageError
from mmr.index import catalogue, delete, open_index, upsert
from mmr.index.answer import answer
from mmr.index.check import check, compact, describe, rebuild
from mmr.index.content import refuse_without_vectors
from mmr.index.search import Wanted, search
from mmr.index.settings import chosen_for
from mmr.index.sparse import WORDS
from mmr.index.tune import tune
from mmr.stream.records import Record
from tests.index.made import fail

VOCABULARY = [*"abcdefgh", "red car", "été", "猫", ""]
TEXTS = ["red car", "Red, red apple!", "blue sky"]
VALUES = (0, 1, 77, 2**31, 2**63 - 1, 2**64 - 1, 0x7FF0000000000000)
KINDS = {"sparse": "sparse", "sparse:bm25": "text"}


def bag(rng, most=5):
    chosen = rng.choice(len(VOCABULARY), rng.integers(0, most + 1), replace=False)
    return {VOCABULARY[i]: round(float(rng.random()) * 3 + 0.01, 3) for i in chosen}


def item(rng, number, **more):
    found = bag(rng)
    return Record({"id": f"i{number}", "sparse": found, "text": " ".join(rng.choice(list("abcdef"), 6)),
                   "colour": "red" if number % 3 else "blue", **more})  # fmt: skip


def by_terms(items, query):
    """The sum over shared terms of both weights, in the order of the terms' bytes, as float32."""
    scores = {}
    for name, one in items.items():
        shared = sorted(
            (t for t in query["sparse"] if one["sparse"].get(t) and query["sparse"][t]), key=str.encode
        )
        if shared:
            pairs = [
                float(np.float32(query["sparse"][t])) * float(np.float32(one["sparse"][t])) for t in shared
            ]
            scores[name] = np.float32(math.fsum(pairs) if len(pairs) < 3 else sum(pairs, 0.0))
    return scores


def by_words(items, query, k1=1.2, b=0.75):
    """BM25 as textbooks print it, one text after the other."""
    split = {name: Counter(words(one["text"])) for name, one in items.items()}
    mean = sum(count.total() for count in split.values()) / max(len(split), 1)
    scores = {}
    for name, count in split.items():
        total = 0.0
        for word, asked in Counter(words(query["text"])).items():
            n, f = sum(word in other for other in split.values()), count[word]
            if f:
                idf = math.log((len(split) - n + 0.5) / (n + 0.5) + 1)
                total += asked * idf * f * (k1 + 1) / (f + k1 * (1 - b + b * count.total() / mean))
        if total:
            scores[name] = total
    return scores


def close(hits, expected, k):
    """Hits are the best k of the expected scores, in the one order."""
    assert len(hits) == min(k, len(expected))
    scores = [hit["score"] for hit in hits]
    assert scores == pytest.approx(sorted(expected.values(), reverse=True)[:k], rel=2e-6)
    assert scores == pytest.approx([expected[hit["id"]] for hit in hits], rel=2e-6)
    order = [(hit["score"], hit["id"].encode()) for hit in hits]
    assert order == sorted(order, reverse=True)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**31), kind=st.sampled_from(sorted(KINDS)), where=st.sampled_from([None, "blue"]),
       k=st.integers(1, 8), data=st.data())  # fmt: skip
def test_hits_are_those_of_a_sum_whatever_is_left_out(tmp_path_factory, seed, kind, where, k, data):
    path, rng, items = tmp_path_factory.mktemp("sparse") / "x.mmr", np.random.default_rng(seed), {}
    for start, stop in ((0, 15), (15, 40), (5, 12)):
        chunk = [item(rng, number) for number in range(start, stop)]
        upsert(path, chunk, reject=fail, kind=kind)
        items |= {one["id"]: one for one in chunk}
    gone = data.draw(st.sets(st.sampled_from(sorted(items)), max_size=12))
    delete(path, gone)
    items = {name: one for name, one in items.items() if name not in gone}
    names = st.lists(st.sampled_from([f"i{n}" for n in range(41)]), max_size=20)
    query = item(rng, 99, exclude=data.draw(names), **({"among": data.draw(names)} if seed % 2 else {}))
    if kind == "sparse" and seed % 3 == 0:
        query["sparse"] = {
            term: -weight if term < "d" else weight for term, weight in query["sparse"].items()
        }
    wanted = Wanted(k, where=(("colour", where),) if where else ())
    allowed = {
        name for name, one in items.items() if name not in query["exclude"]
        and ("among" not in query or name in query["among"]) and (where is None or one["colour"] == where)
    }  # fmt: skip
    scores = (by_terms if kind == "sparse" else by_words)(items, query)
    with open_index(path) as index:
        (hits,) = search(index, [query], wanted)
        close(hits, {name: score for name, score in scores.items() if name in allowed}, k)
        assert search(index, [query], wanted._replace(exact=True)) == [hits]
        assert search(index, [item(rng, 1), query, item(rng, 2)], wanted)[1] == hits
        before = search(index, [query], Wanted(k))
    compact(path)
    with open_index(path) as index:
        assert search(index, [query], Wanted(k)) == before
    assert check(path) == []


def test_worked(tmp_path):
    """N = 3, mean 7/3, "red" in two: ln 1.6 times the saturated count."""
    path = tmp_path / "x.mmr"
    upsert(path, [Record({"id": str(i), "text": text}) for i, text in enumerate(TEXTS)], reject=fail,
           kind="sparse:bm25")  # fmt: skip
    with open_index(path) as index:
        (hits,) = search(index, [Record({"id": "q", "text": "red"})], Wanted())
        assert [hit["id"] for hit in hits] == ["1", "0"]
        assert [hit["score"] for hit in hits] == pytest.approx([0.598186, 0.499176], abs=1e-6)
        assert index.meta.model == WORDS and index.meta.dim == 0
    rebuild(path, kind="sparse:bm25:k1=0,b=0")
    with open_index(path) as index:
        (hits,) = search(index, [Record({"id": "q", "text": "red red"})], Wanted())
        assert [hit["score"] for hit in hits] == pytest.approx([2 * math.log(1.6)] * 2)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_new_changed_kept(tmp_path, kind):
    path, rng = tmp_path / "x.mmr", np.random.default_rng(3)
    items = [item(rng, number) for number in range(9)]
    counts = upsert(path, items, reject=fail, kind=kind)
    assert (counts.new, counts.changed, counts.kept) == (9, 0, 0)
    assert upsert(path, items, reject=fail).kept == 9
    field = KINDS[kind]
    other = [Record({**items[2], field: {"a": 1.0} if field == "sparse" else "quite other words"}),
             Record({**items[3], "colour": "green"})]  # fmt: skip
    counts = upsert(path, [items[0], *other], reject=fail)
    assert (counts.new, counts.changed, counts.kept) == (0, 2, 1)
    with open_index(path) as index:
        found = {one["id"]: one for one in index.items()}
        assert sum(segment.rows for segment in index.segments()) in (9, 10)
    expected = {one["id"]: one for one in [*items, *other]}
    for name, one in expected.items():
        assert found[name][field] == ({t: float(np.float32(w)) for t, w in one[field].items()}
                                      if field == "sparse" else one[field])  # fmt: skip
        assert found[name]["colour"] == one["colour"]
    copied = tmp_path / "y.mmr"
    upsert(copied, found.values(), reject=fail, kind=kind)
    query = Record({"id": "q", "text": "a b c", "sparse": {"a": 1, "b": 2, "猫": 1}})
    with open_index(path) as one, open_index(copied) as two:
        assert search(one, [query], Wanted()) == search(two, [query], Wanted())


def test_words_in_another_order_are_the_same_bag_and_a_new_text(tmp_path):
    path = tmp_path / "x.mmr"
    upsert(path, [Record({"id": "a", "text": "red car"})], reject=fail, kind="sparse:bm25")
    counts = upsert(path, [Record({"id": "a", "text": "car, red"})], reject=fail)
    assert counts.changed == 1
    with open_index(path) as index:
        assert index.get("a")["text"] == "car, red" and len(index.segments()) == 1


@pytest.mark.parametrize(
    ("weights", "what"),
    [({"a": -1}, "the weight of 'a'"), ({"a": "1"}, "no number"), ({"a": float("nan")}, "no number"),
     ({"a": 1e30}, "1e15"), ({"\ud800": 1}, "no text"), ([1], "cannot be stored"), ("a", "cannot be stored")],
)  # fmt: skip
def test_bad_weights_are_reported_and_the_rest_comes_through(tmp_path, weights, what):
    path, bad = tmp_path / "x.mmr", []
    stream = [
        Record({"id": "x", "sparse": weights}),
        Record({"id": "y", "sparse": {"a": 2}}),
        Record({"id": "z"}),
    ]
    counts = upsert(path, stream, reject=bad.append, kind="sparse")
    assert counts.new == 1 and what in bad[-1].what and "no weighted terms" in bad[0].what
    bad.clear()
    with open_index(path) as index:
        asked = [Record({"id": "p", "sparse": weights}), Record({"id": "q", "sparse": {"a": 1}}),
                 Record({"id": "r", "text": "a"})]  # fmt: skip
        found = [one["id"] for one in answer(index, asked, list, Wanted(), reject=bad.append)]
    assert found == (["p", "q"] if weights == {"a": -1} else ["q"]) and len(bad) == 3 - len(found)
    assert "has no weighted terms" in bad[-1].what
    assert check(path) == []


def test_empty_bags_are_stored_and_never_found(tmp_path):
    for kind, field, empty in (("sparse", "sparse", {}), ("sparse:bm25", "text", " ... ")):
        path = tmp_path / f"{field}.mmr"
        full = {"a": 1} if field == "sparse" else "a"
        upsert(
            path,
            [Record({"id": "x", field: full}), Record({"id": "y", field: empty})],
            reject=fail,
            kind=kind,
        )
        assert upsert(path, [Record({"id": "x", field: empty})], reject=fail).changed == 1
        with open_index(path) as index:
            asked = [Record({"id": "q", field: full}), Record({"id": "r", field: empty})]
            assert search(index, asked, Wanted()) == [[], []] and index.meta.count == 2
        assert check(path) == []


def test_models_never_meet(tmp_path):
    path = tmp_path / "x.mmr"
    upsert(path, [Record({"id": "a", "sparse": {"a": 1}, "model": "lex#1"})], reject=fail, kind="sparse")
    with pytest.raises(BadDataError, match="lex#2"):
        upsert(path, [Record({"id": "b", "sparse": {"a": 1}, "model": "lex#2"})], reject=fail)
    with open_index(path) as index, pytest.raises(BadDataError, match="lex#2"):
        list(
            answer(
                index,
                [Record({"id": "q", "sparse": {"a": 1}, "model": "lex#2"})],
                list,
                Wanted(),
                reject=fail,
            )
        )
    path = tmp_path / "y.mmr"
    upsert(path, [Record({"id": "a", "text": "red", "model": "clip#1"})], reject=fail, kind="sparse:bm25")
    upsert(path, [Record({"id": "b", "text": "red", "model": "clip#2"})], reject=fail)
    with open_index(path) as index:
        asked = [Record({"id": "q", "text": "red", "model": "clip#3"}), Record({"id": "r", "text": "red"})]
        assert [len(one["hits"]) for one in answer(index, asked, list, Wanted(), reject=fail)] == [2, 2]


def test_words_of_another_rule_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "x.mmr"
    upsert(path, [Record({"id": "a", "text": "red"})], reject=fail, kind="sparse:bm25")
    monkeypatch.setattr("mmr.index.sparse.WORDS", "bm25:words#0")
    with pytest.raises(BadDataError, match="bm25:words#0"):
        upsert(path, [Record({"id": "b", "text": "red"})], reject=fail)
    with open_index(path) as index, pytest.raises(BadDataError, match="bm25:words#0"):
        list(answer(index, [Record({"id": "q", "text": "red"})], list, Wanted(), reject=fail))


def test_kinds_of_another_content_are_refused(tmp_path):
    path = tmp_path / "x.mmr"
    upsert(path, [Record({"id": "a", "text": "red", "sparse": {"a": 1}})], reject=fail, kind="sparse:bm25")
    for kind in ("flat", "sparse", "maxsim"):
        with pytest.raises(UsageError, match="takes items with"):
            rebuild(path, kind=kind)
    wrong = {"sparse:k1=1": "has: none", "sparse:bm25:k1=x": "a number from 0 to 100",
             "sparse:bm25:b=2": "a number from 0 to 1", "sparse:bm26": "no parameter"}  # fmt: skip
    for spec, what in wrong.items():
        with pytest.raises(UsageError) as error:
            rebuild(path, kind=spec)
        assert what in str(error.value)
    with open_index(path) as index:
        assert describe(index)["kind"] == "sparse:bm25"


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_lists_that_a_merge_took_away_are_done_without(tmp_path, kind):
    path, rng = tmp_path / "x.mmr", np.random.default_rng(5)
    upsert(path, [item(rng, number) for number in range(30)], reject=fail, kind=kind)
    queries = [item(rng, number) for number in range(5)]
    with open_index(path) as index:
        before = search(index, queries, Wanted())
        (lists,) = path.glob("*.lists")
        lists.unlink()
        assert search(index, queries, Wanted()) == before
    assert len(check(path)) == 1
    rebuild(path)
    assert check(path) == []
    with open_index(path) as index:
        assert search(index, queries, Wanted()) == before


def forgeries(data):
    """Versions of a file that have its length: emptied, turned around, numbers changed here and there."""
    rng = np.random.default_rng(len(data))
    yield data[:8] + bytes(len(data) - 8)
    yield bytes(len(data))
    yield data[::-1]
    for _ in range(80):
        changed = bytearray(data)
        for _ in range(int(rng.integers(1, 4))):
            at = int(rng.integers(0, (len(data) - 8) // 4)) * 4
            value = VALUES[int(rng.integers(0, len(VALUES)))]
            changed[at : at + 8] = struct.pack("<Q", value)
        yield bytes(changed[: len(data)])


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("suffix", ["bags", "lists"])
def test_hostile_files_are_said_and_never_crash(tmp_path, kind, suffix):
    path, rng = tmp_path / "x.mmr", np.random.default_rng(6)
    upsert(path, [item(rng, number) for number in range(12)], reject=fail, kind=kind)
    queries = [item(rng, 50), Record({"id": "q", "sparse": {"a": -1, "b": 2}, "text": "a b c d e f"})]
    (file,) = path.glob(f"*.{suffix}")
    whole, answers, said = file.read_bytes(), 0, 0
    for forged in forgeries(whole):
        file.write_bytes(forged)
        for wanted in (Wanted(3), Wanted(3, exact=True, where=(("colour", "blue"),))):
            try:
                with open_index(path) as index:
                    search(index, queries, wanted)
                    list(index.items())
                answers += 1
            except BadDataError as error:
                said += 1
                assert file.name.partition(".")[0] in str(error)
        assert forged == whole or check(path)
    assert answers and said
    file.write_bytes(whole)
    assert check(path) == []
    for size in (0, 63, len(whole) - 1):
        file.write_bytes(whole[:size])
        with pytest.raises(BadDataError, match="were written"):
            open_index(path)


def test_a_hostile_segment_is_not_merged(tmp_path):
    path, rng = tmp_path / "x.mmr", np.random.default_rng(7)
    upsert(path, [item(rng, number) for number in range(12)], reject=fail, kind="sparse")
    (file,) = path.glob("*.bags")
    data = bytearray(file.read_bytes())
    data[64:72] = struct.pack("<q", 99)
    file.write_bytes(data)
    copy = tmp_path / "copy.mmr"
    shutil.copytree(path, copy)
    with pytest.raises(BadDataError, match=r"seg-1\.bags"):
        rebuild(path)
    delete(copy, ["i3"])
    with pytest.raises(BadDataError, match=r"seg-1\.bags"):
        compact(copy)


def test_info_sizes_and_vectors_of_hits(tmp_path):
    path = tmp_path / "x.mmr"
    upsert(path, [Record({"id": "a", "sparse": {"b": 1, "a": 2}}), Record({"id": "b", "sparse": {"c": 1}})],
           reject=fail, kind="sparse")  # fmt: skip
    with open_index(path) as index:
        facts = describe(index)
        assert (facts["dim"], facts["terms"], facts["terms_an_item"]) == (0, 3, 1.5)
        assert facts["structures"] == 1 and "recall" not in facts
        (hits,) = search(index, [Record({"id": "q", "sparse": {"a": 1}})], Wanted(with_vectors=True))
        assert hits == [{"id": "a", "score": 2.0, "sparse": {"a": 2.0, "b": 1.0}}]
    assert sorted(file.name for file in path.iterdir() if catalogue.is_data(file.name)) == [
        "seg-1.bags", "seg-1.npy"
    ]  # fmt: skip


def test_a_bad_record_does_not_take_a_good_one_of_its_id_with_it(tmp_path):
    bad: list[BadItem] = []
    stream = [Record({"id": "x", "sparse": {"a": 1}}), Record({"id": "x", "sparse": {"a": -1}})]
    counts = upsert(tmp_path / "x.mmr", stream, reject=bad.append, kind="sparse")
    assert counts.new == 1 and len(bad) == 1


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_explained_terms_add_up_to_the_score(tmp_path, kind):
    path, rng = tmp_path / "x.mmr", np.random.default_rng(8)
    for start in (0, 20):
        upsert(path, [item(rng, number) for number in range(start, start + 20)], reject=fail, kind=kind)
    delete(path, ["i3", "i30"])
    queries = [item(rng, number) for number in range(90, 95)]
    with open_index(path) as index:
        found = search(index, queries, Wanted(30, explain=True))
        for query, hits, plainly in zip(queries, found, search(index, queries, Wanted(30)), strict=True):
            assert [(hit["id"], hit["score"]) for hit in hits] == [
                (hit["id"], hit["score"]) for hit in plainly
            ]
            asked = set(query["sparse"]) if kind == "sparse" else set(words(query["text"]))
            for hit in hits:
                shares = list(hit["terms"].values())
                assert sum(shares) == pytest.approx(float(hit["score"]), rel=1e-6)
                assert shares == sorted(shares, reverse=True) and set(hit["terms"]) <= asked
                assert hit["why"].startswith(f"{next(iter(hit['terms']))} {shares[0]:.4f}")
    upsert(tmp_path / "y.mmr", [Record({"id": "a", "vector": np.ones(2, np.float32)})], reject=fail)
    with open_index(tmp_path / "y.mmr") as index, pytest.raises(UsageError, match="compares vectors"):
        search(index, [Record({"id": "q", "vector": np.ones(2, np.float32)})], Wanted(explain=True))


def test_what_a_search_is_told(tmp_path):
    path, query = tmp_path / "x.mmr", Record({"id": "q", "text": "red"})
    upsert(path, [Record({"id": str(i), "text": text}) for i, text in enumerate(TEXTS)], reject=fail,
           kind="sparse:bm25:k1=0.5")  # fmt: skip
    with open_index(path) as index:
        ((first, *_),) = search(index, [query], Wanted(knobs={"k1": 0.0}))
        assert first["score"] == pytest.approx(math.log(1.6))


def test_what_needs_vectors_is_refused(tmp_path):
    path = tmp_path / "x.mmr"
    upsert(
        path, [Record({"id": str(i), "text": "red car"}) for i in range(30)], reject=fail, kind="sparse:bm25"
    )
    with open_index(path) as index:
        with pytest.raises(UsageError, match="--index needs vectors"):
            refuse_without_vectors(index, "--index")
        assert chosen_for(index, 0.99) is None
    with pytest.raises(UsageError, match="nothing to tune: sparse:bm25 is exact"):
        tune(path, 0.9)
