"""What changes of vectors and transductive methods do to real vectors: before and after, over ten halves."""

from __future__ import annotations

import json

import numpy as np
import pytest

from mmr.normalize.table import TOGETHER, checked, loaded
from mmr.normalize.vector_fit import fit_pairs
from tests.benchmarks.test_corrections import SEEDS, SETS, T
from tests.conftest import ROOT
from tests.normalize.changes import apply, changed, records
from tests.normalize.test_real import VECTORS, figures

FIGURES = ROOT / "man" / "changes.jsonl"
LEARNED = {
    "centre": ("centre", {}), "centre --mean overall": ("centre", {"mean": "overall"}), "abtt": ("abtt", {}),
    "pca": ("pca", {}), "pca --mean modality": ("pca", {"mean": "modality"}), "whiten": ("whiten", {}),
    "invgc": ("invgc", {}), "invgc --rate 2 --query-rate 2": ("invgc", {"rate": 2, "query_rate": 2}),
    "localadj": ("localadj", {}),
}  # fmt: skip


def together(row, asked, gallery):
    return loaded(row.loads)((asked @ gallery.T).astype(np.float64), checked(row, {}))


def after(label, half):
    """R@1, skewness and antihubs of a half after a method."""
    asked, gallery, bank, truth, other = half
    row = next((row for row in TOGETHER if row.name == label), None)
    if row is not None:
        return figures(together(row, asked, gallery), truth)
    name, values = LEARNED[label]
    return figures(changed(name, values, asked, gallery, bank, other), truth)


@pytest.mark.bench
def test_every_change_on_every_set():
    if not VECTORS.is_dir():
        pytest.skip("needs the folder `shared` with real vectors beside the repository")
    rows = []
    keys = (
        "before",
        "skew_before",
        "antihubs_before",
        "after",
        "skew_after",
        "antihubs_after",
        "low",
        "high",
    )
    for name, made in SETS.items():
        halves = [made(seed) for seed in range(SEEDS)]
        raw = np.array([figures(half[0] @ half[1].T, half[3]) for half in halves])
        for label in (*LEARNED, *(row.name for row in TOGETHER)):
            found = np.array([after(label, half) for half in halves])
            change = found[:, 0] - raw[:, 0]
            reach = T * change.std(ddof=1) / np.sqrt(SEEDS)
            means = [*raw.mean(axis=0), *found.mean(axis=0), change.mean() - reach, change.mean() + reach]
            values = {key: round(float(x), 3) for key, x in zip(keys, means, strict=True)}
            rows.append({"set": name, "method": label, **values})
            print(rows[-1])
    FIGURES.write_text("".join(json.dumps(row) + "\n" for row in rows))
    overall = [row for row in rows if row["method"] == "centre --mean overall"]
    assert all(row["high"] < 0 for row in overall), "one mean for both modalities is said to lose recall"


MAPS = ROOT / "man" / "maps.jsonl"
NOISE = 0.02  # a number of a vector of the old model is off by so much


def old_model(seed, dim):
    """Another model that sees the same things worse: the new one's vectors, turned and blurred."""
    generator = np.random.default_rng(seed)
    rotation = np.linalg.qr(generator.standard_normal((dim, dim)))[0]

    def seen(rows):
        blurred = rows @ rotation + generator.normal(0, NOISE, rows.shape)
        return (blurred / np.linalg.norm(blurred, axis=1, keepdims=True)).astype(np.float32)

    return seen


def mapped(pairs, form, asked):
    """Queries of the new model in the old one's space, by a map from pairs of (new, old) vectors."""
    new, old = (np.concatenate(rows) for rows in zip(*pairs, strict=True))
    change = fit_pairs({"form": form}, ("new", records(new, "text")), ("old", records(old, "text")))
    return apply(loaded("mmr.normalize.maps:Map")(), asked, 0, change)


@pytest.mark.bench
def test_a_new_model_before_an_old_index():
    if not VECTORS.is_dir():
        pytest.skip("needs the folder `shared` with real vectors beside the repository")
    rows = []
    for name, made in list(SETS.items())[:3:2]:
        figures_of: dict[str, list[float]] = {}
        for seed in range(SEEDS):
            asked, gallery, bank, truth, other = made(seed)
            seen = old_model(seed, asked.shape[1])
            index, words, pictures = seen(gallery), (bank, seen(bank)), (other, seen(other))
            ways = {"old model": seen(asked) @ index.T, "new model": asked @ gallery.T}
            for learned, pairs in {"words": [words], "words and pictures": [words, pictures]}.items():
                for form in ("orthogonal", "ridge"):
                    ways[f"{form}, {len(np.concatenate([new for new, _ in pairs]))} {learned}"] = (
                        mapped(pairs, form, asked) @ index.T
                    )
            for way, scores in ways.items():
                figures_of.setdefault(way, []).append(figures(scores, truth)[0])
        old = np.array(figures_of["old model"])
        for way, found in figures_of.items():
            change = np.array(found) - old
            reach = T * change.std(ddof=1) / np.sqrt(SEEDS)
            rows.append({"set": name, "way": way, "after": round(float(np.mean(found)), 3),
                         "low": round(float(change.mean() - reach), 3),
                         "high": round(float(change.mean() + reach), 3)})  # fmt: skip
            print(rows[-1])
    MAPS.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert {row["way"].split(",")[0] for row in rows} == {"old model", "new model", "orthogonal", "ridge"}
