"""Calibration: learn from judged hits what a score means, write it down, and put chances into hits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from mmr import __version__
from mmr.arrays.unit import unit
from mmr.errors import BadDataError, BadItem, Reject, raise_item, shown
from mmr.normalize.bank import plain_model
from mmr.normalize.chances import Pairs, in_order
from mmr.normalize.table import CALIBRATIONS, CalibrationRow, calibration_row, loaded
from mmr.stream import archive
from mmr.stream.archive import Damaged
from mmr.stream.order import ranked
from mmr.stream.read import read_records
from mmr.stream.records import Record, add_step, check_model

FORMAT, KIND = 1, "calibration"
LEARNED = "learned."
SLACK = 1e-3  # how far above 1 a cosine may be rounded
FAR = 2  # times as many hits a query, and a chance means something else
FIX = "Fit with hits whose scores were made in the same way, or say --force."

Judgements = Callable[[str], Mapping[str, int]]
"""The judgements of a query: item -> judgement; empty of a query that has none."""


@dataclass(frozen=True)
class Calibration:
    """A fitted map from scores to chances.

    model    of the queries that it was fitted with, None when unknown
    dim      of their vectors; None where the map does not look at them
    arrays   what was learned
    relevant  how many of the hits that it was fitted with are relevant
    depth    the most hits of a query among them
    source   those hits: "12,340 hits of 563 queries of dev.jsonl#1f2e3d4c, 563 relevant"
    steps    what had changed the scores of those hits: lines of `via`
    """

    row: CalibrationRow
    model: str | None
    dim: int | None
    arrays: dict[str, NDArray[Any]]
    relevant: int
    depth: int
    source: str
    steps: tuple[str, ...]

    @property
    def step(self) -> str:
        """The line for `via`."""
        return f"normalize {self.row.name} {self.source}"


def fit_calibration(method: str, path: str, judgements: Judgements, rel: int = 1) -> Calibration:
    """Learn from the hits of a file, `-` for standard input.

    method  platt, isotonic or query
    rel     the least judgement that counts as relevant; an item without a judgement is not relevant

    Queries without judgements are passed over. Holds every hit's score. Raises `BadDataError` (or the
    `BadItem` of a line) for hits without scores, of two models or after two kinds of steps, and where the
    hits do not tell relevant from other ones.
    """
    row = calibration_row(method)
    held = _Held(row, rel)
    for record in read_records([path], reject=raise_item, vectors=row.query):
        held.take(record, judgements(record["id"]))
    name = "stdin" if path == "-" else Path(path).name
    pairs = held.pairs(name)
    learned: dict[str, NDArray[Any]] = loaded(row.fits)(pairs)
    dim = pairs.vectors.shape[1] if row.query and pairs.vectors is not None else None
    digest = blake2b(pairs.scores.tobytes() + pairs.relevant.tobytes(), digest_size=4).hexdigest()
    relevant = int(pairs.relevant.sum())
    source = (
        f"{len(pairs.scores):,} hits of {held.queries:,} queries of {shown(name)}#{digest}, "
        f"{relevant:,} relevant"
    )
    depth = int(np.bincount(pairs.query).max())
    return Calibration(row, held.model, dim, learned, relevant, depth, source, held.steps or ())


class _Held:
    """The hits that were read so far."""

    def __init__(self, row: CalibrationRow, rel: int) -> None:
        self.row, self.rel = row, rel
        self.model: str | None = None
        self.steps: tuple[str, ...] | None = None
        self.queries = 0
        self._scores: list[NDArray[np.float64]] = []
        self._relevant: list[NDArray[np.bool_]] = []
        self._vectors: list[NDArray[np.float32]] = []

    def take(self, record: Record, judged: Mapping[str, int]) -> None:
        """Keep the hits of a query that has judgements."""
        where = str(record.place or shown(record["id"]))
        if "hits" not in record:
            raise BadDataError(f"{where} has no hits", "`mmr query` gives them.")
        if not judged:
            return
        hits = record["hits"]
        if any(hit.get("score") is None for hit in hits):
            raise BadDataError(f"{where}: a hit has no score", "`mmr query` writes scores.")
        _same_kind(record, where)
        model = plain_model(record.get("model"))
        check_model(self.model, model, expected_by="the hits before", found_by=where,
                    fix="A calibration is for the scores of one model.")  # fmt: skip
        self.model = self.model or model
        steps = steps_of(record)
        if self.steps is not None and steps != self.steps:
            raise BadDataError(
                f"{where} went through other steps than the hits before it: {_said(steps)}, not "
                f"{_said(self.steps)}", "Fit with hits whose scores were made in one way.",
            )  # fmt: skip
        self.steps = steps
        if self.row.query:
            self._vectors.append(_vector(record, where, self._vectors))
        self.queries += 1
        self._scores.append(np.array([hit["score"] for hit in hits], np.float64))
        self._relevant.append(np.array([judged.get(hit["id"], 0) >= self.rel for hit in hits], bool))

    def pairs(self, name: str) -> Pairs:
        """All of it."""
        if not self.queries:
            raise BadDataError(
                f"no query of {shown(name)} has judgements", "Do the ids of queries agree with the qrels?"
            )
        sizes = [len(scores) for scores in self._scores]
        if not any(sizes):
            raise BadDataError(f"no judged query of {shown(name)} has hits", "Was the search cut by a bound?")
        vectors = unit(np.stack(self._vectors)).astype(np.float64) if self._vectors else None
        return Pairs(
            np.concatenate(self._scores), np.concatenate(self._relevant),
            np.repeat(np.arange(len(sizes)), sizes), vectors,
        )  # fmt: skip


def _vector(record: Record, where: str, before: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    vector: NDArray[np.float32] | None = record.get("vector")
    if vector is None or not vector.any():
        raise BadDataError(
            f"{where} has no vector, and the map of a query comes from it",
            "`mmr query` keeps the query's vector in its records; a run of TREC has none.",
        )
    if before and len(vector) != len(before[0]):
        raise BadDataError(
            f"{where} has a vector of {len(vector)} numbers, those before it have {len(before[0])}",
            "A calibration is for the scores of one model.",
        )
    return vector


def _same_kind(record: Record, where: str) -> None:
    """Raise `BadDataError` for hits that were calibrated already."""
    done = next((step for step in record.get("via", ()) if is_calibration(step)), None)
    if done is not None:
        raise BadDataError(f"{where} was calibrated before ({shown(done)})", "Calibrate what query gave.")


def is_calibration(step: str) -> bool:
    """Tell whether a line of `via` is of a calibration."""
    words = step.split()
    return len(words) > 1 and words[0] == "normalize" and words[1] in {row.name for row in CALIBRATIONS}


def steps_of(record: Mapping[str, Any]) -> tuple[str, ...]:
    """What changed the scores of its hits: lines of `via`, without what they say of this query alone."""
    return tuple(filter(None, map(_scored_by, record.get("via", ()))))


def _scored_by(step: str) -> str:
    """What a line of `via` says of how scores are made; "" where it says nothing of that."""
    words = step.split()
    if words[:1] == ["rerank"]:
        return " ".join(word for place, word in enumerate(words) if place < 2 or "=" in word)
    if words[:1] == ["query"] and "recipe" in words:
        return " ".join(words[words.index("recipe") :])
    return step if words[:1] == ["normalize"] else ""


def _said(steps: tuple[str, ...]) -> str:
    return shown("; ".join(steps)) if steps else "none"


def write_calibration(path: str, calibration: Calibration) -> None:
    """Write the file; the same calibration gives the same bytes. Raises `OutputError`."""
    about = {
        "format": FORMAT, "kind": KIND, "method": calibration.row.name, "model": calibration.model,
        "dim": calibration.dim, "relevant": calibration.relevant, "depth": calibration.depth,
        "source": calibration.source, "steps": list(calibration.steps),
        "versions": {"mmr": __version__, "numpy": np.__version__},
    }  # fmt: skip
    arrays = {f"{LEARNED}{name}": values for name, values in calibration.arrays.items()}
    archive.write(path, {archive.ABOUT: archive.as_bytes(about), **arrays})


def read_calibration(path: str) -> Calibration:
    """Read a file of `write_calibration`; raises `MissingInputError` and `BadDataError` as `read_state`."""
    archive.there(path)
    with archive.reading(path):
        return _read(archive.unpack(path, Path(path).stat().st_size), path)


def held_calibration(file: BinaryIO, size: int, name: str) -> Calibration:
    """Read one from an open file of `size` bytes; `name` is for messages."""
    with archive.reading(name):
        return _read(archive.unpack(file, size), name)


def _read(arrays: archive.Arrays, name: str) -> Calibration:
    about = archive.value_of(arrays, archive.ABOUT, dict)
    archive.of_kind(about, KIND, name)
    if about.get("format") != FORMAT:
        raise Damaged("it is of another format")
    row = calibration_row(str(about["method"]))
    model, dim, steps = about["model"], about["dim"], about["steps"]
    learned = {name.removeprefix(LEARNED): values for name, values in arrays.items()
               if name.startswith(LEARNED)}  # fmt: skip
    if not all(values.dtype == np.float64 and np.isfinite(values).all() for values in learned.values()):
        raise Damaged("it holds numbers that are not finite")
    if not (model is None or type(model) is str) or not all(type(step) is str for step in steps):
        raise Damaged("it names no model")
    if row.query != (type(dim) is int and dim > 0):
        raise Damaged("it names no dimension")
    found = Calibration(row, model, dim, learned, int(about["relevant"]), int(about["depth"]),
                        str(about["source"]), tuple(steps))  # fmt: skip
    _rises(found)
    return found


def _rises(calibration: Calibration) -> None:
    """Raise `Damaged` unless the map gives chances that do not fall as the score rises."""
    query = np.eye(1, calibration.dim)[0] if calibration.dim else None
    chances = loaded(calibration.row.loads)(calibration.arrays, np.linspace(-1, 1, 101), query)
    if chances.shape != (101,) or not np.isfinite(chances).all() or (np.diff(chances) < 0).any() or (
        chances.min() < 0 or chances.max() > 1
    ):  # fmt: skip
        raise Damaged("its map does not rise from 0 to 1")


class Calibrated:
    """A calibration at work on a stream; iterate over `of(records)`.

    least    hits with a smaller chance are dropped; None keeps all
    k        how many hits of a query to keep; None keeps all
    name     of the fitted file, for messages
    force    go on although the scores of the hits were made in another way
    fix      what to do about scores that were

    empty    how many queries have no hit left
    deepest  the most hits that a query came with
    """

    def __init__(
        self, calibration: Calibration, *, least: float | None = None, k: int | None = None,
        name: str = "the fitted file", force: bool = False, fix: str = FIX,
    ) -> None:  # fmt: skip
        self.calibration, self.least, self.k, self.force = calibration, least, k, force
        self._fix = fix
        self.empty = self.deepest = 0
        self._name = shown(name)
        self._map = loaded(calibration.row.loads)

    def of(self, records: Iterable[Record], reject: Reject) -> Iterator[Record]:
        """Yield the queries with chances as scores, hits in the order that they had.

        Raises `BadDataError` for hits of another model, or whose scores were made in another way.
        """
        for record in records:
            if record.get("eof") is True:
                yield record
                continue
            try:
                yield self._one(record)
            except BadItem as item:
                reject(item)

    @property
    def advice(self) -> str:
        """A sentence where it was fitted with many more or fewer hits a query than it met; else ""."""
        fitted, met = self.calibration.depth, self.deepest
        if not met or max(fitted, met) <= FAR * min(fitted, met):
            return ""
        wrong = "low" if fitted > met else "high"
        return (
            f"{self._name} was fitted with {fitted:,} hits a query, and these had {met:,}: their chances are "
            f"rather too {wrong}. Fit with as many as are asked for."
        )

    def _one(self, record: Record) -> Record:
        where = str(record.place or shown(record["id"]))
        if "hits" not in record:
            raise BadItem(where, "has no hits", "`mmr query` gives them", stage="normalize", record=record)
        self._allowed(record, where)
        hits = record["hits"]
        if any(hit.get("score") is None for hit in hits):
            raise BadItem(where, "a hit has no score", "", stage="normalize", record=record)
        query = self._query(record, where)
        hits = ranked(hits)
        self.deepest = max(self.deepest, len(hits))
        narrow = np.array([hit["score"] for hit in hits], np.float32)
        scores = narrow.astype(np.float64)
        if query is not None and len(scores) and np.abs(scores).max() > 1 + SLACK:
            worst = scores[np.abs(scores).argmax()]
            raise BadItem(where, f"the score {worst:g} is no cosine", "divide logits by their scale",
                          stage="normalize", record=record)  # fmt: skip
        chances = in_order(narrow, self._map(self.calibration.arrays, scores, query))
        kept = int((chances >= self.least).sum()) if self.least is not None else len(hits)
        record["hits"] = [
            {**hit, "score": chance} for hit, chance in zip(hits[:kept], chances[:kept], strict=True)
        ][: self.k]
        self.empty += not record["hits"]
        add_step(record, self.calibration.step)
        return record

    def _allowed(self, record: Record, where: str) -> None:
        """Raise `BadDataError` for scores that this calibration was not made for."""
        _same_kind(record, where)
        check_model(plain_model(self.calibration.model), plain_model(record.get("model")),
                    expected_by=self._name, found_by=where,
                    fix="Fit with hits of the model of the queries.")  # fmt: skip
        steps = steps_of(record)
        if "via" in record and steps != self.calibration.steps and not self.force:
            raise BadDataError(
                f"{where} went through other steps than the hits that {self._name} was fitted with: "
                f"{_said(steps)}, not {_said(self.calibration.steps)}",
                self._fix,
            )

    def _query(self, record: Record, where: str) -> NDArray[np.float64] | None:
        """The query's vector of length 1, where the map needs it."""
        if not self.calibration.row.query:
            return None
        vector = record.get("vector")
        if vector is None or len(vector) != self.calibration.dim or not vector.any():
            found = "no vector" if vector is None else f"a vector of {len(vector)} numbers"
            what = f"has {found}, and {self._name} needs one of {self.calibration.dim} that is not zero"
            raise BadItem(where, what, "`mmr query` keeps it", stage="normalize", record=record)
        wide = np.asarray(vector, np.float64)
        return np.asarray(wide / np.linalg.norm(wide))
