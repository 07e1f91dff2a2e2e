"""Calls of a Milvus server, and errors that name the server and say what to do."""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from mmr.errors import BusyError, UnavailableError, UsageError
from mmr.index.address import HIDDEN
from mmr.index.engine import Unsettled

if TYPE_CHECKING:
    from collections.abc import Callable

    from mmr.index.address import Address

FILE = "milvus+file"
CONNECT = 5.0  # seconds for one attempt to connect
ANSWER = 60.0  # seconds for one answer
LOCKED = 5.0  # seconds to wait for a file that another process has open
AWAY, RATE, NO_COLLECTION, NOT_LOADED, NO_RIGHT = 2, 8, 100, 101, 1100
FULL = ("rate limit", "ratelimit", "quota", "memory protection", "disk protection")
NO_ENTRY = ("unauthenticated", "permission_denied", "auth check failure", "permission deny")
GONE = ("unavailable", "closed channel", "cancelled", "fail connecting")
OPTIONS = {
    # a server may hang up on who pings more often than every five minutes, in the middle of a long call
    "grpc.keepalive_time_ms": 300_000,
    "grpc.keepalive_permit_without_calls": 0,
    # gRPC waits longer and longer between attempts to connect, and fails at once meanwhile
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.min_reconnect_backoff_ms": 100,
    "grpc.max_reconnect_backoff_ms": 1000,
    "grpc.use_local_subchannel_pool": 1,
}


class TooLarge(Exception):  # noqa: N818 - told to the caller, who cuts what it sends
    """The server takes or gives no message of that size."""


class NotLoaded(Exception):  # noqa: N818 - told to the caller, who loads
    """The collection is not in the server's memory."""


class NoCollection(Exception):  # noqa: N818 - told to the caller, who knows what that means
    """There is no collection of that name."""


class Client:
    """A connection to a Milvus server, or to the milvus-lite that serves a file; made at the first call."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._file = _file(address) if address.scheme == FILE else ""
        self._url, self._token, self._database = ("", "", "") if self._file else _parts(address)
        self._client: Any = None

    def __call__(self, method: str, *args: Any, timeout: float | None = None, **options: Any) -> Any:
        """Call a method of the client, within so many seconds, and give what it returns.

        A server that takes no more is asked again, ever more slowly, until the time is over.
        Raises `Unsettled` where the server is away; `UnavailableError`, `BusyError`; `NoCollection`,
        `NotLoaded`, `TooLarge`.
        """
        if self._client is None:
            self._client = self._opened() if self._file else self._connected()
        called = getattr(self._client, method)
        return self._told(lambda: called(*args, timeout=timeout or ANSWER, **options), method)

    def close(self) -> None:
        """Let go of the connection; of a file, so that another process may open it."""
        if self._client is None:
            return
        self._client.close()
        self._client = None
        if self._file:
            from milvus_lite.server_manager import server_manager_instance

            server_manager_instance.release_server(self._file)

    def _connected(self) -> Any:
        pymilvus, _ = _imported()

        def connect() -> Any:
            return pymilvus.MilvusClient(
                self._url, token=self._token, db_name=self._database, timeout=CONNECT, dedicated=True,
                grpc_options=OPTIONS,
            )  # fmt: skip

        return self._told(connect, "connect")

    def _opened(self) -> Any:
        """A client of the file, once no other process has it open, or after `LOCKED` seconds."""
        pymilvus, heard = _imported()
        end = time.monotonic() + LOCKED
        while True:
            heard.error = None
            try:
                return pymilvus.MilvusClient(
                    self._file, timeout=CONNECT, dedicated=True, grpc_options=OPTIONS
                )
            except pymilvus.MilvusException as error:
                if type(heard.error).__name__ != "DataDirLockedError":
                    lacks = isinstance(error.__cause__, ImportError)
                    fix = "Install it: pip install milvus-lite" if lacks else "Check the path."
                    said = self.address.clean(str(heard.error or error.message))
                    raise UnavailableError(f"{self.address} was not opened: {said}", fix) from error
                if time.monotonic() > end:
                    raise BusyError(
                        f"another process has {self.address} open, and milvus-lite serves one at a time",
                        "Try again; `milvus-lite server --data-dir FILE` serves a file to several.",
                    ) from error
            time.sleep(0.1)

    def _told(self, attempt: Callable[[], Any], method: str) -> Any:
        import grpc
        from pymilvus import MilvusException

        try:
            return attempt()
        except (MilvusException, grpc.RpcError) as error:
            raise self._meaning(error, method) from error

    def _meaning(self, error: BaseException, method: str) -> Exception:
        """What an error of the client comes to."""
        text, code = _words(error)
        lower, said = text.lower(), self.address.clean(text.replace(self._token or HIDDEN, HIDDEN))
        if code == NO_COLLECTION:
            return NoCollection(said)
        if code == NOT_LOADED or "not loaded" in lower:
            return NotLoaded(said)
        if code == NO_RIGHT or any(word in lower for word in NO_ENTRY):
            fix = "Check the user and the password, or the token, in the address."
            return UnavailableError(f"{self.address} does not let this user in: {said}", fix)
        if "larger than max" in lower:
            return TooLarge(said)
        if code == RATE or any(word in lower for word in FULL):
            fix = "Try again later: what was stored stays, and the same command goes on from there."
            return BusyError(f"{self.address} takes no more for now: {said}", fix)
        if "deadline" in lower:
            fix = "Check that the server is well, then run the same command again."
            return UnavailableError(f"{self.address} did not answer in time ({method})", fix)
        if code == AWAY or any(word in lower for word in GONE):
            return Unsettled(said.rpartition("last error: ")[2].removeprefix("UNKNOWN: "))
        return UnavailableError(f"{self.address} refused ({method}): {said}", "See the server's log.")


def _words(error: BaseException) -> tuple[str, int]:
    """What an error says, with what caused it, and its number."""
    parts: list[str] = []
    number = 0
    one: Any = error
    seen: set[int] = set()  # the client raises errors from themselves
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        code = getattr(one, "code", 0)
        if callable(code):  # an error of gRPC
            parts.append(f"{code().name}: {one.details()}")
        else:
            parts.append(str(getattr(one, "message", one)))
            number = number or (code if isinstance(code, int) else 0)
        one = one.__cause__
    return "; ".join(dict.fromkeys(part for part in parts if part)), number


def _file(address: Address) -> str:
    """The path of a milvus-lite file."""
    path = unquote(address.server.partition("://")[2])
    if not path.endswith(".db"):
        raise UsageError(
            f"{address}: the file of a milvus-lite ends with .db", "Write milvus+file:///path/pics.db#pics."
        )
    return str(Path(path).absolute())


def _parts(address: Address) -> tuple[str, str, str]:
    """The URL without user and password, the token, and the database."""
    fix = "Write milvus+http://host:19530#pics."
    scheme, _, rest = address.server[len("milvus+") :].partition("://")
    before, _, where = rest.rpartition("@")
    try:
        split = urlsplit(f"http://{where}")
        host, port = split.hostname, split.port
    except ValueError:
        raise UsageError(f"{address} has a host or a port that cannot be", fix) from None
    if not host or split.query:
        raise UsageError(f"{address}: {'it takes no ?options' if host else 'it names no host'}", fix)
    url = f"{scheme.lower()}://{f'[{host}]' if ':' in host else host}{f':{port}' if port else ''}"
    token = unquote(before) or os.environ.get("MILVUS_TOKEN", "")
    return url, token, split.path.strip("/")


class _Heard(logging.Handler):
    """Takes what a client logs, so that none of it reaches stderr, and keeps the last error of it."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.error: BaseException | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the exception of a record."""
        if record.exc_info:
            self.error = record.exc_info[1]


def _imported() -> tuple[Any, _Heard]:
    """The client's package; its logs and those of milvus-lite and gRPC no longer go to stderr."""
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    import pymilvus

    heard = _Heard()
    for name in ("pymilvus", "pymilvus.milvus_client", "milvus_lite", "grpc"):
        logger = logging.getLogger(name)
        logger.handlers[:] = [heard]
        logger.propagate = False
    logging.getLogger("pymilvus").setLevel(logging.CRITICAL)
    return pymilvus, heard
