"""Breakdowns: the queries that belong together, and one figure of each set."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from mmr.errors import BadDataError, shown
from mmr.evaluate.judged import Floats
from mmr.evaluate.score import total
from mmr.evaluate.scored import Scored


class Group(NamedTuple):
    """One set of queries: its name, the places of its queries in `Scored.queries`."""

    name: str
    places: Sequence[int]


def groups(scored: Scored, labels: Mapping[str, Any], field: str) -> list[Group]:
    """Sort the queries by their label, a value or a list of values; names ascending.

    Raises `BadDataError` when no query has a label. Queries without one are in no group.
    """
    members: dict[str, list[int]] = {}
    for place, query in enumerate(scored.queries):
        label = labels.get(query)
        for one in label if isinstance(label, list | tuple) else [label]:
            if one is not None:
                members.setdefault(str(one), []).append(place)
    if not members:
        raise BadDataError(
            f"no query of {shown(scored.name)} has the field {shown(field)}",
            "Runs of TREC have no fields: name the groups with --groups FILE (query, tab, group).",
        )
    return [Group(name, members[name]) for name in sorted(members)]


def of_group(values: Floats, group: Group, how: str) -> float:
    """The total of one group; NaN where no query of it has a value."""
    return total(values[np.asarray(group.places, dtype=np.int64)], how)


def macro(figures: Sequence[float]) -> float:
    """The mean of the groups' figures, each group counted once; NaN where none has one."""
    defined = [figure for figure in figures if not math.isnan(figure)]
    return math.fsum(defined) / len(defined) if defined else math.nan


def read_groups(path: str) -> dict[str, str]:
    """Read `query<TAB>group` lines.

    Raises `BadDataError` naming the line, for a query twice as well, and for a file without any.
    """
    from mmr.stream.compressed import open_input

    labels: dict[str, str] = {}
    with open_input(path) as file:
        for number, raw in enumerate(file, 1):
            where = f"{shown(path)} line {number}"
            try:
                line = raw.decode().removeprefix("\ufeff").rstrip("\r\n")
            except UnicodeDecodeError:
                raise BadDataError(f"{where} is not UTF-8", "Write the file as UTF-8.") from None
            if not line:
                continue
            query, tab, name = line.partition("\t")
            if not tab or not query or not name:
                raise BadDataError(
                    f"{where}: no tab between a query and its group", "Write query, tab, group."
                )
            if query in labels:
                raise BadDataError(f"{where}: query {shown(query)} came before", "Give each query one group.")
            labels[query] = name
    if not labels:
        raise BadDataError(f"{shown(path)} holds no groups", "Write lines of query, tab, group.")
    return labels
