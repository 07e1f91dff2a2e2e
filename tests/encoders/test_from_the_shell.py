"""Encoders as a user of the shell meets them: statuses and words."""

from __future__ import annotations

import json
from importlib.util import find_spec

import pytest
from PIL import Image

ENCODER = """
import json, sys
sys.stdin.readline()
print(json.dumps({"tag": "toy", "dim": 2, "fingerprint": "f1"}), flush=True)
for line in sys.stdin:
    request = json.loads(line)
    if request["text"] == "die":
        sys.exit(1)
    vector = [float("nan"), 1] if request["text"] == "bad" else [3, 4]
    print(json.dumps({"key": request["key"], "vector": vector}), flush=True)
"""


@pytest.fixture
def encoder(tmp_path):
    """A program that encodes texts, and its spec in the folder of the test."""
    (tmp_path / "encoder.py").write_text(ENCODER)
    return "cmd:python encoder.py"


def test_a_program_encodes(sh, encoder):
    done = sh(f"mmr embed --model '{encoder}' --text 'a cat' --text bad --text 'a dog'")
    assert done.status == 3
    records = [json.loads(line) for line in done.lines]
    assert [record["text"] for record in records] == ["a cat", "a dog"]
    assert [record["model"] for record in records] == [f"{encoder}#f1"] * 2
    assert records[0]["vector"] == pytest.approx([0.6, 0.8])
    assert "the program answered with a vector that is zero or not finite" in done.stderr


def test_a_program_that_dies_on_one_item_spares_the_others(sh, encoder):
    done = sh(f"mmr embed --model '{encoder}' --text a --text die --text b")
    assert [json.loads(line)["text"] for line in done.lines] == ["a", "b"]
    assert done.status == 3
    assert "the program failed on it twice: it ended with status 1" in done.stderr


def test_a_dead_program_is_status_69(sh, encoder):
    done = sh(f"yes die | head -50 | nl | sed 's/^ *//; 1i id\\ttext' | mmr embed --model '{encoder}'")
    assert done.status == 69, done.stderr
    assert "failed 4 times in a row" in done.stderr
    assert sh("mmr embed --model cmd:./nothing --text a").status == 69
    assert sh("mmr embed --model cmd:cat --text a").status == 69


def test_weights_out_of_reach_are_status_69_at_once(sh, tmp_path):
    if find_spec("open_clip") is None or find_spec("torch") is None:
        pytest.skip("needs the extra `clip`: pip install 'mmr[clip]'")
    env = {"HF_HOME": str(tmp_path / "hf"), "HF_ENDPOINT": "http://127.0.0.1:9", "NO_PROXY": "127.0.0.1"}
    done = sh("mmr embed --model clip --text a", env=env)
    assert done.status == 69
    assert "Retry" not in done.stderr
    assert done.stdout == b""
    assert "lacks its weights" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_the_extra_the_status_is_69(sh, tmp_path):
    (tmp_path / "blocked").mkdir()
    (tmp_path / "blocked/torch.py").write_text("raise ImportError(\"No module named 'torch'\")\n")
    done = sh("PYTHONPATH=blocked:$PYTHONPATH mmr embed --model clip --text a")
    assert done.status == 69
    assert "pip install 'mmr[clip]'" in done.stderr


def test_unknown_models_are_wrong_usage(sh):
    done = sh("mmr embed --model clipp --text a")
    assert done.status == 2
    assert "did you mean 'clip'?" in done.stderr


def test_the_list_of_models(sh, tmp_path):
    done = sh("mmr embed --list-models", env={"HF_HUB_CACHE": str(tmp_path)})
    assert done.status == 0
    for words in ("builtin", "clip", "siglip", "mobileclip", "605", "cmd:PROGRAM"):
        assert words in done.stdout.decode()


def test_an_index_of_a_stranger_starts_no_program(sh, tmp_path):
    """An index whose model is a program is asked by text: the program must not run."""
    record = {"id": "a", "vector": [0.6, 0.8], "model": f"cmd:touch {tmp_path}/started#f1"}
    (tmp_path / "a.jsonl").write_text(json.dumps(record) + "\n")
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    assert sh("mmr index x.mmr a.jsonl").status == 0
    for line in (
        "mmr query x.mmr 'a cat'",
        "mmr embed --text a --model-of x.mmr",
        "mmr embed . --skip-indexed x.mmr",
    ):
        done = sh(line)
        assert not (tmp_path / "started").exists()
        assert done.status == 2
        assert "an index starts no program" in done.stderr
    assert sh(f"mmr query x.mmr 'a cat' --model 'cmd:touch {tmp_path}/started'").status == 69
    assert (tmp_path / "started").exists()
