"""A program of the user's in the pipe: started once, JSONL both ways, restarted when it fails.

We write `{"protocol": 1, "role": "encode"}`; the program answers `{"tag": "..."}` (an encoder also `dim`
and `fingerprint`). Each request is one line with a unique `key`; each answer carries that key and what the
role asks for, or `error`. Answers may come in any order. What the program says on stderr is shown as it is.
"""

from __future__ import annotations

import os
import selectors
import shlex
import subprocess
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import count
from typing import Any

import orjson

from mmr.errors import UnavailableError, UsageError, shown
from mmr.programs.cache import Cache
from mmr.programs.window import Answer, Window, unwritable

WINDOW = 16
ANSWER_SECONDS = 120.0
START_SECONDS = 300.0
END_SECONDS = 5.0
FAULTS_IN_A_ROW = 4
REPEATS_IN_A_ROW = 1000
LONGEST_LINE = 64 * 2**20
Check = Callable[[Mapping[str, Any]], str]


class Fault(Exception):  # noqa: N818 - it is handled here, by a restart
    """The program died, hung, or wrote something that is no answer."""


class Lines:
    """A running program, its stdin and stdout as lines; neither side can block the other."""

    def __init__(self, words: list[str]) -> None:
        self._process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._in, self._out = self._process.stdin, self._process.stdout
        self._unwritten = bytearray()
        self._unread = bytearray()
        self._searched = 0
        self._selector = selectors.DefaultSelector()
        for pipe in (self._in, self._out):
            os.set_blocking(pipe.fileno(), False)
        self._selector.register(self._out, selectors.EVENT_READ)

    def send(self, line: bytes) -> None:
        """Put one line, with its newline, into the queue; it is written while `receive` waits."""
        self._unwritten += line
        if not self._in.closed and self._in not in self._selector.get_map():
            self._selector.register(self._in, selectors.EVENT_WRITE)

    def receive(self, seconds: float) -> bytes:
        """Return the next line; raises `Fault` at the end of stdout or when nothing comes in time."""
        deadline = time.monotonic() + seconds
        while (end := self._unread.find(b"\n", self._searched)) < 0:
            self._searched = len(self._unread)
            if self._searched > LONGEST_LINE:
                raise Fault(f"it wrote a line of more than {LONGEST_LINE:,} bytes")
            left = deadline - time.monotonic()
            events = self._selector.select(left) if left > 0 else []
            if not events:
                raise Fault(f"it did not answer within {seconds:g} s")
            for ready, _ in events:
                if ready.fileobj is self._in:
                    self._write()
                else:
                    self._read()
        line = bytes(self._unread[:end])
        del self._unread[: end + 1]
        self._searched = 0
        return line

    def _write(self) -> None:
        try:
            written = os.write(self._in.fileno(), self._unwritten[: 1 << 16])
        except BlockingIOError:
            return
        except BrokenPipeError:
            self._unwritten.clear()
        else:
            del self._unwritten[:written]
        if not self._unwritten:
            self._selector.unregister(self._in)

    def _read(self) -> None:
        with suppress(BlockingIOError):
            data = os.read(self._out.fileno(), 1 << 20)
            if not data:
                raise Fault(f"it ended {self._ending()}")
            self._unread += data

    def _ending(self) -> str:
        try:
            code = self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            return "its output, and runs on"
        return f"by signal {-code}" if code < 0 else f"with status {code}"

    def close(self, seconds: float = END_SECONDS) -> None:
        """Close stdin and wait; a program that stays gets SIGTERM, then SIGKILL."""
        self._selector.close()
        with suppress(OSError):
            self._in.close()
        self._out.close()
        for then in (self._process.terminate, self._process.kill):
            try:
                self._process.wait(seconds)
            except subprocess.TimeoutExpired:
                then()
        self._process.wait()


class Child:
    """A program with a role, asked through `answers`; use it as a context manager, or call `close`.

    command  split as a shell would, never run through one
    role     "encode", "caption", ...: what the program is told to do
    window   how many requests it may hold at once
    seconds  how long it may be silent while it holds a request
    check    an answer's fields -> what is wrong with them, "" for nothing; a wrong answer is not kept
    hello    what it said of itself: `tag`, and by role more
    repeated how many answers came to requests that had one; the first counted

    Raises `UsageError` for a command that cannot be split, and `UnavailableError` when the program cannot
    be started or does not say hello.
    """

    def __init__(
        self, command: str, role: str, *, window: int = WINDOW, seconds: float = ANSWER_SECONDS,
        start_seconds: float = START_SECONDS, cache: Cache | None = None, check: Check | None = None,
    ) -> None:  # fmt: skip
        self.command = command
        self._check = check
        self._role = role
        self._window = window
        self._seconds = seconds
        self._start_seconds = start_seconds
        self._cache = cache
        self.repeated = 0
        self._repeats = 0
        self._last = 0
        self._keys = self._named()
        self._faults = 0
        self._stale: set[str] = set()
        self._lines: Lines | None = None
        try:
            self._words = shlex.split(command)
        except ValueError as error:
            what = f"the command {shown(command)!r} cannot be split into words: {error}"
            raise UsageError(what, "Close its quotes.") from error
        if not self._words:
            raise UsageError("the command is empty", "Name a program.")
        self.hello = self._start()

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the program: close its stdin, wait, then SIGTERM, then SIGKILL. A second call does nothing."""
        if self._lines is not None:
            self._lines.close()
            self._lines = None

    def answers(self, requests: Iterable[Mapping[str, Any]]) -> Iterator[Answer]:
        """Yield one answer a request, in the order of the requests.

        A fault (it died, hung or wrote rubbish) restarts the program and asks again, one request at a
        time; the request on which it fails twice gets a problem, the others their answers. Raises
        `UnavailableError` after four faults without an answer between them. Holds `window` requests.
        """
        yield from Exchange(self, requests).run()

    def _named(self) -> Iterator[str]:
        for self._last in count(1):
            yield str(self._last)

    def _repeats_itself(self, key: str) -> bool:
        """Whether `key` was asked before; counts the answers that come a second time."""
        if not (key.isascii() and key.isdecimal() and 0 < int(key) <= self._last):
            return False
        self.repeated += 1
        self._repeats += 1
        return self._repeats <= REPEATS_IN_A_ROW

    def _start(self) -> dict[str, Any]:
        try:
            self._lines = Lines(self._words)
        except OSError as error:
            what = f"the program {shown(self._words[0])!r} cannot be started: {error.strerror}"
            raise UnavailableError(what, "Check its path, and that it may be executed.") from error
        self._lines.send(packed({"protocol": 1, "role": self._role}))
        try:
            line = self._lines.receive(self._start_seconds)
            hello = parsed(line)
            if not isinstance(hello.get("tag"), str):
                raise Fault(f'its first line {quoted(line)} has no "tag"')
        except Fault as fault:
            self._lines.close(seconds=0.5)
            self._lines = None
            raise self._unavailable(f"did not say hello: {fault}") from fault
        return hello

    def _restart(self, fault: Fault) -> None:
        self._faults += 1
        if self._lines is not None:
            self._lines.close(seconds=0.5)
            self._lines = None
        self._stale.clear()
        if self._faults >= FAULTS_IN_A_ROW:
            raise self._unavailable(f"failed {self._faults} times in a row; at last {fault}") from fault
        hello = self._start()
        if hello != self.hello:
            self.close()
            raise self._unavailable("said another hello after a restart") from fault

    def _unavailable(self, what: str) -> UnavailableError:
        fix = 'It must answer {"protocol": 1, "role": "%s"} with one line of JSON; its stderr says more.'
        return UnavailableError(f"the program {shown(self.command)!r} {what}", fix % self._role)


class Exchange:
    """One run of `Child.answers`: what waits to be sent, what is out, what came back."""

    def __init__(self, child: Child, requests: Iterable[Mapping[str, Any]]) -> None:
        self._child = child
        self._window = Window(requests, child._window, child._keys, child.hello["tag"], child._cache)
        self._waiting: deque[str] = deque()
        self._out: set[str] = set()
        self._packed: dict[str, bytes] = {}
        self._tried: set[str] = set()

    def run(self) -> Iterator[Answer]:
        """Send, receive, and yield in the order of the requests."""
        try:
            while True:
                yield from self._window.given()
                self._take()
                if self._window.empty:
                    return
                self._send()
                if self._out:
                    try:
                        self._receive()
                    except Fault as fault:
                        self._again(fault)
        finally:
            self._child._stale |= self._out

    def _take(self) -> None:
        """Take requests up to the window; what JSON cannot hold is done at once."""
        for key, body in self._window.taken():
            try:
                self._packed[key] = packed({**body, "key": key})
            except TypeError as error:
                self._window.finish(key, unwritable(error))
            else:
                self._waiting.append(key)

    def _send(self) -> None:
        """Send what there is room for; a request that has met a fault goes out alone."""
        lines = self._child._lines
        while self._waiting and lines is not None:
            key = self._waiting[0]
            if self._out and (key in self._tried or self._out & self._tried):
                return
            lines.send(self._packed[key])
            self._out.add(self._waiting.popleft())

    def _receive(self) -> None:
        """Take one answer; raises `Fault` when none comes, or one to nothing that was asked."""
        child = self._child
        assert child._lines is not None
        line = child._lines.receive(child._seconds)
        fields = parsed(line)
        key = fields.pop("key", None)
        if isinstance(key, str) and key in child._stale:
            child._stale.discard(key)
            return
        if not isinstance(key, str) or key not in self._out:
            if isinstance(key, str) and child._repeats_itself(key):
                return
            raise Fault(f'it wrote {quoted(line)}, whose "key" is none that it was asked')
        child._faults = child._repeats = 0
        self._out.discard(key)
        del self._packed[key]
        if "error" in fields:
            self._window.finish(key, Answer(None, f"the program says: {shown(str(fields['error']))}"))
            return
        problem = "" if child._check is None else child._check(fields)
        self._window.finish(key, Answer(None if problem else fields, problem))

    def _again(self, fault: Fault) -> None:
        """Restart the program and put back what it held; what failed alone twice is done."""
        for key in sorted(self._out, key=int, reverse=True):
            if key in self._tried:
                del self._packed[key]
                self._window.finish(key, Answer(None, f"the program failed on it twice: {fault}"))
            else:
                self._tried.add(key)
                self._waiting.appendleft(key)
        self._out.clear()
        self._child._restart(fault)


def packed(value: Mapping[str, Any]) -> bytes:
    """One line of JSON; raises `TypeError` for what JSON cannot hold (text that is not UTF-8, bytes)."""
    return orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE)


def parsed(line: bytes) -> dict[str, Any]:
    """The JSON object of one line (NaN and Infinity are read); raises `Fault` when it is none."""
    import json

    try:
        value = orjson.loads(line)
    except ValueError:
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            raise Fault(f"it wrote {quoted(line)}, which is no JSON") from None
    if not isinstance(value, dict):
        raise Fault(f"it wrote {quoted(line)}, which is no JSON object")
    return value


def quoted(line: bytes) -> str:
    """The start of a line that a program wrote, safe for a terminal."""
    return repr(shown(line[:200].decode(errors="replace"), 80))
