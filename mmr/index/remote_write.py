"""Change an index that an engine holds: upsert, delete, sync, by the same policy as a folder's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

import numpy as np
import orjson

from mmr.errors import BadDataError, MissingInputError, Reject, UsageError, raise_item
from mmr.index import intake
from mmr.index.address import Address, read
from mmr.index.bases import absolute
from mmr.index.changer import Counts
from mmr.index.content import Content, Fields, Ready, bad
from mmr.index.engine import About, Engine, Found, Stored
from mmr.index.engines import connect, defaults, parse, row_of, spelled
from mmr.index.intake import Intake, Tick
from mmr.index.items import NOT_STORED, is_number
from mmr.index.remote import PAGE, Patient
from mmr.index.remote_content import EngineContent
from mmr.index.sync import Going, Read, Watch, gone_of, refuse
from mmr.stream.records import check_model, dump

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mmr.index.table import Params, Row

T = TypeVar("T")

OWN = 1 << 20  # ids of this run that are remembered, so that a new collection is not asked for them


class RemoteWriter(Intake):
    """A writer of one collection: every batch is one change.

    path  the address
    """

    def __init__(
        self, address: Address, reject: Reject = raise_item, *, model: str | None = None,
        kind: str | None = None, dry_run: bool = False,
    ) -> None:  # fmt: skip
        self.path = address
        self.meta: About | None = None
        self.counts = Counts()
        self.dry_run = dry_run
        self.kind = None
        self._kind = parse(row_of(address), kind) if kind is not None else None
        self._patient = Patient(connect(address))
        self._own: set[str] | None = None
        self._changed = 0
        self.begin(reject, model)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._patient.engine.close()

    def _ask(self, call: Callable[[Engine], T]) -> T:
        return self._patient.ask(call)

    def content_of(self, meta: object) -> Content:
        """What items are made from, which is one vector each in every engine."""
        return EngineContent({"dtype": "float32"})

    def look(self) -> About | None:
        """What the collection is; None where there is none yet."""
        return self._ask(lambda engine: engine.about())

    def open(self) -> bool:
        """See what the collection is, once; False for a dry run where there is none."""
        if self.meta is None:
            self.meta = self.look()
            if self.meta is not None and self._kind is not None:
                self._check_kind(self.meta, *self._kind)
        return self.meta is not None or not self.dry_run

    def _check_kind(self, meta: About, row: Row, asked: Params) -> None:
        if row.name != meta.kind or any(meta.params.get(name) != value for name, value in asked.items()):
            raise UsageError(
                f"{self.path} is of the kind {spelled(meta)}",
                f"`mmr index {self.path} --convert KIND` turns it into another.",
            )

    def make(self, model: str | None, dim: int) -> None:
        """Create the collection; where another writer was faster, take what that one made.

        Raises `BadDataError` where that one is of another model or length.
        """
        usual = row_of(self.path).kinds[0]
        row, asked = self._kind or (usual, {})
        self.meta = about = About(model, dim, row.name, {**defaults(row), **asked})
        self._own = set()
        if self.dry_run:
            return
        self._ask(lambda engine: engine.create(about))
        made = self.look()
        if made is not None and self._ask(lambda engine: engine.count()):
            self._own = None
        if made is not None and made != about:
            name = str(self.path)
            check_model(made.model, model, expected_by=name, found_by="this stream")
            if made.dim != dim:
                raise BadDataError(f"{name} has vectors of {made.dim:,} numbers, and this stream of {dim:,}")
            self.meta = made

    def name_model(self, model: str) -> None:
        """Say of a collection without a model which it is of."""
        assert self.meta is not None
        self.meta = about = replace(self.meta, model=model)
        self._ask(lambda engine: engine.note(about))

    def store(self, found: Ready) -> None:
        """Compare a batch with what is stored, commit what differs, and count."""
        here = str(Path.cwd())
        items, rows = [], []
        for row, record in enumerate(found.records):
            item = stored(record, here)
            why = self._patient.engine.refuses(item)
            if why is None:
                items.append(item)
                rows.append(row)
            else:
                self._reject(bad(record, why, "give it less, or keep it in an index that is a folder"))
        vectors = np.asarray(found.vectors[rows], np.float32)
        old = self._fetched([item.id for item in items], vectors=True)
        same = [i for i, item in enumerate(items) if item.id in old and _equal(old[item.id], vectors[i])]
        fresh = sorted(set(range(len(items))) - set(same))
        differs = [i for i in same if items[i] != old[items[i].id].item]
        if not self.dry_run:
            put = sorted([*fresh, *differs]) if fresh else []
            self._change([items[i] for i in put or differs], vectors[put] if put else None, old)
        self.counts.kept += len(same) - (0 if self.dry_run else len(differs))
        self.counts.changed += 0 if self.dry_run else len(differs)
        self._count([items[i].id for i in fresh], old)

    def _change(
        self, items: list[Stored], vectors: NDArray[np.float32] | None, old: Mapping[str, Found]
    ) -> None:
        """Make one change: items with their vectors, or, without these, items whose vectors stay."""
        if vectors is not None:
            new = not any(item.id in old for item in items)
            self._ask(lambda engine: engine.put(items, vectors, new=new))
        elif items:
            self._ask(lambda engine: engine.revise(items))
        self._changed += len(items)

    def _count(self, fresh: Sequence[str], old: Mapping[str, Found]) -> None:
        for name in fresh:
            if name not in old:
                self.counts.new += 1
            elif self._own is not None and name in self._own:
                self.counts.again += 1
            else:
                self.counts.changed += 1
        if self._own is not None and not self.dry_run:
            self._own.update(fresh)
            if len(self._own) > OWN:
                self._own = None

    def _fetched(self, names: Sequence[str], *, vectors: bool) -> dict[str, Found]:
        """The items that are there of those; a collection that this run made has none but its own."""
        asked = list(names) if self._own is None else [name for name in names if name in self._own]
        if not asked:
            return {}
        found = self._ask(lambda engine: engine.fetch(asked, vectors=vectors))
        return {one.item.id: one for one in found}

    def keep(self, seen: Sequence[Fields]) -> None:
        """Bring size and time of items that were seen up to date; unknown ids are passed over."""
        old = self._fetched([record["id"] for record in seen], vectors=False)
        updates = []
        for record in seen:
            if record["id"] not in old:
                continue
            self.counts.kept += 1
            item = old[record["id"]].item
            fields = orjson.loads(item.fields)
            news = {name: record[name] for name in ("size", "mtime") if is_number(record.get(name))}
            if any(fields.get(name) != value for name, value in news.items()):
                updates.append(item._replace(fields=_json({**fields, **news})))
        if updates and not self.dry_run:
            self._ask(lambda engine: engine.revise(updates))
            self._changed += len(updates)

    def delete_ids(self, names: Sequence[str], going: Callable[[str], None] | None = None) -> None:
        """Delete items by id in one change; `going` is told the ids that are there."""
        unique = list(dict.fromkeys(names))
        if not unique:
            return
        found = self._fetched(unique, vectors=False)
        self.counts.unknown += len(unique) - len(found)
        there = [name for name in unique if name in found]
        if going is not None:
            for name in there:
                going(name)
        self.delete_found(there)

    def delete_found(self, names: Sequence[str]) -> None:
        """Delete items that are there, in batches."""
        for start in range(0, 0 if self.dry_run else len(names), intake.BATCH_ITEMS):
            self._changed += self._delete(names[start : start + intake.BATCH_ITEMS])
        self.counts.gone += len(names)

    def _delete(self, names: Sequence[str]) -> int:
        return self._ask(lambda engine: engine.delete(names))

    def paths(self) -> Iterator[tuple[str, str, str | None]]:
        """Yield key, id and the picture's absolute path of all items; the key is the id."""
        after: str | None = None
        while page := self._page(after):
            for item, _ in page:
                yield item.id, item.id, item.path
            after = page[-1].item.id

    def _page(self, after: str | None) -> list[Found]:
        return self._ask(lambda engine: engine.page(after, PAGE, vectors=False))

    def build(self, about: About) -> None:
        """Build the structure of a kind, and note what the collection is now."""
        self._ask(lambda engine: engine.build(about))
        self.meta = about

    def settle(self) -> None:
        """End a run: let the engine build what is missing."""
        if self.meta is not None and not self.dry_run:
            self._ask(lambda engine: engine.finish(self._changed))


def upsert(
    address: str | Address, records: Iterable[Fields], *, reject: Reject, model: str | None = None,
    kind: str | None = None, dry_run: bool = False, tick: Tick | None = None,
) -> Counts:  # fmt: skip
    """Put records into a collection, as `mmr.index.upsert` does into a folder.

    Every batch is one transaction where the engine has them. Raises `UnavailableError` where the server is
    away and stays away.
    """
    with RemoteWriter(read(address), reject, model=model, kind=kind, dry_run=dry_run) as writer:
        writer.take(records, tick)
        writer.settle()
    return writer.counts


def delete(
    address: str | Address, ids: Iterable[str], *, dry_run: bool = False,
    going: Callable[[str], None] | None = None,
) -> Counts:  # fmt: skip
    """Delete items by id; ids that the collection lacks are counted as `unknown`."""
    with existing(address, dry_run=dry_run) as writer:
        for chunk in _chunks(ids, intake.BATCH_ITEMS):
            writer.delete_ids(chunk, going)
        writer.settle()
    return writer.counts


def sync(
    address: str | Address, read_stream: Read, *, reject: Reject, model: str | None = None,
    kind: str | None = None, dry_run: bool = False, max_delete: float = 0.5, going: Going | None = None,
    tick: Tick | None = None,
) -> Counts:  # fmt: skip
    """Upsert a stream, then delete what it did not name, with the refusals of `mmr.index.sync.sync`."""
    watch = Watch(reject)
    with RemoteWriter(read(address), reject, model=model, kind=kind, dry_run=dry_run) as writer:
        writer.take(watch.records(read_stream(watch.reject)), tick)
        watch.finish()
        if writer.open() and writer.meta is not None:
            found = gone_of(writer.paths(), watch)
            found.tell(going)
            refuse(found, max_delete, str(writer.path), 0 if dry_run else writer.counts.new)
            writer.delete_found(found.keys)
        writer.settle()
    return writer.counts


def build(address: str | Address, kind: str | None) -> About:
    """Build the structure of a collection anew; `kind` names another, or other parameters.

    Parameters that are not named stay where the kind does.
    """
    with existing(address) as writer:
        assert writer.meta is not None
        about = writer.meta
        if kind is not None:
            row, asked = parse(row_of(writer.path), kind)
            old = about.params if row.name == about.kind else {}
            about = replace(about, kind=row.name, params={**defaults(row), **old, **asked})
        writer.build(about)
    return about


def existing(address: str | Address, *, dry_run: bool = False) -> RemoteWriter:
    """A writer of a collection that must be there; raises `MissingInputError` where there is none."""
    writer = RemoteWriter(read(address), dry_run=dry_run)
    writer.open()
    if writer.meta is None:
        writer.__exit__(None, None, None)
        what = f"there is no index at {writer.path}"
        raise MissingInputError(what, "Make one with `mmr embed ... | mmr index INDEX`.")
    return writer


def stored(record: Fields, here: str) -> Stored:
    """An item as an engine keeps it; a base folder becomes absolute."""
    fields = {name: value for name, value in record.items() if name not in NOT_STORED}
    image, base = record.get("image"), record.get("base")
    path = None
    if isinstance(image, str):
        if isinstance(base, str):
            fields["base"] = base = absolute(here, base) or base
        path = absolute(base if isinstance(base, str) else None, image)
    return Stored(
        record["id"], image if isinstance(image, str) else None, path, _text(record.get("digest")),
        _text(record.get("parent")), _json(fields),
    )  # fmt: skip


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _json(fields: Mapping[str, Any]) -> str:
    return dump(fields, "base64")[:-1].decode() if fields else "{}"


def _equal(old: Found, vector: NDArray[np.float32]) -> bool:
    return old.vector is not None and bool(np.array_equal(old.vector, vector))


def _chunks(values: Iterable[str], size: int) -> Iterator[list[str]]:
    chunk: list[str] = []
    for value in values:
        chunk.append(value)
        if len(chunk) == size:
            yield chunk
            chunk = []
    yield chunk
