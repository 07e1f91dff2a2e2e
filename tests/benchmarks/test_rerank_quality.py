"""What each method of `rerank` does to real vectors, losses included: before and after, with intervals."""

from __future__ import annotations

import json
import subprocess
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from mmr.stream.records import dump
from tests.conftest import ROOT, SHARED, program_environment

FIGURES = ROOT / "man" / "rerank.jsonl"
VECTORS, PICTURES = SHARED / "data" / "embeddings", SHARED / "data" / "pictures"
K = 200
METHODS = (
    "superglobal",
    "alpha-qe",
    "aqe",
    "dba",
    "rocchio",
    "prf",
    "k-reciprocal",
    "diffusion",
    "diversify",
)
FUSIONS = ("rrf", "combsum", "combmnz", "isr", "borda", "convex --weights .8,.2")


TOLD = "Flickr8k, CLIP ViT-B/32: words ask for one of 100 pictures, beside another person's words of each"
BOTH = "Flickr8k, CLIP ViT-B/32 fused with the built-in encoder: words ask for one of 1,071 pictures"


class Made(NamedTuple):
    """A set: what it is, the measure, and the line that writes its hits to hits.jsonl."""

    name: str
    measure: str
    query: str


def sh(line: str, folder: Path) -> str:
    """Run a line of bash that must succeed, and return what it prints."""
    done = subprocess.run(["bash", "-o", "pipefail", "-c", line], cwd=folder, env=program_environment(),
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 0, f"{line}\n{done.stderr}"
    return done.stdout


def unit(name: str) -> np.ndarray:
    x = np.load(VECTORS / name).astype(np.float32)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def rows(name: str, of: Path = VECTORS) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (of / name).read_text(encoding="utf-8").splitlines()]


def write(path: Path, records: Iterator[Mapping[str, Any]]) -> None:
    path.write_bytes(b"".join(dump(record, "base64") for record in records))


def items(path: Path, vectors: np.ndarray, kind: str, letter: str) -> None:
    """Records of rows, as pictures or as words."""
    write(
        path, ({"id": f"{letter}{i}", kind: f"{letter}{i}", "vector": row} for i, row in enumerate(vectors))
    )


def alike(path: Path, labels: Mapping[str, str]) -> None:
    """Judgements: everything of the same label is relevant, but for the query itself."""
    of: dict[str, list[str]] = {}
    for name, label in labels.items():
        of.setdefault(label, []).append(name)
    with path.open("w") as file:
        for name, label in labels.items():
            file.writelines(f"{name} 0 {other} 1\n" for other in of[label] if other != name)


def albums(folder: Path) -> Made:
    items(folder / "g.jsonl", unit("albums290_clip_vitb32/images.npy"), "image", "a")
    names = {f"a{i}": row["folder"] for i, row in enumerate(rows("albums290_clip_vitb32/pairs.jsonl"))}
    alike(folder / "qrels", names)
    sh("mmr index -q g.mmr g.jsonl", folder)
    return Made("albums, CLIP ViT-B/32: a photo asks for the others of its album", "AP", "--all-items")


def shot(folder: Path, name: str, label: str, only: str = "") -> None:
    """The built-in encoder's index of a set of pictures, by member name, and its judgements."""
    kept = [row for row in rows(f"{name}.jsonl", PICTURES) if only in ("", row.get("kind"))]
    with tarfile.open(PICTURES / f"{name}.tar") as tar:
        tar.extractall(folder / "p", filter="data", members=[tar.getmember(row["file"]) for row in kept])
    sh("cd p && mmr embed -q . | mmr index -q ../g.mmr", folder)
    alike(folder / "qrels", {row["file"]: row[label] for row in kept})


def groceries(folder: Path) -> Made:
    shot(folder, "grocery81", "class", only="photo")
    return Made(
        "groceries, built-in encoder: a photo asks for the others of its product", "AP", "--all-items"
    )


def styles(folder: Path) -> Made:
    shot(folder, "pacs700", "label")
    return Made("PACS, built-in encoder: a picture asks for its object in four styles", "AP", "--all-items")


def fashion(folder: Path) -> Made:
    items(folder / "g.jsonl", unit("fashion_pairs1126/images.npy"), "image", "i")
    items(folder / "q.jsonl", unit("fashion_pairs1126/texts.npy"), "text", "t")
    (folder / "qrels").write_text("".join(f"t{i} 0 i{i} 1\n" for i in range(1126)))
    sh("mmr index -q g.mmr g.jsonl", folder)
    return Made("fashion, FashionCLIP: words ask for one of 1,126 pictures", "hit@1", "--from q.jsonl")


def captions(folder: Path) -> Made:
    """500 captions over the pictures of both folders of Flickr8k."""
    pairs, more = "flickr8k_clip_vitb32_pairs", "flickr8k_clip_vitb32_images986"
    vectors = dict(
        zip((row["file"] for row in rows(f"{more}/images.jsonl")), unit(f"{more}/images.npy"), strict=True)
    )
    first = [row["file"] for row in rows(f"{pairs}/images.jsonl")]
    vectors |= dict(zip(first, unit(f"{pairs}/images.npy"), strict=True))
    write(folder / "g.jsonl", ({"id": name, "image": name, "vector": row} for name, row in vectors.items()))
    asked = rows(f"{pairs}/texts.jsonl")
    texts = unit(f"{pairs}/texts.npy")
    write(
        folder / "q.jsonl",
        ({"id": f"t{i}", "text": row["caption"], "vector": texts[i]} for i, row in enumerate(asked)),
    )
    (folder / "qrels").write_text(
        "".join(f"t{i} 0 {first[row['image_row']]} 1\n" for i, row in enumerate(asked))
    )
    sh("mmr index -q g.mmr g.jsonl", folder)
    return Made("Flickr8k, CLIP ViT-B/32: words ask for one of 1,077 pictures", "hit@1", "--from q.jsonl")


def described(folder: Path) -> Made:
    shot(folder, "flickr8k_test", "split")
    asked = rows("flickr8k_test.jsonl", PICTURES)
    write(folder / "w.jsonl", ({"id": f"t{i}", "text": row["captions"][0]} for i, row in enumerate(asked)))
    (folder / "qrels").write_text("".join(f"t{i} 0 {row['file']} 1\n" for i, row in enumerate(asked)))
    sh("mmr embed -q --queries w.jsonl --vector-format base64 > q.jsonl", folder)
    return Made("Flickr8k, built-in encoder: words ask for one of 1,000 pictures", "hit@10", "--from q.jsonl")


def compared(folder: Path, made: Made, method: str, line: str) -> dict[str, Any]:
    """Rerank, measure, and compare with what was there."""
    sh(f"mmr rerank {line} > after.jsonl", folder)
    found = sh(f"mmr eval -q qrels hits.jsonl after.jsonl --compare -m {made.measure} --format jsonl", folder)
    one = json.loads(found)
    values = {key: round(100 * one[name], 2) for key, name in
              (("before", "base"), ("after", "value"), ("low", "low"), ("high", "high"))}  # fmt: skip
    row = {"set": made.name, "measure": made.measure, "queries": one["queries"], "method": method, **values}
    print(row)
    return row


SETS = {"albums": albums, "groceries": groceries, "styles": styles, "fashion": fashion, "captions": captions,
        "described": described}  # fmt: skip


@pytest.mark.bench
def test_every_method_on_every_set(tmp_path):
    if not VECTORS.is_dir():
        pytest.skip("needs the folder `shared` with real vectors beside the repository")
    out = []
    for name, make in SETS.items():
        folder = tmp_path / name
        folder.mkdir()
        made = make(folder)
        sh(
            f"mmr query -q g.mmr {made.query} --exclude-self -k {K} --vector-format base64 > hits.jsonl",
            folder,
        )
        out += [compared(folder, made, one, f"{one} -q --index g.mmr hits.jsonl") for one in METHODS]
        if name == "captions":
            out += fused(folder, made._replace(name=BOTH))
    (tmp_path / "told").mkdir()
    out += told(tmp_path / "told")
    FIGURES.write_text("".join(json.dumps(row) + "\n" for row in out))
    assert {row["method"] for row in out} >= {*METHODS, *FUSIONS}


def fused(folder: Path, made: Made) -> list[dict[str, Any]]:
    """The same captions asked of CLIP and of the built-in encoder, over the pictures that both have."""
    with tarfile.open(PICTURES / "flickr8k_clip.tar") as tar:
        tar.extractall(folder / "p", filter="data")
    sh("cd p && mmr embed -q . | mmr index -q ../b.mmr", folder)
    sh("mmr index b.mmr --list | sort > both", folder)
    sh("mmr index -q both.mmr <(mmr index g.mmr --dump | grep -F -f both)", folder)
    sh("grep -F -f both qrels > kept; mv kept qrels", folder)
    words = [json.loads(line) for line in (folder / "q.jsonl").read_text().splitlines()]
    write(folder / "w.jsonl", ({"id": row["id"], "text": row["text"]} for row in words))
    sh(f"mmr query -q both.mmr --from q.jsonl -k {K} > hits.jsonl", folder)
    sh(f"mmr embed -q --queries w.jsonl | mmr query -q b.mmr -k {K} > other.jsonl", folder)
    lines = {one: f"fuse -q hits.jsonl other.jsonl --method {one}" for one in FUSIONS}
    return [compared(folder, made, one, line) for one, line in lines.items()]


def told(folder: Path) -> list[dict[str, Any]]:
    """Captions ask for their picture among 100, by the picture's vector and by that of another's caption."""
    pairs = "flickr8k_clip_vitb32_pairs"
    pictures, words = unit(f"{pairs}/images.npy"), unit(f"{pairs}/texts.npy").reshape(100, 5, -1)
    items(folder / "g.jsonl", pictures, "image", "i")
    items(folder / "c.jsonl", words[:, 4], "text", "i")
    items(folder / "q.jsonl", words[:, :4].reshape(400, -1), "text", "t")
    (folder / "qrels").write_text("".join(f"t{i} 0 i{i // 4} 1\n" for i in range(400)))
    sh("mmr index -q g.mmr g.jsonl; mmr index -q captions.mmr c.jsonl", folder)
    sh(f"mmr query -q g.mmr --from q.jsonl -k {K} > hits.jsonl", folder)
    sh(f"mmr query -q captions.mmr --from q.jsonl -k {K} > other.jsonl", folder)
    made = Made(TOLD, "hit@1", "")
    lines = {one: f"fuse -q hits.jsonl other.jsonl --method {one}" for one in FUSIONS}
    lines["fields"] = "fields -q --field text=captions.mmr hits.jsonl"
    return [compared(folder, made, one, line) for one, line in lines.items()]
