"""What a command says on stderr: bad items, warnings, progress, and the closing line."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, BinaryIO, Protocol

import click

from mmr.errors import BadItem

PLAIN_SECONDS = 10.0
SAME = 20  # bad items of one kind that are named one by one
KINDS = 1000  # kinds of bad items that are told apart


class Advance(Protocol):
    """Tell a progress display that `steps` more items are done."""

    def __call__(self, steps: int = 1) -> None: ...


class Report:
    """The talk of one run: it is the `Reject` of every library call and holds the shared switches.

    command   "embed": named at the start of each line
    quiet     nothing but errors
    strict    the first bad item ends the run
    progress  "auto", "plain" or "none"
    errors    where rejected records go, one JSON object a line
    """

    def __init__(
        self, command: str, *, quiet: bool = False, strict: bool = False,
        progress: str = "auto", errors: str | None = None,
    ) -> None:  # fmt: skip
        self.command = command
        self.quiet = quiet
        self.strict = strict
        self.progress_kind = progress
        self.failed = 0
        self._stack = ExitStack()
        self._errors: BinaryIO | None = None
        self._errors_path = errors
        self._same: Counter[tuple[str, str]] = Counter()

    def __enter__(self) -> Report:
        if self._errors_path is not None:
            from mmr.stream.files import whole_file

            self._errors = self._stack.enter_context(whole_file(self._errors_path))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        self._count_same()
        self._stack.close()

    def __call__(self, item: BadItem) -> None:
        """Report, count and keep one bad item; with `strict` raise it.

        Of items with one and the same fault the first is told in full, some more without what to do, and
        the rest are counted at the end.
        """
        self.failed += 1
        if self._errors is not None:
            from mmr.stream.records import dump

            record = dict(item.record) if item.record is not None else {"where": item.where}
            self._errors.write(dump({**record, "error": item.what, "stage": item.stage}))
        if self.strict:
            raise item
        fault = item.what, item.fix
        if fault not in self._same and len(self._same) >= KINDS:
            self.say(str(item))
            return
        self._same[fault] += 1
        if self._same[fault] <= SAME:
            self.say(str(item) if self._same[fault] == 1 else f"{item.where}: {item.what}")

    def _count_same(self) -> None:
        """Say how many bad items were not named, a line a fault."""
        for (what, _), count in self._same.items():
            if count > SAME:
                more = f"{count - SAME:,} more like these ({what})"
                self.say(more if self._errors_path is not None else f"{more}; --errors FILE keeps them all")
        self._same.clear()

    def say(self, text: str) -> None:
        """Write one line on stderr, named after the command."""
        click.echo(f"mmr {self.command}: {text}", err=True)

    def note(self, text: str) -> None:
        """Say something that a quiet run leaves out."""
        if not self.quiet:
            self.say(text)

    def summary(self, **counts: int) -> None:
        """Close long work with one line: new, changed, kept, gone, failed."""
        self._count_same()
        counts.setdefault("failed", self.failed)
        self.note(", ".join(f"{number:,} {name}" for name, number in counts.items()))

    @contextmanager
    def progress(self, what: str, total: int | None = None) -> Iterator[Advance]:
        """Show that work goes on: a bar on a terminal, a line every ten seconds with "plain"."""
        kind = self.progress_kind
        drawn = kind == "auto" and not self.quiet and sys.stderr is not None and sys.stderr.isatty()
        if drawn and (self.command == "embed" or sys.stdin is None or sys.stdin.isatty()):
            with _drawn(what, total) as advance:
                yield advance
        elif kind == "plain" and not self.quiet:
            yield self._plain(what, total)
        else:
            yield _silent

    def _plain(self, what: str, total: int | None) -> Advance:
        import time

        done, last = 0, time.monotonic()

        def advance(steps: int = 1) -> None:
            nonlocal done, last
            done += steps
            if time.monotonic() - last >= PLAIN_SECONDS:
                last = time.monotonic()
                self.say(f"{what}: {done:,}" + (f" of {total:,}" if total else ""))

        return advance


def _silent(steps: int = 1) -> None:
    """Show nothing."""


@contextmanager
def _drawn(what: str, total: int | None) -> Iterator[Advance]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
        TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)

        def advance(steps: int = 1) -> None:
            bar.advance(task, steps)

        yield advance
