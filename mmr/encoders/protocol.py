"""What every encoder is: pictures and words in, unit vectors out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

    from mmr.encoders.inversion import Inversion, Inverted


class Encoder(Protocol):
    """Turn pictures and words into vectors of one space.

    dim          d, the length of a vector
    spec         how a user names it: "builtin", "open_clip:ViT-B-32/laion2b_s34b_b79k"
    fingerprint  12 hex digits over weights, preprocessing and tokenizer; never over precision or device

    Row i of an answer belongs to item i. Rows are float32 of unit length, always finite. An empty list
    gives shape (0, d). One encoder may be called from one thread at a time.
    """

    dim: int
    spec: str
    fingerprint: str

    def encode_texts(self, texts: list[str]) -> np.ndarray:
        """Return (n, d) float32, one unit vector a text."""
        ...

    def encode_images(self, images: list[Image.Image]) -> np.ndarray:
        """Return (n, d) float32, one unit vector an RGB picture."""
        ...


@runtime_checkable
class Prepares(Protocol):
    """A capability: preprocessing apart from the model, so that decode threads can do it.

    `encode_prepared([prepare(a), prepare(b)])` equals `encode_images([a, b])`. `prepare` is safe in any
    number of threads at once; what it returns is small and belongs to this encoder alone.
    """

    def prepare(self, image: Image.Image) -> Any:
        """Resize and crop one RGB picture as the model wants it."""
        ...

    def encode_prepared(self, prepared: Sequence[Any]) -> np.ndarray:
        """Return (n, d) float32, one unit vector a prepared picture."""
        ...


@runtime_checkable
class Rejects(Protocol):
    """A capability: single items can fail, and the others of the batch are kept.

    `encode_texts` and `encode_images` of such an encoder raise `BadItem` for the first that failed.
    """

    def try_texts(self, texts: list[str]) -> tuple[np.ndarray, dict[int, str]]:
        """Return (n, d) float32 and why rows failed; a failed row is all NaN."""
        ...

    def try_images(self, images: list[Image.Image]) -> tuple[np.ndarray, dict[int, str]]:
        """Return (n, d) float32 and why rows failed; a failed row is all NaN."""
        ...


@runtime_checkable
class Composes(Protocol):
    """A capability: a picture and the words that change it become one vector together."""

    def compose(self, images: list[Image.Image], texts: list[str]) -> tuple[np.ndarray, dict[int, str]]:
        """Return (n, d) float32, one unit vector a pair, and why rows failed; a failed row is all NaN."""
        ...


class Many(NamedTuple):
    """Several vectors an item: of item i `rows[i]` (n_i, d) float32, unit rows, in reading order.

    boxes   of each item (n_i, 4) float64, what each row shows: left, top, right and bottom as shares of
            the upright picture's width and height; None of words, and where the encoder does not say
    failed  why items failed, by number; such an item has no rows
    """

    rows: list[np.ndarray]
    boxes: list[np.ndarray | None]
    failed: dict[int, str]


def grid_boxes(columns: int, rows: int) -> np.ndarray:
    """Return the boxes (columns * rows, 4) of a grid over a whole picture, row by row: see `Many`."""
    import numpy as np

    down, across = np.mgrid[:rows, :columns].reshape(2, -1).astype(np.float64)
    return np.stack([across / columns, down / rows, (across + 1) / columns, (down + 1) / rows], axis=1)


@runtime_checkable
class Tokens(Protocol):
    """A capability: several vectors an item, in the space of its one vector; never one for padding.

    A picture's are those of its patches, a text's those of its tokens.
    late  whether the model was trained to compare these one by one; else a query is its one vector, unless
          tokens are asked for
    """

    late: bool

    def no_tokens(self, kind: str) -> str:
        """Say why there are none of a kind, "image" or "text"; "" where there are."""
        ...

    def encode_tokens(self, pictures: Sequence[Any], sizes: Sequence[tuple[int, int]]) -> Many:
        """Return the vectors of patches: of what `prepare` gave, where the encoder has it, else of pictures.

        sizes  width and height of each upright picture, before it was prepared
        """
        ...

    def encode_word_tokens(self, texts: list[str]) -> Many:
        """Return the vectors of tokens; a text without any fails."""
        ...


@runtime_checkable
class Injects(Prepares, Protocol):
    """A capability: token embeddings take the place of a word, and can be learned from vectors."""

    def inject(self, templates: list[str], words: np.ndarray) -> np.ndarray:
        """Return (n, d) float32, one unit vector a text whose `{}` holds `words` (n, tokens, width)."""
        ...

    def invert(self, vectors: np.ndarray, how: Inversion) -> Inverted:
        """Learn the token embeddings whose text comes nearest to each unit vector of (n, d)."""
        ...


@runtime_checkable
class Doubts(Protocol):
    """A capability: the encoder can say that it is the wrong one for what it was given."""

    def doubt(self) -> str:
        """Say in one sentence what the user should know of the items so far, or give an empty text."""
        ...


@runtime_checkable
class Closes(Protocol):
    """A capability: the encoder holds a program or a connection that must end."""

    def close(self) -> None:
        """Let go of what is held; a second call does nothing."""
        ...


@runtime_checkable
class Cuts(Protocol):
    """A capability: the encoder counts in `cut` the texts that were longer than it reads."""

    @property
    def cut(self) -> int:
        """How many there were so far."""
        ...


@runtime_checkable
class Runs(Protocol):
    """A capability: the encoder says in `runs` what computes: precision, device, versions of libraries.

    It is recorded and never compared.
    """

    runs: str


def described(encoder: Encoder) -> str:
    """What a record's `via` says of an encoder: its spec, and in brackets what computes."""
    return f"{encoder.spec} ({encoder.runs})" if isinstance(encoder, Runs) else encoder.spec


def model_name(encoder: Encoder) -> str:
    """What records carry in `model`: the spec and, after the last `#`, the fingerprint."""
    return f"{encoder.spec}#{encoder.fingerprint}"
