"""Write text towers: from a model that torch holds, and int8 ones from fp32 ones."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mmr.encoders.tensors import Arrays
from mmr.encoders.tower import SCALE
from mmr.encoders.tower_file import (
    CHECKS,
    LARGEST_DIFFERENCE,
    Stated,
    TowerFile,
    Words,
    kept_path,
    largest_difference,
    save,
)
from mmr.encoders.tower_pictures import PictureFile, Pictures, Preparation, check_pixels, read
from mmr.encoders.tower_plan import NotPlain, image_shape, text_shape, text_state
from mmr.encoders.tower_tokens import stated_rules, tokenizer
from mmr.encoders.weights import file_hash
from mmr.errors import BadDataError, UnavailableError

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
    pictures, arrays["check.picture"] = picture_file(encoder.exact())
    path.parent.mkdir(parents=True, exist_ok=True)
    save(path, Stated(model, "fp32", shape, rules, CHECKS, pictures), arrays)
    return path


def picture_file(encoder: OpenClip) -> tuple[PictureFile | None, np.ndarray]:
    """Return what a tower file says of the picture tower, and torch's vector (1, d) of the check picture.

    None, and (0, d), where that is no plain ViT, its weights are no safetensors file, its preprocessing is
    not known here, or NumPy's vector is not torch's.
    """
    model: Any = encoder.parts().model
    how: dict[str, Any] = dict(model.visual.preprocess_cfg)
    nothing = None, np.zeros((0, encoder.dim), np.float32)
    try:
        shape = image_shape(model)
        file = encoder.parts().file
        preparation = Preparation(
            shape.side, str(how["resize_mode"]), str(how["interpolation"]), *map(float, how["mean"]),
            *map(float, how["std"]),
        )  # fmt: skip
        stated = PictureFile(shape, preparation, str(file), file_hash(file))
        found = Pictures(read(stated.stated())).check_vector()
    except (NotPlain, BadDataError, TypeError):
        return nothing
    expected = encoder.encode_prepared([check_pixels(shape.side)])
    return (stated, expected) if largest_difference(found, expected) <= LARGEST_DIFFERENCE else nothing


def quantised(file: TowerFile, path: Path) -> Loss:
    """Write an int8 tower of an fp32 one to `path`, a scale a row; return what that costs.

    The five texts get the int8 tower's own vectors: they are to notice damage and other versions.
    """
    source = file.source
    arrays = {name: source.get(name) for name in ("tokens", "check.picture")}
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
