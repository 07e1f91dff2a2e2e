"""A small encoder and small pictures, for tests of the pipeline."""

from __future__ import annotations

import time
from hashlib import blake2b
from pathlib import Path

import numpy as np
from PIL import Image

from mmr.embed.item import Item, Wanted
from mmr.embed.pipeline import Pipeline
from mmr.errors import BadItem
from mmr.stream.records import Place, Record

DIM = 8


def fail(item: BadItem) -> None:
    raise AssertionError(str(item))


def of_text(text: str) -> np.ndarray:
    seed = int.from_bytes(blake2b(text.encode(), digest_size=4).digest())
    vector = np.random.default_rng(seed).standard_normal(DIM)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def of_colour(colour) -> np.ndarray:
    vector = np.ones(DIM)
    vector[:3] += colour
    return (vector / np.linalg.norm(vector)).astype(np.float32)


class Toy:
    """Takes whole pictures; notes the sizes of its batches."""

    dim, spec, fingerprint = DIM, "toy", "123"

    def __init__(self, pause: float = 0) -> None:
        self.batches: list[int] = []
        self.pause = pause

    def encode_texts(self, texts):
        self.batches.append(len(texts))
        return np.stack([of_text(text) for text in texts])

    def encode_images(self, images):
        self.batches.append(len(images))
        time.sleep(self.pause)
        return np.stack([of_colour(np.asarray(image)[0, 0]) for image in images])


class Preparing(Toy):
    """Prepares pictures on the decode threads; refuses blue ones."""

    def prepare(self, image):
        colour = np.asarray(image)[0, 0]
        if colour.tolist() == [0, 0, 255]:
            raise ValueError("too blue")
        return colour

    def encode_prepared(self, prepared):
        self.batches.append(len(prepared))
        return np.stack([of_colour(colour) for colour in prepared])


class Choosy(Toy):
    """Single items can fail: words with "bad", pictures that are black."""

    def try_texts(self, texts):
        failed = {row: "bad words" for row, text in enumerate(texts) if "bad" in text}
        rows = self.encode_texts(texts)
        rows[list(failed)] = np.nan
        return rows, failed

    def try_images(self, images):
        failed = {row: "too dark" for row, image in enumerate(images) if not np.asarray(image).any()}
        rows = self.encode_images(images)
        rows[list(failed)] = np.nan
        return rows, failed


def colour(number: int) -> tuple[int, int, int]:
    return number % 256, number // 256, 100


def pictures(folder: Path, count: int) -> list[str]:
    folder.mkdir(exist_ok=True)
    for number in range(count):
        Image.new("RGB", (6, 5), colour(number)).save(folder / f"{number:04}.png")
    return sorted(str(path) for path in folder.iterdir())


def record(line: int = 1, **fields) -> Record:
    return Record({"id": f"r{line}", **fields}, Place("stdin", line))


def run(records, encoder=None, wanted: Wanted | None = None, reject=fail, **more) -> list[dict]:
    """Run a pipeline over records (items are made of them) and give all that comes out."""
    items = (one if isinstance(one, Item) or "keep" in one else Item(one) for one in records)
    pipeline = Pipeline(lambda: encoder or Toy(), wanted or Wanted(), reject=reject, **more)
    return [one for group in pipeline.batches(items) for one in group]
