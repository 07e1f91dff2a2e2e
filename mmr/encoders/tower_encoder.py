"""An encoder whose words need no torch; its pictures are those of the whole model, loaded when one comes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mmr.encoders.protocol import Encoder, Prepares
from mmr.encoders.tower_file import TowerFile
from mmr.errors import BadDataError
from mmr.stream.records import same_model

if TYPE_CHECKING:
    from PIL import Image

INT8 = "-int8"  # behind the fingerprint of vectors that an int8 tower made


class TowerEncoder:
    """An `Encoder` (with the capabilities `Prepares` and `Runs`) around a text tower in a file.

    file   opened; its digest and check texts are looked at here, where they were not before
    model  "SPEC#hash" of the vectors that its own are to meet
    whole  loads the encoder of that model with torch, for pictures

    Raises `BadDataError` with one sentence for a tower of another model or one that is not sound.
    """

    def __init__(self, file: TowerFile, model: str, whole: Callable[[], Encoder]) -> None:
        if not same_model(file.stated.model, model):
            what = f"the text tower {file.path.name} is of {file.stated.model}, and the vectors of {model}"
            raise BadDataError(what)
        self._words = file.verified()
        self._load = whole
        self._lock = threading.Lock()
        self._whole: Encoder | None = None
        self.spec, _, self.fingerprint = model.rpartition("#")
        if file.stated.kind == "int8":
            self.fingerprint += INT8
        self.dim = file.stated.shape.dim
        self.runs = f"{file.stated.kind} on cpu, numpy {np.__version__}"

    def encode_texts(self, texts: list[str]) -> np.ndarray:
        """Return (n, d) float32, one unit vector a text; a text beyond the model's length is cut."""
        return self._words.encode(texts)

    def encode_images(self, images: list[Image.Image]) -> np.ndarray:
        """Return (n, d) float32, one unit vector an RGB picture of any size."""
        return self.whole().encode_images(images)

    def prepare(self, image: Image.Image) -> Any:
        """Make one picture ready as the whole model wants it."""
        whole = self.whole()
        return whole.prepare(image) if isinstance(whole, Prepares) else image

    def encode_prepared(self, prepared: Sequence[Any]) -> np.ndarray:
        """Return (n, d) float32, one unit vector a picture that `prepare` has made ready."""
        whole = self.whole()
        if isinstance(whole, Prepares):
            return whole.encode_prepared(prepared)
        return whole.encode_images(list(prepared))

    def whole(self) -> Encoder:
        """The whole model, loaded once; decode threads may ask at the same time."""
        with self._lock:
            if self._whole is None:
                self._whole = self._load()
            return self._whole
