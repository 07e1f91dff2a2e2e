"""Pictures to vectors without torch: open_clip's preprocessing with Pillow, a plain ViT on mapped weights.

The weights stay where they are: the checkpoint that built the index, a safetensors file on this machine.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mmr.encoders.tensors import Tensors
from mmr.encoders.tower import ImageShape, ImageTower, Stated
from mmr.encoders.weights import file_hash
from mmr.errors import BadDataError, shown

if TYPE_CHECKING:
    from PIL import Image

INTERPOLATIONS = ("bicubic", "bilinear")
MODES = ("shortest", "squash")


@dataclass(frozen=True, slots=True)
class Preparation(Stated):
    """How a picture becomes pixels: (side, side, 3), scaled to 0..1, then (value - mean) / deviation.

    mode           "shortest" (the shorter side becomes `side`, the middle is cut out) or "squash"
    interpolation  "bicubic" or "bilinear"
    mean_0 ...     of red, green, blue
    """

    side: int
    mode: str
    interpolation: str
    mean_0: float
    mean_1: float
    mean_2: float
    deviation_0: float
    deviation_1: float
    deviation_2: float


class PictureFile(NamedTuple):
    """What a tower file says of the picture tower: its shape, preparation, and the file of its weights."""

    shape: ImageShape
    preparation: Preparation
    file: str
    sha256: str

    def stated(self) -> dict[str, Any]:
        """The same as JSON would hold it."""
        return {"shape": asdict(self.shape), "preparation": asdict(self.preparation),
                "file": self.file, "sha256": self.sha256}  # fmt: skip


def read(stated: Mapping[str, Any]) -> PictureFile:
    """Read what `PictureFile.stated` gave; raises `BadDataError` for what is not known here."""
    strange = sorted(set(stated) ^ {"shape", "preparation", "file", "sha256"})
    if strange:
        raise BadDataError(f"the tower states other things than this mmr knows: {shown(strange[0])}")
    preparation = Preparation.read(stated["preparation"])
    if preparation.mode not in MODES or preparation.interpolation not in INTERPOLATIONS:
        raise BadDataError("the tower prepares pictures in a way that this mmr does not know")
    return PictureFile(
        ImageShape.read(stated["shape"]), preparation, str(stated["file"]), str(stated["sha256"])
    )


class Pictures:
    """A plain ViT image tower on the weights of a checkpoint.

    Raises `BadDataError` where the checkpoint is another one or does not fit, OSError where it is gone.
    """

    def __init__(self, stated: PictureFile) -> None:
        path = Path(stated.file)
        if not path.is_file():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), stated.file)
        if file_hash(path) != stated.sha256:
            raise BadDataError(f"{shown(stated.file)} is no longer the file that the index was built with")
        if stated.preparation.side != stated.shape.side:
            raise BadDataError("the tower takes pictures of another size than it prepares")
        self._how = stated.preparation
        self._tower = ImageTower(stated.shape, Tensors(path))

    def prepare(self, image: Image.Image) -> np.ndarray:
        """Resize and cut one RGB picture as the weights want it: (side, side, 3) uint8; in any thread."""
        from PIL.Image import Resampling

        kind = Resampling.BICUBIC if self._how.interpolation == "bicubic" else Resampling.BILINEAR
        side = self._how.side
        width, height = side, side
        if self._how.mode == "shortest":
            long = int(side * max(image.size) / min(image.size))
            width, height = (side, long) if image.width <= image.height else (long, side)
        if image.size != (width, height):
            image = image.resize((width, height), kind)
        left, top = round((width - side) / 2), round((height - side) / 2)
        if image.size != (side, side):
            image = image.crop((left, top, left + side, top + side))
        return np.asarray(image)

    def encode(self, prepared: Sequence[np.ndarray]) -> np.ndarray:
        """Return (n, d) float32 unit rows of prepared pictures; raises `BadDataError` for a row of zeros."""
        how = self._how
        mean = np.array([how.mean_0, how.mean_1, how.mean_2], np.float32)
        deviation = np.array([how.deviation_0, how.deviation_1, how.deviation_2], np.float32)
        pixels = np.empty((len(prepared), how.side, how.side, 3), np.float32)
        for row, one in zip(pixels, prepared, strict=True):
            row[:] = one
        pixels /= 255
        pixels -= mean
        pixels /= deviation
        rows = self._tower.encode(pixels)
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        if not (np.isfinite(lengths).all() and (lengths > 0).all()):
            raise BadDataError("the picture tower gave a vector that is zero or not finite")
        rows /= lengths
        return rows

    def check_vector(self) -> np.ndarray:
        """The vector (1, d) of the check picture."""
        return self.encode([check_pixels(self._how.side)])


def check_pixels(side: int) -> np.ndarray:
    """The picture by which a tower is checked: (side, side, 3) uint8, of every value and no symmetry."""
    across, down, colour = np.meshgrid(np.arange(side), np.arange(side), np.arange(3), indexing="ij")
    return ((7 * across + 13 * down + 29 * colour + across * down // 5) % 256).astype(np.uint8)
