"""Prompts as data files: those that ship, those of users, and what is wrong with some."""

from __future__ import annotations

import json

import pytest
from PIL import Image

from mmr.errors import BadDataError, MissingInputError
from mmr.rerank.chats import yes_no_chat
from mmr.rerank.prompts import load_prompt

GOOD = 'question = "Is it red? Answer Ja or Nein."\nyes = "Ja"\nno = "Nein"\n'


def test_a_file_of_the_users(tmp_path):
    file = tmp_path / "red.toml"
    file.write_text(GOOD)
    found = load_prompt(str(file))
    assert (found.question, found.yes, found.no) == ("Is it red? Answer Ja or Nein.", "ja", "nein")
    tokens = [{"token": "Ja", "logprob": -0.5}, {"token": "yes", "logprob": -1.0}]
    response = {"choices": [{"logprobs": {"content": [{"top_logprobs": tokens}]}}]}
    assert yes_no_chat(found).answer(response) == {"yes": pytest.approx(0.6065, abs=1e-4), "no": 0}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("not toml", "is no TOML"), ('yes = "a"\nno = "b"', 'no words in "question"'),
        ('question = 3\nyes = "a"\nno = "b"', 'no words in "question"'),
        (GOOD.replace("Nein", " "), 'no words in "no"'), (GOOD.replace("Nein", "JA"), "the same word"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_prompt(tmp_path, text, words):
    file = tmp_path / "bad.toml"
    file.write_text(text)
    with pytest.raises(BadDataError, match=words):
        load_prompt(str(file))


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(MissingInputError, match="cannot be read"):
        load_prompt(str(tmp_path / "none.toml"))


def test_pictures_are_shown_to_a_server(tmp_path):
    Image.new("RGB", (8, 8), "red").save(tmp_path / "a.png")
    body = yes_no_chat(load_prompt("true-false")).body
    request = {"query": "at night", "query_image": str(tmp_path / "a.png"), "image": str(tmp_path / "a.png")}
    content = body(request)["messages"][0]["content"]
    assert [part["type"] for part in content] == ["text", "image_url", "text", "image_url", "text"]
    assert content[1]["image_url"]["url"].startswith("data:image/jpeg;base64,")
    assert [part["text"] for part in content if "text" in part][:2] == [
        "The query: at night",
        "The candidate:",
    ]
    assert json.dumps(content)


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({"query": "x"}, "the candidate has neither words nor a picture"),
        ({"text": "x"}, "the query has neither words nor a picture"),
        ({"query": "x", "image": "nowhere.png"}, "nowhere.png: does not exist"),
    ],
)
def test_what_cannot_be_asked(request_, words):
    with pytest.raises(ValueError, match=words):
        yes_no_chat(load_prompt("yes-no")).body(request_)
