"""`mmr normalize apply` of files that are no corrections of hubs: calibrations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from mmr.cli.report import Report
from mmr.errors import shown

if TYPE_CHECKING:
    from mmr.stream.records import Record


def refuse(kind: str, state: str, given: Sequence[str]) -> None:
    """Refuse options that do nothing with that kind of file."""
    if given:
        raise click.UsageError(f"{given[0]} does nothing with {shown(state)}, which holds a {kind}.")


def records_of(
    kind: str, state: str, records: Iterable[Record], report: Report, top: int | None,
    min_prob: float | None, force: bool,
) -> Iterator[Record]:  # fmt: skip
    """Apply the file to a stream."""
    from mmr.normalize.calibration import Calibrated, read_calibration

    return calibrated(
        Calibrated(read_calibration(state), least=min_prob, k=top, name=state, force=force), records, report
    )


def calibrated(applied: Any, records: Iterable[Record], report: Report) -> Iterator[Record]:
    """Pass the queries on with chances, and say at the end how many have no hit left."""
    yield from applied.of(records, report)
    if applied.empty:
        queries = "query" if applied.empty == 1 else "queries"
        bound = "" if applied.least is None else f" with a chance of {applied.least:g} or more"
        report.note(f"{applied.empty:,} {queries} without a hit{bound}.")
