"""A writer of an index: the lock, the catalogue, and the changes that every writer makes."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from mmr.errors import UsageError, shown
from mmr.index import catalogue, fitted, mapped, merge, plan, settings
from mmr.index.bases import Bases
from mmr.index.catalogue import KEPT, ROW_BITS, Meta, change, in_chunks, translated
from mmr.index.items import COLUMNS
from mmr.index.lock import Lock
from mmr.index.plan import Asked
from mmr.index.segments import live_rows, map_vectors, pack_dead
from mmr.index.table import AUTO, parse

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mmr.index.content import Content
    from mmr.index.corrected import Corrector, NumbersOf
    from mmr.index.quantizer import Quantizer
    from mmr.index.segments import Written
    from mmr.index.table import Params, Row


@dataclass
class Counts:
    """What a run did: items new, changed, kept as they were, gone.

    again    items that came more than once in one stream; the last of each was taken
    unknown  ids to delete that the index does not have
    """

    new: int = 0
    changed: int = 0
    kept: int = 0
    gone: int = 0
    again: int = 0
    unknown: int = 0


class Changer:
    """A writer of one index. It takes the lock and opens the catalogue when `open` is first called.

    meta       what the index is; None before it is made
    counts     what was done so far
    bases      its base folders, once open
    corrector  reads the correction that the index holds, where it holds one and rows come
    asked      what the user says of memory and recall, and who is told of plans
    fitted     the quantiser that the user names, where codes are to be made by one
    beside     what segments have beside their vectors, mapped, by number
    """

    def __init__(
        self, path: Path, *, kind: str | None = None, wait: float = 0.0, dry_run: bool = False,
        corrector: Corrector | None = None, asked: Asked | None = None,
    ) -> None:  # fmt: skip
        self.path = path
        self.asked = asked if asked is not None else Asked()
        self.meta: Meta | None = None
        self.counts = Counts()
        self.dry_run = dry_run
        self.kind: tuple[Row, Params] | None = None
        self.fitted: Quantizer | None = None
        if kind is not None:
            row, params, self.fitted = fitted.parsed(kind)
            self.kind = (row, params)
        self.corrector = corrector
        self.numbers_of: NumbersOf | None = None
        self._wait = wait
        self._lock: Lock | None = None
        self._opened: catalogue.Opened | None = None
        self._maps: dict[int, NDArray[np.floating]] = {}
        self.beside: dict[int, Any] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._opened is not None:
            self._opened.close()
        if self._lock is not None:
            self._lock.release()

    @property
    def connection(self) -> sqlite3.Connection:
        """The catalogue; `open` comes first."""
        assert self._opened is not None
        return self._opened.connection

    @property
    def content(self) -> Content:
        """What the items of the index are made from."""
        from mmr.index.content import content_of

        assert self.meta is not None
        return content_of(self.meta.kind, self.meta.params)

    def open(self) -> bool:
        """Take the lock and open the catalogue, once; False for a dry run where there is no index."""
        if self._opened is not None:
            return True
        there = catalogue.exists(self.path)
        if self.dry_run:
            if not there:
                return False
            self._opened = catalogue.open_reader(self.path)
        else:
            self._lock = Lock(self.path, self._wait)
            self._opened = catalogue.Opened(catalogue.open_writer(self.path))
        with translated(self.path):
            if catalogue.is_made(self.connection):
                self.meta = catalogue.read_meta(self.connection, self.path)
                self._check_kind(self.meta)
            self.bases = Bases(self.path, self.connection)
            if not self.dry_run:
                self._clean()
        return True

    def _clean(self) -> None:
        """Remove what a writer that died left: temporary files, and files that no commit names."""
        named = set()
        if self.meta is not None:
            named = {row[0] for row in self.connection.execute("SELECT name FROM files")}
        for file in self.path.iterdir():
            if file.name.startswith(catalogue.OURS) and file.name not in named:
                file.unlink(missing_ok=True)

    def _check_kind(self, meta: Meta) -> None:
        if self.kind is None:
            return
        row, params = self.kind
        auto = plan.stored(self.connection) is not None
        is_same = auto if row is AUTO else not auto and row.name == meta.kind
        if not is_same or not settings.asked_same(self.connection, meta, params):
            known = ",".join(f"{name}={value}" for name, value in meta.params.items())
            name = shown(str(self.path))
            raise UsageError(
                f"{name} is of the kind {meta.kind}:{known}{', as auto has chosen' if auto else ''}",
                f"`mmr index {name} --convert KIND` turns it into another.",
            )

    def make(self, model: str | None, dim: int) -> None:
        """Create the catalogue of a new index."""
        row, params = self.kind or parse("flat")
        if row is AUTO:
            params = {"dtype": params["dtype"] or "float32"}
        self.meta = Meta(model, dim, "flat" if row is AUTO else row.name, params, 0)
        if not self.dry_run:
            with translated(self.path), change(self.connection):
                catalogue.make(self.connection, self.meta)
                if self.fitted is not None:
                    self.add_files(KEPT, [fitted.write(self, self.fitted, self.meta)])
                if row is AUTO:
                    plan.begin(self.connection, self.asked)

    def next_number(self) -> int:
        """The number that no segment had yet."""
        return int(self.connection.execute("SELECT value FROM meta WHERE key = 'next'").fetchone()[0])

    def add_segment(
        self, number: int, rows: int, ids: bytes, files: Sequence[Written], model: str | None = None
    ) -> None:
        """Name a segment and its files in the catalogue, inside the transaction under way.

        model  of its vectors, where it is not the index's
        """
        assert self.meta is not None
        self.connection.execute(
            "INSERT INTO segments (number, rows, dead_rows, model, dead, ids) VALUES (?, ?, 0, ?, NULL, ?)",
            (number, rows, model or self.meta.model, ids),
        )
        self.add_files(number, files)
        self.connection.execute("UPDATE meta SET value = max(value, ?) WHERE key = 'next'", (number + 1,))

    def add_files(self, number: int, files: Sequence[Written]) -> None:
        """Name files of a segment in the catalogue, inside the transaction under way."""
        rows = [(file.name, number, file.size, file.sha256) for file in files]
        self.connection.executemany("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?)", rows)

    def vectors(self, number: int) -> NDArray[np.floating]:
        """The mapped vectors of a segment."""
        if number not in self._maps:
            assert self.meta is not None
            found = self.connection.execute("SELECT rows, model FROM segments WHERE number = ?", (number,))
            rows, model = found.fetchone()
            with open(self.path / f"seg-{number}.npy", "rb") as file:
                dim = mapped.dim(self.meta, model)
                self._maps[number] = map_vectors(file, rows, dim, self.meta.dtype)
        return self._maps[number]

    def model_of(self, number: int) -> str | None:
        """The model of a segment's vectors."""
        assert self.meta is not None
        found = self.connection.execute("SELECT model FROM segments WHERE number = ?", (number,))
        return mapped.model_of(self.meta, found.fetchone()[0])

    def forget(self, numbers: Sequence[int]) -> None:
        """Let go of the maps of segments that are no more."""
        for number in numbers:
            self._maps.pop(number, None)
            self.beside.pop(number, None)

    def stored(self, names: Sequence[str]) -> dict[str, Sequence[Any]]:
        """(place, id, image, ...) of the items that the index has, by id."""
        found: dict[str, Sequence[Any]] = {}
        if self._opened is None or self.meta is None or not catalogue.is_made(self.connection):
            return found
        for piece, marks in in_chunks(list(names)):
            for row in self.connection.execute(f"SELECT {COLUMNS} FROM items WHERE id IN ({marks})", piece):
                found[row[1]] = row
        return found

    def delete_ids(self, names: Sequence[str], going: Callable[[str], None] | None = None) -> None:
        """Delete items by id in one transaction; `going` is told the ids that are there."""
        if not names or not self.open():
            return
        with translated(self.path):
            unique = list(dict.fromkeys(names))
            found = self.stored(unique)
            self.counts.unknown += len(unique) - len(found)
            if going is not None:
                for name in filter(found.__contains__, unique):
                    going(name)
            self.delete_places([row[0] for row in found.values()])

    def delete_places(self, places: Sequence[int]) -> None:
        """Delete items by place in one transaction."""
        if places and not self.dry_run:
            with translated(self.path), change(self.connection):
                self.kill(places)
        self.counts.gone += len(places)

    def kill(self, places: Sequence[int]) -> None:
        """Mark rows dead and remove their items, inside the transaction under way."""
        by_segment: dict[int, list[int]] = {}
        for key in places:
            by_segment.setdefault(key >> ROW_BITS, []).append(key & ((1 << ROW_BITS) - 1))
        for number, rows in by_segment.items():
            found = self.connection.execute("SELECT rows, dead FROM segments WHERE number = ?", (number,))
            count, dead = found.fetchone()
            live = live_rows(dead, count)
            live[rows] = False
            self.connection.execute(
                "UPDATE segments SET dead = ?, dead_rows = ? WHERE number = ?",
                (pack_dead(live), int(count - live.sum()), number),
            )
        self.connection.executemany("DELETE FROM items WHERE place = ?", [(key,) for key in places])

    def settle(self) -> None:
        """End a run: merge what costs too much, build the structures that are missing."""
        if self._opened is None or self.meta is None or self.dry_run:
            return
        from mmr.index.recall import keep_queries, measure

        with translated(self.path):
            asked = self.asked
            if asked.queries is not None:
                keep_queries(self, asked.queries, reject=asked.reject, model=asked.model)
            merge.settle(self)
            aimed = settings.tuned(self.connection)
            measure(self, None if aimed is not None and aimed[0] == asked.recall else asked.recall)
