"""Encoders that need no torch: a text tower in a file, a plain ViT beside it, one fingerprint with torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mmr.encoders.tower_file import TowerFile
from mmr.encoders.tower_pictures import Pictures
from mmr.errors import BadDataError, UnavailableError
from mmr.stream.records import same_model

if TYPE_CHECKING:
    from PIL import Image

INT8 = "-int8"  # behind the fingerprint of vectors that an int8 tower made


class TowerEncoder:
    """An `Encoder` (with the capabilities `Runs` and `Cuts`) around a text tower in a file.

    file   opened; its digest and check texts are looked at here, where they were not before
    model  "SPEC#hash" of the vectors that its own are to meet

    Raises `BadDataError` with one sentence for a tower of another model or one that is not sound.
    """

    def __init__(self, file: TowerFile, model: str) -> None:
        if not same_model(file.stated.model, model):
            what = f"the text tower {file.path.name} is of {file.stated.model}, and the vectors of {model}"
            raise BadDataError(what)
        self._words = file.verified()
        self.spec, _, self.fingerprint = model.rpartition("#")
        if file.stated.kind == "int8":
            self.fingerprint += INT8
        self.dim = file.stated.shape.dim
        self.runs = f"{file.stated.kind} on cpu, numpy {np.__version__}"

    def encode_texts(self, texts: list[str]) -> np.ndarray:
        """Return (n, d) float32, one unit vector a text; a text beyond the model's length is cut."""
        return self._words.encode(texts)

    @property
    def cut(self) -> int:
        """How many texts were longer than the tower reads."""
        return self._words.cut

    def encode_images(self, images: list[Image.Image]) -> np.ndarray:
        """Raise `UnavailableError`: pictures take the whole model."""
        raise UnavailableError(f"the text tower of {self.spec} embeds words alone", "Load the model.")


class PictureTowerEncoder(TowerEncoder):
    """A `TowerEncoder` that has the picture tower too, and with it the capability `Prepares`."""

    def __init__(self, file: TowerFile, model: str, pictures: Pictures) -> None:
        super().__init__(file, model)
        self._pictures = pictures

    def encode_images(self, images: list[Image.Image]) -> np.ndarray:
        """Return (n, d) float32, one unit vector an RGB picture of any size."""
        return self._pictures.encode([self.prepare(image) for image in images])

    def prepare(self, image: Image.Image) -> np.ndarray:
        """Resize and cut one picture as the weights want it: (side, side, 3) uint8; in any thread."""
        return self._pictures.prepare(image)

    def encode_prepared(self, prepared: Sequence[np.ndarray]) -> np.ndarray:
        """Return (n, d) float32, one unit vector a picture that `prepare` has made ready."""
        return self._pictures.encode(prepared)
