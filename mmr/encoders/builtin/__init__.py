"""The built-in encoder: pictures and words to vectors, with NumPy alone and weights that ship.

Good at icons, emoji, clip art and simple drawings, in some 70 languages; of photographs it knows little.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mmr.encoders.protocol import Many, grid_boxes
from mmr.errors import UsageError

from .languages import OtherTable
from .text import TextTower
from .weights import Weights, shipped

if TYPE_CHECKING:
    from PIL import Image

    from .pictures import PictureTower, Prepared

FloatMatrix = npt.NDArray[np.float32]
WEIGHTS, VOCABULARY = "weights.safetensors", "vocabulary.txt"


class Builtin:
    """Encodes texts and pictures into one space; rows are float32 of length 1.

    `dim` is the length of a vector, `fingerprint` names weights, tokenizer and preprocessing.
    """

    spec = "builtin"
    late = False

    def __init__(self, threads: int | None = None) -> None:
        self._weights = Weights(shipped(WEIGHTS))
        self._threads = threads
        self._text: TextTower | None = None
        self._pictures: PictureTower | None = None
        self._lock = threading.Lock()
        self.fingerprint: str = self._weights.metadata["fingerprint"]
        self.dim: int = int(self._weights.metadata["dim"])

    def encode_texts(self, texts: list[str]) -> FloatMatrix:
        """Encode texts: (n,) → (n, dim) float32 unit rows."""
        with self._lock:
            if self._text is None:
                others = OtherTable(self._weights)
                self._text = TextTower(self._weights, shipped(VOCABULARY).read_bytes(), others)
        return self._text.encode(texts)

    def encode_images(self, images: list[Image.Image]) -> FloatMatrix:
        """Encode PIL pictures of any size and mode: (n,) → (n, dim) float32 unit rows."""
        return self.encode_prepared([self.prepare(image) for image in images])

    def no_tokens(self, kind: str) -> str:
        """Say why there are no vectors of tokens of words ("text"); "" of patches ("image")."""
        return "" if kind == "image" else "it adds up the words of a text"

    def encode_tokens(self, pictures: Sequence[Prepared], sizes: Sequence[tuple[int, int]]) -> Many:
        """Encode the 16 patches of prepared pictures, four rows of four from the upper left: unit rows.

        They lie in the space of the texts, and each sees beyond its own edges. `sizes` change nothing:
        a picture is squeezed to a square whatever its own are.
        """
        rows = self._tower().tokens(pictures)
        return Many(list(rows), [grid_boxes(4, 4)] * len(rows), {})

    def encode_word_tokens(self, texts: list[str]) -> Many:
        """Fail for each text: see `no_tokens`."""
        none = np.zeros((0, self.dim), np.float32)
        failed = {row: self.no_tokens("text") for row in range(len(texts))}
        return Many([none] * len(texts), [None] * len(texts), failed)

    def prepare(self, image: Image.Image) -> Prepared:
        """Put one picture on white and squeeze it to two squares; safe in many threads."""
        from .pictures import photo_settings, prepare

        return prepare(image, photo_settings(self._weights)[0])

    def encode_prepared(self, prepared: Sequence[Prepared]) -> FloatMatrix:
        """Encode what `prepare` gave: (n,) → (n, dim) float32 unit rows."""
        return self._tower().encode(prepared)

    def doubt(self) -> str:
        """Say so when most pictures so far were photographs."""
        tower = self._pictures
        if tower is None or 2 * tower.photographs <= tower.seen:
            return ""
        return (
            f"{tower.photographs:,} of {tower.seen:,} pictures look like photographs, of which the built-in "
            "encoder knows little: --model clip knows them."
        )

    def _tower(self) -> PictureTower:
        with self._lock:
            if self._pictures is None:
                from .pictures import PictureTower

                self._pictures = PictureTower(self._weights, self._threads)
        return self._pictures


def load(spec: str = "builtin", threads: int | None = None) -> Builtin:
    """Open the shipped weights; tensors are read at the first use.

    spec     has one value, "builtin"
    threads  of the picture tower, None for one a processor that this process may use
    """
    if spec != "builtin":
        raise UsageError(f"The built-in encoder has no variant {spec!r}.", "Its name is `builtin`.")
    return Builtin(threads)
