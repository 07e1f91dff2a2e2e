"""`mmr compose`: pictures, words and vectors in, one query each out."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import click

from mmr.cli import options
from mmr.cli.language import OPTIONS, language
from mmr.cli.methods import Methods, sentence
from mmr.cli.report import Report
from mmr.compose.table import PRESETS, Param, Row
from mmr.errors import UsageError, shown

if TYPE_CHECKING:
    from mmr.compose.apply import Composer, Method
    from mmr.compose.files import Files
    from mmr.index import Index
    from mmr.stream.records import Record

EXPR = ("expr", "an expression over named vectors")
DEFAULT = ("default", "by what each query has: pdv-f, ldre, cirevl, weighted, image or text")
EXTRA: tuple[tuple[str, str, str], ...] = ()


def _made(name: str) -> click.Command:
    """The subcommand of a method."""
    for extra, _, loads in EXTRA:
        if extra == name:
            module, _, attribute = loads.partition(":")
            found: click.Command = getattr(importlib.import_module(module), attribute)
            return found
    if name in (EXPR[0], DEFAULT[0]):
        return _expr if name == EXPR[0] else _default
    return _preset(next(row for row in PRESETS if row.name == name))


@click.group("compose", cls=Methods, made=_made,
             methods=[*((row.name, row.summary) for row in PRESETS), EXPR, DEFAULT,
                      *((name, summary) for name, summary, _ in EXTRA)])  # fmt: skip
def command() -> None:
    """Make one query of pictures and words: this picture, but at night.

    \b
    Examples:
      mmr compose weighted --image pics/apple.png --text "in green" | mmr query pics.mmr
      mmr compose sum --image pics/apple.png --text "+green" --text "-red" | mmr query pics.mmr
      mmr compose expr "0.3*v + 0.7*t_m" --image pics/apple.png --text "in green" | mmr query pics.mmr
    """


_TYPED = (
    click.option("--from", "queries_from", metavar="FILE", help="Queries: JSONL, TSV with a header, or NPY; "
                 "`-` is stdin."),
    click.option("--image", "images", multiple=True, metavar="FILE", help="The reference picture (v); of "
                 "several the mean. `0.5:FILE` weighs it."),
    click.option("--ref-id", "ref_ids", multiple=True, metavar="ID", help="The same, as it is stored in "
                 "--index."),
    click.option("--text", "texts", multiple=True, metavar="WORDS", help="What is asked of it (t_m). "
                 "`-WORDS` takes off, `0.5:WORDS` weighs."),
    click.option("--caption", "captions", multiple=True, metavar="WORDS", help="What it shows (t_r)."),
    click.option("--edited", multiple=True, metavar="WORDS", help="What the wanted picture shows (t_c)."),
    click.option("--not", "nots", multiple=True, metavar="WORDS", help="What to move away from (n)."),
    click.option("--bind", "binds", multiple=True, metavar="NAME=FILE.npy", help="Vectors under a name: one "
                 "for all queries, one a query in their order, or by the ids of a pair."),
    click.option("--index", metavar="INDEX", help="Take vectors of pictures that it holds, and its model."),
)  # fmt: skip
_HOW = (
    click.option("--set", "sets", multiple=True, metavar="NAME=X", help="The number $NAME of an expression."),
    click.option("--sweep", "sweeps", multiple=True, metavar="NAME=X,X,...", help="One record a setting, "
                 "with the id ID@NAME=X."),
    click.option("--fallback", metavar="PRESET", help="For queries that lack a vector."),
    click.option("--on-zero", type=click.Choice(["fail", "skip", "text"]), default="fail", show_default=True,
                 help="Of vectors that cancel out: end, leave the query out, or ask with its words."),
    click.option("--raw", is_flag=True, help="Take vectors as they are, not at length 1."),
    click.option("--exclude-reference/--no-exclude-reference", "excludes", default=None, help="Leave the "
                 "reference out of the hits.  [default: yes for --image and --ref-id, no for records]"),
    click.option("--keep-bindings", is_flag=True, help="Keep the named vectors in the record."),
    click.option("--explain", is_flag=True, help="Write norms, cosines and weights into `explain`."),
    click.option("--format", "format_", type=click.Choice(["jsonl", "npy"]), default="jsonl",
                 show_default=True, metavar="NAME", help="jsonl, or npy: blocks of bare vectors."),
    options.vector_format, options.output, options.model, options.model_of, options.template, options.batch,
    options.device, options.precision, options.threads,
)  # fmt: skip


def _command(
    name: str, summary: str, words: str, own: Iterable[Any], run: Callable[..., None]
) -> click.Command:
    """A subcommand with the options that all have."""
    decorated: Any = options.reports("compose")(run)
    for add in reversed([*own, *_TYPED, *_HOW]):
        decorated = add(decorated)
    return click.command(name, help=words, short_help=sentence(summary))(decorated)


def _preset(row: Row) -> click.Command:
    """The subcommand of a preset: its numbers are options, from its row."""

    def composed(report: Report, **how: Any) -> None:
        from mmr.compose.apply import method

        given = {param.name: how.pop(f"number_{param.name}") for param in row.params}
        sets = _numbers("--set", how.pop("sets"))
        both = next((name for name in sets if given.get(name) is not None), None)
        if both is not None:
            raise click.UsageError(f"--set {both} and --{both}: say it once.")
        sets |= {name: value for name, value in given.items() if value is not None}
        run(report, method(row.name, sets), how, signed=row.name == "sum")

    words = (
        f"{sentence(row.summary)}\n\n{row.expression}\n\n{row.safe}. ({row.source})\n\n\b\nExamples:\n"
        f"  mmr compose {row.name} {_example(row)} | mmr query pics.mmr"
    )
    own = [*map(_option, row.params), *(OPTIONS if re.search(r"\bt_[rc]\b", row.expression) else ())]
    return _command(row.name, row.summary, words, own, composed)


def _option(param: Param) -> Any:
    return click.option(
        param.option, f"number_{param.name}", type=click.FloatRange(param.low, param.high), metavar="X",
        help=f"{param.note}.  [default: {param.default:g}]",
    )  # fmt: skip


def _example(row: Row) -> str:
    """What one types for a preset's vectors."""
    typed = {"v": "--image pics/apple.png", "t_m": '--text "in green"', "t_r": '--caption "a red apple"',
             "t_c": '--edited "a green apple"', "n": '--not "a pear"'}  # fmt: skip
    return " ".join(piece for name, piece in typed.items() if name in row.expression.replace("(", " ")
                    .replace(")", " ").replace("*", " ").replace(",", " ").split())  # fmt: skip


def _run_expr(report: Report, text: str, **how: Any) -> None:
    from mmr.compose.apply import expression

    sweeps = _sweeps(how["sweeps"])
    first = {name: values[0] for name, values in sweeps.items()}
    run(report, expression(text, first | _numbers("--set", how.pop("sets"))), how)


def _run_default(report: Report, **how: Any) -> None:
    if how.pop("sets") or how["sweeps"]:
        raise click.UsageError("the default composition has no numbers to set; name a preset.")
    run(report, None, how)


_expr = _command(
    *EXPR,
    """Compose by an expression over named vectors: v, t_m, t_r, t_c, n and any in `bindings`.

    Vectors are added, taken off and multiplied by numbers; functions are u(x), mean(xs), wmean(xs, weights),
    slerp(x, y, a), centre(x, mean) and proj(x, basis). `$a` is a number of --set or --sweep.

    \b
    Examples:
      mmr compose expr "0.25*v - 0.5*t_r + 1.25*t_c" --from q.jsonl | mmr query pics.mmr
      mmr compose expr "v + \\$a*t_m" --set a=3 --image pics/apple.png --text "in green" | mmr query pics.mmr
    """,
    [click.argument("text", metavar="EXPRESSION"), *OPTIONS],
    _run_expr,
)
_default = _command(
    *DEFAULT,
    """Compose each query by what it has: pdv-f of v, t_r and t_c; ldre of several t_c; cirevl of one;
    weighted of v and t_m; image or text of one of them.

    \b
    Examples:
      mmr compose default --image pics/apple.png --text "in green" | mmr query pics.mmr
    """,
    OPTIONS,
    _run_default,
)


def run(report: Report, method: Method | None, how: Mapping[str, Any], signed: bool = False) -> None:
    """Compose what the options name and write it.

    method  None for the default composition
    signed  pictures and words of the command line are added with their signs and weights
    """
    from mmr.compose.apply import Composer, swept
    from mmr.compose.apply import method as named
    from mmr.compose.files import Files, whole_names

    files = Files(how["binds"], whole_names(method.node) if method is not None else ())
    if method is not None and _is_bulk(how, files, method):
        _bulk(report, method, how, files)
        return

    settings: list[tuple[str, Method | None]] = [("", method)]
    if how["sweeps"]:
        assert method is not None
        settings = list(swept(method, _sweeps(how["sweeps"])))
    fallback = named(how["fallback"]) if how["fallback"] else None
    if how["model"] and how["model_of"]:
        raise click.UsageError("--model and --model-of: name the model in one way.")
    composer = Composer(settings, fallback=fallback, raw=how["raw"], on_zero=how["on_zero"],
                        explain=how["explain"], keep=how["keep_bindings"],
                        constants=files.constants)  # fmt: skip
    with ExitStack() as stack:
        _write(_composed(composer, how, files, signed, report, stack), how)
    if composer.fell_back:
        share = f"{composer.fell_back:,} of {composer.composed:,}"
        report.note(f"{share} composed by {how['fallback']}, for want of a vector.")
    if composer.far:
        far = f"{composer.far:,} of {composer.composed:,} take a vector off more than 0.7 times"
        report.note(f"{far}: hubs come up more often (`mmr eval --hubness` counts them).")


def _is_bulk(how: Mapping[str, Any], files: Files, method: Method) -> bool:
    """Whether bare files are all that is composed, and vectors all that is wanted."""
    from mmr.cli.typed import SAID

    alone = (
        not how["queries_from"]
        and not any(how[name] for name in SAID)
        and set(method.names) <= set(files.names)
    )
    plain = not (how["sweeps"] or how["explain"] or how["keep_bindings"]) and how["on_zero"] != "text"
    to_npy = how["output"].endswith(".npy") or how["format_"] == "npy"
    return alone and plain and to_npy and bool(files.each) and not any(one.pair for one in files.each)


def _bulk(report: Report, method: Method, how: Mapping[str, Any], files: Files) -> None:
    """Compose files of vectors into one."""
    from mmr.compose.bulk import composed, write

    model = _stated(how)
    queries = composed(
        method, files.each, files.constants, raw=how["raw"], on_zero=how["on_zero"], reject=report
    )
    report.note(f"{write(queries, method, how['output'], model):,} queries composed.")


def _stated(how: Mapping[str, Any]) -> str | None:
    """The full name of the model that the options name for vectors that name none."""
    from mmr.cli.models import full_name

    if how["model"] is not None or not (how["model_of"] or how["index"]):
        return full_name(how["model"], None)
    with ExitStack() as stack:
        index = _index(how, stack)
        return index.meta.model if index is not None else None


def _composed(
    composer: Composer, how: Mapping[str, Any], files: Files, signed: bool, report: Report, stack: ExitStack
) -> Iterator[Record]:
    """The composed queries of what the options name."""
    from mmr.cli.binder import Binder
    from mmr.cli.encoders import Encoders
    from mmr.cli.typed import SAID, Typed

    index = _index(how, stack)
    encoders = Encoders(index, how["model"], how["device"], how["precision"], how["threads"], report, stack)
    model = index.meta.model if index is not None else None
    vector_of = _vector_of(index) if index is not None and how["index"] else None
    typed = Typed(how, composer, signed) if any(how[name] for name in SAID) else None
    records: Iterable[Record]
    if typed is not None and how["queries_from"]:
        raise click.UsageError("ask in one way: --image, --text and the like, or --from FILE.")
    if typed is not None:
        records = [typed.record(vector_of, model)]
    elif files.each and not how["queries_from"]:
        records = _of_model(files.queries(report), _stated(how))
    else:
        records = _read(how, report)
        records = files.beside(records, report) if files.each else records
        records = _excluding(records, how["excludes"] is True)
    reject = typed.refuse(report) if typed is not None else report
    binder = Binder(encoders, (typed or composer).needs, templates=how["templates"], batch=how["batch"],
                    given=files.names, stored=vector_of, model=model)  # fmt: skip
    bound = binder.of(_prepared(records, how, report, stack), reject)
    yield from composer.of(typed.folded(bound) if typed is not None else bound, reject)
    encoders.keep_tower()


def _prepared(
    records: Iterable[Record], how: Mapping[str, Any], report: Report, stack: ExitStack
) -> Iterable[Record]:
    """The records before anything of them is embedded, with the captions and edits that programs give."""
    if "style" not in how:
        return records
    return language(how, stack, report).of(records)


def _read(how: Mapping[str, Any], report: Report) -> Iterable[Record]:
    from mmr.stream.read import read_records

    named = (how["queries_from"],) if how["queries_from"] else ()
    return read_records(options.reads_stdin(named, "--from"), reject=report)


def _of_model(records: Iterable[Record], model: str | None) -> Iterator[Record]:
    """Name the model in records that name none."""
    for record in records:
        if model is not None:
            record.setdefault("model", model)
        yield record


def _excluding(records: Iterable[Record], wanted: bool) -> Iterable[Record]:
    """Leave the reference picture of each query out of its hits, where that is wanted."""
    if not wanted:
        return records
    return map(_excluded, records)


def _excluded(record: Record) -> Record:
    if isinstance(record.get("image"), str):
        record["exclude"] = list(dict.fromkeys([*record.get("exclude", ()), record["image"]]))
    return record


def _index(how: Mapping[str, Any], stack: ExitStack) -> Index | None:
    """The index whose model, and with --index whose vectors, are taken."""
    path = how["index"] or how["model_of"]
    if how["ref_ids"] and not how["index"]:
        raise click.UsageError("--ref-id names an item of --index INDEX.")
    if path is None:
        return None
    from mmr.index import open_index

    return stack.enter_context(open_index(path))


def _vector_of(index: Index) -> Callable[[str], Any]:
    """What gives the stored vector of an item by id, path or digest; None where there is none."""
    import numpy as np

    def found(name: str) -> Any:
        segments = {segment.number: segment.vectors for segment in index.segments()}
        for number, rows in index.rows_named([name]).items():
            return np.asarray(segments[number][rows[0]], np.float32)
        return None

    return found


def _write(records: Iterable[Record], how: Mapping[str, Any]) -> None:
    from mmr.cli.hits import write_hits

    write_hits(records, how["format_"], how["output"], how["vector_format"])


def _numbers(option: str, texts: Iterable[str]) -> dict[str, float]:
    """What --set gives: numbers by name."""
    found: dict[str, float] = {}
    for text in texts:
        name, _, value = text.partition("=")
        try:
            found[name] = float(value)
        except ValueError:
            raise UsageError(f"{option} {shown(text)}: write NAME=NUMBER.") from None
    return found


def _sweeps(texts: Iterable[str]) -> dict[str, list[float]]:
    """What --sweep gives: several numbers by name."""
    found: dict[str, list[float]] = {}
    for text in texts:
        name, _, values = text.partition("=")
        try:
            found[name] = [float(value) for value in values.split(",")]
        except ValueError:
            raise UsageError(f"--sweep {shown(text)}: write NAME=NUMBER,NUMBER,...") from None
    return found
