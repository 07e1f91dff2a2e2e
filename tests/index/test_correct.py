"""A corrected index: the three forms of a correction, random histories of changes, and what is refused."""

from __future__ import annotations

import json
import shutil
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmr.arrays.affine import asked, folded, lift
from mmr.errors import BadDataError, BusyError, UsageError
from mmr.index import corrected as held
from mmr.index import delete, open_index, upsert
from mmr.index.answer import answer
from mmr.index.check import check, compact, describe, rebuild
from mmr.index.corrected import Correction, correct, uncorrect
from mmr.index.lock import Lock
from mmr.index.search import Wanted, search
from mmr.normalize.apply import Correction as OnHits
from mmr.normalize.bank import Bank, digest
from mmr.normalize.fit import Gallery, fit
from mmr.normalize.held import corrector, kept, numbers_of
from mmr.normalize.state import write_state
from mmr.normalize.table import METHODS
from mmr.stream.records import Record
from tests.index.made import fail
from tests.normalize.made import blocks_of, unit

DIM, ITEMS, QUERIES = 12, 200, 60
AFFINE = [row.name for row in METHODS if row.affine]
EVERY = Wanted(10**6, fields=())


def bank_of(seed: int, rows: int, kind: str) -> Bank:
    vectors = unit(seed, rows, DIM, dtype=np.float32)
    return Bank(vectors, np.zeros(rows, np.uint64), "toy#1", kind, f"{kind}.npy", digest(vectors))


@cache
def state(name: str = "nnn", seed: int = 4):
    """A method fitted to other items than those of the tests, so that theirs come from the bank."""
    row = next(row for row in METHODS if row.name == name)
    gallery = Gallery([f"other{i}" for i in range(30)], blocks_of(unit(seed, 30, DIM, dtype=np.float32), 7),
                      DIM, "toy#1", "other.mmr")  # fmt: skip
    items = bank_of(seed + 2, 40, "image") if row.banks == 2 else None
    return fit(name, {}, gallery, bank_of(seed + 1, 90, "text"), items)


def put(path, fitted):
    about = Correction(
        fitted.step, fitted.bank.modality, fitted.model, fitted.dim, {"method": fitted.row.name}
    )
    return correct(path, about, lambda file: write_state(str(file), kept(fitted)), corrector)


def records(vectors, prefix="g", **more):
    return [
        Record({"id": f"{prefix}{i}", "vector": v, "model": "toy#1", **more}) for i, v in enumerate(vectors)
    ]


def hits(path, queries, wanted=EVERY):
    with open_index(path) as index:
        found = search(index, records(queries, "q"), wanted)
    return [[(hit["id"], float(hit["score"])) for hit in one] for one in found]


@pytest.mark.parametrize("name", AFFINE)
def test_the_three_forms_give_one_ranking(name, tmp_path):
    gallery, queries = (unit(seed, n, DIM, dtype=np.float32) for seed, n in ((1, ITEMS), (3, QUERIES)))
    gallery[7] = gallery[8]
    fitted = state(name)
    path = tmp_path / "x.mmr"
    upsert(path, records(gallery), reject=fail)
    with open_index(path) as index:
        raw = list(answer(index, records(queries, "q", text="asked"), None, EVERY, reject=fail))
    whole = Gallery([f"g{i}" for i in range(ITEMS)], blocks_of(gallery, 33), DIM, "toy#1", "x.mmr")
    of_all = fit(name, dict(fitted.params), whole, fitted.bank, fitted.items)
    if name in ("sinkhorn", "dbsn"):  # what it learned of all items is of those that it was fitted to
        fitted = of_all
    assert put(path, fitted) == ITEMS
    inside = hits(path, queries)
    on_hits = [[(hit["id"], float(hit["score"])) for hit in record["hits"]]
               for record in OnHits(of_all).of(raw, fail)]  # fmt: skip
    if name == "csls":  # on hits it also takes off the query's own neighbourhood, which moves all alike
        assert [[hit for hit, _ in one] for one in inside] == [[hit for hit, _ in one] for one in on_hits]
    else:
        assert inside == on_hits

    affine = numbers_of(fitted, gallery)
    wide = folded(gallery.astype(np.float64), affine)
    asking = asked(queries.astype(np.float64))
    scores = asking @ wide.T
    bound = lift(wide)
    apart = np.square(bound.lifted(wide)[None] - bound.asked(asking)[:, None]).sum(axis=2)
    close = 1e-6 * max(1.0, affine.scale.max())
    for number, one in enumerate(inside):
        order = [int(hit[1:]) for hit, _ in one]
        assert (np.diff(scores[number][order]) <= close).all()
        assert (np.diff(-apart[number][order]) <= 2 * close).all()
        assert scores[number][order] == pytest.approx([score for _, score in one], abs=close)


def test_exported_vectors_one_dimension_longer_rank_alike_in_a_plain_index(tmp_path):
    gallery, queries = unit(1, ITEMS, DIM, dtype=np.float32), unit(3, QUERIES, DIM, dtype=np.float32)
    for name in AFFINE:
        path, plain = tmp_path / f"{name}.mmr", tmp_path / f"{name}-plain.mmr"
        upsert(path, records(gallery), reject=fail)
        put(path, state(name))
        affine = numbers_of(state(name), gallery)
        upsert(
            plain, [Record({**one, "unit": False}) for one in records(folded(gallery, affine))], reject=fail
        )
        for mine, wide in zip(
            hits(path, queries, Wanted(10)), hits(plain, asked(queries), Wanted(10)), strict=True
        ):
            assert [score for _, score in mine] == pytest.approx(
                [score for _, score in wide], rel=1e-5, abs=1e-5
            )
            near = dict(wide)
            assert all(hit in near for hit, score in mine if score > mine[-1][1] + 1e-4)


OTHERS = ["flat", "flat:dtype=float16", "flat:dtype=int8", "hnsw:least=4", "rebuild"]
ITEM = st.tuples(st.integers(0, 30), st.integers(0, 40))
STEP = st.one_of(
    st.tuples(st.just("upsert"), st.lists(ITEM, min_size=1, max_size=12)),
    st.tuples(st.just("delete"), st.lists(st.integers(0, 30), max_size=15)),
    st.tuples(st.just("compact"), st.none()),
    st.tuples(st.just("kind"), st.sampled_from(OTHERS)),
    st.tuples(st.just("correct"), st.sampled_from(["nnn", "zscore", "dualis", "is", "gc", "nicdm", None])),
)  # fmt: skip
POOL = unit(11, 41, DIM, dtype=np.float32)
POOL[3] = POOL[4] = POOL[5]


def played(path, step, value):
    """Do one change to an index; returns the name of the correction that it holds after it, or "same"."""
    if step == "upsert":
        upsert(path, [Record({"id": f"g{i}", "vector": POOL[v], "model": "toy#1"}) for i, v in value],
               reject=fail, corrector=corrector)  # fmt: skip
    elif step == "delete":
        delete(path, [f"g{i}" for i in value])
    elif step == "compact":
        compact(path)
    elif step == "kind":
        rebuild(path, kind=None if value == "rebuild" else value, corrector=corrector)
    elif value is None:
        uncorrect(path)
        return None
    else:
        put(path, state(value))
        return value
    return "same"


@settings(max_examples=40, deadline=None)
@given(history=st.lists(STEP, min_size=1, max_size=9))
def test_any_history_ranks_as_if_corrected_from_scratch(history, tmp_path_factory):
    ranks_as_if_from_scratch(history, tmp_path_factory)


@pytest.mark.soak
@settings(max_examples=500, deadline=None)
@given(history=st.lists(STEP, min_size=1, max_size=20))
def test_many_histories(history, tmp_path_factory):
    ranks_as_if_from_scratch(history, tmp_path_factory)


def ranks_as_if_from_scratch(history, tmp_path_factory):
    """Play a history, and correct an index of what is left of it anew."""
    folder = tmp_path_factory.mktemp("history")
    path, fresh, now = folder / "x.mmr", folder / "fresh.mmr", "nnn"
    upsert(path, records(POOL[:20]), reject=fail)
    put(path, state(now))
    for step, value in history:
        found = played(path, step, value)
        now = now if found == "same" else found
    assert check(path) == []
    with open_index(path) as index:
        meta, items = index.meta, list(index.items())
    params = ",".join(f"{name}={value}" for name, value in meta.params.items())
    if items:
        upsert(fresh, items, reject=fail, kind=f"{meta.kind}:{params}")
        if now is not None:
            put(fresh, state(now))
        for exact in (True, meta.kind == "flat"):
            wanted = Wanted(10**6, fields=(), exact=exact)
            assert hits(path, POOL[25:], wanted) == hits(fresh, POOL[25:], wanted)
    shutil.rmtree(folder)


KINDS = [
    "hnsw:least=100",
    "ivfpq:least=100,lists=16,probe=8",
    "binary:least=100,bits=64,code=planes",
    "sq8:least=100",
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("name", "less"), [("nnn", 0.3), ("zscore", 1.0)])
def test_kinds_find_what_comes_up(kind, name, less, tmp_path):
    gallery, queries = unit(21, 3000, DIM, dtype=np.float32), unit(22, QUERIES, DIM, dtype=np.float32)
    path = tmp_path / "x.mmr"
    upsert(path, records(gallery), reject=fail, kind=kind)

    def shared():
        found, truth = hits(path, queries, Wanted(10)), hits(path, queries, Wanted(10, exact=True))
        return np.mean([len(dict(a).keys() & dict(b).keys()) for a, b in zip(found, truth, strict=True)])

    before = shared()
    put(path, state(name))
    assert shared() >= before - less
    scores = dict(hits(path, queries[:1])[0])
    assert all(scores[hit] == score for hit, score in hits(path, queries[:1], Wanted(10))[0])
    with open_index(path) as index:
        assert describe(index)["recall"]["of_rows"] > 0.9


def test_queries_of_another_modality_keep_their_cosines(tmp_path):
    gallery, queries = unit(1, 50, DIM, dtype=np.float32), unit(3, 3, DIM, dtype=np.float32)
    path = tmp_path / "x.mmr"
    upsert(path, records(gallery), reject=fail)
    plain = hits(path, queries, Wanted(10))
    put(path, state())
    kinds = [{"text": "a dog"}, {"image": "dog.png"}, {}]
    asking = [Record({"id": f"q{i}", "vector": q, "model": "toy#1", **more})
              for i, (q, more) in enumerate(zip(queries, kinds, strict=True))]  # fmt: skip
    with open_index(path) as index:
        words, picture, bare = answer(index, asking, None, Wanted(10), reject=fail)
    assert [(hit["id"], hit["score"]) for hit in picture["hits"]] == plain[1]
    assert (
        [(hit["id"], hit["score"]) for hit in words["hits"]] == hits(path, queries, Wanted(10))[0] != plain[0]
    )
    assert not Correction("", "", None, DIM, {}).is_for(Record({"id": "q", "recipe": {"score": "v"}}))
    assert words["via"][1] == bare["via"][1] == state().step and len(picture["via"]) == 1


def test_filters_cut_and_exclusions_cost_no_hit(tmp_path):
    gallery, queries = unit(1, 300, DIM, dtype=np.float32), unit(3, 5, DIM, dtype=np.float32)
    path = tmp_path / "x.mmr"
    upsert(path, [Record({**one, "half": i % 2}) for i, one in enumerate(records(gallery))], reject=fail)
    put(path, state("zscore"))
    whole = hits(path, queries)
    for mine, every in zip(hits(path, queries, Wanted(7, where=(("half", "1"),))), whole, strict=True):
        assert mine == [one for one in every if int(one[0][1:]) % 2][:7]
    least = whole[0][4][1]
    assert hits(path, queries[:1], Wanted(9, min_score=least))[0] == whole[0][:5]
    with open_index(path) as index:
        for more in ({"exclude": [hit for hit, _ in whole[0][:3]]}, {"among": ["g5", "g9", "g77"]}):
            found = search(index, [Record({"id": "q", "vector": queries[0], **more})], Wanted(4, fields=()))[
                0
            ]
            left = [hit for hit, _ in whole[0] if hit not in more.get("exclude", ())]
            assert [hit["id"] for hit in found] == [h for h in left if h in more.get("among", left)][:4]


def test_new_rows_need_what_computes_their_numbers(tmp_path):
    path = tmp_path / "x.mmr"
    upsert(path, records(POOL[:9]), reject=fail)
    put(path, state())
    before = hits(path, POOL[20:])
    with pytest.raises(UsageError, match="corrector"):
        upsert(path, records(POOL[9:12], "new"), reject=fail)
    assert hits(path, POOL[20:]) == before and check(path) == []
    upsert(path, records(POOL[9:12], "new"), reject=fail, dry_run=True)


def test_taking_it_out_gives_back_what_there_was(tmp_path):
    path = tmp_path / "x.mmr"
    upsert(path, records(POOL[:30]), reject=fail)
    before, files = hits(path, POOL[30:]), {file.name for file in path.iterdir()}
    put(path, state())
    put(path, state("is"))
    assert hits(path, POOL[30:]) != before
    assert uncorrect(path) and not uncorrect(path)
    assert hits(path, POOL[30:]) == before
    assert {file.name for file in path.iterdir()} == files


def test_readers_keep_the_state_that_they_opened(tmp_path):
    path = tmp_path / "x.mmr"
    upsert(path, records(POOL[:30]), reject=fail)
    put(path, state())
    with open_index(path) as index:
        index.segments()
        before = search(index, records(POOL[30:], "q"), EVERY)
        put(path, state("is"))
        assert search(index, records(POOL[30:], "q"), EVERY) == before
        assert index.refresh()
        assert search(index, records(POOL[30:], "q"), EVERY) != before


def test_a_run_that_dies_before_its_commit_changes_nothing(tmp_path, monkeypatch):
    path = tmp_path / "x.mmr"
    upsert(path, records(POOL[:30]), reject=fail)
    before = hits(path, POOL[30:])

    def dies(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(held, "_commit", dies)
        with pytest.raises(KeyboardInterrupt):
            put(path, state())
    assert hits(path, POOL[30:]) == before and check(path) == []
    put(path, state())
    assert {file.name for file in path.iterdir() if "correct" in file.name} == {
        "correction.npz",
        "seg-1-corrected.npy",
    }


def test_a_run_that_dies_after_its_commit_has_changed_it_all(tmp_path, monkeypatch):
    path = tmp_path / "x.mmr"
    upsert(path, records(POOL[:30]), reject=fail)
    put(path, state("is"))

    def dies(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("mmr.index.structures.remove", dies)
        with pytest.raises(KeyboardInterrupt):
            put(path, state())
    assert check(path) == []
    with open_index(path) as index:
        assert index.correction().facts == {"method": "nnn"}
    upsert(path, records(POOL[30:], "more"), reject=fail, corrector=corrector)
    assert check(path) == [] and len([f for f in path.iterdir() if f.suffix == ".npz"]) == 1


def test_damage_is_found(tmp_path):
    path = tmp_path / "x.mmr"
    upsert(path, records(POOL[:30]), reject=fail)
    put(path, state())
    numbers = path / "seg-1-corrected.npy"
    sound = numbers.read_bytes()
    numbers.write_bytes(sound[:-8] + np.float64(np.nan).tobytes())
    assert len(check(path)) == 2 and all("correct" in line for line in check(path))
    numbers.write_bytes(sound[:-8])
    with pytest.raises(BadDataError, match="bytes"), open_index(path):
        pass
    put(path, state())
    assert check(path) == []


def test_what_does_not_fit_is_refused_and_nothing_is_written(tmp_path):
    path = tmp_path / "x.mmr"
    upsert(path, records(POOL[:30]), reject=fail)
    files = {file.name for file in path.iterdir()}
    fitted = state()
    about = Correction(fitted.step, "text", "toy#2", DIM, {})

    def write(file):
        write_state(str(file), kept(fitted))

    with pytest.raises(BadDataError, match="toy#2"):
        correct(path, about, write, corrector)
    with pytest.raises(BadDataError, match="13 dimensions"):
        correct(path, about._replace(model="toy#1", dim=13), write, corrector)
    with pytest.raises(BadDataError, match="no file"):
        correct(path, about._replace(model=None), lambda file: file.write_bytes(b"junk"), corrector)
    for row in METHODS:
        if not row.affine:
            with pytest.raises(UsageError, match="no index can hold it"):
                kept(state(row.name))
    lock = Lock(path, 0)
    with pytest.raises(BusyError):
        put(path, fitted)
    lock.release()
    assert {file.name for file in path.iterdir()} == files
    with open_index(path) as index:
        assert index.correction() is None


def test_facts_are_shown(tmp_path):
    path = tmp_path / "x.mmr"
    upsert(path, records(POOL[:30]), reject=fail)
    put(path, state())
    with open_index(path) as index:
        assert describe(index)["correction"] == {"method": "nnn"}
        assert json.loads(json.dumps(describe(index)))
        assert all("score" not in item and len(item["vector"]) == DIM for item in index.items())
