"""What every index does with a stream: check, gather into batches, commit each; storing is its own work."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from mmr.errors import MmrError, Reject
from mmr.index.batch import Terms, ready
from mmr.index.content import Content, Fields, Ready, bad, content_of
from mmr.index.table import parse

if TYPE_CHECKING:
    from mmr.index.changer import Counts
    from mmr.index.table import Params, Row

BATCH_ITEMS = 4096
BATCH_SECONDS = 60.0
BATCH_BYTES = 16 << 20

Tick = Callable[[int], None]


class Intake(ABC):
    """Takes records one by one and stores them batch by batch; what a writer of any index builds on.

    path      a folder's path, or the address of an engine
    meta      what the index is, a `Meta` or an engine's `About`; None before it is made
    counts    what was done so far
    dry_run   only count
    kind      what the user says of a new index, as `parse` gives it
    """

    path: Any
    meta: Any
    counts: Counts
    dry_run: bool
    kind: tuple[Row, Params] | None

    def begin(self, reject: Reject, declared: str | None) -> None:
        """Start a stream. declared: what the user says that vectors without a model are of."""
        self._reject = reject
        self._declared = declared
        self._terms: Terms | None = None
        self._seen: Any = None
        self._fitting_models: set[str] = set()
        self._pending: dict[str, Fields] = {}
        self._earlier: list[Fields] = []  # came before another of their id: taken if that one proves bad
        self._bytes = 0
        self._since = 0.0

    @abstractmethod
    def look(self) -> Any:
        """What the index is before it is opened for writing; None where there is none yet."""

    @abstractmethod
    def open(self) -> bool:
        """Get ready to write, once; False for a dry run where there is no index."""

    @abstractmethod
    def make(self, model: str | None, dim: int) -> None:
        """Create the index, and set `meta`."""

    @abstractmethod
    def name_model(self, model: str) -> None:
        """Say of an index without a model which it is of, and set `meta`."""

    @abstractmethod
    def store(self, found: Ready) -> None:
        """Compare a batch with what is stored, commit what differs, and count."""

    @abstractmethod
    def keep(self, seen: Sequence[Fields]) -> None:
        """Bring size and time of items that were seen up to date; unknown ids are passed over."""

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
        self.turn(record)
        content = self._known_terms().content
        brings = content.has(record)
        if not brings and record.get("keep") is not True:
            what = content.missing(record) or ("it has nothing to store", "")
            self._reject(bad(record, *what))
            return
        if brings:
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
        self._bytes += content.weight(record) if brings else 0
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
            self._seen = self.meta if self.meta is not None else self.look()
            model, dim = self.terms_of(self._seen) if self._seen is not None else (None, None)
            self._terms = Terms(self.path, model, dim, self._declared, self.content_of(self._seen))
        return self._terms

    def turn(self, record: Fields) -> None:
        """Get ready for a record of another model, in an index that takes two; others take one."""
        return

    def terms_of(self, meta: Any) -> tuple[str | None, int]:
        """The model and the length of the vectors that are taken now."""
        return meta.model, meta.dim

    def content_of(self, meta: Any) -> Content:
        """What items are made from; of an index that is not made yet without `meta`."""
        if meta is not None:
            return content_of(meta.kind, meta.params)
        row, params = self.kind or parse("flat")
        return content_of(row.name, params)

    def _joined(self, earlier: Fields, record: Fields) -> Fields:
        """What two records of one id in a batch come to: the later one, or the earlier one seen again."""
        content = self._known_terms().content
        if content.has(record):
            if content.has(earlier):
                self._earlier.append(earlier)
            return record
        if not content.has(earlier):
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
        has = self._known_terms().content.has
        seen = [record for record in pending if not has(record)]
        batch = self._earlier + [record for record in pending if has(record)]
        self._earlier = []
        if batch:
            self._put(batch)
        if seen and (self.meta is not None or self.look() is not None) and self.open():
            self.keep(seen)

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
            self.name_model(terms.model)
        self._seen = self.meta
        if found.records:
            self.store(found)

    def _last_of_each_id(self, found: Ready) -> Ready:
        """Leave out what a later usable record of the same id replaces, and count it."""
        last = {record["id"]: row for row, record in enumerate(found.records)}
        if len(last) == len(found.records):
            return found
        self.counts.again += len(found.records) - len(last)
        return found.only(sorted(last.values()))

    def _ready(self, batch: Sequence[Fields]) -> Ready:
        terms, meta = self._known_terms(), self.meta if self.meta is not None else self._seen
        asked = (self.kind or parse("flat"))[1].get("dtype")
        dtype = meta.dtype if meta is not None else str(asked or "float32")
        return ready(batch, terms, dtype, self._reject)

    def _other_terms(self, meta: Any) -> bool:
        """Whether another writer made or changed the index between our first look and our lock."""
        seen = self._seen
        return seen is None or (*self.terms_of(seen), seen.kind, seen.dtype) != (
            *self.terms_of(meta), meta.kind, meta.dtype
        )  # fmt: skip
