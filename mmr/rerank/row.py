"""What a row of the table of methods is: a method and its parameters."""

from __future__ import annotations

from typing import Any, NamedTuple

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
    needs    of "query" (the query's vector), "vectors" (one of each hit) and "bags" (several of the query
             and of each hit): what is gathered for it; and
             of "fields" (stored ones of the hits, by `Tools.fields_of`), "scorer" (`Tools.scorer`)
             and "words" (embedded by `Tools.encode`)
    depth    how many first hits it works on unless told; ALL for as many as there are
    across   "helps", "hurts" or "unknown": when the query is of another modality than the hits. One that
             hurts warns
    safe     where it helps, and where it does not
    source   where it is from
    example  what a line of its help shows, from the name on, or the whole line
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
