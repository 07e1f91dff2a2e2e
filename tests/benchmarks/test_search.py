"""Exact search of many queries beside FAISS, same threads, same rows, in one run."""

from __future__ import annotations

import os

import numpy as np
import pytest

from tests.benchmarks.measure import cpu, report

pytestmark = pytest.mark.bench
QUERIES, ROWS, DIM, K = 10_000, 100_000, 512, 10


def test_ten_thousand_queries_against_faiss(tmp_path):
    import faiss

    from mmr.index import open_index, upsert
    from mmr.index.search import Wanted, search
    from mmr.stream.read import read_records

    threads = int(os.environ.get("OPENBLAS_NUM_THREADS", "1"))
    faiss.omp_set_num_threads(threads)
    faiss.cvar.distance_compute_blas_threshold = 4 * DIM
    rng = np.random.default_rng(0)
    for name, count in (("x", ROWS), ("q", QUERIES)):
        vectors = rng.standard_normal((count, DIM), dtype=np.float32)
        np.save(tmp_path / f"{name}.npy", vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
    fail = pytest.fail
    upsert(tmp_path / "x.mmr", read_records([str(tmp_path / "x.npy")], reject=fail), reject=fail)
    x, q = np.load(tmp_path / "x.npy"), np.load(tmp_path / "q.npy")
    with open_index(tmp_path / "x.mmr") as index:
        queries = list(read_records([str(tmp_path / "q.npy")], reject=fail))
        ours, peer = 0.0, 0.0
        for start in range(0, QUERIES, 2000):
            part = slice(start, start + 2000)
            spent, hits = cpu(lambda part=part: search(index, queries[part], Wanted(K)))
            ours += spent
            spent, (scores, rows) = cpu(
                lambda part=part: faiss.knn(q[part], x, K + 5, faiss.METRIC_INNER_PRODUCT)
            )
            spent, _ = cpu(lambda part=part: faiss.knn(q[part], x, K, faiss.METRIC_INNER_PRODUCT))
            peer += spent
            for answer, near, row in zip(hits, scores, rows, strict=True):
                mine = {hit["id"] for hit in answer}
                sure = {str(r) for s, r in zip(near, row, strict=True) if s > near[K - 1] + 1e-6}
                possible = {str(r) for s, r in zip(near, row, strict=True) if s >= near[K - 1] - 1e-6}
                assert len(mine) == K and sure <= mine <= possible
    name = f"{QUERIES:,} queries over {ROWS:,} x {DIM}, search part, CPU, {threads} thread, against FAISS"
    assert report(name, ours, peer, 1.15) <= 1.15
