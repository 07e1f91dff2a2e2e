"""The bank of words that ships beside a bank of queries of the same log: R@1 and hubs, over ten halves."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
from collections import defaultdict

import numpy as np
import pytest
from PIL import Image

from mmr.encoders import load
from mmr.evaluate.hubness import hubness
from mmr.normalize.words import everyday, languages
from tests.conftest import ROOT, SHARED
from tests.normalize.made import Fit

FIGURES = ROOT / "man" / "words.jsonl"
PICTURES = SHARED / "data" / "pictures"
SEEDS = 10
T = 2.262  # Student's t of nine degrees of freedom, two-sided 95 %
SETTINGS = (("nnn", {}), ("nnn", {"alpha": 0.25, "neighbours": 8}), ("gc", {}))


def encoded(encoder, name, rows):
    """Vectors of the pictures of a set."""
    with tarfile.open(PICTURES / f"{name}.tar") as archive:
        images = [
            Image.open(io.BytesIO(archive.extractfile(row["file"]).read())).convert("RGB") for row in rows
        ]
    return np.vstack([encoder.encode_images(images[at : at + 32]) for at in range(0, len(images), 32)])


def photographs(encoder, name, count):
    """Vectors of pictures of a set, and of one caption each."""
    rows = [json.loads(line) for line in (PICTURES / f"{name}.jsonl").read_text().splitlines()][:count]
    vectors = encoded(encoder, name, rows)
    return vectors, encoder.encode_texts([row["captions"][0] for row in rows])


def halves_of_pairs(pictures, words, seed):
    """Test words, their pictures, the relevant places of each, and the words of the other half."""
    test, other = np.array_split(np.random.default_rng(seed).permutation(len(words)), 2)
    return words[test], pictures[test], [{place} for place in range(len(test))], words[other]


def labelled(encoder, name, label):
    """Half of a set's labels ask for their pictures, over those alone; the others are the bank."""
    rows = [json.loads(line) for line in (PICTURES / f"{name}.jsonl").read_text().splitlines()]
    pictures = encoded(encoder, name, rows)
    names = sorted({label(row) for row in rows})
    of = np.array([names.index(label(row)) for row in rows])
    words = encoder.encode_texts(names)

    def half(seed):
        test, other = np.array_split(np.random.default_rng(seed).permutation(len(names)), 2)
        kept = np.flatnonzero(np.isin(of, test))
        right = [set(np.flatnonzero(of[kept] == one).tolist()) for one in test]
        return words[test], pictures[kept], right, words[other]

    return half


def demo(encoder, folder):
    """The drawn gallery: all its pictures; half of its queries ask, the others are the bank."""
    subprocess.run([sys.executable, "-m", "mmr.demo", str(folder)], check=True, stdout=subprocess.DEVNULL)
    items = [json.loads(line)["image"] for line in (folder / "items.jsonl").read_text().splitlines()]
    asked = {
        one["id"]: one["text"] for one in map(json.loads, (folder / "queries.jsonl").read_text().splitlines())
    }
    right = defaultdict(set)
    for line in (folder / "qrels.tsv").read_text().splitlines():
        query, _, item, rel = line.split()
        if int(rel) > 0:
            right[query].add(items.index(item))
    names = [name for name in asked if right[name]]
    pictures = np.vstack([
        encoder.encode_images([Image.open(folder / path).convert("RGB") for path in items[at : at + 32]])
        for at in range(0, len(items), 32)
    ])  # fmt: skip
    words = encoder.encode_texts([asked[name] for name in names])

    def half(seed):
        test, other = np.array_split(np.random.default_rng(seed).permutation(len(names)), 2)
        return words[test], pictures, [right[names[i]] for i in test], words[other]

    return half


def figures(scores, right):
    """R@1 in percent, skewness and share of antihubs of the first ten."""
    order = np.argsort(-scores, axis=1)[:, :10]
    found = hubness([[str(j) for j in row] for row in order], 10, scores.shape[1])
    hit = [row[0] in own for row, own in zip(order, right, strict=True)]
    return 100 * float(np.mean(hit)), found.skewness, found.antihub_share


@pytest.mark.bench
def test_words_that_ship_beside_a_bank_of_ones_own(tmp_path):
    encoder = load("builtin")
    sets = {"drawn gallery, 508 pictures": demo(encoder, tmp_path / "demo")}
    if PICTURES.is_dir():
        for label, name, count in (("Flickr8k, words to 500 photographs", "flickr8k_test", 1000),
                                   ("COCO, words to 80 photographs", "coco_mini", 159)):  # fmt: skip
            held = photographs(encoder, name, count)
            sets[label] = lambda seed, held=held: halves_of_pairs(*held, seed)
        sets["ImageNet objects, 100 names to 1,000 small photographs"] = labelled(
            encoder, "tinyimagenet_val2000", lambda row: row["label"]
        )
        sets["groceries, 40 names to 445 pictures"] = labelled(
            encoder, "grocery81", lambda row: row["class"].replace("-", " ")
        )
    shipped = {"words": encoder.encode_texts(everyday(languages())),
               "words:en": encoder.encode_texts(everyday(["en"])), "own": None}  # fmt: skip
    rows = []
    for label, half in sets.items():
        split = [half(seed) for seed in range(SEEDS)]
        raw = np.array([figures(asked @ gallery.T, right) for asked, gallery, right, _ in split])
        for name, params in SETTINGS:
            for bank, vectors in shipped.items():
                after = np.array([
                    figures(Fit(name, gallery, own if vectors is None else vectors, **params)(asked), right)
                    for asked, gallery, right, own in split
                ])  # fmt: skip
                change = after[:, 0] - raw[:, 0]
                reach = T * change.std(ddof=1) / np.sqrt(SEEDS)
                values = {"before": raw[:, 0].mean(), "skew_before": raw[:, 1].mean(),
                          "antihubs_before": raw[:, 2].mean(), "after": after[:, 0].mean(),
                          "skew_after": after[:, 1].mean(), "antihubs_after": after[:, 2].mean(),
                          "low": change.mean() - reach, "high": change.mean() + reach}  # fmt: skip
                how = " ".join([name, *(f"{key}={value:g}" for key, value in params.items())])
                rows.append({"set": label, "method": how, "bank": bank,
                             **{key: round(float(value), 3) for key, value in values.items()}})  # fmt: skip
                print(rows[-1])
    if PICTURES.is_dir():
        FIGURES.write_text("".join(json.dumps(row) + "\n" for row in rows))
    drawn = {(row["method"], row["bank"]): row for row in rows if row["set"].startswith("drawn")}
    assert drawn["nnn", "words"]["skew_after"] < drawn["nnn", "words"]["skew_before"]
