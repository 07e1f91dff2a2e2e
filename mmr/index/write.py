"""Change an index: upsert, delete. Each commit is a whole state; work is proportional to what changed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mmr.errors import MmrError, Reject, UsageError, raise_item, shown
from mmr.index import catalogue, merge
from mmr.index.batch import Fields, Ready, Terms, bad, ready
from mmr.index.catalogue import ROW_BITS, Meta, change, place, translated
from mmr.index.changer import Changer, Counts
from mmr.index.corrected import beside
from mmr.index.items import COLUMNS, is_number, to_item
from mmr.index.segments import Written, write_vectors
from mmr.index.table import parse

if TYPE_CHECKING:
    from mmr.index.corrected import Corrector
    from mmr.index.plan import Asked

BATCH_ITEMS = 4096
BATCH_SECONDS = 60.0
BATCH_BYTES = 16 << 20
INSERT = f"INSERT INTO items ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
UPDATE = (
    "UPDATE items SET image = ?, base = ?, digest = ?, size = ?, mtime = ?, parent = ?, fields = ? "
    "WHERE place = ?"
)

Tick = Callable[[int], None]


def create_index(
    path: str | os.PathLike[str], *, dim: int, model: str | None = None, kind: str = "flat"
) -> None:
    """Make an empty index for vectors of `dim` numbers; an upsert into a new path does this by itself.

    Raises `UsageError` where there is an index already or for an unknown kind.
    """
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
    folder = Path(path)
    catalogue.open_reader(folder).close()
    with Changer(folder, wait=wait, dry_run=dry_run, asked=asked) as changer:
        chunk: list[str] = []
        for name in ids:
            chunk.append(name)
            if len(chunk) == BATCH_ITEMS:
                changer.delete_ids(chunk, going)
                chunk = []
        changer.delete_ids(chunk, going)
        changer.settle()
    return changer.counts


class Upserter(Changer):
    """A writer that takes records one by one and commits batch by batch."""

    def __init__(
        self, path: Path, reject: Reject = raise_item, *, model: str | None = None, kind: str | None = None,
        wait: float = 0.0, dry_run: bool = False, corrector: Corrector | None = None,
        asked: Asked | None = None,
    ) -> None:  # fmt: skip
        super().__init__(path, kind=kind, wait=wait, dry_run=dry_run, corrector=corrector, asked=asked)
        self._reject = reject
        self._declared = model
        self._terms: Terms | None = None
        self._seen: Meta | None = None
        self._fitting_models: set[str] = set()
        self._pending: dict[str, Fields] = {}
        self._earlier: list[Fields] = []  # came before another of their id: taken if that one proves bad
        self._bytes = 0
        self._since = 0.0
        self._own: set[int] = set()

    def take(self, records: Iterable[Fields], tick: Tick | None = None) -> None:
        """Put all records into the index; what came before an error in the stream is committed."""
        try:
            for record in records:
                self.add(record)
                if tick is not None:
                    tick(1)
        except (MmrError, KeyboardInterrupt):
            self.flush()
            raise
        self.flush()

    def add(self, record: Fields) -> None:
        """Take one record; commits when a batch is full or a minute old."""
        name = record.get("id")
        if not isinstance(name, str) or not name:
            self._reject(bad(record, "it has no id", 'give it an "id", a string'))
            return
        vector = record.get("vector")
        if vector is None and record.get("keep") is not True:
            self._reject(bad(record, "it has no vector", "embed it first: mmr embed"))
            return
        if vector is not None:
            self._check_model(record)
            if not self._known_terms().takes(record, self._reject):
                return
        earlier = self._pending.pop(name, None)
        if earlier is not None:
            record = self._joined(earlier, record)
        if not self._pending and not self._earlier:
            self._since = time.monotonic()
            self._bytes = 0
        self._pending[name] = record
        self._bytes += 0 if vector is None else len(vector) * 4
        full = len(self._pending) + len(self._earlier) >= BATCH_ITEMS or self._bytes >= BATCH_BYTES
        if full or time.monotonic() - self._since >= BATCH_SECONDS:
            self.flush()

    def _check_model(self, record: Fields) -> None:
        """Check the model of a record; names that were found to fit are remembered."""
        stated = record.get("model") or ""
        if stated not in self._fitting_models:
            self._known_terms().check(record)
            self._fitting_models.add(stated)

    def _known_terms(self) -> Terms:
        if self._terms is None:
            self._seen = self.meta if self.meta is not None else _look(self.path)
            model, dim = (self._seen.model, self._seen.dim) if self._seen is not None else (None, None)
            self._terms = Terms(self.path, model, dim, self._declared)
        return self._terms

    def _joined(self, earlier: Fields, record: Fields) -> Fields:
        """What two records of one id in a batch come to: the later one, or the earlier one seen again."""
        if record.get("vector") is not None:
            if "vector" in earlier:
                self._earlier.append(earlier)
            return record
        if earlier.get("vector") is None:
            return record
        from mmr.stream.records import Record

        news = {name: record[name] for name in ("size", "mtime") if name in record}
        return Record({**earlier, **news}, getattr(earlier, "place", None))

    def flush(self) -> None:
        """Write and commit what is pending."""
        pending = list(self._pending.values())
        self._pending = {}
        if not pending:
            return
        seen = [record for record in pending if record.get("vector") is None]
        batch = self._earlier + [record for record in pending if record.get("vector") is not None]
        self._earlier = []
        if batch:
            self._put(batch)
        if seen and catalogue.exists(self.path) and self.open() and self.meta is not None:
            self._keep(seen)

    def _put(self, batch: Sequence[Fields]) -> None:
        found = self._last_of_each_id(self._ready(batch))
        if not found.records:
            return
        self.open()
        if self.meta is not None and self._other_terms(self.meta):
            self._terms = None
            self._fitting_models.clear()
            for record in found.records:
                self._check_model(record)
            found = self._ready(found.records)
        terms = self._known_terms()
        if self.meta is None:
            self.make(terms.model, found.vectors.shape[1])
        elif self.meta.model is None and terms.model is not None and not self.dry_run:
            self.meta = replace(self.meta, model=terms.model)
            with translated(self.path), change(self.connection):
                catalogue.write_meta(self.connection, self.meta)
        self._seen = self.meta
        if found.records:
            with translated(self.path):
                self._store(found)

    def _last_of_each_id(self, found: Ready) -> Ready:
        """Leave out what a later usable record of the same id replaces, and count it."""
        last = {record["id"]: row for row, record in enumerate(found.records)}
        if len(last) == len(found.records):
            return found
        self.counts.again += len(found.records) - len(last)
        rows = sorted(last.values())
        return Ready([found.records[row] for row in rows], found.vectors[rows])

    def _ready(self, batch: Sequence[Fields]) -> Ready:
        terms, meta = self._known_terms(), self.meta if self.meta is not None else self._seen
        dtype = meta.dtype if meta is not None else str((self.kind or parse("flat"))[1]["dtype"]) or "float32"
        return ready(batch, terms, dtype, self._reject)

    def _other_terms(self, meta: Meta) -> bool:
        """Whether another writer made or changed the index between our first look and our lock."""
        seen = self._seen
        return seen is None or (seen.model, seen.dim, seen.dtype) != (meta.model, meta.dim, meta.dtype)

    def _store(self, found: Ready) -> None:
        """Compare a batch with what is stored, write a segment of what differs, and commit."""
        old = self.stored([record["id"] for record in found.records])
        same = self._same_vectors(found, old)
        fresh = [i for i, stays in enumerate(same) if not stays]
        if not self.dry_run:
            number, written = 0, list[Written]()
            if fresh:
                number = self.next_number()
                rows = found.vectors if len(fresh) == len(found.records) else found.vectors[fresh]
                assert self.meta is not None
                dim, dtype = rows.shape[1], self.meta.dtype
                written = [write_vectors(self.path, number, [rows], len(rows), dim, dtype),
                           *beside(self, number, [rows])]  # fmt: skip
            with change(self.connection):
                kept = self._update_same(found, old, same)
                if written:
                    self._insert([found.records[i] for i in fresh], old, number, written)
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
        kept, updates = 0, []
        for record, stays in zip(found.records, same, strict=True):
            if stays:
                key, *known = old[record["id"]]
                item = to_item(record, self.bases)
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
        items = [to_item(record, self.bases) for record in fresh]
        rows = [(place(number, row), *item) for row, item in enumerate(items)]
        self.connection.executemany(INSERT, rows)
        self.add_segment(number, len(names), orjson.dumps(names), written)

    def _same_vectors(self, found: Ready, old: Mapping[str, Sequence[Any]]) -> list[bool]:
        """Which records have the vector that is stored for them, bit by bit."""
        same = [False] * len(found.records)
        by_segment: dict[int, list[tuple[int, int]]] = {}
        for i, record in enumerate(found.records):
            if record["id"] in old:
                key = old[record["id"]][0]
                by_segment.setdefault(key >> ROW_BITS, []).append((i, key & ((1 << ROW_BITS) - 1)))
        for number, pairs in by_segment.items():
            mine, rows = (np.array(column) for column in zip(*pairs, strict=True))
            equal = (self.vectors(number)[rows] == found.vectors[mine]).all(axis=1)
            for i, stays in zip(mine.tolist(), equal.tolist(), strict=True):
                same[i] = stays
        return same

    def _keep(self, seen: Sequence[Fields]) -> None:
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


def _look(path: Path) -> Meta | None:
    """What an index is before its lock is taken; None where there is none yet."""
    if not catalogue.exists(path):
        return None
    opened = catalogue.open_reader(path)
    try:
        with translated(path):
            return (
                catalogue.read_meta(opened.connection, path) if catalogue.is_made(opened.connection) else None
            )
    finally:
        opened.close()
