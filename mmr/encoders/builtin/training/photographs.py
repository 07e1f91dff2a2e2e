"""Stage `photographs`: what tells a photograph from a drawing, and a vector for each class name."""

from __future__ import annotations

import importlib.util
import io
import random
from pathlib import Path

import numpy as np
from PIL import Image

from mmr.encoders.builtin.architecture import SIDE
from mmr.encoders.builtin.text import TextTower, unit
from mmr.encoders.builtin.vision import FloatArray
from mmr.encoders.builtin.weights import Weights

from . import packing, pixels, wordnet
from .pixels import Pixels
from .samples import Studio
from .shards import BATCH, Early

BROADER = 0.5  # share of the broader names, measured on captions of photographs
FADE = (1.0, 0.6, 0.36)
RAMP = 0.4


def class_vectors(work: Path, text: TextTower) -> FloatArray:
    """Make a unit vector (1000, dim) for each ImageNet class: its names and what they are kinds of."""
    found = importlib.util.find_spec("timm")
    if found is None or found.origin is None:
        raise ModuleNotFoundError("timm is not installed: install the extra 'train'")
    listed = (Path(found.origin).parent / "data/_info/imagenet_synsets.txt").read_text().split()
    nouns = {synset.offset: synset for synset in wordnet.synsets(work / "debian/usr/share/wordnet", "noun")}
    vectors = []
    for offset in (int(name[1:]) for name in listed):
        names = text.encode(list(nouns[offset].words[:2])).mean(0)
        broader = wordnet.broader_names(nouns, offset)
        for weight, vector in zip(FADE, text.encode(broader), strict=False):
            names = names + BROADER * weight * vector
        vectors.append(names)
    return unit(np.stack(vectors))


def gate_features(early: FloatArray) -> FloatArray:
    """Pool early features (n, 8, 8, 80) into what the gate reads, (n, 160)."""
    return np.concatenate([early.mean((1, 2)), early.std((1, 2))], axis=1)


def _features(pictures: list[Pixels], early: Early) -> FloatArray:
    rows = []
    for start in range(0, len(pictures), BATCH):
        made = early(np.stack(pictures[start : start + BATCH])).permute(0, 2, 3, 1).float().numpy()
        rows.append(gate_features(made))
    return np.concatenate(rows)


def _cropped(data: bytes, rng: random.Random) -> Pixels:
    with Image.open(io.BytesIO(data)) as file:
        picture = file.convert("RGB")
    width, height = picture.size
    share = rng.uniform(0.5, 1)
    left, top = rng.uniform(0, 1 - share) * width, rng.uniform(0, 1 - share) * height
    box = (left, top, left + share * width, top + share * height)
    picture = picture.resize((SIDE, SIDE), Image.Resampling.BICUBIC, box)
    if rng.random() < 0.2:
        picture = picture.convert("L").convert("RGB")
    return np.asarray(pixels.toned(picture, rng))


def gate(work: Path, photographs: Path) -> dict[str, FloatArray]:
    """Fit a linear score, 1 for photographs and 0 for drawings, and where its ramp begins and ends.

    The ramp begins 4 standard deviations above the mean of drawings that were not fitted on.
    """
    studio, early, rng = Studio(work, photographs), Early(), random.Random(7)
    photos = [_cropped(data, rng) for data, _ in studio.photographs for _ in range(2)]
    studio.photographs = []
    drawings = [studio.sample(rng).picture for _ in range(len(photos))]
    seen = np.concatenate([_features(photos, early), _features(drawings, early)]).astype(np.float64)
    wanted = np.repeat([1.0, 0.0], [len(photos), len(drawings)])
    mean, spread = seen.mean(0), seen.std(0) + 1e-3
    scaled = (seen - mean) / spread
    fitted = np.arange(len(seen)) % 4 != 0
    inside = scaled[fitted]
    slope = np.linalg.solve(
        inside.T @ inside + 30 * np.eye(inside.shape[1]), inside.T @ (wanted[fitted] - 0.5)
    )
    weight, bias = slope / spread, 0.5 - float(slope @ (mean / spread))
    scores = seen[~fitted] @ weight + bias
    drawn = scores[wanted[~fitted] == 0]
    low = float(drawn.mean() + 4 * drawn.std())
    print(f"gate: drawings {drawn.mean():.3f} (sd {drawn.std():.3f}), ramp from {low:.3f}")
    print(f"gate: photographs {scores[wanted[~fitted] == 1].mean():.3f}")
    return {
        "gate.weight": weight.astype(np.float32),
        "gate.bias": np.array([bias], np.float32),
        "gate.ramp": np.array([low, low + RAMP], np.float32),
    }


def run(work: Path, photographs: Path) -> None:
    """Write the gate and the class vectors to `work/photographs.safetensors`."""
    text = TextTower(Weights(work / "text.safetensors"), (work / "vocabulary.txt").read_bytes())
    made = {**gate(work, photographs), "photo.names": class_vectors(work, text)}
    packing.write(made, {}, work / "photographs.safetensors")
