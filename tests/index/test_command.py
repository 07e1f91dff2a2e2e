"""`mmr index` as a user types it."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.index.made import item, keep, lines


@pytest.fixture
def pics(tmp_path, sh):
    (tmp_path / "a.jsonl").write_bytes(lines(item(f"{i}.jpg", base=str(tmp_path)) for i in range(5)))
    assert sh("mmr index x.mmr a.jsonl").stderr == "mmr index: 5 new, 0 changed, 0 kept, 0 gone, 0 failed\n"
    return tmp_path


def test_streams_and_files(pics, sh):
    assert "5 kept" in sh("cat a.jsonl a.jsonl | mmr index x.mmr").stderr
    assert "5 kept" in sh("mmr index x.mmr - < a.jsonl").stderr
    assert "5 kept" in sh("mmr index x.mmr a.jsonl a.jsonl").stderr
    missing = sh("mmr index x.mmr none.jsonl")
    assert (missing.status, missing.stdout) == (66, b"")
    quiet = sh("mmr index x.mmr -q a.jsonl")
    assert (quiet.status, quiet.stderr) == (0, "")


def test_nothing_in_nothing_out(tmp_path, sh):
    done = sh("mmr index new.mmr < /dev/null")
    assert done.status == 0
    assert "new.mmr was not made" in done.stderr
    assert not (tmp_path / "new.mmr").exists()


def test_rejects_can_be_fed_back(pics, sh):
    good, wrong = item("new.jpg"), item("wrong.jpg", dim=3)
    (pics / "b.jsonl").write_bytes(lines([good, wrong, keep("1.jpg")]) + b"not json\n")
    done = sh("mmr index x.mmr b.jsonl --errors bad.jsonl")
    assert done.status == 3
    assert "b.jsonl line 2: its vector has 3 numbers" in done.stderr
    assert done.stderr.endswith("1 new, 0 changed, 1 kept, 0 gone, 2 failed\n")
    rejects = [json.loads(line) for line in (pics / "bad.jsonl").read_text().splitlines()]
    assert {one["stage"]: one.get("id") for one in rejects} == {"index": "wrong.jpg", "read": None}
    assert sh("mmr index x.mmr b.jsonl --strict").status == 65


def test_info(pics, sh):
    facts = json.loads(sh("mmr index x.mmr --info").stdout)
    assert facts["items"] == 5
    assert facts["model"] == "m#1"
    assert facts["bases"] == [str(pics)]
    table = sh("mmr index x.mmr --info --format table").lines
    assert ["items", "5"] in [line.split() for line in table]


def test_list_and_get(pics, sh):
    assert sh("mmr index x.mmr --list").lines == [f"{i}.jpg" for i in range(5)]
    assert sh("mmr index x.mmr --list | head -1").stderr == ""
    (pics / "odd.jsonl").write_bytes(lines([item("two\nlines")]))
    assert sh("mmr index x.mmr odd.jsonl").status == 0
    done = sh("mmr index x.mmr --list")
    assert (done.status, len(done.lines)) == (3, 5)
    record = json.loads(sh("mmr index x.mmr --get 3.jpg --vector-format base64").stdout)
    assert (record["id"], record["image"], record["base"]) == ("3.jpg", "3.jpg", str(pics))
    assert isinstance(record["vector"], str)
    assert len(sh("mmr index x.mmr --get 3.jpg --get 1.jpg").lines) == 2
    assert sh("mmr index x.mmr --get none").status == 66


def test_dump_merges(pics, sh):
    (pics / "more.jsonl").write_bytes(lines([item("more.jpg"), item("1.jpg", 7)]))
    sh("mmr index y.mmr more.jsonl")
    assert "4 new, 1 changed" in sh("mmr index x.mmr --dump | mmr index y.mmr").stderr
    assert "6 new" in sh("mmr index y.mmr --dump --vector-format base64 | mmr index z.mmr").stderr
    assert sh("mmr index y.mmr --dump").stdout == sh("mmr index z.mmr --dump").stdout
    sh("mmr index y.mmr --dump -o pair.npy")
    assert np.load(pics / "pair.npy").shape == (6, 8)
    assert "6 kept" in sh("mmr index y.mmr pair.npy").stderr
    assert json.loads(sh("mmr index x.mmr --dump -o out.jsonl; head -1 out.jsonl").stdout)["id"] == "0.jpg"


def test_delete(pics, sh):
    done = sh("printf '1.jpg\\n\\nnone\\n' | mmr index x.mmr --delete")
    assert done.status == 0
    assert "1 of the ids named are not in x.mmr" in done.stderr
    assert "1 gone" in done.stderr
    (pics / "ids.txt").write_text("0.jpg\r\n")
    assert "1 gone" in sh("mmr index x.mmr --delete ids.txt --dry-run").stderr
    assert "1 gone" in sh("mmr index x.mmr --delete ids.txt").stderr
    assert "1 gone" in sh("mmr index x.mmr --get 2.jpg | mmr index x.mmr --delete").stderr
    assert sh("mmr index x.mmr --list").lines == ["3.jpg", "4.jpg"]
    bad = sh("printf '\\xff\\n{broken\\n3.jpg\\n' | mmr index x.mmr --delete")
    assert bad.status == 3
    assert "1 gone, 2 failed" in bad.stderr
    assert sh("mmr index x.mmr --delete none.txt").status == 66
    assert sh("mmr index none.mmr --delete ids.txt").status == 66


def test_bare_vectors_need_a_model(pics, sh):
    np.save(pics / "bare.npy", np.eye(8, dtype=np.float32))
    done = sh("mmr index x.mmr bare.npy")
    assert done.status == 65
    assert "m#1" in done.stderr
    assert "--model m#1" in done.stderr
    assert "8 new" in sh("mmr index x.mmr bare.npy --model m#1").stderr
    assert "8 kept" in sh("mmr index x.mmr bare.npy --model other#1").stderr, "only the hash counts"
    assert sh("mmr index x.mmr bare.npy --model m#2").status == 65
    assert "8 new" in sh("mmr index plain.mmr bare.npy").stderr
    assert "8 new" in sh("mmr index named.mmr bare.npy --model m#3").stderr
    assert json.loads(sh("mmr index named.mmr --info").stdout)["model"] == "m#3"
    assert sh("mmr index x.mmr --list").lines[-1] == "7"


def test_check_rebuild_compact(pics, sh):
    assert sh("mmr index x.mmr --check").stderr == "mmr index: x.mmr is sound.\n"
    assert sh("mmr index x.mmr --rebuild --kind hnsw:least=2,m=4").status == 0
    assert (pics / "x.mmr" / "seg-1.hnsw").is_file()
    assert sh("mmr index x.mmr --rebuild --kind flat:dtype=float16").status == 0
    assert json.loads(sh("mmr index x.mmr --info").stdout)["params"] == {"dtype": "float16"}
    assert [file.name for file in (pics / "x.mmr").glob("seg*")] == ["seg-2.npy"]
    sh("echo 1.jpg | mmr index x.mmr --delete")
    assert sh("mmr index x.mmr --compact").status == 0
    facts = json.loads(sh("mmr index x.mmr --info").stdout)
    assert (facts["items"], facts["segments"], facts["dead_rows"]) == (4, 1, 0)
    assert sh("mmr index x.mmr --check").status == 0
    assert sh("mmr index none.mmr --check").status == 66


@pytest.mark.parametrize("options", [
    "--info --list", "--list a.jsonl", "--info --model m", "--check --kind flat", "--compact --dry-run",
    "--format json", "--list --wait 1", "-o out", "--vector-format base64", "--max-delete 0.2",
])  # fmt: skip
def test_options_that_would_do_nothing_are_wrong(pics, sh, options):
    done = sh(f"mmr index x.mmr {options} < a.jsonl")
    assert done.status == 2, done.stderr
    assert "Traceback" not in done.stderr


def test_names_that_are_hostile_on_a_terminal(tmp_path, sh):
    evil = "a\x1b[31m\x00b"
    (tmp_path / "evil.jsonl").write_bytes(
        lines([item(evil, base=None, image="p.jpg"), item(evil + "2", dim=3)])
    )
    done = sh("mmr index x.mmr evil.jsonl")
    assert done.status == 3
    assert "\x1b" not in done.stderr
    assert json.loads(sh("mmr index x.mmr --dump").stdout)["id"] == evil
    assert "1 kept" in sh("mmr index x.mmr --dump | mmr index x.mmr").stderr
    assert sh("mmr index x.mmr --check").status == 0
