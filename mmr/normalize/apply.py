"""Apply a fitted method to a stream of queries with hits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmr.errors import BadDataError, BadItem, Reject, UsageError, shown
from mmr.normalize.bank import SAME, key, modality, plain_model
from mmr.normalize.gc import moved
from mmr.normalize.method import described
from mmr.normalize.state import State
from mmr.normalize.table import CALIBRATIONS, METHODS, SCALES, TOGETHER, checked, find, method
from mmr.stream.order import ranked
from mmr.stream.pipe import batches
from mmr.stream.records import Record, add_step, check_model

VectorsOf = Callable[[Sequence[str]], tuple[NDArray[np.bool_], NDArray[np.float32]]]
BATCH = 256
USUAL = 10  # hits a query that the certificate is about where nobody says how many
SLACK = 1e-3  # how far above 1 a cosine may be rounded


def turned(state: State, knobs: dict[str, float]) -> State:
    """Return the state with other values of parameters that may still be turned.

    Raises `UsageError` for one that the method has not, or that would need another fit.
    """
    may = {param.name for param in state.row.params if param.knob}
    for name in knobs:
        if name not in may:
            raise UsageError(f"{state.row.name} has no {shown(name)} that can be changed now", "Fit again.")
    return replace(state, params=checked(state.row, {**state.params, **knobs}))


class Correction:
    """A fitted method at work on a stream; iterate over `of(records)`.

    state       what was fitted
    k           how many hits of a query to keep after the correction; None keeps all
    name        of the fitted file, for messages
    vectors_of  which of some ids there are (n,), and the vectors (m, d) of those: their numbers are computed
                from the bank, so that items that came after the fit are corrected too; None takes the
                numbers of the file
    whole       the state has the numbers of all items that `vectors_of` knows (`held.refreshed`)
    force       go on although a query is in the bank, or of another modality

    queries, certain  how many went through, and for how many of them the first hits would be the same had
                      every item of the gallery been a hit
    certifies         whether `certain` is known: not where numbers are computed hit by hit
    """

    def __init__(
        self, state: State, *, k: int | None = None, name: str = "the fitted file",
        vectors_of: VectorsOf | None = None, whole: bool = False, force: bool = False,
    ) -> None:  # fmt: skip
        self.state, self.k, self.force = state, k, force
        self.queries = self.certain = 0
        self._name, self._vectors_of = shown(name), vectors_of
        _, self._method = method(state.row.name)
        self._keys = frozenset(state.bank.keys[state.bank.keys > 0].tolist())
        self._columns = dict(state.columns)
        self._places = {name: place for place, name in enumerate(state.ids)}
        if vectors_of is not None and not whole:
            self._columns, self._places = {column: np.empty(0) for column in state.columns}, {}
        self.certifies = vectors_of is None or whole
        affine = self._method.affine(state.columns, state.params)
        self._all = None if affine is None else affine.first()

    @property
    def first(self) -> int:
        """How many first hits `certain` is about."""
        return min(self.k or USUAL, len(self.state.ids))

    def of(self, records: Iterable[Record], reject: Reject) -> Iterator[Record]:
        """Yield the records, corrected, in order; what cannot be corrected goes to `reject`.

        Raises `BadDataError` for hits of another model, a query that is in the bank, a modality that the
        bank has not, and scores that were corrected before.
        """
        for batch in batches(records, BATCH):
            self._meet(batch)
            for record in batch:
                if record.get("eof") is True:
                    yield record
                    continue
                try:
                    yield self._one(record)
                except BadItem as item:
                    reject(item)

    def _meet(self, batch: Sequence[Record]) -> None:
        """Compute the numbers of items that were not seen before."""
        if self._vectors_of is None:
            return
        names = [hit["id"] for record in batch for hit in record.get("hits", ())]
        new = [name for name in dict.fromkeys(names) if name not in self._places]
        if not new:
            return
        state = self.state
        there, vectors = self._vectors_of(new)
        if not len(vectors):
            return
        new = [name for name, known in zip(new, there, strict=True) if known]
        found = described(self._method, [vectors], state.banks, state.learned, state.params)
        self._places.update(zip(new, range(len(self._places), len(self._places) + len(new)), strict=True))
        for column, values in found.items():
            self._columns[column] = np.concatenate([self._columns[column], values])

    def _one(self, record: Record) -> Record:
        where = str(record.place or shown(record["id"]))
        self._allowed(record, where)
        vector = record.get("vector")
        if "hits" in record:
            self._correct(record, vector, where)
        elif vector is not None and self.state.row.name == "gc":
            record["vector"] = moved(_whole(vector, self.state.dim, where, record), self.state.learned,
                                     self.state.params).astype(np.float32)  # fmt: skip
            record["unit"] = False
        else:
            raise BadItem(where, "has no hits", "`mmr query` gives them", stage="normalize", record=record)
        add_step(record, self.state.step)
        return record

    def _allowed(self, record: Record, where: str) -> None:
        """Raise `BadDataError` for a query that this correction must not meet."""
        check_model(self.state.model, plain_model(record.get("model")), expected_by=self._name,
                    found_by=where, fix="Fit with the model of the queries.")  # fmt: skip
        before = next((step for step in record.get("via", ()) if is_correction(step)), None)
        if before is not None:
            raise BadDataError(f"{where} was corrected before ({shown(before)})", "Correct what query gave.")
        if self.force:
            return
        own, bank = modality(record), self.state.bank.modality
        if own and bank not in ("", "mixed", own):
            raise BadDataError(
                f"{where} is a query of {own}, and the bank of {self._name} is of {bank}",
                "A bank must be like the queries: fit with one of their kind, or say --force.",
            )
        if not self.state.bank.shipped and self._in_bank(record, own):
            raise BadDataError(
                f"{where} ({shown(record['id'])}) is in the bank that {self._name} was fitted with: a figure "
                "over such queries would be too good",
                "Keep the bank and the test apart; outside a test say --force.",
            )

    def _in_bank(self, record: Record, own: str) -> bool:
        if own and key(record) in self._keys:
            return True
        vector = record.get("vector")
        if vector is None or len(vector) != self.state.dim or not vector.any():
            return False
        length = float(np.linalg.norm(vector))
        return float((self.state.bank.rows @ vector).max()) > SAME * length

    def _correct(self, record: Record, vector: NDArray[Any] | None, where: str) -> None:
        """Put the corrected score into every hit, order them, and keep the first k."""
        hits = record["hits"]
        if any(hit.get("score") is None for hit in hits):
            raise BadItem(where, "a hit has no score", "", stage="normalize", record=record)
        hits = ranked(hits)
        query = None
        if self.state.row.query:
            if vector is None:
                raise BadItem(where, f"has no vector, and {self.state.row.name} needs the query's",
                              "leave it in the records", stage="normalize", record=record)  # fmt: skip
            query = _whole(vector, self.state.dim, where, record)
        if not hits:
            self.queries, self.certain = self.queries + 1, self.certain + 1
            return
        scores = np.array([hit["score"] for hit in hits], np.float32).astype(np.float64)
        worst = scores[np.abs(scores).argmax()]
        if abs(worst) > 1 + SLACK and record.get("unit", True):
            raise BadItem(where, f"the score {worst:g} is no cosine", "divide logits by their scale",
                          stage="normalize", record=record)  # fmt: skip
        columns = self._of_hits(hits, where, record)
        state = self.state
        found = self._method.corrected(scores, columns, state.learned, state.params, query)
        new = found.astype(np.float32)
        record["hits"] = ranked({**hit, "score": score} for hit, score in zip(hits, new, strict=True))[
            : self.k
        ]
        self.queries += 1
        self.certain += self._is_certain(scores, found, columns, query)

    def _of_hits(
        self, hits: Sequence[dict[str, Any]], where: str, record: Record
    ) -> dict[str, NDArray[np.float64]]:
        """The numbers of the hits; raises `BadItem` for one that nobody has any of."""
        try:
            places = [self._places[hit["id"]] for hit in hits]
        except KeyError as missing:
            hit = f"the hit {shown(str(missing.args[0]))}"
            if self._vectors_of is None:
                what = f"{hit} is not among the {len(self.state.ids):,} items that {self._name} was fitted to"
                fix = (
                    "name the index with --index, so that the numbers of new items are computed; or fit again"
                )
            else:
                what, fix = f"{hit} is not in the index", "name the index that the hits are from"
            raise BadItem(where, what, fix, stage="normalize", record=record) from None
        return {column: values[places] for column, values in self._columns.items()}

    def _is_certain(
        self, scores: NDArray[np.float64], found: NDArray[np.floating],
        columns: dict[str, NDArray[np.float64]], query: NDArray[np.float64] | None,
    ) -> bool:  # fmt: skip
        """Whether no item outside the hits, which scores no more than the last of them, could be first."""
        if len(scores) >= len(self.state.ids):
            return True
        if not self.certifies or len(scores) < self.first:
            return False
        state, least = self.state, float(scores[-1])
        if self._all is None:
            first = {column: values[:1] for column, values in columns.items()}
            most = self._method.most(least, state.columns, first, state.learned, state.params, query)
        else:
            own = self._method.affine(columns, state.params)
            assert own is not None
            found, most = own.applied(scores), self._all.ceiling(least)
        return most is not None and bool(np.sort(found)[::-1][self.first - 1] > most)


def is_correction(step: str) -> bool:
    """Tell whether a line of `via` is of a correction of scores."""
    names = {row.name for rows in (METHODS, SCALES, TOGETHER, CALIBRATIONS) for row in rows}
    words = step.split()
    return len(words) > 1 and words[0] == "normalize" and (words[1] in names or find(words[1]) is not None)


def _whole(vector: NDArray[Any], dim: int, where: str, record: Record) -> NDArray[np.float64]:
    """The vector of a query in float64, of the right dimension, and of length 1 unless it says otherwise."""
    if len(vector) != dim:
        raise BadItem(where, f"a vector of {len(vector)} numbers, but the fitted file has {dim}",
                      "embed it with the model of the index", stage="normalize", record=record)  # fmt: skip
    wide = vector.astype(np.float64)
    length = float(np.linalg.norm(wide))
    return wide / length if length > 0 and record.get("unit", True) else wide
