"""Intervals and randomization tests over 10,000 queries beside SciPy's, one thread."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from mmr.evaluate.doubt import differences, interval, randomization
from tests.benchmarks.measure import cpu, report

pytestmark = pytest.mark.bench
QUERIES, RESAMPLES, FLIPS = 10_000, 10_000, 100_000
PEER_FLIPS = 2_000  # SciPy needs minutes for all of them; its cost grows in step


def values(seed: int):
    return np.random.default_rng(seed).beta(2, 3, QUERIES)


def test_bca_interval_against_scipy():
    interval(values(0)[:100])
    ours, ends = cpu(lambda: interval(values(0), resamples=RESAMPLES))
    peer, theirs = cpu(
        lambda: scipy.stats.bootstrap((values(0),), np.mean, n_resamples=RESAMPLES, batch=100, rng=0)
    )
    assert ends == pytest.approx(tuple(theirs.confidence_interval), abs=3e-4)
    name = f"BCa interval of {QUERIES:,} values, {RESAMPLES:,} resamples, CPU, against SciPy"
    assert report(name, ours, peer, 1) <= 1


def test_randomization_against_scipy():
    d = differences(values(0), values(1))
    ours, outcome = cpu(lambda: randomization(d, resamples=FLIPS))
    peer, theirs = cpu(
        lambda: scipy.stats.permutation_test(
            (d,), np.mean, permutation_type="samples", n_resamples=PEER_FLIPS, batch=100, rng=0
        )
    )
    assert outcome.p == pytest.approx(theirs.pvalue, abs=5 * np.sqrt(0.25 / PEER_FLIPS))
    name = f"{FLIPS:,} random flips of {QUERIES:,} differences, CPU, against SciPy (from {PEER_FLIPS:,})"
    assert report(name, ours, peer * FLIPS / PEER_FLIPS, 0.1) <= 0.1
