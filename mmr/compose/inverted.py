"""Queries through the text tower: a picture becomes a word without a name, and the words say what changes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mmr.arrays.unit import unit
from mmr.encoders.inject import SLOT, check_slot
from mmr.encoders.inversion import Inversion
from mmr.errors import BadItem, Reject, UsageError
from mmr.stream.pipe import batches
from mmr.stream.records import Record, add_step

if TYPE_CHECKING:
    from mmr.encoders import Injects

BATCH = 64


class Inverter:
    """Composes records whose `bindings` hold v, the picture's vector (or several: their mean).

    encoder  puts token embeddings into texts
    how      how they are learned, and the texts that stand for the picture itself: t_r, averaged
    keep     leave v, t_r and t_c in `bindings`

    The vector is t_c: the record's `text` with the picture in the place of `{}`; without `{}`, the first
    template followed by "that" and the text; without a text, t_r.
    """

    def __init__(
        self, encoder: Injects, how: Inversion, *, batch: int = BATCH, keep: bool = False
    ) -> None:  # fmt: skip
        self._encoder, self._how, self._batch, self._keep = encoder, how, batch, keep

    def of(self, records: Iterable[Record], reject: Reject) -> Iterator[Record]:
        """Yield the records with their `vector`; one whose text has no place for the picture is rejected."""
        for some in batches(records, self._batch):
            taken: list[Record] = []
            texts: list[str] = []
            for record in some:
                try:
                    texts.append(self._sentence(record))
                    taken.append(record)
                except BadItem as bad:
                    reject(bad)
            if taken:
                yield from self._composed(taken, texts)

    def _sentence(self, record: Record) -> str:
        """The text of t_c; raises `BadItem` where `{}` is in it twice, or part of a word."""
        first, text = self._how.templates[0], record.get("text")
        if not isinstance(text, str) or not text.strip():
            return first
        if SLOT not in text:
            return f"{first} that {text}"
        try:
            check_slot(text)
        except UsageError as error:
            raise BadItem(
                str(record.place or record["id"]), error.what, error.fix, stage="compose", record=record
            ) from error
        return text

    def _composed(self, records: list[Record], texts: list[str]) -> Iterator[Record]:
        pictures = np.stack([mean(record["bindings"]["v"]) for record in records])
        found = self._encoder.invert(pictures, self._how)
        wanted = self._encoder.inject(texts, found.words)
        plain = [self._encoder.inject([one] * len(records), found.words) for one in self._how.templates]
        itself = plain[0] if len(plain) == 1 else unit(np.stack(plain).mean(axis=0, dtype=np.float64))
        for place, record in enumerate(records):
            record["vector"] = wanted[place]
            if self._keep:
                bound = {"v": pictures[place], "t_r": itself[place], "t_c": wanted[place]}
                record["bindings"] = {**record["bindings"], **bound}
            else:
                del record["bindings"]
            before, after = float(found.before[place]), float(found.after[place])
            add_step(record, f"compose oti steps={self._how.steps} loss={before:.4f}..{after:.4f}")
            yield record


def mean(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """A vector (d,) at unit length, of several (k, d) their mean."""
    rows = unit(vectors if vectors.ndim == 2 else vectors[None])
    whole: NDArray[np.float32] = unit(rows.mean(axis=0, dtype=np.float64)[None])[0]
    return whole
