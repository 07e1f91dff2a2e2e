"""What `auto` chooses beside the other kinds: time, bytes and building at a recall of .99; memory."""

from __future__ import annotations

import os
import time

import numpy as np
import pytest

from tests.benchmarks.measure import RESULTS, cpu, keep, machine
from tests.benchmarks.test_codes import unit
from tests.conftest import SHARED

PLANS = RESULTS.with_name("plans.jsonl")
MILLION = "clustered, a million"
WANTED, ASKED, BLOCK = 0.99, 300, 20_000
KINDS = ("pq", "pq:m={quarter},opq=yes", "ivfpq", "hnsw", "hnswsq8", "rabitq", "binary", "bebr")
OF_A_MILLION = ("pq", "ivfpq", "hnsw")


def clustered(seed: int, count: int, dim: int, centres: int = 2000):
    """Unit vectors around centres with a falling spectrum, the same centres for every seed."""
    scale = np.arange(1, dim + 1, dtype=np.float32) ** -0.35
    middle = np.random.default_rng(0).standard_normal((centres, dim), dtype=np.float32)
    rng = np.random.default_rng(seed)
    x = np.empty((count, dim), np.float32)
    for start in range(0, count, BLOCK):
        block = x[start : start + BLOCK]
        block[:] = middle[rng.integers(0, centres, len(block))]
        block += 0.6 * rng.standard_normal(block.shape, dtype=np.float32)
        block *= scale
        block /= np.linalg.norm(block, axis=1, keepdims=True)
    return x


def pictures(seed: int, count: int):
    """Vectors between those of real pictures and their neighbours, spread as neighbours are; real words.

    1,376 pictures and 790 captions of a CLIP; each made picture lies between one of them and one of its 20
    nearest, with noise of the covariance of such differences.
    """
    folder = SHARED / "data" / "embeddings"
    if not folder.is_dir():
        pytest.skip("needs the folder `shared` with real vectors beside the repository")
    flickr, albums = folder / "flickr8k_clip_vitb32_pairs", folder / "albums290_clip_vitb32"
    more = folder / "flickr8k_clip_vitb32_images986"
    real = unit(flickr / "images.npy", more / "images.npy", albums / "images.npy")
    words = unit(flickr / "texts.npy", albums / "texts.npy")
    score = real @ real.T
    np.fill_diagonal(score, -2)
    near = np.argsort(-score, axis=1)[:, :20]
    apart = np.repeat(real, 5, axis=0) - real[near[:, :5].ravel()]
    spread = np.linalg.cholesky(np.cov(apart.T) + 1e-6 * np.eye(real.shape[1])).astype(np.float32)
    rng = np.random.default_rng(seed)
    x = np.empty((count, real.shape[1]), np.float32)
    for start in range(0, count, BLOCK):
        block = x[start : start + BLOCK]
        one = rng.integers(0, len(real), len(block))
        other = near[one, rng.integers(0, 20, len(block))]
        share = rng.random((len(block), 1), dtype=np.float32)
        block[:] = real[one] + share * (real[other] - real[one])
        block += 0.4 * rng.standard_normal(block.shape, dtype=np.float32) @ spread.T
        block /= np.linalg.norm(block, axis=1, keepdims=True)
    return x, words[np.random.default_rng(3).permutation(len(words))[:ASKED]]


def made(name: str):
    """(vectors, queries) of a set."""
    if name.startswith("clustered"):
        return clustered(1, 1_000_000 if name == MILLION else 100_000, 128), clustered(2, ASKED, 128)
    x, words = pictures(0, 100_000)
    return x, words if name.endswith("words") else pictures(7, ASKED)[0]


@pytest.mark.parametrize(
    "name",
    [
        *(pytest.param(name, marks=pytest.mark.bench)
          for name in ("clustered", "pictures by words", "pictures by pictures")),
        pytest.param(MILLION, marks=pytest.mark.large),
    ],
)  # fmt: skip
def test_what_auto_could_have_chosen(name, tmp_path, monkeypatch):
    from mmr.index import open_index, plan, upsert
    from mmr.index.check import rebuild
    from mmr.index.settings import choose, walk
    from mmr.stream.records import Record

    x, asked = made(name)
    rows, dim = x.shape
    path, queries = tmp_path / "x.mmr", [Record({"id": f"q{i}", "vector": v}) for i, v in enumerate(asked)]
    upsert(path, (Record({"id": str(i), "vector": v}) for i, v in enumerate(x)), reject=pytest.fail)
    monkeypatch.setattr("mmr.index.check.measure", lambda *_: None)
    said = f"{rows:,} x {dim}, {name.split(',')[0]}"
    rebuild(path)
    for spec in (one.format(quarter=dim // 4) for one in (OF_A_MILLION if name == MILLION else KINDS)):
        built, meta = cpu(lambda spec=spec: rebuild(path, kind=spec))
        with open_index(path) as index:
            found, exact = walk(index, queries)
            size = sum(one.structure.stat().st_size for one in index.segments()) / rows
        best = choose(found, WANTED)
        told = ",".join(f"{key}={value}" for key, value in best.knobs.items())
        print(f"\n{said}: {spec}, {told}: {best.recall:.4f}, {best.seconds * 1e3:.3f} ms, exact "
              f"{exact.seconds * 1e3:.3f} ms, {size:.0f} bytes, built in {built:.1f} s")  # fmt: skip
        keep(
            {"set": said, "kind": spec, "setting": told, "recall": best.recall,
             "ms": round(best.seconds * 1e3, 4), "exact_ms": round(exact.seconds * 1e3, 4),
             "bytes": round(size, 1), "built": round(built, 2), "machine": machine()},
            PLANS, ("set", "kind"),
        )  # fmt: skip
        expected = plan.seconds(meta.kind, rows, dim, meta.params)
        assert expected / 4 - 1 < built < 4 * expected + 1, "the plan's time is no more than four times off"


@pytest.mark.bench
@pytest.mark.parametrize("spec", ["pq", "hnsw", "ivfpq", "sq8", "rabitq", "binary:code=itq", "pq:opq=yes"])
def test_building_takes_no_more_memory_than_was_planned(spec, tmp_path):
    """What building over 200,000 x 128 adds to the process's memory at most, against `holds`."""
    from mmr.index.table import adapter, parse

    np.save(tmp_path / "x.npy", clustered(1, 200_000, 128))
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        os.write(writing, b"%d" % _grown(spec, tmp_path))
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as answer:
        grown = int(answer.read())
    os.waitpid(child, 0)
    row, params = parse(spec)
    planned = adapter(row.name).holds(128, 200_000, params)
    print(f"\n{spec}: {grown >> 20} MiB, planned {planned >> 20} MiB")
    assert grown <= 1.1 * planned + (64 << 20)


def _grown(spec: str, folder) -> int:
    """Bytes of anonymous memory that training and building add at most, sampled by a thread."""
    import threading

    import faiss

    from mmr.index.table import adapter, parse

    faiss.omp_set_num_threads(1)
    row, params = parse(spec)
    kind, x, most, done = adapter(row.name), np.load(folder / "x.npy", mmap_mode="r"), [0], threading.Event()

    def anonymous() -> int:
        with open("/proc/self/status") as file:
            return next(int(line.split()[1]) << 10 for line in file if line.startswith("RssAnon"))

    def watch() -> None:
        while not done.is_set():
            most[0] = max(most[0], anonymous())
            time.sleep(0.002)

    before, thread = anonymous(), threading.Thread(target=watch)
    thread.start()
    trained = folder / "trained" if kind.needs(128, params) else None
    if trained is not None:
        sample = np.array(x[: kind.takes(len(x), params)])
        kind.train(sample, None, len(x), params, trained)
    kind.write(x, params, folder / "made", trained)
    done.set()
    thread.join()
    return most[0] - before
