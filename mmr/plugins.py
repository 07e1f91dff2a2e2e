"""Rows that other packages add to a table by entry points; looked up only for names that a table lacks."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from mmr.errors import shown

Row = TypeVar("Row")


def plugged(
    group: str, kind: type[Row], name: Callable[[Row], str], taken: Callable[[str], bool]
) -> tuple[tuple[Row | str, str], ...]:
    """What the entry points of a group add: (row, "") or (name, why it cannot be used).

    kind   the class of the table's rows
    name   the name of a row; `taken` tells whether the table has it
    """
    from importlib.metadata import entry_points

    found: list[tuple[Row | str, str]] = []
    for point in sorted(entry_points(group=group), key=lambda point: (point.name, point.value)):
        try:
            row = point.load()
        except Exception as error:
            found.append((point.name, f"{point.value}: {type(error).__name__}: {shown(str(error))}"))
            continue
        if not isinstance(row, kind):
            what = f"{kind.__module__}.{kind.__name__}"
            found.append((point.name, f"{point.value} is a {type(row).__name__}, not a {what}"))
        elif taken(name(row)) or any(not isinstance(one, str) and name(one) == name(row) for one, _ in found):
            found.append((point.name, f"{point.value}: the name {name(row)!r} is taken"))
        else:
            found.append((row, ""))
    return tuple(found)
