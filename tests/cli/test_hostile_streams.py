"""Hostile streams and places: a clear line, the right status, and every good item comes through."""

from __future__ import annotations

import io
import json
import pickle
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.cli.unprivileged import unprivileged
from tests.conftest import Result, program_environment

Shell = Callable[..., Result]
GOOD = b'{"id":"first","model":"toy#1","vector":[1,0,0,0]}\n'
LAST = b'{"id":"last","model":"toy#1","vector":[0,0,0,1]}\n'
ROWS = np.eye(4, dtype=np.float32)


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def with_vector(vector: object, **fields: object) -> bytes:
    return json.dumps({"id": "bad", "model": "toy#1", **fields, "vector": vector}).encode()


PICKLED = npy(np.array([None], dtype=object))[:128] + pickle.dumps([print])

# a bad line -> words on stderr, after its number
LINES: dict[str, tuple[bytes, str]] = {
    "no JSON": (b"hello", "not JSON"),
    "half a line": (b'{"id":"bad","vec', "not JSON"),
    "NaN": (b'{"id":"bad","vector":[NaN,0,0,0]}', "NaN and Infinity are not JSON"),
    "infinity": (b'{"id":"bad","vector":[1e999,0,0,0]}', ": "),
    "too big for float32": (with_vector([1e39, 0, 0, 0]), "float32 cannot"),
    "a list": (b"[1,2]", "not an object"),
    "not UTF-8": (b'{"id":"b\xe9d"}', "not UTF-8 (byte 9)"),
    "lone surrogate": (b'{"id":"\\ud800"}', "not JSON"),
    "zero bytes": (b"\0\0\0\0", "not JSON"),
    "deep": (b'{"id":"bad","x":' + b"[" * 5000, "not JSON"),
    "empty id": (with_vector([0, 1, 0, 0], id=""), '"id" is empty'),
    "number as id": (with_vector([0, 1, 0, 0], id=7), 'write it as "7"'),
    "no vector": (b'{"id":"bad","model":"toy#1"}', "no vector"),
    "empty vector": (with_vector([]), '"vector" is empty'),
    "null vector": (with_vector(None), '"vector" is null'),
    "words as numbers": (with_vector(["1", "0", "0", "0"]), "not a flat list of numbers"),
    "vector of vectors": (with_vector([[1, 0, 0, 0]]), "not a flat list of numbers"),
    "wrong dimension": (with_vector([1, 0, 0], id="bad wide"), ": "),
    "zero vector": (with_vector([0, 0, 0, 0], id="bad zero"), ": "),
    "broken base64": (with_vector("AACAPw=="[:-1]), "not base64"),
    "base64 of bytes": (with_vector("AAA="), "base64 of 2 bytes"),
}


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], dict[str, str], int]:
    """One run over all hostile lines, good ones around each: ids stored, words by line, status."""
    folder = tmp_path_factory.mktemp("lines")
    good = [GOOD.replace(b"first", b"good %d" % n) for n in range(len(LINES) + 1)]
    bad = [line + b"\n" for line, _ in LINES.values()]
    data = b"".join(one + other for one, other in zip(good, [*bad, b""], strict=True))
    line = "mmr index x.mmr; code=$?; mmr index x.mmr --list; exit $code"
    done = subprocess.run(
        ["bash", "-c", line], input=data, cwd=folder, capture_output=True, env=program_environment(),
        timeout=120,
    )  # fmt: skip
    said = done.stderr.decode()
    assert "Traceback" not in said
    words = {line.split(": ")[1]: line for line in said.splitlines() if "stdin line" in line}
    assert len(words) == len(LINES) and f"{len(LINES)} failed" in said
    return done.stdout.decode().splitlines(), words, done.returncode


@pytest.mark.parametrize("name", LINES)
def test_a_hostile_line(stored: tuple[list[str], dict[str, str], int], name: str) -> None:
    place = list(LINES).index(name)
    ids, said, status = stored
    assert status == 3
    assert {f"good {place}", f"good {place + 1}"} <= set(ids) and not any(
        name.startswith("bad") for name in ids
    )
    assert LINES[name][1] in said[f"stdin line {2 * place + 2}"]


# a whole file -> status and words on stderr of `mmr index x.mmr FILE`; nothing is stored
FILES: dict[str, tuple[str, bytes, int, str]] = {
    "wrong dtype": ("x.npy", npy(ROWS.astype(np.float64)), 65, "<f8, not float32"),
    "Fortran order": ("x.npy", npy(np.asfortranarray(np.float32(ROWS + 1))), 65, "Fortran order"),
    "pickled": ("x.npy", PICKLED, 65, "never loads"),
    "truncated NPY": ("x.npy", npy(ROWS)[:-7], 65, "truncated"),
    "NPY header alone": ("x.npy", npy(ROWS)[:60], 65, "damaged NPY header"),
    "empty NPY": ("x.npy", b"", 65, "no NPY file"),
    "one dimension": ("x.npy", npy(ROWS[0]), 65, "1 dimensions, not 2"),
    "bare rows for an index with a model": ("x.npy", npy(ROWS), 65, "toy#1"),
    "another model's vectors": ("x.jsonl", GOOD.replace(b"toy#1", b"other#2"), 65, "other#2"),
    "a picture": ("x.jsonl", b"\x89PNG\r\n\x1a\n\0\0", 65, "a PNG picture"),
    "gzip": ("x.jsonl.gz", b"\x1f\x8b\x08\0\0", 65, "gzip"),
    "table without a header": ("x.tsv", b"a\t[1,0,0,0]\n", 65, "needs a header"),
    "empty file": ("x.jsonl", b"", 0, ""),
    "blank lines": ("x.jsonl", b"\n\n \n", 0, ""),
}


@pytest.mark.parametrize("name", FILES)
def test_a_hostile_file(sh: Shell, tmp_path: Path, name: str) -> None:
    file, data, status, words = FILES[name]
    (tmp_path / file).write_bytes(data)
    done = sh(f"mmr index -q x.mmr; mmr index x.mmr {file}; echo $?; mmr index x.mmr --list", stdin=GOOD)
    assert done.lines == [str(status), "first"], done.stderr
    assert words in done.stderr and "Traceback" not in done.stderr


def test_a_truncated_pipe_of_vectors(sh: Shell, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(npy(ROWS)[:-20])
    done = sh("mmr index x.mmr --model builtin < x")
    assert (done.status, "ends within a block, after row 2" in done.stderr) == (74, True), done.stderr


def test_halves_of_two_pairs(sh: Shell, tmp_path: Path) -> None:
    done = sh(
        "mmr index -q x.mmr && mmr index x.mmr --dump -o a.npy && mmr index x.mmr --dump -o b.npy; "
        "mmr index -q x.mmr --delete <<< last; mmr index x.mmr --dump -o b.npy; cp b.npy a.npy; "
        "mmr index y.mmr a.npy",
        stdin=GOOD + LAST,
    )  # fmt: skip
    assert (done.status, "a.npy" in done.stderr) == (65, True), done.stderr
    assert not (tmp_path / "y.mmr").exists()


def test_a_line_of_ten_megabytes(sh: Shell) -> None:
    long = json.dumps(
        {"id": "long", "model": "toy#1", "text": "x" * 10_000_000, "vector": [0, 1, 0, 0]}
    ).encode()
    done = sh("mmr index x.mmr && mmr index x.mmr --list", stdin=GOOD + long + b"\n" + LAST)
    assert done.lines == ["first", "long", "last"]
    assert done.status == 0


def test_duplicate_ids(sh: Shell) -> None:
    again = GOOD.replace(b"[1,0,0,0]", b"[0,1,0,0]")
    done = sh("mmr index x.mmr && mmr index x.mmr --get first", stdin=GOOD + LAST + again)
    assert json.loads(done.stdout)["vector"] == [0, 1, 0, 0]
    assert "once" in done.stderr
    asked = sh("mmr query x.mmr -k 1 --format ids; echo $?", stdin=again + GOOD + LAST)
    assert asked.lines == ["first", "last", "3"]
    assert "stdin line 2: " in asked.stderr


def test_a_bad_item_does_not_take_a_good_one_of_its_id_with_it(sh: Shell) -> None:
    zero = GOOD.replace(b"[1,0,0,0]", b"[0,0,0,0]")
    wide = GOOD.replace(b"[1,0,0,0]", b"[1,0,0,0,0]")
    done = sh("mmr index x.mmr; echo $?; mmr index x.mmr --list", stdin=GOOD + wide + zero + LAST)
    assert done.lines == ["3", "first", "last"]
    assert "stdin line 2: " in done.stderr and "stdin line 3: " in done.stderr


def test_ids_with_every_odd_character(sh: Shell) -> None:
    names = [
        "a b",
        "a\nb",
        "a%b",
        "日本",
        "\u202e",
        "\x1b[31m",
        "'; --",
        "../../x",
        "a" * 5000,
        '"',
        "\\",
        "\t",
    ]
    data = b"".join(json.dumps({"id": n, "model": "toy#1", "vector": [1, i, 0, 0]}).encode() + b"\n"
                    for i, n in enumerate(names))  # fmt: skip
    done = sh("mmr index -q x.mmr && mmr query x.mmr --from - -k 99 < q.jsonl; echo $?", stdin=data)
    assert done.status == 0
    again = sh("cat > q.jsonl; mmr query x.mmr -k 99 < q.jsonl", stdin=GOOD)
    assert sorted(hit["id"] for hit in json.loads(again.stdout)["hits"]) == sorted(names)
    table = sh("mmr query x.mmr -k 99 < q.jsonl | mmr show")
    assert b"\x1b" not in table.stdout and "\u202e" not in table.stdout.decode()
    assert len(table.lines) == len(names) + 1
    run = sh(
        "mmr query x.mmr -k 99 --format trec < q.jsonl > a.run; mmr show a.run | wc -l; awk 'NF != 6' a.run"
    )
    assert run.lines == [str(len(names) + 1)]


@pytest.fixture
def locked(sh: Shell, tmp_path: Path) -> Iterator[Path]:
    """An index that may be read and not written, in a folder of which the same is true, and a query."""
    assert sh("mmr index -q x.mmr", stdin=GOOD + LAST).status == 0
    (tmp_path / "q.jsonl").write_bytes(GOOD)
    (tmp_path / "secret.jsonl").write_bytes(GOOD)
    (tmp_path / "secret.jsonl").chmod(0)
    for path in (tmp_path, tmp_path / "x.mmr"):
        path.chmod(0o555)
    yield tmp_path
    for path in (tmp_path, tmp_path / "x.mmr"):
        path.chmod(0o755)


@pytest.mark.parametrize(
    ("line", "status", "words"),
    [
        ("mmr query x.mmr --from q.jsonl -k 1 --format ids", 0, ""),
        ("mmr index x.mmr --check", 0, "sound"),
        ("mmr index x.mmr q.jsonl", 73, "x.mmr"),
        ("mmr index x.mmr --compact", 73, "x.mmr"),
        ("mmr index y.mmr q.jsonl", 73, "y.mmr"),
        ("mmr query x.mmr --from q.jsonl -o out.jsonl", 73, "cannot write out.jsonl"),
        ("mmr query x.mmr --from q.jsonl -o /", 73, "cannot write /"),
        ("mmr query x.mmr --from secret.jsonl", 66, "secret.jsonl cannot be read (permissions)"),
        ("mmr index x.mmr secret.jsonl", 66, "secret.jsonl cannot be read (permissions)"),
    ],
)
def test_permissions(locked: Path, line: str, status: int, words: str) -> None:
    done = unprivileged(line, locked)
    assert (done.status, words in done.stderr, "Traceback" in done.stderr) == (status, True, False), done
    assert done.lines == (["first"] if "ids" in line else [])


def test_a_full_disk_under_an_index(sh: Shell, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    data = b"".join(
        json.dumps({"id": f"n{n}", "model": "toy#1", "vector": row.tolist()}).encode() + b"\n"
        for n, row in enumerate(rng.standard_normal((2000, 64)))
    )
    first = data[: data.index(b"\n") + 1]
    assert sh("mmr index -q x.mmr", stdin=first).status == 0
    done = sh("ulimit -f 200; trap '' XFSZ; mmr index x.mmr", stdin=data)
    assert done.status in (73, 74) and "Traceback" not in done.stderr
    assert "too large" in done.stderr or "disk" in done.stderr
    assert sh("mmr index x.mmr --check && mmr index x.mmr --list").lines == ["n0"]


@pytest.mark.parametrize(
    "spoil",
    ["rm x.mmr/seg-1.npy", "truncate -s 150 x.mmr/seg-1.npy", "truncate -s 0 x.mmr/catalogue.sqlite",
     "echo garbage > x.mmr/catalogue.sqlite"],
)  # fmt: skip
def test_a_damaged_index(sh: Shell, spoil: str) -> None:
    sh(f"mmr index -q x.mmr && {spoil}", stdin=GOOD + LAST)
    done = sh("mmr query x.mmr", stdin=GOOD)
    assert done.status in (65, 66) and "x.mmr" in done.stderr and "Traceback" not in done.stderr, done
