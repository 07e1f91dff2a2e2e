"""What the methods of `rerank` that need scores alone do to real vectors: assign, model, cur, cut."""

from __future__ import annotations

import json
import shlex
import sys
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.benchmarks.test_rerank_quality import (
    PICTURES,
    VECTORS,
    Made,
    captions,
    compared,
    fashion,
    items,
    rows,
    sh,
    unit,
    write,
)
from tests.conftest import ROOT

FIGURES, CUTS = ROOT / "man" / "rerank-scores.jsonl", ROOT / "man" / "cuts.jsonl"
K = 200
ASKED = "Flickr8k, built-in encoder, then CLIP as a program: words ask for one of 1,071 pictures"
SCORER = """
import json, sys
import numpy as np
found = np.load(sys.argv[1])
place = {name: i for i, name in enumerate(found["ids"].tolist())}
vectors = found["vectors"].astype(np.float64)
sys.stdin.readline()
print('{"tag": "CLIP ViT-B/32"}', flush=True)
for line in sys.stdin:
    request = json.loads(line)
    score = float(vectors[place[request["qid"]]] @ vectors[place[request["id"]]])
    sys.stdout.write(json.dumps({"key": request["key"], "score": score}) + "\\n")
    sys.stdout.flush()
"""
CUT_LINES = (
    "--method gmm",
    "--method gap",
    "--method threshold --ratio .9",
    "--method probability",
    "--method probability --mass .99",
)


def albums(folder: Path) -> Made:
    """Machine-written captions of 290 photographs ask for theirs."""
    items(folder / "g.jsonl", unit("albums290_clip_vitb32/images.npy"), "image", "i")
    items(folder / "q.jsonl", unit("albums290_clip_vitb32/texts.npy"), "text", "t")
    (folder / "qrels").write_text("".join(f"t{i} 0 i{i} 1\n" for i in range(290)))
    sh("mmr index -q g.mmr g.jsonl", folder)
    return Made("albums, CLIP ViT-B/32: words ask for one of 290 photos", "hit@1", "--from q.jsonl")


def ready(tmp_path: Path, name: str, make: Any) -> tuple[Path, Made]:
    folder = tmp_path / name
    folder.mkdir()
    made = make(folder)
    sh(f"mmr query -q g.mmr {made.query} -k {K} > hits.jsonl", folder)
    return folder, made


def needs_vectors() -> None:
    if not VECTORS.is_dir():
        pytest.skip("needs the folder `shared` with real vectors beside the repository")


def scored(tmp_path: Path) -> list[dict[str, Any]]:
    """The built-in encoder's hits, scored by CLIP as a program: all of them, some, or guessed from some.

    The first 100 captions are the anchors, the other 400 ask.
    """
    folder, _ = ready(tmp_path, "captions", captions)
    with tarfile.open(PICTURES / "flickr8k_clip.tar") as tar:
        tar.extractall(folder / "p", filter="data")
    sh("cd p && mmr embed -q . | mmr index -q ../b.mmr", folder)
    clip = {row["id"]: row for row in rows("hits.jsonl", folder)}
    names, vectors = [], []
    for line in sh("mmr index g.mmr --dump", folder).splitlines():
        record = json.loads(line)
        names.append(record["id"])
        vectors.append(record["vector"])
    for row in clip.values():
        names.append(row["id"])
        vectors.append(row["vector"])
    np.savez(folder / "clip.npz", ids=np.array(names), vectors=np.array(vectors, np.float32))
    words = [{"id": row["id"], "text": row["text"]} for row in clip.values()]
    write(folder / "w.jsonl", iter(words[100:]))
    sh(f"mmr embed -q --queries w.jsonl | mmr query -q b.mmr -k {K} > hits.jsonl", folder)
    both = sorted(set(sh("mmr index b.mmr --list", folder).split()) & set(names))
    kept = {name: np.array(vector) for name, vector in zip(names, vectors, strict=True)}
    matrix = np.array([kept[word["id"]] for word in words[:100]]) @ np.array([kept[name] for name in both]).T
    columns = [[{"id": name, "score": float(score)} for score in column] for name, column in
               zip(both, matrix.T, strict=True)]  # fmt: skip
    anchors = ({"id": word["id"], "hits": [column[row] for column in columns]}
               for row, word in enumerate(words[:100]))  # fmt: skip
    write(folder / "anchors.jsonl", anchors)
    asked = {word["id"] for word in words[100:]}
    lines = (folder / "qrels").read_text().splitlines(keepends=True)
    (folder / "qrels").write_text("".join(line for line in lines if line.split()[0] in asked))
    (folder / "scorer.py").write_text(SCORER)
    ask = f"--cmd {shlex.quote(f'{sys.executable} scorer.py clip.npz')} --no-cache -q hits.jsonl"
    made = Made(ASKED, "hit@1", "")
    tried = {
        "model, 20 calls": f"model --budget 20 {ask}",
        "model, 40 calls": f"model --budget 40 {ask}",
        "cur from vectors, 40 calls, 1 round": f"cur --index b.mmr --budget 40 --rounds 1 {ask}",
        "cur from vectors, 40 calls": f"cur --index b.mmr --budget 40 {ask}",
        "cur from 100 anchors, 40 calls, 1 round":
            f"cur --anchors anchors.jsonl --budget 40 --rounds 1 {ask}",
        "cur from 100 anchors, 40 calls": f"cur --anchors anchors.jsonl --budget 40 {ask}",
        "model, 200 calls": f"model --budget 200 {ask}",
    }  # fmt: skip
    return [compared(folder, made, name, line) for name, line in tried.items()]


def keep(path: Path, out: list[dict[str, Any]]) -> None:
    """Write the rows of some sets into a file of figures, in the place of the old ones."""
    lines = path.read_text().splitlines() if path.exists() else []
    known = {(row["set"], row.get("method", row.get("line"))): row for row in [*map(json.loads, lines), *out]}
    path.write_text("".join(json.dumps(row) + "\n" for row in sorted(known.values(), key=lambda r: r["set"])))


@pytest.mark.bench
@pytest.mark.parametrize("make", [fashion, albums])
def test_assign(tmp_path, make):
    needs_vectors()
    folder, made = ready(tmp_path, "set", make)
    row = compared(folder, made, "assign", "assign -q --one-to-one hits.jsonl")
    keep(FIGURES, [row])
    assert row["low"] > 0, "of one picture for each caption, assignment makes use"


@pytest.mark.bench
def test_scorers(tmp_path):
    needs_vectors()
    out = scored(tmp_path)
    keep(FIGURES, out)
    assert all(row["queries"] == 400 for row in out)


@pytest.mark.bench
@pytest.mark.parametrize("make", [fashion, captions])
def test_cuts(tmp_path, make):
    """How many of the first 20 hits each way keeps, and for how many queries the right one is among them."""
    needs_vectors()
    out = []
    folder, made = ready(tmp_path, "set", make)
    truth = dict(line.split()[0:3:2] for line in (folder / "qrels").read_text().splitlines())
    for line in CUT_LINES:
        sh(f"mmr rerank cut -q --max 20 {line} hits.jsonl > cut.jsonl", folder)
        found = [[hit["id"] for hit in row["hits"]] for row in rows("cut.jsonl", folder)]
        queries = [row["id"] for row in rows("cut.jsonl", folder)]
        right = np.mean([truth[query] in kept for query, kept in zip(queries, found, strict=True)])
        sizes = np.array([len(kept) for kept in found])
        fixed = np.mean([truth[row["id"]] in [hit["id"] for hit in row["hits"][: round(sizes.mean())]]
                         for row in rows("hits.jsonl", folder)])  # fmt: skip
        figures = {"mean": sizes.mean(), "all": 100 * (sizes == 20).mean(), "right": 100 * right,
                   "fixed": 100 * fixed}  # fmt: skip
        out.append({"set": made.name, "line": line,
                    **{name: round(float(value), 1) for name, value in figures.items()}})  # fmt: skip
        print(out[-1])
    keep(CUTS, out)
    assert len(out) == len(CUT_LINES)
