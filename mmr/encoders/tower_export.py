"""Write text towers: from a model that torch holds, and int8 ones from fp32 ones."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mmr.encoders.tensors import Arrays
from mmr.encoders.tower import SCALE
from mmr.encoders.tower_file import CHECKS, LARGEST_DIFFERENCE, Stated, TowerFile, Words, kept_path, save
from mmr.encoders.tower_plan import NotPlain, text_shape, text_state
from mmr.encoders.tower_tokens import stated_rules, tokenizer
from mmr.errors import UnavailableError

if TYPE_CHECKING:
    from mmr.encoders.open_clip import OpenClip

EXTRA = ("naïve café №5", "東京の夜 🌃", "", "  two   blanks ", "<end_of_text>", "word " * 100)
THINGS = ("a dog", "two bicycles", "a red apple", "an old church", "a crowd", "the sea", "a plate of food",
          "a child with a kite")  # fmt: skip
PLACES = ("{}", "a photo of {}", "{} at night", "a drawing of {} on white paper",
          "{} seen from above in snow", "a blurred picture of {} behind a wet window")  # fmt: skip


class Loss(NamedTuple):
    """What int8 costs: the cosines of its vectors to the fp32 tower's, over `texts` texts."""

    texts: int
    least: float
    median: float


def export(encoder: OpenClip, model: str) -> Path:
    """Write the text tower of a loaded model to the cache and return its file; at once where it is there.

    model  "SPEC#hash", what vectors of it carry

    The vectors of the check texts are torch's, at fp32 on the processor: a model that was loaded in
    another way is loaded again for them. Raises `NotPlain` with the reason for a tower that only torch
    runs, `UnavailableError` where tokens or vectors are not torch's own, OSError where the disk is full.
    """
    path = kept_path(model)
    if path.is_file():
        return path
    text_shape(encoder.parts().model)
    parts = encoder.exact().parts()
    shape, arrays = text_shape(parts.model), text_state(parts.model)
    try:
        rules, merges = stated_rules(parts.open_clip, parts.tokenizer, shape.context)
    except UnavailableError as error:
        raise NotPlain(error.what) from error
    texts = [*CHECKS, *EXTRA]
    if not np.array_equal(tokenizer(rules, merges)(texts), np.asarray(parts.tokenizer(texts))):
        raise UnavailableError("its tokenizer gives other tokens than open_clip's")
    arrays["tokens"] = np.frombuffer(merges, np.uint8)
    arrays["check.texts"] = encoder.exact().encode_texts(list(CHECKS))
    apart = np.abs(Words(shape, rules, Arrays(arrays)).encode(CHECKS) - arrays["check.texts"]).max()
    if not apart <= LARGEST_DIFFERENCE:
        raise UnavailableError(f"its text tower gives other vectors than torch (difference {apart:.1e})")
    path.parent.mkdir(parents=True, exist_ok=True)
    save(path, Stated(model, "fp32", shape, rules, CHECKS), arrays)
    return path


def quantised(file: TowerFile, path: Path) -> Loss:
    """Write an int8 tower of an fp32 one to `path`, a scale a row; return what that costs.

    The five texts get the int8 tower's own vectors: they are to notice damage and other versions.
    """
    source = file.source
    arrays: dict[str, np.ndarray] = {"tokens": source.get("tokens")}
    for name in source.names():
        if not name.startswith("text."):
            continue
        values = source.get(name)
        if values.ndim == 2 and (".resblocks." in name or name == "text.token_embedding.weight"):
            arrays[name], arrays[f"{name}{SCALE}"] = rounded(values)
        else:
            arrays[name] = values
    stated = file.stated._replace(kind="int8")
    words = Words(stated.shape, stated.rules, Arrays(arrays))
    arrays["check.texts"] = words.encode(stated.checks)
    texts = [place.format(thing) for place in PLACES for thing in THINGS]
    cosines = (words.encode(texts) * file.words.encode(texts)).sum(axis=1, dtype=np.float64)
    save(path, stated, arrays)
    return Loss(len(texts), float(cosines.min()), float(np.median(cosines)))


def rounded(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return int8 (rows, n) and the scale (rows,) float32 with which it is nearest to `values`."""
    largest = np.abs(values).max(axis=1)
    scale = np.where(largest > 0, largest / np.float32(127), np.float32(1)).astype(np.float32)
    return np.rint(values / scale[:, None]).astype(np.int8), scale
