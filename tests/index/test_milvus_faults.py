"""A Milvus that refuses, stumbles or loses answers: what is repeated, what is cut, what the user reads."""

from __future__ import annotations

from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from mmr.errors import BusyError, UnavailableError
from mmr.index.address import read

from .milvus_server import needed
from .test_milvus import FLAT, filled

SECRET = "pa#ss w0rd"
USER = "milvus+http://me:pa%23ss%20w0rd@127.0.0.1"


class Stumbling:
    """A milvus-lite within this process that answers as planned before it answers as it should.

    faults  by method: exceptions of gRPC as (code name, words), or (status number, words) inside an answer
    calls   how often each method was called
    """

    def __init__(self, folder) -> None:
        import grpc
        from milvus_lite.adapter.grpc.servicer import MilvusServicer
        from milvus_lite.db import MilvusLite
        from pymilvus.grpc_gen import milvus_pb2_grpc

        self.faults: dict[str, list[tuple[Any, str]]] = defaultdict(list)
        self.calls: dict[str, int] = defaultdict(int)
        outer = self

        class Planned(grpc.ServerInterceptor):
            def intercept_service(self, continuation, details):
                handler = continuation(details)
                method = details.method.rpartition("/")[2]
                return handler and grpc.unary_unary_rpc_method_handler(
                    lambda request, context: outer.answer(method, handler, request, context),
                    handler.request_deserializer, handler.response_serializer,
                )  # fmt: skip

        self.db = MilvusLite(str(folder))
        self.server = grpc.server(ThreadPoolExecutor(4), interceptors=[Planned()])
        milvus_pb2_grpc.add_MilvusServiceServicer_to_server(MilvusServicer(self.db), self.server)
        self.port = self.server.add_insecure_port("127.0.0.1:0")
        self.server.start()

    def answer(self, method, handler, request, context):
        import grpc

        self.calls[method] += 1
        if not self.faults[method]:
            return handler.unary_unary(request, context)
        code, words = self.faults[method].pop(0)
        if isinstance(code, str):
            context.abort(grpc.StatusCode[code], words)
        made = handler.unary_unary(request, context)
        status = made.status if hasattr(made, "status") else made
        status.Clear()
        status.code, status.error_code, status.reason = code, code, words
        return made

    def stop(self) -> None:
        self.server.stop(0).wait()
        self.db.close()


@pytest.fixture(scope="module")
def stumbling(tmp_path_factory):
    needed()
    made = Stumbling(tmp_path_factory.mktemp("milvus") / "data")
    yield made
    made.stop()


@pytest.fixture
def engine(stumbling, request):
    from mmr.index.milvus import Milvus

    stumbling.faults.clear()
    name = request.node.originalname.removeprefix("test_")[:40]
    made = Milvus(read(f"{USER}:{stumbling.port}#{name}"))
    yield made
    made.close()


def test_a_message_that_is_too_large_is_cut(engine, stumbling):
    engine.create(FLAT)
    stumbling.faults["Upsert"] += [("RESOURCE_EXHAUSTED", "grpc: received message larger than max")] * 3
    stumbling.calls.clear()
    filled(engine, names=[f"i{i}" for i in range(40)])
    assert engine.count() == 40
    # the whole, the half and the quarter are refused; two eighths, a quarter and a half are taken
    assert stumbling.calls["Upsert"] == 3 + 4


def test_an_item_that_is_too_large_alone(engine, stumbling):
    filled(engine, names=["a"])
    stumbling.faults["Upsert"] += [("RESOURCE_EXHAUSTED", "received message larger than max")]
    with pytest.raises(UnavailableError, match="size of one item"):
        filled(engine, names=["b"])


def test_a_server_that_is_full_is_asked_again(engine, stumbling):
    engine.create(FLAT)
    stumbling.faults["Upsert"] += [(8, "rate limit exceeded[rate=0]")] * 3
    stumbling.calls.clear()
    filled(engine, names=["a", "b"])
    assert (engine.count(), stumbling.calls["Upsert"]) == (2, 4)


def test_a_server_that_stays_full(engine, stumbling, monkeypatch):
    filled(engine, names=["a"])
    monkeypatch.setattr("mmr.index.milvus.PUT", 0.3)
    stumbling.faults["Upsert"] += [(8, "quota exceeded[reason=memory quota exceeded]")] * 50
    with pytest.raises(BusyError, match="takes no more for now"):
        filled(engine, names=["b"])


def test_flushes_that_are_rationed_are_left_out(engine, stumbling, monkeypatch):
    filled(engine, names=["a"])
    monkeypatch.setattr("mmr.index.milvus.FLUSH", 0.3)
    stumbling.faults["Flush"] += [(8, "request is rejected by grpc RateLimiter middleware, rate limit")] * 50
    engine.finish(1)
    assert engine.count() == 1


def test_a_lost_answer_is_asked_for_again(engine, stumbling):
    engine.create(FLAT)
    stumbling.faults["Upsert"] += [("UNAVAILABLE", "Connection reset by peer")]
    stumbling.faults["Query"] += [("UNAVAILABLE", "Socket closed")]
    filled(engine, names=["a", "b"])
    assert {one.item.id for one in engine.fetch(["a", "b"], vectors=True)} == {"a", "b"}


def test_a_collection_that_another_program_released_is_loaded(engine, stumbling):
    _, vectors = filled(engine, names=["a", "b"])
    engine._call("release_collection", engine.address.collection)
    assert engine.search(vectors[:1], 1, [], exact=False)[0][0].item.id == "a"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("UNAUTHENTICATED", f"auth check failure, please check username and password are correct {SECRET}"),
        ("PERMISSION_DENIED", f"PrivilegeQuery: permission deny to me {SECRET}"),
        ("INTERNAL", f"stack of me:{SECRET}"),
        ("UNIMPLEMENTED", f"no such method for {SECRET}"),
        ("DEADLINE_EXCEEDED", f"Deadline Exceeded {SECRET}"),
        (1100, f"auth check failure {SECRET}"),
        (65535, f"strange {SECRET}"),
    ],
)
@pytest.mark.parametrize("method", ["DescribeCollection", "Query"])
def test_what_the_server_refuses_is_told_without_the_password(
    engine, stumbling, method, code, words, capfd, monkeypatch
):  # fmt: skip
    filled(engine, names=["a"])
    monkeypatch.setattr("mmr.index.milvus_client.ANSWER", 0.3)
    stumbling.faults[method] += [(code, words)] * 9
    with pytest.raises(UnavailableError) as caught:
        (engine.about if method == "DescribeCollection" else engine.count)()
    assert str(caught.value).count("me@127.0.0.1") == 1
    assert SECRET not in str(caught.value)
    assert "pa%23ss" not in str(caught.value)
    assert capfd.readouterr().err == ""
