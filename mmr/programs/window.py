"""Requests under way: a bounded number, answered in any order, given out in their own, none asked twice."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from mmr.programs.cache import Cache, mark


class Answer(NamedTuple):
    """What came back for one request: the answer's fields, or None and why there is none."""

    fields: dict[str, Any] | None
    problem: str = ""


class Window:
    """Takes requests as there is room, and gives their answers out in the order of the requests.

    size   how many requests may be under way
    keys   a name for each request that must be asked
    tag    who answers; `cache` knows what it has answered before, and an equal request that is under way
           is not asked a second time. Without a cache every request is asked.
    """

    def __init__(
        self, requests: Iterable[Mapping[str, Any]], size: int, keys: Iterator[str], tag: str = "",
        cache: Cache | None = None,
    ) -> None:  # fmt: skip
        self._requests = iter(requests)
        self._size = size
        self._keys = keys
        self._tag = tag
        self._cache = cache
        self._order: deque[str] = deque()
        self._done: dict[str, Answer] = {}
        self._marks: dict[str, bytes] = {}
        self._asked: dict[bytes, str] = {}
        self._same: dict[str, list[str]] = {}

    @property
    def empty(self) -> bool:
        """Whether every request that was taken has been given out."""
        return not self._order

    def given(self) -> Iterator[Answer]:
        """Yield the answers that are there, up to the first request that still waits for its own."""
        while self._order and self._order[0] in self._done:
            yield self._done.pop(self._order.popleft())

    def taken(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Take requests while there is room; yield the key and the fields of those that must be asked."""
        while len(self._order) < self._size:
            request = next(self._requests, None)
            if request is None:
                return
            key = next(self._keys)
            self._order.append(key)
            if self._cache is None or not self._known(key, request, self._cache):
                yield key, request

    def finish(self, key: str, answer: Answer) -> None:
        """Keep the answer to a request, and to every equal one that waits for it."""
        sign = self._marks.pop(key, None)
        if sign is not None:
            del self._asked[sign]
            if answer.fields is not None and self._cache is not None:
                self._cache.put(sign, answer.fields)
        self._done[key] = answer
        for other in self._same.pop(key, ()):
            self._done[other] = Answer(None if answer.fields is None else dict(answer.fields), answer.problem)

    def _known(self, key: str, request: Mapping[str, Any], cache: Cache) -> bool:
        """Whether a request has its answer, or an equal one is under way."""
        try:
            sign = mark(self._tag, request)
        except TypeError as error:
            self._done[key] = unwritable(error)
            return True
        first = self._asked.get(sign)
        if first is not None:
            self._same.setdefault(first, []).append(key)
            return True
        before = cache.get(sign)
        if before is not None:
            self._done[key] = Answer(before)
            return True
        self._marks[key] = sign
        self._asked[sign] = key
        return False


def unwritable(error: TypeError) -> Answer:
    """The answer to a request that JSON cannot hold."""
    return Answer(None, f"it cannot be written as JSON: {error}")
