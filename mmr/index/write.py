"""Change an index: upsert, delete. Each commit is a whole state; work is proportional to what changed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mmr.errors import Reject, UsageError, raise_item, shown
from mmr.index import catalogue, intake, mapped, merge, upgrade
from mmr.index.address import is_address
from mmr.index.catalogue import ROW_BITS, Meta, change, place, translated
from mmr.index.changer import Changer, Counts
from mmr.index.content import Fields, Ready
from mmr.index.corrected import beside
from mmr.index.intake import Intake, Tick
from mmr.index.items import COLUMNS, is_number, to_item
from mmr.index.segments import Written, write_vectors
from mmr.index.structures import remove

if TYPE_CHECKING:
    from mmr.index.corrected import Corrector
    from mmr.index.plan import Asked

INSERT = f"INSERT INTO items ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
UPDATE = (
    "UPDATE items SET image = ?, base = ?, digest = ?, size = ?, mtime = ?, parent = ?, fields = ? "
    "WHERE place = ?"
)


def create_index(
    path: str | os.PathLike[str], *, dim: int, model: str | None = None, kind: str = "flat"
) -> None:
    """Make an empty index for vectors of `dim` numbers; an upsert into a new path does this by itself.

    Raises `UsageError` where there is an index already or for an unknown kind. Of an address, which is no
    folder, a first upsert makes the collection.
    """
    if is_address(path):
        raise UsageError("an address is no folder", "An upsert makes its collection.")
    folder = Path(path)
    if catalogue.exists(folder):
        raise UsageError(f"{shown(str(folder))} exists already.", "`mmr index` adds to it.")
    with Changer(folder, kind=kind) as changer:
        changer.open()
        changer.make(model, dim)


def upsert(
    path: str | os.PathLike[str], records: Iterable[Fields], *, reject: Reject, model: str | None = None,
    kind: str | None = None, wait: float = 0.0, dry_run: bool = False, tick: Tick | None = None,
    corrector: Corrector | None = None, asked: Asked | None = None,
) -> Counts:  # fmt: skip
    """Put records into an index, which is made where there is none; a record of a known id replaces its item.

    model    what vectors without a model are of, "SPEC#hash"
    kind     of a new index, "hnsw:m=32"; of an old one it must be the same
    dry_run  only count
    corrector  reads the correction that the index holds, where it holds one
    asked      what the user says of memory and recall, and who is told of plans

    Records with `keep` bring size and time up to date. Commits every 4,096 items or every minute. Raises
    `BadDataError` for vectors of another model, `BusyError` when another writer holds the lock; bad items go
    to `reject`.
    """
    if is_address(path):
        from mmr.index.remote_write import upsert as put

        return put(
            os.fspath(path), records, reject=reject, model=model, kind=kind, dry_run=dry_run, tick=tick
        )
    with Upserter(Path(path), reject, model=model, kind=kind, wait=wait, dry_run=dry_run,
                  corrector=corrector, asked=asked) as changer:  # fmt: skip
        changer.take(records, tick)
        changer.settle()
    return changer.counts


def delete(
    path: str | os.PathLike[str], ids: Iterable[str], *, wait: float = 0.0, dry_run: bool = False,
    asked: Asked | None = None, going: Callable[[str], None] | None = None,
) -> Counts:  # fmt: skip
    """Delete items by id; ids that the index lacks are counted as `unknown`.

    asked  who is told of plans, where auto chooses the kind
    going  is told the id of every item that goes
    Raises `MissingInputError` where there is no index.
    """
    if is_address(path):
        from mmr.index.remote_write import delete as remove

        return remove(os.fspath(path), ids, dry_run=dry_run, going=going)
    folder = Path(path)
    catalogue.open_reader(folder).close()
    with Changer(folder, wait=wait, dry_run=dry_run, asked=asked) as changer:
        chunk: list[str] = []
        for name in ids:
            chunk.append(name)
            if len(chunk) == intake.BATCH_ITEMS:
                changer.delete_ids(chunk, going)
                chunk = []
        changer.delete_ids(chunk, going)
        changer.settle()
    return changer.counts


class Upserter(Changer, Intake):
    """A writer of a folder that takes records one by one and commits batch by batch."""

    def __init__(
        self, path: Path, reject: Reject = raise_item, *, model: str | None = None, kind: str | None = None,
        wait: float = 0.0, dry_run: bool = False, corrector: Corrector | None = None,
        asked: Asked | None = None,
    ) -> None:  # fmt: skip
        super().__init__(path, kind=kind, wait=wait, dry_run=dry_run, corrector=corrector, asked=asked)
        self.begin(reject, model)
        self._own: set[int] = set()
        self._model: str | None = None

    def turn(self, record: Fields) -> None:
        """Store what is pending, and go on with the other of two models where the record is of that."""
        if self._terms is None:
            self._seen = self.meta if self.meta is not None else self.look()
        meta = self.meta if self.meta is not None else self._seen
        held = None if meta is None else meta.query_map
        brings = record.get("vector") is not None
        if held is None or not (brings or self._declared):
            return
        stated = (record.get("model") if brings else None) or self._declared
        model = held.model if held.takes(stated) else None
        if model != self._model:
            self.flush()
            self._model, self._terms = model, None
            self._fitting_models.clear()

    def terms_of(self, meta: Meta) -> tuple[str | None, int]:
        """The model and the length of the vectors that are taken now."""
        new = mapped.is_new(meta, self._model)
        return self._model if new else meta.model, mapped.dim(meta, self._model)

    def look(self) -> Meta | None:
        """What the index is before its lock is taken; None where there is none yet."""
        if not catalogue.exists(self.path):
            return None
        opened = catalogue.open_reader(self.path)
        try:
            with translated(self.path):
                made = catalogue.is_made(opened.connection)
                return catalogue.read_meta(opened.connection, self.path) if made else None
        finally:
            opened.close()

    def name_model(self, model: str) -> None:
        """Say of an index without a model which it is of."""
        assert self.meta is not None
        self.meta = replace(self.meta, model=model)
        with translated(self.path), change(self.connection):
            catalogue.write_meta(self.connection, self.meta)

    def store(self, found: Ready) -> None:
        """Compare a batch with what is stored, write a segment of what differs, and commit."""
        with translated(self.path):
            self._store(found)

    def _store(self, found: Ready) -> None:
        old = self.stored([record["id"] for record in found.records])
        same = self._same_vectors(found, old)
        fresh = [i for i, stays in enumerate(same) if not stays]
        if not self.dry_run:
            number, written, gone = 0, list[Written](), list[str]()
            pairs = upgrade.pairs(self, found, fresh, old) if self._model and fresh else []
            if fresh:
                number = self.next_number()
                new = found if len(fresh) == len(found.records) else found.only(fresh)
                assert self.meta is not None
                (rows, dim), dtype = new.vectors.shape, self.meta.dtype
                written = [write_vectors(self.path, number, [new.vectors], rows, dim, dtype),
                           *self.content.written(self, number, new),
                           *beside(self, number, [new.vectors])]  # fmt: skip
            with change(self.connection):
                kept = self._update_same(found, old, same)
                if written:
                    self._insert(new.records, old, number, written)
                    self.content.noted(self, new)
                    gone = upgrade.note_pairs(self, pairs)
            remove(self, gone)
            self.counts.kept += kept
            self.counts.changed += len(found.records) - len(fresh) - kept
        else:
            self.counts.kept += len(found.records) - len(fresh)
        self._count([found.records[i] for i in fresh], old)
        if fresh and not self.dry_run:
            self._own = merge.settle_own(self, self._own | {number})

    def _count(self, fresh: Sequence[Fields], old: Mapping[str, Sequence[Any]]) -> None:
        for record in fresh:
            known = old.get(record["id"])
            if known is None:
                self.counts.new += 1
            elif known[0] >> ROW_BITS in self._own:
                self.counts.again += 1
            else:
                self.counts.changed += 1

    def _update_same(self, found: Ready, old: Mapping[str, Sequence[Any]], same: Sequence[bool]) -> int:
        """Bring the fields of items whose vector stays up to date; returns how many had nothing to change."""
        kept, updates, taken = 0, [], self.content.taken
        for record, stays in zip(found.records, same, strict=True):
            if stays:
                key, *known = old[record["id"]]
                item = to_item(record, self.bases, taken)
                if tuple(known) == tuple(item):
                    kept += 1
                else:
                    updates.append((*item[1:], key))
        self.connection.executemany(UPDATE, updates)
        return kept

    def _insert(
        self, fresh: Sequence[Fields], old: Mapping[str, Sequence[Any]], number: int,
        written: Sequence[Written],
    ) -> None:  # fmt: skip
        import orjson

        names = [record["id"] for record in fresh]
        self.kill([old[name][0] for name in names if name in old])
        items = [to_item(record, self.bases, self.content.taken) for record in fresh]
        rows = [(place(number, row), *item) for row, item in enumerate(items)]
        self.connection.executemany(INSERT, rows)
        self.add_segment(number, len(names), orjson.dumps(names), written, self._model)

    def _same_vectors(self, found: Ready, old: Mapping[str, Sequence[Any]]) -> list[bool]:
        """Which records bring what is stored for them, bit by bit."""
        same = [False] * len(found.records)
        if not old:
            return same
        assert self.meta is not None
        content = self.content
        by_segment: dict[int, list[tuple[int, int]]] = {}
        for i, record in enumerate(found.records):
            if record["id"] in old:
                key = old[record["id"]][0]
                by_segment.setdefault(key >> ROW_BITS, []).append((i, key & ((1 << ROW_BITS) - 1)))
        for number, pairs in by_segment.items():
            if mapped.is_new(self.meta, self.model_of(number)) != mapped.is_new(self.meta, self._model):
                continue
            mine, rows = (np.array(column) for column in zip(*pairs, strict=True))
            equal = content.same(self, number, rows, found, mine)
            for i, stays in zip(mine.tolist(), equal.tolist(), strict=True):
                same[i] = stays
        return same

    def keep(self, seen: Sequence[Fields]) -> None:
        """Bring size and time of items that were seen up to date; unknown ids are passed over."""
        with translated(self.path):
            old = self.stored([record["id"] for record in seen])
            updates = []
            for record in seen:
                known = old.get(record["id"])
                if known is None:
                    continue
                self.counts.kept += 1
                size, mtime = (
                    record[name] if is_number(record.get(name)) else known[column]
                    for name, column in (("size", 5), ("mtime", 6))
                )
                if (size, mtime) != (known[5], known[6]):
                    updates.append((size, mtime, known[0]))
            if updates and not self.dry_run:
                with change(self.connection):
                    self.connection.executemany(
                        "UPDATE items SET size = ?, mtime = ? WHERE place = ?", updates
                    )
