"""`mmr fit lexicon`: a list of words and vectors like those to come in, bags of words for vectors out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import click

from mmr.cli import options
from mmr.cli.report import Report

if TYPE_CHECKING:
    from mmr.normalize.vector_fit import Source
    from mmr.normalize.vectors import Change

LONGEST = 2  # words of a text of those that ship

OPTIONS = (
    click.argument("files", metavar="[FILE]...", nargs=-1),
    click.option("--index", "indexes", multiple=True, metavar="INDEX", help="Vectors of an index too, for "
                 "the mean of its items (repeatable)."),
    click.option("--words", required=True, metavar="FILE", help="The list of words: texts with vectors, a "
                 f"term each. `words` are the texts of up to {LONGEST} words that ship with mmr, in ten "
                 "languages, `words:en,de` those of some, which the model of --index embeds."),
    options.template,
)  # fmt: skip


def fitted(
    given: dict[str, Any], report: Report, sources_of: Callable[[Iterable[str]], list[Source]]
) -> Change:
    """Fit a lexicon as the options say.

    sources_of  what reads the files and indexes named
    """
    from mmr.normalize.vector_fit import fit_words
    from mmr.normalize.words import named

    files, indexes, words, templates = (
        given.pop(name) for name in ("files", "indexes", "words", "templates")
    )
    languages = named(words)
    if languages is None and templates:
        raise click.UsageError("--template does nothing without `--words words`.")
    if languages is not None and not indexes:
        raise click.UsageError("`--words words` needs --index, whose model embeds them.")
    if not (files or indexes):
        raise click.UsageError("name files of vectors like those to come, or --index: their mean is needed.")
    if [*files, words].count("-") > 1:
        raise click.UsageError("standard input can be read once: name the others as files.")
    if languages is None:
        (listed,) = sources_of([words])
    else:
        listed = _shipped(languages, indexes[0], templates, report)
    return fit_words(given, listed, sources_of([*files, *indexes]))


def _shipped(languages: list[str], index: str, templates: tuple[str, ...], report: Report) -> Source:
    """The short texts that ship, embedded by the model of an index."""
    from mmr.cli.banks import AT_ONCE, embedder
    from mmr.cli.encoders import Encoders
    from mmr.index import open_index
    from mmr.normalize.words import everyday
    from mmr.stream.records import Place, Record

    name = f"the words of mmr ({', '.join(languages)})"
    texts = [text for text in everyday(languages) if len(text.split()) <= LONGEST]
    asked = [Record({"id": f"w{i}", "text": text}, Place(name, i)) for i, text in enumerate(texts, 1)]
    found: list[Record] = []
    with open_index(index) as opened, ExitStack() as stack:
        embed = embedder(Encoders(opened, None, "auto", "auto", None, report, stack), templates)
        with report.progress("words", len(asked)) as advance:
            for start in range(0, len(asked), AT_ONCE):
                found += embed(asked[start : start + AT_ONCE])
                advance(len(found) - start)
    return name, found
