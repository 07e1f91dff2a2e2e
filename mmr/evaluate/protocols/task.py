"""A benchmark as data: questions, judgements, conventions, and how its published figures are made."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmr.evaluate.judged import Floats
from mmr.evaluate.protocols.names import same
from mmr.evaluate.scored import Scored

Query = dict[str, Any]
Rankings = Iterable[tuple[str, Sequence[str]]]


class Options(NamedTuple):
    """What a user may choose of a protocol.

    images             the folder whose pictures were embedded; written queries name its files
    exclude_reference  fashioniq: the reference picture is taken out of the ranking
    split              beir: which of the folder's qrels, `qrels/SPLIT.tsv`
    """

    images: str | None = None
    exclude_reference: bool = False
    split: str = "test"


class Figure(NamedTuple):
    """A published figure: of which part ("" for the whole), its name, its value.

    values  of the queries that it is the mean of; None where it is made of other figures
    """

    part: str
    measure: str
    value: float
    values: Floats | None = None


@dataclass(frozen=True)
class Task:
    """What a protocol makes of its annotation files.

    said      the conventions in one line
    qrels     query -> item -> judgement; negative is junk. Empty where the targets are hidden
    measures  what to score every query by
    figures   the published figures, of a run scored by these measures
    queries   the query records: id, text, image, exclude, among, and the fields of breakdowns
    part      query -> the part it belongs to: a direction, a category, a language
    fields    name -> query -> value (or a list of values), for breakdowns
    removed   query -> items that are taken out of its ranking
    among     query -> items that alone count; `only`: for every measure, not just R_subset
    short     which queries have rankings that were cut too short for their figures to be exact
    ties, over  as the benchmark's own tool has them; None is `mmr eval`'s own order
    renamed   turns the id of a hit into the benchmark's
    narrow    the same task of some parts only
    items     the records of a gallery of words (or of given pictures), where the benchmark has one
    submission  (path, rankings) -> path -> content, what the benchmark's server takes
    """

    said: str
    qrels: Mapping[str, Mapping[str, int]]
    measures: tuple[str, ...]
    figures: Callable[[Scored], list[Figure]]
    queries: Callable[[], Iterator[Query]]
    part: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    removed: Mapping[str, Collection[str]] | None = None
    among: Mapping[str, Collection[str]] | None = None
    only: bool = False
    short: Callable[[Scored], NDArray[np.bool_]] | None = None
    ties: str | None = None
    over: str = "qrels"
    renamed: Callable[[str], str] = same
    narrow: Callable[[frozenset[str]], Task] | None = None
    items: Callable[[], Iterator[Query]] | None = None
    submission: Callable[[str, Rankings], dict[str, bytes]] | None = None

    @property
    def hidden(self) -> bool:
        """Whether the targets are not public, so that only queries and submissions can be written."""
        return not self.qrels

    def fitted(self, asked: Collection[str]) -> Task:
        """The task without the parts that a run leaves out altogether, which would count as zeros.

        asked  the ids of the run's queries. A run that has no query of any part leaves the task whole.
        """
        there = frozenset(self.part[query] for query in asked if query in self.part)
        parts = set(self.part.values())
        absent = sorted(parts - there)
        if not there or not absent:
            return self
        smaller = self.narrow(there) if self.narrow else self._without(there)
        return replace(smaller, said=f"{smaller.said}; not in this run: {', '.join(absent)}")

    def shortfall(self, scored: Scored) -> str:
        """Say how many rankings were cut too short to be sure of their figures; "" where none was."""
        if self.short is None:
            return ""
        missing = scored.counts.missing if self.over == "qrels" else 0
        count = int(self.short(scored).sum()) - missing
        if count <= 0:
            return ""
        hold = "ranking holds" if count == 1 else "rankings hold"
        return (
            f"{count:,} {hold} too little of the query's gallery, so the figures are lower bounds:"
            " search deeper (-k), or that gallery alone"
        )

    def _without(self, there: frozenset[str]) -> Task:
        def kept(queries: Mapping[str, Any]) -> dict[str, Any]:
            return {name: value for name, value in queries.items() if self.part.get(name) in there}

        return replace(
            self, qrels=kept(self.qrels), part=kept(self.part),
            removed=self.removed and kept(self.removed), among=self.among and kept(self.among),
            fields={name: kept(values) for name, values in self.fields.items()},
        )  # fmt: skip


def mean(values: Iterable[float]) -> float:
    """The mean of those that are numbers, summed without rounding; NaN of none."""
    defined = [value for value in values if not math.isnan(value)]
    return math.fsum(defined) / len(defined) if defined else math.nan


def means(
    scored: Scored, measures: Mapping[str, str] | Sequence[str], part: str = "",
    places: Sequence[int] | None = None,
) -> list[Figure]:  # fmt: skip
    """The mean of each measure over some queries (all by default), as figures of a part.

    measures  names of measures, or measure -> the name it is published under
    places    of the queries in `scored.queries`
    """
    labels = measures if isinstance(measures, Mapping) else dict(zip(measures, measures, strict=True))
    chosen = slice(None) if places is None else np.asarray(places, dtype=np.int64)
    figures = []
    for measure, label in labels.items():
        values = scored.values[measure][chosen]
        figures.append(Figure(part, label, mean(values.tolist()), values))
    return figures


def places_of(scored: Scored, part: Mapping[str, str]) -> dict[str, list[int]]:
    """The places of each part's queries in `scored.queries`, parts in the order of the benchmark."""
    found: dict[str, list[int]] = {name: [] for name in dict.fromkeys(part.values())}
    for place, query in enumerate(scored.queries):
        found[part[query]].append(place)
    return {name: places for name, places in found.items() if places}


def by_part(scored: Scored, part: Mapping[str, str], measures: Sequence[str]) -> list[Figure]:
    """The means of each part, in the order in which the benchmark has them."""
    return [
        figure
        for name, places in places_of(scored, part).items()
        for figure in means(scored, measures, name, places)
    ]


def across(figures: Sequence[Figure], part: str = "mean") -> list[Figure]:
    """The unweighted mean over parts of each measure that several of them have."""
    values: dict[str, list[float]] = {}
    for figure in figures:
        values.setdefault(figure.measure, []).append(figure.value)
    return [Figure(part, measure, mean(found)) for measure, found in values.items()]


def shallow(
    depth: int, among: Mapping[str, Collection[str]], hit: str = ""
) -> Callable[[Scored], NDArray[np.bool_]]:  # fmt: skip
    """Tell rankings that hold fewer than `depth` items of the query's gallery, and not all of it.

    hit  a measure of one relevant item that was found: then the ranking is long enough. NumRet is scored too
    """

    def short(scored: Scored) -> NDArray[np.bool_]:
        sizes = np.fromiter((len(among[query]) for query in scored.queries), np.int64)
        few = scored.values["NumRet"] < np.minimum(depth, sizes)
        return few & (scored.values[hit] == 0) if hit else few

    return short


def beside(path: str, word: str) -> str:
    """The name of a second file beside the first.

    >>> beside("out/test.json", "subset")
    'out/test.subset.json'
    """
    target = Path(path)
    return str(target.with_name(f"{target.stem}.{word}{target.suffix}"))
