"""The steps of `mmr compose` that ask programs for words: captions of pictures, and their edits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import click

from mmr.cli.programs import ASKS, open_cache, say_of_programs
from mmr.cli.report import Report

if TYPE_CHECKING:
    from mmr.programs.ask import Program
    from mmr.stream.records import Record

ASKED = ("caption_cmd", "caption_url", "rewrite_cmd", "rewrite_url")
OPTIONS = (
    click.option("--caption-cmd", metavar="COMMAND", help="A program that captions pictures which have no "
                 "`caption`."),
    click.option("--caption-url", metavar="URL[#MODEL]", help="A model that sees, behind an "
                 "OpenAI-compatible server, in its place."),
    click.option("--rewrite-cmd", metavar="COMMAND", help="A program that edits captions as `text` "
                 "says, where there is no `edited`."),
    click.option("--rewrite-url", metavar="URL[#MODEL]", help="A language model behind such a server, "
                 "in its place."),
    click.option("--style", metavar="NAME|FILE", default="short", show_default=True, help="How a rewriter is "
                 "asked: short, contextual, structural, fashion or focus, or a file of yours."),
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
        from mmr.compose.styles import CAPTION, load_style
        from mmr.programs.ask import open_program

        command, url = how[f"{role}_cmd"], how[f"{role}_url"]
        if not command and not url:
            return None
        chat = caption_chat(load_style(CAPTION), self._count) if role == "caption" else rewrite_chat()
        return stack.enter_context(
            open_program(role, command=command, url=url, chat=chat, cache=self._cache, seconds=how["timeout"])
        )

    def of(self, records: Iterable[Record]) -> Iterator[Record]:
        """Yield the records, with captions and edits where a program was named for them."""
        captioner, rewriter = self._programs
        if captioner is None and rewriter is None:
            yield from records
            return
        from mmr.compose.language import Language

        steps = Language(captioner, rewriter, self._style, count=self._count, reject=self._report)
        yield from steps.of(records, getattr(records, "waits", None))
        if steps.fallen:
            edits = "1 edit is" if steps.fallen == 1 else f"{steps.fallen:,} edits are"
            self._report.note(f"{edits} the modification itself: the reply held none.")
        say_of_programs(self._report, self._cache, captioner, rewriter)


def language(how: Mapping[str, Any], stack: ExitStack, report: Report) -> Words:
    """Start the programs that the options name; they end with `stack`."""
    return Words(how, stack, report)
