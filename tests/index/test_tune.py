"""Tuning: what is measured is what a search gives; the fastest that finds enough is kept and stays right."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmr.errors import BadDataError, UsageError
from mmr.index import open_index, settings, upsert
from mmr.index.check import rebuild
from mmr.index.plan import Asked
from mmr.index.search import Wanted, search
from mmr.index.settings import Setting, Truth, choose, chosen_for, front, walk
from mmr.index.table import KINDS, knobs
from mmr.index.tune import tune
from mmr.stream.records import Record
from tests.index.made import fail
from tests.index.test_kinds import clustered, queries, recall, records

settings_lists = st.lists(
    st.builds(Setting, st.just({"ef": 1}), st.integers(0, 20).map(lambda n: n / 20),
              st.integers(1, 20).map(float)),
    min_size=1,
)  # fmt: skip


@pytest.fixture(autouse=True)
def any_time(monkeypatch):
    """What takes longer than the exact search is walked too: it depends on the machine."""
    monkeypatch.setattr(settings, "SLOW", float("inf"))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    path = tmp_path_factory.mktemp("tune") / "x.mmr"
    upsert(
        path, records(clustered(2, 2000)), reject=fail, kind="ivfpq:least=100,lists=16,m=8,refine=1,probe=1"
    )
    return path


def test_every_parameter_of_a_search_is_walked_and_no_other():
    for row in KINDS:
        assert set(knobs(row.name)) == {p.name for p in row.params} & {"ef", "probe", "refine"}
        for param in row.params:
            assert list(param.walk) == sorted(set(param.walk))
            assert all(param.low <= value <= param.high for value in param.walk)


def test_a_setting_finds_in_a_search_what_was_measured(made):
    with open_index(made) as index:
        asked = queries(60)
        found, exact = walk(index, asked)
        assert len(found) > 10 and exact.hits == 600
        for one in found[::7]:
            truth = search(index, asked, Wanted(10, exact=True))
            mine = search(index, asked, Wanted(10, knobs=one.knobs))
            right = sum(len({h["id"] for h in a} & {h["id"] for h in b})
                        for a, b in zip(mine, truth, strict=True))  # fmt: skip
            assert one.recall == pytest.approx(right / 600, abs=1e-4)
        most = max(one.recall for one in found)
        assert most > 0.98 and min(one.recall for one in found) < most - 0.1


def test_queries_that_leave_themselves_out_are_measured_without_themselves(made):
    with open_index(made) as index:
        x = index.segments()[0].vectors
        asked = [query for i, query in enumerate(queries(40))]
        for i, query in enumerate(asked):
            query["vector"], query["exclude"] = x[i], [f"i{i}"]
        exact = settings.truth(index, asked)
        best = search(index, asked, Wanted(10, exact=True))
        assert [hits[-1]["score"] for hits in best] == exact.last.tolist()
        assert all(f"i{i}" not in {hit["id"] for hit in hits} for i, hits in enumerate(best))


@given(settings_lists, st.floats(0, 1))
def test_the_fastest_that_finds_enough_is_chosen_else_the_one_that_finds_most(found, wanted):
    best = choose(found, wanted)
    enough = [one.seconds for one in found if one.recall >= wanted]
    if enough:
        assert best.recall >= wanted and best.seconds == min(enough)
    else:
        assert best.recall == max(one.recall for one in found)


@given(settings_lists)
def test_the_front_holds_what_nothing_beats(found):
    best = front(found)
    for one in found:
        assert any(other.recall >= one.recall and other.seconds <= one.seconds for other in best)
    for a, b in pairwise(best):
        assert a.recall < b.recall and a.seconds < b.seconds


@given(st.floats(0.2, 1), st.floats(0.02, 2), st.floats(0.02, 2), st.sampled_from([0.8, 0.9, 0.95, 0.99]))
def test_what_is_left_out_of_the_walk_is_not_missed(ceiling, by_probe, by_refine, wanted):
    """On surfaces that rise and level off, the walk chooses what the whole grid would give."""

    def measured(_index, _queries, _exact, told):
        probe, refine = told["probe"], told["refine"]
        share = ceiling * (1 - 2.0 ** (-by_probe * probe)) * (1 - 2.0 ** (-by_refine * refine))
        return Setting(told, round(share, 4), 1e-6 * (20 + probe + refine))

    fake = SimpleNamespace(meta=SimpleNamespace(kind="ivfpq"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(settings, "recall", measured)
        patch.setattr(settings, "truth", lambda *_: Truth(None, 1, 1.0))
        found, _ = walk(fake, [])
    whole = [measured(None, None, None, told) for told in settings._rising(knobs("ivfpq"))]
    mine, best = choose(found, wanted), choose(whole, wanted)
    assert len(found) <= len(whole)
    assert mine.recall >= min(wanted, best.recall - 0.002)
    if best.recall >= wanted and mine.recall >= wanted:
        assert mine.seconds <= 1.3 * best.seconds


def test_the_fastest_is_kept_and_a_later_search_uses_it(made):
    with (
        pytest.raises(UsageError, match="was never measured; as it is set it finds"),
        open_index(made) as index,
    ):
        chosen_for(index, 0.97)
    found = tune(made, 0.9)
    assert not found.by_queries and found.asked == 200 and found.exact > 0
    assert found.size["vectors"] == 128 and 4 < found.size["structure"] < 40
    best = choose(found.settings, 0.9)
    with open_index(made) as index:
        assert {name: index.meta.params[name] for name in best.knobs} == best.knobs
        assert index.recall()["of_rows"] == pytest.approx(best.recall, abs=0.02)
        assert index.noted("tuned") == {"recall": 0.9, "knobs": best.knobs}
        assert recall(index, queries(), Wanted(10)) > 0.85
        more = chosen_for(index, 0.97)
        assert more is not None and recall(index, queries(), Wanted(10, knobs=more)) > 0.93
    again = "ivfpq:least=100,lists=16,m=8,refine=1,probe=1"
    upsert(made, records(clustered(2, 10)), reject=fail, kind=again)
    with pytest.raises(UsageError, match="is of the kind"):
        upsert(made, records(clustered(2, 10)), reject=fail, kind=again.replace("lists=16", "lists=8"))


def test_queries_that_cannot_be_used_are_no_queries(made):
    bad = []
    with pytest.raises(BadDataError, match="none of the queries can be used"):
        tune(made, 0.9, queries=[Record({"id": "q", "vector": np.ones(5, np.float32)})], reject=bad.append)
    assert len(bad) == 1


def test_a_recall_that_the_kind_does_not_reach_is_refused(tmp_path):
    path = tmp_path / "x.mmr"
    upsert(path, records(clustered(2, 2000)), reject=fail, kind="ivfpq:least=100,lists=16,m=8")
    rebuild(path, queries=queries(30))
    with open_index(path) as index:
        stated = index.recall()["of_queries"]
        assert chosen_for(index, stated) is None, "what it is set to finds that"
    found = tune(path, 1.0)
    assert found.by_queries and found.asked == 30
    with open_index(path) as index:
        table = [Setting(*row) for row in index.noted("recall")["table"]]
        most = max(one.recall for one in table)
        assert chosen_for(index, most) == choose(table, most).knobs
        if most < 1:
            with pytest.raises(UsageError, match=r"reaches a recall of .* at most .*--exact|at most"):
                chosen_for(index, 1.0)


def test_exact_searches_need_no_table_and_have_nothing_to_tune(tmp_path):
    path = tmp_path / "x.mmr"
    upsert(path, records(clustered(2, 200)), reject=fail, kind="hnsw")
    with open_index(path) as index:
        assert chosen_for(index, 1.0) is None
    with pytest.raises(UsageError, match="nothing to tune: segments of fewer than 20,000 rows"):
        tune(path, 0.9)
    rebuild(path, kind="flat")
    with pytest.raises(UsageError, match="nothing to tune: flat is searched exactly"):
        tune(path, 0.9)
    upsert(tmp_path / "y.mmr", records(clustered(2, 10)), reject=fail, kind="hnsw:least=2")
    with pytest.raises(UsageError, match="no more than 10 items"):
        tune(tmp_path / "y.mmr", 0.9)


def test_a_tuned_index_is_tuned_again_when_its_structures_change(tmp_path):
    path = tmp_path / "x.mmr"
    upsert(path, records(clustered(2, 1000)), reject=fail, kind="pq:least=100,m=8")
    tune(path, 0.8, queries=queries(40))
    with open_index(path) as index:
        before = index.noted("recall")
    upsert(path, records(clustered(5, 1500), 5000), reject=fail)
    with open_index(path) as index:
        after = index.noted("recall")
        assert after["table"] != before["table"] and after["queries"] == 40
        best = choose([Setting(*row) for row in after["table"]], 0.8)
        assert index.meta.params["refine"] == best.knobs["refine"]
        assert after["of_queries"] == pytest.approx(best.recall, abs=1e-4) and after["of_queries"] >= 0.8
    rebuild(path, kind="pq:least=100,m=8", asked=Asked())
    with open_index(path) as index:
        assert index.noted("tuned") is None and index.meta.params["refine"] == 10
        assert "table" not in index.noted("recall")


def test_a_kind_may_be_built_for_a_recall(tmp_path):
    path = tmp_path / "x.mmr"
    upsert(path, records(clustered(2, 1000)), reject=fail, kind="pq:least=100,m=8", asked=Asked(recall=0.8))
    with open_index(path) as index:
        assert index.noted("tuned")["recall"] == 0.8 and index.recall()["of_rows"] >= 0.8
        first = index.noted("recall")
    upsert(path, records(clustered(2, 1000)), reject=fail, kind="pq:least=100,m=8", asked=Asked(recall=0.8))
    with open_index(path) as index:
        assert index.noted("recall") == first, "measured once"
    rebuild(path, kind="pq:least=100,m=16", asked=Asked(recall=0.9))
    with open_index(path) as index:
        assert index.noted("tuned")["recall"] == 0.9 and index.recall()["of_rows"] >= 0.9


def test_queries_may_come_with_the_first_vectors(tmp_path):
    path, asked = tmp_path / "x.mmr", Asked(queries=queries(30))
    upsert(path, records(clustered(2, 1000)), reject=fail, kind="pq:least=100", asked=asked)
    with open_index(path) as index:
        assert index.recall()["queries"] == 30
    upsert(path, records(clustered(2, 1000)), reject=fail, asked=Asked(queries=queries(30)))
    assert [file.name for file in path.glob("trained-queries*")] == ["trained-queries.npy"]
    upsert(path, records(clustered(2, 1000)), reject=fail, asked=Asked(queries=queries(20)))
    with open_index(path) as index:
        assert index.recall()["queries"] == 20
