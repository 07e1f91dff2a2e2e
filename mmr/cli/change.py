"""`mmr fit` of changes of vectors: centre, abtt, pca, whiten, invgc, localadj and map."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mmr.cli import lexicon, options
from mmr.cli.methods import sentence
from mmr.cli.report import Report
from mmr.index.address import is_address, read
from mmr.normalize.table import MANY, VECTORS, Choice, Param, VectorRow

if TYPE_CHECKING:
    from mmr.normalize.vector_fit import Source
    from mmr.normalize.vectors import Change
    from mmr.stream.records import Record

METHODS = [(row.name, row.summary) for row in VECTORS]
NAMES = dict(METHODS)
EXAMPLES = {
    "set": "mmr fit {name} bank.npy --index pics.mmr -o {name}.npz",
    "banks": "mmr fit {name} --bank bank.npy --gallery-bank others.npy -o {name}.npz",
    "words": "mmr fit {name} --words words:en --index pics.mmr -o lex.npz",
    "pairs": "mmr fit {name} --source new.npy --target old.npy -o up.npz",
}


def made(name: str) -> click.Command:
    """The subcommand of a change: its options come from its row."""
    row = next(row for row in VECTORS if row.name == name)

    def command(report: Report, output: str, **given: Any) -> None:
        _fit(row, report, output, given)

    decorated = options.reports("fit", items=False)(command)
    for add in reversed([*_sources(row), *map(parameter, row.params), _output]):
        decorated = add(decorated)
    words = (
        f"Learn {name}: {row.summary}.\n\n{row.safe}. ({row.source})\n\n\b\nExamples:\n"
        f"  {EXAMPLES[row.needs].format(name=name)}"
    )
    return click.command(name, help=words, short_help=sentence(row.summary))(decorated)


_output = click.option("-o", "--output", required=True, metavar="FILE", help="The fitted file; it appears "
                       "whole or not at all.")  # fmt: skip


def _sources(row: VectorRow) -> list[Any]:
    if row.needs == "set":
        return [
            click.argument("files", metavar="[FILE]...", nargs=-1),
            click.option("--index", "indexes", multiple=True, metavar="INDEX", help="Learn from the vectors "
                         "of an index too (repeatable)."),
        ]  # fmt: skip
    if row.needs == "words":
        return [*lexicon.OPTIONS]
    if row.needs == "banks":
        return [
            click.option("--bank", required=True, metavar="FILE", help="Vectors of queries like those to "
                         "come."),
            click.option("--gallery-bank", required=True, metavar="FILE", help="Vectors of items like those "
                         "to come."),
        ]  # fmt: skip
    return [
        click.option("--source", metavar="FILE", help="Vectors of the model that is to be mapped: a file, or "
                     "an index."),
        click.option("--target", metavar="FILE", help="Vectors of the same records, of the model that they "
                     "are mapped to: a file, or an index."),
        click.option("--bank", metavar="FILE", help="Instead of both: records with words (or pictures), "
                     "which both models embed; `words`, `words:en,de` are everyday "
                     "queries that ship with mmr."),
        click.option("--model", metavar="SPEC", help="With --bank: the model that is to be mapped."),
        click.option("--target-model", metavar="SPEC", help="With --bank: the model that it is mapped to.  "
                     "[default: that of --index]"),
        click.option("--index", metavar="INDEX", help="With --bank: an index of the model that it is mapped "
                     "to."),
        options.template,
        click.option("--force", is_flag=True, help="Fit although pairs held out say that the map is bad."),
    ]  # fmt: skip


def parameter(param: Param | Choice) -> Any:
    """The option of a parameter."""
    if isinstance(param, Choice):
        return click.option(param.option, param.name, type=click.Choice(param.values), default=param.default,
                            show_default=True, metavar="NAME",
                            help=f"{param.note}: {', '.join(param.values)}.")  # fmt: skip
    kind: click.ParamType[Any] = click.FloatRange(param.low, param.high)
    if param.whole:
        kind = click.IntRange(int(param.low), None if param.high >= MANY else int(param.high))
    default = int(param.default) if param.whole else param.default
    return click.option(param.option, param.name, type=kind, metavar="N" if param.whole else "X",
                        default=default, show_default=True, help=f"{param.note}.")  # fmt: skip


def _fit(row: VectorRow, report: Report, output: str, given: dict[str, Any]) -> None:
    from mmr.normalize.bank import read_bank
    from mmr.normalize.vector_fit import advice, fit_banks, fit_set
    from mmr.normalize.vectors import write_change

    count = 0

    def counted(records: Iterable[Record]) -> Iterator[Record]:
        nonlocal count
        for record in records:
            count += 1
            yield record

    if row.needs == "set":
        files, indexes = given.pop("files"), given.pop("indexes")
        named = files or (() if indexes else options.reads_stdin(files, "FILE or --index"))
        sources = [(_named(path), counted(_records(path))) for path in (*named, *indexes)]
        change = fit_set(row.name, given, sources)
    elif row.needs == "words":
        change = lexicon.fitted(
            given, report, lambda paths: [(_named(path), _records(path)) for path in paths]
        )
    elif row.needs == "banks":
        queries, items = _once(given.pop("bank"), given.pop("gallery_bank"))
        change = fit_banks(row.name, given, read_bank(queries), read_bank(items))
    else:
        change = _mapped(given, report)
    write_change(output, change)
    for line in advice(change, count):
        report.note(line)
    _say(change, report)


def _mapped(given: dict[str, Any], report: Report) -> Change:
    """A map, from two files of vectors or from one of words that both models embed."""
    from mmr.normalize.vector_fit import fit_pairs

    source, target, bank, force = (given.pop(name) for name in ("source", "target", "bank", "force"))
    asked = {name: given.pop(name) for name in ("model", "target_model", "index", "templates")}
    if bank is None:
        useless = next((name for name, value in asked.items() if value), None)
        if useless is not None:
            option = useless.removesuffix("s").replace("_", "-")
            raise click.UsageError(f"--{option} does nothing without --bank.")
        if source is None or target is None:
            raise click.UsageError("name --source and --target, or --bank with --model and --index.")
        source, target = _once(source, target)
        pairs: tuple[Source, Source] = (
            (_named(source), _records(source)), (_named(target), _records(target)),
        )  # fmt: skip
    else:
        if source is not None or target is not None:
            raise click.UsageError("--bank stands for --source and --target: leave these out.")
        if asked["model"] is None or not (asked["index"] or asked["target_model"]):
            raise click.UsageError("--bank needs --model, whose vectors are to be mapped, and --index or "
                                   "--target-model.")  # fmt: skip
        from mmr.cli.banks import both

        pairs = both(bank, report=report, **asked)
    change = fit_pairs(given, *pairs, force=force)
    if change.held:
        held = change.held
        pairs_held = "1 pair" if held["pairs"] == 1 else f"{held['pairs']:,.0f} pairs"
        report.note(f"{pairs_held} held out: mean cosine {held['cosine']:.3f}, {held['recall']:.1%} find "
                    "their own.")  # fmt: skip
    return change


def _once(first: str, second: str) -> tuple[str, str]:
    if first == second == "-":
        raise click.UsageError("standard input can be read once: name one of them as a file.")
    return first, second


def _named(path: str) -> str:
    if is_address(path):
        return str(read(path))
    return "stdin" if path == "-" else Path(path).name


def _records(path: str) -> Iterator[Record]:
    """The records of a file, or the items of an index."""
    from mmr.errors import raise_item
    from mmr.index import open_any
    from mmr.index.mapped import refuse_mixed
    from mmr.stream.read import read_records

    if is_address(path) or (Path(path) / "catalogue.sqlite").exists():
        with open_any(path) as opened:
            refuse_mixed(opened, "a fit")
            yield from opened.items()
    else:
        yield from read_records([path], reject=raise_item)


def _say(change: Change, report: Report) -> None:
    """What was learned, and what its vectors are called."""
    kept = change.arrays.get("kept")
    share = f", {kept[0]:.1%} of the variance kept" if kept is not None else ""
    report.note(f"{change.row.name} fitted to {change.source}{share}.")
    report.note(f"vectors that it changes are of {change.to or 'no stated model'}.")
