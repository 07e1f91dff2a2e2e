"""`mmr eval` as a whole process beside the same work with pytrec_eval and with the command of ir_measures."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mmr.errors import raise_item
from mmr.stream.read import read_records
from mmr.stream.records import dump
from tests.benchmarks.measure import interleaved, report
from tests.conftest import program_environment

pytestmark = pytest.mark.bench
QUERIES, HITS, ITEMS = 10_000, 100, 1_000_000
BIN = Path(sys.executable).parent
MEASURES = ("nDCG@10", "AP@100", "R@10", "RR", "P@10")
PEER = """
import sys
import pytrec_eval
with open(sys.argv[1]) as file:
    qrels = pytrec_eval.parse_qrel(file)
with open(sys.argv[2]) as file:
    run = pytrec_eval.parse_run(file)
names = ["ndcg_cut_10", "map_cut_100", "recall_10", "recip_rank", "P_10"]
asked = {"ndcg_cut.10", "map_cut.100", "recall.10", "recip_rank", "P.10"}
values = pytrec_eval.RelevanceEvaluator(qrels, asked).evaluate(run).values()
for name in names:
    print(pytrec_eval.compute_aggregated_measure(name, [one[name] for one in values]))
"""
HITS_PEER = """
import sys
import orjson
import pytrec_eval
with open(sys.argv[1]) as file:
    qrels = pytrec_eval.parse_qrel(file)
run = {}
with open(sys.argv[2], "rb") as file:
    for line in file:
        record = orjson.loads(line)
        run[record["id"]] = {hit["id"]: hit["score"] for hit in record["hits"]}
""" + PEER.partition("parse_run(file)\n")[2]
SCORES = {
    "6 decimals": lambda scores: [f"{score:.6f}" for score in scores],
    "17 digits": lambda scores: [repr(score) for score in scores],
    "ties": lambda scores: [f"{score:.1f}" for score in scores],
}


def written(folder: Path, queries: int, form: str) -> tuple[str, str]:
    """The names of judgements, five a query, two of them in the run, and of a run of 100 results a query."""
    rng = np.random.default_rng(0)
    qrels, run = folder / f"{queries}.qrels", folder / f"{queries} {form}.run"
    with open(qrels, "w") as judgements, open(run, "w") as results:
        for query in range(queries):
            items = rng.choice(ITEMS, HITS, replace=False)
            scores = SCORES[form](np.sort(rng.random(HITS))[::-1].tolist())
            judged = dict.fromkeys([*rng.choice(items, 2, replace=False), *rng.choice(ITEMS, 3)])
            judgements.writelines(f"q{query:05d} 0 d{item:07d} {rng.integers(4)}\n" for item in judged)
            results.writelines(
                f"q{query:05d} Q0 d{item:07d} {rank} {score} run\n"
                for rank, (item, score) in enumerate(zip(items, scores, strict=True), 1)
            )
    return str(qrels), str(run)


def ours(qrels: str, run: str) -> list[str]:
    return [str(BIN / "mmr"), "eval", "-q", qrels, run, "-m", ",".join(MEASURES), "--format", "jsonl"]


def pytrec_eval(qrels: str, run: str) -> list[str]:
    return [sys.executable, "-c", PEER, qrels, run]


def output(command: list[str]) -> str:
    return subprocess.run(
        command, env=program_environment(), capture_output=True, text=True, check=True
    ).stdout


@pytest.mark.parametrize("form", SCORES)
def test_against_pytrec_eval(tmp_path: Path, form: str) -> None:
    files = written(tmp_path, QUERIES, form)
    found = [json.loads(line)["value"] for line in output(ours(*files)).splitlines()]
    assert found == pytest.approx([float(line) for line in output(pytrec_eval(*files)).split()], rel=1e-12)
    mine, peer = interleaved(5, ours(*files), pytrec_eval(*files))
    name = f"eval, 10,000 x 100, five measures, scores of {form}, against a process with pytrec_eval"
    assert report(f"{name}, CPU", mine.cpu, peer.cpu, 1) <= 1
    assert report(name, mine.wall, peer.wall, 1) <= 1


def test_hits_against_orjson_and_pytrec_eval(tmp_path: Path) -> None:
    qrels, run = written(tmp_path, QUERIES, "17 digits")
    hits = str(tmp_path / "hits.jsonl")
    with open(hits, "wb") as file:
        for record in read_records([run], reject=raise_item):
            for hit in record["hits"]:
                hit["image"] = f"pictures/{hit['id']}.jpg"
            file.write(dump({"id": record["id"], "text": "a cat on a mat", "hits": record["hits"]}))
    peer_command = [sys.executable, "-c", HITS_PEER, qrels, hits]
    found = [json.loads(line)["value"] for line in output(ours(qrels, hits)).splitlines()]
    assert found == pytest.approx([float(line) for line in output(peer_command).split()], rel=1e-12)
    mine, peer = interleaved(5, ours(qrels, hits), peer_command)
    name = "eval, 10,000 x 100 hits in JSONL, against a process with orjson and pytrec_eval"
    assert report(f"{name}, CPU", mine.cpu, peer.cpu, 1) <= 1
    assert report(name, mine.wall, peer.wall, 1) <= 1


def test_against_the_command_of_ir_measures(tmp_path: Path) -> None:
    files = written(tmp_path, QUERIES, "6 decimals")
    peer_command = [str(BIN / "ir_measures"), *files, *MEASURES]
    mine, peer = interleaved(5, ours(*files), peer_command)
    name = "eval, 10,000 x 100, five measures, against the command `ir_measures`"
    assert report(f"{name}, CPU", mine.cpu, peer.cpu, 1 / 3) <= 1 / 3
    assert report(name, mine.wall, peer.wall, 1 / 3) <= 1 / 3


def test_what_starting_costs(tmp_path: Path) -> None:
    """Ten queries: imports and little else."""
    files = written(tmp_path, 10, "6 decimals")
    peer_command = [str(BIN / "ir_measures"), *files, *MEASURES]
    mine, first, second = interleaved(9, ours(*files), pytrec_eval(*files), peer_command)
    assert (
        report("eval, 10 queries (imports), against `import pytrec_eval`, CPU", mine.cpu, first.cpu, 3) <= 3
    )
    assert report("eval, 10 queries (imports), against `ir_measures`, CPU", mine.cpu, second.cpu, 2) <= 2
