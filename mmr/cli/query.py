"""`mmr query`: queries in, the same with hits out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import click

from mmr.cli import chances, corrections, options, towers, tune
from mmr.cli.hits import on_terminal, write_hits
from mmr.cli.models import full_name
from mmr.cli.report import Report
from mmr.errors import UsageError, shown

if TYPE_CHECKING:
    from mmr.index import Index
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
@options.fields
@click.option("--with-vectors", is_flag=True, help="Hits carry their vectors (heavy; for export).")
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
    fields: str | None, with_vectors: bool, format_: str | None, vector_format: str, output: str,
    model: str | None, templates: tuple[str, ...], device: str, precision: str, threads: int | None,
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

    from mmr.index import open_index
    from mmr.index.answer import answer, items_as_queries
    from mmr.index.search import HIT_FIELDS, Wanted

    wanted = Wanted(
        top, min_score, tuple(_pair(text) for text in where),
        tuple(fields.split(",")) if fields else HIT_FIELDS, with_vectors, exact, exclude_self, refine,
    )  # fmt: skip
    with open_index(index) as opened, ExitStack() as stack:
        wanted = wanted._replace(knobs=tune.knobs(opened, recall, exact, refine))
        embed = _Embedder(opened, model, templates, device, precision, threads, report, stack)
        if all_items:
            queries: Iterable[Record] = items_as_queries(opened)
        elif read:
            from mmr.stream.read import read_records

            queries = read_records(read, reject=report)
        else:
            queries = _typed(words, images)
        answers = answer(opened, queries, embed, wanted, reject=report, pinned=all_items,
                         model=full_name(model, opened.meta.model))  # fmt: skip
        answers = corrections.told(opened, answers, report)
        answers = chances.chances(opened, answers, min_prob, fitted, report)
        if not (words or images or on_terminal(output)):
            answers = _advancing(answers, report)
        write_hits(_counted(answers, min_score, min_prob, report), format_, output, vector_format)
        embed.keep_tower()


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

    if images and len(words) > 1:
        raise click.UsageError("one TEXT changes the pictures; give several as records with --from.")
    if images:
        found = [{"image": image, **({"text": words[0]} if words else {})} for image in images]
    else:
        found = [{"text": text} for text in words]
    return [Record({"id": default_id(one), **one}, Place("the command line", None)) for one in found]


class _Embedder:
    """Gives vectors to words and pictures: the index's model, loaded when the first one comes.

    Its text tower takes words and its picture tower pictures, where they are at hand without torch.
    """

    def __init__(
        self, index: Index, model: str | None, templates: tuple[str, ...], device: str, precision: str,
        threads: int | None, report: Report, stack: ExitStack,
    ) -> None:  # fmt: skip
        self._index, self._model, self._templates, self._report = index, model, templates, report
        self._how = (device, precision, threads)
        self._stack = stack
        self._towers: dict[bool, Any] = {}
        self._answered = False
        self._whole: Any = None

    def __call__(self, records: Iterable[Record]) -> Iterator[Record]:
        """Yield the records with vectors."""
        from mmr.compose.weighted import weighted
        from mmr.embed.item import Wanted as Made
        from mmr.embed.pipeline import embed_records

        asked = list(records)
        pictures = any("image" in record for record in asked)
        encoder = self._without_torch(pictures) or self._load()
        self._answered |= not pictures and encoder is self._whole
        made = Made(compose=weighted, templates=self._templates, facts=False)
        return embed_records(asked, encoder, made, reject=self._report)

    def _without_torch(self, pictures: bool) -> Any:
        """An encoder that needs no torch, unless the user names another model, device or precision."""
        named = self._how[:2] != ("auto", "auto") or not towers.is_model_of(self._index, self._model)
        if not (pictures in self._towers or named or self._whole is not None):
            self._towers[pictures] = towers.without_torch(self._index, self._report, pictures)
        return self._towers.get(pictures)

    def _load(self) -> Any:
        from mmr.encoders import Closes

        if self._whole is None:
            self._whole = _load(self._index, self._model, *self._how)
            if isinstance(self._whole, Closes):
                self._stack.callback(self._whole.close)
        return self._whole

    def keep_tower(self) -> None:
        """Leave the text tower of a model that had to be loaded for words."""
        if self._answered:
            towers.keep(self._whole, self._report, answered=True)


def _load(index: Index, model: str | None, device: str, precision: str, threads: int | None) -> Any:
    from mmr.encoders import load, model_name
    from mmr.stream.records import check_model

    named = index.meta.model or model
    if named is None:
        what = f"{shown(index.path.name)} does not name the model of its vectors, so it cannot embed a query."
        raise UsageError(what, "Name it with --model, or send queries with vectors.")
    spec = (model or named).rpartition("#")[0] if "#" in (model or named) else (model or named)
    named_by = "" if model else index.path.name
    encoder = load(spec, device=device, precision=precision, threads=threads, named_by=named_by)
    check_model(index.meta.model, model_name(encoder), expected_by=index.path.name, found_by=spec,
                fix="Use the weights that built the index, or build the index again with these.")  # fmt: skip
    return encoder


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
