"""Items of weighted terms, and of words: what is stored of them. Neither has a vector: d is 0."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from io import FileIO
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mmr.arrays.terms import LARGEST, Bags, Joined, bags, checked, equal_bags, joined
from mmr.arrays.words import FINGERPRINT, words
from mmr.errors import BadDataError, Reject, shown
from mmr.index.content import Content, Fields, Ready, bad
from mmr.index.termfile import map_bags, name_of, reading, write_bags

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mmr.arrays.topk import Nearest
    from mmr.index import AnyIndex, Index, Segment
    from mmr.index.catalogue import Meta
    from mmr.index.changer import Changer
    from mmr.index.content import Kept, Rows
    from mmr.index.search import Wanted
    from mmr.index.segments import Written
    from mmr.stream.records import Record

WORDS = f"bm25:words#{FINGERPRINT}"  # the model of an index of words: how texts become words
WRITTEN = 'write "sparse": {"term": weight}'


class Terms(Content):
    """Items of weighted terms, in `sparse`."""

    field = "sparse"
    taken = frozenset({"sparse"})
    single = False

    def missing(self, record: Fields) -> tuple[str, str] | None:
        """What a record lacks that comes, and what to do; else None."""
        if self.has(record):
            return None
        return "it has no weighted terms", f"{WRITTEN}, as a model of terms or `mmr fit lexicon` gives them"

    def unusable(self, record: Fields) -> tuple[str, str] | None:
        """Nothing: `ready` looks at what it has."""
        return None

    def dim(self, record: Fields) -> int:
        """0: there is no vector."""
        return 0

    def weight(self, record: Fields) -> int:
        """About how many bytes the record holds while it waits to be written."""
        return 100 * len(record[self.field])

    def bag(self, record: Fields, least: float = 0.0) -> Mapping[bytes, float]:
        """The terms of a record and their weights. Raises `ValueError`, saying what is wrong."""
        return checked(record[self.field], least)

    def ready(self, records: Sequence[Fields], dtype: str, reject: Reject) -> Ready:
        """Take the terms of records; one whose weights cannot be stored goes to `reject`."""
        kept, found = [], []
        for record in records:
            try:
                found.append(self.bag(record))
                kept.append(record)
            except (ValueError, TypeError, AttributeError) as error:
                reject(bad(record, f"it cannot be stored: {error}", WRITTEN))
        return Ready(kept, np.empty((len(kept), 0), np.float32), bags(found, self.field == "text"))

    def written(self, changer: Changer, number: int, found: Ready) -> list[Written]:
        """Write the bags of a new segment."""
        held: Bags = found.beside
        rows, same = np.arange(len(held)), np.arange(len(held.vocabulary))
        return [write_bags(changer.path, number, [(held, rows)], Joined(held.vocabulary, [same]))]

    def same(self, changer: Changer, number: int, rows: Rows, found: Ready, mine: Rows) -> NDArray[np.bool_]:
        """Whether `rows` of a stored segment hold the terms and weights that the records `mine` bring."""
        with reading(changer.path / name_of(number)):
            return equal_bags(held_by(changer, number), rows, found.beside, mine)

    def merged(self, changer: Changer, number: int, kept: Kept, meta: Meta) -> list[Written]:
        """Gather the bags of the items that a merged segment keeps."""
        parts = [(self.source(changer, old), rows) for old, rows in kept]
        return [write_bags(changer.path, number, parts, joined(parts))]

    def source(self, changer: Changer, number: int) -> Bags:
        """The bags of a segment, which are known to be sound then."""
        held = held_by(changer, number)
        with reading(changer.path / name_of(number)):
            held.vocabulary.words(range(len(held.vocabulary)))
            for _ in held.blocks(np.arange(len(held))):
                pass
        return held

    def mapped(self, index: Index, segment: Segment, files: Mapping[str, FileIO]) -> Segment:
        """The segment with its `Bags`."""
        return segment._replace(beside=map_bags(files[name_of(segment.number)], segment.rows))

    def of_row(self, segment: Segment, row: int) -> dict[str, Any]:
        """The weighted terms of one item."""
        with reading(segment.folder / name_of(segment.number)):
            return {"sparse": of(segment).bag(row)}

    def bytes_of(self, segment: Segment) -> int:
        """Bytes of the terms, as a segment stores them."""
        return (segment.folder / name_of(segment.number)).stat().st_size

    def damage(self, folder: Path, number: int, rows: int, meta: Meta) -> Iterator[str]:
        """Yield what is wrong with the bags of a segment."""
        name = name_of(number)
        try:
            with open(folder / name, "rb") as file:
                found = map_bags(file, rows)
            for _ in found.blocks(np.arange(rows)):
                pass
            names = found.vocabulary.words(range(len(found.vocabulary)))
            if any(one.encode() >= other.encode() for one, other in pairwise(names)):
                yield f"{name}: its terms do not ascend"
        except (BadDataError, ValueError, OSError) as error:
            yield f"{name}: {error}"

    def facts(self, index: Index) -> dict[str, Any]:
        """How many terms the items have, together and on average."""
        count = sum(int(of(one).counts(np.flatnonzero(one.live)).sum()) for one in index.segments())
        terms = max((len(one.beside.vocabulary) for one in index.segments()), default=0)
        return {"terms": terms, "terms_an_item": round(count / max(index.meta.count, 1), 1)}

    def answers(self, query: Record) -> bool:
        """Whether nothing is to be embedded: always, since no encoder here gives terms."""
        return True

    def model_of(self, record: Fields, own: str | None) -> str | None:
        """The model that a record's terms are of; that of the index where it has none."""
        stated: str | None = record.get("model") if self.has(record) else own
        return stated

    def unfit(self, index: AnyIndex, query: Record) -> tuple[str, str] | None:
        """What is wrong with a query, and what to do; else None."""
        name = shown(index.path.name)
        if not self.has(query):
            return (
                f"has no weighted terms, and {name} compares those",
                f"ask with a record that has some: {WRITTEN}",
            )
        try:
            self.bag(query, -LARGEST)
        except (ValueError, TypeError, AttributeError) as error:
            return str(error), WRITTEN
        return None

    def places(self, index: Index, queries: Sequence[Record], wanted: Wanted) -> list[Nearest]:
        """Where the hits of each query are, and their scores, best first."""
        from mmr.index.inverted import places

        return places(self, index, queries, wanted)

    def whys(
        self, index: Index, queries: Sequence[Record], found: Sequence[Nearest], wanted: Wanted
    ) -> list[list[dict[str, Any]]]:
        """The terms that each hit shares with its query: `terms`, what each adds, and `why`, in one line."""
        from mmr.index.inverted import whys

        return whys(self, index, queries, found, wanted)


class Words(Terms):
    """Items of words, in `text`; how often an item has each is stored, and BM25 is taken of it."""

    field = "text"
    taken: frozenset[str] = frozenset()

    def missing(self, record: Fields) -> tuple[str, str] | None:
        """What a record lacks that comes, and what to do; else None."""
        return None if self.has(record) else ("it has no text", 'give it words: "text": "a red apple"')

    def weight(self, record: Fields) -> int:
        """About how many bytes the record holds while it waits to be written."""
        return 4 * len(record["text"])

    def bag(self, record: Fields, least: float = 0.0) -> Mapping[bytes, float]:
        """How often a text has each word."""
        return {word.encode(): float(count) for word, count in Counter(words(record["text"])).items()}

    def of_row(self, segment: Segment, row: int) -> dict[str, Any]:
        """Nothing: the text is stored with the other fields."""
        return {}

    def model_of(self, record: Fields, own: str | None) -> str | None:
        """How texts become words; what a record says is of the model of its vector."""
        return WORDS

    def unfit(self, index: AnyIndex, query: Record) -> tuple[str, str] | None:
        """What is wrong with a query, and what to do; else None."""
        if self.has(query):
            return None
        what = "a picture" if "image" in query else "no text"
        return f"has {what}, and {shown(index.path.name)} compares words", "ask with words"


def held_by(changer: Changer, number: int) -> Bags:
    """The mapped bags of a segment, of an index that is open for writing."""
    if number not in changer.beside:
        found = changer.connection.execute("SELECT rows FROM segments WHERE number = ?", (number,))
        with open(changer.path / name_of(number), "rb") as file:
            changer.beside[number] = map_bags(file, found.fetchone()[0])
    held: Bags = changer.beside[number]
    return held


def of(segment: Segment) -> Bags:
    """The bags of a segment."""
    held: Bags = segment.beside
    return held
