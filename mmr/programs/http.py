"""JSON over HTTP: one address, connections kept open, pauses where the server is busy."""

from __future__ import annotations

import http.client
import re
import socket
import threading
import time
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import orjson

from mmr.errors import UnavailableError, UsageError, shown

TRIES = 4
PAUSE = 0.5
LONGEST_PAUSE = 30.0
LARGEST = 64 * 2**20
BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
WRONG = {401: "the key in $MMR_API_KEY", 403: "the key in $MMR_API_KEY", 404: "the address and the model",
         405: "the address"}  # fmt: skip


class Refused(Exception):  # noqa: N818 - it is handled where the item is known
    """One request that got no answer; `away`: because the server was busy or not there."""

    def __init__(self, what: str, away: bool) -> None:
        super().__init__(what)
        self.away = away


class Server:
    """One address, called from any number of threads.

    url      http or https; without a path it is that of version 1 of the protocol
    key      sent as a bearer token, "" for none
    seconds  how long one call may take

    name      how it is called in words; without the fragment
    fragment  what stands behind `#`

    Raises `UsageError` for an address that is none, or that holds a password.
    """

    def __init__(self, url: str, key: str, seconds: float) -> None:
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise UsageError(f"{shown(url)!r} is no address of a server: {error}", FORM) from error
        if parts.username is not None or parts.password is not None:
            raise UsageError("an address holds no user and no password", "Put the key into $MMR_API_KEY.")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(f"{shown(url)!r} is no address of a server", FORM)
        if not re.fullmatch(r"[!-~]*", key):
            raise UsageError("$MMR_API_KEY holds blanks or letters beyond ASCII", "Set it again.")
        self._secure = parts.scheme == "https"
        self._host, self._port = parts.hostname, port
        self._path = (parts.path.rstrip("/") or "/v1").removesuffix("/chat/completions")
        self._seconds = seconds
        self._headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if key:
            self._headers["Authorization"] = f"Bearer {key}"
        self.fragment = parts.fragment
        self.name = shown(f"{parts.scheme}://{parts.netloc}{self._path}")
        self._own = threading.local()
        self._open: set[http.client.HTTPConnection] = set()
        self._interrupted = threading.Event()

    def interrupt(self) -> None:
        """End the calls under way, from another thread; calls are refused until `close`."""
        self._interrupted.set()
        for connection in list(self._open):
            with suppress(OSError, AttributeError):
                connection.sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Let go of all connections, when no call is under way; later calls make new ones."""
        for connection in list(self._open):
            connection.close()
        self._open.clear()
        self._own = threading.local()
        self._interrupted.clear()

    def call(self, path: str, body: bytes | None = None) -> dict[str, Any]:
        """POST a body (GET without one) and return the JSON object that comes back.

        Busy and lost connections are tried again. Raises `Refused` for this one request, and
        `UnavailableError` where every other one would fare alike: a wrong key, address or model.
        """
        pause = PAUSE
        for left in reversed(range(TRIES)):
            try:
                status, wait, data = self._once(path, body)
            except (OSError, http.client.HTTPException) as error:
                if self._interrupted.is_set() or left == 0:
                    raise Refused(f"no connection: {shown(reason(error))}", away=True) from error
                wait = None
            else:
                if status == 200:
                    return parsed(data)
                if status in WRONG or 300 <= status < 400:
                    raise self._wrong(status, data)
                if status not in BUSY or left == 0:
                    what = f"the server says {status}: {words(data)}"
                    raise Refused(what, away=status in BUSY)
            if self._interrupted.wait(min(LONGEST_PAUSE, pause if wait is None else wait)):
                raise Refused("the run has ended", away=True)
            pause *= 2
        raise AssertionError

    def _once(self, path: str, body: bytes | None) -> tuple[int, float | None, bytes]:
        """One call: the status, the pause that the server asks for, the body of the response."""
        connection = getattr(self._own, "connection", None)
        if connection is None:
            made = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
            connection = made(self._host, self._port, timeout=self._seconds)
            self._own.connection = connection
            self._open.add(connection)
        deadline = time.monotonic() + self._seconds
        try:
            connection.request("GET" if body is None else "POST", self._path + path, body, self._headers)
            with connection.getresponse() as response:
                data = read(response, deadline)
                return response.status, seconds(response.headers.get("Retry-After")), data
        except BaseException:
            connection.close()
            self._open.discard(connection)
            self._own.connection = None
            raise

    def _wrong(self, status: int, data: bytes) -> UnavailableError:
        check = WRONG.get(status, "the address")
        return UnavailableError(f"{self.name} says {status}: {words(data)}", f"Check {check}.")


FORM = "Write http://HOST:PORT/v1 or http://HOST:PORT/v1#MODEL."


def read(response: http.client.HTTPResponse, deadline: float) -> bytes:
    """The body of a response; raises OSError when it is too large, or does not come in time."""
    data = bytearray()
    while chunk := response.read1(1 << 16):
        data += chunk
        if len(data) > LARGEST:
            raise OSError(f"its answer has more than {LARGEST:,} bytes")
        if time.monotonic() > deadline:
            raise TimeoutError("timed out")
    return bytes(data)


def parsed(data: bytes) -> dict[str, Any]:
    """The JSON object of a response; raises `Refused` when it is none."""
    try:
        value = orjson.loads(data)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise Refused(f"the server wrote {shown(repr(data[:80].decode(errors='replace')))}, no JSON object",
                      away=False)  # fmt: skip
    return value


def seconds(text: str | None) -> float | None:
    """The pause that a server asks for, where it is a number of seconds."""
    return float(text) if text is not None and re.fullmatch(r"\d{1,6}", text.strip()) else None


def words(data: bytes) -> str:
    """What a response says of an error, on one line."""
    try:
        value = orjson.loads(data)
        error = value.get("error", value)
        text = error.get("message", error) if isinstance(error, dict) else error
    except (ValueError, AttributeError):
        text = data.decode(errors="replace")
    return shown(" ".join(str(text).split())) or "nothing more"


def reason(error: Exception) -> str:
    """Why a connection failed, in words."""
    if isinstance(error, TimeoutError):
        return "it did not answer in time"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
