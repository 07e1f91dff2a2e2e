"""Base folders: what pictures' paths are relative to, and how they follow an index that moves."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from mmr.index.catalogue import is_made


class Bases:
    """The folders that pictures are relative to, kept relative to the index where they lie around it.

    A folder inside the index's parent folder is stored relative to the index, so that the two can move
    together; any other is stored as it is.
    """

    def __init__(self, index: Path, connection: sqlite3.Connection) -> None:
        self.home = os.path.realpath(index)
        self._connection = connection
        self._numbers: dict[str, int] = {}
        self.folders: dict[int, str] = {}
        if is_made(connection):
            for number, folder in connection.execute("SELECT number, folder FROM bases"):
                self.folders[number] = absolute(self.home, folder) or folder
                self._numbers[folder] = number

    def number(self, folder: str) -> int:
        """The number of a base folder, which becomes known inside the transaction under way."""
        full = absolute(str(Path.cwd()), folder) or folder
        stored = self._stored(full)
        if stored not in self._numbers:
            cursor = self._connection.execute("INSERT INTO bases (folder) VALUES (?)", (stored,))
            assert cursor.lastrowid is not None
            self._numbers[stored] = cursor.lastrowid
            self.folders[cursor.lastrowid] = full
        return self._numbers[stored]

    def _stored(self, folder: str) -> str:
        around = str(Path(self.home).parent)
        if folder == around or folder.startswith(around.rstrip("/") + "/"):
            return os.path.relpath(folder, self.home)
        return folder

    def path(self, base: int | None, image: str) -> str | None:
        """The absolute path of a picture; None for a relative one that no base belongs to."""
        return absolute(None if base is None else self.folders.get(base), image)


def absolute(base: str | None, image: str) -> str | None:
    """Join a base folder and a picture's path; None for a relative path without a base.

    >>> absolute("/a/b", "c.jpg"), absolute("/a/b", "../c.jpg"), absolute(None, "c.jpg")
    ('/a/b/c.jpg', '/a/c.jpg', None)
    """
    if not image.startswith("/"):
        if base is None:
            return None
        image = f"{base}/{image}" if base != "/" else f"/{image}"
    return os.path.normpath(image) if "/." in image or "//" in image or image.endswith("/") else image
