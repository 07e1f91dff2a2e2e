"""`mmr compose`: pictures, words and vectors in, one query each out."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable, Mapping
from typing import Any

import click

from mmr.cli import composing
from mmr.cli.language import OPTIONS
from mmr.cli.methods import Methods, sentence
from mmr.cli.report import Report
from mmr.compose.table import PRESETS, RECIPES, Param, RecipeRow, Row, checked, plugged, preset, recipe_row
from mmr.errors import UsageError

EXPR = ("expr", "an expression over named vectors")
DEFAULT = ("default", "by what each query has: pdv-f, ldre, cirevl, weighted, image or text")
EXTRA: tuple[tuple[str, str, str], ...] = (
    ("oti", "a word learned from the picture, put into the words", "mmr.cli.compose_oti:oti"),
    ("encoder", "picture and words by a model that takes both at once", "mmr.cli.compose_oti:native"),
    ("describe", "captions and edits from programs, and no vectors", "mmr.cli.compose_words:describe"),
    ("prompt", "what a rewriter is asked, into the records", "mmr.cli.compose_words:prompt"),
    ("parse", "the edit in a rewriter's reply", "mmr.cli.compose_words:parse"),
)
EXAMPLES = {
    "v": "--image pics/apple.png", "t_m": '--text "in green"', "t_r": '--caption "a red apple"',
    "t_c": '--edited "a green apple"', "n": '--not "a pear"',
}  # fmt: skip


def _made(name: str) -> click.Command:
    """The subcommand of a method."""
    for extra, _, loads in EXTRA:
        if extra == name:
            module, _, attribute = loads.partition(":")
            found: click.Command = getattr(importlib.import_module(module), attribute)
            return found
    if name in (EXPR[0], DEFAULT[0]):
        return _expr if name == EXPR[0] else _default
    row = recipe_row(name)
    return _preset(preset(name)) if row is None else _recipe(row)


@click.group("compose", cls=Methods, made=_made, plugged=plugged,
             methods=[*((row.name, row.summary) for row in PRESETS), EXPR, DEFAULT,
                      *((row.name, row.summary) for row in RECIPES),
                      *((name, summary) for name, summary, _ in EXTRA)])  # fmt: skip
def command() -> None:
    """Make one query of pictures and words: this picture, but at night.

    \b
    Examples:
      mmr compose weighted --image pics/apple.png --text "in green" | mmr query pics.mmr
      mmr compose sum --image pics/apple.png --text "+green" --text "-red" | mmr query pics.mmr
      mmr compose expr "0.3*v + 0.7*t_m" --image pics/apple.png --text "in green" | mmr query pics.mmr
      mmr compose and --text "a fruit" --text "something red" --not "an apple" | mmr query pics.mmr
    """


def _preset(row: Row) -> click.Command:
    """The subcommand of a preset: its numbers are options, from its row."""

    def composed(report: Report, **how: Any) -> None:
        from mmr.compose.apply import method

        given = _given(row.params, how)
        sets = composing.numbers("--set", how.pop("sets"))
        both = next((name for name in sets if name in given), None)
        if both is not None:
            raise click.UsageError(f"--set {both} and --{both}: say it once.")
        for name, values in composing.sweeps(how).items():
            for value in values:
                checked(row.name, row.params, {name: value})
        composing.run(report, method(row, given | sets), how, "signed" if row.name == "sum" else "folded")

    own = [*map(_option, row.params), *_words(row.expression), *composing.VECTOR]
    return composing.subcommand(row.name, row.summary, _help(row), own, composed)


def _recipe(row: RecipeRow) -> click.Command:
    """The subcommand of a recipe."""

    def written(report: Report, **how: Any) -> None:
        from mmr.compose.apply import settings
        from mmr.compose.recipes import Recipes

        given = checked(row.name, row.params, _given(row.params, how))
        swept = composing.sweeps(how)
        numbers = [(suffix, checked(row.name, row.params, one)) for suffix, one in settings(given, swept)]
        choices = {name: how[name] for name, _, _ in row.choices}
        of = tuple(filter(None, (how["of"] or "").split(",")))
        recipes = Recipes(row, numbers, how=choices, scale=_scale(how), of=of, explain=how["explain"],
                          keep=how["keep_bindings"])  # fmt: skip
        composing.run_recipes(report, recipes, how, "folded" if row.takes else "clauses")

    own = [*map(_option, row.params), *map(_choice, row.choices), *_words(row.expression)]
    if row.score in ("and", "or"):
        own += [
            click.option("--lo", type=float, metavar="X", help="The score that counts 0 in a clause.  "
                         "[default: the lowest of the index]"),
            click.option("--hi", type=float, metavar="X", help="The score that counts 1.  [default: the "
                         "highest of the index]"),
        ]  # fmt: skip
    names = f"[default: {row.expression}]"
    own.append(click.option("--of", metavar="NAME,...", help=f"The named vectors that it joins.  {names}"))
    return composing.subcommand(row.name, row.summary, _help(row), own, written)


def _help(row: Row | RecipeRow) -> str:
    """The help of a method, from its row."""
    if isinstance(row, RecipeRow) and not row.takes:
        example = '--text "a fruit" --text "something red"' + (
            ' --not "an apple"' if row.name == "and" else ""
        )
    else:
        used = re.findall(r"\w+", row.expression)
        example = " ".join(piece for name, piece in EXAMPLES.items() if name in used)
    return (
        f"{sentence(row.summary)}\n\n{row.expression}\n\n{row.safe}. ({row.source})\n\n\b\nExamples:\n"
        f"  mmr compose {row.name} {example} | mmr query pics.mmr"
    )


def _words(expression: str) -> tuple[Any, ...]:
    """The options that ask programs for captions and edits, where a method needs some."""
    return OPTIONS if re.search(r"\bt_[rc]\b", expression) else ()


def _option(param: Param) -> Any:
    return click.option(
        param.option, f"number_{param.name}", type=click.FloatRange(param.low, param.high), metavar="X",
        help=f"{param.note}.  [default: {param.usual}]",
    )  # fmt: skip


def _choice(choice: tuple[str, tuple[str, ...], str]) -> Any:
    name, values, note = choice
    return click.option(f"--{name}", type=click.Choice(values), default=values[0], show_default=True,
                        help=f"{note}.")  # fmt: skip


def _given(params: Iterable[Param], how: dict[str, Any]) -> dict[str, float]:
    """The numbers that were given as options; they are taken out of `how`."""
    values = {param.name: how.pop(f"number_{param.name}") for param in params}
    return {name: value for name, value in values.items() if value is not None}


def _scale(how: Mapping[str, Any]) -> tuple[float, float] | None:
    """What --lo and --hi say."""
    lo, hi = how.get("lo"), how.get("hi")
    if lo is None and hi is None:
        return None
    if lo is None or hi is None or lo >= hi:
        raise UsageError("--lo and --hi go together, the lower one first", "Or leave both out.")
    return lo, hi


def _run_expr(report: Report, text: str, **how: Any) -> None:
    from mmr.compose.apply import expression

    first = {name: values[0] for name, values in composing.sweeps(how).items()}
    composing.run(report, expression(text, first | composing.numbers("--set", how.pop("sets"))), how)


def _run_default(report: Report, **how: Any) -> None:
    if how.pop("sets") or how["sweeps"]:
        raise click.UsageError("the default composition has no numbers to set; name a preset.")
    composing.run(report, None, how)


_expr = composing.subcommand(
    *EXPR,
    """Compose by an expression over named vectors: v, t_m, t_r, t_c, n and any in `bindings`.

    Vectors are added, taken off and multiplied by numbers; functions are u(x), mean(xs), wmean(xs, weights),
    slerp(x, y, a), centre(x, mean) and proj(x, basis). `$a` is a number of --set or --sweep.

    \b
    Examples:
      mmr compose expr "2*t_c - t_r" --caption "a red apple" --edited "a green apple" | mmr query pics.mmr
      mmr compose expr "v + \\$a*t_m" --set a=3 --image pics/apple.png --text "in green" | mmr query pics.mmr
    """,
    [click.argument("text", metavar="EXPRESSION"), *OPTIONS, *composing.VECTOR],
    _run_expr,
)
_default = composing.subcommand(
    *DEFAULT,
    """Compose each query by what it has: pdv-f of v, t_r and t_c; ldre of several t_c; cirevl of one;
    weighted of v and t_m; image or text of one of them.

    \b
    Examples:
      mmr compose default --image pics/apple.png --text "in green" | mmr query pics.mmr
    """,
    [*OPTIONS, *composing.VECTOR],
    _run_default,
)
