"""The command tree as the man pages and the completions need it: read from click, nothing else."""

from __future__ import annotations

from typing import NamedTuple

import click

from mmr.cli.main import cli
from mmr.cli.methods import Methods
from mmr.cli.table import COMMANDS

FOLDERS = ("INDEX",)
FILES = ("FILE", "PATH", "FOLDER", "[FILE]...", "[PATH]...")


class Option(NamedTuple):
    """One option: its names, what its value is called ("" of a switch), its help as `--help` has it.

    choices  the values that it takes, where they are few and known
    files    the value is a file or a folder
    methods  the methods of the command that have it; none where all do, or there are no methods
    """

    names: tuple[str, ...]
    value: str
    help: str
    choices: tuple[str, ...]
    files: bool
    methods: tuple[str, ...] = ()


class Command(NamedTuple):
    """One command: its name, its summary, its usage after the name, its options and those of its methods.

    An option stands there once for each help text that it has.
    """

    name: str
    summary: str
    usage: tuple[str, ...]
    options: tuple[Option, ...]
    examples: tuple[str, ...]
    methods: tuple[tuple[str, str], ...] = ()

    @property
    def distinct(self) -> list[Option]:
        """The options, each name once."""
        return list({option.names: option for option in reversed(self.options)}.values())[::-1]


def commands() -> list[Command]:
    """Every command of the table."""
    return [_command(row.name, row.summary, _loaded(row.name)) for row in COMMANDS]


def program() -> Command:
    """`mmr` itself."""
    return _command("", cli.help.split(":")[0] if cli.help else "", cli)


def _loaded(name: str) -> click.Command:
    command = cli.get_command(click.Context(cli, info_name="mmr"), name)
    assert command is not None
    return command


def _command(name: str, summary: str, command: click.Command) -> Command:
    context = click.Context(command, info_name=name or "mmr", **cli.context_settings)
    options = _options(command, context)
    usage = tuple(command.collect_usage_pieces(context))
    examples = _examples(command.help or "")
    if not isinstance(command, Methods):
        return Command(name, summary, usage, tuple(options), examples)
    own = {option.names for option in options}
    having: dict[Option, list[str]] = {}
    for method in command.list_commands(context):
        found = command.get_command(context, method)
        assert found is not None
        examples += tuple(line for line in _examples(found.help or "") if line not in examples)
        for option in _options(found, context):
            having.setdefault(option, []).append(method)
    for option, methods in having.items():
        if option.names not in own:
            every = len(methods) == len(command.methods)
            options.append(option._replace(methods=() if every else tuple(methods)))
    return Command(name, summary, usage, tuple(options), examples, tuple(command.methods))


def _options(command: click.Command, context: click.Context) -> list[Option]:
    return [
        _option(parameter, context)
        for parameter in command.get_params(context)
        if isinstance(parameter, click.Option) and not parameter.hidden
    ]


def _option(parameter: click.Option, context: click.Context) -> Option:
    record = parameter.get_help_record(context)
    assert record is not None, f"{parameter.name} has no help"
    names = tuple(sorted([*parameter.opts, *parameter.secondary_opts], key=len))
    value = ""
    if not parameter.is_flag and not parameter.count:
        value = record[0].rsplit(" ", 1)[1]
    choices = tuple(map(str, parameter.type.choices)) if isinstance(parameter.type, click.Choice) else ()
    if value == "SPEC":
        from mmr.encoders.table import DEFAULT, SHORT

        choices = (DEFAULT, *(short.name for short in SHORT))
    if value == "KIND":
        from mmr.index.table import KINDS

        choices = tuple(row.name for row in KINDS)
    return Option(names, value, record[1], choices, value in (*FILES, *FOLDERS))


def _examples(text: str) -> tuple[str, ...]:
    """The example lines of a command's help."""
    lines = text.partition("Examples:\n")[2].splitlines()
    return tuple(line.strip() for line in lines if line.startswith("  "))
