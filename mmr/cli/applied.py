"""`mmr normalize apply` of files that are no corrections of hubs: calibrations, changes of vectors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

from mmr.cli.report import Report
from mmr.errors import UsageError, shown

if TYPE_CHECKING:
    from mmr.normalize.vectors import Changed
    from mmr.stream.records import Record

OPTIONS = {
    "correction": ("--index", "--alpha", "-k", "--force"),
    "calibration": ("-k", "--min-prob", "--force"),
    "vectors": ("--as", "--force"),
}
NOT_OF_VECTORS = ("trec", "table", "ids")


def refuse(kind: str, state: str, given: Mapping[str, bool]) -> None:
    """Refuse options that do nothing with that kind of file; all have --format, of vectors jsonl or npy."""
    from mmr.stream.archive import HOLDS

    if kind not in OPTIONS:
        raise UsageError(
            f"{shown(state)} holds {HOLDS[kind]}, which changes no hits and no vectors.",
            "`mmr index INDEX --convert ivfpq:fitted=FILE` takes it.",
        )
    for name, is_given in given.items():
        formats = name.startswith("--format") and kind != "vectors"
        if is_given and not formats and name not in OPTIONS[kind]:
            raise click.UsageError(f"{name} does nothing with {shown(state)}, which holds {HOLDS[kind]}.")


def changed(
    state: str, records: Iterable[Record], report: Report, side: str | None, force: bool
) -> Iterator[Record]:
    """Apply a change of vectors to a stream."""
    from mmr.normalize.vectors import Changed, read_change

    change = read_change(state)
    if change.row.sides and side is None:
        raise click.UsageError(
            f"{change.row.name} changes items and leaves queries as they are: say --as items or --as queries."
        )
    if side and not change.row.sides:
        raise click.UsageError(f"--as does nothing with {change.row.name}, which changes both sides alike.")
    return _counted(Changed(change, side=side, name=state, force=force), records, report)


def _counted(changed: Changed, records: Iterable[Record], report: Report) -> Iterator[Record]:
    """Pass the records on, and say at the end which vectors were taken on trust."""
    yield from changed.of(records, report)
    if changed.unnamed:
        vectors = "vector that names" if changed.unnamed == 1 else "vectors that name"
        report.note(f"{changed.unnamed:,} {vectors} no model: taken for {changed.change.model}.")


def calibrated(
    state: str, records: Iterable[Record], report: Report, top: int | None, least: float | None, force: bool
) -> Iterator[Record]:
    """Apply a calibration to a stream."""
    from mmr.normalize.calibration import Calibrated, read_calibration

    applied = Calibrated(read_calibration(state), least=least, k=top, name=state, force=force)
    return _with_chances(applied, records, report)


def _with_chances(applied: Any, records: Iterable[Record], report: Report) -> Iterator[Record]:
    """Pass the queries on with chances, and say at the end how many have no hit left."""
    yield from applied.of(records, report)
    if applied.advice:
        report.note(applied.advice)
    if applied.empty:
        queries = "query" if applied.empty == 1 else "queries"
        bound = "" if applied.least is None else f" with a chance of {applied.least:g} or more"
        report.note(f"{applied.empty:,} {queries} without a hit{bound}.")
