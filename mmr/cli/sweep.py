"""`mmr fit METHOD --sweep`: several settings, judged on development queries, and the one that does best."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

from mmr.cli.report import Report
from mmr.errors import BadDataError, UsageError, raise_item, shown

if TYPE_CHECKING:
    from mmr.evaluate.grammar import Measure
    from mmr.evaluate.qrels import Qrels
    from mmr.evaluate.scored import Scored
    from mmr.index import AnyIndex
    from mmr.normalize.state import State
    from mmr.normalize.sweep import Tried
    from mmr.normalize.table import Row
    from mmr.stream.records import Record

Embed = Callable[[Iterable["Record"]], Iterator["Record"]]
MEASURE = "hit@1"
KEPT = 100  # hits a query that are judged, where no cut-off asks for more
POOL = 1000  # hits a query from which they come


class Dev(NamedTuple):
    """What a sweep is judged with: files of queries and judgements, and the measure as the user named it."""

    queries: str
    qrels: str
    measure: str


def sweep(
    row: Row, fixed: dict[str, float], sweeps: Sequence[str], dev: Dev, index: AnyIndex, embed: Embed,
    fit_one: Callable[[dict[str, float]], State], *, model: str | None, force: bool, report: Report,
) -> State:  # fmt: skip
    """Fit every setting, judge each, say what came out, and return the best, which names how it was chosen.

    fixed    parameters that are not swept
    embed    gives vectors to development queries that have none
    fit_one  fits with all parameters

    Raises `UsageError` for a sweep or a measure that cannot be, `BadDataError` for development queries that
    are in the bank.
    """
    from dataclasses import replace

    from mmr.evaluate.qrels import read_qrels
    from mmr.normalize.apply import turned
    from mmr.normalize.sweep import at_the_edge, best, settings, tried

    tries, measure = settings(row, sweeps), _measure(dev.measure)
    judge = Judge(read_qrels(dev.qrels), measure, index, dev.queries, embed, model, force)
    before = judge.value(None)
    plain, found, scored = judge.scored, [], []
    with report.progress("settings", len(tries)) as advance:
        for one in tried(row, fixed, tries, fit_one, turned, judge.value):
            found.append(one)
            scored.append(judge.scored)
            advance()
    chosen = best(found)
    report.note(_table(found, chosen, before, str(measure)))
    for name, end in at_the_edge(found, chosen):
        report.note(f"{name} {chosen.setting[name]:g} is the {end}est that was tried; {end}er may do better.")
    if before >= chosen.value:
        report.note(f"no setting did better than no correction ({measure} {before:.4f}).")
    else:
        report.note(_gain(plain, scored[found.index(chosen)], str(measure), len(found)))
    where = shown(Path(dev.qrels).name)
    report.note(
        f"chosen by {measure} on the {judge.judged:,} queries of {where}, for which its figure is too good: "
        "measure it on others."
    )
    said = f"chosen of {len(found):,} by {measure} {chosen.value:.4f} on {judge.judged:,} queries of {where}"
    return replace(chosen.state, chosen=f"{said}, {before:.4f} without")


class Judge:
    """Judges a fitted state on development queries, whose hits it holds.

    judged  how many queries count; scored: their values, the last time
    """

    scored: Scored

    def __init__(
        self, qrels: Qrels, measure: Measure, index: AnyIndex, queries: str, embed: Embed, model: str | None,
        force: bool,
    ) -> None:  # fmt: skip
        from mmr.index.answer import answer
        from mmr.index.search import Wanted
        from mmr.stream.read import read_records

        self._qrels, self._measure, self._force = qrels, measure, force
        self._count, self.judged = index.count(), 0
        self._kept = max(KEPT, measure.cutoff or 0)
        pool = min(self._count, max(POOL, 10 * self._kept))
        wanted = Wanted(pool, fields=(), exact=True, raw=True)
        read = read_records([queries], reject=raise_item)
        known = set(qrels.queries)
        asked = (record for record in read if record["id"] in known)
        self._answers = list(answer(index, asked, embed, wanted, reject=raise_item, model=model, pinned=True))
        if not self._answers:
            raise BadDataError(
                f"no query of {shown(queries)} is judged in the file of --qrels", "Are their ids the same?"
            )

    def value(self, state: State | None) -> float:
        """The figure of the queries with their scores corrected, or as they are; more is better."""
        from mmr.evaluate.score import Conventions, score
        from mmr.normalize.apply import Correction
        from mmr.stream.records import Record
        from mmr.stream.write import open_writer

        records: Iterable[Any] = (Record({**one, "via": []}, one.place) for one in self._answers)
        if state is not None:
            records = Correction(state, k=self._kept, name="this sweep", force=self._force).of(
                records, raise_item
            )
        with TemporaryDirectory() as folder:
            run = str(Path(folder, "run.trec"))
            with open_writer(run, "trec") as writer:
                for record in records:
                    writer.write(Record({**record, "hits": record["hits"][: self._kept]}, record.place))
            conventions = Conventions(over="both", gallery=self._count)
            found = score(run, self._qrels, [self._measure], conventions, name="the development queries")
        self.judged, self.scored = found.counts.scored, found
        total = float(found.totals[str(self._measure)])
        if math.isnan(total):
            raise BadDataError(f"{self._measure} has no value on these queries", "Name another --measure.")
        return total


def _measure(text: str) -> Measure:
    from mmr.evaluate.grammar import parse

    found = parse(text)
    if len(found) != 1:
        raise UsageError(f"--measure {shown(text)}: a sweep goes by one measure.")
    if found[0].row.lower_is_better:
        raise UsageError(f"--measure {shown(text)}: less of it is better; name one of which more is.")
    return found[0]


def _gain(plain: Scored, chosen: Scored, measure: str, settings: int) -> str:
    """How much the chosen setting gained over no correction, and whether that may be chance."""
    from mmr.evaluate.compare import compare

    found = compare([plain, chosen], [measure])[0]
    doubt = "; with so many tried it may be chance" if not found.p * settings < 0.05 else ""
    span = f" [{found.low:+.4f}, {found.high:+.4f}]" if found.queries else ""
    return f"{measure} is {found.difference:+.4f}{span} against no correction{doubt}."


def _table(found: Sequence[Tried], chosen: Tried, before: float, measure: str) -> str:
    """All settings with their figures, the chosen one marked."""
    names = list(chosen.setting)
    lines = [[*names, measure], *([*(f"{one.setting[name]:g}" for name in names), f"{one.value:.4f}",
                                   "chosen" if one is chosen else ""] for one in found)]  # fmt: skip
    lines.append(["without", *[""] * (len(names) - 1), f"{before:.4f}"])
    widths = [max(len(line[i]) for line in lines) for i in range(len(names) + 1)]
    rows = (
        "  ".join(cell.ljust(width) for cell, width in zip(line, [*widths, 6], strict=False))
        for line in lines
    )
    return "settings tried:\n" + "\n".join(f"  {row.rstrip()}" for row in rows)
