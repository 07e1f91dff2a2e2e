"""A stress test of the algebra on real vectors: captions of the target are perfect, the picture distracts.

100 pictures of Flickr8k (CLIP ViT-B/32) are references, each with all ordered pairs of captions; the
target is the other picture whose captions are nearest; 1,077 pictures are searched. What should come out was
measured once, in another program, on the same vectors.
"""

from __future__ import annotations

import json
from base64 import b64encode
from itertools import permutations
from typing import NamedTuple

import numpy as np
import pytest

from tests.benchmarks.compositions import hits, measured, shell, write_lines
from tests.conftest import ROOT, SHARED

FIGURES = ROOT / "man" / "stress.jsonl"
VECTORS = SHARED / "data" / "embeddings"
WITHIN = 3.0


class Row(NamedTuple):
    """A composition, and what was measured: R@1 with and without the reference, how often it comes first."""

    name: str
    composition: str
    kept: float
    removed: float
    first: float


ROWS = (
    Row("v", "image", 0.0, 8.0, 1.00),
    Row("t_c", "cirevl", 48.6, 51.0, 0.05),
    Row("v + t_c", "expr 'v + t_c'", 0.0, 22.2, 1.00),
    Row("0.2 v + 0.8 t_c", "expr '0.2*v + 0.8*t_c'", 21.4, 49.4, 0.63),
    Row("slerp 0.7", "expr 'slerp(v, t_c, 0.7)'", 1.2, 40.0, 0.98),
    Row("slerp 0.8", "expr 'slerp(v, t_c, 0.8)'", 14.6, 48.8, 0.76),
    Row("slerp 0.9", "expr 'slerp(v, t_c, 0.9)'", 37.6, 51.4, 0.29),
    Row("pdv-i 1", "pdv-i --ai 1", 0.0, 19.4, 1.00),
    Row("pdv-i 2", "pdv-i --ai 2", 12.3, 25.2, 0.58),
    Row("pdv-i 3", "pdv-i --ai 3", 19.1, 23.2, 0.20),
    Row("pdv-f .75 1.4 1.2", "pdv-f", 36.8, 47.4, 0.24),
    Row("pdv-f .8 1 1", "pdv-f --b 0.8 --ai 1 --at 1", 33.8, 50.2, 0.36),
    Row("pdv-t 1.2", "pdv-t --at 1.2", 47.7, 49.1, 0.03),
    Row("pdv-t 1.4", "pdv-t --at 1.4", 44.4, 45.2, 0.02),
    Row("mean of 4 t_c", "expr 'mean(others)'", 70.0, 72.0, 0.04),
)


def text_of(rows: np.ndarray) -> str | list[str]:
    """Vectors as the stream has them."""
    if rows.ndim == 1:
        return b64encode(rows.astype("<f4").tobytes()).decode("ascii")
    return [text_of(row) for row in rows]


def load(folder: str, name: str) -> tuple[np.ndarray, list[dict]]:
    vectors = np.load(VECTORS / folder / f"{name}.npy").astype(np.float32)
    lines = (VECTORS / folder / f"{name}.jsonl").read_text(encoding="utf8").splitlines()
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True), [json.loads(line) for line in lines]


def write(folder):
    """The gallery, the queries with their named vectors, and two files of judgements."""
    pictures, images = load("flickr8k_clip_vitb32_pairs", "images")
    captions, lines = load("flickr8k_clip_vitb32_pairs", "texts")
    more, others = load("flickr8k_clip_vitb32_images986", "images")
    names = [image["file"] for image in images]
    gallery = dict(zip(names, pictures, strict=True))
    for other, vector in zip(others, more, strict=True):
        gallery.setdefault(other["file"], vector)
    write_lines(folder / "g.jsonl", [{"id": name, "vector": text_of(row)} for name, row in gallery.items()])
    of = np.array([line["image_row"] for line in lines])
    own = np.stack([captions[of == row] for row in range(len(names))])
    mean = own.mean(axis=1)
    mean /= np.linalg.norm(mean, axis=1, keepdims=True)
    near = mean @ mean.T
    np.fill_diagonal(near, -1)
    queries, targets, references = [], [], []
    for row, target in enumerate(near.argmax(axis=1).tolist()):
        for one, two in permutations(range(5), 2):
            bound = {"v": pictures[row], "t_r": own[row, one], "t_c": own[target, two],
                     "others": np.delete(own[target], two, 0)}  # fmt: skip
            query = {"id": f"{row}/{one}{two}", "image": names[row]}
            queries.append({**query, "bindings": {name: text_of(value) for name, value in bound.items()}})
            targets.append(f"{query['id']}\t0\t{names[target]}\t1\n")
            references.append(f"{query['id']}\t0\t{names[row]}\t1\n")
    write_lines(folder / "q.jsonl", queries)
    (folder / "targets").write_text("".join(targets))
    (folder / "references").write_text("".join(references))
    shell("mmr index pics.mmr -q g.jsonl", folder)
    return len(gallery), len(queries)


@pytest.mark.bench
def test_the_shape_of_the_stress_table(tmp_path):
    if not VECTORS.is_dir():
        pytest.skip("needs the folder `shared` with real vectors beside the repository")
    assert write(tmp_path) == (1077, 2000)
    rows, wrong = [], []
    for row in ROWS:
        hits(row.composition, tmp_path, depth=1)
        kept, first = (100 * measured(name, tmp_path)[0]["value"] for name in ("targets", "references"))
        hits(row.composition, tmp_path, "--exclude-reference", depth=1)
        removed = 100 * measured("targets", tmp_path)[0]["value"]
        rows.append({"query": row.name, "kept": round(kept, 1), "kept_before": row.kept,
                     "removed": round(removed, 1), "removed_before": row.removed,
                     "first": round(first / 100, 3), "first_before": row.first})  # fmt: skip
        print(rows[-1])
        if abs(kept - row.kept) > WITHIN or abs(removed - row.removed) > WITHIN:
            wrong.append(row.name)
    write_lines(FIGURES, rows)
    assert wrong == []
