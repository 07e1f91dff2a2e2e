"""MaxSim on ready arrays beside the bare product of matrices, and sparse search beside SciPy's."""

from __future__ import annotations

import time

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from mmr.arrays.maxsim import maxsim
from mmr.arrays.ragged import ragged
from mmr.errors import raise_item
from mmr.index import open_index, upsert
from mmr.index.check import compact
from mmr.index.search import Wanted, places, search
from mmr.stream.records import Record
from tests.benchmarks.measure import report


def least(*functions, rounds=9):
    """Milliseconds of CPU of each function: the least of several rounds in turn."""
    found = np.full((rounds, len(functions)), np.inf)
    for round_ in range(rounds):
        for number, function in enumerate(functions):
            start = time.process_time()
            function()
            found[round_, number] = 1000 * (time.process_time() - start)
    return found.min(axis=0).tolist()


@pytest.mark.bench
def test_maxsim():
    rng = np.random.default_rng(0)
    documents, tokens, asked, d = 100, 779, 32, 128
    rows = rng.standard_normal((documents * tokens, d)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    query = rng.standard_normal((asked, d)).astype(np.float32)
    query /= np.linalg.norm(query, axis=1, keepdims=True)
    stored = ragged(rows, np.arange(0, len(rows) + 1, tokens))
    queries = ragged(query, [0, asked])
    ours, bare = least(lambda: maxsim(queries, stored), lambda: query @ rows.T)
    plain = (query @ rows.T).reshape(asked, documents, tokens).max(axis=2).sum(axis=0)
    assert maxsim(queries, stored)[0] == pytest.approx(plain, abs=1e-4)
    assert report("MaxSim of 32 rows and 100 x 779 rows of 128, beside the bare product", ours, bare, 1.5,
                  "ms") <= 1.5  # fmt: skip


def pages(path, items, tokens, d, dtype):
    """An index of items of so many random vectors, and their vectors (items, tokens, d) as it stores them."""
    rng = np.random.default_rng(0)

    def records():
        for number in range(items):
            rows = rng.standard_normal((tokens, d)).astype(np.float32)
            yield Record({"id": f"i{number}", "vectors": rows / np.linalg.norm(rows, axis=1, keepdims=True)})

    upsert(path, records(), reject=raise_item, kind=f"maxsim:dtype={dtype}")
    compact(path)
    return open_index(path)


@pytest.mark.bench
def test_maxsim_of_stored_items(tmp_path):
    documents, tokens, asked, d = 400, 779, 32, 128
    rng = np.random.default_rng(1)
    query = rng.standard_normal((asked, d)).astype(np.float32)
    query /= np.linalg.norm(query, axis=1, keepdims=True)
    with pages(tmp_path / "x.mmr", documents, tokens, d, "float32") as index:
        (segment,) = index.segments()
        some = np.arange(0, documents, 4)
        rows = np.concatenate([segment.beside[number] for number in some])
        queries = ragged(query, [0, asked])
        ours, bare = least(lambda: maxsim(queries, segment.beside, some), lambda: query @ rows.T)
        assert report("MaxSim of 32 rows and 100 x 779 rows of 128 out of an index, beside the bare product "
                      "of gathered ones", ours, bare, 1.5, "ms") <= 2  # fmt: skip


@pytest.mark.bench
@pytest.mark.parametrize(("dtype", "goal"), [("float32", 1), ("float16", 2.5), ("int8", 2)])
def test_search(tmp_path, dtype, goal):
    items, tokens, asked, d, k = 2000, 100, 16, 128, 10
    rng = np.random.default_rng(1)
    queries = rng.standard_normal((20, asked, d)).astype(np.float32)
    queries /= np.linalg.norm(queries, axis=2, keepdims=True)
    with pages(tmp_path / "x.mmr", items, tokens, d, dtype) as index:
        (segment,) = index.segments()
        held = [segment.beside[number] for number in range(items)]

        def loop(several):
            found = []
            for query in several:
                scores = np.array([(query @ rows.T).max(axis=1).sum() for rows in held])
                best = np.argpartition(-scores, k)[:k]
                found.append(best[np.argsort(-scores[best])])
            return found

        records = [Record({"id": f"q{i}", "vectors": rows}) for i, rows in enumerate(queries)]
        hits = search(index, records, Wanted(k))
        for one, other in zip(hits, loop(queries), strict=True):
            assert [hit["id"] for hit in one] == [f"i{number}" for number in other]
        for some, words in ((1, "one query"), (20, "20 queries at once")):
            ours, bare = least(lambda some=some: search(index, records[:some], Wanted(k)),
                               lambda some=some: loop(queries[:some]), rounds=5)  # fmt: skip
            report(f"Search of 2,000 items of 100 x 128 as {dtype}, {words} of 16, beside a loop of "
                   "products in NumPy", ours / some, bare / some, goal, "ms")  # fmt: skip


@pytest.mark.bench
@pytest.mark.parametrize("words", ["as often as words are", "each as often"])
def test_sparse(words, tmp_path):
    items, terms, vocabulary, k = 200_000, 64, 30_000, 10
    rng = np.random.default_rng(0)
    often = 1 / np.arange(10, vocabulary + 10) if words == "as often as words are" else np.ones(vocabulary)
    drawn = np.searchsorted(np.cumsum(often / often.sum()), rng.random(items * terms))
    key = np.unique(np.repeat(np.arange(items), terms) * vocabulary + np.minimum(drawn, vocabulary - 1))
    row, term = np.divmod(key, vocabulary)
    weight = rng.random(len(row)).astype(np.float32) + np.float32(0.01)
    names = np.array([f"t{place}" for place in range(vocabulary)], object)
    ends = np.searchsorted(row, np.arange(items + 1))

    def bag(number, weights):
        own = slice(ends[number], ends[number + 1])
        return dict(zip(names[term[own]].tolist(), weights[own].tolist(), strict=True))

    stream = (Record({"id": str(number), "sparse": bag(number, weight)}) for number in range(items))
    upsert(tmp_path / "x.mmr", stream, reject=raise_item, kind="sparse")
    by_term = csr_matrix((weight, (term, row)), shape=(vocabulary, items))
    asked, other = rng.integers(0, items, 10).tolist(), rng.random(len(row)).astype(np.float32)
    queries = [Record({"id": "q", "sparse": bag(number, other)}) for number in asked]
    vectors = [csr_matrix((other[own], (np.zeros(own.stop - own.start, np.int64), term[own])),
                          shape=(1, vocabulary))
               for own in (slice(ends[number], ends[number + 1]) for number in asked)]  # fmt: skip

    def theirs():
        return [vector @ by_term for vector in vectors]

    with open_index(tmp_path / "x.mmr") as index:
        index.segments()
        for one, product in zip(places(index, queries, Wanted(k)), theirs(), strict=True):
            assert one.score == pytest.approx(np.sort(product.data)[::-1][:k], rel=1e-5)
        ours, scipy = least(lambda: places(index, queries, Wanted(k)), theirs)
    report(f"Sparse search of an index, 200,000 x 64 terms, {words}, beside scipy's product",
           ours / len(queries), scipy / len(queries), 1, "ms")  # fmt: skip
