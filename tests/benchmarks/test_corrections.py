"""What each correction does to real vectors: R@1, skewness and antihubs before and after, over ten halves."""

from __future__ import annotations

import json

import numpy as np
import pytest

from mmr.normalize.table import METHODS
from tests.conftest import ROOT
from tests.normalize.made import Fit
from tests.normalize.test_real import FASHION, VECTORS, figures, flickr, pairs

FIGURES = ROOT / "man" / "corrections.jsonl"
ALBUMS = "albums290_clip_vitb32"
SEEDS = 10
T = 2.262  # Student's t of nine degrees of freedom, two-sided 95 %

SETS = {
    "Flickr8k, CLIP ViT-B/32, words to 538 pictures": lambda seed: flickr(seed),
    "Flickr8k, CLIP ViT-B/32, pictures to 250 captions": lambda seed: flickr(seed, False),
    "fashion, words to 563 pictures": lambda seed: pairs(FASHION, seed, True),
    "fashion, pictures to 563 descriptions": lambda seed: pairs(FASHION, seed, False),
    "albums, CLIP ViT-B/32, words to 145 pictures": lambda seed: pairs(ALBUMS, seed, True),
    "albums, CLIP ViT-B/32, pictures to 145 captions": lambda seed: pairs(ALBUMS, seed, False),
}


@pytest.mark.bench
def test_every_method_on_every_set():
    if not VECTORS.is_dir():
        pytest.skip("needs the folder `shared` with real vectors beside the repository")
    rows = []
    for name, made in SETS.items():
        halves = [made(seed) for seed in range(SEEDS)]
        raw = np.array([figures(asked @ gallery.T, truth) for asked, gallery, _, truth, _ in halves])
        for row in METHODS:
            after = np.array([
                figures(Fit(row.name, gallery, bank, other if row.banks == 2 else None)(asked), truth)
                for asked, gallery, bank, truth, other in halves
            ])  # fmt: skip
            change = after[:, 0] - raw[:, 0]
            reach = T * change.std(ddof=1) / np.sqrt(SEEDS)
            means = [*raw.mean(axis=0), *after.mean(axis=0), change.mean() - reach, change.mean() + reach]
            keys = ("before", "skew_before", "antihubs_before", "after", "skew_after", "antihubs_after",
                    "low", "high")  # fmt: skip
            values = {key: round(float(x), 3) for key, x in zip(keys, means, strict=True)}
            rows.append({"set": name, "method": row.name, **values})
            print(rows[-1])
    FIGURES.write_text("".join(json.dumps(row) + "\n" for row in rows))
    nnn = [row for row in rows if row["method"] == "nnn"]
    assert all(row["skew_after"] < row["skew_before"] for row in nnn)
