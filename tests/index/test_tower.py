"""The text tower beside an index, as a user meets it: who leaves it, who uses it, what goes wrong.

An architecture of open_clip with random weights; `mmr embed` runs once with torch, the rest without.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmr.cli.towers import THREADS, few_threads
from tests.conftest import program_environment

NAME = "ViT-S-32-alt"
ASK = """
import sys
from mmr.cli.main import run
code = run(sys.argv[1:])
sys.stdout.flush()
print(code, *sys.modules, file=sys.stderr)
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A folder with weights, three pictures' worth of words in an index, and the cache that `embed` left."""
    if find_spec("open_clip") is None or find_spec("torch") is None:
        pytest.skip("needs the extra `clip`: pip install 'mmr[clip]'")
    from mmr.encoders.torch_setup import import_open_clip

    open_clip = import_open_clip()
    import torch
    from safetensors.torch import save_file

    folder = tmp_path_factory.mktemp("tower")
    torch.manual_seed(0)
    model = open_clip.create_model(NAME, load_weights=False)
    for parameter in model.parameters():
        if parameter.ndim == 1:
            parameter.data += 0.02 * torch.randn_like(parameter)
    tensors = {key: value.contiguous() for key, value in model.state_dict().items()}
    save_file(tensors, folder / "w.safetensors")
    Image.new("RGB", (40, 40), "red").save(folder / "red.png")
    texts = " ".join(f"--text '{words}'" for words in ("a dog", "a cat", "the red beach"))
    line = f"mmr embed {texts} --model open_clip:{NAME}@w.safetensors --precision fp32 | mmr index w.mmr"
    environment = program_environment({"XDG_CACHE_HOME": str(folder / "cache")})
    done = subprocess.run(["bash", "-o", "pipefail", "-c", line], cwd=folder, env=environment,
                          capture_output=True, text=True, timeout=300, check=True)  # fmt: skip
    (folder / "said").write_text(done.stderr)
    return folder


@pytest.fixture
def ask(made, tmp_path, sh):
    """Run a line beside a copy of the index: without torch, and with an empty cache, unless asked."""
    shutil.copytree(made / "w.mmr", tmp_path / "w.mmr")
    shutil.copy(made / "red.png", tmp_path)
    (tmp_path / "blocked").mkdir()
    (tmp_path / "blocked/torch.py").write_text("raise ImportError(\"No module named 'torch'\")\n")

    def run(line, *, kept=False, torch=False):
        if kept:
            shutil.copytree(made / "cache", tmp_path / "cache", dirs_exist_ok=True)
        if not torch:
            line = f"export PYTHONPATH=blocked:$PYTHONPATH; {line}"
        return sh(line, env={"XDG_CACHE_HOME": str(tmp_path / "cache")})

    return run


def tower_of(index: Path) -> Path:
    (found,) = index.glob("tower-*")
    return found


def answers(done):
    assert done.status == 0, done.stderr
    return [json.loads(line) for line in done.lines]


def test_embed_keeps_the_tower_and_index_takes_it(made):
    said = (made / "said").read_text()
    assert "its text tower (" in said
    assert "queries with words will not need torch" in said
    assert "lies in w.mmr: queries with words need no torch" in said
    (kept,) = (made / "cache/mmr/towers").glob("*.safetensors")
    assert kept.stat().st_ino == tower_of(made / "w.mmr").stat().st_ino


def test_a_query_with_words_loads_no_torch_and_gives_torchs_vector(made, ask, tmp_path):
    ask("true")
    environment = program_environment({"XDG_CACHE_HOME": str(tmp_path / "cache")})
    done = subprocess.run(
        [sys.executable, "-c", ASK, "query", "w.mmr", "a dog", "-o", "out.jsonl"], cwd=tmp_path,
        env=environment, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    code, *modules = done.stderr.splitlines()[-1].split()
    assert code == "0", done.stderr
    heavy = {"torch", "torchvision", "open_clip", "ftfy", "regex", "safetensors", "PIL", "faiss", "rich"}
    assert "mmr.encoders.tower" in modules
    assert not heavy & set(modules)
    found = json.loads((tmp_path / "out.jsonl").read_text())
    stored = json.loads(ask(f"mmr index w.mmr --get {found['hits'][0]['id']}").stdout)
    assert stored["text"] == "a dog"
    assert found["model"] == stored["model"]
    assert np.abs(np.float32(found["vector"]) - np.float32(stored["vector"])).max() <= 1e-6


def test_an_index_that_moved_answers_without_torch_and_cache(ask):
    (found,) = answers(ask("mv w.mmr moved.mmr; mmr query moved.mmr 'a cat' -k 1"))
    assert found["hits"][0]["text"] == "a cat"
    assert "fp32 on cpu, numpy" in found["via"][0]


def test_words_of_a_stream_need_no_torch_either(ask):
    lines = 'printf \'%s\\n\' \'{"text": "a cat"}\' \'{"text": "a dog"}\' \'{"text": "naïve café"}\''
    done = ask(f"{lines} | mmr query w.mmr -k 1")
    assert [found["hits"][0]["text"] for found in answers(done)][:2] == ["a cat", "a dog"]
    assert done.stderr == ""


def test_the_tower_stays_when_the_index_changes(ask, tmp_path):
    name = tower_of(tmp_path / "w.mmr").name
    id_ = ask("mmr index w.mmr --list").lines[0]
    for line in (f"echo {id_} | mmr index w.mmr --delete", "mmr index w.mmr --rebuild --kind hnsw:least=2",
                 "mmr index w.mmr --compact", "mmr index w.mmr --check"):  # fmt: skip
        assert ask(line).status == 0
    assert tower_of(tmp_path / "w.mmr").name == name
    assert answers(ask("mmr query w.mmr 'a cat' -k 1"))[0]["hits"][0]["text"] == "a cat"
    assert json.loads(ask("mmr index w.mmr --info").stdout)["text_tower"] == "fp32"


def test_int8_is_its_own_kind_of_vector(made, ask, tmp_path):
    before = tower_of(tmp_path / "w.mmr").stat().st_size
    done = ask("mmr index w.mmr --export-tower int8")
    assert done.status == 0
    assert "is int8, " in done.stderr
    assert "cosine to fp32 over 48 texts: median 0.99" in done.stderr
    assert tower_of(tmp_path / "w.mmr").stat().st_size < 0.3 * before
    assert json.loads(ask("mmr index w.mmr --info").stdout)["text_tower"] == "int8"
    (found,) = answers(ask("mmr query w.mmr 'a dog' -k 1"))
    assert found["hits"][0]["text"] == "a dog"
    assert found["model"].endswith("-int8")
    (again,) = answers(ask("mmr query w.mmr 'a dog' -k 1 | mmr query w.mmr -k 1"))
    assert again["hits"] == found["hits"]
    shutil.copytree(made / "w.mmr", tmp_path / "fp32.mmr")
    refused = ask("mmr query w.mmr 'a dog' | mmr query fp32.mmr")
    assert refused.status == 65
    assert "-int8" in refused.stderr
    assert ask("mmr index w.mmr --export-tower fp32", kept=True).status == 0
    assert answers(ask("mmr query w.mmr 'a dog'"))[0]["model"] == found["model"].removesuffix("-int8")
    assert ask("mmr index w.mmr --check").status == 0


def damage(path: Path, at: int) -> None:
    """Write the file again with one byte changed."""
    data = bytearray(path.read_bytes())
    data[at] ^= 0x55
    path.unlink()
    path.write_bytes(data)


@pytest.mark.parametrize("at, words", [(-9_000_000, "its digest is another"), (9, "header cannot be read")])
def test_a_damaged_tower_is_a_sentence_and_torch_answers(ask, tmp_path, at, words):
    tower = tower_of(tmp_path / "w.mmr")
    damage(tower, at)
    done = ask("mmr query w.mmr 'a dog' -k 1")
    assert done.status == 69
    assert f"{words}; it is not used (`mmr index w.mmr --export-tower fp32` makes it anew)" in done.stderr
    assert "pip install 'mmr[clip]'" in done.stderr
    checked = ask("mmr index w.mmr --check")
    assert checked.status == 1
    assert "--export-tower makes it anew" in checked.stderr
    answered = ask("mmr query w.mmr 'a dog' -k 1", torch=True)
    assert words in answered.stderr
    assert answers(answered)[0]["hits"][0]["text"] == "a dog"
    assert "the next query with words will not need torch" in answered.stderr
    (found,) = answers(ask("mmr query w.mmr 'a dog' -k 1"))
    assert found["hits"][0]["text"] == "a dog"
    assert ask("mmr index w.mmr --export-tower fp32").status == 0
    assert ask("mmr index w.mmr --check").status == 0
    assert ask("mmr query w.mmr 'a dog' -k 1").stderr == ""


def test_a_tower_of_another_model_is_not_used(ask, tmp_path):
    other = json.dumps({"id": "a", "vector": [0.5] * 256, "model": f"open_clip:{NAME}@x.safetensors#other"})
    (tmp_path / "a.jsonl").write_text(other + "\n")
    assert ask("mmr index x.mmr a.jsonl").status == 0
    tower = tower_of(tmp_path / "w.mmr")
    shutil.copy(tower, tmp_path / "x.mmr" / tower.name)
    with sqlite3.connect(tmp_path / "x.mmr/catalogue.sqlite") as connection:
        row = (tower.name, 0, tower.stat().st_size, "0" * 64)
        connection.execute("INSERT INTO files VALUES (?, ?, ?, ?)", row)
    connection.close()
    done = ask("mmr query x.mmr 'a dog'")
    assert done.status == 69
    assert f"is of open_clip:{NAME}@" in done.stderr
    assert "and the vectors of" in done.stderr


def test_a_picture_needs_no_torch_where_the_weights_are_at_hand(made, ask):
    whole = f"mmr embed red.png --model open_clip:{NAME}@{made}/w.safetensors --precision fp32"
    stored = json.loads(ask(whole, torch=True).stdout)
    done = ask("mmr query w.mmr --image red.png")
    (found,) = answers(done)
    assert found["model"] == stored["model"]
    assert np.abs(np.float32(found["vector"]) - np.float32(stored["vector"])).max() <= 1e-6
    assert done.stderr == ""
    (both,) = answers(ask("mmr query w.mmr --image red.png 'at night'"))
    assert both["vector"] != found["vector"]


def test_a_picture_takes_torch_where_the_weights_are_gone(made, ask):
    try:
        (made / "w.safetensors").rename(made / "away")
        done = ask("mmr query w.mmr --image red.png")
    finally:
        (made / "away").rename(made / "w.safetensors")
    assert done.status == 69
    assert "No such file or directory; it is not used" in done.stderr
    assert "pip install 'mmr[clip]'" in done.stderr


def test_a_user_who_names_precision_gets_torch(ask):
    assert ask("mmr query w.mmr 'a dog' --precision fp32").status == 69
    assert ask("mmr query w.mmr 'a dog' --device cpu").status == 69


def test_a_user_who_names_the_indexs_own_model_needs_no_torch(made, ask):
    (found,) = answers(ask(f"mmr query w.mmr 'a dog' -k 1 --model open_clip:{NAME}@{made}/w.safetensors"))
    assert found["hits"][0]["text"] == "a dog"
    again = ask(f"mmr query w.mmr 'a dog' --model '{found['model']}'")
    assert again.status == 0
    assert ask(f"mmr query w.mmr 'a dog' --model open_clip:{NAME}@red.png").status == 69


def test_numpy_gets_one_thread_unless_the_user_says_otherwise(monkeypatch):
    for name in THREADS:
        monkeypatch.delenv(name, raising=False)
    few_threads()
    assert [os.environ[name] for name in THREADS] == ["1", "1", "1"]
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    monkeypatch.delenv("OPENBLAS_NUM_THREADS")
    few_threads(3)
    assert "OPENBLAS_NUM_THREADS" not in os.environ


def test_an_index_without_such_a_model_has_no_tower(sh):
    assert sh("mmr embed --text a | mmr index b.mmr").status == 0
    done = sh("mmr index b.mmr --export-tower fp32")
    assert done.status == 2
    assert "Text towers are those of open_clip's models" in done.stderr
    assert json.loads(sh("mmr index b.mmr --info").stdout)["text_tower"] == "none"
