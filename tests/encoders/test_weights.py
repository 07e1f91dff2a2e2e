"""Weights on disk and on the hub: found, fetched, missing; and their hash."""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from mmr.encoders import weights
from mmr.errors import UnavailableError

ROOT = Path(__file__).resolve().parents[2]
FROM_HUB = """
import sys
from mmr.encoders import weights
from mmr.errors import MmrError
try:
    print(weights.from_hub("owner/model", ["a.safetensors", "a.bin"], "open_clip:A/b"))
except MmrError as error:
    print(type(error).__name__, error)
"""


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    """A cache of this test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


class Hub(http.server.BaseHTTPRequestHandler):
    """A hub that holds one repository with `a.bin` alone."""

    files = {"/owner/model/resolve/main/a.bin": b"these are weights"}  # noqa: RUF012
    asked: list[str] = []  # noqa: RUF012

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        self.asked.append(f"{self.command} {self.path}")
        data = self.files.get(self.path)
        self.send_response(200 if data or self.path == "/" else 404)
        self.send_header("Content-Length", str(len(data or b"")))
        self.send_header("ETag", '"' + hashlib.sha256(data or b"").hexdigest() + '"')
        self.send_header("X-Repo-Commit", "c" * 40)
        if not data:
            self.send_header("X-Error-Code", "EntryNotFound")
        self.end_headers()
        if data and self.command == "GET":
            self.wfile.write(data)

    def log_message(self, *_):
        pass


@pytest.fixture
def hub():
    """The address of a running `Hub`."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def ask(tmp_path):
    """Run `from_hub` in a process of its own against a hub; return its line; the hub never retries."""
    pytest.importorskip("huggingface_hub", reason="needs the extra clip")

    def run(endpoint, **extra):
        plain = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy") and k[:3] != "HF_"}
        env = {
            **plain,
            "HF_ENDPOINT": endpoint,
            "HF_HOME": str(tmp_path / "hf"),
            "PYTHONPATH": str(ROOT),
            **extra,
        }
        done = subprocess.run(
            [sys.executable, "-c", FROM_HUB], env=env, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        assert "Retry" not in done.stderr
        return done.stdout

    return run


def test_fetched_once_then_found_without_the_network(ask, hub, tmp_path):
    said = ask(hub)
    file = Path(said.strip())
    assert file.read_bytes() == b"these are weights"
    assert file.is_relative_to(tmp_path / "hf")
    asked = len(Hub.asked)
    assert ask("http://127.0.0.1:9") == said
    assert ask(hub, HF_HUB_OFFLINE="1") == said
    assert len(Hub.asked) == asked


def test_no_server_is_said_at_once(ask):
    said = ask("http://127.0.0.1:9")
    words = (
        "open_clip:A/b lacks its weights: they are not on this machine, and http://127.0.0.1:9/owner/model"
    )
    assert said.startswith(f"UnavailableError {words} cannot be read: Connection refused")
    assert "use `--model builtin`" in said


def test_a_server_without_the_file_is_said(ask, hub, monkeypatch):
    monkeypatch.setattr(Hub, "files", {})
    said = ask(hub)
    assert "it has none of a.safetensors, a.bin" in said


def test_offline_by_choice_is_said(ask, hub):
    said = ask(hub, HF_HUB_OFFLINE="1")
    assert "HF_HUB_OFFLINE is set" in said


def test_a_server_that_never_answers_costs_the_time_limit(monkeypatch):
    monkeypatch.setattr(weights, "PROBE_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        started = time.monotonic()
        with pytest.raises(UnavailableError, match="timed out"):
            weights.require_server(f"http://127.0.0.1:{silent.getsockname()[1]}", "spec", "where")
        assert time.monotonic() - started < 20


def test_names_in_a_repository(open_clip):
    assert weights.names("") == ["open_clip_model.safetensors", "open_clip_pytorch_model.bin"]
    assert weights.names("x/m.bin") == ["x/m.safetensors", "x/m.bin"]
    assert weights.names("m.pt") == ["m.pt"]


def test_rows_lead_to_the_hub_or_to_an_address(open_clip, monkeypatch):
    monkeypatch.setattr(weights, "from_hub", lambda *given: given)
    monkeypatch.setattr(weights, "from_address", lambda *given: given)
    names = ["open_clip_model.safetensors", "open_clip_pytorch_model.bin"]
    assert weights.locate({"hf_hub": "o/r/", "url": "u"}, "s") == ("o/r", names, "s")
    assert weights.locate({"hf_hub": "o/r/m.pt"}, "s") == ("o/r", ["m.pt"], "s")
    assert weights.locate({"hf_hub": "", "url": "https://x/y.pt"}, "s") == ("https://x/y.pt", "s")


def test_an_address_that_cannot_be_reached(open_clip, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(UnavailableError, match=r"http://127.0.0.1:9/w\.pt cannot be read"):
        weights.from_address("http://127.0.0.1:9/w.pt", "spec")
    (tmp_path / ".cache/clip").mkdir(parents=True)
    (tmp_path / ".cache/clip/w.pt").write_bytes(b"here")
    assert weights.from_address("http://127.0.0.1:9/w.pt", "spec").read_bytes() == b"here"


def test_the_hash_is_of_the_content_and_read_once(tmp_path, monkeypatch):
    file = tmp_path / "w"
    file.write_bytes(b"one")
    assert weights.file_hash(file) == hashlib.sha256(b"one").hexdigest()
    reads = []
    digest = hashlib.file_digest
    monkeypatch.setattr(hashlib, "file_digest", lambda *given: reads.append(1) or digest(*given))
    assert weights.file_hash(file) == hashlib.sha256(b"one").hexdigest()
    assert reads == []
    file.write_bytes(b"two")
    os.utime(file, ns=(1, 1))
    assert weights.file_hash(file) == hashlib.sha256(b"two").hexdigest()
    assert reads == [1]
    (tmp_path / "link").symlink_to(file)
    assert weights.file_hash(tmp_path / "link") == hashlib.sha256(b"two").hexdigest()
    assert reads == [1]


@pytest.mark.parametrize("damage", [b"", b"[]", b"{", b'{"sha256": 3}', b"\xff"])
def test_a_damaged_note_is_written_anew(tmp_path, damage):
    file = tmp_path / "w"
    file.write_bytes(b"one")
    right = weights.file_hash(file)
    (note,) = (tmp_path / "cache/mmr/weights").iterdir()
    note.write_bytes(damage)
    assert weights.file_hash(file) == right
    assert json.loads(note.read_bytes())["sha256"] == right


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path, monkeypatch):
    (tmp_path / "flat").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "flat"))
    (tmp_path / "w").write_bytes(b"one")
    assert weights.file_hash(tmp_path / "w") == hashlib.sha256(b"one").hexdigest()
