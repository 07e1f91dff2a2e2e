"""The catalogue of an index: one SQLite file that says which items, segments and files there are."""

from __future__ import annotations

import errno
import json
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from mmr.errors import BadDataError, BusyError, MissingInputError, OutputError, shown
from mmr.index import mapped
from mmr.index.table import KINDS, complete, known

CATALOGUE = "catalogue.sqlite"
FORMAT = 1
APPLICATION = 0x6D6D7231  # "mmr1", so that `file` and other programs can tell
ROW_BITS = 32
TRAINED = -1  # what stands for the segment of the quantisers, which all segments share
KEPT = -2  # what stands for the segment of fitted files that the index keeps
# how files begin that a commit must name
NAMED = ("seg-", "trained", "tower-", "correction", "fitted", mapped.STEM)
OURS = tuple(dot + stem for stem in NAMED for dot in ("", "."))
DATA = (".npy", ".bags")  # how files end that nothing else can be made from; structures end otherwise
TOWER = 0  # what stands for the segment of a file that belongs to none: the text tower
BUSY_SECONDS = 30.0
CHUNK = 900  # host parameters of one statement; old SQLite builds allow 999

SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE bases (number INTEGER PRIMARY KEY, folder TEXT NOT NULL UNIQUE);
CREATE TABLE segments (
    number INTEGER PRIMARY KEY, rows INTEGER NOT NULL, dead_rows INTEGER NOT NULL, model TEXT,
    dead BLOB, ids BLOB NOT NULL);
CREATE TABLE files (
    name TEXT PRIMARY KEY, segment INTEGER NOT NULL, size INTEGER NOT NULL, sha256 TEXT NOT NULL
    ) WITHOUT ROWID;
CREATE TABLE items (
    place INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, image, base INTEGER, digest, size, mtime, parent,
    fields);
CREATE INDEX items_image ON items (image) WHERE typeof(image) = 'text';
CREATE INDEX items_digest ON items (digest) WHERE digest IS NOT NULL;
"""


@dataclass(frozen=True, slots=True)
class Meta:
    """What an index is: its model ("SPEC#hash" or None), d, kind, parameters, live items, map of queries."""

    model: str | None
    dim: int
    kind: str
    params: dict[str, int | float | str]
    count: int
    query_map: mapped.QueryMap | None = None

    @property
    def dtype(self) -> str:
        """How vectors are stored: "float32", "float16" or "int8"."""
        return str(self.params.get("dtype", "float32"))


class Opened(NamedTuple):
    """A connection, and the temporary copy that it reads where the index folder could not serve it."""

    connection: sqlite3.Connection
    copy: tempfile.TemporaryDirectory[str] | None = None

    def close(self) -> None:
        """Close the connection and remove the copy."""
        self.connection.close()
        if self.copy is not None:
            self.copy.cleanup()


def catalogue_path(index: Path) -> Path:
    """Where the catalogue of an index folder is."""
    return index / CATALOGUE


def is_data(name: str) -> bool:
    """Tell whether a file holds what came in, which no other file can give again."""
    return name.endswith(DATA)


def place(segment: int, row: int) -> int:
    """The key of an item: its segment's number and its row in one integer."""
    return segment << ROW_BITS | row


def exists(index: Path) -> bool:
    """Tell whether something was ever committed to an index of that path.

    Raises `BadDataError` for a file or a folder that is no index, `MissingInputError` for an unreadable one.
    """
    file = catalogue_path(index)
    try:
        if file.is_file():
            return file.stat().st_size > 0 or _size(file.with_name(f"{CATALOGUE}-wal")) > 0
        if not index.exists():
            return False
        strangers = [file.name for file in index.iterdir() if not _is_ours(file.name)]
    except NotADirectoryError:
        strangers = [index.name]
    except PermissionError as error:
        raise MissingInputError(f"{shown(str(index))}: {error.strerror}") from error
    if strangers:
        what = f"{shown(str(index))} is no index: it holds {shown(strangers[0], 60)}" if index.is_dir() else (
            f"{shown(str(index))} is a file, and an index is a folder"
        )  # fmt: skip
        raise BadDataError(what, "Name another place for the index.")
    return False


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0


def _is_ours(name: str) -> bool:
    return name.startswith((CATALOGUE, *OURS, ".lock"))


def open_reader(index: Path) -> Opened:
    """Connect to the catalogue for reading; nothing that the index holds can be changed by it.

    A folder that cannot be written is read as it lies; where a writer died in it and left a journal that
    SQLite must replay, a temporary copy of the catalogue is read.
    Raises `MissingInputError` where there is no index, `BadDataError` for a damaged catalogue.
    """
    if not exists(index):
        raise MissingInputError(
            f"there is no index at {shown(str(index))}", "Make one with `mmr embed ... | mmr index INDEX`."
        )
    file = catalogue_path(index)
    with translated(index):
        try:
            return Opened(_reading(file, "mode=rw"))
        except sqlite3.OperationalError as error:
            if _primary(error) not in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
                raise
        if not os.access(file, os.R_OK):
            raise MissingInputError(f"{shown(str(file))} cannot be read", "Ask its owner for permission.")
        journal = file.with_name(f"{CATALOGUE}-wal")
        if not _size(journal):
            return Opened(_reading(file, "immutable=1"))
        copy = tempfile.TemporaryDirectory(prefix="mmr-")
        for source in (file, journal):
            shutil.copyfile(source, Path(copy.name, source.name))
        return Opened(_reading(Path(copy.name, CATALOGUE), "mode=rw"), copy)


def _reading(file: Path, mode: str) -> sqlite3.Connection:
    address = f"file:{quote(str(file))}?{mode}"
    connection = sqlite3.connect(address, uri=True, isolation_level=None, timeout=BUSY_SECONDS)
    try:
        connection.execute("PRAGMA query_only = 1")
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def open_writer(index: Path) -> sqlite3.Connection:
    """Connect for writing, in WAL mode, each commit durable; makes an empty catalogue where there is none."""
    with translated(index):
        connection = sqlite3.connect(
            catalogue_path(index), isolation_level=None, timeout=BUSY_SECONDS, check_same_thread=False
        )
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        return connection


def is_made(connection: sqlite3.Connection) -> bool:
    """Tell whether the catalogue has its tables."""
    found = connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'meta'").fetchone()
    return found is not None


def make(connection: sqlite3.Connection, meta: Meta) -> None:
    """Create the tables and write what the index is, inside the transaction under way."""
    for statement in filter(str.strip, SCHEMA.split(";")):
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION}")
    connection.execute(f"PRAGMA user_version = {FORMAT}")
    connection.execute("INSERT INTO meta VALUES ('next', 1), ('change', 0)")
    write_meta(connection, meta)


def write_meta(connection: sqlite3.Connection, meta: Meta) -> None:
    """Store model, d, kind and parameters."""
    rows = (
        ("model", meta.model),
        ("dim", meta.dim),
        ("kind", meta.kind),
        ("params", json.dumps(meta.params)),
    )
    connection.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", rows)


def read_meta(connection: sqlite3.Connection, index: Path) -> Meta:
    """Read what the index is; raises `BadDataError` for one of a newer format or of another program."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if not is_made(connection):
        raise MissingInputError(
            f"{shown(str(index))} is empty: its first write did not finish",
            "Run the command that makes it again.",
        )
    if version > FORMAT:
        raise BadDataError(
            f"{shown(str(index))} has format {version}, and this mmr reads up to {FORMAT}", "Use a newer mmr."
        )
    values = dict(connection.execute("SELECT key, value FROM meta"))
    count = connection.execute("SELECT coalesce(sum(rows - dead_rows), 0) FROM segments").fetchone()[0]
    kind = str(values.get("kind"))
    if kind not in {row.name for row in KINDS}:
        raise BadDataError(
            f"{shown(str(index))} is of the kind {shown(kind)}, which this mmr does not know",
            f"It knows {known()}; a newer mmr may know more.",
        )
    try:
        params = complete(kind, json.loads(values["params"]))
        query_map = mapped.read(values)
        return Meta(values["model"], int(values["dim"]), kind, params, count, query_map)
    except (KeyError, TypeError, ValueError) as error:
        raise BadDataError(
            f"{shown(str(index))} does not say what it is: {error}", "Build it again from the pictures."
        ) from error


def change_number(connection: sqlite3.Connection) -> int:
    """The number of the last committed change."""
    return int(connection.execute("SELECT value FROM meta WHERE key = 'change'").fetchone()[0])


@contextmanager
def change(connection: sqlite3.Connection) -> Iterator[None]:
    """One transaction, which is one change: committed as a whole or not at all."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("UPDATE meta SET value = value + 1 WHERE key = 'change'")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _primary(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


@contextmanager
def translated(index: Path) -> Iterator[None]:
    """Turn SQLite's errors into the errors of this program, naming the index."""
    name = shown(str(index))
    try:
        yield
    except sqlite3.Error as error:
        code = _primary(error)
        if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
            number = errno.ENOSPC if code == sqlite3.SQLITE_FULL else errno.EIO
            raise OSError(number, f"the catalogue was not read or written ({error})", str(index)) from error
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise BadDataError(
                f"the catalogue of {name} is damaged: {error}", "Build the index again from the pictures."
            ) from error
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise BusyError(f"{name} was locked for {BUSY_SECONDS:.0f} seconds", "Try again.") from error
        if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
            raise OutputError(f"{name} cannot be written: {error}", "Check its permissions.") from error
        raise


def in_chunks(values: list[Any], size: int = CHUNK) -> Iterator[tuple[list[Any], str]]:
    """Cut values for `IN (...)`: each piece with its question marks."""
    for start in range(0, len(values), size):
        piece = values[start : start + size]
        yield piece, ",".join("?" * len(piece))
