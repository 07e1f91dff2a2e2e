"""Try several settings of a method and keep the one that does best on queries set aside for it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import product
from typing import NamedTuple

from mmr.errors import UsageError, shown
from mmr.normalize.state import State
from mmr.normalize.table import Row, checked

MOST = 1000  # settings of one sweep

Setting = dict[str, float]
FitOne = Callable[[Setting], State]
Turn = Callable[[State, Setting], State]


class Tried(NamedTuple):
    """A setting (the swept parameters alone), what was fitted, and its figure on the development queries."""

    setting: Setting
    state: State
    value: float


def settings(row: Row, texts: Iterable[str]) -> list[Setting]:
    """Read `name=value,value` of each sweep and return every combination, the last name changing fastest.

    Raises `UsageError` for what is no list of numbers, a parameter that the method lacks or that comes twice,
    a value out of its range, and more than 1,000 combinations.
    """
    named: dict[str, list[float]] = {}
    for text in texts:
        name, equals, values = text.partition("=")
        name = name.strip().replace("-", "_")
        try:
            numbers = [float(value) for value in values.split(",")]
        except ValueError:
            numbers = []
        if not equals or not numbers or not all(math.isfinite(number) for number in numbers):
            raise UsageError(f"--sweep {shown(text)}: write NAME=X,X,X, such as alpha=.25,.5,.75.")
        if name in named:
            raise UsageError(f"--sweep {shown(text)}: {shown(name)} is swept already.")
        for number in numbers:
            checked(row, {name: number})
        named[name] = list(dict.fromkeys(numbers))
    count = math.prod(map(len, named.values()))
    if count > MOST:
        raise UsageError(f"{count:,} settings are too many for one sweep; {MOST:,} is the most.")
    return [dict(zip(named, values, strict=True)) for values in product(*named.values())]


def tried(
    row: Row, fixed: Mapping[str, float], tries: Sequence[Setting], fit_one: FitOne, turn: Turn,
    value: Callable[[State], float],
) -> Iterator[Tried]:  # fmt: skip
    """Yield each setting with its figure, fitting once for all that differ in knobs alone.

    fixed    parameters that are not swept
    fit_one  fits with all parameters
    turn     a fitted state with other knobs
    value    the figure of a state; more is better
    """
    knobs = {param.name for param in row.params if param.knob}
    last: tuple[Setting, State] | None = None
    ordered = sorted(range(len(tries)), key=lambda i: [v for n, v in tries[i].items() if n not in knobs])
    for i in ordered:
        setting = tries[i]
        rest = {name: number for name, number in setting.items() if name not in knobs}
        if last is None or last[0] != rest:
            last = (rest, fit_one({**fixed, **setting}))
        state = turn(last[1], {name: number for name, number in setting.items() if name in knobs})
        yield Tried(setting, state, value(state))


def best(found: Sequence[Tried]) -> Tried:
    """The setting with the highest figure; of equal ones that which takes off least (the lowest numbers)."""
    return min(found, key=lambda one: (-one.value, *one.setting.values()))


def at_the_edge(found: Sequence[Tried], chosen: Tried) -> list[tuple[str, str]]:
    """The swept parameters whose chosen value is the least or the greatest of three and more, and which."""
    ends = []
    for name, value in chosen.setting.items():
        values = {one.setting[name] for one in found}
        if len(values) > 2 and value in (min(values), max(values)):
            ends.append((name, "low" if value == min(values) else "high"))
    return ends
