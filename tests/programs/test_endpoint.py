"""Servers that speak the OpenAI-compatible protocol: order, faults, limits, what is asked twice."""

from __future__ import annotations

import time
from itertools import islice

import pytest

from mmr.errors import UnavailableError, UsageError
from mmr.programs import http
from mmr.programs.ask import open_program
from mmr.programs.cache import Cache
from mmr.programs.endpoint import Chat, first_token, picture, texts
from tests.programs.conftest import said

CHAT = Chat(
    "be brief",
    lambda request: {"messages": [{"role": "user", "content": request["text"]}], "temperature": 0},
    lambda response: {"edited": texts(response)[0]},
)


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    monkeypatch.setattr(http, "PAUSE", 0.01)
    monkeypatch.delenv("MMR_API_KEY", raising=False)


def upper(body, _before):
    return 200, said(body["messages"][0]["content"].upper())


def asked(endpoint, words):
    return [
        answer.problem if answer.fields is None else answer.fields["edited"]
        for answer in endpoint.answers({"text": text} for text in words)
    ]


def open_url(served, **limits):
    return open_program("rewrite", url=served.url, chat=CHAT, **limits)


def test_answers_keep_the_order_of_the_requests(serve):
    def slow_first(body, before):
        time.sleep(0.05 if before % 4 == 0 else 0)
        return upper(body, before)

    served = serve(slow_first)
    words = [f"w{number}" for number in range(24)]
    with open_url(served, window=4) as endpoint:
        assert asked(endpoint, words) == [word.upper() for word in words]
        assert endpoint.hello["tag"].startswith("tiny ")
    assert 1 < served.most <= 4
    assert {body["model"] for body in served.bodies} == {"tiny"}
    assert all("authorization" not in one for one in served.headers)


def test_a_key_is_sent_and_a_model_may_be_named(serve, monkeypatch):
    monkeypatch.setenv("MMR_API_KEY", "s3cret")
    served = serve(upper, models=("a", "b"))
    with open_program("rewrite", url=served.url + "#b", chat=CHAT) as endpoint:
        assert asked(endpoint, ["x"]) == ["X"]
    assert served.bodies[0]["model"] == "b"
    assert served.headers[0]["authorization"] == "Bearer s3cret"
    with pytest.raises(UnavailableError, match="has the models a, b"):
        open_url(served)


def test_the_tag_is_of_model_and_prompt_and_not_of_the_address(serve):
    one, two = (open_url(serve(upper)) for _ in range(2))
    other = open_program("rewrite", url=serve(upper).url, chat=CHAT._replace(prompt="be long"))
    assert one.hello == two.hello != other.hello
    for endpoint in (one, two, other):
        endpoint.close()


@pytest.mark.parametrize("status", [429, 500, 503, 0])
def test_a_busy_server_is_asked_again(serve, status):
    def busy_twice(body, before):
        return upper(body, before) if before >= 2 else (status, {"error": {"message": "busy"}})

    served = serve(busy_twice)
    with open_url(served, window=1) as endpoint:
        assert asked(endpoint, ["a", "b"]) == ["A", "B"]
    assert len(served.bodies) == 4


def test_a_request_that_the_server_refuses_is_its_own_problem(serve):
    def picky(body, before):
        bad = body["messages"][0]["content"] == "bad"
        return (400, {"error": {"message": "too\nlong"}}) if bad else upper(body, before)

    with open_url(serve(picky)) as endpoint:
        assert asked(endpoint, ["a", "bad", "c"]) == ["A", "the server says 400: too long", "C"]


@pytest.mark.parametrize(
    ("response", "words"),
    [
        (b"<html>", "no JSON object"),
        ({"choices": []}, 'no "choices"'),
        ({"choices": [{"message": {"content": None}}]}, "no words"),
        (b"x" * 1000, "no JSON object"),
    ],
)
def test_rubbish_is_a_problem_of_one_request(serve, response, words):
    def sometimes(body, before):
        return (200, response) if body["messages"][0]["content"] == "bad" else upper(body, before)

    with open_url(serve(sometimes)) as endpoint:
        answers = asked(endpoint, ["a", "bad", "c"])
    assert answers[::2] == ["A", "C"]
    assert words in answers[1]


def test_a_server_that_hangs_costs_the_time_limit_and_the_rest_goes_on(serve, monkeypatch):
    monkeypatch.setattr(http, "TRIES", 2)

    def hangs(body, before):
        if body["messages"][0]["content"] == "bad":
            time.sleep(1.0)
        return upper(body, before)

    with open_url(serve(hangs), seconds=0.3, window=2) as endpoint:
        answers = asked(endpoint, ["a", "bad", "c", "d"])
    assert answers == ["A", "no connection: it did not answer in time", "C", "D"]


def test_a_server_that_is_gone_is_given_up(serve):
    served = serve(lambda *_: (503, {"error": "overloaded"}))
    with (
        open_url(served, window=1) as endpoint,
        pytest.raises(
            UnavailableError, match="did not answer 4 requests in a row; at last: the server says 503"
        ),
    ):
        asked(endpoint, [str(number) for number in range(50)])
    assert len(served.bodies) == 4 * http.TRIES


@pytest.mark.parametrize(
    ("status", "words"), [(401, r"Check the key in \$MMR_API_KEY"), (404, "the model"), (301, "says 301")]
)
def test_what_would_meet_every_request_ends_the_run(serve, status, words):
    served = serve(lambda *_: (status, {"error": {"message": "no"}}))
    with open_url(served, window=1) as endpoint, pytest.raises(UnavailableError, match=words):
        asked(endpoint, ["a", "b"])
    assert len(served.bodies) == 1


def test_nothing_listens():
    with pytest.raises(UnavailableError, match="does not say which models"):
        open_program("rewrite", url="http://127.0.0.1:9/v1", chat=CHAT)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("localhost:8000", "is no address"), ("ftp://x/v1", "is no address"), ("http://", "is no address"),
        ("http://x:y/v1", "is no address"), ("http://me:pass@x/v1", "no user and no password"),
    ],
)  # fmt: skip
def test_addresses_that_are_none(url, words):
    with pytest.raises(UsageError, match=words) as caught:
        open_program("rewrite", url=url, chat=CHAT)
    assert "pass@" not in str(caught.value)


def test_one_way_is_named():
    for both in ({}, {"command": "x", "url": "http://x"}):
        with pytest.raises(UsageError, match="a command or an address"):
            open_program("rewrite", chat=CHAT, **both)


def test_nothing_is_asked_twice(serve, tmp_path):
    served = serve(upper)
    for _ in range(2):
        with Cache(tmp_path / "c") as cache, open_url(served, cache=cache, window=3) as endpoint:
            assert asked(endpoint, list("abacb")) == list("ABACB")
    assert sorted(body["messages"][0]["content"] for body in served.bodies) == ["a", "b", "c"]


def test_answers_left_unread_leave_nothing_behind(serve):
    def slow(body, before):
        time.sleep(0.5 if before else 0)
        return upper(body, before)

    with open_url(serve(slow), window=4) as endpoint:
        first = endpoint.answers({"text": text} for text in "abcdef")
        assert [answer.fields for answer in islice(first, 1)] == [{"edited": "A"}]
        started = time.monotonic()
        first.close()
        assert time.monotonic() - started < 5
        assert asked(endpoint, ["x"]) == ["X"]


def test_log_probabilities_of_the_first_token():
    top = [{"token": "Yes", "logprob": -0.1}, {"token": "No", "logprob": -2.5}, {"token": "x"}, "rubbish"]
    response = {"choices": [{"logprobs": {"content": [{"token": "Yes", "top_logprobs": top}]}}]}
    assert first_token(response) == {"Yes": -0.1, "No": -2.5}
    for poor in ({"choices": [{}]}, {"choices": [{"logprobs": {"content": []}}]}, {"choices": ["x"]}):
        with pytest.raises(ValueError, match="server's reply has no"):
            first_token(poor)


def test_a_picture_becomes_part_of_a_message():
    assert picture(b"\xff\xd8") == {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,/9g="}}
