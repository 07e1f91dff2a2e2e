"""Small programs and servers that speak the protocols, well or badly."""

from __future__ import annotations

import json
import shlex
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

START = """
import json, os, sys, time
hello = json.loads(sys.stdin.readline())
assert hello["protocol"] == 1, hello
def say(value):
    sys.stdout.write(json.dumps(value) + "\\n")
    sys.stdout.flush()
"""


@pytest.fixture
def program(tmp_path: Path) -> Callable[..., str]:
    """Write a program whose body is Python after the hello has been read; return the command line."""

    def write(body: str, name: str = "program.py", hello: str = 'say({"tag": "t1"})') -> str:
        file = tmp_path / name
        file.write_text(f"{START}\n{hello}\n{body}\n")
        return shlex.join([sys.executable, str(file)])

    return write


class Served:
    """A server on this machine that speaks the OpenAI-compatible protocol as a test wants it.

    reply   makes of (request's body, how many came before) a status and a response
    models  what it says it has
    bodies, headers  what it was sent
    """

    def __init__(self, reply: Callable[..., tuple[int, Any]], models: list[str]) -> None:
        self.reply, self.models = reply, models
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.running = self.most = 0
        self.lock = threading.Lock()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self.handler())
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def handler(self) -> type[BaseHTTPRequestHandler]:
        served = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None: ...

            def do_GET(self) -> None:
                found = {"object": "list", "data": [{"id": name} for name in served.models]}
                self.answer(200 if self.path == "/v1/models" else 404, found)

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with served.lock:
                    served.running += 1
                    served.most = max(served.most, served.running)
                    before = len(served.bodies)
                    served.bodies.append(body)
                    served.headers.append({name.lower(): value for name, value in self.headers.items()})
                try:
                    if self.path != "/v1/chat/completions":
                        self.answer(404, {"error": {"message": "no such path"}})
                    else:
                        self.answer(*served.reply(body, before))
                except BrokenPipeError:
                    self.close_connection = True
                finally:
                    with served.lock:
                        served.running -= 1

            def answer(self, status: int, value: Any) -> None:
                if status == 0:
                    self.close_connection = True
                    return
                data = value if isinstance(value, bytes) else json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                if status == 429:
                    self.send_header("Retry-After", "0")
                self.end_headers()
                self.wfile.write(data)

        return Handler


def said(*words: str) -> dict[str, Any]:
    """A chat completion with one choice for each text."""
    return {"choices": [{"message": {"role": "assistant", "content": text}} for text in words]}


@pytest.fixture
def serve() -> Iterator[Callable[..., Served]]:
    """Start servers; all are stopped at the end."""
    started: list[Served] = []

    def start(reply: Callable[..., tuple[int, Any]], models: tuple[str, ...] = ("tiny",)) -> Served:
        served = Served(reply, list(models))
        started.append(served)
        return served

    yield start
    for served in started:
        served.server.shutdown()
        served.server.server_close()
