"""`mmr index --query-map`: a map between two models goes into an index, and out of it; how far it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmr.errors import BadDataError, UsageError, shown

if TYPE_CHECKING:
    from mmr.cli.report import Report
    from mmr.index.catalogue import Meta


def hold(index: str, fitted: str, wait: float, report: Report) -> None:
    """Put a map of `mmr fit map` into an index."""
    from mmr.index.mapped import QueryMap
    from mmr.index.upgrade import hold
    from mmr.normalize.vectors import read_change

    change = read_change(fitted)
    if change.row.needs != "pairs":
        raise UsageError(f"{shown(fitted)} holds what `mmr fit {change.row.name}` learned, which is no map",
                         "`mmr fit map` learns one; `mmr normalize apply` takes every kind.")  # fmt: skip
    if change.model is None or "back" not in change.arrays:
        what = "does not say which model it maps" if change.model is None else "has no way back"
        raise BadDataError(
            f"{shown(fitted)} {what}", "Fit again, with vectors that say of which model they are."
        )
    facts = {"from": change.model, "form": str(change.values["form"]), **change.held, "of": change.source}
    about = QueryMap(change.model, change.dim, change.step, facts)
    hold(index, about, change.to, change.arrays["matrix"], change.arrays["back"], wait=wait)
    report.note(f"{shown(index)} answers queries of {change.model} too, by the map.")


def drop(index: str, wait: float, report: Report) -> None:
    """Take the map out of an index."""
    from mmr.index.upgrade import drop

    there = drop(index, wait=wait)
    report.note(f"{shown(index)} {'answers queries of its own model alone' if there else 'holds no map'}.")


def say(index: str, before: Meta | None, report: Report) -> None:
    """Say how far an index that takes rows of a new model is, or that it has arrived."""
    from mmr.index import open_index
    from mmr.index.mapped import rows_of

    if before is None or before.query_map is None:
        return
    with open_index(index) as opened:
        if opened.meta.query_map is None:
            report.note(f"{shown(index)} is of {opened.meta.model} now; the map is gone.")
        elif opened.is_mixed():
            new, old = rows_of(opened)
            report.note(f"{new:,} of {new + old:,} items are of {opened.meta.query_map.model} now.")
