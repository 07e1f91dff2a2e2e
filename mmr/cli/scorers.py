"""What commands share that ask a scorer: which program or server, and what is said of it at the end."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import click

from mmr.cli.programs import ASKS, open_cache, say_of_programs
from mmr.cli.report import Report

if TYPE_CHECKING:
    from mmr.programs.ask import Program
    from mmr.programs.child import Check
    from mmr.programs.endpoint import Chat

CMD = click.option("--cmd", metavar="COMMAND", help="The program that scores: its words are split as a shell "
                   "would, and no shell runs them.")  # fmt: skip
URL = click.option("--url", metavar="URL[#MODEL]", help="A model behind an OpenAI-compatible server that "
                   "gives log-probabilities, in its place.")  # fmt: skip
OPTIONS = (CMD, URL, *ASKS)
NAMES = ("cmd", "url", "timeout", "cache", "no_cache")


def scorer_of(
    how: dict[str, Any], report: Report, stack: ExitStack
) -> Callable[[Chat | None, Check], Program] | None:
    """Take the options of a scorer out of `how`; return what starts it, None where none is named.

    It is closed with `stack`, and what the cache knew is said then.
    """
    cmd, url, timeout, cache, no_cache = (how.pop(name) for name in NAMES)
    if cmd and url:
        raise click.UsageError("--cmd and --url: name one of them.")
    if not cmd and not url:
        return None

    def start(chat: Chat | None, check: Check) -> Program:
        from mmr.programs.ask import open_program

        if url and chat is None:
            raise click.UsageError(
                "a server gives the probabilities of its first token alone: --url wants --method yes-no."
            )
        held = open_cache(cache, no_cache, stack)
        program = open_program(
            "score", command=cmd, url=url, chat=chat, cache=held, seconds=timeout, check=check
        )
        stack.callback(say_of_programs, report, held, program)
        return stack.enter_context(program)

    return start
