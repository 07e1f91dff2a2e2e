"""The methods of `rerank`, one row each. Nothing heavy is imported here.

Other packages add rows by entry points of the group `mmr.rerank`.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from mmr import plugins
from mmr.errors import UnavailableError, UsageError, shown

if TYPE_CHECKING:
    from mmr.rerank.method import Method

GROUP = "mmr.rerank"
MANY = 10**9  # a number that has no upper bound
ALL = MANY  # a depth that takes every hit


class Param(NamedTuple):
    """One parameter of a method.

    kind     "number", "whole" (both from `low` to `high`), "choice" (one of `choices`), "text", "flag" (off
             unless named) or "texts" (may be named several times)
    default  None where it has none
    metavar  what its value is called in the help
    """

    name: str
    default: Any
    note: str
    kind: str = "number"
    low: float = 0
    high: float = MANY
    choices: tuple[str, ...] = ()
    metavar: str = ""

    @property
    def option(self) -> str:
        """Its name on the command line: "--no-match"."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def span(self) -> str:
        """Its values in words: "a number, 0 to 1"."""
        if self.choices:
            return " or ".join(self.choices)
        what = "a whole number" if self.kind == "whole" else "a number"
        low, high = f"{self.low:,g}", f"{self.high:,g}"
        if self.high >= MANY:
            return what if self.low <= -MANY else f"{what}, {low} or more"
        return f"{what}, {low} to {high}"

    def fits(self, value: Any) -> bool:
        """Whether a value is one of its own."""
        if value is None:
            return self.default is None
        if self.kind in ("number", "whole"):
            number = isinstance(value, int | float) and not isinstance(value, bool)
            return (
                number and self.low <= value <= self.high and (self.kind == "number" or value == int(value))
            )
        if self.kind == "choice":
            return value in self.choices
        kinds = {"flag": bool, "text": str, "texts": tuple}
        return isinstance(value, kinds[self.kind])


class Row(NamedTuple):
    """One method.

    loads    where its `Method` class is, "package.module:Name"; with `own` its click command
    params   its parameters, which become options
    needs    of "query" (the query's vector) and "vectors" (those of the hits): what is gathered for it
    depth    how many first hits it works on unless told; ALL for as many as there are
    across   "helps", "hurts" or "unknown": when the query is of another modality than the hits. One that
             hurts warns
    safe     where it helps, and where it does not
    source   where it is from
    example  what a line of its help shows, from the name on
    own      it is a command of its own, which does not go through `reranked`
    """

    name: str
    summary: str
    loads: str
    params: tuple[Param, ...]
    safe: str
    source: str
    needs: tuple[str, ...] = ()
    depth: int = ALL
    across: str = "unknown"
    example: str = ""
    own: bool = False


HERE = "mmr.rerank"

METHODS: tuple[Row, ...] = (
    Row("superglobal", "every hit becomes the mean of its nearest hits, and the query their maximum",
        f"{HERE}.superglobal:SuperGlobal",
        (Param("neighbours", 9, "Nearest hits that are pooled into each hit", "whole", 0, 10_000),
         Param("beta", 0.15, "Weight of a neighbour's cosine", "number", 0, 100)),
        "Picture to picture, the same object in many pictures. With words against pictures it loses: R@1 "
        ".805 became .645", "Shao et al. 2023, Global Features are All You Need",
        needs=("query", "vectors"), depth=400, across="hurts", example="superglobal --index pics.mmr"),
)  # fmt: skip


def names() -> list[tuple[str, str]]:
    """Names and summaries of the table, in its order."""
    return [(row.name, row.summary) for row in METHODS]


@cache
def plugged() -> tuple[tuple[Row | str, str], ...]:
    """What entry points add: (row, "") or (name, why it cannot be used)."""
    known = {row.name for row in METHODS}
    return plugins.plugged(GROUP, Row, lambda row: row.name, known.__contains__)


def plug_ins() -> Iterator[tuple[str, str]]:
    """Yield every method that a plug-in adds: its name, and "" or why it cannot be used."""
    for row, problem in plugged():
        yield (row.name if isinstance(row, Row) else row, problem)


def find(name: str) -> Row | None:
    """The row of that name, of the table or of a plug-in."""
    row = next((row for row in METHODS if row.name == name), None)
    return row or next((row for row, _ in plugged() if isinstance(row, Row) and row.name == name), None)


def loaded(row: Row) -> Any:
    """Import what a row names. Raises `UnavailableError` with the reason when that fails."""
    module, _, attribute = row.loads.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        what = f"the method {row.name} cannot be loaded: {shown(str(error))}"
        raise UnavailableError(what, "Install its package again, or use another method.") from error


def method(row: Row) -> type[Method]:
    """Import the class of a row."""
    found: type[Method] = loaded(row)
    return found


def checked(row: Row, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return all parameters of a method, defaults filled in.

    Raises `UsageError` for one that it does not have, and for a value out of its range.
    """
    known = {param.name: param for param in row.params}
    for name, value in values.items():
        if name not in known:
            has = ", ".join(known) or "no parameters"
            raise UsageError(f"{shown(name)} is no parameter of {row.name}", f"It has: {has}.")
        param = known[name]
        if not param.fits(value):
            raise UsageError(f"{param.option} {shown(str(value))}: it must be {param.span}.")
    return {name: values.get(name, param.default) for name, param in known.items()}
