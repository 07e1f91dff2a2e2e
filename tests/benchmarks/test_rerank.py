"""Reranking on ready arrays beside the plain formula, what surrounds it, and fusion beside ranx."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import numpy as np
import orjson
import pytest

from mmr.cli.gathered import Gather
from mmr.index import open_index
from mmr.rerank.fuse import fuse
from mmr.rerank.runs import read_run
from mmr.rerank.superglobal import superglobal
from tests.benchmarks.measure import interleaved, report
from tests.conftest import program_environment

EVERY = """
import json, sys
from ranx import Run, fuse
names = {"rrf": "rrf", "combsum": "sum", "combmnz": "mnz", "combanz": "anz", "combmax": "max",
         "combmed": "med", "isr": "isr", "log-isr": "log_isr", "borda": "bordafuse", "rbc": "rbc",
         "convex": "wsum"}
scores = {"combsum", "combmnz", "combanz", "combmax", "combmed", "convex"}
params = {"rbc": {"phi": 0.8}, "convex": {"weights": [0.7, 0.3]}, "rrf": {"k": 60}}
runs = [Run(run) for run in json.load(sys.stdin)]
out = {}
for ours, theirs in names.items():
    for norm in ("min-max", "zmuv") if ours in scores else (None,):
        own = [Run(dict(run.run)) for run in runs]
        found = fuse(runs=own, method=theirs, norm=norm, params=params.get(ours))
        out[f"{ours} {norm}"] = {q: dict(hits) for q, hits in found.run.items()}
print(json.dumps(out))
"""
M, D, QUERIES = 400, 512, 20
RANX = os.environ.get("RANX_PYTHON", sys.executable)
FUSE = """
import sys, time
from ranx import Run, fuse
for _ in range(2):
    start = time.process_time()
    runs = [Run.from_file(name, kind="trec") for name in sys.argv[1:3]]
    fuse(runs=runs, method="rrf", norm=None).save(sys.argv[3], kind="trec")
print(time.process_time() - start)
"""


def loop(q, x, k=9, beta=0.15):
    """The formula row by row, as one writes it with NumPy."""
    cosines = x @ x.T
    refined = np.empty_like(x)
    for i in range(len(x)):
        cosines[i, i] = np.inf
        near = np.argsort(-cosines[i])[: k + 1]
        weights = beta * np.maximum(cosines[i, near], 0)
        weights[0] = 1
        refined[i] = (weights[:, None] * x[near]).sum(axis=0) / weights.sum()
    first = refined @ q
    expanded = refined[np.argsort(-first)[: k + 1]].max(axis=0)
    return (first + refined @ expanded) / 2


def vectors(seed, rows):
    x = np.random.default_rng(seed).standard_normal((rows, D)).astype(np.float32) + 0.05
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def least(function, rounds=15):
    """Milliseconds of CPU a query: the least of some rounds over all queries."""
    found = []
    for _ in range(rounds):
        start = time.process_time()
        function()
        found.append(1000 * (time.process_time() - start) / QUERIES)
    return min(found)


@pytest.mark.bench
def test_superglobal_on_ready_arrays():
    lists = [(vectors(seed, 1)[0], vectors(100 + seed, M)) for seed in range(QUERIES)]
    for q, x in lists[:3]:
        assert superglobal(q, x).scores == pytest.approx(loop(q, x), abs=1e-6)
    plain = least(lambda: [loop(q, x) for q, x in lists])
    ours = least(lambda: [superglobal(q, x) for q, x in lists])
    name = f"superglobal of {M} ready vectors of {D} dimensions, beside a NumPy loop over the hits"
    assert report(name, ours, plain, 1 / 3, "ms") < 1


@pytest.mark.bench
def test_gathering_and_json_around_it(tmp_path):
    """What the shell adds: vectors out of the index by id, and the JSON of 400 hits, in and out."""
    np.save(tmp_path / "g.npy", vectors(1, 20_000))
    with open(tmp_path / "g.jsonl", "w") as file:
        file.writelines(json.dumps({"id": f"pics/{i:06d}.jpg", "image": f"pics/{i:06d}.jpg"}) + "\n"
                        for i in range(20_000))  # fmt: skip
    env = program_environment()
    subprocess.run(["mmr", "index", "-q", "g.mmr", "g.npy"], cwd=tmp_path, check=True, env=env)
    mapped = np.load(tmp_path / "g.npy", mmap_mode="r")
    generator = np.random.default_rng(2)
    rows = [generator.choice(20_000, M, replace=False) for _ in range(QUERIES)]
    names = [[f"pics/{row:06d}.jpg" for row in some] for some in rows]
    with open_index(tmp_path / "g.mmr") as index:
        bare = least(lambda: [np.array(mapped[some]) for some in rows])
        ours = least(lambda: Gather(index)(names))
        report(f"gathering {M} stored vectors of a query by id, beside the rows of a mapped array",
               ours, bare, 20, "ms")  # fmt: skip
    hits = [{"id": name, "score": float(np.float32(0.9 - 0.001 * i)), "image": name}
            for i, name in enumerate(names[0])]  # fmt: skip
    line = orjson.dumps({"id": "q", "image": "mine.jpg", "vector": vectors(3, 1)[0].tolist(), "hits": hits})
    (tmp_path / "hits.jsonl").write_bytes(
        b"".join(line.replace(b'"q"', b'"q%d"' % i) + b"\n" for i in range(QUERIES))
    )
    from mmr.errors import raise_item
    from mmr.stream.read import read_records
    from mmr.stream.records import dump

    path = str(tmp_path / "hits.jsonl")
    whole = least(lambda: [dump(record) for record in read_records([path], reject=raise_item)])
    lines = (tmp_path / "hits.jsonl").read_bytes().splitlines()
    raw = least(lambda: [orjson.dumps(orjson.loads(text)) for text in lines])
    report(f"JSON of a query with {M} hits, in and out, beside bare orjson", whole, raw, 3, "ms")


def scores_of(path):
    """(query, item) -> score of a run."""
    with open(path) as file:
        return {(line.split()[0], line.split()[2]): float(line.split()[4]) for line in file}


@pytest.mark.bench
def test_fusing_beside_ranx(tmp_path):
    """Two runs of 10,000 queries and 100 hits each; ranx's own time once it is warm, files included."""
    if subprocess.run([RANX, "-c", "import ranx"], capture_output=True).returncode:
        pytest.skip(
            "needs ranx: `pip install ranx`, in another environment with RANX_PYTHON naming its python"
        )
    generator = np.random.default_rng(0)
    one, other, theirs, ours = (
        str(tmp_path / name) for name in ("a.trec", "b.trec", "ranx.trec", "mmr.trec")
    )
    for path in (one, other):
        with open(path, "w") as file:
            for query in range(10_000):
                items = generator.choice(150, 100, replace=False) + query * 37
                scores = np.sort(generator.choice(10**6, 100, replace=False))[::-1] / 1e6
                for rank, (item, score) in enumerate(zip(items, scores, strict=True), 1):
                    file.write(f"q{query} Q0 doc{item} {rank} {score:.6f} x\n")
    command = [RANX, "-W", "ignore", "-c", FUSE, one, other, theirs]
    env = {**os.environ, "NUMBA_NUM_THREADS": "1"}
    warm = float(subprocess.check_output(command, env=env, stderr=subprocess.DEVNULL))
    (cost,) = interleaved(2, ["mmr", "rerank", "fuse", "-q", one, other, "--format", "trec", "-o", ours])
    found, expected = scores_of(ours), scores_of(theirs)
    assert found.keys() == expected.keys()
    assert max(abs(found[key] - expected[key]) for key in found) < 1e-6
    name = "two runs of 10,000 queries and 100 hits fused by rrf, file to file, beside ranx when it is warm"
    assert report(name, cost.cpu, warm, 1) < 1


@pytest.mark.bench
def test_fusion_gives_what_ranx_gives(tmp_path):
    """Every method that both have, on runs that share queries: the same scores."""
    if subprocess.run([RANX, "-c", "import ranx"], capture_output=True).returncode:
        pytest.skip(
            "needs ranx: `pip install ranx`, in another environment with RANX_PYTHON naming its python"
        )
    generator = np.random.default_rng(4)
    runs: list[dict[str, dict[str, float]]] = []
    for name in ("a", "b"):
        runs.append({})
        for query in range(8):
            items = generator.choice(12, 8, replace=False)
            runs[-1][f"q{query}"] = {f"d{item}": float(generator.integers(1, 10**6)) / 1e6 for item in items}
        lines = [f"{query} Q0 {item} 1 {score!r} x\n"
                 for query, hits in runs[-1].items() for item, score in hits.items()]  # fmt: skip
        (tmp_path / name).write_text("".join(lines))
    done = subprocess.run([RANX, "-W", "ignore", "-c", EVERY], input=json.dumps(runs), text=True,
                          capture_output=True, check=True)  # fmt: skip
    theirs = json.loads(done.stdout)
    read = [read_run(str(tmp_path / name)) for name in ("a", "b")]
    for key, expected in theirs.items():
        method, norm = key.split()
        scale = {"min-max": "minmax", "zmuv": "z", "None": None}[norm]
        found = fuse(read, method, scale=scale, k=60, phi=0.8, weights=np.array([0.7, 0.3]))
        for number, query in enumerate(found.queries):
            part = slice(found.start[number], found.start[number + 1])
            ours = dict(zip(found.items.take(part).texts(), found.score[part].tolist(), strict=True))
            assert ours == pytest.approx(expected[query.decode()], abs=1e-6), (key, query)
    print(f"\nthe same scores as ranx: {', '.join(theirs)}")
