"""Fit a change of vectors: to a set, to two banks, or to pairs of two models' vectors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmr.errors import BadDataError, BadItem, UsageError, shown
from mmr.normalize.bank import Bank, digest, modality
from mmr.normalize.maps import FEW as FEW_PAIRS
from mmr.normalize.maps import LEAST, MANY, judged
from mmr.normalize.spaces import Moments
from mmr.normalize.table import VectorRow, checked_values, loaded, vector_row
from mmr.normalize.vectors import Change, changed_model
from mmr.stream.records import Record, check_model, same_model

BLOCK = 256
FEW_TERMS = 200
FEW = 10  # times the dimensions: fewer vectors than that hardly tell how they vary

Source = tuple[str, Iterable[Record]]
"""A name for messages, and the records."""


class Set:
    """Vectors of one model, added up by modality."""

    def __init__(self) -> None:
        self.groups: dict[str, Moments] = {}
        self.model: str | None = None
        self.dim: int | None = None
        self.sources: list[str] = []

    def add(self, source: Source) -> None:
        """Read a stream. Raises `BadDataError` for a record that does not belong to the set."""
        name, records = source
        waiting: dict[str, list[NDArray[np.float32]]] = {}
        count, hashed = 0, blake2b(digest_size=4)
        for record in records:
            vector, self.model, self.dim = _vector(record, self.model, self.dim)
            own = modality(record)
            held = waiting.setdefault(own, [])
            held.append(vector)
            count += 1
            hashed.update(vector.tobytes())
            if len(held) == BLOCK:
                self._flush(own, held)
        for own, held in waiting.items():
            self._flush(own, held)
        if not count:
            raise BadDataError(f"{shown(name)} holds no vectors", "`mmr embed` makes them.")
        self.sources.append(f"{count:,} of {shown(name)}#{hashed.hexdigest()}")

    def _flush(self, own: str, held: list[NDArray[np.float32]]) -> None:
        if held:
            assert self.dim is not None
            self.groups.setdefault(own, Moments(self.dim)).add(np.stack(held))
            held.clear()


def _vector(
    record: Record, model: str | None, dim: int | None
) -> tuple[NDArray[np.float32], str | None, int]:
    """The vector at length 1, and the model and dimension of all so far."""
    where = str(record.place or shown(record["id"]))
    vector = record.get("vector")
    if vector is None or not np.any(vector):
        what = "no vector" if vector is None else "a vector of zeros"
        raise BadDataError(f"{where} has {what}", "`mmr embed` makes one; leave such records out.")
    if dim is not None and len(vector) != dim:
        raise BadDataError(
            f"{where} has a vector of {len(vector)} numbers, those before it have {dim}",
            "A set holds vectors of one model.",
        )
    check_model(model, record.get("model"), expected_by="the records before", found_by=where,
                fix="A set holds vectors of one model.")  # fmt: skip
    wide = np.asarray(vector, np.float64)
    unit = (wide / np.linalg.norm(wide)).astype(np.float32) if record.get("unit", True) else wide
    return unit.astype(np.float32), model or record.get("model"), len(vector)


def fit_set(name: str, values: dict[str, Any], sources: Sequence[Source]) -> Change:
    """Fit a change to all vectors of the sources; memory for d × d numbers a modality.

    Raises `UsageError` for a wrong parameter, `BadDataError` for vectors that do not belong together, and
    where means a modality are asked for of vectors whose modality nobody knows.
    """
    row = _row(name, "set")
    checked = checked_values(row, values)
    held = Set()
    for one in sources:
        held.add(one)
    assert held.dim is not None
    groups = dict(sorted(held.groups.items()))
    _check_modality(groups, checked, "overall")
    arrays = loaded(row.loads)().learn(list(groups.values()), checked)
    source = ", ".join(held.sources)
    out = int(checked["dims"]) if "dims" in checked else held.dim
    to = changed_model(held.model, row, checked, arrays)
    return Change(row, checked, held.model, to, held.dim, out, tuple(groups), arrays, source)


def _check_modality(groups: Mapping[str, Moments], values: Mapping[str, Any], other: str) -> None:
    """Raise `BadDataError` where a mean a modality is asked for of vectors whose modality nobody knows."""
    if values["mean"] == "modality" and "" in groups:
        raise BadDataError(
            f"{groups[''].count:,} vectors do not say whether they are of text or of a picture",
            f"`mmr embed -o X.npy` writes that beside them; or fit with --mean {other}.",
        )


def fit_words(values: dict[str, Any], words: Source, sources: Sequence[Source]) -> Change:
    """Fit a lexicon to a list of words and to the means of a set's modalities.

    words    records of texts with vectors; of equal texts the first counts
    sources  vectors like those to come; the mean of words is that of the list where they have none

    Raises `BadDataError` for a word without a text or a vector, fewer than two words, and as `fit_set`.
    """
    row = _row("lexicon", "words")
    checked = checked_values(row, values)
    held = Set()
    for one in sources:
        held.add(one)
    listed: dict[str, NDArray[np.float32]] = {}
    for record in words[1]:
        vector, held.model, held.dim = _vector(record, held.model, held.dim)
        text = record.get("text")
        if not isinstance(text, str) or not text.strip():
            where = str(record.place or shown(record["id"]))
            raise BadDataError(f"{where} has no text", "A list of words has a text beside each vector.")
        listed.setdefault(text, vector)
    if len(listed) < 2:
        what = f"{shown(words[0])} holds {len(listed):,} of two words at least"
        raise BadDataError(what, "A lexicon has hundreds of them.")
    rows = np.stack(list(listed.values()))
    if not np.ptp(rows, axis=0).any():
        raise BadDataError(f"the words of {shown(words[0])} have one vector", "Nothing tells them apart.")
    groups = dict(held.groups)
    if "text" not in groups:
        groups["text"] = Moments(rows.shape[1])
        groups["text"].add(rows)
    groups = dict(sorted(groups.items()))
    _check_modality(groups, checked, "none")
    arrays = {
        "means": np.stack([one.total / one.count for one in groups.values()]),
        **loaded(row.loads)().learn(rows, checked),
    }
    terms = tuple(listed)
    to = changed_model(held.model, row, checked, arrays, terms)
    source = ", ".join([f"{len(terms):,} of {shown(words[0])}#{digest(rows)}", *held.sources])
    return Change(row, checked, held.model, to, rows.shape[1], len(terms), tuple(groups), arrays, source,
                  terms=terms)  # fmt: skip


def fit_banks(name: str, values: dict[str, Any], queries: Bank, items: Bank) -> Change:
    """Fit a change of items to a bank of queries and one of items."""
    row = _row(name, "banks")
    checked = checked_values(row, values)
    check_model(queries.model, items.model, expected_by=queries.name, found_by=items.name,
                fix="Embed both banks with one model.")  # fmt: skip
    if queries.rows.shape[1] != items.rows.shape[1]:
        raise BadDataError(
            f"{shown(queries.name)} has {queries.rows.shape[1]} dimensions, and {shown(items.name)} has "
            f"{items.rows.shape[1]}", "Embed both banks with one model.",
        )  # fmt: skip
    arrays = loaded(row.loads)().learn(queries.rows, items.rows, checked)
    model, dim = queries.model or items.model, queries.rows.shape[1]
    to = changed_model(model, row, checked, arrays)
    return Change(row, checked, model, to, dim, dim, (), arrays, f"{queries.source}, {items.source}")


def fit_pairs(values: dict[str, Any], source: Source, target: Source, *, force: bool = False) -> Change:
    """Fit a map to the records that both streams have, by their ids, and judge it with pairs held out.

    force  also where it is bad, or where there are too few pairs to tell

    Raises `BadDataError` where they share no ids, where both are of one model, and for a map that does not
    serve, as `Judged` says.
    """
    row = _row("map", "pairs")
    checked = checked_values(row, values)
    old, to, _ = _held(target)
    new, model, kinds = _held(source)
    both = [name for name in new if name in old]
    if not both:
        raise BadDataError(
            f"{shown(source[0])} and {shown(target[0])} share no ids, so that nothing tells what belongs "
            "together", "Embed the same records with both models; bare vectors go by their row.",
        )  # fmt: skip
    if model is not None and to is not None and same_model(model, to):
        raise BadDataError(f"both files have vectors of {model}", "A map leads from one model to another.")
    x, y = (np.stack([held[name] for name in both]) for held in (new, old))
    held = _judged(x, y, checked, force)
    arrays = loaded(row.loads)().learn(x, y, checked)
    of = f"{len(both):,} pairs ({', '.join(sorted(kinds)) or 'vectors'}) of {shown(source[0])}#{digest(x)}"
    return Change(row, checked, model, to, x.shape[1], y.shape[1], (), arrays,
                  f"{of} and {shown(target[0])}#{digest(y)}", held)  # fmt: skip


def _judged(
    x: NDArray[np.float32], y: NDArray[np.float32], values: dict[str, Any], force: bool
) -> dict[str, float]:
    """What pairs held out say of a map; raises `BadDataError` where that is too little."""
    few = f"{len(x):,} {'pair tells' if len(x) == 1 else 'pairs tell'} nothing of how good a map is"
    if len(x) < FEW_PAIRS and not force:
        raise BadDataError(few, f"Give it {FEW_PAIRS} at least, better thousands; --force fits all the same.")
    if len(x) < 2:
        return {}
    found = judged(x, y, values)
    if not found.serves and not force:
        raise BadDataError(
            f"the map is bad: over {found.pairs:,} pairs held out the mean cosine is {found.cosine:.3f}, and "
            f"{found.recall:.1%} find their own (at least {LEAST:g} is asked for, or {LEAST:.0%} of {MANY})",
            "Give it more pairs, of the kind that will be mapped, or another --form; where the models see "
            "things differently no map helps: embed anew. --force fits all the same.",
        )
    return {"pairs": found.pairs, "cosine": round(found.cosine, 4), "recall": round(found.recall, 4)}


def _held(source: Source) -> tuple[dict[str, NDArray[np.float32]], str | None, set[str]]:
    """The vectors of a stream by their ids, its model and its modalities."""
    name, records = source
    held: dict[str, NDArray[np.float32]] = {}
    model, dim = None, None
    kinds: set[str] = set()
    for record in records:
        vector, model, dim = _vector(record, model, dim)
        if record["id"] in held:
            where = str(record.place or shown(record["id"]))
            raise BadItem(where, f"a second vector of {shown(record['id'])}", "give each its own id",
                          stage="read", record=record)  # fmt: skip
        held[record["id"]] = vector
        kinds |= {modality(record)} - {""}
    if not held:
        raise BadDataError(f"{shown(name)} holds no vectors", "`mmr embed` makes them.")
    return held, model, kinds


def _row(name: str, needs: str) -> VectorRow:
    row = vector_row(name)
    if row.needs != needs:
        raise UsageError(f"{name} is not fitted so", "`mmr fit --help` lists the methods.")
    return row


def advice(change: Change, vectors: int) -> list[str]:
    """Sentences on what was fitted with too little, or is known to hurt."""
    said = []
    name, values = change.row.name, change.values
    if change.terms and len(change.terms) < FEW_TERMS:
        said.append(f"{len(change.terms):,} words are few: {FEW_TERMS} and more find more.")
    if name in ("abtt", "pca", "whiten") and vectors < FEW * change.dim:
        said.append(
            f"{vectors:,} vectors are few for {change.dim:,} dimensions: {FEW * change.dim:,} are better."
        )
    if values.get("mean") == "overall":
        said.append("one mean for pictures and words lost 16.8 points of R@1 on Flickr8k, 7.9 on fashion.")
    if name == "whiten":
        said.append("whitening lost 11.7 points of R@1 on Flickr8k and 12.4 on fashion: measure it.")
    if name == "abtt" and float(values["directions"]) > 1:
        said.append("between words and pictures more than 1 direction takes off what tells items apart.")
    return said
