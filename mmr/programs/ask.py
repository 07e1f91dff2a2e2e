"""Whoever answers: a program of the user's, or a server that it has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

from mmr.errors import UsageError
from mmr.programs.cache import Cache
from mmr.programs.child import ANSWER_SECONDS, WINDOW, Check, Child
from mmr.programs.endpoint import Chat, Endpoint
from mmr.programs.window import Answer


class Program(Protocol):
    """What can be asked: a `Child` or an `Endpoint`.

    hello     `tag` and, by role, more
    repeated  answers that came a second time and did not count
    """

    hello: dict[str, Any]
    repeated: int

    def answers(self, requests: Iterable[Mapping[str, Any]]) -> Iterator[Answer]:
        """Yield one answer a request, in the order of the requests."""
        ...

    def close(self) -> None:
        """Let go of it; a second call does nothing."""
        ...

    def __enter__(self) -> Program: ...

    def __exit__(self, *_: object) -> None: ...


def open_program(
    role: str, *, command: str | None = None, url: str | None = None, chat: Chat | None = None,
    cache: Cache | None = None, seconds: float = ANSWER_SECONDS, window: int = WINDOW,
    check: Check | None = None,
) -> Program:  # fmt: skip
    """Start the program of a command, or name the server of an address.

    role     "caption", "rewrite", "score": what a program is told to do
    chat     how that role talks to a server; needed with `url`
    seconds  how long a program may be silent while it holds a request, or a server may take for one
    window   how many requests are under way at once
    check    what is wrong with the fields of a program's answer, "" for nothing; a wrong answer becomes a
             problem and is not cached. (A chat refuses by `ValueError`.)

    Raises `UsageError` unless exactly one of both is named, and what `Child` and `Endpoint` raise.
    """
    if command is not None and url is None:
        return Child(command, role, window=window, seconds=seconds, cache=cache, check=check)
    if url is not None and command is None and chat is not None:
        return Endpoint(url, chat, window=window, seconds=seconds, cache=cache)
    raise UsageError(f"name one {role} program: a command or an address", "Leave out the other.")
