"""How far scores and calibrated chances are from the truth on queries that nothing was fitted with."""

from __future__ import annotations

import json

import numpy as np
import pytest

from mmr.evaluate.judged import Judged
from mmr.evaluate.measures.calibration import ece
from mmr.normalize.chances import Pairs
from mmr.normalize.table import CALIBRATIONS, loaded
from tests.benchmarks.test_corrections import ALBUMS, SEEDS, T
from tests.conftest import ROOT
from tests.normalize.test_real import FASHION, VECTORS, flickr, pairs

FIGURES = ROOT / "man" / "calibrations.jsonl"
HITS = 50


def halves_of(folder, words):
    """The half that is fitted with and the half that is tested: queries, gallery, the place of the truth."""

    def made(seed):
        asked, gallery, bank, truth, other = pairs(folder, seed, words)
        return (bank, other, np.arange(len(bank))), (asked, gallery, truth)

    return made


def flickr_halves(seed):
    asked, gallery, bank, truth, other = flickr(seed)
    folder = VECTORS / "flickr8k_clip_vitb32_pairs" / "texts.jsonl"
    of = np.array([json.loads(line)["image_row"] for line in folder.read_text().splitlines()])
    half = np.random.default_rng(seed).permutation(100)
    place = {image: number for number, image in enumerate(half[50:])}
    known = np.array([place[image] for image in of if image in place])
    return (bank, other, known), (asked, gallery, truth)


SETS = {
    "Flickr8k, CLIP ViT-B/32, words to 538 pictures": flickr_halves,
    "fashion, words to 563 pictures": halves_of(FASHION, True),
    "fashion, pictures to 563 descriptions": halves_of(FASHION, False),
    "albums, CLIP ViT-B/32, words to 145 pictures": halves_of(ALBUMS, True),
    "albums, CLIP ViT-B/32, pictures to 145 captions": halves_of(ALBUMS, False),
}


def hits(half):
    """The first hits of every query, as pairs of score and relevance."""
    asked, gallery, truth = half
    scores = (asked @ gallery.T).astype(np.float32)
    best = np.argsort(-scores, axis=1, kind="stable")[:, :HITS]
    relevant = best == truth[:, None]
    chosen = np.take_along_axis(scores, best, 1).astype(np.float64)
    query = np.repeat(np.arange(len(asked)), HITS)
    return Pairs(chosen.ravel(), relevant.ravel(), query, asked.astype(np.float64))


def error_of(chances, test, k=None):
    """ECE as `mmr eval` computes it, of the first k hits of every query or of all."""
    queries = len(test.vectors)
    found = np.flatnonzero(test.relevant)
    query, rank = found // HITS, found % HITS + 1
    start = np.searchsorted(query, np.arange(queries + 1))
    ones, each = np.ones(len(found), np.int64), np.arange(queries + 1)
    names, sizes = [str(i) for i in range(queries)], np.full(queries, HITS)
    judged = Judged(names, start, rank, ones, rank, rank, sizes, each, np.ones(queries, np.int64),
                    each * HITS, chances)  # fmt: skip
    return 100 * ece(judged, k)


def precision_of(chances, test):
    """Average precision of all hits of all queries together: what one bound for all of them can do."""
    right = test.relevant[np.argsort(-chances, kind="stable")]
    return 100 * float((np.cumsum(right) / np.arange(1, len(right) + 1))[right].sum() / len(test.vectors))


def calibrated(row, train, test):
    learned = loaded(row.fits)(train)
    function = loaded(row.loads)
    if not row.query:
        return function(learned, test.scores)
    parts = [function(learned, test.scores[test.query == i], v) for i, v in enumerate(test.vectors)]
    return np.concatenate(parts)


def first_of(pairs):
    """The first hit of every query."""
    first = slice(None, None, HITS)
    return Pairs(pairs.scores[first], pairs.relevant[first], pairs.query[first], pairs.vectors)


def interval(values):
    reach = T * np.std(values, ddof=1) / np.sqrt(len(values))
    return {"mean": round(float(np.mean(values)), 3), "low": round(float(np.mean(values) - reach), 3),
            "high": round(float(np.mean(values) + reach), 3)}  # fmt: skip


@pytest.mark.bench
def test_every_calibration_on_queries_that_it_has_not_seen():
    if not VECTORS.is_dir():
        pytest.skip("needs the folder `shared` with real vectors beside the repository")
    rows = []
    for name, made in SETS.items():
        halves = [tuple(map(hits, made(seed))) for seed in range(SEEDS)]
        found = {"raw": [np.clip(test.scores, 0, 1) for _, test in halves]}
        for row in CALIBRATIONS:
            found[row.name] = [calibrated(row, train, test) for train, test in halves]
        platt = CALIBRATIONS[0]
        found["platt -k 1"] = [calibrated(platt, first_of(train), test) for train, test in halves]
        for method, chances in found.items():
            each = list(zip(chances, (test for _, test in halves), strict=True))
            errors = [error_of(*one) for one in each], [error_of(*one, 1) for one in each]
            rows.append({"set": name, "method": method, "ece": interval(errors[0]),
                         "first": interval(errors[1]),
                         "precision": interval([precision_of(*one) for one in each])})  # fmt: skip
            print(rows[-1])
    FIGURES.write_text("".join(json.dumps(row) + "\n" for row in rows))
    raw = {row["set"]: row["ece"]["low"] for row in rows if row["method"] == "raw"}
    assert all(row["ece"]["high"] < raw[row["set"]] for row in rows if row["method"] != "raw")
