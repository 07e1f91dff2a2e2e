"""The options that mean the same everywhere, each defined once."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import click

from mmr.cli import status
from mmr.cli.main import BLAS_THREADS
from mmr.cli.report import Report
from mmr.errors import shown

F = TypeVar("F", bound=Callable[..., Any])


def _set_threads(_ctx: click.Context, _param: click.Parameter, value: int | None) -> int | None:
    if value is not None:
        os.environ.update(dict.fromkeys(BLAS_THREADS, str(value)))
    return value


def reports(command: str, *, items: bool = True) -> Callable[[F], Callable[..., int]]:
    """Add --errors, --strict, --quiet and --progress, and hand the command a `Report` as `report`.

    items  False for a command that a bad item stops anyway: it gets --quiet and --progress alone

    The command returns an exit status or None; None becomes 0, or 3 when items were skipped.
    """

    def decorate(function: F) -> Callable[..., int]:
        @click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors.")
        @click.option("--progress", type=click.Choice(["auto", "plain", "none"]), default="auto",
                      show_default=True, help="How to show that work goes on.")  # fmt: skip
        @functools.wraps(function)
        def wrapped(
            *args: Any, quiet: bool, progress: str, errors: str | None = None, strict: bool = not items,
            **kwargs: Any,
        ) -> int:  # fmt: skip
            with Report(command, quiet=quiet, strict=strict, progress=progress, errors=errors) as report:
                code = function(*args, report=report, **kwargs)
            if code is not None:
                return int(code)
            return status.SKIPPED if report.failed else status.DONE

        return _errors(_strict(wrapped)) if items else wrapped

    return decorate


_errors = click.option("--errors", metavar="FILE", help="Write rejected records to FILE, to feed back.")
_strict = click.option("--strict", is_flag=True, help="Stop at the first bad item.")


threads = click.option(
    "--threads", type=click.IntRange(min=1), callback=_set_threads, is_eager=True, metavar="N",
    help="Threads for arithmetic.  [default: 1 for search, the processors at hand for models]",
)  # fmt: skip
output = click.option(
    "-o", "--output", metavar="FILE", default="-", show_default=True,
    help="Where to write; `-` is standard output. FILE appears whole or not at all.",
)  # fmt: skip
vector_format = click.option(
    "--vector-format", type=click.Choice(["list", "base64"]), default="list", show_default=True,
    help="Vectors in JSONL as numbers or as base64 of little-endian float32.",
)  # fmt: skip
top = click.option("-k", "top", type=click.IntRange(min=1), default=10, show_default=True, metavar="N",
                   help="Hits per query.")  # fmt: skip
min_prob = click.option("--min-prob", type=click.FloatRange(0, 1), metavar="P",
                        help="Write chances of relevance as scores, and drop hits below P; needs a file of "
                        "`mmr fit calibrate`.")  # fmt: skip
queries_from = click.option("--from", "queries_from", metavar="FILE",
                            help="Queries: JSONL, TSV with a header, or NPY; `-` is stdin.")  # fmt: skip
model = click.option("--model", metavar="SPEC", help="The encoder, a spec or a short name (`mmr embed "
                     "--list-models`).  [default: $MMR_MODEL, else builtin]")  # fmt: skip
model_of = click.option("--model-of", metavar="INDEX", help="The encoder that INDEX was built with.")
device = click.option("--device", default="auto", show_default=True, metavar="NAME",
                      help="Where torch runs: auto, cpu, cuda, cuda:1, mps.")  # fmt: skip
precision = click.option(
    "--precision", type=click.Choice(["auto", "fp32", "bf16", "fp16"]), default="auto", show_default=True,
    help="Arithmetic of torch models; auto is bf16 where the processor has it.",
)  # fmt: skip
batch = click.option("--batch", type=click.IntRange(min=1), default=32, show_default=True, metavar="N",
                     help="Items that the model takes at a time.")  # fmt: skip
template = click.option("--template", "templates", multiple=True, metavar="TEXT",
                        help="Put words into TEXT at {}; several are averaged.")  # fmt: skip
seed = click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, metavar="N",
                    help="Of every random draw.")  # fmt: skip
fields = click.option("--fields", metavar="NAME,...", help="Which stored fields a hit carries.  "
                      "[default: image,text]")  # fmt: skip


def reads_stdin(files: tuple[str, ...], what: str) -> tuple[str, ...]:
    """The inputs to read: the named files, else stdin; a terminal with nothing named gets the help.

    Raises `click.UsageError` when stdin is a terminal or closed and nothing was named.
    """
    if files:
        return files
    if sys.stdin is None:
        raise click.UsageError(f"standard input is closed. Name a file with {what}, or pipe them in.")
    if sys.stdin.isatty():
        context = click.get_current_context()
        click.echo(context.get_help(), err=True)
        context.exit(status.USAGE)
    return ("-",)


def check_words(option: str, texts: Iterable[str]) -> None:
    """Refuse words of the command line that are not UTF-8, which no record could hold."""
    odd = next((text for text in texts if any("\ud800" <= one <= "\udfff" for one in text)), None)
    if odd is not None:
        raise click.UsageError(f"{option} {shown(odd)} is not UTF-8.")
