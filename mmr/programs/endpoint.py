"""A server that speaks the OpenAI-compatible protocol, asked like a program: chat completions.

Its address is `http://HOST:PORT/v1`, or `http://HOST:PORT/v1#MODEL`; without a model the server must have
one alone. A key, where the server wants one, is read from $MMR_API_KEY and sent as a bearer token.
"""

from __future__ import annotations

import base64
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from hashlib import blake2b
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from mmr.errors import UnavailableError, shown
from mmr.programs.cache import Cache
from mmr.programs.http import Refused, Server
from mmr.programs.window import Answer, Window

if TYPE_CHECKING:
    from concurrent.futures import Future

FAILURES_IN_A_ROW = 4


class Chat(NamedTuple):
    """How a role talks to a model.

    prompt  all that shapes the answers beside the request: a hash of it becomes part of the tag
    body    makes of a request the body of a chat completion, without "model"; runs in several threads;
            raises `ValueError` in words where the request cannot be asked
    answer  makes of the response the answer's fields; raises `ValueError` in words where it is unusable
    """

    prompt: str
    body: Callable[[Mapping[str, Any]], dict[str, Any]]
    answer: Callable[[Mapping[str, Any]], dict[str, Any]]


class Endpoint:
    """A server with a role, asked through `answers` as a `Child` is; use it as a context manager.

    window   requests under way at once
    seconds  how long one may take
    hello    `tag`: the model and a hash of the prompt

    Raises `UsageError` for an address that is none, `UnavailableError` where the server cannot be reached,
    wants another key, or has not the one model.
    """

    def __init__(
        self, url: str, chat: Chat, *, window: int, seconds: float, cache: Cache | None = None
    ) -> None:
        self._server = Server(url, os.environ.get("MMR_API_KEY", ""), seconds)
        self._chat = chat
        self._window = window
        self._cache = cache
        self._keys = (str(number) for number in count(1))
        self._failures = 0
        self._lock = threading.Lock()
        try:
            self._model = self._server.fragment or self._only_model()
        finally:
            self._server.close()
        sign = blake2b(chat.prompt.encode(), digest_size=6).hexdigest()
        self.hello: dict[str, Any] = {"tag": f"{self._model} {sign}"}
        self.repeated = 0

    def __enter__(self) -> Endpoint:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of all connections; a second call does nothing."""
        self._server.close()

    def answers(self, requests: Iterable[Mapping[str, Any]]) -> Iterator[Answer]:
        """Yield one answer a request, in the order of the requests.

        A server that is busy or away is asked again, four times in all, with pauses. Raises
        `UnavailableError` after four requests in a row that it did not answer. Holds `window` requests.
        """
        from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

        window = Window(requests, self._window, self._keys, self.hello["tag"], self._cache)
        futures: dict[Future[Answer], str] = {}
        pool = ThreadPoolExecutor(self._window, "endpoint")
        try:
            while True:
                yield from window.given()
                for key, request in window.taken():
                    futures[pool.submit(self._ask, request)] = key
                if window.empty:
                    return
                for future in wait(futures, return_when=FIRST_COMPLETED).done if futures else ():
                    window.finish(futures.pop(future), future.result())
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            if futures:
                self._server.interrupt()
            pool.shutdown()
            self._server.close()

    def _ask(self, request: Mapping[str, Any]) -> Answer:
        """Ask for one answer; what is wrong with this request alone becomes its problem."""
        try:
            body = orjson.dumps({"model": self._model, **self._chat.body(request)})
        except (TypeError, ValueError) as error:
            return Answer(None, str(error))
        try:
            response = self._server.call("/chat/completions", body)
        except Refused as refused:
            self._counted(refused)
            return Answer(None, str(refused))
        with self._lock:
            self._failures = 0
        try:
            return Answer(self._chat.answer(response))
        except ValueError as error:
            return Answer(None, str(error))

    def _counted(self, refused: Refused) -> None:
        """Count what the server did not answer; raises `UnavailableError` for the fourth in a row."""
        with self._lock:
            self._failures += refused.away
            if self._failures < FAILURES_IN_A_ROW:
                return
        what = f"{self._server.name} did not answer {self._failures} requests in a row; at last: {refused}"
        raise UnavailableError(what, "Start it, or see what it says of itself.")

    def _only_model(self) -> str:
        """The model of a server that has one."""
        try:
            response = self._server.call("/models")
        except Refused as refused:
            what = f"{self._server.name} does not say which models it has: {refused}"
            raise UnavailableError(what, "Start it, or name the model: URL#MODEL.") from refused
        listed = response.get("data")
        names = [one.get("id") for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
        known = [name for name in names if isinstance(name, str) and name]
        if len(known) == 1:
            return known[0]
        has = ", ".join(shown(name, 60) for name in known[:10]) or "none"
        raise UnavailableError(f"{self._server.name} has the models {has}", "Name one of them: URL#MODEL.")


def texts(response: Mapping[str, Any]) -> list[str]:
    """The replies of a chat completion, one a choice; raises `ValueError` where one has no words."""
    found = []
    for choice in choices(response):
        message = choice.get("message")
        content = message.get("content") if isinstance(message, dict) else None
        if not isinstance(content, str):
            raise ValueError("the server's reply has no words")
        found.append(content)
    return found


def first_token(response: Mapping[str, Any]) -> dict[str, float]:
    """The likeliest first tokens of a reply and their log-probabilities, the likeliest first.

    The request must hold "logprobs": true and "top_logprobs". Raises `ValueError` where they are missing.
    """
    logprobs = choices(response)[0].get("logprobs")
    content = logprobs.get("content") if isinstance(logprobs, dict) else None
    first = content[0] if isinstance(content, list) and content else None
    top = first.get("top_logprobs") if isinstance(first, dict) else None
    found: dict[str, float] = {}
    for one in top if isinstance(top, list) else ():
        if isinstance(one, dict) and isinstance(one.get("token"), str):
            value = one.get("logprob")
            if isinstance(value, int | float) and not isinstance(value, bool):
                found.setdefault(one["token"], float(value))
    if not found:
        raise ValueError("the server's reply has no log-probabilities of its first token")
    return found


def choices(response: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The choices of a chat completion, at least one; raises `ValueError` where there is none."""
    found = response.get("choices")
    if not isinstance(found, list) or not found or not all(isinstance(one, dict) for one in found):
        raise ValueError('the server\'s reply has no "choices"')
    return found


def picture(data: bytes, kind: str = "jpeg") -> dict[str, Any]:
    """A picture's bytes as one part of a message, in the form of a data address."""
    address = f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"
    return {"type": "image_url", "image_url": {"url": address}}
