"""From what a user names to items: paths, lists of paths, words, files of records."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, BinaryIO

from mmr.embed.item import Item, Wanted, renamed
from mmr.errors import BadItem, MissingInputError, Reject, shown
from mmr.pictures.read import split_member
from mmr.pictures.walk import SUFFIXES
from mmr.stream.records import Place, Record, default_id, same_model

RECORDS = (".jsonl", ".ndjson", ".json", ".tsv", ".npy", ".run", ".trec")


def holds_records(path: str) -> bool:
    """Tell a file of records from a picture, a folder or a tar: by its name, else by its first byte."""
    name = path.lower()
    if path == "-" or name.endswith(RECORDS):
        return not os.path.isdir(path)
    if name.endswith(".tar") or name.rpartition(".")[2] in SUFFIXES or os.path.isdir(path):
        return False
    if not os.path.isfile(path):
        return os.path.exists(path)  # a named pipe, `<(...)`
    try:
        with open(path, "rb") as file:
            return file.read(1) == b"{"
    except OSError:
        return False


def check_any(paths: Iterable[str]) -> None:
    """Raise `MissingInputError` when paths were named and none of them can be read."""
    missing = list(paths)
    for path in missing:
        member = split_member(path)
        if os.access(path if member is None else member[0], os.R_OK) or os.path.islink(path):
            return
    if missing:
        first = f"{shown(missing[0])} {'cannot be read' if os.path.lexists(missing[0]) else 'does not exist'}"
        others = f", nor any of the {len(missing) - 1:,} other paths" if len(missing) > 1 else ""
        raise MissingInputError(first + others, "Check the names, and whether the disk is mounted.")


def listed(file: BinaryIO, end: bytes) -> Iterator[str]:
    """Yield the paths in a file, each ended by the byte `end`; names that are not UTF-8 keep their bytes."""
    rest = b""
    while chunk := file.read1() if hasattr(file, "read1") else file.read(1 << 16):
        *names, rest = (rest + chunk).split(end)
        yield from (os.fsdecode(name) for name in names if name)
    if rest:
        yield os.fsdecode(rest)


def items_of_texts(texts: Iterable[str]) -> Iterator[Item]:
    """Make an item of each text, named by a hash of it."""
    for text in texts:
        yield Item(Record({"id": default_id({"text": text}), "text": text}, Place("--text", None)))


def items_of_records(
    records: Iterable[Record], model: Callable[[], str], wanted: Wanted, reject: Reject,
    rule: str | None = None,
) -> Iterator[Item | Mapping[str, Any]]:  # fmt: skip
    """Make an item of each record that wants a vector; the others pass.

    model  gives the full name of the encoder; a vector of another model is made anew where it can be
    rule   what gives a record its id, if not itself: see `renamed`
    """
    for record in records:
        if "keep" in record:
            yield record
            continue
        if rule is not None:
            try:
                record = renamed(record, rule)
            except BadItem as bad:
                reject(bad)
                continue
        ready = ("vector" if wanted.parts is None else "vectors") in record and not wanted.binds
        if ready and "model" in record and ("image" in record or "text" in record):
            ready = same_model(record["model"], model())
        yield record if ready else Item(record)
