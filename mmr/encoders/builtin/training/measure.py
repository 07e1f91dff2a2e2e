"""Stage `measure`: search sets that were never trained on, with the encoder as it ships."""

from __future__ import annotations

import io
import json
import tarfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mmr.encoders.builtin import Builtin, load
from mmr.encoders.builtin.text import FloatMatrix

from . import raster, sources


def recalls(scores: FloatMatrix, right: list[set[int]]) -> tuple[float, float]:
    """Share of queries (rows) with a right answer first, and among the first ten."""
    order = np.argsort(-scores, axis=1, kind="stable")[:, :10]
    first = np.mean([order[i, 0] in answers for i, answers in enumerate(right)])
    ten = np.mean([bool(answers & set(order[i].tolist())) for i, answers in enumerate(right)])
    return float(first), float(ten)


def drawings(encoder: Builtin, work: Path, most: int) -> None:
    """Search each held-out set of drawings by name; pictures of equal name are equally right."""
    found: dict[str, list[sources.Drawing]] = {}
    for drawing in sources.held_out_drawings(work):
        found.setdefault(drawing.source, []).append(drawing)
    for source, members in found.items():
        kept, pictures = [], []
        for drawing in members[:: max(1, len(members) // most)][:most]:
            try:
                square = raster.rasterise(drawing, 128)
            except (OSError, ValueError, SyntaxError) as problem:
                print(f"left out: {source} {drawing.key}: {problem}")
                continue
            sheet = Image.new("RGB", square.size, (255, 255, 255))
            sheet.paste(square, mask=square)
            kept.append(drawing)
            pictures.append(sheet)
        names = sorted({drawing.name for drawing in kept})
        right = [{i for i, drawing in enumerate(kept) if drawing.name == name} for name in names]
        scores = encoder.encode_texts(names) @ encoder.encode_images(pictures).T
        first, ten = recalls(scores, right)
        print(
            f"{source:16} {len(names):5} names in {len(kept):5}  R@1 {first:.3f}  R@10 {ten:.3f}", flush=True
        )


def _photo_set(folder: Path, name: str) -> tuple[list[dict[str, Any]], list[Image.Image]]:
    rows = [json.loads(line) for line in (folder / f"{name}.jsonl").read_text("utf8").splitlines()]
    pictures = []
    with tarfile.open(folder / f"{name}.tar") as tar:
        for row in rows:
            file = tar.extractfile(row["file"])
            assert file is not None
            pictures.append(Image.open(io.BytesIO(file.read())).convert("RGB"))
    return rows, pictures


def photographs(encoder: Builtin, folder: Path) -> None:
    """Search Flickr8k's and COCO's captions, and name PACS's pictures by their labels."""
    for name in ("flickr8k_test", "coco_mini"):
        rows, pictures = _photo_set(folder, name)
        texts = [(caption, i) for i, row in enumerate(rows) for caption in row["captions"]]
        scores = encoder.encode_texts([text for text, _ in texts]) @ encoder.encode_images(pictures).T
        first, ten = recalls(scores, [{i} for _, i in texts])
        print(f"{name:16} {len(texts):5} captions           R@1 {first:.3f}  R@10 {ten:.3f}", flush=True)
    rows, pictures = _photo_set(folder, "pacs700")
    labels = sorted({row["label"] for row in rows})
    guessed = (encoder.encode_images(pictures) @ encoder.encode_texts(labels).T).argmax(1)
    hit = np.array([labels[guess] == row["label"] for guess, row in zip(guessed, rows, strict=True)])
    domains = np.array([row["domain"] for row in rows])
    parts = "  ".join(f"{domain} {hit[domains == domain].mean():.3f}" for domain in sorted(set(domains)))
    print(f"pacs700          all {hit.mean():.3f}  {parts}", flush=True)


def speed(encoder: Builtin) -> None:
    """Print CPU milliseconds a text and a picture, alone and in batches."""
    rng = np.random.default_rng(0)
    pictures = [Image.fromarray(rng.integers(0, 255, (256, 256, 3), np.uint8)) for _ in range(64)]
    texts = ["a dog runs over the green grass near a house"] * 256
    for name, call, items in (
        ("texts", encoder.encode_texts, texts), ("pictures", encoder.encode_images, pictures)
    ):  # fmt: skip
        call(items[:1])  # type: ignore[arg-type]
        for count in (1, len(items)):
            begun = time.process_time()
            for _ in range(8 if count == 1 else 1):
                call(items[:count])  # type: ignore[arg-type]
            spent = (time.process_time() - begun) / (8 if count == 1 else 1)
            print(f"{name}, {count} at a time: {1000 * spent / count:.3f} ms CPU each")


def measure(work: Path, photos: Path | None, most: int) -> None:
    """Print every figure."""
    encoder = load()
    drawings(encoder, work, most)
    if photos:
        photographs(encoder, photos)
    speed(encoder)
