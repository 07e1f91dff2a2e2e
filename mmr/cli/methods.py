"""A command whose methods are subcommands: named from a table, made when one is named."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import click

from mmr.cli.status import USAGE

Made = Callable[[str], click.Command]
Plugged = Callable[[], Sequence[tuple[Any, str]]]


class Methods(click.Group):
    """Subcommands of a table, and those of plug-ins once a name is unknown or help is asked for.

    methods  names and summaries, in the table's order
    made     makes the command of a name
    plugged  gives what plug-ins add: (row with `name` and `summary`, "") or (name, why it cannot be used)
    """

    def __init__(
        self, *, methods: Sequence[tuple[str, str]], made: Made, plugged: Plugged = tuple, **more: Any
    ) -> None:
        super().__init__(subcommand_metavar="METHOD ...", **more)
        self.methods = methods
        self._made, self._plugged = made, plugged

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Show the help where no method is named."""
        if not args:
            click.echo(ctx.get_help(), err=True)
            ctx.exit(USAGE)
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the table's order."""
        return [name for name, _ in self.methods]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Make the command of a method; None where neither the table nor a plug-in has it."""
        known = cmd_name in self.list_commands(ctx) or any(
            not isinstance(row, str) and row.name == cmd_name for row, _ in self._plugged()
        )
        return self._made(cmd_name) if known else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the summaries, also of what plug-ins add or would add."""
        with formatter.section("Methods"):
            formatter.write_dl([(name, sentence(summary)) for name, summary in self.methods])
        rows = [(row, f"Broken: {problem}") if isinstance(row, str) else (row.name, sentence(row.summary))
                for row, problem in self._plugged()]  # fmt: skip
        if rows:
            with formatter.section("Of plug-ins"):
                formatter.write_dl(rows)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Name near matches of an unknown method."""
        name = args[0]
        if not name.startswith("-") and self.get_command(ctx, name) is None:
            from difflib import get_close_matches

            near = get_close_matches(name, self.list_commands(ctx), n=1)
            hint = (
                f" Did you mean {near[0]!r}?"
                if near
                else f" There are: {', '.join(self.list_commands(ctx))}."
            )
            raise click.UsageError(f"no such method {name!r}.{hint}", ctx)
        return super().resolve_command(ctx, args)


def sentence(words: str) -> str:
    """Words with a capital and a full stop."""
    return f"{words[0].upper()}{words[1:]}."
