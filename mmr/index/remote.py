"""An index that an engine holds, read as a folder is: items, stored fields, hits; policy lives here once."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

import orjson

from mmr.errors import MissingInputError, UnavailableError, shown
from mmr.index import address as addresses
from mmr.index.bases import absolute
from mmr.index.engine import About, Engine, Found, Unsettled
from mmr.index.engines import connect
from mmr.index.items import for_reader

if TYPE_CHECKING:
    from mmr.index.address import Address
    from mmr.index.reader import Index, Known
    from mmr.index.remote_content import EngineContent
    from mmr.index.search import Answer, Wanted
    from mmr.stream.records import Record

PAGE = 1024
LOOK_UP = 4096
WAITS = (0.2, 0.5, 1.0, 2.0, 4.0)  # seconds before the same call is made again
COLUMNS = ("image", "base", "digest", "size", "mtime", "parent")
T = TypeVar("T")


class Patient:
    """An engine whose calls are made again where the connection was lost or the server was busy.

    The first connection is tried once: a server that is away at the start is away.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._ever = False

    def ask(self, call: Callable[[Engine], T]) -> T:
        """Make one call. Raises `UnavailableError` where the server stays away."""
        for wait in (*WAITS, None):
            try:
                found = call(self.engine)
            except Unsettled as error:
                if wait is None or not self._ever:
                    raise away(self.engine.address, error.reason) from error
                time.sleep(wait)
            else:
                self._ever = True
                return found
        raise AssertionError


def away(address: Address, reason: str) -> UnavailableError:
    """The error of a server that does not answer."""
    return UnavailableError(
        f"{address} does not answer: {reason}",
        "See that the server runs and that the address is right. What was committed stays: then run the same "
        "command again.",
    )


def open_any(path: str | os.PathLike[str]) -> Index | Remote:
    """Open an index for reading: a folder, or what an address names."""
    if addresses.is_address(path):
        return open_remote(os.fspath(path))
    from mmr.index.reader import open_index

    return open_index(path)


def open_remote(address: str | Address) -> Remote:
    """Open a collection for reading.

    Raises `MissingInputError` where there is none, `UnavailableError` where the server is away.
    """
    return Remote(addresses.read(address))


class Remote:
    """An index in an engine. What it tells is what is there at that moment: nothing is pinned.

    path  the address, which shows no password
    meta  model, d, kind, parameters
    """

    def __init__(self, address: Address) -> None:
        self.path = address
        self._patient = Patient(connect(address))
        self.meta = self._about()

    def __enter__(self) -> Remote:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connection."""
        self._patient.engine.close()

    def ask(self, call: Callable[[Engine], T]) -> T:
        """Ask the engine, again where it was busy or the connection was lost."""
        return self._patient.ask(call)

    def _about(self) -> About:
        try:
            found = self.ask(lambda engine: engine.about())
        except BaseException:
            self.close()
            raise
        if found is None:
            self.close()
            raise MissingInputError(
                f"there is no index at {self.path}", "Make one with `mmr embed ... | mmr index INDEX`."
            )
        return found

    def describe(self) -> dict[str, Any]:
        """Return what there is to know of it, as JSON would hold it."""
        about = self.meta
        return {
            "path": str(self.path), "model": about.model, "dim": about.dim, "kind": about.kind,
            "params": about.params, "items": self.count(), **self.ask(lambda engine: engine.facts()),
        }  # fmt: skip

    def refresh(self) -> bool:
        """Look what the collection is now; False: an engine is asked anew for everything anyway."""
        self.meta = self._about()
        return False

    def rest(self) -> None:
        """Nothing is held between calls."""

    def correction(self) -> None:
        """An engine holds no correction."""

    def tower(self) -> None:
        """An engine holds no text tower; that of the cache answers."""

    def noted(self, key: str) -> None:
        """An engine's index notes nothing of what a folder does."""

    def count(self) -> int:
        """How many items there are."""
        return self.ask(lambda engine: engine.count())

    @property
    def content(self) -> EngineContent:
        """What its items are made from: one vector each."""
        from mmr.index.remote_content import EngineContent

        return EngineContent({"dtype": self.meta.dtype})

    def unfit(self, query: Record) -> tuple[str, str] | None:
        """What is wrong with a query, and what to do; else None."""
        return self.content.unfit(self, query)

    def search(self, queries: Sequence[Record], wanted: Wanted) -> list[Answer]:
        """Find the hits of each query; see `mmr.index.remote_search`."""
        from mmr.index.remote_search import search

        return search(self, queries, wanted)

    def pages(self, *, vectors: bool) -> Iterator[list[Found]]:
        """Yield all items in pages, in the order of the ids' bytes."""
        after: str | None = None
        while page := self._page(after, vectors):
            yield page
            after = page[-1].item.id

    def _page(self, after: str | None, vectors: bool) -> list[Found]:
        return self.ask(lambda engine: engine.page(after, PAGE, vectors=vectors))

    def items(self) -> Iterator[Record]:
        """Yield every item as the record that an index takes back, vectors included, by id."""
        for page in self.pages(vectors=True):
            for found in page:
                yield self.dumped(found)

    def dumped(self, found: Found) -> Record:
        """An item as the record that an index takes back."""
        from mmr.stream.records import Place, Record

        name = found.item.id
        record = {"id": name, **orjson.loads(found.item.fields), "vector": found.vector}
        if self.meta.model is not None:
            record["model"] = self.meta.model
        return Record(record, Place(f"{self.path.name} item {shown(name)}", None))

    def get(self, name: str) -> Record:
        """Return one item by its id, with its vector; raises `MissingInputError` where there is none."""
        found = self.fetch([name])
        if name not in found:
            what = f"{self.path} has no item {shown(name)!r}"
            raise MissingInputError(what, "`--list` shows the ids that it has.")
        return self.dumped(found[name])

    def fetch(self, names: Iterable[str], *, vectors: bool = True) -> dict[str, Found]:
        """The items with these ids, by id; those that it lacks are left out."""
        wanted = list(dict.fromkeys(names))
        found: dict[str, Found] = {}
        for start in range(0, len(wanted), LOOK_UP):
            some = self._fetch(wanted[start : start + LOOK_UP], vectors)
            found.update((one.item.id, one) for one in some)
        return found

    def _fetch(self, names: list[str], vectors: bool) -> list[Found]:
        return self.ask(lambda engine: engine.fetch(names, vectors=vectors))

    def _named(self, names: list[str]) -> list[Found]:
        return self.ask(lambda engine: engine.named(names))

    def all_ids(self) -> Iterator[str]:
        """Yield the ids of all items, by their bytes."""
        for page in self.pages(vectors=False):
            yield from (found.item.id for found in page)

    def known_files(self, model: str | None = None) -> dict[str, Known]:
        """Return what is known of every picture, by absolute path; all items are of the one model."""
        from mmr.index.reader import Known

        known: dict[str, Known] = {}
        for page in self.pages(vectors=False):
            for item, _ in page:
                if item.path is not None:
                    stored = orjson.loads(item.fields)
                    known[item.path] = Known(item.id, stored.get("size"), stored.get("mtime"), item.digest)
        return known

    def vector_of(self, name: str) -> Any:
        """The vector of an item by id, path or digest; None where there is none."""
        ids = sorted(self.ids_named([name])[name])
        return self.fetch(ids[:1])[ids[0]].vector if ids else None

    def count_named(self, names: Sequence[str]) -> int:
        """How many items these names stand for: ids, pictures' paths, digests."""
        return len(set().union(*self.ids_named(names).values()))

    def children(self) -> dict[str, int]:
        """Return how many items name each parent."""
        return self.ask(lambda engine: engine.children())

    def ids_named(self, names: Sequence[str]) -> dict[str, set[str]]:
        """The ids of the items that each name stands for: an id, a path as stored or from here, a digest."""
        wanted = list(dict.fromkeys(names))
        here = str(Path.cwd())
        paths = {name: absolute(here, name) or name for name in wanted}
        ids = self.fetch(wanted, vectors=False)
        asked = list(dict.fromkeys([*wanted, *paths.values()]))
        by_name: dict[str, set[str]] = {}
        for start in range(0, len(asked), LOOK_UP):
            for item, _ in self._named(asked[start : start + LOOK_UP]):
                for name in filter(None, (item.image, item.path, item.digest)):
                    by_name.setdefault(name, set()).add(item.id)
        none: set[str] = set()
        return {
            name: by_name.get(name, none) | by_name.get(paths[name], none) | ({name} if name in ids else none)
            for name in wanted
        }

    def fields(
        self, found: Found, fields: tuple[str, ...] | None, here: str
    ) -> dict[str, Any]:  # fmt: skip
        """The stored fields of an item for a reader: `id`, then those asked for; all without `fields`.

        `image` is relative to the folder `here` where it lies below it, else absolute.
        """
        item = found.item
        stored = orjson.loads(item.fields)
        names = tuple(stored) if fields is None else fields
        if fields is None:
            names = tuple(name for name in names if name != "base")
        record: dict[str, Any] = {"id": item.id}
        if "image" in names and item.image is not None:
            record["image"] = for_reader(item.path or item.image, here)
        rest = [name for name in names if name in stored and name != "image"]
        record.update({name: stored[name] for name in rest if name not in COLUMNS})
        record.update({name: stored[name] for name in COLUMNS if name in rest})
        if fields is not None and "model" in fields and self.meta.model is not None:
            record["model"] = self.meta.model
        return record
