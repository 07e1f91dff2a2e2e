"""`mmr query`: queries in, the same with hits out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

import click

from mmr.cli import asking, chances, corrections, knobs, options, towers, tune
from mmr.cli.asking import Asking, check_several
from mmr.cli.encoders import Encoders
from mmr.cli.hits import on_terminal, write_hits
from mmr.cli.models import full_name
from mmr.cli.report import Report
from mmr.errors import shown

if TYPE_CHECKING:
    from mmr.stream.records import Record


@click.command("query")
@click.argument("index", metavar="INDEX")
@click.argument("words", metavar="[TEXT]...", nargs=-1)
@click.option("--image", "images", multiple=True, metavar="FILE", help="Ask with a picture; with TEXT, "
              "the picture as TEXT changes it.")  # fmt: skip
@options.queries_from
@click.option("--all-items", is_flag=True, help="Every item of the index asks for its neighbours.")
@options.top
@click.option("--min-score", type=float, metavar="S", help="Drop hits below S (cosine, -1 to 1).")
@options.min_prob
@click.option("--calibrate", "fitted", metavar="FILE", help="With --min-prob: what `mmr fit calibrate` "
              "learned.  [default: what the index holds]")  # fmt: skip
@click.option("--where", multiple=True, metavar="FIELD=VALUE", help="Only items with that stored value.")
@click.option("--exclude-self", is_flag=True, help="Leave out the item that the query is.")
@click.option("--exact", is_flag=True, help="Compare every vector; ignore graphs, lists and codes.")
@click.option("--refine", type=click.IntRange(1, 1000), metavar="N", help="Compare N candidates a hit "
              "exactly, where graphs, lists or codes are searched.  [default: as indexed]")  # fmt: skip
@tune.share
@knobs.option
@options.fields
@click.option("--with-vectors", is_flag=True, help="Hits carry their vectors (heavy; for export).")
@click.option("--explain", is_flag=True, help="Hits say which terms matched and what each adds, in `terms` "
              "and `why` (kinds sparse and sparse:bm25).")  # fmt: skip
@asking.tokens
@asking.regions
@click.option("--format", "format_", type=click.Choice(["jsonl", "trec", "table", "ids"]), metavar="NAME",
              help="jsonl, trec, table or ids.  [default: table on a terminal, else jsonl]")  # fmt: skip
@options.vector_format
@options.output
@options.model
@options.template
@options.device
@options.precision
@options.threads
@options.reports("query")
def command(
    report: Report, index: str, words: tuple[str, ...], images: tuple[str, ...], queries_from: str | None,
    all_items: bool, top: int, min_score: float | None, min_prob: float | None, fitted: str | None,
    where: tuple[str, ...], exclude_self: bool, exact: bool, refine: int | None, recall: float | None,
    told: tuple[str, ...], fields: str | None, with_vectors: bool, explain: bool, tokens: bool,
    regions: bool, format_: str | None, vector_format: str, output: str, model: str | None,
    templates: tuple[str, ...], device: str, precision: str, threads: int | None,
) -> None:  # fmt: skip
    """Read queries, write each with its hits.

    A query is TEXT, a picture, or a record with a vector, words or a picture, from stdin or --from.

    \b
    Examples:
      mmr query pics.mmr "a red apple" -k 5
      mmr query pics.mmr --image pics/apple.png | jq -r '.hits[].id'
      mmr embed --text "a cat" --text "a dog" | mmr query pics.mmr --format trec
      mmr query pics.mmr --all-items --exclude-self -k 1 --min-score 0.98
      mmr query pics.mmr "a red apple" --calibrate cal.npz --min-prob .5
    """
    chances.check_asked(min_prob, fitted)
    sources = [bool(words or images), queries_from is not None, all_items]
    if sum(sources) > 1:
        raise click.UsageError("ask in one way: TEXT and --image, --from FILE, or --all-items.")
    named = (queries_from,) if queries_from else ()
    read = () if words or images or all_items else options.reads_stdin(named, "--from")
    if words or images:
        towers.few_threads(threads)

    from mmr.index import open_any
    from mmr.index.answer import answer, items_as_queries
    from mmr.index.search import HIT_FIELDS, Wanted

    wanted = Wanted(
        top, min_score, tuple(_pair(text) for text in where),
        tuple(fields.split(",")) if fields else HIT_FIELDS, with_vectors, exact, exclude_self, refine,
        regions=regions, explain=explain,
    )  # fmt: skip
    with open_any(index) as opened, ExitStack() as stack:
        wanted = wanted._replace(knobs=knobs.told(opened, told, recall, exact, refine))
        encoders = Encoders(opened, model, device, precision, threads, report, stack, by_map=True)
        stated = full_name(model, opened.meta.model)
        check_several(opened, {"tokens": tokens, "regions": regions}, all_items)
        embed = Asking(opened, stated, encoders, templates, report, tokens)
        if all_items:
            queries: Iterable[Record] = items_as_queries(opened)
        elif read:
            from mmr.stream.read import read_records

            queries = read_records(read, reject=report)
        else:
            queries = _typed(words, images)
        answers = answer(opened, queries, embed, wanted, reject=report, pinned=all_items,
                         model=stated)  # fmt: skip
        answers = corrections.told(opened, answers, report)
        answers = chances.chances(opened, answers, min_prob, fitted, report)
        if not (words or images or on_terminal(output)):
            answers = _advancing(answers, report)
        answers = _counted(answers, min_score, min_prob, report)
        write_hits(answers, format_, output, vector_format, explain)
        encoders.keep_tower()


def _advancing(answers: Iterable[Record], report: Report) -> Iterator[Record]:
    """Pass the answers on and show how many there were."""
    with report.progress("queries") as advance:
        for record in answers:
            yield record
            advance()


def _pair(text: str) -> tuple[str, str]:
    field, equals, value = text.partition("=")
    if not field or not equals:
        raise click.UsageError(f"--where {shown(text)}: write FIELD=VALUE.")
    return field, value


def _typed(words: tuple[str, ...], images: tuple[str, ...]) -> list[Record]:
    """The queries of the command line: each TEXT, each picture, or each picture changed by one TEXT."""
    from mmr.stream.records import Place, Record, default_id

    options.check_words("TEXT", words)
    if images and len(words) > 1:
        raise click.UsageError("one TEXT changes the pictures; give several as records with --from.")
    if images:
        from mmr.embed.sources import check_any

        check_any(images)
        found = [{"image": image, **({"text": words[0]} if words else {})} for image in images]
    else:
        found = [{"text": text} for text in words]
    return [Record({"id": default_id(one), **one}, Place("the command line", None)) for one in found]


def _counted(
    answers: Iterable[Record], min_score: float | None, min_prob: float | None, report: Report
) -> Iterator[Record]:
    """Pass the answers on and say at the end how many have no hit."""
    empty = 0
    for record in answers:
        empty += not record["hits"]
        yield record
    if empty:
        least = min_score if min_prob is None else min_prob
        bound = "" if least is None else f" at or above {least:g}"
        report.note(f"{empty:,} {'query' if empty == 1 else 'queries'} without a hit{bound}.")
