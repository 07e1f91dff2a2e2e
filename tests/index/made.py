"""Records and streams that the tests of this room put into indexes."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator

import numpy as np
import orjson

from mmr.errors import BadItem
from mmr.stream.records import Record

DIM = 8


def fail(item: BadItem):
    raise item


def unit(seed: int, *shape: int):
    x = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def vector_of(name: str, version: int, dim: int = DIM):
    """The vector that belongs to one version of an item."""
    from zlib import crc32

    return unit(crc32(f"{name}/{version}".encode()), dim)


def item(name: str, version: int = 0, *, base: str | None = "/pics", dim: int = DIM, **more) -> Record:
    """One record as `embed` writes it, telling its version in `text`."""
    place = {"image": name, **({} if base is None else {"base": base})}
    return Record({
        "id": name, **place, "text": f"version {version}", "size": 100 + version, "mtime": 0.5 + version,
        "vector": vector_of(name, version, dim), "model": "m#1", **more,
    })  # fmt: skip


def keep(name: str, *, base: str = "/pics", **more) -> Record:
    return Record({"id": name, "image": name, "base": base, "keep": True, **more})


def eof(items: int, *roots: str) -> Record:
    return Record({"eof": True, "items": items, "roots": list(roots)})


def whole(records: Iterable[Record], *roots: str) -> Iterator[Record]:
    """A stream that ends as it should."""
    total = 0
    for record in records:
        total += 1
        yield record
    yield eof(total, *(roots or ("/pics",)))


def lines(records: Iterable[Record]) -> bytes:
    """Records as JSONL with base64 vectors."""
    return b"".join(orjson.dumps({
        name: base64.b64encode(value.tobytes()).decode() if name == "vector" else value
        for name, value in record.items()
    }) + b"\n" for record in records)  # fmt: skip


def version_of(record: Record) -> int:
    return int(record["text"].split()[1])
