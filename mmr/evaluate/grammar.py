"""How measures are written: `nDCG(gain=exp2)@10`, read and written back in one form."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from mmr.errors import UsageError, shown
from mmr.evaluate.judged import Judged
from mmr.evaluate.plugins import added, function, plug_ins
from mmr.evaluate.table import ALIASES, AMBIGUOUS, CUT_WITH_UNDERSCORE, MEASURES, Param, Row, Value

LIST_COMMAND = "`mmr eval --list-measures` lists the measures."
FORM = "A measure is written NAME, NAME@k or NAME(parameter=value,...)@k."
HIGHEST_CUT = 1_000_000_000

QUOTED = r"'[^']*'|\"[^\"]*\""
SHAPE = re.compile(
    rf"(?P<name>[A-Za-z]\w*) \s* (?:\( (?P<inside> (?:{QUOTED}|[^()'\"])* ) \))? \s* (?:@ \s* (?P<cut>\S+))?",
    re.VERBOSE,
)
PAIR = re.compile(rf"\s*(?P<name>\w+)\s*=\s*(?P<value>{QUOTED}|[^,'\"]*?)\s*(?:,|$)")
PLAIN_WORD = re.compile(r"[\w.:/+-]+")


@dataclass(frozen=True)
class Measure:
    """A measure as the user named it: its row, every parameter (defaults filled in), its cut-off."""

    row: Row
    params: tuple[tuple[str, Value], ...] = ()
    cutoff: int | None = None

    def __str__(self) -> str:
        """The one form that names this measure; `parse` reads it back, defaults are left out."""
        defaults = {param.name: param.default for param in self.row.params}
        inside = ",".join(f"{n}={_written(v)}" for n, v in self.params if v != defaults[n])
        cut = "" if self.cutoff is None else f"@{self.cutoff}"
        return f"{self.row.name}{f'({inside})' if inside else ''}{cut}"

    @property
    def uncut(self) -> bool:
        """Whether a parameter rules out a cut-off."""
        return self._has(self.row.uncut)

    @property
    def averages(self) -> bool:
        """Whether it has a value for `--ties average`."""
        return self.row.average and not self._has(self.row.fixed)

    def values(self, judged: Judged) -> Any:
        """(q,) float64, one value a query; a float where the row's total is "pooled".

        NaN leaves a query out. Raises `UsageError` where averaged ties are asked of a measure without them.
        """
        if judged.average and not self.averages:
            raise UsageError(
                f"{self} is not defined for --ties average",
                "Take it out, or use --ties docid-desc, best or worst.",
            )
        compute = function(self.row)
        if self.row.cutoff == "no":
            return compute(judged, **dict(self.params))
        return compute(judged, self.cutoff, **dict(self.params))

    def _has(self, pairs: tuple[str, ...]) -> bool:
        return any(f"{name}={value}" in pairs for name, value in self.params)


def parse(text: str) -> tuple[Measure, ...]:
    """Read measures that are separated by commas; a comma inside parentheses separates parameters.

    Parameters come before the cut-off, as in ir_measures; its names and trec_eval's (`MAP`, `ndcg_cut_10`)
    are read where they mean the same. A measure named twice counts once. Raises `UsageError` that names every
    part that is wrong and says what there is.

    >>> [str(measure) for measure in parse("nDCG(gain=exp2)@10, MAP@50,AP(rel=2,norm=min)@5")]
    ['nDCG(gain=exp2)@10', 'AP@50', 'AP(rel=2,norm=min)@5']
    """
    found: dict[str, Measure] = {}
    problems: list[UsageError] = []
    for part in _split(text):
        try:
            measure = _measure(part)
        except UsageError as problem:
            problems.append(problem)
        else:
            found[str(measure)] = measure
    if len(problems) == 1:
        raise problems[0]
    if problems:
        lines = [p.what if p.fix == LIST_COMMAND else f"{p.what}. {p.fix}" for p in problems]
        raise UsageError("\n  ".join(lines), LIST_COMMAND)
    return tuple(found.values())


def _split(text: str) -> list[str]:
    """Cut at the commas outside parentheses and quotes."""
    parts, depth, quote = [""], 0, ""
    for letter in text:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"" and depth:
            quote = letter
        else:
            depth += (letter == "(") - (letter == ")")
        if letter == "," and depth <= 0 and not quote:
            parts.append("")
        else:
            parts[-1] += letter
    return parts


def _measure(text: str) -> Measure:
    """Read one measure."""
    shape = SHAPE.fullmatch(text.strip())
    if shape is None:
        raise UsageError(f"{shown(text.strip())!r} is no measure", FORM)
    name, cut = shape["name"], shape["cut"]
    base, _, digits = name.rpartition("_")
    if digits.isdecimal() and cut is None and base in CUT_WITH_UNDERSCORE:
        row, cut = _row(CUT_WITH_UNDERSCORE[base]), digits
    else:
        row = _row(name)
    measure = Measure(row, _params(row, shape["inside"] or ""), _cutoff(row, cut))
    if measure.cutoff is not None and measure.uncut:
        raise UsageError(f"{measure} takes no cut-off", f"Write {str(measure).partition('@')[0]}.")
    return measure


def _row(name: str) -> Row:
    """The row of a name or an alias; the error names the nearest, or what an ambiguous name could mean."""
    plain = ALIASES.get(name, name)
    row = next((row for row in MEASURES if row.name == plain), None) or added(name)
    if row is not None:
        return row
    problem = dict(plug_ins()).get(name)
    if problem:
        raise UsageError(f"the measure {name} cannot be used: {problem}", LIST_COMMAND)
    if name.lower() in AMBIGUOUS:
        raise UsageError(f"papers mean different things by {name!r}", AMBIGUOUS[name.lower()] + ".")
    from difflib import get_close_matches

    names = {row.name.lower(): row.name for row in MEASURES}
    near = get_close_matches(name.lower(), names, n=1)
    if near:
        raise UsageError(f"no such measure {shown(name)!r}; did you mean {names[near[0]]}?", LIST_COMMAND)
    raise UsageError(f"no such measure {shown(name)!r}", f"There are {', '.join(names.values())}.")


def _cutoff(row: Row, text: str | None) -> int | None:
    """Read what stands after the @."""
    if text is None:
        if row.cutoff == "must":
            raise UsageError(f"{row.name} needs a cut-off", f"Write {row.name}@10, for example.")
        return None
    if row.cutoff == "no":
        raise UsageError(f"{row.name} takes no cut-off", f"Write {row.name}.")
    if not (text.isascii() and text.isdecimal() and 1 <= int(text[:12]) <= HIGHEST_CUT and len(text) <= 12):
        raise UsageError(
            f"{row.name}@{shown(text)}: the cut-off must be a whole number from 1 to {HIGHEST_CUT}", FORM
        )
    return int(text)


def _params(row: Row, inside: str) -> tuple[tuple[str, Value], ...]:
    """Read `name=value,...` into every parameter of the row, in the row's order."""
    known = {param.name: param for param in row.params}
    given: dict[str, Value] = {}
    place = 0
    while place < len(inside.rstrip()):
        pair = PAIR.match(inside, place)
        if pair is None:
            raise UsageError(f"{row.name}({shown(inside)}): parameters are written name=value", _has(row))
        if pair["name"] not in known:
            raise UsageError(f"{row.name} has no parameter {shown(pair['name'])!r}", _has(row))
        if pair["name"] in given:
            raise UsageError(f"{row.name}: the parameter {pair['name']} is written twice", "Write it once.")
        given[pair["name"]] = _value(row, known[pair["name"]], pair["value"])
        place = pair.end()
    values: list[tuple[str, Value]] = []
    for param in row.params:
        value = given.get(param.name, param.default)
        if value is None:
            raise UsageError(f"{row.name} needs {param.name}: {param.note}", f"Write {row.form}.")
        values.append((param.name, value))
    return tuple(values)


def _value(row: Row, param: Param, text: str) -> Value:
    """Read one value in its parameter's type and range."""
    bare = text[1:-1] if text[:1] in {"'", '"'} else text
    problem = UsageError(
        f"{row.name}({param.name}={shown(bare)}): it must be {_range(param)}", f"{param.name}: {param.note}."
    )
    if not isinstance(param.default, int | float):
        if not bare or (param.choices and bare not in param.choices):
            raise problem
        return bare
    try:
        number = int(bare) if isinstance(param.default, int) else float(bare)
    except ValueError:
        raise problem from None
    if not param.low <= number <= param.high:
        raise problem
    return number


def _range(param: Param) -> str:
    """The range of a parameter, in words."""
    if param.choices:
        return f"one of {', '.join(param.choices)}"
    if not isinstance(param.default, int | float):
        return "a word"
    kind = "a whole number" if isinstance(param.default, int) else "a number"
    return f"{kind} from {param.low:g} to {param.high:g}"


def _has(row: Row) -> str:
    """What parameters a row has."""
    if not row.params:
        return f"{row.name} has none."
    return f"It has: {', '.join(f'{param.name} ({_range(param)})' for param in row.params)}."


def _written(value: Value) -> str:
    """A value as `parse` reads it back."""
    if not isinstance(value, str):
        return repr(value)
    return value if PLAIN_WORD.fullmatch(value) else (f'"{value}"' if "'" in value else f"'{value}'")
