"""A command whose methods are subcommands: named from a table, made when one is named."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import click

from mmr.cli.status import USAGE

Made = Callable[[str], click.Command]


class Methods(click.Group):
    """Subcommands of a table.

    methods  names and summaries, in the table's order
    made     makes the command of a name
    """

    def __init__(self, *, methods: Sequence[tuple[str, str]], made: Made, **more: Any) -> None:
        super().__init__(subcommand_metavar="METHOD ...", **more)
        self.methods = methods
        self._made = made

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
        """Make the command of a method; None where the table has none."""
        return self._made(cmd_name) if cmd_name in self.list_commands(ctx) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table's summaries."""
        with formatter.section("Methods"):
            formatter.write_dl([(name, sentence(summary)) for name, summary in self.methods])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Name near matches of an unknown method."""
        name = args[0]
        if name not in self.list_commands(ctx) and not name.startswith("-"):
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
