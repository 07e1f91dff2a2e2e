"""The entry point: find the command, run it, turn every error into words and an exit status."""

from __future__ import annotations

import importlib
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import Any

import click

from mmr import __version__
from mmr.cli import status
from mmr.cli.table import COMMANDS

BLAS_THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


class Terminated(BaseException):
    """SIGTERM: unwind, so that temporary files go, then die of the signal."""


class Commands(click.Group):
    """The commands of the table, each imported when it is named."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the table's order."""
        return [row.name for row in COMMANDS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command of that name; None where the table has none."""
        for row in COMMANDS:
            if row.name == cmd_name:
                module, _, attribute = row.loads.partition(":")
                command: click.Command = getattr(importlib.import_module(module), attribute)
                return command
        return None

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; a closed pipe ends it with status 0, where click itself would say 1."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            ctx.exit(status.DONE)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table's summaries; no command is imported."""
        with formatter.section("Commands"):
            formatter.write_dl([(row.name, row.summary) for row in COMMANDS])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Name near matches of an unknown command."""
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-"):
            from difflib import get_close_matches

            near = get_close_matches(name, self.list_commands(ctx), n=1)
            hint = f" Did you mean {near[0]!r}?" if near else " `mmr --help` lists the commands."
            raise click.UsageError(f"no such command {name!r}.{hint}", ctx)
        return super().resolve_command(ctx, args)


def print_version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    """Print the version; with --verbose also what it runs on."""
    if not value or ctx.resilient_parsing:
        return
    click.echo(f"mmr {__version__}")
    if ctx.params.get("verbose"):
        from mmr.cli.version import facts

        click.echo("\n".join(f"{name:<16}{value}" for name, value in facts()))
    ctx.exit()


@click.group(
    cls=Commands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="`mmr COMMAND --help` shows a command's options; `man mmr` tells more.",
)
@click.option("--verbose", is_flag=True, is_eager=True, help="With --version: libraries, BLAS, plug-ins.")
@click.option("--version", is_flag=True, expose_value=False, callback=print_version,
              help="Show the version and leave.")  # fmt: skip
@click.option("--debug", is_flag=True, envvar="MMR_DEBUG", help="Show the traceback of an error.")
@click.pass_context
def cli(ctx: click.Context, verbose: bool, debug: bool) -> None:
    """Unix tools for multimodal retrieval: search pictures by words and by pictures.

    \b
    Examples:
      mmr embed pics/ | mmr index pics.mmr
      mmr query pics.mmr "a red apple" -k 5
      mmr query pics.mmr --image pics/apple.png | mmr show --html out.html
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help(), err=True)
        ctx.exit(status.USAGE)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit status; errors become one block on stderr."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    verb = next((f" {word}" for word in words if not word.startswith("-")), "")
    verb = verb if verb.strip() in {row.name for row in COMMANDS} else ""
    debug = "--debug" in words or bool(os.environ.get("MMR_DEBUG"))
    try:
        result = cli.main(args=words, prog_name="mmr", standalone_mode=False)
        close_stdout()
        return result if isinstance(result, int) else status.DONE
    except click.exceptions.Exit as leave:
        return leave.exit_code
    except click.UsageError as error:
        say(f"mmr{verb}: {with_help(error, verb)}")
        return status.USAGE
    except (click.Abort, KeyboardInterrupt):
        return status.INTERRUPTED
    except BrokenPipeError:
        return status.DONE
    except Exception as error:
        if debug:
            raise
        say(f"mmr{verb}: {status.words(error)}")
        return status.of(error)


def with_help(error: click.UsageError, verb: str) -> str:
    """What is wrong, and the help that shows how: of the method where one was named."""
    message = error.format_message()
    if " --help`" in message:
        return message
    path = error.ctx.command_path if error.ctx is not None else f"mmr{verb}"
    return f"{message}\n  `{path} --help` shows how."


def say(text: str) -> None:
    """Write one block on stderr; a stderr that is closed or full changes nothing."""
    try:
        click.echo(text, err=True)
    except (OSError, AttributeError):
        return


def close_stdout() -> None:
    """Flush what is left, so that a full disk or a closed pipe shows now and not after the exit status."""
    if sys.stdout is not None:
        sys.stdout.flush()


def on_sigterm(_signum: int, _frame: FrameType | None) -> None:
    """Turn SIGTERM into an exception that unwinds."""
    raise Terminated


def leave(code: int) -> None:
    """Exit at once with `code`; an unwritten rest of stdout (closed pipe, full disk) was reported already."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            try:
                stream.flush()
            except (OSError, ValueError):
                os.dup2(devnull, stream.fileno())
    sys.exit(code)


def main() -> Any:
    """Run `mmr` as a program: one BLAS thread unless the user set another number, signals, exit status."""
    for name in BLAS_THREADS:
        os.environ.setdefault(name, "1")
    signal.signal(signal.SIGTERM, on_sigterm)
    try:
        if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        code = run()
    except Terminated:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTERM)
        code = 128 + signal.SIGTERM
    leave(code)
