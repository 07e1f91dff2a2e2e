"""The order of equal scores: trec_eval's on real runs, and the best and the worst of all orders."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmr.evaluate.join import NotGrouped, judged_blocks
from mmr.evaluate.judged import Judged, concatenated
from mmr.evaluate.qrels import Qrels, read_qrels
from mmr.evaluate.ties import reordered

CASES = {  # the reference's: run, judgements, precision, rank of the first relevant
    "1a": ("a:1 b:1 c:1", "a", "f32", 3),
    "1b": ("a:1 b:1 c:1", "b", "f32", 2),
    "1c": ("a:1 b:1 c:1", "c", "f32", 1),
    "1 by bytes": ("d10:1 d9:1", "d10", "f32", 2),
    "2 f32": ("a:1.000000001 b:1.0", "a", "f32", 2),
    "2 f64": ("a:1.000000001 b:1.0", "a", "f64", 1),
    "2 f32, large": ("a:16777217 b:16777216", "a", "f32", 2),
    "2 f64, large": ("a:16777217 b:16777216", "a", "f64", 1),
}


def judged(path: Path, run: str, qrels: dict[str, int], **options) -> Judged:
    hits = (hit.rpartition(":") for hit in run.split())
    path.write_text("".join(f"q Q0 {item} 0 {score} x\n" for item, _, score in hits))
    (block,) = judged_blocks(str(path), Qrels.of({"q": qrels}), **options)
    return block


@pytest.mark.parametrize("case", CASES)
def test_hand_worked_cases(tmp_path: Path, case: str) -> None:
    run, relevant, precision, rank = CASES[case]
    assert judged(tmp_path / "a", run, {relevant: 1}, precision=precision).rank.tolist() == [rank]


HITS = st.lists(st.tuples(st.integers(0, 2), st.sampled_from([None, -1, 0, 1, 2])), min_size=1, max_size=6)


def merits(gains: list[int | None]) -> list[float]:
    """AP, nDCG's numerator and bpref of a ranking of judgements."""
    hits = [place for place, rel in enumerate(gains, 1) if (rel or 0) > 0]
    ap = sum(nth / place for nth, place in enumerate(hits, 1))
    dcg = sum(max(rel or 0, 0) / np.log2(place + 1) for place, rel in enumerate(gains, 1))
    bpref = -sum(gains[: place - 1].count(0) for place in hits)
    return [ap, dcg, bpref]


@settings(max_examples=150, deadline=None)
@given(HITS)
def test_best_and_worst_bound_all_orders(tmp_path_factory, hits: list[tuple[int, int | None]]) -> None:
    hits = sorted(hits, key=lambda hit: -hit[0])
    run = " ".join(f"d{place}:{score}" for place, (score, _) in enumerate(hits))
    rels = {f"d{place}": rel for place, (_, rel) in enumerate(hits) if rel is not None}
    block = judged(tmp_path_factory.getbasetemp() / "ties", run, {"other": 1, **rels})
    assert not block.average
    orders = {
        tuple(rel for _, rel in order) for order in permutations(hits)
        if [score for score, _ in order] == [score for score, _ in hits]
    }  # fmt: skip
    all_merits = np.array([merits(list(order)) for order in orders])
    for how, bound in (("best", all_merits.max(axis=0)), ("worst", all_merits.min(axis=0))):
        found = reordered(block, how)
        gains: list[int | None] = [None] * len(hits)
        assert len(set(found.rank.tolist())) == len(found.rank) and (np.diff(found.rank) > 0).all()
        for rank, rel in zip(found.rank.tolist(), found.rel.tolist(), strict=True):
            gains[rank - 1] = rel
        np.testing.assert_allclose(merits(gains), bound, atol=1e-12)
        assert sorted(found.rel.tolist()) == sorted(block.rel.tolist())
        assert ((found.first <= found.rank) & (found.rank <= found.last)).all()
        again = judged(tmp_path_factory.getbasetemp() / "ties", run, {"other": 1, **rels}, ties=how)
        assert again.rank.tolist() == found.rank.tolist() and again.rel.tolist() == found.rel.tolist()


def test_averaged_ties_are_left_to_the_measures(tmp_path: Path) -> None:
    block = judged(tmp_path / "a", "a:1 b:1 c:0", {"a": 1, "c": 1}, ties="average")
    assert block.average and block.first.tolist() == [1, 3] and block.last.tolist() == [2, 3]


def test_candidates_are_reordered_too(tmp_path: Path) -> None:
    block = judged(tmp_path / "a", "a:1 b:1 c:1 d:1", {"a": 1}, among={"q": ["a", "b", "d"]}, ties="best")
    assert block.rank.tolist() == [1] and block.among is not None and block.among.rank.tolist() == [1]
    worst = judged(tmp_path / "a", "a:1 b:1 c:1 d:1", {"d": 1}, among={"q": ["a", "b", "d"]}, ties="worst")
    assert worst.rank.tolist() == [4] and worst.among is not None and worst.among.rank.tolist() == [3]


REAL = [
    ("qrels.test", "results.test"), ("qrels.rel_level", "results.test"), ("qrels.test", "results.trunc"),
    ("qrels.comment.test.gz", "results.comment.test.gz"), ("robust03.qrels.gz", "robust03.NLPR03vb10.run"),
    ("robust03.qrels.gz", "robust03.humR03dc.run.gz"), ("robust03.qrels.gz", "robust03.rutcor03100.run.gz"),
    ("cast-compat.qrels", "cast-compat.run"),
]  # fmt: skip


@pytest.mark.parametrize(("qrels", "run"), REAL)
def test_ranks_are_those_of_trec_eval_on_real_runs(shared: Path, qrels: str, run: str) -> None:
    pytrec_eval = pytest.importorskip("pytrec_eval", reason="the peer: pip install 'mmr[dev]'")
    from mmr.stream.compressed import open_input

    judgements: dict[str, dict[str, int]] = {}
    rankings: dict[str, dict[str, float]] = {}
    with open_input(str(shared / "data/trec" / qrels)) as file:
        for query, _, item, rel in (line.decode().split() for line in file):
            judgements.setdefault(query, {})[item] = int(rel)
    with open_input(str(shared / "data/trec" / run)) as file:
        for query, _, item, _, score, *_ in (line.decode().split() for line in file):
            rankings.setdefault(query, {})[item] = float(score)
    peer = pytrec_eval.RelevanceEvaluator(judgements, {"map", "num_ret", "num_rel_ret", "num_rel"})
    expected = peer.evaluate(rankings)
    read, path = read_qrels(str(shared / "data/trec" / qrels)), str(shared / "data/trec" / run)
    try:
        found = concatenated(list(judged_blocks(path, read)))
    except NotGrouped:
        found = concatenated(list(judged_blocks(path, read, whole=True)))
    assert sorted(found.queries) == sorted(expected)
    for place, query in enumerate(found.queries):
        rows = slice(found.start[place], found.start[place + 1])
        hits = found.rank[rows][found.rel[rows] > 0].tolist()
        pool = found.pool[found.pool_start[place] : found.pool_start[place + 1]]
        figures = expected[query]
        assert found.retrieved[place] == figures["num_ret"]
        assert (pool > 0).sum() == figures["num_rel"] and len(hits) == figures["num_rel_ret"]
        mean = sum(nth / rank for nth, rank in enumerate(hits, 1)) / max((pool > 0).sum(), 1)
        assert mean == pytest.approx(figures["map"], rel=1e-12, abs=0)
