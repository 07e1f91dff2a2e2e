"""Stage `photographs`: what tells a photograph from a drawing, and the classes that photographs are told by.

The classes are ImageNet's 1,000, as published, and those of the few photographs that may be trained
on; each has a vector made of its names, what it is a kind of, and its definition.
"""

from __future__ import annotations

import importlib.util
import io
import random
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn import functional

from mmr.encoders.builtin.architecture import PIXEL_MEAN, PIXEL_SCALE, SIDE
from mmr.encoders.builtin.text import TextTower, unit
from mmr.encoders.builtin.vision import FloatArray
from mmr.encoders.builtin.weights import Weights

from . import network, packing, pixels, wordnet
from .pixels import Pixels
from .samples import Studio, read_photographs
from .shards import BATCH, Early

BROADER = 0.35  # share of the broader names; this and the next measured on captions of photographs
FADE = (1.0, 0.6, 0.36)
DEFINITION = 0.6  # share of the definition
RAMP = 0.4
PHOTO_SIDE, PHOTO_WEIGHT = 224, 1.75
DECAY, STEPS, RATE = 1e-3, 400, 0.01  # of the classes that are added


def class_vectors(work: Path, text: TextTower) -> FloatArray:
    """Make a unit vector (1000, dim) for each ImageNet class: names, what they are kinds of, definition."""
    found = importlib.util.find_spec("timm")
    if found is None or found.origin is None:
        raise ModuleNotFoundError("timm is not installed: install the extra 'train'")
    listed = (Path(found.origin).parent / "data/_info/imagenet_synsets.txt").read_text().split()
    nouns = {synset.offset: synset for synset in wordnet.synsets(work / "debian/usr/share/wordnet", "noun")}
    vectors = []
    for offset in (int(name[1:]) for name in listed):
        names = text.encode(list(nouns[offset].words)).mean(0)
        broader = wordnet.broader_names(nouns, offset)
        for weight, vector in zip(FADE, text.encode(broader), strict=False):
            names = names + BROADER * weight * vector
        vectors.append(names)
    glosses = [wordnet.definition_and_examples(nouns[int(name[1:])].gloss)[0] for name in listed]
    return unit(unit(np.stack(vectors)) + DEFINITION * text.encode(glosses))


def added_classes(photographs: list[tuple[bytes, str]]) -> tuple[FloatArray, FloatArray, list[str]]:
    """Fit classifier columns (1280, k) and biases (k,) for the labels of photographs, beside ImageNet's.

    The published classes stay as they are and compete; made-up features of other photographs (a real
    one weakened, plus the columns of two published classes) must not be taken for the new ones.
    """
    published = packing.rounded(network.folded())
    tensors = network.as_torch(published)
    weight, bias = published["classifier.weight"], published["classifier.bias"]
    rows = []
    for start in range(0, len(photographs), BATCH):
        squares = [_squeezed(data) for data, _ in photographs[start : start + BATCH]]
        x = torch.from_numpy((np.stack(squares).astype(np.float32) - PIXEL_MEAN) / PIXEL_SCALE)
        with torch.inference_mode():
            early = network.early(
                tensors, x.permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
            )
            rows.append(network.late(tensors, early).numpy())
    seen = np.concatenate(rows)
    rng = np.random.default_rng(0)
    other = seen[rng.integers(0, len(seen), 2000)] * rng.uniform(0, 0.6, (2000, 1))
    for _ in range(2):
        other += weight[:, rng.integers(0, 1000, 2000)].T * rng.uniform(1, 5, (2000, 1))
    names = sorted({label for _, label in photographs})
    wanted = torch.tensor([1000 + names.index(label) for _, label in photographs])
    mean, spread = seen.mean(0), seen.std(0) + 0.05
    views = [
        (
            torch.from_numpy(((x - mean) / spread).astype(np.float32)),
            torch.from_numpy(x @ weight + bias).float(),
        )
        for x in (seen, np.maximum(other, 0))
    ]
    slopes = torch.zeros(seen.shape[1], len(names), requires_grad=True)
    starts = torch.full((len(names),), -4.0, requires_grad=True)
    optimiser = torch.optim.Adam([slopes, starts], lr=RATE)
    for step in range(STEPS):
        for group in optimiser.param_groups:
            group["lr"] = RATE * max(1 - step / STEPS, 0.02)
        own, made_up = (torch.cat([known, x @ slopes + starts], 1).log_softmax(1) for x, known in views)
        lost = functional.nll_loss(own, wanted) - made_up[:, :1000].logsumexp(1).mean()
        optimiser.zero_grad()
        (lost + DECAY * (slopes * slopes).sum()).backward()
        optimiser.step()
    print(f"classes: {len(names)} added, loss {lost.item():.3f}")
    fitted = slopes.detach().numpy() / spread[:, None]
    biases = starts.detach().numpy() - mean @ fitted
    return fitted.astype(np.float32), biases.astype(np.float32), names


def _squeezed(data: bytes) -> Pixels:
    with Image.open(io.BytesIO(data)) as file:
        picture = file.convert("RGB").resize((PHOTO_SIDE, PHOTO_SIDE), Image.Resampling.BICUBIC)
    return np.asarray(picture)


def gate_features(early: FloatArray) -> FloatArray:
    """Pool early features (n, 8, 8, 80) into what the gate reads, (n, 160)."""
    return np.concatenate([early.mean((1, 2)), early.std((1, 2))], axis=1)


def _features(pictures: list[Pixels], early: Early) -> FloatArray:
    rows = []
    for start in range(0, len(pictures), BATCH):
        made = early(np.stack(pictures[start : start + BATCH])).permute(0, 2, 3, 1).numpy()
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
    drawings = [studio.drawing(rng) for _ in range(len(photos))]
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
    """Write the gate, the classes and their vectors to `work/photographs.safetensors`."""
    text = TextTower(Weights(work / "text.safetensors"), (work / "vocabulary.txt").read_bytes())
    weight, bias, names = added_classes(read_photographs(photographs))
    made = gate(work, photographs)
    made["photo.names"] = np.concatenate([class_vectors(work, text), text.encode(names)])
    made["added.weight"], made["added.bias"] = weight, bias
    made["photo.settings"] = np.array([PHOTO_SIDE, PHOTO_WEIGHT], np.float32)
    packing.write(made, {}, work / "photographs.safetensors")
