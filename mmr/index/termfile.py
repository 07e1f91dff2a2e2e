"""Files of weighted terms: `seg-N.bags`, item by item, and `seg-N.lists`, term by term. Both are mapped.

64 bytes say what a file is (8 bytes) and how much it holds (whole numbers of 8 bytes); then its arrays stand
one after the other, little-endian, those of wide types first. Nothing else is in them.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BufferedReader, FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mmr.arrays.sparse import Inverted, begins_of, counts_of, inverted_blocks
from mmr.arrays.terms import Bags, Joined, Places, Vocabulary, offsets_of
from mmr.errors import BadDataError, shown
from mmr.index.coded import damaged
from mmr.index.segments import Written, write_structure

if TYPE_CHECKING:
    from numpy.typing import NDArray

HEADER = 64
BAGS, LISTS = b"mmrbags1", b"mmrlist1"
WIDTHS = {1: "<u1", 2: "<u2", 4: "<u4"}  # bytes of a code, and its type
Layout = list[tuple[str, int]]


def name_of(number: int) -> str:
    """The file of a segment's bags."""
    return f"seg-{number}.bags"


def _bags_layout(items: int, terms: int, postings: int, named: int, counted: int) -> Layout:
    return [("<i8", items + 1), ("<i8", terms), ("<u8", terms), ("<u4", postings), ("<f4", postings),
            ("<u4", items if counted else 0), ("<u1", named)]  # fmt: skip


def _lists_layout(items: int, terms: int, postings: int, width: int) -> Layout:
    return [("<i8", terms + 1), ("<f8", terms), ("<f8", terms), ("<u4", postings), (WIDTHS[width], postings)]


def write_bags(folder: Path, number: int, parts: Sequence[tuple[Bags, Places]], joined: Joined) -> Written:
    """Write the bags of a segment: of several bags the items named, in order, under one vocabulary.

    parts  (bags, rows ascending)
    Raises OSError where the disk is full, `ValueError` for bags that are not sound.
    """
    counts = np.concatenate([np.empty(0, np.int64), *(held.counts(rows) for held, rows in parts)])
    lengths = [held.lengths[rows] for held, rows in parts if held.lengths is not None]
    words, counted = joined.vocabulary, bool(lengths)
    sizes = (len(counts), len(words), int(counts.sum()), len(words.names), int(counted))

    def arrays() -> Iterator[tuple[Any, str]]:
        yield from zip((offsets_of(counts), words.ends, words.keys), ("<i8", "<i8", "<u8"), strict=True)
        for (held, rows), renamed in zip(parts, joined.renamed, strict=True):
            for _, _, terms, _ in held.blocks(rows):
                yield renamed[terms], "<u4"
        for held, rows in parts:
            for _, _, _, weights in held.blocks(rows):
                yield weights, "<f4"
        yield from ((column, "<u4") for column in lengths)
        yield words.names, "<u1"

    def write(path: Path) -> None:
        with open(path, "wb") as file:
            file.write(_header(BAGS, sizes))
            for array, dtype in arrays():
                file.write(np.ascontiguousarray(array, dtype).data)

    return write_structure(folder, f"seg-{number}", "bags", write)


def write_lists(held: Bags, path: Path) -> None:
    """Write the inverted lists of bags. Raises OSError where the disk is full."""
    kind = None if held.lengths is None else counts_of(held)
    begins, width = begins_of(held), 1 if kind is None else kind.itemsize
    terms, postings = len(held.vocabulary), int(begins[-1])
    layout = _lists_layout(len(held), terms, postings, width)
    at = [HEADER + int(end) for end in offsets_of(np.array([_bytes(one) for one in layout]))]
    with open(path, "wb") as file:
        file.write(_header(LISTS, (len(held), terms, postings, width)))
        file.write(np.ascontiguousarray(begins, "<i8").data)
        for block in inverted_blocks(held, begins, kind):
            first, start = block.first, int(begins[block.first])
            for column, (dtype, _), place, offset in zip(
                (block.scales, block.errors, block.rows, block.codes), layout[1:], at[1:],
                (first, first, start, start), strict=False,
            ):  # fmt: skip
                file.seek(place + offset * np.dtype(dtype).itemsize)
                file.write(np.ascontiguousarray(column, dtype).data)


def map_bags(file: BufferedReader | FileIO, items: int) -> Bags:
    """Map the bags of a segment of `items` rows; the file may be closed afterwards.

    What they hold is looked at when it is used. Raises `BadDataError` where it has not the form of bags.
    """
    path = Path(file.name)
    sizes, mapped = _opened(file, BAGS, path)
    arrays = _arrays(mapped, _bags_layout(*sizes[:5]), path) if sizes[4] in (0, 1) else []
    if not arrays or sizes[0] != items:
        raise _unsound(path)
    offsets, ends, keys, terms, weights, lengths, names = arrays
    return Bags(Vocabulary(names, ends, keys), offsets, terms, weights, lengths if sizes[4] else None)


def map_lists(path: Path) -> Inverted:
    """Map the lists of a segment.

    Raises `BadDataError` where they have not the form of lists, FileNotFoundError where the file is gone.
    """
    with open(path, "rb") as file:
        sizes, mapped = _opened(file, LISTS, path)
    if sizes[3] not in WIDTHS:
        raise damaged(path)
    begins, scales, errors, rows, codes = _arrays(mapped, _lists_layout(*sizes[:4]), path)
    return Inverted(begins, rows, codes, scales, errors, sizes[0])


def _bytes(array: tuple[str, int]) -> int:
    return np.dtype(array[0]).itemsize * array[1]


def _header(magic: bytes, sizes: Sequence[int]) -> bytes:
    return (magic + np.array(sizes, "<u8").tobytes()).ljust(HEADER, b"\0")


def _opened(file: BufferedReader | FileIO, magic: bytes, path: Path) -> tuple[list[int], mmap.mmap]:
    """The sizes that a file states, and its bytes mapped."""
    if os.fstat(file.fileno()).st_size < HEADER:
        raise _unsound(path)
    mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    if mapped[:8] != magic:
        raise _unsound(path)
    return [int.from_bytes(mapped[at : at + 8], "little") for at in range(8, HEADER, 8)], mapped


def _arrays(mapped: mmap.mmap, layout: Layout, path: Path) -> list[NDArray[Any]]:
    if HEADER + sum(map(_bytes, layout)) != len(mapped):
        raise _unsound(path)
    found, at = [], HEADER
    for dtype, count in layout:
        found.append(np.frombuffer(mapped, dtype, count, at))
        at += _bytes((dtype, count))
    return found


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what is found wrong with a mapped file while it is used into an error that names the file."""
    try:
        yield
    except ValueError as error:
        raise _unsound(path) from error


def _unsound(path: Path) -> BadDataError:
    if path.suffix == ".lists":
        return damaged(path)
    index = shown(str(path.parent))
    return BadDataError(
        f"{shown(str(path))} is damaged",
        f"Index its items again, or restore it from a copy; `mmr index {index} --check` says what else is "
        "damaged.",
    )
