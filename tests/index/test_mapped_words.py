"""A second model by its program, end to end: words through the map, pictures embedded anew, going on."""

from __future__ import annotations

import json
import shlex
import sys

import pytest

from mmr.index import open_index
from mmr.index.mapped import rows_of
from mmr.stream.write import open_writer
from tests.index.test_mapped import OLD, VECTORS, made, records

PROGRAM = """
import base64, json, sys, zlib
import numpy as np

name, dim = sys.argv[1], int(sys.argv[2])
turn = np.linalg.qr(np.random.default_rng(dim).standard_normal((12, 12)))[0][:, :dim]
sys.stdin.readline()
print(json.dumps({"tag": name, "dim": dim, "fingerprint": name}), flush=True)
for line in sys.stdin:
    asked = json.loads(line)
    if "image_png" in asked:
        seed = zlib.crc32(base64.b64decode(asked["image_png"]))
    else:
        seed = zlib.crc32(asked["text"].encode())
    vector = np.random.default_rng(seed).standard_normal(12) @ turn
    print(json.dumps({"key": asked["key"], "vector": (vector / np.linalg.norm(vector)).tolist()}), flush=True)
"""
PICTURES = 40


@pytest.fixture
def models(tmp_path, sh):
    """The specs of an old and of a new model in a folder of pictures with an index of the old one."""
    from PIL import Image

    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "pics").mkdir()
    for i in range(PICTURES):
        Image.new("RGB", (2, 2), (i, 0, 255 - i)).save(tmp_path / f"pics/{i:02}.png")
    start = f"{shlex.quote(sys.executable)} {shlex.quote(str(tmp_path / 'program.py'))}"
    old, new = f"cmd:{start} old 12", f"cmd:{start} new 9"
    texts = "".join(json.dumps({"text": f"words {i}"}) + "\n" for i in range(200))
    (tmp_path / "words.jsonl").write_text(texts)
    done = sh(f"mmr embed pics --model {shlex.quote(old)} -q | mmr index pics.mmr -q", cwd=tmp_path)
    assert (done.status, done.stderr) == (0, "")
    return old, new


def test_words_and_pictures_of_a_new_model(tmp_path, sh, models):
    old, new = map(shlex.quote, models)

    def run(line):
        done = sh(line, cwd=tmp_path)
        assert done.status == 0, done.stderr
        return done

    refused = sh(f"mmr query pics.mmr red --model {new}", cwd=tmp_path)
    assert refused.status == 65
    learn = f"mmr fit map --bank words.jsonl --model {new} -o up.npz --force"
    assert "an index starts no program" in sh(f"{learn} --index pics.mmr", cwd=tmp_path).stderr
    fitted = run(f"{learn} --index pics.mmr --target-model {old}")
    assert "40 pairs held out: mean cosine" in fitted.stderr
    run("mmr index pics.mmr --query-map up.npz")
    by_hand = run(f"mmr embed --text red --model {new} | mmr normalize apply up.npz | mmr query pics.mmr")
    by_map = run(f"mmr query pics.mmr red --model {new}")
    first, second = (json.loads(one.stdout) for one in (by_hand, by_map))
    assert [hit["id"] for hit in first["hits"]] == [hit["id"] for hit in second["hits"]]
    assert second["model"] == first["model"]
    mapping, asking = second["via"][-2:]
    assert (mapping, asking) == (first["via"][-2], "query pics.mmr k=10")

    run(f"mmr embed pics --model {new} --skip-indexed pics.mmr -q | head -n 15 | mmr index pics.mmr")
    with open_index(tmp_path / "pics.mmr") as index:
        assert rows_of(index) == (15, PICTURES - 15)
    both = run(f"mmr query pics.mmr red -k 40 --model {new} --format ids; "
               f"mmr query pics.mmr red -k 40 --model {old} --format ids")  # fmt: skip
    assert len(both.stdout.split()) == 80
    rest = run(f"mmr embed pics --model {new} --skip-indexed pics.mmr | mmr index pics.mmr --sync")
    assert "25 new, 0 changed, 15 kept" in rest.stderr
    assert "is of cmd:" in rest.stderr and "the map is gone" in rest.stderr
    assert sh(f"mmr query pics.mmr red --model {old}", cwd=tmp_path).status == 65
    run(f"mmr query pics.mmr red --model {new}")


def test_what_takes_stored_vectors_waits(tmp_path, sh):
    made(tmp_path / "pics.mmr", new=range(30))
    with open_writer(str(tmp_path / "q.jsonl"), "jsonl") as writer:
        for record in records(VECTORS[0], OLD, range(5)):
            writer.write(record)
    words = "while it is embedded anew"
    asked = "mmr query pics.mmr --from q.jsonl"
    for line in (f"{asked} | mmr rerank superglobal --index pics.mmr", f"{asked} --with-vectors",
                 "mmr compose image --index pics.mmr --ref-id i001",
                 "mmr fit nnn --index pics.mmr --bank q.jsonl -o x.npz --force",
                 "mmr fit centre --index pics.mmr --mean overall -o x.npz",
                 "mmr fit quantizer --index pics.mmr --from q.jsonl --kind ivfpq:m=2 -o x.npz"):  # fmt: skip
        done = sh(line, cwd=tmp_path)
        assert done.status == 65, (line, done.stderr)
        assert words in done.stderr, (line, done.stderr)
