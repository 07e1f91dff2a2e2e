"""The picture tower: a tuned network for drawings, and for photographs also the 1,000 classes.

A photograph's vector is the drawing network's, plus the mean of class-name vectors weighted by
their probabilities (ConSE: Norouzi et al., 2013). A gate on early features says how much of it.
Photographs are seen a second time, larger.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

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


class Prepared(NamedTuple):
    """A picture on white, squeezed to two squares: (128, 128, 3) and (side, side, 3) uint8."""

    small: Pixels
    large: Pixels


def prepare(picture: Image.Image, side: int) -> Prepared:
    """Put one picture of any size and mode on white and squeeze it; `side` is that of photographs."""
    from PIL import Image

    if picture.mode in {"RGBA", "LA", "PA"} or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, (255, 255, 255, 255))
        picture = Image.alpha_composite(white, picture)
    picture = picture.convert("RGB")
    small, large = (
        np.asarray(picture.resize((each, each), Image.Resampling.BICUBIC, reducing_gap=3.0))
        for each in (SIDE, side)
    )
    return Prepared(small, large)


def photo_settings(weights: Weights) -> tuple[int, float]:
    """Read the side at which photographs are seen again, and the weight of their classes' vector."""
    side, share = weights.tensor("photo.settings")
    return int(side), float(share)


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
        self._weight_of_classes = np.float32(photo_settings(weights)[1])
        self._threads = threads or processors()
        self._counting = threading.Lock()
        self.seen, self.photographs = 0, 0

    def photo_share(self, early: FloatArray) -> npt.NDArray[np.float32]:
        """Say how much of a photograph each picture is, 0 to 1, from (n, 8, 8, 80)."""
        weight, bias = self._gate
        seen = np.concatenate([early.mean((1, 2)), early.std((1, 2))], axis=1)
        low, high = self._ramp
        share: npt.NDArray[np.float32] = np.clip((seen @ weight + bias - low) / (high - low), 0, 1)
        return share

    def draw(self, early: FloatArray) -> FloatArray:
        """Run the network for drawings: (n, 8, 8, 80) → (n, dim) unit rows."""
        return self._head(self._draw.late(early))

    def _head(self, features: FloatArray) -> FloatArray:
        (inner, inner_bias), (outer, outer_bias) = self._inner, self._outer
        return unit(gelu(features @ inner + inner_bias) @ outer + outer_bias)

    def photograph(self, early: FloatArray) -> FloatArray:
        """Run the published network and mix its classes' vectors: (n, h, w, 80) → (n, dim) unit rows."""
        weight, bias = self._photo.layer("classifier")
        return class_mixture(self._photo.late(early) @ weight + bias, self._classes)

    def _early(self, pictures: list[Pixels]) -> FloatArray:
        scaled = (np.stack(pictures).astype(np.float32) - np.float32(PIXEL_MEAN)) / np.float32(PIXEL_SCALE)
        return self._shared.early(scaled)

    def _encode(self, pictures: Sequence[Prepared]) -> FloatArray:
        early = self._early([picture.small for picture in pictures])
        made = self.draw(early)
        share = self.photo_share(early)
        with self._counting:
            self.seen += len(share)
            self.photographs += int((share > 0.5).sum())
        for row in np.flatnonzero(share > 0).tolist():
            classes = self.photograph(self._early([pictures[row].large]))[0]
            made[row] += self._weight_of_classes * share[row] * classes
        return unit(made)

    def _tokens(self, pictures: Sequence[Prepared]) -> FloatArray:
        early = self._early([picture.small for picture in pictures])
        last = self._draw.last(early)
        n, height, width, channels = last.shape
        flat = self._head(last.reshape(-1, channels))
        share = self.photo_share(early)
        for row in np.flatnonzero(share > 0).tolist():
            weight, bias = self._photo.layer("classifier")
            photo = self._photo.last(early[row : row + 1]).reshape(-1, channels)
            mixed = class_mixture(photo @ weight + bias, self._classes)
            own = slice(row * height * width, (row + 1) * height * width)
            flat[own] += self._weight_of_classes * share[row] * mixed
        return unit(flat).reshape(n, height * width, -1)

    def encode(self, pictures: Sequence[Prepared]) -> FloatArray:
        """Encode prepared pictures: (n,) → (n, dim) float32 unit rows."""
        rows = self._in_chunks(self._encode, pictures)
        return np.concatenate(rows) if rows else np.empty((0, self._outer[1].shape[0]), np.float32)

    def tokens(self, pictures: Sequence[Prepared]) -> FloatArray:
        """Encode the patches of prepared pictures: (n,) → (n, 16, dim) float32 unit rows, 4 rows of 4."""
        rows = self._in_chunks(self._tokens, pictures)
        patches = (SIDE // 32) ** 2
        return np.concatenate(rows) if rows else np.empty((0, patches, self._outer[1].shape[0]), np.float32)

    def _in_chunks(
        self, work: Callable[[Sequence[Prepared]], FloatArray], pictures: Sequence[Prepared]
    ) -> list[FloatArray]:
        """Run chunks on a few threads, in order."""
        chunks = [pictures[start : start + CHUNK] for start in range(0, len(pictures), CHUNK)]
        with one_thread():
            if len(chunks) < 2 or self._threads < 2:
                return [work(chunk) for chunk in chunks]
            with ThreadPoolExecutor(self._threads) as pool:
                return list(pool.map(work, chunks))
