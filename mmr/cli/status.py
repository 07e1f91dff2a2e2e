"""Exit status: one table from errors to numbers, for every command."""

from __future__ import annotations

import errno

from mmr import errors

DONE = 0
NO = 1
USAGE = 2
SKIPPED = 3
INTERNAL = 70
INTERRUPTED = 130

MEANINGS: dict[int, str] = {
    DONE: "done",
    NO: "done, and the answer is no (damage found, an assertion failed)",
    USAGE: "wrong usage",
    SKIPPED: "done, but some items were skipped",
    65: "bad data, or a refusal to lose data",
    66: "a named input is missing or unreadable",
    69: "a model, program or server is not available",
    INTERNAL: "a fault in mmr itself",
    73: "output cannot be made",
    74: "input/output error, or a stream that died",
    75: "busy: somebody else holds the lock; try again",
    INTERRUPTED: "interrupted",
}

OF_ERROR: tuple[tuple[type[BaseException], int], ...] = (
    (errors.UsageError, USAGE),
    (errors.BadDataError, 65),
    (errors.BadItem, 65),
    (errors.MissingInputError, 66),
    (errors.UnavailableError, 69),
    (errors.OutputError, 73),
    (errors.StreamError, 74),
    (errors.BusyError, 75),
    (FileNotFoundError, 66),
    (PermissionError, 66),
    (IsADirectoryError, 66),
    (NotADirectoryError, 66),
    (OSError, 74),
    (KeyboardInterrupt, INTERRUPTED),
)


def of(error: BaseException) -> int:
    """The exit status of an error; 70 for one that nobody foresaw."""
    return next((status for kind, status in OF_ERROR if isinstance(error, kind)), INTERNAL)


def words(error: BaseException) -> str:
    """What the user reads of an error: what is wrong, where, and what to do next."""
    if isinstance(error, errors.MmrError):
        return str(error)
    if isinstance(error, OSError):
        reason = error.strerror or str(error)
        where = f"{errors.shown(str(error.filename))}: " if error.filename is not None else ""
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        return f"{where}{reason}" + ("\n  Make room, then run the same command again." if full else "")
    return f"{type(error).__name__}: {error}\n  This is a fault in mmr; `mmr --debug ...` shows where."
