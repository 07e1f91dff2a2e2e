"""Give one batch to the encoder: pictures and words, templates averaged, failures told row by row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from mmr.embed.item import SLOT
from mmr.encoders import Many, Prepares, Rejects, Tokens
from mmr.errors import UsageError

if TYPE_CHECKING:
    import numpy as np

    from mmr.encoders import Encoder


FIXES = {
    "image": "--grid 3x3 embeds regions of pictures with any model.",
    "text": "Without it a query asks with the vector of the whole text, which `mmr embed --grid 1x1` writes.",
}


class Rows(NamedTuple):
    """Vectors (n, d) float32, and by row why one is not to be used."""

    vectors: np.ndarray
    failed: dict[int, str]


def patches(encoder: Encoder, pictures: list[Any], sizes: list[tuple[int, int]]) -> Many:
    """Embed pictures, or what `preparer` made of them, into several vectors each.

    sizes  width and height of each
    """
    return _finite(having(encoder, "image").encode_tokens(pictures, sizes))


def words(encoder: Encoder, texts: Sequence[str]) -> Many:
    """Embed texts into several vectors each."""
    return _finite(having(encoder, "text").encode_word_tokens(list(texts)))


def having(encoder: Encoder, kind: str) -> Tokens:
    """The encoder, if it has several vectors of an "image" or a "text"; raises `UsageError` if not."""
    why = encoder.no_tokens(kind) if isinstance(encoder, Tokens) else "it gives one vector an item"
    if isinstance(encoder, Tokens) and not why:
        return encoder
    what = f"{encoder.spec} has no {'patches of pictures' if kind == 'image' else 'tokens of words'}: {why}"
    raise UsageError(what, FIXES[kind])


def _finite(many: Many) -> Many:
    """Add the items with numbers that no search could use."""
    import numpy as np

    for number, rows in enumerate(many.rows):
        if not np.isfinite(rows).all():
            many.failed.setdefault(number, "the model gave a vector with numbers that are not finite")
    return many


def preparer(encoder: Encoder) -> Callable[[Any], Any] | None:
    """What the encoder does to a picture on decode threads, or None."""
    return encoder.prepare if isinstance(encoder, Prepares) and not isinstance(encoder, Rejects) else None


def images(encoder: Encoder, pictures: list[Any]) -> Rows:
    """Embed pictures, or what `preparer` made of them, one row each."""
    if isinstance(encoder, Rejects):
        return _checked(*encoder.try_images(pictures))
    if isinstance(encoder, Prepares):
        return _checked(encoder.encode_prepared(pictures), {})
    return _checked(encoder.encode_images(pictures), {})


def texts(encoder: Encoder, words: Sequence[str], templates: Sequence[str]) -> Rows:
    """Embed words, one row each: with templates the mean of the unit vectors, at unit length again."""
    import numpy as np

    from mmr.arrays.unit import unit

    once = list(dict.fromkeys(words))
    forms = templates or (SLOT,)
    filled = [form.replace(SLOT, text) for text in once for form in forms]
    if isinstance(encoder, Rejects):
        rows = _checked(*encoder.try_texts(filled))
    else:
        rows = _checked(encoder.encode_texts(filled), {})
    vectors = rows.vectors
    if len(forms) > 1:
        vectors = unit(vectors.astype(np.float64).reshape(len(once), len(forms), -1).mean(axis=1))
    row_of = {text: row for row, text in enumerate(once)}
    why = {row // len(forms): reason for row, reason in rows.failed.items()}
    order = [row_of[text] for text in words]
    return Rows(vectors[order], {at: why[row] for at, row in enumerate(order) if row in why})


def _checked(vectors: np.ndarray, failed: dict[int, str]) -> Rows:
    """Add the rows that no search could use."""
    import numpy as np

    failed = dict(failed)
    for row in np.flatnonzero(~np.isfinite(vectors).all(axis=1)).tolist():
        failed.setdefault(row, "the model gave a vector with numbers that are not finite")
    return Rows(vectors, failed)
