"""What commands share that ask programs: the cache of answers and the time limit."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mmr.cli.report import Report

if TYPE_CHECKING:
    from mmr.programs.cache import Cache

CACHE = click.option("--cache", metavar="FILE", help="Where answers are kept, so that nothing is asked "
                      "twice.  [default: answers.sqlite in the cache folder]")  # fmt: skip
NO_CACHE = click.option("--no-cache", is_flag=True, help="Keep no answers beyond this run.")
TIMEOUT = click.option("--timeout", type=click.FloatRange(min=0.1), default=120.0, show_default=True,
                        metavar="SECONDS", help="How long a program or a server may take for one "
                        "answer.")  # fmt: skip
ASKS = (TIMEOUT, CACHE, NO_CACHE)


def open_cache(cache: str | None, no_cache: bool, stack: ExitStack) -> Cache:
    """Open the cache that the options name; it is closed with `stack`.

    Without a folder that can be written, answers are kept for this run alone.
    """
    from mmr.errors import OutputError
    from mmr.programs.cache import Cache

    if cache is not None and no_cache:
        raise click.UsageError("--cache and --no-cache: name one of them.")
    if cache is not None or no_cache:
        return stack.enter_context(Cache(None if cache is None else Path(cache)))
    from mmr.encoders.weights import cache_folder

    try:
        path = cache_folder() / "answers.sqlite"
        path.parent.mkdir(parents=True, exist_ok=True)
        return stack.enter_context(Cache(path))
    except (OSError, OutputError):
        return stack.enter_context(Cache(None))


def say_of_programs(report: Report, cache: Cache, *programs: Any) -> None:
    """Say how many answers were there before, and how many came twice."""
    if cache.found:
        answers = "1 answer was" if cache.found == 1 else f"{cache.found:,} answers were"
        report.note(f"{answers} in the cache and not asked for again.")
    repeated = sum(program.repeated for program in programs if program is not None)
    if repeated:
        times = "once" if repeated == 1 else f"{repeated:,} times"
        report.note(f"a program answered {times} what it had answered before; the first answer counts.")
