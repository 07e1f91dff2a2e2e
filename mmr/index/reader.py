"""Read an index: one committed state of it, whatever a writer does meanwhile."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple

from mmr.errors import BadDataError, MissingInputError, UsageError, shown
from mmr.index import catalogue, mapped
from mmr.index.address import is_address, read
from mmr.index.bases import Bases
from mmr.index.catalogue import ROW_BITS, TOWER, Meta, in_chunks, is_data, place
from mmr.index.items import COLUMNS, SAME_AS_ID, Item, to_dump, to_record
from mmr.index.lookup import Lookup

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mmr.index.bridge import Bridge
    from mmr.index.content import Content
    from mmr.index.corrected import Correction
    from mmr.index.search import Answer, Wanted
    from mmr.index.segments import Segment
    from mmr.stream.records import Record

    Rows = NDArray[np.int64]

FEW_ROWS = 2_000  # up to here ids are looked up one by one; above, the whole column of a segment is read
DUMP_ROWS = 1024


class Known(NamedTuple):
    """What the index knows of a file: the item's id, bytes, seconds, and digest."""

    id: str
    size: int | float | None
    mtime: int | float | None
    digest: str | None


def open_index(path: str | os.PathLike[str]) -> Index:
    """Open an index for reading, without a lock that a writer would wait for.

    Raises `MissingInputError` where there is none, `BadDataError` where a file of it is missing or has not
    the size that was written; `UsageError` for an address, which `open_any` opens.
    """
    if is_address(path):
        raise UsageError(
            f"this takes an index that is a folder, and {read(os.fspath(path))} is an engine's",
            "Make a folder of it: mmr index ADDRESS --dump | mmr index FOLDER.",
        )
    return Index(Path(path))


class Index(Lookup):
    """One committed state of an index. It stays what it is until `refresh`, also while writers write.

    path      the folder
    meta      model, d, kind, parameters, number of live items

    A process that is about to wait (for a pipe) may call `rest`, and `refresh` before it goes on.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._opened = catalogue.open_reader(path)
        self._connection = self._opened.connection
        self._segments: list[Segment] | None = None
        self._bridge: Bridge | None = None
        self._columns: dict[int, list[str]] = {}
        self._files: dict[str, FileIO] = {}
        self._change = -1
        try:
            self.refresh()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Index:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the catalogue; arrays of segments that are still in use stay valid."""
        self._opened.close()
        self._segments = None
        self._close_files()

    def _close_files(self) -> None:
        for file in self._files.values():
            file.close()
        self._files = {}

    @property
    def content(self) -> Content:
        """What its items are made from."""
        from mmr.index.content import content_of

        return content_of(self.meta.kind, self.meta.params)

    def count(self) -> int:
        """How many live items there are."""
        return self.meta.count

    def unfit(self, query: Record) -> tuple[str, str] | None:
        """What is wrong with a query, and what to do; else None."""
        return self.content.unfit(self, query)

    def search(self, queries: Sequence[Record], wanted: Wanted) -> list[Answer]:
        """The hits of each query, as `mmr.index.search.search` finds them."""
        from mmr.index.search import search

        return search(self, queries, wanted)

    def rest(self) -> None:
        """Let go of the state that is pinned, so that nothing at all is held while the caller waits."""
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def refresh(self) -> bool:
        """Go to the newest committed state; True when it is another one, whose segments must be asked for.

        Raises `BadDataError` where a file of it is missing or has not the size that was written. What is
        missing may have been merged away a moment ago, so that one more look decides.
        """
        before = self._change
        for _ in range(2):
            self.rest()
            self._begin()
            if self._change == before:
                return False
            self._segments = None
            self._bridge = None
            self._columns = {}
            try:
                self._open_files()
                return True
            except FileNotFoundError as error:
                problem = self._damaged(f"{shown(str(error.filename))} is gone")
            except BadDataError as error:
                problem = error
            self._change = -1
        raise problem

    def _begin(self) -> None:
        with catalogue.translated(self.path):
            self._connection.execute("BEGIN")
            self.meta: Meta = catalogue.read_meta(self._connection, self.path)
            self._change = catalogue.change_number(self._connection)
            self.bases = Bases(self.path, self._connection)

    def _damaged(self, what: str) -> BadDataError:
        name = shown(str(self.path))
        fix = f"`mmr index {name} --check` lists the damage; --rebuild makes structures anew."
        return BadDataError(f"{name} is damaged: {what}", fix)

    def _open_files(self) -> None:
        """Hold every file of data, so that a merge cannot take it away, and check the sizes of all."""
        self._close_files()
        for name, size in self._rows("SELECT name, size FROM files WHERE segment != ?", (TOWER,)):
            if is_data(name):
                self._files[name] = open(self.path / name, "rb", buffering=0)  # noqa: SIM115 - held until close
                found = os.fstat(self._files[name].fileno()).st_size
            else:
                found = (self.path / name).stat().st_size
            if found != size:
                raise self._damaged(f"{shown(name)} has {found:,} bytes, and {size:,} were written")

    def segments(self) -> list[Segment]:
        """Return the segments with their mapped vectors, oldest first."""
        if self._segments is None:
            self._segments = self._mapped()
        return self._segments

    def _mapped(self) -> list[Segment]:
        from mmr.index.corrected import as_numbers, is_numbers
        from mmr.index.segments import Segment, live_rows, map_vectors

        content, held = self.content, self.correction() is not None
        names: dict[int, list[str]] = {}
        for number, name in self._rows("SELECT segment, name FROM files"):
            names.setdefault(number, []).append(name)
        found = []
        statement = "SELECT number, rows, dead, model FROM segments ORDER BY number"
        for number, rows, dead, model in self._rows(statement):
            name = f"seg-{number}.npy"
            vectors = map_vectors(self._files[name], rows, mapped.dim(self.meta, model), self.meta.dtype)
            other = [self.path / one for one in names.get(number, []) if not is_data(one)]
            structure = other[0] if other else None
            numbers = None
            if held:
                mine = [one for one in names.get(number, []) if is_numbers(one)]
                if not mine:
                    raise self._damaged(f"segment {number} lacks the numbers of the correction")
                numbers = as_numbers(self._files[mine[0]], rows)
            live = live_rows(dead, rows)
            model = mapped.model_of(self.meta, model)
            segment = Segment(number, name, rows, vectors, live, self.path, structure, numbers, model=model)
            found.append(content.mapped(self, segment, self._files))
        return found

    def is_mixed(self) -> bool:
        """Whether there are rows of a new model beside those of the index's."""
        held = self.meta.query_map
        return held is not None and any(segment.model == held.model for segment in self.segments())

    def _model_of(self, number: int) -> str | None:
        """The model of a segment's vectors."""
        if self.meta.query_map is None:
            return self.meta.model
        return next(segment.model for segment in self.segments() if segment.number == number)

    def bridge(self) -> Bridge:
        """The map between two models that the index holds, read."""
        from mmr.index import bridge

        if self._bridge is None:
            self._bridge = bridge.read(self, self._files)
        return self._bridge

    def ids(self, segment: int, rows: Sequence[int] | Rows) -> list[str]:
        """Return the ids of rows of one segment, in the order asked; dead rows keep the id they had."""
        wanted = rows if isinstance(rows, list) else [int(row) for row in rows]
        if segment not in self._columns and len(wanted) <= FEW_ROWS:
            found: dict[int, str] = {}
            for piece, marks in in_chunks([place(segment, row) for row in wanted]):
                found.update(self._rows(f"SELECT place, id FROM items WHERE place IN ({marks})", piece))
            if all(place(segment, row) in found for row in wanted):
                return [found[place(segment, row)] for row in wanted]
        column = self._column(segment)
        return [column[row] for row in wanted]

    def _column(self, segment: int) -> list[str]:
        if segment not in self._columns:
            import orjson

            found = self._rows("SELECT ids FROM segments WHERE number = ?", (segment,))
            self._columns[segment] = orjson.loads(found[0][0])
        return self._columns[segment]

    def records(
        self, places: Sequence[tuple[int, int]], fields: tuple[str, ...] | None = None
    ) -> list[dict[str, Any]]:
        """Return the stored fields of items by (segment number, row), in that order; all without `fields`.

        Each has its `id`; `image` is relative to the current directory where it lies below it, else absolute.
        """
        keys = [place(segment, row) for segment, row in places]
        here = str(Path.cwd())
        found: dict[int, dict[str, Any]] = {}
        for piece, marks in in_chunks(list(dict.fromkeys(keys))):
            for key, *row in self._rows(f"SELECT {COLUMNS} FROM items WHERE place IN ({marks})", piece):
                model = self._model_of(key >> ROW_BITS)
                found[key] = to_record(Item(*row), self.bases, fields, model, here)
        missing = [key for key in keys if key not in found]
        if missing:
            segment, row = missing[0] >> ROW_BITS, missing[0] & ((1 << ROW_BITS) - 1)
            raise self._damaged(f"the catalogue has no item for row {row} of segment {segment}")
        return [found[key] for key in keys]

    def get(self, name: str) -> Record:
        """Return one item by its id, with its vector; raises `MissingInputError` where there is none."""
        rows = self._rows(f"SELECT {COLUMNS} FROM items WHERE id = ?", (name,))
        if not rows:
            raise MissingInputError(
                f"{shown(str(self.path))} has no item {shown(name)!r}", "`--list` shows the ids that it has."
            )
        return self._dumped(rows)[0]

    def items(self) -> Iterator[Record]:
        """Yield every live item as the record that an index takes back, vectors included, oldest first."""
        statement = f"SELECT {COLUMNS} FROM items WHERE place > ? ORDER BY place LIMIT {DUMP_ROWS}"
        last = -1
        while rows := self._rows(statement, (last,)):
            yield from self._dumped(rows)
            last = rows[-1][0]

    def _dumped(self, rows: list[Any]) -> list[Record]:
        from mmr.stream.records import Place, Record

        content, segments = self.content, {segment.number: segment for segment in self.segments()}
        records = []
        for key, *row in rows:
            record = to_dump(Item(*row), self.bases)
            record |= content.of_row(segments[key >> ROW_BITS], key & ((1 << ROW_BITS) - 1))
            model = self._model_of(key >> ROW_BITS)
            if model is not None:
                record["model"] = model
            records.append(Record(record, Place(f"{self.path.name} item {shown(record['id'])}", None)))
        return records

    def tower(self) -> Path | None:
        """The file of the text tower that lies beside the catalogue, if there is one."""
        found = self._rows("SELECT name FROM files WHERE segment = ?", (TOWER,))
        return self.path / found[0][0] if found else None

    def recall(self) -> dict[str, int | float] | None:
        """What the kind finds of the exact search's hits: `k`, `of_rows`, ...; None for exact kinds."""
        found = self.noted("recall")
        if found is None:
            return None
        return {name: value for name, value in found.items() if name not in ("table", "exact")}

    def noted(self, key: str) -> dict[str, Any] | None:
        """What the catalogue notes under a name: `recall` with its table, `tuned`, `auto`; else None."""
        found = self._rows("SELECT value FROM meta WHERE key = ?", (key,))
        return json.loads(found[0][0]) if found else None

    def correction(self) -> Correction | None:
        """The correction of scores that the index holds, or None."""
        from mmr.index.corrected import KEY, read

        found = self._rows("SELECT value FROM meta WHERE key = ?", (KEY,))
        return read(found[0][0] if found else None)

    def all_ids(self) -> Iterator[str]:
        """Yield the ids of all live items, oldest first."""
        with catalogue.translated(self.path):
            for (name,) in self._connection.execute("SELECT id FROM items ORDER BY place"):
                yield name

    def known_files(self, model: str | None = None) -> dict[str, Known]:
        """Return what is known of every picture, by absolute path, in one query.

        model  where the index is embedded anew with this one: only of pictures that are done
        """
        known: dict[str, Known] = {}
        new = tuple.__new__  # what Known() calls; at 100,000 files the call in between shows
        starts = {number: folder.rstrip("/") + "/" for number, folder in self.bases.folders.items()}
        statement = "SELECT id, size, mtime, digest, image, base FROM items WHERE image IS NOT NULL"
        held, values = self.meta.query_map, tuple[str, ...]()
        if held is not None and held.takes(model):
            statement += f" AND place >> {ROW_BITS} IN (SELECT number FROM segments WHERE model = ?)"
            values = (held.model,)
        with catalogue.translated(self.path):
            for name, size, mtime, digest, image, base in self._connection.execute(statement, values):
                file = name if image == SAME_AS_ID else image
                if file[:1] != "/":
                    if base is None:
                        continue
                    file = starts[base] + file
                if "/." in file or "//" in file:
                    file = os.path.normpath(file)
                known[file] = new(Known, (name, size, mtime, digest))
        return known
