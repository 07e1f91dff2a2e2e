"""Chances of relevance at the command line: `mmr index --calibrate` and `mmr query --min-prob`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import click

from mmr.cli.report import Report
from mmr.errors import UsageError, shown

if TYPE_CHECKING:
    from mmr.index import AnyIndex
    from mmr.normalize.calibration import Calibrated
    from mmr.stream.records import Record

FIX = "Fit again, with hits of this index as `mmr query` gives them now."


def hold(index: str, fitted: str, wait: float, report: Report) -> None:
    """Put a fitted file into an index."""
    from pathlib import Path

    from mmr.index import open_index
    from mmr.index.calibrated import Held, hold
    from mmr.normalize.bank import plain_model
    from mmr.normalize.calibration import read_calibration
    from mmr.stream.records import check_model

    calibration = read_calibration(fitted)
    with open_index(index) as opened:
        check_model(opened.meta.model, plain_model(calibration.model), expected_by=opened.path.name,
                    found_by=fitted, fix="Fit with hits of this index.")  # fmt: skip
        if calibration.dim not in (None, opened.meta.dim):
            raise UsageError(
                f"{shown(fitted)} is of {calibration.dim} dimensions, and {shown(index)} has "
                f"{opened.meta.dim}", "Fit with hits of this index.",
            )  # fmt: skip
    hold(index, Held(Path(fitted).read_bytes(), calibration.step), wait=wait)
    report.note(f"{shown(index)} holds {calibration.row.name}, fitted to {calibration.source}; "
                "`mmr query --min-prob` uses it.")  # fmt: skip


def drop(index: str, wait: float, report: Report) -> None:
    """Take the calibration out of an index."""
    from mmr.index.calibrated import hold

    there = hold(index, None, wait=wait)
    report.note(f"{shown(index)} {'holds no calibration any more' if there else 'holds no calibration'}.")


def check_asked(min_prob: float | None, fitted: str | None) -> None:
    """Refuse --calibrate where no chances are asked for."""
    if fitted is not None and min_prob is None:
        raise click.UsageError("--calibrate does nothing without --min-prob; --min-prob 0 keeps all hits.")


def chances(
    index: AnyIndex, answers: Iterable[Record], least: float | None, fitted: str | None, report: Report
) -> Iterator[Record]:
    """The answers with chances as scores where `least` is given, else as they are."""
    if least is None:
        yield from answers
        return
    calibrated = _calibrated(index, least, fitted)
    yield from calibrated.of(answers, report)
    if calibrated.advice:
        report.note(calibrated.advice)


def _calibrated(index: AnyIndex, least: float, fitted: str | None) -> Calibrated:
    """What a named file, or else the index, says of scores."""
    from io import BytesIO

    from mmr.index import Remote
    from mmr.index.calibrated import held
    from mmr.normalize.calibration import Calibrated, held_calibration, read_calibration

    if fitted is not None:
        return Calibrated(read_calibration(fitted), least=least, name=fitted, fix=FIX)
    name = index.path.name
    found = held(index)
    if found is None:
        raise UsageError(
            f"{shown(name)} holds no calibration, so that no chance is known of a score",
            "Name one with --calibrate."
            if isinstance(index, Remote)
            else "Name one with --calibrate, or put it in: `mmr index INDEX --calibrate cal.npz`.",
        )
    calibration = held_calibration(BytesIO(found.fitted), len(found.fitted), f"the calibration of {name}")
    return Calibrated(calibration, least=least, name=f"the calibration of {name}", fix=FIX)
