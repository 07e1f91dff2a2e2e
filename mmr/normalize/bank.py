"""Banks: vectors of queries (or of items) that a method is fitted with, and what must be known of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmr.arrays.unit import unit
from mmr.errors import BadDataError, raise_item, shown
from mmr.stream.read import read_records
from mmr.stream.records import check_model

SHIPPED = "the words of mmr"  # how the bank is called that ships
INT8 = "-int8"  # ends the fingerprint of what an int8 text tower made
NOUNS = {"text": ("text", "texts"), "image": ("picture", "pictures"), "image,text": ("pair", "pairs"),
         "mixed": ("query", "queries"), "": ("vector", "vectors")}  # fmt: skip
SAME = 0.999  # a cosine from which on two vectors count as the same thing


class Bank(NamedTuple):
    """Vectors of a file and where they come from.

    rows      (m, d) float32 of length 1
    keys      (m,) uint64, hashes of each record's words and picture; 0 of bare vectors
    model     the model that the records name
    modality  "text", "image", "image,text", "mixed", or "" when unknown
    name      of the file, without its folder
    digest    a hash of the rows
    pictures  digests, or else paths, of the pictures among them, as an index knows them; not kept in a file
    """

    rows: NDArray[np.float32]
    keys: NDArray[np.uint64]
    model: str | None
    modality: str
    name: str
    digest: str
    pictures: tuple[str, ...] = ()

    @property
    def shipped(self) -> bool:
        """Whether it is of the words that ship, which anybody's query may be."""
        return self.name.startswith(SHIPPED)

    @property
    def source(self) -> str:
        """Its provenance in a few words: "290 texts of queries.npy#1f2e3d4c"."""
        one, more = NOUNS.get(self.modality, NOUNS[""])
        noun = one if len(self.rows) == 1 else more
        return f"{len(self.rows):,} {noun} of {shown(self.name)}#{self.digest}"


def read_bank(path: str) -> Bank:
    """Read the vectors of a file of records.

    Raises `BadDataError` (or the `BadItem` of a line) for a record without a vector, zeros, numbers that are
    not finite, vectors of two models or two lengths, and a file without records: part of a bank is another
    bank.
    """
    rows: list[NDArray[np.float32]] = []
    keys: list[int] = []
    modalities: set[str] = set()
    pictures: list[str] = []
    model: str | None = None
    for record in read_records([path], reject=raise_item):
        vector = _vector(record, str(record.place), rows)
        check_model(model, record.get("model"), expected_by="the records before", found_by=str(record.place),
                    fix="A bank holds vectors of one model.")  # fmt: skip
        model = model or record.get("model")
        rows.append(vector)
        keys.append(key(record))
        modalities.add(modality(record))
        pictures += _picture(record)
    if not rows:
        what = "standard input" if path == "-" else shown(path)
        raise BadDataError(f"{what} holds no records", "A bank is a file of queries with vectors.")
    whole = unit(np.stack(rows))
    known = modalities.pop() if len(modalities) == 1 else "mixed"
    name = "stdin" if path == "-" else Path(path).name
    return Bank(whole, np.array(keys, np.uint64), model, known, name, digest(whole), tuple(pictures))


def _picture(record: Mapping[str, Any]) -> list[str]:
    """The digest of a record's picture, else its path; nothing where a vector is not of that alone."""
    if any(step.startswith("compose ") or step.endswith(" composed") for step in record.get("via", ())):
        return []
    known, image = record.get("digest"), record.get("image")
    if isinstance(known, str):
        return [known]
    if not isinstance(image, str):
        return []
    base = record.get("base")
    return [str(Path(base, image)) if isinstance(base, str) else image]


def bank_of_words(texts: Sequence[str], rows: NDArray[np.float32], model: str | None, name: str) -> Bank:
    """The bank of words whose vectors are rows (m, d)."""
    whole = unit(rows)
    return Bank(whole, np.array([key({"text": text}) for text in texts], np.uint64), model, "text", name,
                digest(whole))  # fmt: skip


def _vector(
    record: Mapping[str, Any], where: str, before: Sequence[NDArray[np.float32]]
) -> NDArray[np.float32]:
    """The vector of a record, fit for a bank."""
    vector: NDArray[np.float32] | None = record.get("vector")
    if vector is None:
        raise BadDataError(f"{where} has no vector", "`mmr embed --queries FILE -o bank.npy` makes them.")
    if before and len(vector) != len(before[0]):
        raise BadDataError(
            f"{where} has a vector of {len(vector)} numbers, those before it have {len(before[0])}",
            "A bank holds vectors of one model.",
        )
    if not vector.any():
        raise BadDataError(f"{where} has a vector of zeros, which has no direction", "Embed it again.")
    return vector


def digest(rows: NDArray[Any]) -> str:
    """Return eight hex digits that change with the rows."""
    return blake2b(np.ascontiguousarray(rows, "<f4").tobytes(), digest_size=4).hexdigest()


def modality(record: Mapping[str, Any]) -> str:
    """What a query is made of: "text", "image", "image,text", "" when unknown."""
    return ",".join(name for name in ("image", "text") if record.get(name))


def plain_model(model: str | None) -> str | None:
    """The model's name; the vectors of its int8 text tower are near enough to its own for what is fitted."""
    return None if model is None else model.removesuffix(INT8)


def key(record: Mapping[str, Any]) -> int:
    """Return a hash of the words and the picture's path of a record, 0 of one that has neither."""
    if not modality(record):
        return 0
    content = f"{record.get('image', '')}\0{record.get('text', '')}".encode(errors="surrogatepass")
    return int.from_bytes(blake2b(content, digest_size=8).digest(), "little")
