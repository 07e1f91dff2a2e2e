"""`mmr compose oti` and `mmr embed --invert` with a small open_clip model, and encoders that take both."""

from __future__ import annotations

import json
import shlex
import sys

import numpy as np
import pytest
from PIL import Image

from mmr.cli.main import run
from tests.encoders.conftest import open_clip, random_weights, toys  # noqa: F401 - fixtures


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with three pictures, as the working folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "pics").mkdir()
    for name, colour in (("red", (250, 10, 10)), ("green", (10, 240, 20)), ("blue", (0, 10, 250))):
        Image.new("RGB", (40, 30), colour).save(tmp_path / "pics" / f"{name}.png")
    return tmp_path


@pytest.fixture
def model(toys, random_weights):  # noqa: F811
    return f"open_clip:toy@{random_weights('toy')}"


def rows(words, capsys, status=0):
    """The records that a command writes."""
    assert run(words) == status, capsys.readouterr().err
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_picture_in_words(here, model, capsys):
    words = ["compose", "oti", "--model", model, "--threads", "1", "--steps", "60", "--ema", "0"]
    given = [*words, "--image", "pics/red.png", "--image", "pics/blue.png", "--keep-bindings"]
    one, two = rows([*given, "--text", "that is {}, but as a sketch"], capsys)
    assert (one["id"], one["exclude"]) == ("pics/red.png", ["pics/red.png"])
    assert one["text"] == "that is {}, but as a sketch"
    assert set(one["bindings"]) == {"v", "t_r", "t_c"}
    assert one["bindings"]["t_c"] == one["vector"]
    assert abs(np.linalg.norm(one["vector"]) - 1) < 1e-6
    first, last = one["via"][-1].partition("loss=")[2].split("..")
    assert float(last) < float(first) - 0.2
    v, t_r = (np.array([record["bindings"][name] for record in (one, two)]) for name in ("v", "t_r"))
    assert 1 - t_r[0] @ v[0] == pytest.approx(float(last), abs=1e-4)
    assert ((t_r @ v.T).argmax(axis=1) == [0, 1]).all()
    plain, _ = rows([*given, "--text", "as a sketch"], capsys)
    written, _ = rows([*given, "--text", "a photo of {} that as a sketch"], capsys)
    assert plain["vector"] == written["vector"]


def test_records_with_pictures_words_or_vectors(here, model, capsys):
    v = rows(["embed", "pics/green.png", "--model", model, "--precision", "fp32", "-q"], capsys)[0]
    records = [
        {"id": "1", "image": "pics/green.png", "text": "{} at night"},
        {"id": "2", "text": "no picture"},
        {"id": "3", "image": "pics/green.png", "text": "{} and {}"},
        {"id": "4", "bindings": {"v": v["vector"]}, "model": v["model"], "text": "{} at night"},
        {"id": "5", "image": "pics/none.png", "text": "{}"},
        {"id": "6", "image": "pics/green.png"},
    ]
    (here / "q.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    words = ["compose", "oti", "--model", model, "--threads", "1", "--steps", "20", "--from", "q.jsonl"]
    assert run(words) == 3
    out, err = capsys.readouterr()
    found = {record["id"]: record for record in map(json.loads, out.splitlines())}
    assert set(found) == {"1", "4", "6"}
    assert "bindings" not in found["1"]
    assert "exclude" not in found["1"]
    assert np.allclose(found["1"]["vector"], found["4"]["vector"], atol=1e-3)
    assert "q.jsonl line 2: has no picture" in err
    assert "q.jsonl line 3: '{} and {}' must hold {} once" in err
    assert "q.jsonl line 5" in err


def test_other_encoders_say_what_they_lack(here, capsys):
    assert run(["compose", "oti", "--image", "pics/red.png"]) == 2
    assert "builtin takes no token embeddings" in capsys.readouterr().err
    assert run(["compose", "encoder", "--image", "pics/red.png", "--text", "x"]) == 2
    assert "builtin does not take a picture and words at once" in capsys.readouterr().err
    assert run(["compose", "oti", "--text", "x"]) == 2
    assert "--text goes with --image" in capsys.readouterr().err
    assert run(["compose", "oti", "--image", "pics/red.png", "--template", "a photo"]) == 2
    assert "must hold {} once" in capsys.readouterr().err


def test_embed_invert(here, model, capsys):
    """The vector of a picture comes out of the text tower, as `compose oti` without words makes it."""
    words = ["--model", model, "--threads", "1"]
    plain = rows(["embed", "pics", *words, "--precision", "fp32", "-q"], capsys)
    found = rows(["embed", "pics", *words, "--invert", "-q"], capsys)
    assert [record["id"] for record in found] == [record["id"] for record in plain]
    assert found[0]["model"] == plain[0]["model"]
    assert "inverted in 150 steps" in found[0]["via"][0]
    images, texts = (np.array([record["vector"] for record in some]) for some in (plain, found))
    assert ((texts @ images.T).argmax(axis=1) == range(3)).all()
    assert np.abs(texts - images).max() > 0.01
    oti = rows(["compose", "oti", *words, "--steps", "150", "--ema", "0", "--image", "pics/blue.png"], capsys)
    assert np.allclose(oti[0]["vector"], texts[0], atol=1e-3)
    assert run(["embed", "pics", "--invert"]) == 2
    assert "builtin takes no token embeddings" in capsys.readouterr().err


PAIRS = """
import json, sys
sys.stdin.readline()
print(json.dumps({"tag": "toy", "dim": 2, "fingerprint": "f", "compose": True}), flush=True)
for line in sys.stdin:
    request = json.loads(line)
    answer = {"key": request["key"], "vector": [3, 4] if "image_png" in request else [1, 0]}
    if request.get("text") == "bad":
        answer = {"key": request["key"], "error": "too dark"}
    print(json.dumps(answer), flush=True)
"""


def test_an_encoder_that_takes_both(here, capsys):
    (here / "p.py").write_text(PAIRS)
    program = "cmd:" + shlex.join([sys.executable, str(here / "p.py")])
    records = [
        {"id": "1", "image": "pics/red.png", "text": "at night"},
        {"id": "2", "image": "pics/red.png", "text": "bad"},
        {"id": "3", "image": "pics/red.png"},
        {"id": "4", "image": "pics/none.png", "text": "x"},
    ]
    (here / "q.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    assert run(["compose", "encoder", "--model", program, "--from", "q.jsonl"]) == 3
    out, err = capsys.readouterr()
    (found,) = map(json.loads, out.splitlines())
    assert np.allclose(found["vector"], [0.6, 0.8])
    assert (found["id"], found["model"], found["via"]) == ("1", f"{program}#f", ["compose encoder"])
    assert "q.jsonl line 2: the program says: too dark" in err
    assert "q.jsonl line 3: has not both a picture and words" in err
    assert "q.jsonl line 4" in err


def test_5_texts_that_the_model_cuts_are_counted(here, model, capsys):
    """Trap 5 of the reference: a caption of more than 77 tokens."""
    words = ["compose", "pdv-t", "--model", model, "--caption", "a cat", "--edited", "cat " * 80]
    assert run([*words, "--format", "npy", "-o", "q.npy"]) == 0
    assert "1 text was longer than the model reads" in capsys.readouterr().err
    assert run(["embed", "--model", model, "--text", "cat " * 80, "--text", "dog " * 90]) == 0
    assert "2 texts were longer than the model reads" in capsys.readouterr().err
