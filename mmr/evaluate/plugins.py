"""Measures that other packages add: rows in the group `mmr.measures` of their entry points.

They are looked up only where the table does not know a name, or a list is asked for.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from mmr import plugins
from mmr.errors import UnavailableError, shown
from mmr.evaluate.table import ALIASES, AMBIGUOUS, MEASURES, Row

GROUP = "mmr.measures"


@cache
def plugged() -> tuple[tuple[Row | str, str], ...]:
    """What entry points add: (row, "") or (name, why it cannot be used)."""
    known = {*(row.name for row in MEASURES), *ALIASES, *AMBIGUOUS}
    return plugins.plugged(GROUP, Row, lambda row: row.name, known.__contains__)


def plug_ins() -> Iterator[tuple[str, str]]:
    """Yield every measure that a plug-in adds: its name, and "" or why it cannot be used."""
    for row, problem in plugged():
        yield (row.name if isinstance(row, Row) else row, problem)


def listed() -> list[tuple[str, str]]:
    """Every measure: how it is written and one line about it, for a broken plug-in the reason."""
    rows = [(row.usage, row.summary) for row in MEASURES]
    for row, problem in plugged():
        rows.append((row, f"broken: {problem}") if isinstance(row, str) else (row.usage, row.summary))
    return rows


def added(name: str) -> Row | None:
    """The row of that name that a plug-in adds."""
    return next((row for row, _ in plugged() if isinstance(row, Row) and row.name == name), None)


def function(row: Row) -> Callable[..., Any]:
    """Import what a row names; raises `UnavailableError` with the reason when that fails."""
    module, _, name = row.loads.partition(":")
    try:
        loaded: Callable[..., Any] = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        what = f"the measure {row.name} cannot be loaded: {shown(str(error))}"
        raise UnavailableError(what, "Install its package again, or use another measure.") from error
    return loaded
