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
from mmr.index.search import Wanted, places
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
