"""Fitting beside the bare matrix product of the same blocks, which it cannot do without."""

from __future__ import annotations

import numpy as np
import pytest

from mmr.normalize import method as machinery
from mmr.normalize.method import Banks, described
from mmr.normalize.table import checked, method
from tests.benchmarks.measure import cpu, report

ITEMS, BANK, DIM = 40_000, 10_000, 512


def unit(generator, rows):
    x = generator.standard_normal((rows, DIM), dtype=np.float32)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def vectors():
    generator = np.random.default_rng(0)
    return unit(generator, ITEMS), unit(generator, BANK)


def blocks(gallery):
    return (gallery[start : start + 4096] for start in range(0, ITEMS, 4096))


@pytest.mark.bench
@pytest.mark.parametrize("name", ["nnn", "csls", "is", "nicdm", "zscore"])
def test_fit_beside_the_bare_product(name, vectors):
    gallery, bank = vectors
    row, fitter = method(name)
    params = checked(row, {})

    def bare():
        for block in machinery.cut(blocks(gallery), BANK):
            block @ bank.T

    def fitted():
        described(fitter, blocks(gallery), Banks(bank), {}, params)

    rounds = [(cpu(fitted)[0], cpu(bare)[0]) for _ in range(3)]
    ours, peer = (min(column) for column in zip(*rounds, strict=True))
    title = f"fit {name}, {ITEMS:,} x {DIM}, bank of {BANK:,}, beside the bare product"
    assert report(title, ours, peer, 1.5) <= 1.5
