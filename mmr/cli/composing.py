"""What every `mmr compose METHOD` does: the options, the queries that they name, and the way out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Protocol

import click

from mmr.cli import options
from mmr.cli.language import language
from mmr.cli.methods import sentence
from mmr.cli.report import Report
from mmr.errors import Reject, UsageError, shown

if TYPE_CHECKING:
    from mmr.compose.apply import Method
    from mmr.compose.files import Files
    from mmr.compose.recipes import Recipes
    from mmr.index import AnyIndex
    from mmr.stream.pipe import Records
    from mmr.stream.records import Record


class Writes(Protocol):
    """What turns bound queries into composed ones."""

    def needs(self, have: Iterable[str], lists: Iterable[str] = ()) -> tuple[str, ...]: ...

    def of(self, records: Iterable[Record], reject: Reject) -> Iterator[Record]: ...


TYPED = (
    options.queries_from,
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
VECTOR = (
    click.option("--set", "sets", multiple=True, metavar="NAME=X", help="The number $NAME of an expression."),
    click.option("--fallback", metavar="PRESET", help="For queries that lack a vector."),
    click.option(
        "--on-zero",
        type=click.Choice(["fail", "skip", "text"]),
        default="fail",
        show_default=True,
        help="Of vectors that cancel out: end, leave the query out, or ask with its words.",
    ),
    click.option("--raw", is_flag=True, help="Take vectors as they are, not at length 1."),
    click.option(
        "--into",
        metavar="NAME",
        default="",
        help="Put the result into `bindings` under NAME, for the next `mmr compose`.",
    ),
    click.option(
        "--keep-length", is_flag=True, help="Leave the result as long as it is, for items of an index."
    ),
    click.option(
        "--format",
        "format_",
        type=click.Choice(["jsonl", "npy"]),
        default="jsonl",
        show_default=True,
        metavar="NAME",
        help="jsonl, or npy: blocks of bare vectors.",
    ),
)
REFERENCE = (
    click.option("--exclude-reference", "excludes", flag_value=True, default=None, help="Leave the reference "
                 "out of the hits.  [default: of --image and --ref-id]"),
    click.option("--keep-reference", "excludes", flag_value=False, help="Let the reference come back.  "
                 "[default: of records]"),
)  # fmt: skip
ALL = (
    click.option("--sweep", "sweeps", multiple=True, metavar="NAME=X,X,...", help="One record a setting, "
                 "with the id ID@NAME=X."),
    *REFERENCE,
    click.option("--keep-bindings", is_flag=True, help="Keep all named vectors in the record."),
    click.option("--explain", is_flag=True, help="Write norms, cosines and weights into `explain`."),
    options.vector_format, options.output, options.model, options.model_of, options.template, options.batch,
    options.device, options.precision, options.threads,
)  # fmt: skip


def subcommand(
    name: str, summary: str, words: str, own: Iterable[Any], run: Callable[..., None]
) -> click.Command:
    """A subcommand with its own options and those that all have."""
    decorated: Any = options.reports("compose")(run)
    for add in reversed([*own, *TYPED, *ALL]):
        decorated = add(decorated)
    return click.command(name, help=words, short_help=sentence(summary))(decorated)


def run(report: Report, method: Method | None, how: Mapping[str, Any], typed: str = "folded") -> None:
    """Compose vectors of what the options name and write them.

    method  None for the default composition
    typed   what becomes of several pictures or words of the command line: "folded" or "signed"
    """
    from mmr.compose.apply import Composer, swept
    from mmr.compose.apply import method as named
    from mmr.compose.files import Files, whole_names

    whole = whole_names(method.node) if method is not None else ()
    files = Files(how["binds"], whole, method is not None and _alone(how, method.names))
    if method is not None and _is_bulk(how, files, method):
        _bulk(report, method, how, files)
        return
    settings: list[tuple[str, Method | None]] = [("", method)]
    if how["sweeps"] and method is not None:
        settings = list(swept(method, sweeps(how)))
    fallback = named(how["fallback"]) if how["fallback"] else None
    composer = Composer(settings, fallback=fallback, raw=how["raw"], on_zero=how["on_zero"],
                        explain=how["explain"], keep=how["keep_bindings"],
                        length=how["keep_length"], into=how["into"], constants=files.constants)  # fmt: skip
    with ExitStack() as stack:
        _write(_composed(composer, how, files, typed, report, stack), how)
    if composer.fell_back:
        share = f"{composer.fell_back:,} of {composer.composed:,}"
        report.note(f"{share} composed by {how['fallback']}, for want of a vector.")
    if composer.far:
        far = f"{composer.far:,} of {composer.composed:,} take a vector off more than 0.7 times"
        report.note(f"{far}: hubs come up more often (`mmr eval --hubness` counts them).")


def run_recipes(report: Report, recipes: Recipes, how: Mapping[str, Any], typed: str) -> None:
    """Write the recipes of what the options name.

    typed  "folded", or "clauses": each picture and each text of the command line is one
    """
    import numpy as np

    from mmr.compose.files import Files

    files = Files(how["binds"], alone=_alone(how, recipes.takes))
    recipes.shared = {name: np.atleast_2d(column.rows) for name, column in files.constants.items()}
    with ExitStack() as stack:
        _write(_composed(recipes, how, files, typed, report, stack), {**how, "format_": "jsonl"})


def _alone(how: Mapping[str, Any], names: Iterable[str]) -> bool:
    """Whether the files of --bind hold all that is needed, and nothing else holds queries."""
    from mmr.cli.typed import SAID

    bound = {text.partition("=")[0] for text in how["binds"]}
    other = how["queries_from"] or any(how[name] for name in SAID)
    return bool(bound) and not other and set(names) <= bound


def _is_bulk(how: Mapping[str, Any], files: Files, method: Method) -> bool:
    """Whether bare files are all that is composed, and vectors all that is wanted."""
    alone = _alone(how, method.names)
    plain = (
        not (how["into"] or how["sweeps"] or how["explain"] or how["keep_bindings"])
        and how["on_zero"] != "text"
    )
    to_npy = how["output"].endswith(".npy") or how["format_"] == "npy"
    return alone and plain and to_npy and bool(files.each) and not any(one.pair for one in files.each)


def _bulk(report: Report, method: Method, how: Mapping[str, Any], files: Files) -> None:
    """Compose files of vectors into one."""
    from mmr.compose.bulk import composed, write

    model = _stated(how)
    method = method.of_model(model)
    queries = composed(
        method,
        files.each,
        files.constants,
        raw=how["raw"],
        on_zero=how["on_zero"],
        reject=report,
        length=how["keep_length"],
    )
    count = write(queries, method, how["output"], model, length=how["keep_length"])
    report.note(f"{count:,} queries composed.")


def _stated(how: Mapping[str, Any]) -> str | None:
    """The full name of the model that the options name for vectors that name none."""
    from mmr.cli.models import full_name

    if how["model"] is not None or not (how["model_of"] or how["index"]):
        return full_name(how["model"], None)
    with ExitStack() as stack:
        index = _index(how, stack)
        return index.meta.model if index is not None else None


def _composed(
    composer: Writes, how: Mapping[str, Any], files: Files, mode: str, report: Report, stack: ExitStack
) -> Iterator[Record]:
    """The composed queries of what the options name."""
    from mmr.cli.binder import Binder
    from mmr.cli.encoders import Encoders
    from mmr.cli.typed import SAID, Typed
    from mmr.stream.pipe import Records

    if how["model"] and how["model_of"]:
        raise click.UsageError("--model and --model-of: name the model in one way.")
    index = _index(how, stack)
    encoders = Encoders(index, how["model"], how["device"], how["precision"], how["threads"], report, stack)
    model = index.meta.model if index is not None else None
    vector_of = _vector_of(index) if index is not None and how["index"] else None
    typed = Typed(how, composer, mode) if any(how[name] for name in SAID) else None
    records: Iterable[Record]
    beside: Iterable[Record]
    if typed is not None and how["queries_from"]:
        raise click.UsageError("ask in one way: --image, --text and the like, or --from FILE.")
    if typed is not None and files.each:
        one = files.each[0]
        raise click.UsageError(
            f"--bind {one.name}: {len(one.rows):,} rows, and the command line is one query."
        )
    if typed is not None:
        records = [typed.record(vector_of, model)]
    elif files.each and not how["queries_from"]:
        records = _of_model(files.queries(report), _stated(how))
    else:
        records = _read(how, report)
        waits = records.waits
        beside = files.beside(records) if files.each else records
        records = Records(iter(_excluding(beside, how["excludes"] is True)), waits)
    reject = typed.refuse(report) if typed is not None else report
    binder = Binder(encoders, (typed or composer).needs, templates=how["templates"], batch=how["batch"],
                    given=files.names, stored=vector_of, model=model)  # fmt: skip
    if files.model is not None:
        records = _same_model(records, files.model)
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


def _read(how: Mapping[str, Any], report: Report) -> Records:
    from mmr.stream.read import read_records

    named = (how["queries_from"],) if how["queries_from"] else ()
    return read_records(options.reads_stdin(named, "--from"), reject=report)


def _of_model(records: Iterable[Record], model: str | None) -> Iterator[Record]:
    """Name the model in records that name none."""
    for record in records:
        if model is not None:
            record.setdefault("model", model)
        yield record


def _same_model(records: Iterable[Record], model: str) -> Iterable[Record]:
    """Compare records with the model of the files beside them; what names none is of it."""
    from mmr.stream.pipe import Records
    from mmr.stream.records import check_model

    def checked() -> Iterator[Record]:
        for record in records:
            check_model(record.get("model"), model, expected_by=str(record.place), found_by="--bind")
            record.setdefault("model", model)
            yield record

    return Records(checked(), records.waits if isinstance(records, Records) else lambda: False)


def _excluding(records: Iterable[Record], wanted: bool) -> Iterable[Record]:
    """Leave the reference picture of each query out of its hits, where that is wanted."""
    if not wanted:
        return records
    return map(_excluded, records)


def _excluded(record: Record) -> Record:
    if isinstance(record.get("image"), str):
        record["exclude"] = list(dict.fromkeys([*record.get("exclude", ()), record["image"]]))
    return record


def _index(how: Mapping[str, Any], stack: ExitStack) -> AnyIndex | None:
    """The index whose model, and with --index whose vectors, are taken."""
    path = how["index"] or how["model_of"]
    if how["ref_ids"] and not how["index"]:
        raise click.UsageError("--ref-id names an item of --index INDEX.")
    if path is None:
        return None
    from mmr.cli.stored import entered

    return entered(stack, path)


def _vector_of(index: AnyIndex) -> Callable[[str], Any]:
    """What gives the stored vector of an item by id, path or digest; None where there is none."""
    import numpy as np

    from mmr.index import Remote
    from mmr.index.content import refuse_without_vectors
    from mmr.index.mapped import refuse_mixed

    if isinstance(index, Remote):
        return index.vector_of
    refuse_without_vectors(index, "--index")
    refuse_mixed(index, "--index")

    def found(name: str) -> Any:
        segments = {segment.number: segment.vectors for segment in index.segments()}
        for number, rows in index.rows_named([name]).items():
            return np.asarray(segments[number][rows[0]], np.float32)
        return None

    return found


def _write(records: Iterable[Record], how: Mapping[str, Any]) -> None:
    from mmr.cli.hits import write_hits

    write_hits(records, how["format_"], how["output"], how["vector_format"])


def numbers(option: str, texts: Iterable[str]) -> dict[str, float]:
    """What --set gives: numbers by name."""
    found: dict[str, float] = {}
    for text in texts:
        name, _, value = text.partition("=")
        try:
            found[name] = float(value)
        except ValueError:
            raise UsageError(f"{option} {shown(text)}: write NAME=NUMBER.") from None
    return found


def sweeps(how: Mapping[str, Any]) -> dict[str, list[float]]:
    """What --sweep gives: several numbers by name."""
    found: dict[str, list[float]] = {}
    for text in how["sweeps"]:
        name, _, values = text.partition("=")
        try:
            found[name] = [float(value) for value in values.split(",")]
        except ValueError:
            raise UsageError(f"--sweep {shown(text)}: write NAME=NUMBER,NUMBER,...") from None
    return found
