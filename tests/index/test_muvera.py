"""Kind muvera: encodings as in the reference, any kind underneath, and the laws of the other kinds."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import numpy as np
import pytest

from mmr.arrays.muvera import Muvera
from mmr.arrays.ragged import stacked
from mmr.errors import BadDataError, OutputError, UsageError
from mmr.index import delete, open_index, structures, upsert
from mmr.index import settings as recall_settings
from mmr.index.check import check, compact, describe, rebuild
from mmr.index.muvera import Encodings, how
from mmr.index.plan import Asked
from mmr.index.search import Wanted, search
from mmr.index.segments import map_vectors
from mmr.index.table import UNDER, parse
from mmr.index.tune import tune
from mmr.stream.records import Record
from tests.arrays.test_muvera import naive
from tests.index.made import fail

DIM, ITEMS = 16, 640
BASE = "muvera:least=50,reps=4,ksim=2,dproj=8,refine=6"
SMALL = f"{BASE},under=flat"
CENTRES = np.random.default_rng(5).standard_normal((ITEMS, DIM)) * 0.8


def bag(number, version, count):
    """Vectors about what item `number` is of."""
    rng = np.random.default_rng([number, version])
    rows = CENTRES[number % ITEMS] + rng.standard_normal((count, DIM))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def item(number, version=0):
    return Record({"id": f"i{number}", "vectors": bag(number, version, 1 + number % 7), "model": "m#1",
                   "colour": "red" if number % 3 else "blue"})  # fmt: skip


def query(number, **more):
    return Record({"id": f"q{number}", "vectors": bag(number, 99, 4), "model": "m#1", **more})


def made(path, kind=SMALL, items=ITEMS):
    upsert(path, [item(i) for i in range(items)], reject=fail, kind=kind)
    return path


@pytest.fixture(scope="module", autouse=True)
def _few_rows_for_recall():
    """Recall is stated of 20 rows, so that building takes little."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(structures, "HELD", 20)
        yield


@pytest.fixture(scope="module", params=UNDER)
def kept(request, tmp_path_factory):
    """An index over each kind underneath, with dead rows and a second, small segment."""
    path = made(tmp_path_factory.mktemp("muvera") / "x.mmr", f"{BASE},under={request.param}")
    delete(path, [f"i{i}" for i in range(0, 60, 2)])
    return path


def found(path, asked, **wanted):
    with open_index(path) as index:
        return search(index, asked, Wanted(**wanted))


def shares(one, other):
    pairs = zip(one, other, strict=True)
    return np.mean([len({h["id"] for h in a} & {h["id"] for h in b}) / len(b) for a, b in pairs])


def test_hits_are_items_that_live_with_their_exact_scores(kept):
    asked = [query(i) for i in range(12)]
    some, every = found(kept, asked, k=10), found(kept, asked, k=10, exact=True)
    scores = [{h["id"]: h["score"] for h in hits} for hits in found(kept, asked, k=ITEMS, exact=True)]
    for hits, own in zip(some, scores, strict=True):
        assert len(hits) == 10 and all(own[hit["id"]] == hit["score"] for hit in hits)
        assert [h["score"] for h in hits] == sorted((h["score"] for h in hits), reverse=True)
    assert shares(some, every) > 0.5
    assert found(kept, asked, k=10, refine=1000) == every
    assert check(kept) == []


def test_masks_never_cost_a_hit(kept):
    asked = [query(1), query(2, exclude=["i1", "i3", "i5"]), query(3, among=[f"i{i}" for i in range(100)]),
             query(4, among=["i1", "i2", "i3"]), query(5, exclude=[f"i{i}" for i in range(300)])]  # fmt: skip
    for where in ((), (("colour", "blue"),)):
        hits = found(kept, asked, k=12, where=where)
        every = found(kept, asked, k=ITEMS, where=where, exact=True)
        for own, whole, one in zip(hits, every, asked, strict=True):
            assert len(own) == min(12, len(whole))
            names = {hit["id"]: hit["score"] for hit in whole}
            assert all(names[hit["id"]] == hit["score"] for hit in own), one["id"]


def test_batch_mates_change_nothing(kept):
    asked = [query(i, **({"exclude": ["i1"]} if i == 2 else {})) for i in range(5)]
    together = found(kept, asked, k=7)
    assert together == [found(kept, [one], k=7)[0] for one in asked]
    assert together[::-1] == found(kept, asked[::-1], k=7)


@pytest.mark.parametrize("told", ["", ",final=30", ",dproj=4096", ",ksim=0", ",seed=9", ",reps=1"])
def test_encodings_are_those_of_the_reference(tmp_path, told):
    path = made(tmp_path / "x.mmr", f"{SMALL},dtype=float32{told}", items=60)
    with open_index(path) as index:
        meta, (segment,) = index.meta, index.segments()
        maker = how(DIM, meta.params)
        with open(segment.structure, "rb") as file:
            stored = np.asarray(map_vectors(file, 60, maker.length, "float32"))
        for row in range(60):
            expected = naive(maker, segment.beside[row], is_query=False)
            assert stored[row] * (maker.reps * maker.block) ** 0.5 == pytest.approx(expected, abs=1e-6)
        asked = query(3)["vectors"]
        expected = naive(maker, asked, is_query=True)
        assert Encodings().asked(stacked([asked]), meta.params)[0] == pytest.approx(
            expected / np.linalg.norm(expected), abs=1e-6
        )


@pytest.mark.parametrize("dtype", ["float16", "int8"])
def test_short_types_are_near(tmp_path, dtype):
    path = made(tmp_path / "x.mmr", f"{SMALL},dtype={dtype}", items=60)
    with open_index(path) as index:
        (segment,) = index.segments()
        maker = how(DIM, index.meta.params)
        with open(segment.structure, "rb") as file:
            stored = np.asarray(map_vectors(file, 60, maker.length, dtype)[:], np.float32)
        expected = np.stack([maker.document(segment.beside[row]) for row in range(60)])
        assert stored * (maker.reps * maker.block) ** 0.5 == pytest.approx(expected, abs=0.02)
    size = segment.structure.stat().st_size - 128
    assert size == Encodings().size(DIM, 60, index.meta.params)
    assert size == 60 * {"float16": 2 * maker.length, "int8": maker.length + 4}[dtype]


def test_the_seed_alone_decides(tmp_path):
    files = {}
    for name, told in (("a", ""), ("b", ""), ("c", ",seed=1")):
        path = made(tmp_path / f"{name}.mmr", SMALL + told, items=80)
        (file,) = path.glob("*.fde")
        files[name] = file.read_bytes()
    rebuild(path)
    assert [file.read_bytes() for file in path.glob("*.fde")] == [files["c"]]
    assert files["a"] == files["b"] != files["c"]


def test_recall_rises_with_repetitions(tmp_path):
    path = made(tmp_path / "x.mmr", "maxsim")
    asked = [query(i) for i in range(0, ITEMS, 16)]
    every = found(path, asked, k=10, exact=True)
    shares_ = []
    for reps in (1, 4, 16, 64):
        rebuild(path, kind=f"muvera:least=50,reps={reps},ksim=3,dproj=8,refine=2,under=flat")
        shares_.append(shares(found(path, asked, k=10), every))
    assert shares_ == sorted(shares_) and shares_[-1] > shares_[0] + 0.2


def test_it_is_kept_up_to_date(tmp_path):
    path = made(tmp_path / "x.mmr", items=200)
    counts = upsert(path, [item(i, int(i < 210)) for i in range(190, 260)], reject=fail)
    assert (counts.new, counts.changed, counts.kept) == (60, 10, 0)
    assert counts.new and check(path) == []
    delete(path, [f"i{i}" for i in range(0, 190, 2)])
    compact(path)
    assert check(path) == [] and len(list(path.glob("*.fde"))) == 1
    other = tmp_path / "other.mmr"
    with open_index(path) as index:
        held = list(index.items())
        facts = describe(index)
    assert facts["structures"] == 1 and facts["recall"]["rows"] > 0 and facts["items"] == len(held) == 165
    upsert(other, held, reject=fail, kind=SMALL)
    asked = [query(i) for i in range(6)]
    assert found(path, asked, k=9) == found(other, asked, k=9)
    assert upsert(path, held, reject=fail).kept == 165


def test_it_comes_from_maxsim_and_goes_back(tmp_path):
    path = made(tmp_path / "x.mmr", "maxsim:dtype=float32", items=120)
    before, asked = found(path, [query(1)], k=200), [query(1)]
    rebuild(path, kind=f"{SMALL},dtype=float32")
    assert found(path, asked, k=200) == before and list(path.glob("*.fde"))
    rebuild(path, kind="maxsim:dtype=float32")
    assert found(path, asked, k=200) == before and not list(path.glob("*.fde"))
    with pytest.raises(UsageError, match=r"'vector'.*'vectors'"):
        rebuild(path, kind="hnsw")


def test_it_can_be_tuned(tmp_path, monkeypatch):
    monkeypatch.setattr(recall_settings, "SLOW", np.inf)
    path = made(tmp_path / "x.mmr")
    result = tune(path, 0.99)
    chosen = result.meta.params["refine"]
    recall = {setting.knobs["refine"]: setting.recall for setting in result.settings}
    assert recall[1] < 0.9 and recall[chosen] >= 0.99 and not result.by_queries
    assert found(path, [query(1)], k=10) == found(path, [query(1)], k=10, refine=chosen)


def test_a_structure_that_was_merged_away_is_done_without(tmp_path):
    path = made(tmp_path / "x.mmr")
    every = found(path, [query(1)], k=10, exact=True)
    with open_index(path) as index:
        index.segments()[0].structure.unlink()
        assert search(index, [query(1)], Wanted(10)) == every


def test_what_does_not_fit_is_refused(tmp_path):
    for told, said in (("reps=1000,ksim=10", "above 1,048,576"), ("final=9000", "final=9000 is more than"),
                       ("under=hnsw,reps=0", "reps=0"), ("under=svd", "under=svd"), ("ksim=11", "ksim=11"),
                       ("seed=-1", "seed=-1")):  # fmt: skip
        with pytest.raises(UsageError, match=said):
            made(tmp_path / f"{told}.mmr", f"muvera:least=2,dproj=16,{told}", items=20)
    big = made(tmp_path / "big.mmr", "maxsim", items=60)
    with pytest.raises(OutputError, match="building muvera"):
        rebuild(big, kind="muvera:least=2,under=flat", asked=Asked(memory=1 << 20))
    assert check(big) == [] and len(found(big, [query(1)], k=5)[0]) == 5
    few = made(tmp_path / "few.mmr", "maxsim", items=60)
    with pytest.raises(BadDataError, match=r"muvera needs 624 vectors to train, and .* has 60"):
        rebuild(few, kind="muvera:least=2,under=pq")


def test_memory_does_not_grow_with_the_items():
    row, params = parse("muvera:under=flat")
    kind, codes = Encodings(), parse("muvera")[1]
    assert kind.holds(128, 100, params) == kind.holds(128, 10**7, params) < 200 << 20
    assert row.content.endswith(":Bags") and kind.size(128, 10, params) == 10 * 5120 * 2
    assert codes["under"] == "pq" and kind.size(128, 1000, codes) == 1000 * 1280
    assert how(128, params) == Muvera(128) and how(8, params).dproj is None


@pytest.fixture(scope="module", params=["flat", "pq"])
def sound(request, tmp_path_factory):
    return made(tmp_path_factory.mktemp("faults") / "x.mmr", f"{BASE},under={request.param}", items=700)


def files(path):
    return sorted([*path.glob("seg-*.fde"), *path.glob("trained*.fde")])


@pytest.fixture
def copy(sound, tmp_path):
    shutil.copytree(sound, tmp_path / "x.mmr")
    return tmp_path / "x.mmr"


def test_a_cut_file_is_said(copy):
    for file in files(copy):
        whole = file.read_bytes()
        for size in (0, len(whole) // 2, len(whole) - 1):
            file.write_bytes(whole[:size])
            with pytest.raises(BadDataError, match=rf"{file.name}(.|\n)*--rebuild"):
                open_index(copy)
        file.unlink()
        with pytest.raises(BadDataError, match=f"{file.name} is gone"):
            open_index(copy)
        file.write_bytes(whole)
    assert check(copy) == []


def test_garbage_and_pickles_are_damage_and_a_rebuild_mends_them(copy, tmp_path):
    class Forged:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "executed",))

    pickled = io.BytesIO()
    np.save(pickled, np.array([Forged()] * 3, dtype=object), allow_pickle=True)
    (file,) = copy.glob("seg-*.fde")
    whole = file.read_bytes()
    for start in (b"\xff" * 64, pickled.getvalue()):
        file.write_bytes((start + whole[len(start) :])[: len(whole)])
        assert any("another SHA-256" in line for line in check(copy))
        with pytest.raises(BadDataError, match=r"is damaged(.|\n)*--rebuild"):
            found(copy, [query(1)], k=10)
        assert len(found(copy, [query(1)], k=10, exact=True)[0]) == 10
    assert not (tmp_path / "executed").exists()
    rebuild(copy)
    assert check(copy) == [] and len(found(copy, [query(1)], k=10)[0]) == 10
