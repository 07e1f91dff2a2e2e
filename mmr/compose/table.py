"""The presets of `compose`: names for expressions, one row each. Nothing heavy is imported here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from typing import NamedTuple

from mmr import plugins
from mmr.errors import UnavailableError, UsageError, shown

GROUP = "mmr.compositions"


class Param(NamedTuple):
    """One parameter of a method: a number from `low` to `high`.

    measured  defaults of their own for models where another one was measured to be better, by spec
    """

    name: str
    default: float
    note: str
    low: float
    high: float
    measured: tuple[tuple[str, float], ...] = ()

    @property
    def option(self) -> str:
        """Its name on the command line: "--at"."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def usual(self) -> str:
        """What it is when nobody says: "0.8; 0.6 of builtin"."""
        return "; ".join([f"{self.default:g}", *(f"{value:g} of {spec}" for spec, value in self.measured)])


class Row(NamedTuple):
    """One preset.

    expression  in the language of `mmr.compose.expr`; its names say what the preset needs
    safe        where it helps, and what to beware of
    """

    name: str
    summary: str
    expression: str
    params: tuple[Param, ...]
    safe: str
    source: str


A = Param("a", 0.8, "Weight of the words", 0, 1, (("builtin", 0.6),))
AI = Param("ai", 1.4, "How far the picture moves along t_c - t_r", -10, 10)
AT = Param("at", 1.2, "How far the caption moves along t_c - t_r", -10, 10)
B = Param("b", 0.75, "Weight of the words", 0, 1)
PDV = "Tursun et al. 2025, PDV: Prompt Directional Vectors"

PRESETS: tuple[Row, ...] = (
    Row("image", "the picture alone", "u(v)", (), "A base line", "plain image search"),
    Row("text", "the words alone", "u(t_m)", (), "A base line", "plain text search"),
    Row("sum", "the sum of all pictures and words, each with its sign and weight", "u(v + t_m)", (),
        "Pictures outweigh words: the reference comes first unless it is left out", "Pic2Word's mixture"),
    Row("weighted", "picture and words, weighted", "u((1-$a)*v + $a*t_m)", (A,),
        "The default of a picture with words. A picture's weight of 0.2 and more puts the reference first",
        "Wu et al. 2024, WeiMoCIR"),
    Row("slerp", "a point on the arc from the picture to the words", "slerp(v, t_m, $a)",
        (A._replace(note="How far along the arc"),),
        "The same family as weighted: 0.8 here is 0.77 there at cosine 0.25", "Jang et al. 2024, Slerp-TAT"),
    Row("cirevl", "the edited caption", "u(t_c)", (), "As good as the captions",
        "Karthik et al. 2024, CIReVL"),
    Row("ldre", "the mean of the edited captions", "u(mean(t_c))", (),
        "Several edited captions are the largest single gain measured", "Yang et al. 2024, LDRE, uniform"),
    Row("pdv-t", "the caption, moved along the edit", "u(t_r + $at*(t_c - t_r))", (AT,),
        "Above 1 where captions under-state the edit; with exact captions it costs recall", PDV),
    Row("pdv-i", "the picture, moved along the edit", "u(v + $ai*(t_c - t_r))", (AI,),
        "Leave the reference out: it comes first", PDV),
    Row("pdv-f", "picture and caption, both moved along the edit",
        "u((1-$b)*(v + $ai*(t_c - t_r)) + $b*(t_r + $at*(t_c - t_r)))", (B, AI, AT),
        "The default where v, t_r and t_c are there", PDV),
    Row("sketch", "a sketch and words in equal parts", "u(0.5*v + 0.5*t_m)", (),
        "Where the picture is no photograph", "common practice"),
    Row("without", "the words, moved away from others", "u(t_m - $g*n)",
        (Param("g", 0.4, "How far", 0, 2),),
        "A soft no; `mmr compose and --not` scores the clauses apart", "common practice"),
    Row("seize", "the edited caption, pushed on by the edit", "u(t_c + $m*(t_c - t_r))",
        (Param("m", 0.2, "How far", -10, 10),), "Ranks like pdv-t with at = 1 + m",
        "Yang et al. 2024, SEIZE, equal factors"),
)  # fmt: skip


@cache
def plugged() -> tuple[tuple[Row | str, str], ...]:
    """What entry points add: (row, "") or (name, why it cannot be used)."""
    known = {"expr", "default", *(row.name for row in PRESETS), *(row.name for row in RECIPES)}
    return plugins.plugged(GROUP, Row, lambda row: row.name, known.__contains__)


def plug_ins() -> Iterator[tuple[str, str]]:
    """Yield every preset that a plug-in adds: its name, and "" or why it cannot be used."""
    for row, problem in plugged():
        yield (row.name if isinstance(row, Row) else row, problem)


def preset(name: str) -> Row:
    """The row of a preset, of the table or of a plug-in.

    Raises `UsageError` for a name that nobody has, `UnavailableError` for a plug-in that is broken.
    """
    row = next((row for row in PRESETS if row.name == name), None)
    if row is not None:
        return row
    for found, problem in plugged():
        if isinstance(found, Row) and found.name == name:
            return found
        if found == name:
            raise UnavailableError(f"the composition {shown(name)} is broken: {problem}",
                                   "Install its package again.")  # fmt: skip
    known = [row.name for row in PRESETS]
    near = get_close_matches(name, known, n=1)
    fix = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(known)}."
    raise UsageError(f"no composition is called {shown(name)!r}", fix)


def checked(name_: str, params: Sequence[Param], given: Mapping[str, float]) -> dict[str, float]:
    """Return all parameters of a method, defaults filled in.

    Raises `UsageError` for one that it does not have, and for a value out of its range.
    """
    known = {param.name: param for param in params}
    for name, value in given.items():
        if name not in known:
            has = ", ".join(known) or "no parameters"
            raise UsageError(f"{shown(name)} is no parameter of {name_}", f"It has: {has}.")
        param = known[name]
        if not param.low <= value <= param.high:
            raise UsageError(f"{param.option} {value:g}: from {param.low:g} to {param.high:g}.")
    return {name: given.get(name, param.default) for name, param in known.items()}


class RecipeRow(NamedTuple):
    """One recipe: a score that is not one vector.

    score   its kind in `mmr.arrays.recipe`
    takes   the named vectors that it joins; () for clauses: every v and t_m, and every n negated
    negates whether a clause can be what must not be there
    choices other options: name, values (the first is the default), what it is about
    """

    name: str
    summary: str
    score: str
    takes: tuple[str, ...]
    params: tuple[Param, ...]
    safe: str
    source: str
    choices: tuple[tuple[str, tuple[str, ...], str], ...] = ()
    negates: bool = True

    @property
    def expression(self) -> str:
        """The names that it joins, as a person reads them."""
        return ", ".join(self.takes or ("v", "t_m", *(["not n"] if self.negates else [])))


HOW = (("by", ("product", "min", "geometric"), "How clauses are joined"),)
WHOLE = (Param("g", 0, "Weight of the whole `text` beside its clauses, which then stand in `texts`", 0, 1),)
NDCR = "after Li et al. 2023, NDCR, without its training"

RECIPES: tuple[RecipeRow, ...] = (
    RecipeRow("and", "every clause holds: pictures, words, and what must not be there", "and", (), WHOLE,
              "Clauses are scored apart, so that none drowns. An encoder barely sees a `not`; this does",
              NDCR, HOW),
    RecipeRow("or", "one of the clauses holds", "or", (), WHOLE, "Alternatives", NDCR, HOW),
    RecipeRow("product", "the score of the picture times that of the words", "product", ("v", "t_m"), (),
              "Instances: it must be this thing, and so", "Efthymiadis et al. 2025, a base line of FreeDom"),
    RecipeRow("seize-signed", "seize with a factor for items that the edit brings up and one for others",
              "seize", ("t_c", "t_r"),
              (Param("n", 2.1, "Factor where the edit lowers the score", 0, 100),
               Param("p", 0.13, "Factor where it raises it", 0, 100)),
              "With equal factors it is the preset seize, which is one vector", "Yang et al. 2024, SEIZE"),
    RecipeRow("harris", "high where picture and words both are, as a corner detector joins edges", "harris",
              ("v", "t_m"),
              (Param("lambda", 0.1, "Penalty where one is high alone", 0, 0.5),
               Param("least_v", -1, "The lowest score of the picture, which becomes 0", -1, -1e-6),
               Param("least_t", -1, "The lowest score of the words", -1, -1e-6)),
              "Named vectors that were centred and projected (`--of`), with their own lowest scores",
              "Psomas et al. 2025, i-CIR, BASIC"),
    RecipeRow("vote", "every clause shares one vote among all items", "vote", (),
              (Param("tau", 0.005, "Temperature on cosines: a hundredth of the one for logits", 1e-4, 10),),
              "Several wordings of one wish; it looks at the whole index", "a path in the code of NDCR",
              negates=False),
)  # fmt: skip


def recipe_row(name: str) -> RecipeRow | None:
    """The row of a recipe, None where there is none of that name."""
    return next((row for row in RECIPES if row.name == name), None)
