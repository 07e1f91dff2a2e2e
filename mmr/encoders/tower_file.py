"""A text tower in a file of its own: weights, tokenizer, what it is, and five texts with their vectors.

A safetensors file. Tensors: `text.*` as open_clip names them (an int8 matrix has a `.scale` beside it),
`tokens` (the merges or the tokenizer.json), `check.texts` (5, d), `check.picture` (1, d). Its metadata hold
one JSON object under `mmr_tower`: format, model ("SPEC#hash"), kind, the descriptions of tower and tokenizer,
what is known of the picture tower, the five texts, and a digest of the tensors. Nothing in it is ever
executed, and anything in it that is not known is refused.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mmr.encoders.tensors import Tensors, data_of, write
from mmr.encoders.weights import cache_folder
from mmr.errors import BadDataError, MmrError, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from mmr.encoders.tower import Source, TextShape, TextTower
    from mmr.encoders.tower_pictures import PictureFile, Pictures
    from mmr.encoders.tower_tokens import TokenRules

FORMAT = 1
KEY = "mmr_tower"
STATED = {"format", "model", "kind", "text", "tokens", "pictures", "checks", "digest"}
KINDS = ("fp32", "int8")
APART = {"tokens", "check.texts", "check.picture"}
CHECKS = (
    "a dog", "a photo of a cat", "Two RED apples, half-eaten!", "it's <b>42</b>",
    "an old man who sells newspapers in the rain at night, seen from across a wide street with tram lines",
)  # fmt: skip
LARGEST_DIFFERENCE = 1e-5  # of a number of a unit vector; torch and NumPy differ by 2e-7, activations by 1e-4


class Stated(NamedTuple):
    """What a tower file says of itself; `kind` is "fp32" or "int8".

    pictures  what is known of the model's picture tower, None where that is not a plain ViT in a
              safetensors file; `check.picture` is then left empty
    """

    model: str
    kind: str
    shape: TextShape
    rules: TokenRules
    checks: tuple[str, ...]
    pictures: PictureFile | None = None


class Words:
    """Texts to unit vectors: a tokenizer and a tower. Raises `BadDataError` where they do not fit."""

    def __init__(self, shape: TextShape, rules: TokenRules, source: Source) -> None:
        from mmr.encoders.tower import TextTower
        from mmr.encoders.tower_tokens import tokenizer

        if rules.context != shape.context:
            raise BadDataError(
                f"the tokenizer gives {rules.context} tokens, and the tower takes {shape.context}"
            )
        self._tower: TextTower = TextTower(shape, source)
        self._tokens = tokenizer(rules, source.get("tokens").tobytes())

    @property
    def cut(self) -> int:
        """How many texts were longer than the tower reads."""
        return self._tokens.cut

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Return (n, d) float32 unit rows; raises `BadDataError` for one that is zero or not finite."""
        import numpy as np

        tokens = self._tokens(texts)
        if len(tokens) and tokens.max() >= self._tower.shape.vocabulary:
            raise BadDataError("the tower's tokenizer gives tokens that it has no weights for")
        rows = self._tower.encode(tokens)
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        if not (np.isfinite(lengths).all() and (lengths > 0).all()):
            raise BadDataError("the tower gave a vector that is zero or not finite")
        rows /= lengths
        return rows


class TowerFile:
    """An opened file of a text tower; its weights are mapped when they are used.

    Raises `BadDataError` with one sentence for a file that is cut off, damaged, of a newer format, or says
    something that is not known here; OSError where it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._tensors = Tensors(path)
        try:
            self._stated: dict[str, Any] = json.loads(self._tensors.metadata[KEY])
            self.stated = read(self._stated)
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise BadDataError(f"{shown(str(path))} is no text tower of mmr: {error}") from error
        names = {name for name in self._tensors.names() if not name.startswith("text.")}
        if names != APART:
            strange = min(names ^ APART)
            raise BadDataError(f"{shown(str(path))} has or lacks a tensor that is read: {shown(strange)}")

    @cached_property
    def words(self) -> Words:
        """The tower itself."""
        return Words(self.stated.shape, self.stated.rules, self._tensors)

    @property
    def source(self) -> Source:
        """The tensors."""
        return self._tensors

    def verified(self) -> Words:
        """Return the tower once its file is known to be sound and to give the vectors it was exported with.

        The digest and the five texts are looked at where this file was not seen before by these versions
        of mmr and NumPy; what was found is remembered in the cache. Raises `BadDataError`.
        """
        if not seen(self.path):
            self.sound()
            remember(self.path)
        return self.words

    def pictures(self) -> Pictures | None:
        """Return the picture tower, None where none is stated; its check picture is looked at as texts are.

        Raises `BadDataError` where its weights are others or give another vector, OSError where they are
        gone.
        """
        from mmr.encoders.tower_pictures import Pictures

        if self.stated.pictures is None:
            return None
        found = Pictures(self.stated.pictures)
        if not seen(self.path, "pictures"):
            self.verified()
            apart = largest_difference(found.check_vector(), self._tensors.get("check.picture"))
            if not apart <= LARGEST_DIFFERENCE:
                what = f"{shown(str(self.path))} gives another vector for its check picture"
                raise BadDataError(f"{what} (difference {apart:.1e})")
            remember(self.path, "pictures")
        return found

    def sound(self) -> None:
        """Look at the digest and at the five texts, whatever is remembered; raises `BadDataError`."""
        if digest(self._stated, [self._tensors.data()]) != self._stated["digest"]:
            raise BadDataError(f"{shown(str(self.path))} is damaged: its digest is another")
        self.check(self.words)

    def check(self, words: Words) -> None:
        """Raise `BadDataError` unless `words` gives the vectors that stand in the file."""
        import numpy as np

        expected = self._tensors.get("check.texts")
        found = words.encode(self.stated.checks)
        if found.shape != expected.shape:
            raise BadDataError(f"{shown(str(self.path))} has vectors of another length")
        apart = np.abs(found - expected).max(axis=1)
        if not apart.max() <= LARGEST_DIFFERENCE:
            text = self.stated.checks[int(apart.argmax())]
            what = f"{shown(str(self.path))} gives another vector for {text!r} than when it was exported"
            raise BadDataError(f"{what} (difference {apart.max():.1e})")


def read(stated: Mapping[str, Any]) -> Stated:
    """Read what a file says of itself; raises `BadDataError` for what is not known here."""
    from mmr.encoders.tower import TextShape
    from mmr.encoders.tower_pictures import read as read_pictures
    from mmr.encoders.tower_tokens import TokenRules

    if stated.get("format") != FORMAT:
        raise BadDataError(f"the tower has format {stated.get('format')!r}, and this mmr reads {FORMAT}")
    strange = sorted(set(stated) ^ STATED)
    if strange:
        raise BadDataError(f"the tower states other things than this mmr knows: {shown(strange[0])}")
    if stated["kind"] not in KINDS:
        raise BadDataError(f"the tower is of the kind {shown(str(stated['kind']))!r}, which is not known")
    return Stated(
        str(stated["model"]), stated["kind"], TextShape.read(stated["text"]),
        TokenRules.read(stated["tokens"]), tuple(map(str, stated["checks"])),
        None if stated["pictures"] is None else read_pictures(stated["pictures"]),
    )  # fmt: skip


def save(path: Path, stated: Stated, arrays: Mapping[str, np.ndarray]) -> None:
    """Write a tower file: `arrays` are `text.*`, `tokens` and `check.texts`."""
    from dataclasses import asdict

    words = {
        "format": FORMAT, "model": stated.model, "kind": stated.kind, "text": asdict(stated.shape),
        "tokens": asdict(stated.rules), "checks": list(stated.checks),
        "pictures": None if stated.pictures is None else stated.pictures.stated(),
    }  # fmt: skip
    write(path, arrays, {KEY: json.dumps({**words, "digest": digest(words, data_of(arrays))})})


def digest(stated: Mapping[str, Any], data: Iterable[memoryview]) -> str:
    """SHA-256 in hex over what a tower states, but for its digest, and over the data of its tensors."""
    words = {name: value for name, value in stated.items() if name != "digest"}
    sums = hashlib.sha256(json.dumps(words, sort_keys=True).encode())
    for piece in data:
        sums.update(piece)
    return sums.hexdigest()


def versions() -> list[str]:
    """What can change a vector though the file stays: mmr, NumPy, the processor's kind."""
    import numpy as np

    import mmr

    return [mmr.__version__, np.__version__, os.uname().machine]


def largest_difference(one: np.ndarray, other: np.ndarray) -> float:
    """The largest difference of two arrays; infinite where their shapes differ."""
    import numpy as np

    return float(np.abs(one - other).max()) if one.shape == other.shape else float("inf")


def note_of(path: Path, part: str) -> tuple[Path, dict[str, Any]]:
    """Where it is remembered that a part of a file was found sound, and what is then written there."""
    file = path.resolve()
    status = file.stat()
    name = hashlib.sha256(os.fsencode(file) + part.encode()).hexdigest()[:32]
    facts = {"path": str(file), "size": status.st_size, "mtime_ns": status.st_mtime_ns,
             "inode": status.st_ino, "versions": versions()}  # fmt: skip
    return cache_folder() / "towers" / "sound" / f"{name}.json", facts


def seen(path: Path, part: str = "") -> bool:
    """Whether this very file was found sound by these versions."""
    note, facts = note_of(path, part)
    with suppress(OSError, ValueError):
        return bool(json.loads(note.read_bytes()) == facts)
    return False


def remember(path: Path, part: str = "") -> None:
    """Note that the file is sound; where the cache cannot be written, it is looked at again next time."""
    from mmr.stream.files import whole_file

    note, facts = note_of(path, part)
    with suppress(OSError, MmrError):
        note.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(note) as file:
            file.write(json.dumps(facts).encode())


def kept_path(model: str) -> Path:
    """Where the exported tower of a model ("SPEC#hash") is kept for every index of it."""
    name = hashlib.sha256(model.rpartition("#")[2].encode()).hexdigest()[:32]
    return cache_folder() / "towers" / f"{name}.safetensors"
