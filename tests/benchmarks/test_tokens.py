"""Kind tokens: what vectors near the query's find of the exact search's hits, beside means and encodings."""

from __future__ import annotations

import numpy as np
import pytest

from mmr.arrays.maxsim import maxsim
from mmr.index import open_index, upsert
from mmr.index.search import Wanted, search
from mmr.stream.records import Record
from tests.benchmarks.measure import keep
from tests.benchmarks.test_muvera import FIGURES, FIRST, K, made_up, patches, row, words
from tests.benchmarks.test_rerank_quality import VECTORS
from tests.index.made import fail


@pytest.mark.bench
@pytest.mark.parametrize("make", [made_up, patches, words])
def test_what_near_vectors_find(tmp_path, make):
    if not VECTORS.is_dir():
        pytest.skip("needs the folder `shared` with real pictures beside the repository")
    name, items, asked = make(tmp_path)
    exact = maxsim(asked, items)
    best = np.argsort(-exact, axis=1, kind="stable")[:, :K]
    records = (Record({"id": str(i), "vectors": items[i]}) for i in range(len(items)))
    upsert(tmp_path / "x.mmr", records, reject=fail, kind="tokens:least=100,dtype=float32")
    queries = [Record({"id": f"q{i}", "vectors": asked[i]}) for i in range(len(asked))]
    numbers = round(items.rows.size / len(items))
    with open_index(tmp_path / "x.mmr") as index:
        for near in (30, 100, 300, 1000):
            hits = search(index, queries, Wanted(FIRST[-1], knobs={"score": "xtr", "near": near}))
            order = [[int(hit["id"]) for hit in one] for one in hits]
            found = np.array([[len(np.intersect1d(true, own[:first])) / K for first in FIRST]
                              for true, own in zip(best, order, strict=True)])  # fmt: skip
            keep(row(name, f"kind tokens, near={near}", numbers, found, 0), FIGURES,
                 ("set", "numbers", "setting"))  # fmt: skip
            assert found[:, -1].mean() > 0.3
