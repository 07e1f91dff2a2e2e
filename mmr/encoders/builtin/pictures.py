"""The picture tower: a tuned network for drawings, and for photographs also the 1,000 classes.

A photograph's vector is the drawing network's, plus the mean of class-name vectors weighted by
their probabilities (ConSE: Norouzi et al., 2013). A gate on early features says how much of it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from .architecture import PIXEL_MEAN, PIXEL_SCALE, SIDE
from .blas import one_thread
from .text import gelu, unit
from .vision import FloatArray, late_network, shared_network
from .weights import Weights

if TYPE_CHECKING:
    from PIL import Image

Pixels = npt.NDArray[np.uint8]
CHUNK = 8  # pictures a task: more make no matrix product faster, fewer make them slower
TEMPERATURE = 2.0
CLASSES = 50
PHOTO_SHARE = 1.5


def prepare(picture: Image.Image) -> Pixels:
    """Put one picture of any size and mode on white and squeeze it: → (128, 128, 3) uint8."""
    from PIL import Image

    if picture.mode in {"RGBA", "LA", "PA"} or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, (255, 255, 255, 255))
        picture = Image.alpha_composite(white, picture)
    small = picture.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC, reducing_gap=3.0)
    return np.asarray(small)


def processors() -> int:
    """Count the processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def class_mixture(logits: FloatArray, vectors: FloatArray) -> FloatArray:
    """Mix class vectors by probability: (n, classes), (classes, d) → (n, d) unit rows.

    The 50 most likely classes count, at temperature 2.
    """
    scaled = logits / np.float32(TEMPERATURE)
    scaled -= scaled.max(1, keepdims=True)
    shares = np.exp(scaled)
    floor = np.partition(shares, -CLASSES, axis=1)[:, -CLASSES, None]
    shares *= shares >= floor
    shares /= shares.sum(1, keepdims=True)
    return unit(shares @ vectors)


class PictureTower:
    """Turns pictures into unit rows (n, dim) float32."""

    def __init__(self, weights: Weights, threads: int | None = None) -> None:
        self._shared = shared_network(weights)
        self._draw = late_network(weights, "draw")
        self._inner = weights.matrix("draw.inner.weight"), weights.matrix("draw.inner.bias")
        self._outer = weights.matrix("draw.outer.weight"), weights.matrix("draw.outer.bias")
        self._weights = weights
        self._photo = late_network(weights, "photo")
        self._classes = weights.matrix("photo.names")
        self._gate = weights.matrix("gate.weight"), weights.matrix("gate.bias")
        self._ramp = weights.matrix("gate.ramp")
        self._threads = threads or processors()

    def photo_share(self, early: FloatArray) -> npt.NDArray[np.float32]:
        """Say how much of a photograph each picture is, 0 to 1, from (n, 8, 8, 80)."""
        weight, bias = self._gate
        seen = np.concatenate([early.mean((1, 2)), early.std((1, 2))], axis=1)
        low, high = self._ramp
        share: npt.NDArray[np.float32] = np.clip((seen @ weight + bias - low) / (high - low), 0, 1)
        return share

    def draw(self, early: FloatArray) -> FloatArray:
        """Run the network for drawings: (n, 8, 8, 80) → (n, dim) unit rows."""
        (inner, inner_bias), (outer, outer_bias) = self._inner, self._outer
        return unit(gelu(self._draw.late(early) @ inner + inner_bias) @ outer + outer_bias)

    def photograph(self, early: FloatArray) -> FloatArray:
        """Run the published network and mix its classes' vectors: (n, 8, 8, 80) → (n, dim) unit rows."""
        weight, bias = self._photo.layer("classifier")
        return class_mixture(self._photo.late(early) @ weight + bias, self._classes)

    def _encode(self, pictures: Sequence[Pixels]) -> FloatArray:
        scaled = (np.stack(pictures).astype(np.float32) - np.float32(PIXEL_MEAN)) / np.float32(PIXEL_SCALE)
        early = self._shared.early(scaled)
        made = self.draw(early)
        share = self.photo_share(early)
        chosen = np.flatnonzero(share > 0)
        if len(chosen):
            made[chosen] += PHOTO_SHARE * share[chosen, None] * self.photograph(early[chosen])
        return unit(made)

    def encode(self, pictures: Sequence[Pixels]) -> FloatArray:
        """Encode prepared pictures: (n,) → (n, dim) float32 unit rows; chunks run on a few threads."""
        chunks = [pictures[start : start + CHUNK] for start in range(0, len(pictures), CHUNK)]
        with one_thread():
            if len(chunks) < 2 or self._threads < 2:
                rows = [self._encode(chunk) for chunk in chunks]
            else:
                with ThreadPoolExecutor(self._threads) as pool:
                    rows = list(pool.map(self._encode, chunks))
        return np.concatenate(rows) if rows else np.empty((0, self._outer[1].shape[0]), np.float32)
