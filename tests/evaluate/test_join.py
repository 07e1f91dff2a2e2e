"""Runs joined with judgements, against the same written naively in Python."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmr.evaluate.join import judged_blocks
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
    path = tmp_path_factory.mktemp("run") / "a.run"
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
