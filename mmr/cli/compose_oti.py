"""`mmr compose oti` and `mmr compose encoder`: queries that a model makes of picture and words itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, TypeVar

import click

from mmr.cli import options
from mmr.cli.composing import REFERENCE
from mmr.cli.report import Report
from mmr.encoders.inversion import SEARLE

if TYPE_CHECKING:
    from mmr.cli.encoders import Encoders
    from mmr.encoders import Encoder
    from mmr.stream.records import Record

F = TypeVar("F", bound=Callable[..., Any])
FORMAT = click.option("--format", "format_", type=click.Choice(["jsonl", "npy"]), default="jsonl",
                      show_default=True, metavar="NAME", help="jsonl, or npy: bare vectors.")  # fmt: skip
ASKED = (
    click.option("--from", "queries_from", metavar="FILE", help="Queries: JSONL, TSV with a header, or NPY; "
                 "`-` is stdin."),
    click.option("--image", "images", multiple=True, metavar="FILE", help="The reference picture "
                 "(repeatable)."),
    click.option("--text", metavar="WORDS", help="What is asked of it."),
    *REFERENCE,
)  # fmt: skip
WRITTEN = (
    FORMAT, options.vector_format, options.output, options.model, options.model_of, options.batch,
    options.device, options.precision, options.threads,
)  # fmt: skip
LEARNED = (
    click.option("--steps", type=click.IntRange(1, 10_000), default=SEARLE.steps, show_default=True,
                 metavar="N", help="Steps of AdamW for each picture."),
    click.option("--rate", type=click.FloatRange(1e-6, 10), default=SEARLE.rate, show_default=True,
                 metavar="X", help="Its learning rate."),
    click.option("--decay", type=click.FloatRange(0, 1), default=SEARLE.decay, show_default=True, metavar="X",
                 help="Its weight decay."),
    click.option("--ema", type=click.FloatRange(0, 1, max_open=True), default=SEARLE.ema, show_default=True,
                 metavar="X", help="The share of the running mean that stays at each step; 0 takes the last "
                 "embeddings."),
    click.option("--tokens", type=click.IntRange(1, 16), default=SEARLE.tokens, show_default=True,
                 metavar="N", help="How many token embeddings stand for a picture."),
    options.template, options.seed,
    click.option("--keep-bindings", is_flag=True, help="Keep v, t_r and t_c in the record."),
)  # fmt: skip


def _with(*groups: Iterable[Any]) -> Callable[[F], F]:
    """Add groups of options, in their order."""

    def add(function: F) -> F:
        for option in reversed([one for group in groups for one in group]):
            function = option(function)
        return function

    return add


@click.command(
    "oti",
    short_help="A word learned from the picture, put into the words.",
    help="""Learn token embeddings that say what a picture shows, and put them into the words, at {}.

    Words without {} follow "a photo of {} that". Needs a model of open_clip, and gradients through its text
    tower: seconds a picture on a processor. The embeddings are seeded, and the same in any batch.

    (Baldrati et al. 2023, SEARLE, its optimization without the loss on phrases; Mistretta et al. 2025, Cross
    the Gap, are --steps 150 --ema 0)

    \b
    Examples:
      mmr compose oti --image ref.jpg --text "that is {}, but as a sketch" --model clip | mmr query pics.mmr
      mmr compose oti --from triplets.jsonl --model clip --keep-bindings | mmr compose pdv-f
    """,
)
@_with(ASKED, LEARNED, WRITTEN)
@options.reports("compose")
def oti(report: Report, **how: Any) -> None:
    """Invert pictures."""
    from mmr.cli.binder import Binder
    from mmr.compose.inverted import Inverter
    from mmr.encoders.inversion import Inversion, injecting

    learn = Inversion(how["steps"], how["rate"], how["decay"], how["tokens"], how["ema"],
                      how["templates"] or Inversion.templates, how["seed"])  # fmt: skip
    with ExitStack() as stack:
        queries = _with_pictures(_queries(how, report), report)
        encoders, encoder = _encoder(how, report, stack, exact=True)
        injects = injecting(encoder)
        records = Binder(encoders, lambda _have, _lists: ("v",), batch=how["batch"]).of(queries, report)
        inverter = Inverter(injects, learn, batch=how["batch"], keep=how["keep_bindings"])
        _write(inverter.of(records, report), how)
        encoders.keep_tower()


@click.command(
    "encoder",
    short_help="One vector of picture and words, by a model that takes both.",
    help="""Let an encoder that takes a picture and words at once make the query.

    A program (`--model cmd:PROGRAM`) says that it can by "compose": true in its first line, a plug-in by a
    method `compose`. The index must hold vectors of the same encoder.

    \b
    Examples:
      mmr compose encoder --model "cmd:./magiclens.sh" --image apple.png --text "at night" > q.jsonl
    """,
)
@_with(ASKED, WRITTEN)
@options.reports("compose")
def native(report: Report, **how: Any) -> None:
    """Compose by the encoder."""
    from mmr.compose.native import Native
    from mmr.encoders import Composes, model_name
    from mmr.errors import UsageError

    with ExitStack() as stack:
        queries = _queries(how, report)
        _, encoder = _encoder(how, report, stack)
        if not isinstance(encoder, Composes):
            what = f"{encoder.spec} does not take a picture and words at once"
            raise UsageError(what, "Compose its vectors: `mmr compose weighted`.")
        composer = Native(encoder, model_name(encoder), batch=how["batch"])
        _write(composer.of(queries, report), how)


def _encoder(
    how: Mapping[str, Any], report: Report, stack: ExitStack, exact: bool = False
) -> tuple[Encoders, Encoder]:
    """What gives the encoder, and the whole of it.

    exact  at fp32, unless the options say otherwise: small steps get lost at less
    """
    from mmr.cli.encoders import Encoders
    from mmr.cli.stored import entered
    from mmr.encoders import resolve
    from mmr.encoders.table import find

    if how["model"] and how["model_of"]:
        raise click.UsageError("--model and --model-of: name the model in one way.")
    index = entered(stack, how["model_of"]) if how["model_of"] else None
    precision = how["precision"]
    if exact and precision == "auto":
        known = index.meta.model if index is not None and not how["model"] else None
        spec = known.rpartition("#")[0] if known else resolve(how["model"])
        precision = "fp32" if "precision" in find(spec).options else "auto"
    encoders = Encoders(index, how["model"], how["device"], precision, how["threads"], report, stack)
    return encoders, encoders.whole()


def _queries(how: Mapping[str, Any], report: Report) -> Iterable[Record]:
    """The queries of the command line, or of a file."""
    if how["images"]:
        if how["queries_from"]:
            raise click.UsageError("ask in one way: --image, or --from FILE.")
        return _typed(how)
    if how["text"] is not None:
        raise click.UsageError("--text goes with --image; records have their own words.")
    from mmr.stream.read import read_records

    named = (how["queries_from"],) if how["queries_from"] else ()
    records = read_records(options.reads_stdin(named, "--from"), reject=report)
    return map(_excluded, records) if how["excludes"] else records


def _typed(how: Mapping[str, Any]) -> Iterator[Record]:
    from mmr.stream.records import Place, Record, normal_path

    for path in map(normal_path, how["images"]):
        words = {} if how["text"] is None else {"text": how["text"]}
        record = Record({"id": path, "image": path, **words}, Place("the command line", None))
        yield record if how["excludes"] is False else _excluded(record)


def _excluded(record: Record) -> Record:
    if isinstance(record.get("image"), str):
        record["exclude"] = list(dict.fromkeys([*record.get("exclude", ()), record["image"]]))
    return record


def _with_pictures(records: Iterable[Record], report: Report) -> Iterator[Record]:
    """Pass on the records that have a picture, or its vector."""
    from mmr.compose.native import refused

    for record in records:
        if record.get("image") or "v" in record.get("bindings", {}):
            yield record
        else:
            report(refused(record, "has no picture", 'give it "image", or v in "bindings"'))


def _write(records: Iterable[Record], how: Mapping[str, Any]) -> None:
    from mmr.cli.hits import write_hits

    write_hits(records, how["format_"], how["output"], how["vector_format"])
