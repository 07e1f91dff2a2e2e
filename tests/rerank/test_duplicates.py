"""Duplicates: connected components, the one to keep, chains, laws of the stream."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from mmr.errors import UsageError
from mmr.rerank.duplicates import BY, Wanted, duplicates, groups, hangs_on
from mmr.stream.records import Record

FACTS = {"a": {"size": 10, "mtime": 5}, "bb": {"size": 30, "mtime": 9}, "c": {"size": 20, "mtime": 1}}


def linked(edges, names=()):
    links = {name: {} for name in names}
    for one, other, score in edges:
        links.setdefault(one, {})[other] = score
        links.setdefault(other, {})[one] = score
    return links


def run(table, keep="largest", least=None, explain=False, facts=None, said=None, reject=pytest.fail):
    facts = FACTS if facts is None else facts
    records = [
        Record(
            {"id": name, **facts.get(name, {}), "hits": [{"id": hit, "score": s} for hit, s in hits.items()]}
        )
        for name, hits in table.items()
    ]
    notes = [] if said is None else said
    return list(duplicates(records, Wanted(keep, least, "step", explain), reject, notes.append))


TABLE = {"a": {"a": 1.0, "bb": 0.98}, "bb": {"bb": 1.0}, "c": {"c": 1.0, "bb": 0.97}, "d": {"d": 1.0}}


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=15))
def test_groups_are_connected_components(pairs):
    names = [f"i{place}" for place in range(10)]
    links = linked([(names[one], names[other], 1.0) for one, other in pairs if one != other], names)
    found = groups(links)
    ones = [1] * len(pairs)
    matrix = coo_array((ones, ([p[0] for p in pairs], [p[1] for p in pairs])), (10, 10))
    _, labels = connected_components(matrix, directed=False)
    expected = [[n for n, mine in zip(names, labels, strict=True) if mine == label] for label in range(10)]
    assert sorted(map(sorted, found)) == sorted(sorted(group) for group in expected if len(group) > 1)


def test_one_link_is_enough_and_a_chain_joins():
    (found,) = run(TABLE)
    assert found["id"] == "bb"
    assert [(hit["id"], float(hit["score"])) for hit in found["hits"]] == [
        ("a", pytest.approx(0.98)), ("c", pytest.approx(0.97)),
    ]  # fmt: skip
    assert found["duplicates"] == {"items": 3, "keep": "largest"}


@pytest.mark.parametrize(
    ("keep", "kept"),
    [("largest", "bb"), ("oldest", "c"), ("newest", "bb"), ("shortest", "c"), ("first", "a")],
)
def test_the_one_to_keep(keep, kept):
    (found,) = run(TABLE, keep)
    assert found["id"] == kept
    assert {hit["id"] for hit in found["hits"]} == {"a", "bb", "c"} - {kept}


def test_every_rule_has_a_case():
    assert set(BY) == {"largest", "oldest", "newest", "shortest", "first"}
    with pytest.raises(UsageError, match="no rule to keep is called 'best'"):
        run(TABLE, "best")


def test_a_chain_has_the_score_of_its_weakest_link():
    links = linked([("a", "b", 0.99), ("b", "c", 0.95), ("a", "d", 0.9), ("d", "c", 0.97)])
    found = hangs_on("a", links)
    assert found["b"] == (0.99, None)
    assert found["c"] == (0.95, "b")
    assert found["d"] == (0.9, None), "its own link counts, not the stronger chain round it"
    (record,) = run({"a": {"bb": 0.99}, "bb": {"c": 0.98}, "c": {}}, "first", explain=True)
    assert [(hit["id"], hit.get("through"), hit["why"]) for hit in record["hits"]] == [
        ("bb", None, "near it"), ("c", "bb", "near bb, by a chain"),
    ]  # fmt: skip


def test_scores_below_the_bound_link_nothing():
    assert run(TABLE, least=0.99) == []
    (found,) = run(TABLE, least=0.98)
    assert [hit["id"] for hit in found["hits"]] == ["a"]


def test_items_without_a_size_are_said():
    said = []
    (found,) = run(TABLE, facts={}, said=said)
    assert found["id"] == "a"
    assert said == [
        "no item has a size or a time: the shorter id of a group is kept.",
        "1 group of 3 items, 2 more than one a group; 4 items looked at.",
    ]


def test_items_with_a_time_alone_are_said():
    said = []
    facts = {name: {"mtime": fact["mtime"]} for name, fact in FACTS.items()}
    (found,) = run(TABLE, facts=facts, said=said)
    assert found["id"] == "c"
    assert said[0] == "no item has a size: the oldest of a group is kept."
    said.clear()
    run(TABLE, "shortest", facts={}, said=said)
    assert len(said) == 1


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from("abcdef"), st.dictionaries(st.sampled_from("abcdef"), st.sampled_from([0.9, 0.95])),
    ),
    st.randoms(),
)  # fmt: skip
def test_the_order_of_the_stream_changes_no_group(table, random):
    names = list(table)
    random.shuffle(names)

    def seen(found):
        return sorted((r["id"], tuple((h["id"], float(h["score"])) for h in r["hits"])) for r in found)

    assert seen(run({name: table[name] for name in names})) == seen(run(table))


def test_bad_records_are_reported():
    bad = []
    found = list(
        duplicates([Record({"id": "x"}), Record({"eof": True, "items": 1})], Wanted("largest", None, "step"),
                   bad.append, lambda _: None)
    )  # fmt: skip
    assert [item.what for item in bad] == ["has no hits"]
    assert found == [{"eof": True, "items": 1}]


def test_of_files_the_largest_is_kept(sh, tmp_path):
    """Through the shell: sizes and times come from the index by themselves."""
    (tmp_path / "v.jsonl").write_text(
        '{"id":"small.png","size":10,"mtime":1,"vector":[1,0]}\n'
        '{"id":"large.png","size":90,"mtime":2,"vector":[0.999,0.04471]}\n'
        '{"id":"other.png","size":50,"mtime":3,"vector":[0,1]}\n'
    )
    done = sh(
        "mmr index -q pics.mmr v.jsonl && mmr query pics.mmr --all-items -k 10 --min-score .97 "
        "| tee asked.jsonl | mmr rerank duplicates --format ids"
    )
    assert done.lines == ["small.png"]
    assert done.status == 0
    assert sh("mmr rerank duplicates --keep oldest --format ids asked.jsonl").lines == ["large.png"]
