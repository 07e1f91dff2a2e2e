"""Look items up in the catalogue: by id, by their picture's path, by digest, by a stored field."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmr.index import catalogue
from mmr.index.bases import Bases, absolute
from mmr.index.catalogue import ROW_BITS, in_chunks
from mmr.index.items import SAME_AS_ID

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Rows = NDArray[np.int64]


class Lookup:
    """One state of the catalogue that is open for reading, and what can be found in it."""

    path: Path
    bases: Bases
    _connection: sqlite3.Connection

    def _rows(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        with catalogue.translated(self.path):
            try:
                return self._connection.execute(statement, values).fetchall()
            except UnicodeEncodeError:  # bytes of a command line that are no UTF-8, which nothing stored has
                return []

    def places_of(self, names: Iterable[str]) -> dict[str, tuple[int, int]]:
        """Return (segment number, row) of the live items with these ids; those that it lacks are left out."""
        found: dict[str, tuple[int, int]] = {}
        for piece, marks in in_chunks(list(dict.fromkeys(names))):
            for name, key in self._rows(f"SELECT id, place FROM items WHERE id IN ({marks})", piece):
                found[name] = (key >> ROW_BITS, key & ((1 << ROW_BITS) - 1))
        return found

    def count_named(self, names: Iterable[str]) -> int:
        """How many items these names stand for, in the sense of `rows_named`."""
        return sum(len(rows) for rows in self.rows_named(names).values())

    def rows_named(self, names: Iterable[str]) -> dict[int, Rows]:
        """Return the rows of items by id, by picture's path (as stored, or found from here) or by digest."""
        wanted = list(dict.fromkeys(names))
        places = self._places_of_paths(wanted)
        for piece, marks in in_chunks(wanted):
            for where in (f"id IN ({marks})", f"digest IS NOT NULL AND digest IN ({marks})"):
                places.update(row[0] for row in self._rows(f"SELECT place FROM items WHERE {where}", piece))
        return _by_segment(places)

    def children(self) -> dict[str, int]:
        """Return how many live items name each parent."""
        statement = "SELECT parent, COUNT(*) FROM items WHERE parent IS NOT NULL GROUP BY parent"
        return dict(self._rows(statement))

    def _places_of_paths(self, paths: list[str]) -> set[int]:
        """Places of the items whose picture has one of these paths, as stored or as found from here."""
        places = self._places_of(paths, "image IS NOT NULL", [])
        here = str(Path.cwd())
        files = [absolute(here, name) or name for name in paths]
        for base, folder in self.bases.folders.items():
            images = {os.path.relpath(file, folder) for file in files}
            places |= self._places_of(sorted(images), "base = ?", [base])
        return places | self._places_of(files, "base IS NULL", [])

    def _places_of(self, images: list[str], where: str, values: list[Any]) -> set[int]:
        """Places of the items whose picture was given as one of these paths."""
        places: set[int] = set()
        for piece, marks in in_chunks(images):
            named = f"image = {SAME_AS_ID} AND id IN ({marks})"
            other = f"typeof(image) = 'text' AND image IN ({marks})"
            for condition in (named, other):
                statement = f"SELECT place FROM items WHERE {condition} AND {where}"
                places.update(row[0] for row in self._rows(statement, [*piece, *values]))
        return places

    def rows_where(self, field: str, value: str) -> dict[int, Rows]:
        """Return the rows of live items whose stored `field` is `value`.

        A number fits when both read as the same number, `true` and `false` fit those, a list when one of
        its elements fits.
        """
        if field in ("id", "digest", "parent"):
            return _by_segment(
                row[0] for row in self._rows(f"SELECT place FROM items WHERE {field} = ?", (value,))
            )
        if field == "image":
            return _by_segment(self._places_of_paths([value]))
        places = []
        if field in ("size", "mtime"):
            rows = self._rows(f"SELECT place, {field} FROM items WHERE {field} IS NOT NULL")
            places = [key for key, stored in rows if fits(stored, value)]
        import orjson

        name = orjson.dumps(field).decode()
        with catalogue.translated(self.path):
            cursor = self._connection.execute(
                "SELECT place, fields FROM items WHERE fields IS NOT NULL AND instr(fields, ?)", (f"{name}:",)
            )
            places += [key for key, stored in cursor if fits(orjson.loads(stored).get(field), value)]
        return _by_segment(places)


def fits(stored: Any, value: str) -> bool:
    """Tell whether a stored value is what the user wrote.

    >>> fits(3, "3.0"), fits(["cat", "dog"], "dog"), fits(True, "true"), fits("a", "b")
    (True, True, True, False)
    """
    if isinstance(stored, list):
        return any(fits(one, value) for one in stored)
    if isinstance(stored, bool):
        return value == ("true" if stored else "false")
    if isinstance(stored, int | float):
        try:
            return float(value) == stored
        except ValueError:
            return False
    return isinstance(stored, str) and stored == value


def _by_segment(places: Iterable[int]) -> dict[int, Rows]:
    import numpy as np

    keys = sorted(places)
    mask = (1 << ROW_BITS) - 1
    return {
        number: np.asarray([key & mask for key in group], np.int64)
        for number, group in groupby(keys, lambda key: key >> ROW_BITS)
    }
