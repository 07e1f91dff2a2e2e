"""Encoders that are programs: good answers, bad ones, dead programs."""

from __future__ import annotations

import base64
import json
import shlex
import sys

import numpy as np
import pytest
from PIL import Image

from mmr.encoders import Closes, Composes, Prepares, Rejects, Tokens, load, model_name
from mmr.encoders.command import Command
from mmr.errors import BadItem, UnavailableError, UsageError

GOOD = """
import base64, io, json, sys
assert json.loads(sys.stdin.readline()) == {"protocol": 1, "role": "encode"}
print(json.dumps({"tag": "toy", "dim": 3, "fingerprint": "abc123"}), flush=True)
for line in sys.stdin:
    request = json.loads(line)
    if "text" in request:
        vector = [len(request["text"]), 1, 0]
    else:
        from PIL import Image
        picture = Image.open(io.BytesIO(base64.b64decode(request["image_png"])))
        vector = list(picture.getpixel((0, 0)))
    print(json.dumps({"key": request["key"], "vector": vector}), flush=True)
"""
ANSWERS = """
import base64, json, struct, sys, time
sys.stdin.readline()
print(json.dumps({"tag": "toy", "dim": 2, "fingerprint": "f"}), flush=True)
for line in sys.stdin:
    request = json.loads(line)
    answer = {"key": request["key"], "vector": [3, 4]}
    exec(request["text"])
    print(json.dumps(answer), flush=True)
"""


@pytest.fixture
def start(tmp_path):
    """Start a program from its text; every encoder is closed at the end."""
    started = []

    def run(text, **limits):
        file = tmp_path / "program.py"
        file.write_text(text)
        encoder = Command("cmd:" + shlex.join([sys.executable, str(file)]), **limits)
        started.append(encoder)
        return encoder

    yield run
    for encoder in started:
        encoder.close()


def test_texts_and_pictures(start, tmp_path):
    start(GOOD).close()
    encoder = load("cmd:" + shlex.join([sys.executable, str(tmp_path / "program.py")]))
    assert isinstance(encoder, Closes)
    assert isinstance(encoder, Rejects)
    assert not isinstance(encoder, Prepares)
    assert (encoder.dim, encoder.fingerprint) == (3, "abc123")
    assert model_name(encoder) == f"{encoder.spec}#abc123"
    texts = encoder.encode_texts(["", "abc"])
    assert texts.dtype == np.float32
    assert np.allclose(texts, [[0, 1, 0], [3 / 10**0.5, 1 / 10**0.5, 0]], atol=1e-7)
    pictures = encoder.encode_images([Image.new("RGB", (5, 4), (0, 200, 0)), Image.new("L", (2, 2), 9)])
    assert np.allclose(pictures, [[0, 1, 0], [3**-0.5] * 3], atol=1e-7)
    assert encoder.encode_texts([]).shape == (0, 3)
    encoder.close()


BAD = {
    "too short": ("answer['vector'] = [1]", "answered with 1 numbers, and said that it gives 2"),
    "too long": ("answer['vector'] = [1] * 3", "answered with 3 numbers"),
    "two dimensions": ("answer['vector'] = [[1, 2]]", "an array of 2 dimensions"),
    "NaN": ("answer['vector'] = [float('nan'), 1]", "zero or not finite"),
    "infinite": ("answer['vector'] = [float('inf'), 1]", "zero or not finite"),
    "zero": ("answer['vector'] = [0, 0]", "zero or not finite"),
    "words": ("answer['vector'] = ['a', 'b']", 'without a "vector" of numbers'),
    "nothing": ("del answer['vector']", "an array of 0 dimensions"),
    "ragged": ("answer['vector'] = [1, [2]]", 'without a "vector" of numbers'),
    "not base64": ("answer['vector'] = '???'", 'without a "vector" of numbers'),
    "base64 of 3 bytes": ("answer['vector'] = base64.b64encode(b'abc').decode()", 'without a "vector"'),
    "an error": ("answer = {'key': request['key'], 'error': 'too dark'}", "the program says: too dark"),
    "rubbish": ("print('hello')", "failed on it twice: it wrote 'hello', which is no JSON"),
    "dies": ("sys.exit(5)", "failed on it twice: it ended with status 5"),
    "hangs": ("time.sleep(60)", "failed on it twice: it did not answer within 1 s"),
}


@pytest.mark.parametrize(("text", "words"), BAD.values(), ids=BAD.keys())
def test_one_bad_answer_is_one_bad_item(start, text, words):
    encoder = start(ANSWERS, answer_seconds=1 if "answer within" in words else 60)
    rows, failed = encoder.try_texts(["pass", text, "pass"])
    assert list(failed) == [1]
    assert words in failed[1]
    assert np.isnan(rows[1]).all()
    assert np.allclose(rows[[0, 2]], [0.6, 0.8])
    with pytest.raises(BadItem, match="text 2: the program") as caught:
        encoder.encode_texts(["pass", text])
    assert caught.value.stage == "embed"


def test_vectors_in_base64(start):
    packed = base64.b64encode(np.float32([3, 4]).tobytes()).decode()
    assert np.allclose(start(ANSWERS).encode_texts([f"answer['vector'] = {packed!r}"]), [[0.6, 0.8]])


def test_answers_out_of_order_find_their_rows(start):
    text = """
import json, sys
sys.stdin.readline()
print(json.dumps({"tag": "toy", "dim": 2, "fingerprint": "f"}), flush=True)
held = []
for line in sys.stdin:
    held.append(json.loads(line))
    if len(held) == 3:
        for request in reversed(held):
            print(json.dumps({"key": request["key"], "vector": [float(request["text"]), 1]}), flush=True)
        held = []
"""
    rows = start(text, answer_seconds=60).encode_texts([str(number) for number in range(12)])
    assert np.allclose(rows[:, 0] / rows[:, 1], range(12), atol=1e-5)


def test_a_dead_program_is_unavailable(start):
    text = ANSWERS.replace('exec(request["text"])', "sys.exit(9)")
    with pytest.raises(UnavailableError, match="4 times in a row; at last it ended with status 9"):
        start(text).try_texts(["a"] * 10)


HELLOS = [
    ({"tag": "t", "fingerprint": "f"}, '"dim": None'),
    ({"tag": "t", "fingerprint": "f", "dim": 0}, '"dim": 0'),
    ({"tag": "t", "fingerprint": "f", "dim": True}, '"dim": True'),
    ({"tag": "t", "fingerprint": "f", "dim": 10**6}, '"dim": 1000000'),
    ({"tag": "t", "fingerprint": "f", "dim": "3"}, "\"dim\": '3'"),
    ({"tag": "t", "dim": 3}, '"fingerprint": None'),
    ({"tag": "t", "dim": 3, "fingerprint": "a#b"}, "\"fingerprint\": 'a#b'"),
    ({"tag": "t", "dim": 3, "fingerprint": "a b"}, "\"fingerprint\": 'a b'"),
    ({"tag": "t", "dim": 3, "fingerprint": "x" * 65}, '"fingerprint": '),
    ({"dim": 3, "fingerprint": "f"}, 'has no "tag"'),
]


@pytest.mark.parametrize(("hello", "words"), HELLOS)
def test_a_hello_that_says_too_little(start, hello, words):
    text = f"import sys\nsys.stdin.readline()\nprint({json.dumps(hello)!r}, flush=True)\nsys.stdin.read()"
    with pytest.raises(UnavailableError) as caught:
        start(text)
    assert words in str(caught.value)


def test_an_index_starts_no_program(tmp_path, monkeypatch):
    spec = f"cmd:touch {tmp_path}/started"
    with pytest.raises(UsageError, match=r"x\.mmr names the program .*; an index starts no program"):
        load(spec, named_by="x.mmr")
    assert not (tmp_path / "started").exists()
    monkeypatch.setenv("MMR_MODEL", spec)
    with pytest.raises(UnavailableError, match="did not say hello"):
        load(spec, named_by="x.mmr")
    assert (tmp_path / "started").exists()


def test_specs_that_name_no_program(tmp_path):
    with pytest.raises(UsageError, match="only a prefix"):
        load("cmd:")
    with pytest.raises(UnavailableError, match="cannot be started: No such file"):
        load(f"cmd:{tmp_path}/nothing --here")
    with pytest.raises(UsageError, match="no choice of device"):
        load("cmd:cat", device="cpu")


PAIRS = """
import base64, io, json, sys
sys.stdin.readline()
print(json.dumps({"tag": "toy", "dim": 3, "fingerprint": "f", "compose": True}), flush=True)
for line in sys.stdin:
    request = json.loads(line)
    answer = {"key": request["key"], "vector": [0, 0, 1]}
    if "text" in request and "image_png" in request:
        from PIL import Image
        size = Image.open(io.BytesIO(base64.b64decode(request["image_png"]))).size
        answer["vector"] = [*size, len(request["text"])]
    if request.get("text") == "bad":
        answer = {"key": request["key"], "error": "too dark"}
    print(json.dumps(answer), flush=True)
"""


def test_a_picture_and_words_at_once(start, tmp_path):
    """The capability `compose` is there where the program says so, and nowhere else."""
    plain = start(GOOD)
    assert not isinstance(plain, Composes)
    start(PAIRS).close()
    encoder = load("cmd:" + shlex.join([sys.executable, str(tmp_path / "program.py")]))
    assert isinstance(encoder, Composes)
    assert isinstance(encoder, Rejects)
    assert isinstance(encoder, Closes)
    rows, failed = encoder.compose([Image.new("RGB", (2, 3)), Image.new("RGB", (1, 1))], ["abcdef", "bad"])
    assert np.allclose(rows[0], np.array([2, 3, 6]) / 7)
    assert failed == {1: "the program says: too dark"}
    assert np.isnan(rows[1]).all()
    assert np.allclose(encoder.encode_texts(["x"]), [[0, 0, 1]])
    encoder.close()


MANY = """
import base64, json, struct, sys
sys.stdin.readline()
print(json.dumps({"tag": "toy", "dim": 2, "fingerprint": "f", "tokens": ["image", "text"]}), flush=True)
for line in sys.stdin:
    request = json.loads(line)
    answer = {"key": request["key"]}
    if request.get("tokens") is not True:
        answer["vector"] = [1, 1]
    elif "text" in request:
        answer["vectors"] = [[3, 4], base64.b64encode(struct.pack("<2f", 0, 2)).decode()]
        exec(request["text"])
    else:
        answer |= {"vectors": [[1, 0], [0, 1]], "boxes": [[0, 0, .5, 1], [.5, 0, 1, 1]]}
    print(json.dumps(answer), flush=True)
"""


def test_several_vectors_an_item_and_their_boxes(start):
    encoder = start(MANY)
    assert isinstance(encoder, Tokens)
    assert encoder.no_tokens("image") == encoder.no_tokens("text") == ""
    words = encoder.encode_word_tokens(["pass", "answer['vectors'] = [[5, 0]]"])
    np.testing.assert_allclose(words.rows[0], [[0.6, 0.8], [0, 1]], atol=1e-7)
    assert words.rows[1].tolist() == [[1, 0]] and words.boxes == [None, None] and not words.failed
    pictures = encoder.encode_tokens([Image.new("RGB", (2, 2))], [(2, 2)])
    assert pictures.rows[0].tolist() == [[1, 0], [0, 1]]
    assert pictures.boxes[0].tolist() == [[0, 0, 0.5, 1], [0.5, 0, 1, 1]]
    np.testing.assert_allclose(encoder.encode_texts(["pass"]), [[0.5**0.5] * 2], atol=1e-7)


WRONG = {
    "answer['vectors'] = []": 'without "vectors"',
    "answer['vectors'] = {}": 'without "vectors"',
    "del answer['vectors']": 'without "vectors"',
    "answer['vectors'] = [[1, 2], [1]]": "with 1 numbers, and said that it gives 2",
    "answer['vectors'] = [[1, 2], None]": "dimensions, and said that it gives 2",
    "answer['vectors'] = [[1, 2], [0, 0]]": "zero or not finite",
    "answer['boxes'] = [[0, 0, 1, 1]]": "one a vector",
    "answer['boxes'] = [[0, 0, 1, 1], [0, 0, 1, 2]]": "from 0 to 1",
    "answer['boxes'] = [[0, 0, 1, 1], [.5, 0, .5, 1]]": "[left, top, right, bottom]",
    "answer['boxes'] = [[0, 0, 1, 1], 'x']": "boxes",
    "answer = {'key': answer['key'], 'error': 'not today'}": "not today",
}


def test_several_vectors_that_are_not(start):
    encoder = start(MANY)
    found = encoder.encode_word_tokens(["pass", *WRONG, "pass"])
    assert sorted(found.failed) == list(range(1, len(WRONG) + 1))
    for reason, expected in zip(found.failed.values(), WRONG.values(), strict=True):
        assert expected in reason
    assert [len(rows) for rows in found.rows] == [2] + [0] * len(WRONG) + [2]


def test_a_program_that_does_not_say_tokens_has_none(start):
    encoder = start(ANSWERS)
    assert 'does not say "tokens": ["text"]' in encoder.no_tokens("text")
