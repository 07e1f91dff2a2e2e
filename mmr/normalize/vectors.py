"""Fitted changes of vectors: the file, and the change at work on a stream of records with vectors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from mmr import __version__
from mmr.errors import BadDataError, BadItem, Reject, shown
from mmr.normalize.bank import modality, plain_model
from mmr.normalize.lexicon import bag
from mmr.normalize.maps import used
from mmr.normalize.table import VectorRow, checked_values, loaded, vector_row
from mmr.stream import archive
from mmr.stream.archive import Damaged
from mmr.stream.pipe import batches
from mmr.stream.records import Record, add_step, check_model

FORMAT, KIND = 1, "vectors"
LEARNED, TERMS = "learned.", "terms"
BATCH = 256
UNNAMED = "an unnamed model"


@dataclass(frozen=True)
class Change:
    """A fitted change of vectors.

    values   all its parameters
    model    of the vectors that it takes, None when unknown; `to` of those that it gives
    dim      of the vectors that it takes; `out` of those that it gives
    groups   the modalities whose means it knows, in the order of its rows; empty where it looks at none
    arrays   what was learned
    source   what it was fitted with, in a few words
    held     of a map: what pairs held out said of it, `pairs`, `cosine` and `recall`; empty where unknown
    terms    of a lexicon: the words, one a row of what was learned
    """

    row: VectorRow
    values: dict[str, float | str]
    model: str | None
    to: str | None
    dim: int
    out: int
    groups: tuple[str, ...]
    arrays: dict[str, NDArray[Any]]
    source: str
    held: dict[str, float] = field(default_factory=dict)
    terms: tuple[str, ...] = ()

    @property
    def step(self) -> str:
        """The line for `via`."""
        maps = self.row.needs == "pairs"
        looked_at = used(self.values) if maps else self.values
        values = " ".join(f"{k}={v if isinstance(v, str) else format(v, 'g')}" for k, v in looked_at.items())
        models = f" from {self.model or UNNAMED} to {self.to or UNNAMED}" if maps else ""
        return f"normalize {self.row.name} {values}{models} of {self.source}"

    @property
    def looks(self) -> bool:
        """Whether it must know what a vector is of."""
        return bool(self.groups) and self.values.get("mean") == "modality"


def changed_model(
    model: str | None, row: VectorRow, values: dict[str, Any], arrays: dict[str, Any],
    terms: Sequence[str] = (),
) -> str:  # fmt: skip
    """The name of vectors that a change gives, "SPEC~METHOD#hash": no others have it.

    The hash is of the old one, the method, its parameters and all that it learned.
    """
    spec, _, old = (
        (model or "unknown").rpartition("#") if "#" in (model or "") else (model or "unknown", "", "")
    )
    digest = blake2b(f"{old or spec}\0{row.name}\0".encode(), digest_size=6)
    digest.update(orjson.dumps(values, option=orjson.OPT_SORT_KEYS))
    for name in sorted(arrays):
        digest.update(name.encode() + np.ascontiguousarray(arrays[name]).tobytes())
    if terms:
        digest.update(orjson.dumps(list(terms)))
    return f"{spec}~{row.name}#{digest.hexdigest()}"


def write_change(path: str, change: Change) -> None:
    """Write the file; the same change gives the same bytes. Raises `OutputError`."""
    about = {
        "format": FORMAT, "kind": KIND, "method": change.row.name, "params": change.values,
        "model": change.model, "to": change.to, "dim": change.dim, "out": change.out,
        "groups": list(change.groups), "source": change.source,
        "versions": {"mmr": __version__, "numpy": np.__version__},
        **({"held": change.held} if change.held else {}),
    }  # fmt: skip
    arrays = {f"{LEARNED}{name}": values for name, values in change.arrays.items()}
    if change.terms:
        arrays[TERMS] = archive.as_bytes(list(change.terms))
    archive.write(path, {archive.ABOUT: archive.as_bytes(about), **arrays})


def read_change(path: str) -> Change:
    """Read a file of `write_change`; raises `MissingInputError` and `BadDataError` as `read_state`."""
    with archive.fitted(path, KIND, FORMAT) as (about, arrays):
        return _read(about, arrays)


def _read(about: dict[str, Any], arrays: archive.Arrays) -> Change:
    row = vector_row(str(about["method"]))
    values = checked_values(row, about["params"])
    learned = {k.removeprefix(LEARNED): v for k, v in arrays.items() if k.startswith(LEARNED)}
    if not all(v.dtype.kind == "f" and np.isfinite(v).all() for v in learned.values()):
        raise Damaged("it holds numbers that are not finite")
    model, to, dim, out, groups = (about[name] for name in ("model", "to", "dim", "out", "groups"))
    names = [name for name in (model, to) if name is not None]
    if not all(type(name) is str for name in (*names, *groups)) or not all(
        type(d) is int for d in (dim, out)
    ):
        raise Damaged("it names no models or no dimensions")
    held = {str(name): float(value) for name, value in about.get("held", {}).items()}
    terms = _terms(arrays, out) if row.needs == "words" else ()
    change = Change(
        row, values, model, to, dim, out, tuple(groups), learned, str(about["source"]), held, terms
    )
    if row.needs != "pairs" and to != changed_model(model, row, values, learned, terms):
        raise Damaged("what it learned is not what its model's name says")
    if not any(v.ndim == 2 and len(v) and v.shape[1] == dim for v in learned.values()):
        raise Damaged("what it learned has not the dimensions that it should have")
    known = loaded(row.loads)().apply(np.eye(2, dim), np.zeros(2, np.int64), learned, values)
    wrong = learned["back"].shape != (dim, out) if "back" in learned else False
    if wrong or known.shape != (2, out) or (groups and learned["means"].shape != (len(groups), dim)):
        raise Damaged("what it learned has not the dimensions that it should have")
    return change


def _terms(arrays: archive.Arrays, count: int) -> tuple[str, ...]:
    """The words of a lexicon."""
    terms = archive.value_of(arrays, TERMS, list)
    if not all(type(term) is str for term in terms) or not len(set(terms)) == len(terms) == count:
        raise Damaged("it does not name its words")
    return tuple(terms)


class Changed:
    """A change at work on a stream; iterate over `of(records)`.

    side   "items" or "queries", for changes of items that leave queries as they are
    name   of the fitted file, for messages
    force  go on although items are in the bank of items

    unnamed  how many vectors named no model and were taken for those of the file's
    """

    def __init__(
        self, change: Change, *, side: str | None = None, name: str = "the fitted file", force: bool = False
    ) -> None:
        self.change, self.side, self.force = change, side, force
        self.unnamed = 0
        self._name = shown(name)
        self._method = loaded(change.row.loads)()
        self._places = {group: place for place, group in enumerate(change.groups)}

    def of(self, records: Iterable[Record], reject: Reject) -> Iterator[Record]:
        """Yield the records with other vectors, of another model, in order.

        What has no vector, another length or an unknown modality goes to `reject`. Raises `BadDataError` for
        vectors of another model, and for items that are in a bank that would push them down alone.
        """
        for batch in batches(records, BATCH):
            ready: list[tuple[Record, NDArray[np.float64], int]] = []
            passed: dict[int, Record] = {}
            for place, record in enumerate(batch):
                if record.get("eof") is True or record.get("keep") is True:
                    passed[place] = record
                    continue
                try:
                    ready.append((record, *self._rows(record)))
                    passed[place] = record
                except BadItem as item:
                    reject(item)
            self._change(ready, reject, passed, batch)
            yield from passed.values()

    def _rows(self, record: Record) -> tuple[NDArray[np.float64], int]:
        """The vectors (n, d) of a record and the place of its modality."""
        where = str(record.place or shown(record["id"]))

        def bad(what: str, fix: str) -> BadItem:
            return BadItem(where, what, fix, stage="normalize", record=record)

        if "hits" in record:
            raise bad("has hits already", "change the query before `mmr query`")
        names = [name for name in ("vector", "vectors") if name in record]
        if "bindings" in record or not names:
            what = "has bindings" if "bindings" in record else "has no vector"
            raise bad(what, "`mmr compose` makes one vector of them" if "bindings" in record else
                      "`mmr embed` makes one")  # fmt: skip
        check_model(self.change.model, plain_model(record.get("model")), expected_by=self._name,
                    found_by=where, fix="Take the file that was fitted to these vectors.")  # fmt: skip
        rows = np.vstack([np.atleast_2d(record[name]) for name in names]).astype(np.float64)
        if rows.shape[1] != self.change.dim:
            raise bad(f"a vector of {rows.shape[1]} numbers, but the fitted file has {self.change.dim}",
                      "embed it with the model of the file")  # fmt: skip
        own = modality(record)
        if self.change.looks and own not in self._places:
            known = ", ".join(self.change.groups)
            raise bad(f"is of {own or 'an unknown modality'}, and {self._name} knows the mean of {known}",
                      "fit with vectors of its kind, or with --mean overall")  # fmt: skip
        self.unnamed += self.change.model is not None and record.get("model") is None
        if record.get("unit", True):
            lengths = np.linalg.norm(rows, axis=1, keepdims=True)
            rows = np.divide(rows, lengths, out=rows, where=lengths > 0)
        return rows, self._places.get(own, 0)

    def _change(
        self, ready: Sequence[tuple[Record, NDArray[np.float64], int]], reject: Reject,
        passed: dict[int, Record], batch: Sequence[Record],
    ) -> None:  # fmt: skip
        """Put the new vectors into the records; one that has none left is taken out of those passed on."""
        if not ready:
            return
        rows = np.concatenate([rows for _, rows, _ in ready])
        group = np.repeat([group for _, _, group in ready], [len(rows) for _, rows, _ in ready])
        if self.change.row.sides and self.side == "queries":
            for record, _, _ in ready:
                self._name_model(record)
            return
        shared = (
            0 if self.force or not self.change.row.sides else self._method.shared(rows, self.change.arrays)
        )
        if shared:
            where = str(ready[0][0].place or shown(ready[0][0]["id"]))
            raise BadDataError(
                f"{shared:,} of the {len(rows):,} items from {where} on are in the bank of items that "
                f"{self._name} was fitted with: they alone would be pushed away from themselves",
                "A bank of items holds others; fit with others, or say --force.",
            )
        found = self._method.apply(rows, group, self.change.arrays, self.change.values)
        places = {id(record): place for place, record in enumerate(batch)}
        start = 0
        for record, own, _ in ready:
            new = found[start : start + len(own)].astype(np.float32)
            start += len(own)
            if not new.any(axis=None if self.change.terms else 1).all():
                where = str(record.place or shown(record["id"]))
                reject(BadItem(where, "nothing is left of a vector: it has no direction then", "leave it out",
                               stage="normalize", record=record))  # fmt: skip
                del passed[places[id(record)]]
                continue
            self._put(record, new)

    def _put(self, record: Record, rows: NDArray[np.float32]) -> None:
        if self.change.terms:
            for name in ("vector", "vectors", "unit"):
                record.pop(name, None)
            record["sparse"] = bag(rows, self.change.terms, int(self.change.values["top"]))
            self._name_model(record)
            return
        if "vector" in record:
            record["vector"], rows = rows[0], rows[1:]
        if "vectors" in record:
            record["vectors"] = rows
        record.pop("unit", None)
        if self.change.values.get("length") == "keep":
            record["unit"] = False
        self._name_model(record)

    def _name_model(self, record: Record) -> None:
        """Say of which model its vectors are now, and what was done."""
        if self.change.to is None:
            record.pop("model", None)
        else:
            record["model"] = self.change.to
        add_step(record, self.change.step)
