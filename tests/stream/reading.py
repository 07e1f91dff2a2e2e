"""What the stream's tests share: a reader that keeps the bad items beside the good."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from mmr.errors import BadItem
from mmr.stream.read import read_records
from mmr.stream.records import Record


class Read(NamedTuple):
    records: list[Record]
    bad: list[BadItem]

    @property
    def ids(self) -> list[str]:
        return [record["id"] for record in self.records]

    @property
    def words(self) -> list[str]:
        return [str(item) for item in self.bad]


def read(*paths: Path | str, vectors: bool = True, eof: bool = False) -> Read:
    bad: list[BadItem] = []
    records = list(read_records([str(path) for path in paths], reject=bad.append, vectors=vectors, eof=eof))
    return Read(records, bad)


def given(folder: Path, data: bytes, name: str = "in.jsonl", **options: bool) -> Read:
    """Write bytes to a file and read them as records."""
    path = folder / name
    path.write_bytes(data)
    return read(path, **options)
