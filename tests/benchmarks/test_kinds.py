"""Kinds beside raw FAISS with the same factory string and its own Refine: recall, bytes, build, search."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from tests.benchmarks.measure import KINDS, cpu, keep, machine, report
from tests.conftest import SHARED

pytestmark = pytest.mark.bench
ROWS, DIM, QUERIES, K, TIMES, TRAIN = 100_000, 128, 1000, 10, 5, 65_536
OPQ_ROUNDS = 10  # FAISS's own 50 give the same recall after refining, and cost minutes


class Peer(NamedTuple):
    """A kind, FAISS's string for it with {} for values of d, its refine factor and lists read, if any."""

    kind: str
    string: str
    refine: int = 0
    probe: int = 0


def peers(dim: int, lists: int) -> tuple[Peer, ...]:
    """The kinds for vectors of `dim` numbers; codes of BEBR and bits have no string, but a nearest one."""
    half, quarter, probe = dim // 2, dim // 4, min(32, lists // 2)
    return (
        Peer("hnsw", "HNSW32"),
        Peer("hnswsq8:refine=2", "HNSW32_SQ8,Refine(Flat)", 2),
        Peer("sq8:refine=2", "SQ8,Refine(Flat)", 2),
        Peer("pq:refine=4", f"PQ{half}x4fs,Refine(Flat)", 4),
        Peer("pq:opq=yes,refine=4", f"OPQ{half},PQ{half}x4fs,Refine(Flat)", 4),
        Peer("rabitq:refine=10", f"RR{dim},RaBitQfs,Refine(Flat)", 10),
        Peer("rabitq:bits=4,refine=2", f"RR{dim},RaBitQ4,Refine(Flat)", 2),
        Peer("binary:refine=20", "BFlat", 20),
        Peer("bebr:refine=5", f"RR{dim},RaBitQ2,Refine(Flat)", 5),
        Peer("svd:refine=10", f"PCA{quarter},SQ8,Refine(Flat)", 10),
        Peer(f"ivfflat:lists={lists},probe={probe // 2}", f"IVF{lists},Flat", 0, probe // 2),
        Peer(f"ivfpq:lists={lists},probe={probe},refine=4",
             f"IVF{lists},PQ{half}x4fsr,Refine(Flat)", 4, probe),
        Peer(f"ivfpq:lists={lists},probe={probe},opq=yes,refine=4",
             f"OPQ{half},IVF{lists},PQ{half}x4fsr,Refine(Flat)", 4, probe),
    )  # fmt: skip


def clustered(seed: int, count: int):
    """Unit vectors around 2,000 centres with a falling spectrum, the same centres for every seed."""
    scale = np.arange(1, DIM + 1, dtype=np.float32) ** -0.35
    centres = np.random.default_rng(0).standard_normal((2000, DIM), dtype=np.float32)
    rng = np.random.default_rng(seed)
    x = centres[rng.integers(0, 2000, count)] + 0.6 * rng.standard_normal((count, DIM), dtype=np.float32)
    x *= scale
    return x / np.linalg.norm(x, axis=1, keepdims=True)


class Made(NamedTuple):
    """A flat index of the rows, the rows, queries, others for training, and the queries' nearest rows."""

    path: Path
    x: Any
    q: Any
    bank: Any
    truth: Any


def make(path: Path, x, q, bank) -> Made:
    from mmr.index import upsert
    from mmr.stream.records import Record

    upsert(path, (Record({"id": str(i), "vector": v}) for i, v in enumerate(x)), reject=pytest.fail)
    near = [np.argpartition(-(q[i : i + 100] @ x.T), K, axis=1)[:, :K] for i in range(0, len(q), 100)]
    return Made(path, x, q, bank, np.concatenate(near))


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Made:
    return make(tmp_path_factory.mktemp("kinds") / "x.mmr", clustered(1, ROWS), clustered(2, QUERIES), None)


def unit(file: Path):
    x = np.load(file).astype(np.float32)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def fashion(tmp_path_factory) -> Made:
    """Words ask for pictures: half of the words are known beforehand, the others ask, over and over."""
    folder = SHARED / "data" / "embeddings" / "fashion_pairs1126"
    if not folder.is_dir():
        pytest.skip("needs the folder `shared` with real vectors beside the repository")
    words = unit(folder / "texts.npy")
    asked = np.resize(words[1::2], (QUERIES, words.shape[1]))
    return make(tmp_path_factory.mktemp("real") / "x.mmr", unit(folder / "images.npy"), asked, words[::2])


def recall(rows, truth) -> float:
    pairs = zip(rows.tolist(), truth.tolist(), strict=True)
    return sum(len(set(a) & set(b)) for a, b in pairs) / truth.size


def raw(peer: Peer, x) -> tuple[Callable[[Any], Any], int]:
    """How FAISS's own index of a factory string answers queries, and its bytes without whole vectors."""
    import faiss

    if peer.string == "BFlat":
        return _bits(peer.refine, x)
    dim = x.shape[1]
    index = faiss.index_factory(dim, peer.string, faiss.METRIC_INNER_PRODUCT)
    base = faiss.downcast_index(index.base_index) if peer.refine else index
    if peer.string.startswith("OPQ"):
        turn = faiss.downcast_VectorTransform(base.chain.at(0))
        codes = faiss.ProductQuantizer(dim, dim // 2, 4)
        turn.niter, turn.pq = OPQ_ROUNDS, codes
    index.train(x[:TRAIN])
    index.add(x)
    if peer.refine:
        index.k_factor = peer.refine
    if peer.probe:
        faiss.extract_index_ivf(base).nprobe = peer.probe
    if peer.string.startswith("HNSW"):
        base.hnsw.efSearch = 64
    size = faiss.serialize_index(base).size
    if peer.string.startswith("OPQ"):
        turn.pq = None
    return lambda q: index.search(q, K)[1], size


def _bits(refine: int, x) -> tuple[Callable[[Any], Any], int]:
    """FAISS's binary index of sign bits, and its own products for the second stage."""
    import faiss

    codes = faiss.IndexBinaryFlat(x.shape[1])
    codes.add(np.packbits(x > 0, axis=1))

    def search(q):
        _, rows = codes.search(np.packbits(q > 0, axis=1), refine * K)
        scores = np.empty(rows.shape, np.float32)
        faiss.fvec_inner_products_by_idx(*map(faiss.swig_ptr, (scores, q, x, rows)), x.shape[1], *rows.shape)
        best = np.argpartition(-scores, K, axis=1)[:, :K]
        return np.take_along_axis(rows, best, axis=1)

    return search, codes.ntotal * codes.code_size


def compare(made: Made, peer: Peer, name: str) -> None:
    """Build and search both in one process, each search in turn; keep and print the figures."""
    import faiss

    from mmr.index import open_index
    from mmr.index.check import rebuild
    from mmr.index.search import Wanted, allowed_rows, find, names_of
    from mmr.stream.records import Record

    faiss.omp_set_num_threads(1)
    known = (
        () if made.bank is None else [Record({"id": str(i), "vector": v}) for i, v in enumerate(made.bank)]
    )
    spec = f"{peer.kind}{',' if ':' in peer.kind else ':'}least=2"
    built, _ = cpu(lambda: rebuild(made.path, kind=spec, queries=known))
    peer_built, (ask, peer_size) = cpu(lambda: raw(peer, made.x))
    with open_index(made.path) as index:
        segments = index.segments()
        size = sum(one.structure.stat().st_size for one in segments)
        allowed, names = allowed_rows(index, segments, ()), names_of(index, segments)

        def ours():
            return find(segments, allowed, made.q, K, names, index, Wanted(K)).row

        found, others = ours(), ask(made.q)
        times = [(cpu(ours)[0], cpu(lambda: ask(made.q))[0]) for _ in range(TIMES)]
    mine, theirs = (min(column) for column in zip(*times, strict=True))
    reached, other = recall(found, made.truth), recall(others, made.truth)
    count = len(made.x)
    print(f"\n{peer.kind}: recall {reached:.4f} against {other:.4f}, {size / count:.0f} bytes a vector,")
    print(f"built in {built:.1f} s against {peer_built:.1f} s, {QUERIES / mine:,.0f} queries a CPU second")
    what = f"{QUERIES:,} queries over {name} by {peer.kind}, CPU, against FAISS {peer.string}"
    report(what, mine, theirs, 1.25)
    keep(
        {
            "set": name, "kind": peer.kind, "string": peer.string, "recall": round(reached, 4),
            "peer_recall": round(other, 4), "bytes": round(size / count),
            "peer_bytes": round(peer_size / count), "built": round(built, 2),
            "peer_built": round(peer_built, 2), "queries": round(QUERIES / mine),
            "peer_queries": round(QUERIES / theirs), "machine": machine(),
        },
        KINDS, ("set", "kind"),
    )  # fmt: skip
    assert reached >= other - 0.01


@pytest.mark.parametrize("peer", peers(DIM, 1024), ids=lambda peer: peer.kind)
def test_a_kind_beside_faiss(made, peer):
    compare(made, peer, f"{ROWS:,} x {DIM}")


@pytest.mark.parametrize("peer", peers(512, 16), ids=lambda peer: peer.kind)
def test_a_kind_beside_faiss_on_words_and_pictures(fashion, peer):
    compare(fashion, peer, f"{len(fashion.x):,} x 512, words for pictures")
