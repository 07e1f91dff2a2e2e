"""What `mmr query` searches with: words and pictures become vectors of the index's model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING

import click

from mmr.cli.encoders import Encoders
from mmr.cli.report import Report
from mmr.errors import UsageError, shown

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mmr.embed.regions import Parts
    from mmr.encoders import Encoder
    from mmr.index import AnyIndex
    from mmr.stream.records import Record

SEVERAL = "vectors"  # the field of items that have several

tokens = click.option("--tokens", is_flag=True, help="Ask with the vectors of patches or tokens, in an index "
                      "of kind maxsim or muvera.  [default: with one, that of the whole]")  # fmt: skip
regions = click.option("--regions", is_flag=True, help="Hits say in `region` which of their several vectors "
                       "is nearest, and where in the picture it is.")  # fmt: skip


def check_several(index: AnyIndex, said: dict[str, bool], all_items: bool) -> None:
    """Refuse options that are of items with several vectors where they mean nothing."""
    option = next((name for name, given in said.items() if given), None)
    if option is None:
        return
    if index.content.field != SEVERAL:
        name = shown(index.path.name)
        what = f"--{option} is of items that have several vectors, and those of {name} have not"
        raise UsageError(what, "Leave it out, or index what `mmr embed --grid` writes with --kind maxsim.")
    if said["tokens"] and all_items:
        raise UsageError("--tokens is of words and pictures; with --all-items vectors ask", "Leave it out.")


class Asking:
    """Gives vectors to words, pictures and what is composed of them, by the index's model.

    tokens  of an index whose items have several vectors: whether queries get those of the encoder's tokens;
            else each gets one, that of the whole, unless the encoder compares tokens by itself
    """

    def __init__(
        self, index: AnyIndex, stated: str | None, encoders: Encoders, templates: tuple[str, ...],
        report: Report, tokens: bool = False,
    ) -> None:  # fmt: skip
        self._index, self._stated, self._tokens = index, stated, tokens
        self._encoders, self._templates, self._report = encoders, templates, report

    def __call__(self, records: Iterable[Record]) -> Iterator[Record]:
        """Yield the records with vectors."""
        for composed, group in groupby(records, _has_parts):
            some = list(group)
            yield from self._composed(some) if composed else self._embedded(some)

    def _embedded(self, asked: list[Record]) -> Iterator[Record]:
        """Records with a picture, words or both."""
        from mmr.embed.item import Wanted as Made
        from mmr.embed.pipeline import embed_records

        made = Made(compose=_weighted, templates=self._templates, facts=False)
        if self._index.content.field != SEVERAL:
            encoder = self._encoders.of(any("image" in record for record in asked))
            yield from embed_records(asked, encoder, made, reject=self._report)
            return
        for pictures, group in groupby(asked, lambda record: "image" in record):
            encoder = self._encoders.whole() if self._tokens else self._encoders.of(pictures)
            parts = replace(made, parts=self._parts(encoder, pictures))
            yield from embed_records(list(group), encoder, parts, reject=self._report)

    def _parts(self, encoder: Encoder, pictures: bool) -> Parts:
        """Which vectors a query of pictures or of words alone gets."""
        from mmr.embed.regions import WHOLE, Parts
        from mmr.encoders import Tokens

        kind = "image" if pictures else "text"
        late = isinstance(encoder, Tokens) and encoder.late and not encoder.no_tokens(kind)
        return Parts() if self._tokens or late else WHOLE

    def _composed(self, asked: list[Record]) -> Iterator[Record]:
        """Records with named vectors or an edited caption: their default composition."""
        from mmr.cli.binder import Binder
        from mmr.compose.apply import Composer
        from mmr.index.answer import check

        composer = Composer([("", None)])
        binder = Binder(self._encoders, composer.needs, templates=self._templates)
        for record in composer.of(binder.of(asked, self._report), self._report):
            check(self._index, record, self._stated)
            yield record


def _weighted(images: NDArray[np.float32], texts: NDArray[np.float32], model: str) -> NDArray[np.float32]:
    """The default composition of pictures and words; imported when there are some."""
    from mmr.compose.weighted import weighted

    return weighted(images, texts, model)


def _has_parts(record: Record) -> bool:
    return "bindings" in record or bool(record.get("edited"))
