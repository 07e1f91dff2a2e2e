"""What keeping an index up to date costs beside building it."""

from __future__ import annotations

import numpy as np
import pytest

from mmr.index import upsert
from mmr.stream.records import Record
from tests.benchmarks.measure import cpu, report
from tests.index.made import fail, unit

ROWS, DIM, CHANGED = 100_000, 512, 1_000


def records(vectors, names):
    """Records as `embed` writes them."""
    for number, vector in zip(names, vectors, strict=True):
        image = f"photos/2024/{number:06d}.jpg"
        yield Record({
            "id": image, "image": image, "base": "/home/someone", "size": 100_000 + int(number),
            "mtime": 1.7e9 + int(number), "digest": f"{int(number):032x}", "vector": vector, "model": "m#1",
        })  # fmt: skip


@pytest.mark.bench
@pytest.mark.parametrize("kind", ["flat", "hnsw"])
def test_a_thousand_changed_rows_cost_a_tenth_of_a_rebuild_at_most(tmp_path, kind):
    vectors = unit(0, ROWS, DIM)
    rounds = []
    for turn in range(1 if kind == "hnsw" else 3):
        path = tmp_path / f"{turn}.mmr"
        built, _ = cpu(lambda path=path: upsert(path, records(vectors, range(ROWS)), reject=fail, kind=kind))
        chosen = np.random.default_rng(turn).choice(ROWS, CHANGED, replace=False)
        fresh = unit(turn + 1, CHANGED, DIM)
        changed, _ = cpu(lambda path=path, c=chosen, f=fresh: upsert(path, records(f, c), reject=fail))
        rounds.append((changed, built))
    ours, peer = (min(column) for column in zip(*rounds, strict=True))
    assert report(f"upsert of {CHANGED:,} in {ROWS:,} x {DIM}, {kind}, CPU", ours, peer, 0.1) <= 0.1
