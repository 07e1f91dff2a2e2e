"""Kinds beside raw FAISS with the same factory string and its own Refine: recall, bytes, build, search."""

from __future__ import annotations

import numpy as np
import pytest

from tests.benchmarks.measure import cpu, report

pytestmark = pytest.mark.bench
ROWS, DIM, QUERIES, K, TIMES, TRAIN = 100_000, 128, 1000, 10, 3, 65_536
# kind, FAISS's string, and its refine factor and lists read where it has them
KINDS = (
    ("hnsw", "HNSW32", 0, 0),
    ("sq8:refine=2", "SQ8,Refine(Flat)", 2, 0),
    ("pq:refine=4", "PQ64x4fs,Refine(Flat)", 4, 0),
    ("rabitq:refine=10", "RR128,RaBitQfs,Refine(Flat)", 10, 0),
    ("ivfflat:lists=1024,probe=16", "IVF1024,Flat", 0, 16),
    ("ivfpq:lists=1024,probe=32,refine=4", "IVF1024,PQ64x4fsr,Refine(Flat)", 4, 32),
)  # fmt: skip


def clustered(seed: int, count: int):
    """Unit vectors around 2,000 centres with a falling spectrum, the same centres for every seed."""
    scale = np.arange(1, DIM + 1, dtype=np.float32) ** -0.35
    centres = np.random.default_rng(0).standard_normal((2000, DIM), dtype=np.float32)
    rng = np.random.default_rng(seed)
    x = centres[rng.integers(0, 2000, count)] + 0.6 * rng.standard_normal((count, DIM), dtype=np.float32)
    x *= scale
    return x / np.linalg.norm(x, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A flat index of the rows, the queries, and their nearest rows."""
    from mmr.index import upsert
    from mmr.stream.records import Record

    path, x, q = tmp_path_factory.mktemp("kinds") / "x.mmr", clustered(1, ROWS), clustered(2, QUERIES)
    upsert(path, (Record({"id": str(i), "vector": v}) for i, v in enumerate(x)), reject=pytest.fail)
    near = [np.argpartition(-(q[i : i + 100] @ x.T), K, axis=1)[:, :K] for i in range(0, QUERIES, 100)]
    return path, x, q, np.concatenate(near)


def recall(rows, truth) -> float:
    pairs = zip(rows.tolist(), truth.tolist(), strict=True)
    return sum(len(set(a) & set(b)) for a, b in pairs) / truth.size


def best(function):
    """The least CPU seconds of three calls after one, and what they returned."""
    function()
    runs = [cpu(function) for _ in range(TIMES)]
    return min(spent for spent, _ in runs), runs[0][1]


def raw(string: str, refine: int, probe: int, x):
    """FAISS's own index of a factory string, filled."""
    import faiss

    index = faiss.index_factory(DIM, string, faiss.METRIC_INNER_PRODUCT)
    index.train(x[:TRAIN])
    index.add(x)
    base = index
    if refine:
        index.k_factor = refine
        base = faiss.downcast_index(index.base_index)
    if probe:
        faiss.extract_index_ivf(base).nprobe = probe
    if string.startswith("HNSW"):
        index.hnsw.efSearch = 64
    return index


@pytest.mark.parametrize(("kind", "string", "refine", "probe"), KINDS)
def test_a_kind_beside_faiss(made, kind, string, refine, probe):
    import faiss

    from mmr.index import open_index
    from mmr.index.check import rebuild
    from mmr.index.search import Wanted, _allowed, _find, _names

    faiss.omp_set_num_threads(1)
    path, x, q, truth = made
    built, _ = cpu(lambda: rebuild(path, kind=kind))
    peer_built, peer = cpu(lambda: raw(string, refine, probe, x))
    with open_index(path) as index:
        segments = index.segments()
        size = sum(one.structure.stat().st_size for one in segments) / ROWS
        allowed, names = _allowed(index, segments, ()), _names(index, segments)
        ours, found = best(lambda: _find(segments, allowed, q, K, names, index, Wanted(K)))
    theirs, (_, rows) = best(lambda: peer.search(q, K))
    mine, other = recall(found.row, truth), recall(rows, truth)
    print(f"\n{kind}: recall {mine:.4f} against {other:.4f}, {size:.0f} bytes a vector,")
    print(f"built in {built:.1f} s against {peer_built:.1f} s, {QUERIES / ours:,.0f} queries a CPU second")
    report(
        f"{QUERIES:,} queries over {ROWS:,} x {DIM} by {kind}, CPU, against FAISS {string}",
        ours,
        theirs,
        1.25,
    )
    assert mine >= other - 0.01
