"""The steps of `mmr compose` that ask programs for words: captions of pictures, and their edits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import click

from mmr.cli.programs import ASKS, open_cache, say_of_programs
from mmr.cli.report import Report

if TYPE_CHECKING:
    from mmr.compose.language import Language
    from mmr.programs.ask import Program
    from mmr.stream.records import Record

ASKED = ("caption_cmd", "caption_url", "rewrite_cmd", "rewrite_url")
STYLE = click.option(
    "--style", metavar="NAME|FILE", default="short", show_default=True,
    help="How a rewriter is asked: short, contextual, structural, fashion, focus, or a file.",
)  # fmt: skip
OPTIONS = (
    click.option("--caption-cmd", metavar="COMMAND", help="A program that captions pictures which have no "
                 "`caption`."),
    click.option("--caption-url", metavar="URL[#MODEL]", help="A model that sees, behind an "
                 "OpenAI-compatible server, in its place."),
    click.option("--rewrite-cmd", metavar="COMMAND", help="A program that edits captions as `text` "
                 "says, where there is no `edited`."),
    click.option("--rewrite-url", metavar="URL[#MODEL]", help="A language model behind such a server, "
                 "in its place."),
    STYLE,
    click.option("--captions", "how_many", type=click.IntRange(1, 100), default=1, show_default=True,
                 metavar="K", help="Captions of each picture; every one is edited."),
    *ASKS,
)  # fmt: skip


class Words:
    """The language steps of one run, or none; `of` fills in the captions and edits of records."""

    def __init__(self, how: Mapping[str, Any], stack: ExitStack, report: Report) -> None:
        from mmr.compose.styles import load_style

        self._report = report
        self._style = load_style(how["style"])
        self._count = how["how_many"]
        self._programs: list[Program | None] = [None, None]
        for role, other in (("caption", "caption_url"), ("rewrite", "rewrite_url")):
            if how[f"{role}_cmd"] and how[other]:
                raise click.UsageError(f"--{role}-cmd and --{role}-url: name one of them.")
        if not any(how[name] for name in ASKED):
            return
        self._cache = open_cache(how["cache"], how["no_cache"], stack)
        self._programs = [self._open(role, how, stack) for role in ("caption", "rewrite")]

    def _open(self, role: str, how: Mapping[str, Any], stack: ExitStack) -> Program | None:
        from mmr.compose.chats import caption_chat, rewrite_chat
        from mmr.compose.language import captions_in, edits_in, fault
        from mmr.compose.styles import CAPTION, load_style
        from mmr.programs.ask import open_program

        command, url = how[f"{role}_cmd"], how[f"{role}_url"]
        if not command and not url:
            return None
        captions = role == "caption"
        chat = caption_chat(load_style(CAPTION), self._count) if captions else rewrite_chat()
        check = fault(
            (lambda fields: captions_in(fields, self._count))
            if captions
            else (lambda fields: edits_in(fields, self._style))
        )
        program = open_program(role, command=command, url=url, chat=chat, cache=self._cache,
                               seconds=how["timeout"], check=check)  # fmt: skip
        return stack.enter_context(program)

    def of(self, records: Iterable[Record]) -> Iterable[Record]:
        """The records, with captions and edits where a program was named for them."""
        captioner, rewriter = self._programs
        if captioner is None and rewriter is None:
            return records
        from mmr.compose.language import Language
        from mmr.stream.pipe import Records

        steps = Language(captioner, rewriter, self._style, count=self._count, reject=self._report)
        filled = steps.of(records)
        return Records(self._told(filled, steps), filled.waits)

    def _told(self, records: Iterable[Record], steps: Language) -> Iterator[Record]:
        """Pass the records on and say at the end what came of asking."""
        yield from records
        say_of_edits(self._report, steps.fallen)
        say_of_programs(self._report, self._cache, *self._programs)


def say_of_edits(report: Report, fallen: int) -> None:
    """Say how many edits fell back."""
    if fallen:
        edits = "1 edit is" if fallen == 1 else f"{fallen:,} edits are"
        report.note(f"{edits} the modification itself: the reply held none.")


def language(how: Mapping[str, Any], stack: ExitStack, report: Report) -> Words:
    """Start the programs that the options name; they end with `stack`."""
    return Words(how, stack, report)
