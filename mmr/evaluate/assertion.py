"""`nDCG@10>=0.42`: what a Makefile or a CI job wants to hold."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from typing import NamedTuple

from mmr.errors import UsageError, shown
from mmr.evaluate.grammar import Measure, parse

SIGNS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt,
}  # fmt: skip
FORM = re.compile(r"\s*(?P<measure>.*\S)\s*(?P<sign>>=|<=|>|<)\s*(?P<bound>[-+0-9.eE]+)\s*")


class Assertion(NamedTuple):
    """What is measured, as the user wrote it, one of SIGNS, and the number that it is compared with."""

    name: str
    sign: str
    bound: float

    @property
    def measure(self) -> Measure:
        """The measure that is named. Raises `UsageError` where it is none."""
        (measure,) = parse(self.name)
        return measure

    def holds(self, value: float | None) -> bool:
        """Whether a figure satisfies it; NaN, and None for no figure, satisfy nothing."""
        return value is not None and SIGNS[self.sign](value, self.bound)

    def __str__(self) -> str:
        return f"{self.name}{self.sign}{self.bound:g}"


def read(text: str) -> Assertion:
    """Read one assertion; raises `UsageError` for anything else than a name, a sign and a number."""
    found = FORM.fullmatch(text)
    try:
        if found:
            return Assertion(found["measure"], found["sign"], float(found["bound"]))
    except ValueError:
        pass
    raise UsageError(
        f"--assert {shown(text)}: it must be a measure, a sign and a number", "Such as 'nDCG@10>=0.42'."
    )
