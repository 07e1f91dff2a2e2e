"""Start-up is a feature: what the first byte costs, as whole processes."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from tests.benchmarks.measure import interleaved, report, run

pytestmark = pytest.mark.bench
MMR = str(Path(sys.executable).parent / "mmr")


def test_help_against_importing_click():
    ours, peer = interleaved(15, [MMR, "--help"], [sys.executable, "-c", "import click"])
    assert report("mmr --help, wall, against `import click`", ours.wall, peer.wall, 2.5) <= 2.5


@pytest.fixture(scope="module")
def big(tmp_path_factory):
    """An index of 100,000 x 512, and one query vector."""
    folder = tmp_path_factory.mktemp("big")
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((100_000, 512), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    np.save(folder / "x.npy", vectors)
    np.save(folder / "q.npy", vectors[:1])
    run(f"{MMR} index -q {folder}/x.mmr {folder}/x.npy")
    return folder


def test_first_hit_with_a_ready_vector(big):
    torch = pytest.importorskip("torch", reason="the peer is `import torch`: pip install 'mmr[clip]'")
    query = [MMR, "query", str(big / "x.mmr"), "--from", str(big / "q.npy")]
    ours, peer = interleaved(7, query, [sys.executable, "-c", "import torch"])
    assert torch and report("first hit, 100,000 x 512, ready vector, against `import torch`",
                            ours.wall, peer.wall, 0.35) <= 0.35  # fmt: skip


def test_first_hit_stays_under_150_megabytes_of_anonymous_memory(big):
    run(f"ulimit -d 153600; {MMR} query {big}/x.mmr --from {big}/q.npy")


def test_first_hit_of_a_text_query(big, tmp_path):
    torch = pytest.importorskip("torch", reason="the peer is `import torch`: pip install 'mmr[clip]'")
    from mmr.encoders import load, model_name

    encoder = load("builtin")
    rng = np.random.default_rng(0)
    np.save(tmp_path / "x.npy", rng.standard_normal((100_000, encoder.dim), dtype=np.float32))
    index = tmp_path / "x.mmr"
    run(f"{MMR} index -q {index} {tmp_path}/x.npy --model {model_name(encoder)}")
    ours, peer = interleaved(
        7, [MMR, "query", str(index), "a red apple"], [sys.executable, "-c", "import torch"]
    )
    assert torch and report("first hit, 100,000 x 256, built-in text query, against `import torch`",
                            ours.wall, peer.wall, 0.5) <= 0.5  # fmt: skip
