"""What changes of vectors and transductive methods do to real vectors: before and after, over ten halves."""

from __future__ import annotations

import json

import numpy as np
import pytest

from mmr.normalize.bank import Bank, digest
from mmr.normalize.table import TOGETHER, checked, loaded
from mmr.normalize.vector_fit import fit_banks, fit_set
from mmr.stream.records import Record
from tests.benchmarks.test_corrections import SEEDS, SETS, T
from tests.conftest import ROOT
from tests.normalize.test_real import VECTORS, figures

FIGURES = ROOT / "man" / "changes.jsonl"
LEARNED = {
    "centre": ("centre", {}), "centre --mean overall": ("centre", {"mean": "overall"}), "abtt": ("abtt", {}),
    "pca": ("pca", {}), "pca --mean modality": ("pca", {"mean": "modality"}), "whiten": ("whiten", {}),
    "invgc": ("invgc", {}), "invgc --rate 2 --query-rate 2": ("invgc", {"rate": 2, "query_rate": 2}),
    "localadj": ("localadj", {}),
}  # fmt: skip


def records(rows, kind):
    return [Record({"id": str(i), kind: "x", "vector": row}) for i, row in enumerate(rows)]


def bank_of(rows):
    return Bank(rows, np.zeros(len(rows), np.uint64), None, "", "bank", digest(rows))


def changed(name, values, asked, gallery, bank, other):
    """The scores of queries with the gallery after a change; sets are the bank's queries and the gallery."""
    method = loaded(
        f"mmr.normalize.{'graphs' if name in ('invgc', 'localadj') else 'spaces'}:{NAMES[name]}"
    )()
    if name in ("invgc", "localadj"):
        change = fit_banks(name, values, bank_of(bank), bank_of(other))
        places = (0, 0)
        queries = asked.astype(np.float64)
    else:
        change = fit_set(name, values, [("q", records(bank, "text")), ("g", records(gallery, "image"))])
        places = (change.groups.index("text"), change.groups.index("image"))
        queries = apply(method, asked, places[0], change)
    return queries @ apply(method, gallery, places[1], change).T


NAMES = {"centre": "Centre", "abtt": "Abtt", "pca": "Pca", "whiten": "Whiten", "invgc": "InvGc",
         "localadj": "LocalAdj"}  # fmt: skip


def apply(method, rows, place, change):
    return method.apply(rows.astype(np.float64), np.full(len(rows), place), change.arrays, change.values)


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
