"""The commands in a shell: formats, pipes, and files that are whole or not there."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.normalize.made import unit


@pytest.fixture
def folder(tmp_path, sh):
    """An index of 60 pictures, a bank of 120 queries and 20 other queries with their hits."""
    for name, seed, rows, kind in (("g", 1, 60, "image"), ("bank", 2, 120, "text"), ("q", 3, 20, "text")):
        with open(tmp_path / f"{name}.jsonl", "w") as file:
            for number, vector in enumerate(unit(seed, rows, 16, dtype=np.float32)):
                record = {"id": f"{name}{number}", kind: f"{name} {number}", "model": "toy#1"}
                file.write(json.dumps({**record, "vector": vector.tolist()}) + "\n")
    line = "mmr index -q g.mmr g.jsonl && mmr query g.mmr --from q.jsonl -k 30 > raw.jsonl"
    assert sh(f"{line} && mmr fit nnn -q --index g.mmr --bank bank.jsonl -o hubs.npz").status == 0
    return tmp_path


def test_bare_vectors_on_a_pipe(tmp_path, sh):
    rows = np.float32([[3, 4], [0, 0], [1, 0]])
    np.save(tmp_path / "x.npy", rows)
    done = sh("mmr normalize l2 < x.npy --format npy > y.npy")
    assert (done.status, done.stderr) == (
        0, "mmr normalize: 1 vector of zeros has no direction and stayed.\n",
    )  # fmt: skip
    assert np.load(tmp_path / "y.npy") == pytest.approx(np.float32([[0.6, 0.8], [0, 0], [1, 0]]))
    assert sh("mmr normalize l2 -q x.npy -o z.npy; mmr normalize l2 -q x.npy | wc -l").lines == ["3"]
    assert np.load(tmp_path / "z.npy") == pytest.approx(np.load(tmp_path / "y.npy"))


def test_the_same_input_gives_the_same_bytes(folder, sh):
    line = "mmr normalize apply -q hubs.npz raw.jsonl"
    whole = sh(line)
    assert whole.status == 0 and len(whole.lines) == 20
    assert sh(f"OPENBLAS_NUM_THREADS=2 {line}").stdout == whole.stdout
    assert sh(
        f"shuf --random-source=q.jsonl raw.jsonl | {line.replace(' raw.jsonl', '')} | sort"
    ).lines == sorted(whole.lines)
    one = sh(f"{line} --index g.mmr").stdout
    alone = sh(
        'while read -r r; do echo "$r" | mmr normalize apply -q hubs.npz --index g.mmr; done < raw.jsonl'
    )
    assert alone.stdout == one


def test_a_bank_may_come_on_a_pipe(folder, sh):
    assert sh("cat bank.jsonl | mmr fit nnn -q --index g.mmr --bank - -o piped.npz").status == 0
    both = sh(
        "for s in hubs piped; do mmr normalize apply -q $s.npz raw.jsonl --format trec | sha256sum; done"
    )
    assert len(set(both.lines)) == 1


def test_what_cannot_be_written_leaves_what_was_there(folder, sh):
    before = (folder / "hubs.npz").read_bytes()
    assert sh("mmr fit nnn --index g.mmr --bank g.jsonl -o hubs.npz").status == 65
    assert sh("mmr fit nnn --index g.mmr --bank bank.jsonl -o nowhere/hubs.npz").status == 73
    assert sh("ulimit -f 1; mmr fit nnn --index g.mmr --bank bank.jsonl -o hubs.npz").status == 74
    assert (folder / "hubs.npz").read_bytes() == before
    assert sh("mmr normalize minmax raw.jsonl -o /dev/full").status == 74
    assert {path.name for path in folder.iterdir() if path.name.startswith(".")} == set()


def test_a_closed_pipe_ends_quietly(folder, sh):
    done = sh("mmr normalize minmax raw.jsonl | head -1 | wc -l; echo ${PIPESTATUS[0]}")
    assert (done.lines, done.stderr) == (["1", "0"], "")


def test_rejected_records_are_kept_whole(folder, sh):
    bad = '{"id":"odd","text":"odd","note":[1],"hits":[{"id":"g1","score":7}]}'
    done = sh(f"(head -1 raw.jsonl; echo '{bad}') | mmr normalize apply -q hubs.npz --errors e.jsonl | wc -l")
    assert done.lines == ["1"]
    kept = json.loads((folder / "e.jsonl").read_text())
    assert kept["note"] == [1] and kept["stage"] == "normalize" and "no cosine" in kept["error"]
    done = sh(f"echo '{bad}' | mmr normalize apply -q hubs.npz --strict")
    assert (done.status, done.stdout) == (65, b"")


def test_pictures_of_the_index_are_found_in_a_bank_by_digest_and_by_path(folder, sh):
    rows = unit(8, 3, 16, dtype=np.float32)
    records = [
        {"id": "a", "image": "other.png", "digest": "d1"},
        {"id": "b", "image": "g 3"},
        {"id": "c", "image": "new.png"},
    ]
    for record, row in zip(records, rows, strict=True):
        record |= {"model": "toy#1", "vector": row.tolist()}
    first = {
        "id": "g0",
        "image": "g 0",
        "digest": "d1",
        "model": "toy#1",
        "vector": unit(1, 60, 16)[0].tolist(),
    }
    (folder / "first.jsonl").write_text(json.dumps(first) + "\n")
    (folder / "items.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    assert sh("mmr index -q g.mmr first.jsonl").status == 0
    fit = "mmr fit dualis --index g.mmr --bank bank.jsonl --gallery-bank items.jsonl -o d.npz"
    done = sh(fit)
    assert done.status == 65 and "2 items of g.mmr are pictures of the bank items.jsonl" in done.stderr
    assert not (folder / "d.npz").exists()
    assert sh(f"{fit} --force").status == 0
    (folder / "items.jsonl").write_text(json.dumps(records[2]) + "\n")
    assert sh(fit).status == 0
