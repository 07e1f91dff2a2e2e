"""Give queries the named vectors that their composition needs: from an index, and by embedding fields."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mmr.errors import BadItem, Reject

if TYPE_CHECKING:
    import numpy as np

    from mmr.cli.encoders import Encoders
    from mmr.compose.bindings import Source
    from mmr.stream.pipe import Records
    from mmr.stream.records import Record

BATCH = 1024
Needs = Callable[[Iterable[str], Iterable[str]], tuple[str, ...]]


class Binder:
    """Fills `bindings` of records.

    needs      (names that a record can have, those that are lists) -> the names that it shall have
    given      names that need no embedding: files that are bound beside the records
    stored     the vector of a picture by its path, where an index holds it, and that index's `model`
    """

    def __init__(
        self, encoders: Encoders, needs: Needs, *, templates: tuple[str, ...] = (), batch: int = 32,
        given: Iterable[str] = (), stored: Callable[[str], np.ndarray | None] | None = None,
        model: str | None = None,
    ) -> None:  # fmt: skip
        self._encoders, self._needs, self._templates, self._batch = encoders, needs, templates, batch
        self._given, self._stored, self._model = frozenset(given), stored, model

    def of(self, records: Iterable[Record], reject: Reject) -> Records:
        """The records with what they lacked, in order; what cannot be embedded goes to `reject`.

        What came is given out before more is waited for.
        """
        from mmr.stream.pipe import Records, batches

        left = 0

        def filled() -> Iterator[Record]:
            nonlocal left
            for chunk in batches(records, BATCH):
                some = self._filled(chunk, reject)
                for place, record in enumerate(some, 1):
                    left = len(some) - place
                    yield record

        waits = records.waits if isinstance(records, Records) else lambda: False
        return Records(filled(), lambda: not left and waits())

    def _filled(self, chunk: Sequence[Record], reject: Reject) -> list[Record]:
        """The records of a batch whose fields could be embedded."""
        groups: dict[tuple[Source, ...], list[int]] = {}
        for i, record in enumerate(chunk):
            groups.setdefault(self._missing(record), []).append(i)
        lost: set[int] = set()
        for wanted, members in groups.items():
            if wanted:
                lost.update(self._embed(wanted, members, chunk, reject))
        return [record for i, record in enumerate(chunk) if i not in lost]

    def _missing(self, record: Record) -> tuple[Source, ...]:
        """What is to be embedded of a record."""
        from mmr.compose.bindings import sources

        have, found = record.get("bindings", {}), sources(record)
        lists = {name for name, value in have.items() if value.ndim == 2}
        lists |= {name for name, one in found.items() if isinstance(record[one.field], list)}
        names = self._needs({*have, *found, *self._given}, lists)
        wanted = [found[name] for name in names if name in found and name not in have]
        if self._stored is not None and any(one.field == "image" for one in wanted):
            vector = self._stored(record["image"])
            if vector is not None:
                self._bind(record, {"v": vector}, self._model)
                wanted = [one for one in wanted if one.name != "v"]
        return tuple(wanted)

    def _bind(self, record: Record, found: Mapping[str, Any], model: str | None) -> None:
        """Put vectors of a model into a record. Raises `BadDataError` where it has some of another."""
        from mmr.stream.records import check_model

        check_model(record.get("model"), model, expected_by=str(record.place or record["id"]),
                    found_by="this run",
                    fix="Embed all vectors of a query with one model: --model or --model-of.")  # fmt: skip
        record["bindings"] = {**record.get("bindings", {}), **found}
        if model is not None:
            record["model"] = model

    def _embed(
        self, wanted: Sequence[Source], members: Sequence[int], chunk: Sequence[Record], reject: Reject
    ) -> Iterator[int]:
        """Embed some fields of some records; yields the places of those where that failed."""
        from mmr.embed.item import Bind, Item, Wanted
        from mmr.embed.pipeline import Pipeline
        from mmr.encoders import model_name
        from mmr.stream.records import Record

        fields = {"base", *(one.field for one in wanted)}
        items = [
            Item(Record({"id": str(i), **{k: v for k, v in chunk[i].items() if k in fields}}, chunk[i].place))
            for i in members
        ]
        encoder = self._encoders.of(any(one.kind == "image" for one in wanted))
        model = model_name(encoder)
        binds = tuple(Bind(one.name, one.kind, one.field) for one in wanted)
        made = Wanted(binds=binds, templates=self._templates, facts=False)
        failed: dict[int, BadItem] = {}

        def note(item: BadItem) -> None:
            assert item.record is not None
            failed[int(item.record["id"])] = item

        pipeline = Pipeline(lambda: encoder, made, batch=self._batch, reject=note)
        for group in pipeline.batches(items):
            for found in group:
                record = chunk[int(found["id"])]
                self._bind(record, found["bindings"], model)
                record["via"] = [*record.get("via", ()), *found["via"]]
        for i, item in failed.items():
            reject(BadItem(item.where, item.what, item.fix, stage=item.stage, record=chunk[i]))
        yield from failed
