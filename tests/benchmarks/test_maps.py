"""A model changes: what its queries find in the old index by a map, and while it is embedded anew."""

from __future__ import annotations

import json
import tarfile
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from mmr.arrays.unit import unit
from mmr.encoders import load
from mmr.encoders.weights import cache_folder
from mmr.errors import raise_item
from mmr.index import open_index, upsert
from mmr.index.answer import answer
from mmr.index.mapped import QueryMap
from mmr.index.search import Wanted
from mmr.index.upgrade import hold
from mmr.normalize.vector_fit import fit_pairs
from mmr.normalize.words import everyday
from mmr.stream.records import Record
from tests.benchmarks.sentences import captions, embedded
from tests.benchmarks.test_corrections import SEEDS, T
from tests.conftest import ROOT
from tests.normalize.test_real import VECTORS

FIGURES = ROOT / "man" / "upgrades.jsonl"
OLD, NEW = "all-MiniLM-L6-v2", "paraphrase-MiniLM-L3-v2"
SHARES = (0.25, 0.5, 0.75)


def records(rows, model, which=None):
    chosen = range(len(rows)) if which is None else which
    return [Record({"id": f"{i:05}", "vector": rows[i], "model": model}) for i in chosen]


def first(path, queries, model):
    """R@1 in percent of queries whose item has their own number."""
    with open_index(path) as index:
        found = answer(index, records(queries, model), None, Wanted(1, fields=()), reject=raise_item)
        return 100 * np.mean([one["hits"][0]["id"] == one["id"] for one in found])


def fitted(source, target, form):
    values = {"form": form, "rank": 128} if form == "low-rank" else {"form": form}
    return fit_pairs(values, ("new", records(source, NEW)), ("old", records(target, OLD)), force=True)


def put(path, change):
    about = QueryMap(NEW, change.dim, change.step, {})
    hold(path, about, OLD, change.arrays["matrix"], change.arrays["back"])


def ways(tmp_path, seed, vectors, words):
    """R@1 of each way, and the mean cosine of a map over pairs held out: half of the pictures learns."""
    old, new = vectors[OLD], vectors[NEW]
    order = np.random.default_rng(seed).permutation(len(old))
    learnt, tested = np.array_split(order, 2)
    gallery = {OLD: old[tested, 0], NEW: new[tested, 0]}
    asked = {OLD: old[tested, 1], NEW: new[tested, 1]}
    pairs = [rows[learnt].reshape(-1, rows.shape[-1]) for rows in (new, old)]
    own = tmp_path / f"own-{seed}.mmr"
    upsert(own, records(gallery[OLD], OLD), reject=raise_item)
    alone = tmp_path / f"new-{seed}.mmr"
    upsert(alone, records(gallery[NEW], NEW), reject=raise_item)
    found = {"old model": (first(own, asked[OLD], OLD), None),
             "new model, all embedded anew": (first(alone, asked[NEW], NEW), None),
             "new queries as they are": (first(own, asked[NEW], OLD), None)}  # fmt: skip
    maps = {form: fitted(*pairs, form) for form in ("orthogonal", "ridge", "low-rank")}
    maps["orthogonal, everyday words"] = fitted(words[NEW], words[OLD], "orthogonal")
    for name, change in maps.items():
        put(own, change)
        found[name] = (first(own, asked[NEW], NEW), change.held["cosine"])
    put(own, maps["orthogonal"])
    done = np.random.default_rng(seed).permutation(len(tested))
    for share in SHARES:
        upsert(own, records(gallery[NEW], NEW, done[: int(share * len(done))].tolist()), reject=raise_item)
        for model, whose in ((NEW, "new"), (OLD, "old")):
            found[f"{share:.0%} embedded anew, {whose} queries"] = (first(own, asked[model], model), None)
    return found


def noted(name, halves, first):
    """The rows of a set: R@1 of each way, and against the first's, over the halves."""
    rows = []
    for way in halves[0]:
        after = np.array([half[way][0] for half in halves])
        change = after - np.array([half[first][0] for half in halves])
        reach = T * change.std(ddof=1) / np.sqrt(len(halves))
        cosines = [half[way][1] for half in halves if half[way][1] is not None]
        rows.append({"set": name, "way": way, "after": round(float(after.mean()), 3),
                     "low": round(float(change.mean() - reach), 3),
                     "high": round(float(change.mean() + reach), 3),
                     **({"cosine": round(float(np.mean(cosines)), 3)} if cosines else {})})  # fmt: skip
        print(rows[-1])
    kept = [json.loads(line) for line in FIGURES.read_text().splitlines()] if FIGURES.is_file() else []
    every = sorted(
        [*(row for row in kept if row["set"] != name), *rows], key=lambda row: row["set"], reverse=True
    )
    FIGURES.write_text("".join(json.dumps(row) + "\n" for row in every))
    return {row["way"]: row["after"] for row in rows}


def kept_folder():
    """Where vectors are kept that take minutes to make."""
    folder = cache_folder() / "benchmarks"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def builtin_pictures(cache, files):
    """Vectors of Flickr8k pictures by the built-in encoder, kept in a folder."""
    kept = cache / "builtin-flickr8k.npy"
    if not kept.exists():
        encoder = load("builtin")
        with tarfile.open(VECTORS.parent / "pictures/flickr8k_clip.tar") as pictures:
            decoded = (
                Image.open(BytesIO(pictures.extractfile(name).read())).convert("RGB") for name in files
            )
            np.save(kept, np.concatenate([encoder.encode_images([one]) for one in decoded]))
    return np.load(kept)


@pytest.mark.bench
def test_models_that_see_things_differently():
    folder = VECTORS / "flickr8k_clip_vitb32_images986"
    if not folder.is_dir():
        pytest.skip("needs the folder `shared` with real vectors beside the repository")
    files = [json.loads(line)["file"] for line in (folder / "images.jsonl").read_text().splitlines()]
    clip = unit(np.load(folder / "images.npy").astype(np.float32))
    builtin = builtin_pictures(kept_folder(), files)
    halves = []
    for seed in range(SEEDS):
        learnt, tested = np.array_split(np.random.default_rng(seed).permutation(len(files)), 2)
        found = {"old model": (100.0, None)}
        for form in ("orthogonal", "ridge", "low-rank"):
            change = fitted(builtin[learnt], clip[learnt], form)
            mapped = unit(builtin[tested].astype(np.float64) @ change.arrays["matrix"].T)
            own = 100 * np.mean((mapped @ clip[tested].T).argmax(axis=1) == np.arange(len(tested)))
            found[form] = (own, change.held["cosine"])
        halves.append(found)
    name = f"Flickr8k, CLIP ViT-B/32 to the built-in encoder, pictures to themselves among {len(files) // 2}"
    assert noted(name, halves, "old model")["ridge"] < 50, "the page says that no map joins these"


@pytest.mark.bench
def test_one_model_after_another(tmp_path):
    texts = captions(VECTORS.parent / "pictures")
    cache = kept_folder()
    found = embedded([one for five in texts for one in five], cache)
    vectors = {name: rows.reshape(len(texts), 5, -1) for name, rows in found.items()}
    words = embedded(everyday(["en"]), cache)
    halves = [ways(tmp_path, seed, vectors, words) for seed in range(SEEDS)]
    name = f"Flickr8k, {OLD} to {NEW}, captions to {len(texts) // 2:,} other captions"
    found = noted(name, halves, "old model")
    assert found["new queries as they are"] < found["orthogonal"]
