"""Kind tokens: vectors that are near the query's propose items, which are compared by all of theirs."""

from __future__ import annotations

import pytest

from mmr.errors import BadDataError, UsageError
from mmr.index import delete, open_index, upsert
from mmr.index.check import check, describe, rebuild
from mmr.index.search import Wanted, search
from mmr.index.table import parse
from tests.index.made import fail
from tests.index.test_bags import item, pairs, query, stored, xtr_naive

ITEMS = 700
KINDS = {"tokens:least=10,under=sq8,near=20": 0.8, "tokens:least=10,near=40": 0.8,
         "tokens:least=10,under=ivfpq,near=40,dtype=int8": 0.6}  # fmt: skip
ASKED = [query(i, 1 + i % 4) for i in range(12)]


@pytest.fixture(scope="module", params=KINDS)
def made(request, tmp_path_factory):
    """An index of each structure, and the recall that it must reach."""
    path = tmp_path_factory.mktemp("tokens") / "pages.mmr"
    upsert(path, (item(i) for i in range(ITEMS)), reject=fail, kind=request.param)
    return path, KINDS[request.param]


def shared(some, every):
    found = [len({h["id"] for h in a} & {h["id"] for h in b}) for a, b in zip(some, every, strict=True)]
    return sum(found) / sum(len(hits) for hits in every)


def test_what_is_proposed_is_compared_exactly(made):
    path, least = made
    assert check(path) == [] and len(list(path.glob("seg-*.tok"))) == 1
    with open_index(path) as index:
        some, every = search(index, ASKED, Wanted(10)), search(index, ASKED, Wanted(10, exact=True))
        assert shared(some, every) >= least
        whole = {hit["id"]: hit["score"] for hit in search(index, ASKED[:1], Wanted(ITEMS, exact=True))[0]}
        assert all(whole[hit["id"]] == hit["score"] for hit in some[0])
        more = search(index, ASKED, Wanted(10, knobs={"near": 100_000}))
        assert shared(more, every) >= shared(some, every)
        assert [search(index, [one], Wanted(10))[0] for one in ASKED] == some
        assert index.recall()["of_rows"] > 0.5 and describe(index)["structures"] == 1


def test_what_is_left_out_costs_no_hit(made):
    path, _ = made
    among = [f"i{i}" for i in range(0, ITEMS, 2)]
    asked = [query(1, exclude=among), query(2, among=among), query(3, among=among[:9])]
    with open_index(path) as index:
        for wanted in (Wanted(5), Wanted(5, where=(("colour", "blue"),)), Wanted(ITEMS)):
            found, every = search(index, asked, wanted), search(index, asked, wanted._replace(exact=True))
            assert [len(hits) for hits in found] == [len(hits) for hits in every]
        assert search(index, asked, Wanted(ITEMS)) == search(index, asked, Wanted(ITEMS, exact=True))


def test_xtr_of_all_vectors_is_that_of_loops(tmp_path):
    path = tmp_path / "x.mmr"
    upsert(path, [item(i) for i in range(300)], reject=fail, kind="tokens:least=2,under=sq8")
    delete(path, ["i3", "i4"])
    with open_index(path) as index:
        assert index.segments()[0].structure is not None
        for near in (7, 100_000):
            (hits,) = search(index, [query(1)], Wanted(400, knobs={"score": "xtr", "near": near}))
            expected = xtr_naive(stored(path), query(1), near)
            assert len(hits) == len(expected)
            if near == 100_000:
                assert [name for _, name in pairs(hits)] == [name for _, name in expected]
            assert [s for s, _ in pairs(hits)][:3] == pytest.approx([s for s, _ in expected][:3], abs=0.02)


def test_structures_are_made_again(tmp_path):
    path = tmp_path / "x.mmr"
    upsert(path, (item(i) for i in range(ITEMS)), reject=fail, kind="tokens:least=10,under=sq8,near=20")
    with open_index(path) as index:
        before = search(index, ASKED, Wanted(10))
    (structure,) = path.glob("seg-*.tok")
    whole = structure.read_bytes()
    structure.write_bytes(b"\xff" * 40 + whole[40:])
    assert any("another SHA-256" in one and "--rebuild" in one for one in check(path))
    with open_index(path) as index, pytest.raises(BadDataError, match="is damaged"):
        search(index, ASKED[:1], Wanted(10))
    rebuild(path)
    assert check(path) == []
    with open_index(path) as index:
        assert shared(search(index, ASKED, Wanted(10)), before) > 0.8
    rebuild(path, kind="maxsim")
    assert check(path) == [] and not list(path.glob("*.tok"))


def test_too_few_to_train_say_so(tmp_path):
    path = tmp_path / "x.mmr"
    upsert(path, [item(i) for i in range(60)], reject=fail, kind="tokens")
    with pytest.raises(BadDataError, match=r"tokens needs 624 vectors to train, and .* has 60"):
        rebuild(path, kind="tokens:least=2")
    with open_index(path) as index:
        assert index.meta.count == 60 and len(search(index, ASKED[:1], Wanted(3))[0]) == 3


def test_parameters_have_ranges():
    for spec in ("tokens:under=flat", "tokens:near=0", "tokens:score=sum"):
        with pytest.raises(UsageError):
            parse(spec)
