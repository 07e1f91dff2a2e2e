"""The errors that every room raises; `mmr.cli.status` maps each class to its exit status."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

PASSWORD = re.compile(r"(\w://[^\s/?#@:]*):\S*@")
SECRET = re.compile(r"([?&](?:ssl)?(?:password|token|secret|api_?key)=)[^&#\s]*", re.IGNORECASE)


class MmrError(Exception):
    """An error that ends a run: `what` says what is wrong and where, `fix` what to do next."""

    def __init__(self, what: str, fix: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.what}\n  {self.fix}" if self.fix else self.what


class UsageError(MmrError):
    """The command line or the arguments do not make sense together."""


class BadDataError(MmrError):
    """Data that cannot be used as a whole, or a refusal to lose data."""


class MissingInputError(MmrError):
    """A named input is missing or unreadable."""


class UnavailableError(MmrError):
    """A model, a program, a server or an optional package is not available."""


class OutputError(MmrError):
    """Output cannot be made."""


class StreamError(MmrError):
    """An input/output error, or a stream that ended before its end."""


class BusyError(MmrError):
    """Somebody else holds the lock; try again."""


class BadItem(MmrError):  # noqa: N818 - an item is bad; the run goes on
    """One bad item of a stream: reported, counted and left out, and the run goes on.

    where   "stdin line 4", "pics/a.jpg": what the user can look up
    what    what is wrong with it
    fix     what to do about it
    stage   "read", "decode", "embed", "index", "search": goes into the `--errors` file
    record  the whole record as it came, where there is one
    """

    def __init__(
        self, where: str, what: str, fix: str = "", *, stage: str, record: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(what, fix)
        self.where = where
        self.stage = stage
        self.record = record

    def __str__(self) -> str:
        line = f"{self.where}: {self.what}"
        return f"{line}; {self.fix}" if self.fix else line


Reject = Callable[[BadItem], None]


def raise_item(item: BadItem) -> NoReturn:
    """The `Reject` of a caller that wants the first bad item to stop everything (`--strict`)."""
    raise item


def shown(text: str, limit: int = 200) -> str:
    """`text` made safe for one line of a terminal: control characters escaped, long text cut.

    Passwords of addresses are left out.
    >>> shown("a\\nb"), shown("postgresql://me:secret@host/db#pics")
    ('a\\\\nb', 'postgresql://me@host/db#pics')
    """
    if "://" in text:
        text = PASSWORD.sub(r"\1@", SECRET.sub(r"\1***", text))
    safe = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
    return safe if len(safe) <= limit else safe[: limit - 1] + "…"
