"""No password or token is told, whatever goes wrong: in errors, what caused them, logs, and what is shown."""

from __future__ import annotations

import logging
import socket
import threading
import traceback
import warnings
from contextlib import contextmanager

import pytest

from mmr.errors import MmrError, raise_item
from mmr.index import address as addresses
from mmr.index import open_any, open_index
from mmr.index.remote_write import delete, upsert

from .made import item
from .milvus_server import free_port

SECRET = "sEcr3t"
PASSWORDS = [
    SECRET, f"{SECRET}%40x", f"a/{SECRET}", f"a?{SECRET}", f"a?b={SECRET}", f"a#{SECRET}", f"@{SECRET}@",
    f":{SECRET}:", f"%{SECRET}", f"[{SECRET}]", f"{SECRET} x", f"{SECRET}\\", f"é{SECRET}", f"{SECRET}#",
]  # fmt: skip
WRONG = ["", "a", "#", "#9", "#a b", "#a/b", "#a?b"]
SCHEMES = ["postgresql", "postgres", "milvus+http", "milvus+https", "MILVUS+HTTP", "mysql", "redis+tls"]
GREETINGS = {
    "silence": b"",
    "http": b"HTTP/1.1 400 no\r\n\r\n",
    "words": b"E me:sEcr3t is wrong \x00\xff\n",
    "postgresql": b"E\x00\x00\x00\x30SFATAL\x00C28P01\x00Mpassword sEcr3t is wrong\x00\x00",
}


@contextmanager
def greeting(what):
    """A server that says one thing and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer():
            while True:
                try:
                    one, _ = server.accept()
                except OSError:
                    return
                with one:
                    one.recv(1024)
                    one.sendall(what)

        threading.Thread(target=answer, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def heard(caplog, capfd, monkeypatch):
    """What was said of a failing act: the error with all its causes, logs, warnings, streams."""
    monkeypatch.setattr("mmr.index.milvus_client.CONNECT", 0.5)
    monkeypatch.setattr("mmr.index.milvus_client.ANSWER", 0.5)
    monkeypatch.setattr("mmr.index.remote.WAITS", ())
    caplog.set_level(logging.DEBUG)

    def of(act):
        with warnings.catch_warnings(record=True) as told, pytest.raises(MmrError) as caught:
            act()
        out, err = capfd.readouterr()
        chain = "".join(traceback.format_exception(caught.value))
        said = "".join([chain, str(caught.value), repr(caught.value), caplog.text, out, err, *map(str, told)])
        caplog.clear()
        return said, err

    return of


def acts(address):
    return [
        lambda: open_any(address),
        lambda: open_index(address),
        lambda: upsert(address, [item("a")], reject=raise_item),
        lambda: delete(address, ["a"]),
    ]


@pytest.mark.parametrize("password", PASSWORDS)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_of_addresses_that_cannot_be(scheme, password, heard):
    for name in WRONG:
        said, err = heard(lambda name=name: open_any(f"{scheme}://me:{password}@127.0.0.1:1/db{name}"))
        assert (SECRET in said, err) == (False, "")


@pytest.mark.parametrize("password", PASSWORDS)
@pytest.mark.parametrize("scheme", ["postgresql", "milvus+http"])
def test_of_servers_that_are_away(scheme, password, heard):
    pytest.importorskip({"postgresql": "psycopg", "milvus+http": "pymilvus"}[scheme])
    for act in acts(f"{scheme}://me:{password}@127.0.0.1:{free_port()}/db#pics"):
        said, err = heard(act)
        assert (SECRET in said, err) == (False, "")


@pytest.mark.parametrize("what", GREETINGS)
@pytest.mark.parametrize(
    "start", [f"postgresql://me:{SECRET}@", f"milvus+http://me:{SECRET}@", f"milvus+https://{SECRET}@"]
)
def test_of_servers_that_are_none(start, what, heard):
    pytest.importorskip({"p": "psycopg", "m": "pymilvus"}[start[0]])
    with greeting(GREETINGS[what]) as port:
        said, _ = heard(lambda: open_any(f"{start}127.0.0.1:{port}/db#pics"))
    assert SECRET not in said


@pytest.mark.parametrize("options", [
    f"?password={SECRET}", f"?sslmode=no&password={SECRET}", f"?{SECRET}", f"?sslpassword={SECRET}&port=x",
    f"?passfile=/no/{SECRET}", f"?PASSWORD={SECRET}", f"?pass%77ord={SECRET}",
])  # fmt: skip
def test_of_options(options, heard):
    pytest.importorskip("psycopg")
    for act in acts(f"postgresql://127.0.0.1:{free_port()}/db{options}#pics")[:2]:
        said, _ = heard(act)
        assert SECRET not in said.replace(f"?{SECRET}#", "") or options == f"?{SECRET}"


def test_of_a_token_in_the_environment(heard, monkeypatch):
    pytest.importorskip("pymilvus")
    monkeypatch.setenv("MILVUS_TOKEN", SECRET)
    with greeting(GREETINGS["words"]) as port:
        said, _ = heard(lambda: open_any(f"milvus+http://127.0.0.1:{port}#pics"))
    assert SECRET not in said


@pytest.mark.parametrize("password", PASSWORDS)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_an_address_is_shown_without(scheme, password):
    for text in (f"{scheme}://me:{password}@h:1/db#pics", f"{scheme}://me:{password}@h/db?a=b#pics"):
        found = addresses.read(text)
        assert SECRET not in str(found) + repr(found) + found.name
        assert SECRET not in found.clean(f"who said {password}?")
