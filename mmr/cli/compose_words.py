"""`mmr compose describe`, `prompt` and `parse`: captions and edits as words, before any vector is made."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import click

from mmr.cli import options
from mmr.cli.language import ASKED, OPTIONS, STYLE, language, say_of_edits
from mmr.cli.report import Report

if TYPE_CHECKING:
    from mmr.stream.records import Record

_files = click.argument("files", metavar="[FILE]...", nargs=-1)


def _described(function: Any) -> Any:
    """The options of `describe`."""
    for option in reversed(OPTIONS):
        function = option(function)
    return function


@click.command(
    "describe",
    short_help="Captions and edits from programs, and no vectors.",
    help="""Give queries their captions and edits, and nothing else, to be read, edited by hand, and composed.

    What a record has is not asked for.

    \b
    Examples:
      mmr compose describe triplets.jsonl --caption-cmd ./blip.sh --rewrite-cmd ./llm.sh > edited.jsonl
      mmr compose pdv-f --from edited.jsonl | mmr query pics.mmr
    """,
)
@_files
@_described
@options.output
@options.reports("compose")
def describe(report: Report, files: tuple[str, ...], output: str, **how: Any) -> None:
    """Run the language steps alone."""
    if not any(how[name] for name in ASKED):
        named = ", ".join(f"--{name.replace('_', '-')}" for name in ASKED)
        raise click.UsageError(f"name a program, by one of {named}.")
    with ExitStack() as stack:
        _write(language(how, stack, report).of(_read(files, report)), output)


@click.command(
    "prompt",
    short_help="What a rewriter is asked, into the records.",
    help="""Write into each query the messages that ask a language model for its edit, in `messages`.

    A program of yours reads them, puts the model's words into `reply`, and `mmr compose parse` reads those.
    Of several captions each has its messages, in a list of lists. A query with `edited` passes as it is.

    \b
    Examples:
      mmr compose prompt captions.jsonl --style contextual | ./chat.sh | mmr compose parse > edited.jsonl
    """,
)
@_files
@STYLE
@options.output
@options.reports("compose")
def prompt(report: Report, files: tuple[str, ...], style: str, output: str) -> None:
    """Write the messages of a style."""
    from mmr.compose.language import prompted
    from mmr.compose.styles import load_style

    _write(prompted(_read(files, report), load_style(style), report), output)


@click.command(
    "parse",
    short_help="The edit in a rewriter's reply.",
    help="""Read the edit out of a language model's words: from `reply` into `edited`.

    The edit follows the marker on the first line that starts with it. Where there is none, the modification
    itself is the edit; how many were is said at the end.

    \b
    Examples:
      mmr compose parse replies.jsonl | mmr compose cirevl | mmr query pics.mmr
    """,
)
@_files
@STYLE
@options.output
@options.reports("compose")
def parse(report: Report, files: tuple[str, ...], style: str, output: str) -> None:
    """Read replies."""
    from mmr.compose.language import Parser
    from mmr.compose.styles import load_style

    parser = Parser(load_style(style), report)
    _write(parser.of(_read(files, report)), output)
    say_of_edits(report, parser.fallen)


def _read(files: tuple[str, ...], report: Report) -> Iterable[Record]:
    from mmr.stream.read import read_records

    return read_records(options.reads_stdin(files, "FILE"), reject=report)


def _write(records: Iterable[Record], output: str) -> None:
    from mmr.cli.hits import write_hits

    write_hits(records, "jsonl", output, "list")
