"""Real runs: every value of `expected.tsv`, and pytrec_eval and ir_measures query by query."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import ir_measures
import numpy as np
import pytest
import pytrec_eval

from mmr.evaluate.grammar import Measure, parse
from mmr.evaluate.join import empty_block, judged_blocks
from mmr.evaluate.judged import Judged, concatenated
from mmr.evaluate.qrels import Qrels, read_qrels

RUNS = [
    ("qrels.test", "results.test"), ("qrels.test", "results.trunc"), ("qrels.rel_level", "results.test"),
    ("qrels.comment.test.gz", "results.comment.test.gz"), ("robust03.qrels.gz", "robust03.NLPR03vb10.run"),
    ("robust03.qrels.gz", "robust03.humR03dc.run.gz"), ("robust03.qrels.gz", "robust03.rutcor03100.run.gz"),
    ("cast-compat.qrels", "cast-compat.run"),
]  # fmt: skip
NAMES = {
    "map": "AP", "recip_rank": "RR", "ndcg": "nDCG", "num_ret": "NumRet", "num_rel": "NumRel",
    "num_rel_ret": "NumRelRet",
}  # fmt: skip
PYTREC = [
    "map", "recip_rank", "Rprec", "bpref", "ndcg", "num_ret", "num_rel_ret", "set_P", "set_recall", "set_F",
    *(f"{name}_{k}" for name in ("map_cut", "P", "recall", "success", "ndcg_cut") for k in (1, 5, 10, 100)),
]  # fmt: skip


@pytest.fixture(scope="module")
def trec(shared: Path) -> Path:
    return shared / "data" / "trec"


@cache
def load(folder: Path, qrels: str, run: str) -> tuple[Judged, Qrels]:
    """Every query of the judgements that the run has, then those that it lacks."""
    judgements = read_qrels(str(folder / qrels))
    whole = run == "results.trunc"  # its queries take turns
    blocks = list(judged_blocks(str(folder / run), judgements, whole=whole))
    found = {query for block in blocks for query in block.queries}
    missing = [query for query in judgements.queries if query not in found]
    return concatenated([*blocks, *([empty_block(judgements, missing)] if missing else [])]), judgements


def at_level(text: str, level: int) -> Measure:
    (measure,) = parse(text)
    if level == 1 or not any(param.name == "rel" for param in measure.row.params):
        return measure
    (measure,) = parse(f"{measure.row.name}(rel={level}){f'@{measure.cutoff}' if measure.cutoff else ''}")
    return measure


def close(value: float, expected: float) -> bool:
    return abs(value - expected) <= 1e-12 * max(1.0, abs(expected))


def test_every_expected_mean(trec):
    """`num_rel` over all queries is our choice: trec_eval -c counts a query that the run lacks, as we do."""
    compared = 0
    with open(trec / "expected.tsv", newline="") as file:
        for line in csv.DictReader(file, delimiter="\t"):
            names = [line["qrels"], line["run"]]
            names = [name if (trec / name).exists() else f"{name}.gz" for name in names]
            block, _ = load(trec, *names)
            measure = at_level(NAMES.get(line["measure"], line["measure"]), int(line["rel_level"]))
            values, retrieved = measure.values(block), block.retrieved > 0
            both, every = values[retrieved], values
            if measure.row.name == "NumRel":
                every = np.where(retrieved, values, 0)
            totals = [part.sum() if measure.row.total == "sum" else part.mean() for part in (both, every)]
            assert [len(both), len(every)] == [int(line["queries_in_both"]), int(line["queries_in_qrels"])]
            assert close(totals[0], float(line["mean_over_queries_in_both"])), line
            assert close(totals[1], float(line["mean_over_queries_in_qrels"])), line
            compared += 1
    assert compared == 204


def test_every_expected_value_of_a_query(trec):
    block, _ = load(trec, "robust03.qrels.gz", "robust03.NLPR03vb10.run")
    place = {query: i for i, query in enumerate(block.queries)}
    compared = 0
    with open(trec / "expected.per-query.robust03.NLPR03vb10.tsv", newline="") as file:
        for line in csv.DictReader(file, delimiter="\t"):
            measure = at_level(NAMES.get(line["measure"], line["measure"]), 1)
            assert close(measure.values(block)[place[line["query"]]], float(line["value"])), line
            compared += 1
    assert compared > 1000


def read_run(path: Path) -> dict[str, dict[str, float]]:
    """A run as dictionaries, words after the tag left out."""
    import gzip

    run: dict[str, dict[str, float]] = {}
    with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8") as file:
        for line in file:
            if not line.startswith("#"):
                query, _, doc, _, score, *_ = line.split()
                run.setdefault(query, {})[doc] = float(score)
    return run


def pairs(qrels: Qrels) -> Iterator[tuple[str, dict[str, int]]]:
    """Queries with a judgement of 0 or more: pytrec_eval can hang on the others."""
    for query in qrels.queries:
        rels = qrels.of_query(query)
        if max(rels.values()) >= 0:
            yield query, rels


@pytest.mark.parametrize("level", [1, 2])
@pytest.mark.parametrize("names", RUNS, ids=lambda names: " ".join(names))
def test_pytrec_eval_agrees_query_by_query(trec, names, level):
    block, qrels = load(trec, *names)
    evaluator = pytrec_eval.RelevanceEvaluator(dict(pairs(qrels)), set(PYTREC), relevance_level=level)
    theirs = evaluator.evaluate(read_run(trec / names[1]))
    assert theirs
    for name in PYTREC:
        values = at_level(NAMES.get(name, name), level).values(block)
        for query, value in zip(block.queries, values, strict=True):
            assert query not in theirs or close(value, theirs[query][name]), (name, query)


@pytest.mark.parametrize("names", RUNS, ids=lambda names: " ".join(names))
def test_ir_measures_agrees_query_by_query(trec, names):
    """RR@k is left out where it orders equal scores by id ascending; without k it agrees."""
    plain = "nDCG@10,nDCG,AP,AP@50,P@5,R@20,RR,Rprec,SetP,SetR,SetF,NumRet,P(rel=2)@5,AP(rel=2)"
    block, qrels = load(trec, *names)
    measures = {str(measure): ir_measures.parse_measure(str(measure)) for measure in parse(plain)}
    measures |= {"NumRelRet": ir_measures.NumRelRet, "hit@10": ir_measures.parse_measure("Success@10"),
                 "bpref": ir_measures.parse_measure("Bpref")}  # fmt: skip
    theirs = {
        (found.measure, found.query_id): found.value
        for found in ir_measures.iter_calc(
            list(measures.values()), dict(pairs(qrels)), read_run(trec / names[1])
        )
    }
    for text, measure in measures.items():
        for query, value in zip(block.queries, parse(text)[0].values(block), strict=True):
            key = (measure, query)
            assert key not in theirs or close(value, theirs[key]), (text, query)
