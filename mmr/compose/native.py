"""Queries of encoders that take a picture and words at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mmr.errors import BadItem, Reject
from mmr.pictures.decode import PIXELS, open_picture
from mmr.stream.pipe import batches
from mmr.stream.records import Record, add_step

if TYPE_CHECKING:
    from mmr.encoders import Composes

BATCH = 32


class Native:
    """Composes records with `image` and `text` by the encoder itself.

    model   the encoder's full name, for the records
    pixels  pictures with more are bad items
    """

    def __init__(self, encoder: Composes, model: str, *, batch: int = BATCH, pixels: int = PIXELS) -> None:
        self._encoder, self._model, self._batch, self._pixels = encoder, model, batch, pixels

    def of(self, records: Iterable[Record], reject: Reject) -> Iterator[Record]:
        """Yield the records with their `vector`; those that lack a part, or fail, are rejected."""
        for some in batches(records, self._batch):
            pairs: list[tuple[Record, Any, str]] = []
            for record in some:
                try:
                    pairs.append((record, *self._parts(record)))
                except BadItem as bad:
                    reject(bad)
            if not pairs:
                continue
            rows, failed = self._encoder.compose([one for _, one, _ in pairs], [text for *_, text in pairs])
            for place, (record, _, _) in enumerate(pairs):
                if place in failed or not np.isfinite(rows[place]).all():
                    what = failed.get(place, "the model gave a vector with numbers that are not finite")
                    reject(refused(record, what))
                    continue
                record.update(vector=rows[place], model=self._model)
                add_step(record, "compose encoder")
                yield record

    def _parts(self, record: Record) -> tuple[Any, str]:
        """The picture and the words of a record; raises `BadItem` where one is missing."""
        image, text = record.get("image"), record.get("text")
        if not isinstance(image, str) or not isinstance(text, str):
            raise refused(record, "has not both a picture and words", 'give it "image" and "text"')
        base = record.get("base")
        try:
            path = str(Path(base, image)) if isinstance(base, str) else image
            return open_picture(path, pixels=self._pixels), text
        except BadItem as error:
            raise refused(record, error.what, error.fix) from error


def refused(record: Record, what: str, fix: str = "") -> BadItem:
    """The error of one record."""
    where = str(record.place or record.get("id", "?"))
    return BadItem(where, what, fix, stage="compose", record=record)
