"""MaxSim on ready arrays beside the bare product of matrices, and sparse search beside SciPy's."""

from __future__ import annotations

import time

import numpy as np
import pytest

from mmr.arrays.maxsim import maxsim
from mmr.arrays.ragged import ragged
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
