"""Kind muvera: what encodings find of the exact search's hits, and their time beside bare NumPy."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import numpy as np
import pytest

from mmr.arrays.maxsim import maxsim
from mmr.arrays.muvera import Muvera
from mmr.arrays.ragged import Ragged, ragged, stacked
from mmr.index import open_index, upsert
from mmr.index.bags import mean_of
from mmr.index.muvera import Encodings
from mmr.index.search import Wanted, search
from mmr.index.table import parse
from mmr.stream.records import Record
from tests.benchmarks.measure import keep, report
from tests.benchmarks.test_many_vectors import least
from tests.benchmarks.test_rerank_quality import PICTURES, VECTORS, rows, sh
from tests.conftest import ROOT
from tests.index.made import fail

FIGURES = ROOT / "man" / "encodings.jsonl"
K, FIRST, ASKED = 10, (10, 50, 100), 200
SETTINGS = ((1, 4, 16, 0), (5, 4, 16, 0), (10, 4, 16, 0), (20, 4, 16, 0), (40, 4, 16, 0), (80, 4, 16, 0),
            (20, 3, 16, 0), (20, 5, 16, 0), (20, 4, 32, 0), (20, 4, 16, 1280), (80, 4, 16, 5120))  # fmt: skip


def unit(rows_: np.ndarray) -> np.ndarray:
    return (rows_ / np.linalg.norm(rows_, axis=-1, keepdims=True)).astype(np.float32)


def made_up(folder: Path) -> tuple[str, Ragged, Ragged]:
    """2,000 items of 40 vectors about a common one; a query is some of an item's, blurred."""
    rng = np.random.default_rng(0)
    about = rng.standard_normal((2000, 1, 128))
    items = unit(about + 1.5 * rng.standard_normal((2000, 40, 128)))
    asked = unit(items[:ASKED, :32] + 0.12 * rng.standard_normal((ASKED, 32, 128)))
    return ("made: 2,000 items of 40 vectors of 128, 32 of a query",
            ragged(items.reshape(-1, 128), np.arange(0, 80_001, 40)),
            ragged(asked.reshape(-1, 128), np.arange(0, 32 * ASKED + 1, 32)))  # fmt: skip


def read(path: Path) -> Ragged:
    records = [json.loads(line) for line in path.read_text().splitlines()]
    return stacked([np.array(record["vectors"], np.float32) for record in records if "vectors" in record])


def patches(folder: Path) -> tuple[str, Ragged, Ragged]:
    """Patches of photographs; other photographs ask."""
    for name, count in (("flickr8k_test", 1000), ("flickr8k_clip", ASKED)):
        (folder / name).mkdir()
        with tarfile.open(PICTURES / f"{name}.tar") as tar:
            tar.extractall(folder / name, filter="data", members=tar.getmembers()[:count])
        sh(f"mmr embed -q --tokens {name} > {name}.jsonl", folder)
    items, asked = (read(folder / f"{name}.jsonl") for name in ("flickr8k_test", "flickr8k_clip"))
    return (f"Flickr8k, built-in encoder: {len(items):,} pictures of 16 patches, another picture asks", items,
            asked)  # fmt: skip


def words(folder: Path) -> tuple[str, Ragged, Ragged]:
    """Words of four captions of a picture each; those of the fifth ask."""
    captions = [[text.split() for text in row["captions"]] for row in rows("flickr8k_test.jsonl", PICTURES)]
    known = sorted({word for of in captions for text in of for word in text})
    (folder / "w.jsonl").write_text("".join(json.dumps({"text": word}) + "\n" for word in known))
    sh("mmr embed -q --queries w.jsonl > v.jsonl", folder)
    lines = map(json.loads, (folder / "v.jsonl").read_text().splitlines())
    vectors = {line["text"]: np.array(line["vector"], np.float32) for line in lines if "vector" in line}
    items = stacked(
        [np.stack([vectors[w] for text in of[1:] for w in text if w in vectors]) for of in captions]
    )
    asked = stacked([np.stack([vectors[w] for w in of[0] if w in vectors]) for of in captions[:ASKED]])
    mean = len(items.rows) / len(items)
    return (f"Flickr8k captions, built-in encoder: {len(items):,} items of {mean:.0f} words, a caption asks",
            items, asked)  # fmt: skip


def shares(scores: np.ndarray, exact: np.ndarray) -> np.ndarray:
    """The share of each query's ten best by `exact` that is among its first 10, 50, 100: (q, 3)."""
    true = np.argsort(-exact, axis=1, kind="stable")[:, :K]
    order = np.argsort(-scores, axis=1, kind="stable")
    return np.array([[len(np.intersect1d(t, o[:first])) / K for first in FIRST]
                     for t, o in zip(true, order, strict=True)])  # fmt: skip


def row(name: str, setting: str, numbers: int, found: np.ndarray, ms: float) -> dict[str, object]:
    """A line of the table, with the interval of the last share over the queries."""
    mean, reach = found.mean(axis=0), 1.96 * found[:, -1].std(ddof=1) / np.sqrt(len(found))
    one = {"set": name, "setting": setting, "numbers": numbers, "queries": len(found),
           **{f"first_{first}": round(100 * float(x), 1) for first, x in zip(FIRST, mean, strict=True)},
           "low": round(100 * float(mean[-1] - reach), 1), "high": round(100 * float(mean[-1] + reach), 1),
           "ms": round(ms, 3)}  # fmt: skip
    print(one)
    return one


def coded(folder: Path, name: str, items: Ragged, asked: Ragged, exact: np.ndarray) -> dict[str, object]:
    """What codes of 4 bits find, of encodings with the default settings."""
    kind, params = Encodings(), parse("muvera")[1]
    kind.train(items, None, len(items), params, folder / "trained")
    kind.write(items, params, folder / "codes", folder / "trained")
    queries = kind.asked(asked, params)
    rows_ = kind.proposed(folder / "codes", len(items), queries, None, FIRST[-1], params, lambda *_: [])
    place = np.zeros((len(asked), len(items)))
    np.put_along_axis(place, np.stack(rows_), np.arange(FIRST[-1], 0, -1.0)[None], axis=1)
    return row(name, "reps=20,ksim=4,dproj=16,under=pq", kind.asked(asked, params).shape[1],
               shares(place, exact), 0)  # fmt: skip


@pytest.mark.bench
@pytest.mark.parametrize("make", [made_up, patches, words])
def test_what_encodings_find(tmp_path, make):
    if not VECTORS.is_dir():
        pytest.skip("needs the folder `shared` with real pictures beside the repository")
    name, items, asked = make(tmp_path)
    exact = maxsim(asked, items)
    queries, means = (np.stack([mean_of(bags[i]) for i in range(len(bags))]) for bags in (asked, items))
    out = [row(name, "mean of the vectors", means.shape[1], shares(queries @ means.T, exact), 0)]
    for reps, ksim, dproj, final in SETTINGS:
        how = Muvera(items.rows.shape[1], reps, ksim, dproj, final=final or None)
        queries = np.stack([how.query(asked[i]) for i in range(len(asked))])
        (took,) = least(lambda how=how: how.documents(items, np.arange(100)), rounds=2)
        found = shares(queries @ how.documents(items, np.arange(len(items))).T, exact)
        setting = f"reps={reps},ksim={ksim},dproj={dproj}" + (f",final={final}" if final else "")
        out.append(row(name, setting, how.length, found, took / 100))
    out.append(coded(tmp_path, name, items, asked, exact))
    for one in out:
        keep(one, FIGURES, ("set", "numbers", "setting"))
    of = [one["first_100"] for one in out[1:7]]
    assert of == sorted(of), "more repetitions find more"


def bare(how: Muvera, rows_: np.ndarray) -> np.ndarray:
    """One document, as NumPy does it in a few lines."""
    spread = np.zeros((how.reps, how.dim, how.width))
    np.put_along_axis(spread, how.column[:, :, None], how.sign[:, :, None], axis=2)
    wide = rows_.astype(np.float64)
    sides = np.matmul(how.planes, wide.T) > 0
    bits = np.zeros((how.reps, len(rows_)), np.int64)
    number = np.zeros_like(bits)
    for side in sides.transpose(1, 0, 2).astype(np.int64):
        bits, number = 2 * bits + side, 2 * number + (side ^ (number & 1))
    member = (number[:, None, :] == np.arange(how.block)[:, None]).astype(np.float64)
    projected, counts = wide @ spread, member.sum(axis=2, keepdims=True)
    code = np.arange(how.block)
    wrong = np.bitwise_count(bits[:, None, :] ^ (code ^ (code >> 1))[:, None])
    nearest = np.take_along_axis(projected, wrong.argmin(axis=2)[:, :, None], axis=1)
    found = np.where(counts > 0, member @ projected / np.maximum(counts, 1), nearest)
    return found.ravel().astype(np.float32)


@pytest.mark.bench
@pytest.mark.parametrize("tokens", [40, 779])
def test_encoding(tokens):
    rng = np.random.default_rng(0)
    count = 8000 // tokens
    items = ragged(unit(rng.standard_normal((count * tokens, 128))), np.arange(0, count * tokens + 1, tokens))
    how, every = Muvera(128), np.arange(count)
    ours, peer = least(lambda: how.documents(items, every),
                       lambda: np.stack([bare(how, items[i]) for i in range(count)]), rounds=5)  # fmt: skip
    assert how.documents(items, every) == pytest.approx(np.stack([bare(how, items[i]) for i in range(count)]),
                                                        abs=1e-5)  # fmt: skip
    report(
        f"Encodings of 5,120 numbers of items of {tokens} x 128, an item, beside NumPy one by one",
        ours / count,
        peer / count,
        1,
        "ms",
    )


@pytest.mark.bench
@pytest.mark.parametrize("kept", ["dtype=float32,under=flat", "dtype=float16,under=flat", "under=pq"])
def test_search(tmp_path, kept):
    items, tokens, asked, refine = 5000, 40, 16, 10
    rng = np.random.default_rng(0)
    about = rng.standard_normal((items, 1, 128))
    whole = unit(about + rng.standard_normal((items, tokens, 128)))
    queries = unit(about[:20] + rng.standard_normal((20, asked, 128)))
    path = tmp_path / "x.mmr"
    upsert(path, (Record({"id": f"i{i:04}", "vectors": rows_}) for i, rows_ in enumerate(whole)), reject=fail,
           kind=f"muvera:least=100,{kept},refine={refine}")  # fmt: skip
    how = Muvera(128)
    stored = how.documents(ragged(whole.reshape(-1, 128), np.arange(0, items * tokens + 1, tokens)),
                           np.arange(items))  # fmt: skip
    records = [Record({"id": f"q{i}", "vectors": rows_}) for i, rows_ in enumerate(queries)]

    def alone(several):
        encoded = np.stack([how.query(query) for query in several])
        first = np.argpartition(-(encoded @ stored.T), refine * K, axis=1)[:, : refine * K]
        found = []
        for query, chosen in zip(several, first, strict=True):
            scores = (
                (query @ whole[chosen].reshape(-1, 128).T).reshape(asked, -1, tokens).max(axis=2).sum(axis=0)
            )
            found.append(chosen[np.argsort(-scores)[:K]])
        return found

    with open_index(path) as index:
        hits = search(index, records, Wanted(K))
        for one, other in zip(hits, alone(queries), strict=True):
            assert len({hit["id"] for hit in one} & {f"i{i:04}" for i in other}) >= K - 1
        for some, said in ((1, "one query"), (20, "20 queries at once")):
            ours, peer = least(lambda some=some: search(index, records[:some], Wanted(K)),
                               lambda some=some: alone(queries[:some]), rounds=5)  # fmt: skip
            report(f"muvera over 5,000 items of 40 x 128, {kept}, 100 compared, {said} of 16, beside "
                   "NumPy with float32 encodings", ours / some, peer / some, 2, "ms")  # fmt: skip
