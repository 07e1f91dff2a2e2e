"""Hybrid search: dense vectors and BM25 over captions, alone and fused, with intervals."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.benchmarks.test_rerank_quality import PICTURES, VECTORS, rows, sh, unit, write
from tests.conftest import ROOT

FIGURES = ROOT / "man" / "hybrid.jsonl"
WEIGHTS = [f".{i},.{10 - i}" for i in range(9, 0, -1)]


class Made(NamedTuple):
    """A set: what it is, and the picture that each query asks for."""

    name: str
    of: dict[str, str]


def captioned(folder: Path, captions: dict[str, list[str]], asking: list[str]) -> dict[str, str]:
    """Write qrels: the first caption of a picture is stored with it, the others ask for it."""
    of = {f"{name}-{i}": name for name in asking for i in range(1, len(captions[name]))}
    (folder / "qrels").write_text("".join(f"{query} 0 {name} 1\n" for query, name in of.items()))
    return of


def clip(folder: Path) -> Made:
    """1,077 pictures with vectors; captions of 100 of them have some too."""
    pairs, more = "flickr8k_clip_vitb32_pairs", "flickr8k_clip_vitb32_images986"
    names = [row["file"] for row in rows(f"{pairs}/images.jsonl")]
    gallery = dict(zip(names, unit(f"{pairs}/images.npy"), strict=True))
    captions: dict[str, list[str]] = {name: [] for name in names}
    texts = {}
    for row, vector in zip(rows(f"{pairs}/texts.jsonl"), unit(f"{pairs}/texts.npy"), strict=True):
        name = names[row["image_row"]]
        texts[f"{name}-{len(captions[name])}"] = vector
        captions[name].append(row["caption"])
    for row, vector in zip(rows(f"{more}/images.jsonl"), unit(f"{more}/images.npy"), strict=True):
        if row["file"] not in gallery:
            gallery[row["file"]], captions[row["file"]] = vector, row["captions"]
    of = captioned(folder, captions, names)
    write(folder / "g.jsonl", ({"id": name, "text": captions[name][0], "vector": vector}
                               for name, vector in gallery.items()))  # fmt: skip
    write(folder / "q.jsonl", ({"id": query, "text": captions[name][int(query.rpartition("-")[2])],
                                "vector": texts[query]} for query, name in of.items()))  # fmt: skip
    return Made(f"Flickr8k, CLIP ViT-B/32: 400 captions ask for one of {len(gallery):,} pictures", of)


def builtin(folder: Path) -> Made:
    """The 1,000 pictures of the test split, with the encoder that ships."""
    with tarfile.open(PICTURES / "flickr8k_test.tar") as tar:
        tar.extractall(folder / "pictures", filter="data")
    captions = {row["file"]: row["captions"] for row in rows("flickr8k_test.jsonl", PICTURES)}
    of = captioned(folder, captions, list(captions))
    write(folder / "i.jsonl", ({"id": name, "image": f"pictures/{name}", "text": own[0]}
                               for name, own in captions.items()))  # fmt: skip
    write(folder / "t.jsonl", ({"id": query, "text": captions[name][int(query.rpartition("-")[2])]}
                               for query, name in of.items()))  # fmt: skip
    sh("mmr embed -q i.jsonl > g.jsonl && mmr embed -q --queries t.jsonl > q.jsonl", folder)
    return Made(f"Flickr8k, built-in encoder: {len(of):,} captions ask for one of 1,000 pictures", of)


def held_out(folder: Path, of: dict[str, str]) -> None:
    """Write chosen.jsonl: each half of the pictures fused with the weights that suit the other best."""
    pictures = list(dict.fromkeys(of.values()))
    halves = [set(pictures[::2]), set(pictures[1::2])]
    found: list[tuple[list[float], list[str]]] = []
    for weights in WEIGHTS:
        sh(
            f"mmr rerank fuse -q dense.jsonl words.jsonl --method convex --weights {weights} > one.jsonl",
            folder,
        )
        lines = (folder / "one.jsonl").read_text(encoding="utf-8").splitlines()
        score = [0.0, 0.0]
        for line in lines:
            record = json.loads(line)
            right = of[record["id"]]
            rank = next((i for i, hit in enumerate(record["hits"][:10]) if hit["id"] == right), None)
            score[right in halves[1]] += 0 if rank is None else 1 / (1 + rank)
        found.append((score, lines))
    best = [max(found, key=lambda one: one[0][1 - half])[1] for half in (0, 1)]
    kept = [line for half in (0, 1) for line in best[half] if of[json.loads(line)["id"]] in halves[half]]
    (folder / "chosen.jsonl").write_text("".join(line + "\n" for line in kept), encoding="utf-8")


@pytest.mark.bench
@pytest.mark.parametrize("make", [clip, builtin])
def test_hybrid(tmp_path, make):
    if not VECTORS.is_dir():
        pytest.skip("needs the folder `shared` with real vectors beside the repository")
    made = make(tmp_path)
    sh("mmr index -q pics.mmr g.jsonl && mmr index -q words.mmr --kind sparse:bm25 g.jsonl && "
       "mmr query pics.mmr -q --from q.jsonl -k 100 > dense.jsonl && "
       "mmr query words.mmr -q --from q.jsonl -k 100 > words.jsonl && "
       "mmr rerank fuse -q dense.jsonl words.jsonl > rrf.jsonl", tmp_path)  # fmt: skip
    held_out(tmp_path, made.of)
    out = [json.loads(line) for line in FIGURES.read_text().splitlines()] if FIGURES.exists() else []
    out = [row for row in out if row["set"] != made.name]
    for way, run in (("vectors alone", "dense"), ("words alone (sparse:bm25)", "words"),
                     ("fuse --method rrf", "rrf"),
                     ("fuse --method convex, weights held out", "chosen")):  # fmt: skip
        measured = sh(f"mmr eval -q qrels {run}.jsonl -m hit@1,hit@10 --ci --format jsonl", tmp_path)
        row = {"set": made.name, "way": way}
        for name, line in zip(("first", "ten"), map(json.loads, measured.splitlines()), strict=True):
            row |= {name: round(100 * line["value"], 1), f"{name}_low": round(100 * line["low"], 1),
                    f"{name}_high": round(100 * line["high"], 1)}  # fmt: skip
        out.append(row)
        print(row)
    FIGURES.write_text("".join(json.dumps(row) + "\n" for row in out))
