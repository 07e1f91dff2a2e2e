"""Runs joined with judgements, against the same written naively in Python."""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmr.errors import BadDataError
from mmr.evaluate import runs
from mmr.evaluate.join import NotGrouped, empty_block, judged_blocks
from mmr.evaluate.judged import Judged, concatenated
from mmr.evaluate.qrels import Qrels
from mmr.stream import trec_blocks

Run = Mapping[str, Sequence[tuple[str, float]]]
IDS = st.one_of(
    st.sampled_from(["d1", "d2", "d10", "a", "9", "pictures/apple-red.png", "pictures/apple-red.jpg"]),
    st.text(st.characters(blacklist_categories=("Cs", "Cc", "Z"), blacklist_characters="%"), min_size=1),
).filter(lambda name: name.split() == [name] and not name.startswith(("{", "\ufeff", "#")))
SCORES = st.one_of(
    st.sampled_from([0.5, 1.0, 1.000000001, -2.0, 16777217.0, 16777216.0, 1e99, 0.0, -0.0]),
    st.floats(allow_nan=False, width=64),
    st.integers(-3, 3).map(float),
)
RANKINGS = st.lists(st.tuples(IDS, SCORES), unique_by=lambda hit: hit[0], min_size=1, max_size=12)
RUNS = st.dictionaries(IDS, RANKINGS, min_size=1, max_size=6)


@st.composite
def judged_runs(draw: st.DrawFn) -> tuple[Run, dict[str, dict[str, int]]]:
    """A run, and judgements of some of its queries, some of its items and some others."""
    run = draw(RUNS)
    qrels = {}
    for query in draw(st.lists(st.sampled_from(sorted(run)), unique=True)) + draw(st.lists(IDS, max_size=2)):
        items = [item for item, _ in run.get(query, [])]
        named = st.one_of(st.sampled_from(items), IDS) if items else IDS
        qrels[query] = draw(st.dictionaries(named, st.integers(-2, 3), min_size=1, max_size=8))
    return run, qrels or {"other": {"x": 1}}


def in_order(hits: Sequence[tuple[str, float]], ties: str, precision: str) -> list[tuple[str, float]]:
    """The ranking of some hits, as Python sorts."""
    with np.errstate(over="ignore"):
        kept = [(item, float(np.float32(score)) if precision == "f32" else score) for item, score in hits]
    if ties != "input":
        kept.sort(key=lambda hit: hit[0].encode(), reverse=ties != "docid-asc")
    return sorted(kept, key=lambda hit: -hit[1])


def naive(ranking: Sequence[tuple[str, float]], judged: Mapping[str, int]) -> dict[str, Any]:
    """What `Judged` must hold of one query; the ranking is in order."""
    rows = []
    for rank, (item, score) in enumerate(ranking, 1):
        if item in judged:
            first, last = rank, rank
            while first > 1 and ranking[first - 2][1] == score:
                first -= 1
            while last < len(ranking) and ranking[last][1] == score:
                last += 1
            rows.append((rank, judged[item], first, last))
    return {"rows": rows, "retrieved": len(ranking), "pool": sorted(judged.values(), reverse=True)}


def held(judged: Judged) -> dict[str, dict[str, Any]]:
    """The same of a `Judged`."""
    found = {}
    for place, query in enumerate(judged.queries):
        rows = slice(judged.start[place], judged.start[place + 1])
        columns = (judged.rank[rows], judged.rel[rows], judged.first[rows], judged.last[rows])
        found[query] = {
            "rows": list(zip(*(column.tolist() for column in columns), strict=True)),
            "retrieved": int(judged.retrieved[place]),
            "pool": judged.pool[judged.pool_start[place] : judged.pool_start[place + 1]].tolist(),
        }
    return found


def trec(run: Run, tag: str = "x") -> bytes:
    lines = [f"{q} Q0 {d} 1 {s!r} {tag}\n" for q, hits in run.items() for d, s in hits]
    return "".join(lines).encode()


def finite(run: Run) -> Run:
    """The same with infinities, which JSON lacks, made the largest numbers."""
    most = sys.float_info.max
    return {q: [(d, min(max(s, -most), most)) for d, s in hits] for q, hits in run.items()}


def jsonl(run: Run, **extra: Any) -> bytes:
    return b"".join(
        json.dumps({"id": q, "hits": [{"id": d, "score": s} for d, s in hits], **extra}).encode() + b"\n"
        for q, hits in run.items()
    )


def read(path: Path, qrels: Mapping[str, Mapping[str, int]], **options: Any) -> dict[str, dict[str, Any]]:
    blocks = list(judged_blocks(str(path), Qrels.of(qrels), **options))
    return held(concatenated(blocks)) if blocks else {}


@settings(max_examples=300, deadline=None)
@given(
    judged_runs(), st.sampled_from(["docid-desc", "docid-asc", "input"]), st.sampled_from(["f32", "f64"]),
    st.sampled_from([1, 40, 200, 1 << 20]),
)  # fmt: skip
def test_a_run_is_judged_as_python_would(tmp_path_factory, pair, ties, precision, block) -> None:
    run, qrels = pair
    path = tmp_path_factory.getbasetemp() / "a.run"
    path.write_bytes(trec(run))
    expected = {q: naive(in_order(hits, ties, precision), qrels[q]) for q, hits in run.items() if q in qrels}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trec_blocks, "BLOCK", block)
        reading = judged_blocks(str(path), Qrels.of(qrels), ties=ties, precision=precision, scores=True)
        blocks = list(reading)
    assert (held(concatenated(blocks)) if blocks else {}) == expected
    assert reading.unknown == len(run.keys() - qrels.keys())
    for judged in blocks:
        for place, query in enumerate(judged.queries):
            scores = judged.scores[judged.hit_start[place] : judged.hit_start[place + 1]].tolist()
            assert sorted(scores) == sorted(score for _, score in run[query])


@settings(max_examples=100, deadline=None)
@given(judged_runs(), st.sampled_from([None, "input", "docid-desc", "docid-asc"]), st.integers(1, 30))
def test_hits_are_judged_in_the_order_of_their_list(tmp_path_factory, pair, ties, held_at) -> None:
    run, qrels = finite(pair[0]), pair[1]
    path = tmp_path_factory.getbasetemp() / "a.jsonl"
    path.write_bytes(jsonl(run, lang="de"))
    sort = ties in ("docid-desc", "docid-asc")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "HITS_HELD", held_at)
        reading = judged_blocks(
            str(path), Qrels.of(qrels), ties=ties, precision="f64", fields=("lang", "none")
        )
        blocks = list(reading)
    expected = {
        q: naive(in_order(hits, ties, "f64") if sort else hits, qrels[q])
        for q, hits in run.items()
        if q in qrels
    }
    assert (held(concatenated(blocks)) if blocks else {}) == expected
    assert reading.unknown == len(run.keys() - qrels.keys())
    for block in blocks:
        assert block.fields == {"lang": ["de"] * len(block.queries), "none": [None] * len(block.queries)}


@settings(max_examples=100, deadline=None)
@given(judged_runs(), st.randoms())
def test_lines_in_any_order_are_the_same_run(tmp_path_factory, pair, random) -> None:
    run, qrels = pair
    path = tmp_path_factory.getbasetemp() / "a.run"
    lines = trec(run).splitlines(keepends=True)
    path.write_bytes(b"".join(lines))
    expected = read(path, qrels)
    random.shuffle(lines)
    path.write_bytes(b"".join(lines))
    assert read(path, qrels, whole=True) == expected


@settings(max_examples=200, deadline=None)
@given(judged_runs(), st.data(), st.booleans(), st.booleans())
def test_what_is_cut_from_rankings(tmp_path_factory, pair, data, listed, shared_sets) -> None:
    run, qrels = finite(pair[0]), pair[1]
    path = tmp_path_factory.getbasetemp() / "a"
    path.write_bytes(jsonl(run) if listed else trec(run))
    items = sorted({item for hits in run.values() for item, _ in hits})
    some = st.lists(st.sampled_from(items), unique=True)
    same = data.draw(some)
    sets = {
        q: same if shared_sets else data.draw(some) for q in data.draw(st.sets(st.sampled_from(sorted(run))))
    }
    ordered = {q: hits if listed else in_order(hits, "docid-desc", "f32") for q, hits in run.items()}

    def expected(keep) -> dict[str, dict[str, Any]]:
        cut = {q: [hit for hit in hits if keep(q, hit[0])] for q, hits in ordered.items()}
        return {q: naive(hits, qrels[q]) for q, hits in cut.items() if q in qrels}

    def inside(query: str, item: str) -> bool:
        return query not in sets or item in sets[query]

    precision = "f64" if listed else "f32"
    assert read(path, qrels, removed=sets, precision=precision) == expected(
        lambda q, item: q not in sets or item not in sets[q]
    )
    assert read(path, qrels, judged_only=True, precision=precision) == expected(
        lambda q, item: item in qrels.get(q, {})
    )
    assert read(path, qrels, among=sets, only=True, precision=precision) == expected(inside)
    for block in judged_blocks(str(path), Qrels.of(qrels), among=sets, precision=precision):
        whole, cut = expected(lambda q, item: True), expected(inside)
        assert held(block) == {q: whole[q] for q in block.queries}
        if sets:
            assert block.among is not None
            assert held(block.among) == {q: cut[q] for q in block.queries}
        else:
            assert block.among is None


def test_candidates_that_records_name(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"id":"q","among":["b","c"],"hits":[{"id":"a","score":2},{"id":"b","score":1}]}\n')
    (block,) = judged_blocks(str(path), Qrels.of({"q": {"b": 1}}))
    assert block.rank.tolist() == [2] and block.among.rank.tolist() == [1]
    (block,) = judged_blocks(str(path), Qrels.of({"q": {"b": 1}}), only=True)
    assert block.rank.tolist() == [1] and block.among is None
    (block,) = judged_blocks(str(path), Qrels.of({"q": {"b": 1}}), among={"q": ["a"]})
    assert block.among.rank.tolist() == []


def test_ids_of_hits_may_be_renamed(tmp_path: Path) -> None:
    path = tmp_path / "a.run"
    path.write_bytes(b"q Q0 val2014/7.jpg 1 2 x\nq Q0 val2014/12.jpg 2 2 x\n")
    stem = lambda name: Path(name).stem  # noqa: E731
    assert read(path, {"q": {"12": 1}}, renamed=stem)["q"]["rows"] == [(2, 1, 1, 2)]  # "7" > "12"
    path.write_bytes(b"q Q0 a/7.jpg 1 2 x\nq Q0 b/7.jpg 2 2 x\n")
    with pytest.raises(BadDataError, match=r"line 2, column 3: 7 came before for query q \(line 1\)"):
        read(path, {"q": {"12": 1}}, renamed=stem)


@pytest.mark.parametrize(
    ("run", "familiar"),
    [
        (b"q Q0 b 1 2 x\n", True),  # judged for this query
        (b"u Q0 z 1 2 x\nq Q0 c 1 2 x\n", True),  # judged for another query
        (b"u Q0 c 1 2 x\n", True),  # in an unknown query
        (b"q Q0 z 1 2 x\nr Q0 zz 1 2 x\nu Q0 zzz 1 2 x\n", False),
        (b"", False),
    ],
)
def test_whether_the_items_are_those_that_are_judged(tmp_path: Path, run: bytes, familiar: bool) -> None:
    path = tmp_path / "a.run"
    path.write_bytes(run)
    for removed in (None, {"q": ["b"]}):
        reading = judged_blocks(str(path), Qrels.of({"q": {"b": 1}, "r": {"c": 0}}), removed=removed)
        list(reading)
        assert reading.familiar == familiar
        assert (reading.example is None) == (not run)


def test_no_judgements_at_all(tmp_path: Path) -> None:
    path = tmp_path / "a.run"
    path.write_bytes(b"q Q0 b 1 2 x\n")
    reading = judged_blocks(str(path), Qrels.of({}))
    assert list(reading) == [] and reading.unknown == 1 and not reading.familiar


def test_queries_without_a_ranking() -> None:
    qrels = Qrels.of({"b": {"x": 0, "y": 2}, "a": {"z": 1}})
    block = empty_block(qrels, ["b", "a"])
    assert held(block) == {
        "b": {"rows": [], "retrieved": 0, "pool": [2, 0]},
        "a": {"rows": [], "retrieved": 0, "pool": [1]},
    }
    assert block.hit_start.tolist() == [0, 0, 0]


def test_a_record_without_any_hit_is_a_ranking(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"id":"q","hits":[]}\n{"id":"r","hits":[]}\n{"eof":true,"items":2}\n')
    reading = judged_blocks(str(path), Qrels.of({"q": {"b": 1}}), scores=True)
    assert held(concatenated(list(reading))) == {"q": {"rows": [], "retrieved": 0, "pool": [1]}}
    assert reading.unknown == 1


@pytest.mark.parametrize("name", ["a.run", "a.jsonl"])
def test_hits_without_a_score_keep_their_place(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"id":"q","hits":[{"id":"b"},{"id":"a"},{"id":"c","score":1}]}\n')
    assert read(path, {"q": {"a": 1}})["q"]["rows"] == [(2, 1, 2, 2)]
    with pytest.raises(BadDataError, match="line 1: hit 1 has no score, and --ties docid-desc sorts by it"):
        read(path, {"q": {"a": 1}}, ties="docid-desc")
    with pytest.raises(BadDataError, match="line 1: hit 1 has no score, and a measure needs it"):
        read(path, {"q": {"a": 1}}, scores=True)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"q Q0 a 1 2 x\nr Q0 a 1 2 x\nq Q0 b 1 2 x\n", "line 3, column 1: the lines of query q do not"),
        (b"q Q0 a 1 2 x\nq Q0 b 1 2 x\nq Q0 a 1 1 x\n", "line 3, column 3: a came before for query q"),
        (b"u Q0 a 1 2 x\nu Q0 a 1 2 x\n", "line 2, column 3: a came before for query u (line 1)"),
        (b'{"id":"q","hits":[]}\n{"id":"q","hits":[]}\n', "line 2: query q came before"),
        (b'{"id":"u","hits":[]}\n\n{"id":"u","hits":[]}\n', "line 3: query u came before"),
        (b'{"id":"q","hits":[{"id":"a"},{"id":"b"},{"id":"a"}]}', "line 1: hit 3 of query q, a, is hit 1"),
        (b'{"id":"q","text":"a cat"}\n', "line 1: query q has no hits"),
        (b'{"id":"q","hits":[{"score":1}]}\n', 'line 1: hit 1 of "hits" is not an object with an "id"'),
        (b'{"id":"q","hits":[{"id":"a","score":"1"}]}\n', "line 1: the score of hit 1 is a string"),
        (b'{"id":"q","hits":[{"id":"a","score":NaN}]}\n', "line 1: NaN and Infinity are not JSON"),
        (b'{"id":"q","hits":[]}\nno\n', "line 2: not JSON (column 1)"),
        (b'{"id":"q","hits":[],"error":"no such file","stage":"x"}', "line 1 was rejected: no such file"),
    ],
)  # fmt: skip
def test_bad_rankings_name_file_and_line(tmp_path: Path, data: bytes, words: str) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(data)
    with pytest.raises(BadDataError) as error:
        read(path, {"q": {"a": 1}})
    assert error.value.what.startswith(f"{path} ") and words in error.value.what
    assert isinstance(error.value, NotGrouped) == ("do not" in words)


@pytest.mark.parametrize("data", [b"", b"\n \n", gzip.compress(b"", mtime=0)])
def test_an_empty_run_has_no_blocks(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.run"
    path.write_bytes(data)
    assert read(path, {"q": {"a": 1}}) == {}


def test_packed_runs_and_hits_are_told_apart(tmp_path: Path) -> None:
    run = {"q": [("a", 2.0), ("b", 1.0)]}
    for name, data in (("a.run.gz", trec(run)), ("a.jsonl.gz", b"\xef\xbb\xbf\n" + jsonl(run))):
        (tmp_path / name).write_bytes(gzip.compress(data))
        assert read(tmp_path / name, {"q": {"b": 1}})["q"]["rows"] == [(2, 1, 2, 2)]
