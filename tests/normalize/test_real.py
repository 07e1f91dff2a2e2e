"""On real vectors of CLIP models: what each method gains, beside what the research notes measured.

Halves: the bank is the captions of one half, the test the captions of the other over a disjoint gallery.
"""

from __future__ import annotations

import json
from functools import cache

import numpy as np
import pytest

from mmr.evaluate.hubness import hubness
from mmr.normalize.method import Banks
from tests.conftest import SHARED
from tests.normalize import naive
from tests.normalize.made import Fit

VECTORS = SHARED / "data" / "embeddings"
FASHION = "fashion_pairs1126"
SEEDS = 10

pytestmark = pytest.mark.skipif(
    not VECTORS.is_dir(), reason="needs the folder `shared` with real vectors beside the repository"
)

# change of R@1 in points: A, Flickr8k captions over 538 pictures; C and D, fashion words and pictures
MEASURED = {
    ("nnn", 16): (3.8, 1.2, 2.7), ("csls", 10): (3.8, 1.3, 2.7), ("gc", 0.25): (3.8, -0.1, 1.1),
    ("gc", 1.0): (1.9, -3.9, -2.1), ("is", 20.0): (2.4, 0.0, 1.0), ("is", 100.0): (-7.8, -3.9, -3.9),
    ("dis", 20.0): (0.6, 0.3, 0.8), ("nicdm", 10): (4.1, 1.1, 2.9), ("zscore", 0): (-5.0, -3.5, -2.7),
    ("mp", 0): (3.0, -0.3, 1.3), ("sinkhorn", 0.01): (-6.4, -1.2, -1.1),
}  # fmt: skip
FIRST = {"nnn": "neighbours", "csls": "neighbours", "gc": "alpha", "is": "beta", "dis": "beta",
         "nicdm": "neighbours", "sinkhorn": "tau"}  # fmt: skip
SPREAD = (3.5, 2, 2)  # points: how far means over other random halves may lie apart


def unit(name):
    x = np.load(VECTORS / name).astype(np.float32)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def pairs(folder, seed, words_asked):
    """Queries, gallery, bank, the place of each query's item, and items of the other half."""
    pictures, words = unit(f"{folder}/images.npy"), unit(f"{folder}/texts.npy")
    asked, gallery = (words, pictures) if words_asked else (pictures, words)
    half = np.random.default_rng(seed).permutation(len(asked))
    test, other = np.split(half, 2)
    return asked[test], gallery[test], asked[other], np.arange(len(test)), gallery[other]


def flickr(seed, words_asked=True):
    folder = "flickr8k_clip_vitb32_pairs"
    pictures, words = unit(f"{folder}/images.npy"), unit(f"{folder}/texts.npy")
    rows = [json.loads(line) for line in (VECTORS / folder / "texts.jsonl").read_text().splitlines()]
    of = np.array([row["image_row"] for row in rows])
    others = unit("flickr8k_clip_vitb32_images986/images.npy")
    others = others[(others @ pictures.T).max(axis=1) < 0.99]
    generator = np.random.default_rng(seed)
    half = generator.permutation(100)
    mixed = others[generator.permutation(len(others))]
    more, rest = mixed[:488], mixed[488:]
    place = {image: number for number, image in enumerate(half[:50])}
    test = np.isin(of, half[:50])
    truth = np.array([place[image] for image in of[test]])
    if not words_asked:
        first = [np.flatnonzero(truth == number) for number in range(50)]
        bank = np.vstack([pictures[half[50:]], rest])
        return pictures[half[:50]], words[test], bank, first, words[~test]
    other = np.vstack([pictures[half[50:]], rest])
    return words[test], np.vstack([pictures[half[:50]], more]), words[~test], truth, other


@cache
def settings(seed):
    return flickr(seed), pairs(FASHION, seed, True), pairs(FASHION, seed, False)


def figures(scores, truth):
    lists = [[str(j) for j in np.argsort(-row)[:10]] for row in scores]
    found = hubness(lists, 10, scores.shape[1])
    right = [np.isin(best, own).item() for best, own in zip(scores.argmax(axis=1), truth, strict=True)]
    return 100 * float(np.mean(right)), found.skewness, found.antihub_share


@pytest.mark.parametrize("name", MEASURED, ids=lambda name: f"{name[0]} {name[1]:g}")
def test_gains_are_those_that_were_measured(name):
    method, value = name
    params = {FIRST[method]: value} if method in FIRST else {}
    gains = np.zeros((SEEDS, 3))
    for seed in range(SEEDS):
        for column, (asked, gallery, bank, truth, _) in enumerate(settings(seed)):
            raw, corrected = asked @ gallery.T, Fit(method, gallery, bank, **params)(asked)
            gains[seed, column] = figures(corrected, truth)[0] - figures(raw, truth)[0]
    mean = gains.mean(axis=0)
    assert (np.abs(mean - MEASURED[name]) < SPREAD).all(), mean.round(2).tolist()


def test_nnn_lowers_skewness_and_brings_items_back():
    for asked, gallery, bank, truth, _ in settings(0):
        _, skewness, antihubs = figures(asked @ gallery.T, truth)
        _, after, left = figures(Fit("nnn", gallery, bank)(asked), truth)
        assert after < skewness
        assert left <= antihubs


@pytest.mark.parametrize("name", ["nnn", "csls", "gc", "is", "dis", "nicdm", "zscore", "mp"])
def test_formulas_hold_on_real_vectors(name):
    asked, gallery, bank = (x[:40].astype(np.float64) for x in settings(0)[1][:3])
    fit = Fit(name, gallery, bank)
    expected = [naive.ALL[name](gallery @ q, bank @ gallery.T, fit.params) for q in asked]
    assert np.abs(fit(asked) - expected).max() < 1e-10 * max(1, np.abs(expected).max())
    assert isinstance(fit.banks, Banks)
