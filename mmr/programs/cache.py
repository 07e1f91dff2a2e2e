"""What programs have answered before: a SQLite file keyed by the program's tag and the request."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from mmr.errors import BadDataError, OutputError, shown

if TYPE_CHECKING:
    import sqlite3

SCHEMA = "CREATE TABLE IF NOT EXISTS answers (key BLOB PRIMARY KEY, answer BLOB NOT NULL) WITHOUT ROWID"
NAMES = frozenset({"id"})
PLACES = frozenset({"image", "base", "image_data"})


class Cache:
    """Answers on disk; several runs may share one file. Use it as a context manager, or call `close`.

    path   None keeps them in memory, for this run alone
    found  how many answers were there

    A program with another tag (another model, another prompt) finds nothing of the old one's.
    Raises `OutputError` where the file cannot be made, `BadDataError` where it is no cache.
    """

    def __init__(self, path: Path | None) -> None:
        import sqlite3

        self.found = 0
        place = ":memory:" if path is None else path
        try:
            self._base: sqlite3.Connection = sqlite3.connect(place, timeout=30.0, isolation_level=None)
            self._base.execute("PRAGMA journal_mode = WAL")
            self._base.execute("PRAGMA synchronous = NORMAL")
            self._base.execute(SCHEMA)
        except sqlite3.OperationalError as error:
            raise OutputError(f"the cache {shown(str(path))} cannot be opened: {error}") from error
        except sqlite3.DatabaseError as error:
            self._base.close()
            raise BadDataError(f"{shown(str(path))} is no cache: {error}", "Name another file.") from error

    def __enter__(self) -> Cache:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; every answer is in it already."""
        self._base.close()

    def get(self, sign: bytes) -> dict[str, Any] | None:
        """Return the answer under a `mark`, or None."""
        row = self._run("SELECT answer FROM answers WHERE key = ?", (sign,))
        if row is None:
            return None
        self.found += 1
        answer: dict[str, Any] = orjson.loads(row[0])
        return answer

    def put(self, sign: bytes, answer: Mapping[str, Any]) -> None:
        """Keep an answer; a later one under the same `mark` replaces it."""
        self._run("INSERT OR REPLACE INTO answers VALUES (?, ?)", (sign, orjson.dumps(answer)))

    def _run(self, line: str, values: tuple[bytes, ...]) -> Any:
        """The first row of a statement, or None; raises `OutputError` for a full disk, a locked file."""
        import sqlite3

        try:
            return self._base.execute(line, values).fetchone()
        except sqlite3.DatabaseError as error:
            raise OutputError(
                f"the cache of answers cannot be used: {error}", "Name another file."
            ) from error


def mark(tag: str, request: Mapping[str, Any]) -> bytes:
    """The 32 bytes under which an answer is kept: equal requests have equal marks, whatever their order.

    `id` never counts, and where a picture's `digest` is there, neither do its place and its bytes; so it is
    with `query_digest` and the query's picture.
    Raises `TypeError` for what JSON cannot hold.
    """
    left_out = set(NAMES)
    for prefix in ("", "query_"):
        if f"{prefix}digest" in request:
            left_out |= {f"{prefix}{place}" for place in PLACES}
    counted = {name: value for name, value in request.items() if name not in left_out}
    body = orjson.dumps([tag, counted], option=orjson.OPT_SORT_KEYS)
    return hashlib.blake2b(body, digest_size=32).digest()
