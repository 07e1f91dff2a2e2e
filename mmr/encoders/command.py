"""Encoders that are programs of the user's: `cmd:PROGRAM ARGUMENTS`.

The program is started once. Its first line in is `{"protocol": 1, "role": "encode"}`; its first line out
`{"tag": "my model 2", "dim": 384, "fingerprint": "9f3ac1"}`: the fingerprint names the weights and changes
when they do. Then a request a line, `{"text": "a cat", "key": "1"}` or `{"image_png": "<base64>", "key":
"2"}` (RGB, upright), and an answer a line, `{"key": "1", "vector": [...]}` with `dim` numbers or base64 of
little-endian float32, or `{"key": "1", "error": "why not"}`. Vectors are brought to unit length.

A program that has several vectors an item says `"tokens": ["image", "text"]`, or one of both, in its first
line; a request with `"tokens": true` is then answered with `"vectors": [[...], ...]`, and where they are
parts of a picture with `"boxes": [[left, top, right, bottom], ...]`, shares of its width and height.

A program that takes a picture and words at once says `"compose": true` in its first line; then requests may
hold both `image_png` and `text`.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from mmr.encoders.protocol import Many
from mmr.errors import BadItem, UnavailableError, shown
from mmr.programs.child import ANSWER_SECONDS, START_SECONDS, Child
from mmr.programs.window import Answer

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

PREFIX = "cmd:"
LARGEST_DIM = 65_536


def load(spec: str) -> Command | Composing:
    """Start the program of a spec and return it as an encoder; call its `close` at the end.

    Raises `UsageError` for a command that cannot be split, `UnavailableError` when the program cannot be
    started or its first line lacks a usable `dim` or `fingerprint`.
    """
    encoder = Command(spec)
    return Composing(encoder) if encoder.composes else encoder


class Command:
    """An `Encoder` with the capabilities `Rejects` and `Closes` around one program.

    answer_seconds  how long the program may be silent while it holds a request
    start_seconds   how long it may take to load its model and say hello
    """

    late = True

    def __init__(
        self, spec: str, *, answer_seconds: float = ANSWER_SECONDS, start_seconds: float = START_SECONDS
    ) -> None:
        self.spec = spec
        command = spec.removeprefix(PREFIX).strip()
        self._child = Child(command, "encode", seconds=answer_seconds, start_seconds=start_seconds)
        self.composes = self._child.hello.get("compose") is True
        said = self._child.hello.get("tokens")
        self._tokens = (
            frozenset(one for one in said if isinstance(one, str)) if isinstance(said, list) else ()
        )
        try:
            self.dim = checked_dim(self._child.hello, command)
            self.fingerprint = checked_fingerprint(self._child.hello, command)
        except UnavailableError:
            self.close()
            raise

    def close(self) -> None:
        """End the program; a second call does nothing."""
        self._child.close()

    def encode_texts(self, texts: list[str]) -> np.ndarray:
        """Return (n, d) float32, one unit vector a text; raises `BadItem` for the first that failed."""
        rows, failed = self.try_texts(texts)
        return rows if not failed else fail(failed, "text")

    def encode_images(self, images: list[Image.Image]) -> np.ndarray:
        """Return (n, d) float32, one unit vector a picture; raises `BadItem` for the first that failed."""
        rows, failed = self.try_images(images)
        return rows if not failed else fail(failed, "picture")

    def try_texts(self, texts: list[str]) -> tuple[np.ndarray, dict[int, str]]:
        """Return (n, d) float32 and why rows failed; a failed row is all NaN."""
        return self._ask(({"text": text} for text in texts), len(texts))

    def try_images(self, images: list[Image.Image]) -> tuple[np.ndarray, dict[int, str]]:
        """Return (n, d) float32 and why rows failed; a failed row is all NaN."""
        return self._ask(({"image_png": png(image)} for image in images), len(images))

    def try_pairs(self, images: list[Image.Image], texts: list[str]) -> tuple[np.ndarray, dict[int, str]]:
        """Return (n, d) float32, a vector a picture with words, and why rows failed (all NaN)."""
        pairs = zip(images, texts, strict=True)
        return self._ask(({"image_png": png(image), "text": text} for image, text in pairs), len(texts))

    def no_tokens(self, kind: str) -> str:
        """Say why there are not several vectors of a "image" or "text"; "" where the program has them."""
        return "" if kind in self._tokens else f'its first line does not say "tokens": ["{kind}"]'

    def encode_tokens(self, pictures: Sequence[Image.Image], sizes: Sequence[tuple[int, int]]) -> Many:
        """Return several unit vectors a picture, with their boxes where the program gives them."""
        return self._ask_many([{"image_png": png(one), "tokens": True} for one in pictures])

    def encode_word_tokens(self, texts: list[str]) -> Many:
        """Return several unit vectors a text."""
        return self._ask_many([{"text": text, "tokens": True} for text in texts])

    def _ask_many(self, requests: list[Mapping[str, Any]]) -> Many:
        import numpy as np

        made = Many([], [], {})
        for number, answer in enumerate(self._child.answers(requests)):
            try:
                rows, boxes = vectors(answer, self.dim)
            except ValueError as error:
                made.failed[number] = str(error)
                rows, boxes = np.zeros((0, self.dim), np.float32), None
            made.rows.append(rows)
            made.boxes.append(boxes)
        return made

    def _ask(self, requests: Iterable[Mapping[str, Any]], count: int) -> tuple[np.ndarray, dict[int, str]]:
        import numpy as np

        rows = np.full((count, self.dim), np.nan, np.float32)
        failed: dict[int, str] = {}
        for number, answer in enumerate(self._child.answers(requests)):
            try:
                rows[number] = vector(answer, self.dim)
            except ValueError as error:
                failed[number] = str(error)
        return rows, failed


class Composing:
    """A `Command` whose program takes a picture and words at once: it has the capability `Composes` too."""

    def __init__(self, encoder: Command) -> None:
        self.spec, self.dim, self.fingerprint = encoder.spec, encoder.dim, encoder.fingerprint
        self.encode_texts, self.encode_images = encoder.encode_texts, encoder.encode_images
        self.try_texts, self.try_images = encoder.try_texts, encoder.try_images
        self.compose, self.close = encoder.try_pairs, encoder.close
        self.late, self.no_tokens = encoder.late, encoder.no_tokens
        self.encode_tokens, self.encode_word_tokens = encoder.encode_tokens, encoder.encode_word_tokens


def checked_dim(hello: Mapping[str, Any], command: str) -> int:
    """The `dim` of a hello; raises `UnavailableError` unless it is a whole number from 1 to 65,536."""
    dim = hello.get("dim")
    if isinstance(dim, int) and not isinstance(dim, bool) and 1 <= dim <= LARGEST_DIM:
        return dim
    what = f'the program {shown(command)!r} said "dim": {shown(repr(dim), 40)}'
    fix = f"An encoder's first line carries the length of its vectors, 1 to {LARGEST_DIM:,}."
    raise UnavailableError(what, fix)


def checked_fingerprint(hello: Mapping[str, Any], command: str) -> str:
    """The `fingerprint` of a hello; raises `UnavailableError` unless it is one word without #."""
    name = hello.get("fingerprint")
    if isinstance(name, str) and re.fullmatch(r"[!-\"$-~]{1,64}", name):
        return name
    what = f'the program {shown(command)!r} said "fingerprint": {shown(repr(name), 40)}'
    fix = "An encoder's first line carries a hash of its weights: 1 to 64 ASCII characters, no #, no blank."
    raise UnavailableError(what, fix)


def vector(answer: Answer, dim: int) -> np.ndarray:
    """The vector (d,) float32 of an answer at unit length; raises `ValueError` that says what is wrong."""
    if answer.fields is None:
        raise ValueError(answer.problem)
    return checked(answer.fields.get("vector"), dim)


def checked(value: Any, dim: int) -> np.ndarray:
    """A vector of `dim` numbers, or base64 of them, at unit length; raises `ValueError` otherwise."""
    import numpy as np

    try:
        if isinstance(value, str):
            row = np.frombuffer(base64.b64decode(value, validate=True), "<f4").astype(np.float64)
        else:
            row = np.asarray(value, np.float64)
    except (binascii.Error, TypeError, ValueError):
        raise ValueError('the program answered without a "vector" of numbers') from None
    if row.shape != (dim,):
        found = f"{row.size:,} numbers" if row.ndim == 1 else f"an array of {row.ndim} dimensions"
        raise ValueError(f"the program answered with {found}, and said that it gives {dim:,}")
    length = float(np.linalg.norm(row))
    if not np.isfinite(length) or length == 0:
        raise ValueError("the program answered with a vector that is zero or not finite")
    return (row / length).astype(np.float32)


def vectors(answer: Answer, dim: int) -> tuple[np.ndarray, np.ndarray | None]:
    """The vectors (n, d) float32 of an answer at unit length, and their boxes (n, 4) or None.

    Raises `ValueError` that says what is wrong.
    """
    import numpy as np

    if answer.fields is None:
        raise ValueError(answer.problem)
    value, places = answer.fields.get("vectors"), answer.fields.get("boxes")
    if not isinstance(value, list) or not value:
        raise ValueError('the program answered without "vectors"')
    rows = np.stack([checked(one, dim) for one in value])
    if places is None:
        return rows, None
    try:
        boxes = np.asarray(places, np.float64)
    except (TypeError, ValueError):
        boxes = np.empty(0)
    right = boxes.shape == (len(rows), 4) and bool(((boxes >= 0) & (boxes <= 1)).all())
    if not right or (boxes[:, 2:] <= boxes[:, :2]).any():
        raise ValueError('its "boxes" are not [left, top, right, bottom], each from 0 to 1, one a vector')
    return rows, boxes


def png(image: Image.Image) -> str:
    """A picture as PNG in base64, packed fast rather than small."""
    import io

    data = io.BytesIO()
    image.convert("RGB").save(data, "PNG", compress_level=1)
    return base64.b64encode(data.getvalue()).decode("ascii")


def fail(failed: Mapping[int, str], kind: str) -> NoReturn:
    """Raise `BadItem` for the first row that failed."""
    number = min(failed)
    raise BadItem(f"{kind} {number + 1}", failed[number], stage="embed")
