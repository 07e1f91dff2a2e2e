"""NPY: pairs, bare files, blocks on a pipe, and files that are none of these."""

from __future__ import annotations

import io
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import orjson
import pytest

from mmr.errors import BadDataError, BusyError, OutputError, StreamError, UsageError
from mmr.stream.pair import part_path
from mmr.stream.pair_write import open_pair
from mmr.stream.write import open_writer
from tests.stream.reading import read

RNG = np.random.default_rng(7)
ROWS = RNG.standard_normal((5, 8)).astype(np.float32)


def write_pair(path: Path, records: list[dict]) -> None:
    with open_writer(str(path), "jsonl") as writer:
        for record in records:
            writer.write(record)


def items(count: int = 5) -> list[dict]:
    return [{"id": f"i{n}", "n": n, "vector": ROWS[n]} for n in range(count)]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def drop(path: Path, lines: slice, before: bytes = b"") -> None:
    """Take lines out of a file, and put others before them."""
    kept = path.read_bytes().splitlines(keepends=True)
    del kept[lines]
    path.write_bytes(before + b"".join(kept))


def npy(array: np.ndarray, **options: bool) -> bytes:
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


def test_a_pair_is_what_numpy_and_jq_would_write(tmp_path: Path) -> None:
    write_pair(tmp_path / "x.npy", items())
    np.testing.assert_array_equal(np.load(tmp_path / "x.npy"), ROWS)
    lines = (tmp_path / "x.jsonl").read_bytes().splitlines()
    assert [orjson.loads(line) for line in lines[:-1]] == [{"id": f"i{n}", "n": n} for n in range(5)]
    assert orjson.loads(lines[-1]).keys() == {"eof", "items", "npy"}
    assert names(tmp_path) == ["x.jsonl", "x.npy"]


def test_records_with_several_vectors_or_none(tmp_path: Path) -> None:
    given = [
        {"id": "one", "vector": ROWS[0]},
        {"id": "three", "vectors": ROWS[1:4]},
        {"id": "seen", "keep": True},
        {"id": "single", "vectors": ROWS[4:5]},
        {"id": "both", "vector": ROWS[0], "vectors": ROWS[1:3]},
    ]
    write_pair(tmp_path / "x.npy", given)
    found = read(tmp_path / "x.npy").records
    assert [list(record) for record in found] == [
        ["id", "vector"], ["id", "vectors"], ["id", "keep"], ["id", "vectors"], ["id", "vectors", "vector"]
    ]  # fmt: skip
    for record, wanted in zip(found, given, strict=True):
        for name in ("vector", "vectors"):
            np.testing.assert_array_equal(record.get(name), wanted.get(name))
    assert str(found[3].place) == f"{tmp_path}/x.npy row 4"


def test_vectors_of_a_pair_are_views_of_the_file(tmp_path: Path) -> None:
    write_pair(tmp_path / "x.npy", items())
    vector = read(tmp_path / "x.npy").records[2]["vector"]
    assert vector.base is not None and not vector.flags.writeable


def test_float16_rows_come_as_float32(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", ROWS.astype(np.float16))
    (tmp_path / "x.jsonl").write_text("".join(f'{{"id":"i{n}"}}\n' for n in range(5)))
    found = read(tmp_path / "x.npy").records
    assert found[1]["vector"].dtype == np.float32
    np.testing.assert_array_equal(found[1]["vector"], ROWS[1].astype(np.float16).astype(np.float32))


def test_without_vectors_only_the_records_are_read(tmp_path: Path) -> None:
    write_pair(tmp_path / "x.npy", [*items(2), {"id": "m", "vectors": ROWS[2:]}])
    (tmp_path / "x.npy").write_bytes(b"never looked at")
    found = read(tmp_path / "x.npy", vectors=False)
    assert [dict(record) for record in found.records] == [
        {"id": "i0", "n": 0},
        {"id": "i1", "n": 1},
        {"id": "m"},
    ]


def test_a_bad_record_takes_its_rows_with_it(tmp_path: Path) -> None:
    rows = ROWS.copy()
    rows[3, 2] = np.nan
    np.save(tmp_path / "x.npy", rows)
    (tmp_path / "x.jsonl").write_text('{"id":"a"}\n{"id":"","rows":2}\n{"id":"nan"}\n{"id":"e"}\n')
    found = read(tmp_path / "x.npy")
    assert found.ids == ["a", "e"]
    np.testing.assert_array_equal(found.records[1]["vector"], ROWS[4])
    assert ["row 1" in found.words[0], "row 3" in found.words[1]] == [True, True]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda n, j: n.write_bytes(n.read_bytes()[:-4]), "truncated"),
        (lambda n, j: n.write_bytes(npy(ROWS + 1)), "SHA-256 differs"),
        (lambda n, j: n.write_bytes(npy(ROWS[:4])), "has 4 rows, the records of .* want 5"),
        (lambda n, j: n.write_bytes(npy(ROWS) + npy(ROWS)), "2 blocks"),
        (lambda n, j: drop(j, slice(1)), "has 4 records, .* says 5"),
        (lambda n, j: drop(j, slice(0), b"garbage\n"), "has 6 records, .* says 5"),
        (lambda n, j: drop(j, slice(1), b"x\n"), "line 1 is no record"),
        (lambda n, j: drop(j, slice(4, 6)), "has 5 rows, .* want 4"),
        (lambda n, j: j.write_text('{"id":"a","rows":"5"}\n'), "not a whole number of rows"),
    ],
)  # fmt: skip
def test_halves_that_do_not_fit_are_refused(tmp_path: Path, spoil: Callable, words: str) -> None:
    path = tmp_path / "x.npy"
    write_pair(path, items())
    spoil(path, tmp_path / "x.jsonl")
    with pytest.raises(BadDataError, match=words) as caught:
        read(path)
    assert caught.value.fix


class Trap:
    """Unpickling it would leave a mark."""

    def __reduce__(self):
        return (open, (os.environ["MMR_TEST_MARK"], "w"))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (npy(ROWS.astype(np.float64)), "<f8, not float32"),
        (npy(ROWS.astype(">f4")), ">f4, not float32"),
        (npy(ROWS.astype(np.int32)), "<i4, not float32"),
        (npy(np.zeros(3, dtype=[("a", "<f4")])), "holds records, not float32"),
        (npy(np.asfortranarray(ROWS)), "Fortran order"),
        (npy(ROWS[0]), "1 dimensions, not 2"),
        (npy(ROWS[None]), "3 dimensions, not 2"),
        (npy(np.float32(1)), "0 dimensions, not 2"),
        (npy(ROWS[:, :0]), "rows of no numbers"),
        (npy(ROWS)[:50], "damaged NPY header"),
        (npy(ROWS)[:9], "damaged NPY header"),
        (npy(ROWS)[:4], "no NPY file"),
        (b"", "no NPY file"),
        (b"hello world", "no NPY file"),
        (b"\x93NUMPY\x01\x00\xff\xff" + b"A" * 70000, "damaged NPY header"),
        (b"\x93NUMPY\x09\x00" + npy(ROWS)[8:], "damaged NPY header"),
        (npy(ROWS)[:-4], "truncated"),
        (npy(ROWS) + npy(ROWS[:, :4]), "blocks of 8 and of 4 dimensions"),
        (npy(ROWS) + b"rest", "at byte 288 is no NPY file"),
    ],
)
def test_arrays_that_are_no_vectors_are_refused(tmp_path: Path, data: bytes, words: str) -> None:
    (tmp_path / "x.npy").write_bytes(data)
    with pytest.raises(BadDataError, match=words) as caught:
        read(tmp_path / "x.npy")
    assert caught.value.fix


def test_nothing_is_unpickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mark = tmp_path / "mark"
    monkeypatch.setenv("MMR_TEST_MARK", str(mark))
    header = npy(np.array([None], dtype=object), allow_pickle=True)[:128]
    (tmp_path / "x.npy").write_bytes(header + pickle.dumps(Trap()))
    with pytest.raises(BadDataError, match="pickled Python objects, which mmr never loads"):
        read(tmp_path / "x.npy")
    assert not mark.exists()


def test_bare_rows_are_named_by_their_numbers_through_all_files(tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(npy(ROWS[:2]) + npy(ROWS[2:3]))
    (tmp_path / "b.npy").write_bytes(npy(ROWS[3:].astype(np.float16)))
    found = read(tmp_path / "a.npy", tmp_path / "b.npy")
    assert found.ids == ["0", "1", "2", "3", "4"]
    np.testing.assert_array_equal(np.stack([r["vector"] for r in found.records[:3]]), ROWS[:3])
    np.save(tmp_path / "e.npy", ROWS[:0])
    assert read(tmp_path / "e.npy").records == []


def test_bare_rows_that_are_not_finite_are_bad_items(tmp_path: Path) -> None:
    rows = ROWS.copy()
    rows[1, 1] = np.inf
    np.save(tmp_path / "a.npy", rows)
    found = read(tmp_path / "a.npy")
    assert (found.ids, len(found.bad)) == (["0", "2", "3", "4"], 1)
    assert "a.npy row 1" in found.words[0]


PIPE = """
import sys
from mmr.errors import raise_item
from mmr.stream.read import read_records
from mmr.stream.write import open_writer
with open_writer("-", sys.argv[1]) as writer:
    for record in read_records(["-"], reject=raise_item):
        writer.write(record)
"""


def pipe(data: bytes, form: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", PIPE, form], input=data, capture_output=True, timeout=60)


def test_blocks_on_a_pipe(tmp_path: Path) -> None:
    many = RNG.standard_normal((3000, 8)).astype(np.float32)
    done = pipe(npy(many[:10]) + npy(many[10:10]) + npy(many[10:]), "npy")
    assert done.stderr == b""
    (tmp_path / "x.npy").write_bytes(done.stdout)
    found = read(tmp_path / "x.npy")
    assert found.ids == [str(n) for n in range(3000)]
    np.testing.assert_array_equal(np.stack([record["vector"] for record in found.records]), many)
    file = io.BytesIO(done.stdout)
    assert len(np.load(file)) == 1024  # blocks as numpy reads them


def test_a_pipe_that_ends_within_a_block_says_that_its_writer_died() -> None:
    done = pipe(npy(ROWS)[:-40], "jsonl")
    assert done.returncode == 1
    assert b"StreamError: stdin ends within a block, after row 3" in done.stderr
    assert StreamError.__name__ in done.stderr.decode()


def test_writing_refuses_what_it_cannot_hold(tmp_path: Path) -> None:
    with pytest.raises(BadDataError, match="vector of 4 numbers, those before it have 8"):
        write_pair(tmp_path / "x.npy", [items()[0], {"id": "b", "vector": ROWS[1, :4]}])
    assert names(tmp_path) == []
    with (
        pytest.raises(BadDataError, match="has no vector"),
        open_writer(str(tmp_path / "x"), "npy") as writer,
    ):
        writer.write({"id": "a"})
    assert names(tmp_path) == []
    with pytest.raises(UsageError):
        open_writer(str(tmp_path / "x.npy"), "trec")
    with pytest.raises(OutputError), open_writer(str(tmp_path / "none" / "x.npy"), "jsonl"):
        pass


def test_a_file_that_is_not_ours_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text('{"id":"mine"}\n')
    with pytest.raises(BadDataError, match="mmr did not write it"):
        write_pair(tmp_path / "x.npy", items())
    assert (tmp_path / "x.jsonl").read_text() == '{"id":"mine"}\n'
    (tmp_path / "x.jsonl").unlink()
    write_pair(tmp_path / "x.npy", items())
    write_pair(tmp_path / "x.npy", items(2))
    assert read(tmp_path / "x.npy").ids == ["i0", "i1"]


def test_an_empty_pair(tmp_path: Path) -> None:
    write_pair(tmp_path / "x.npy", [])
    assert read(tmp_path / "x.npy").records == []
    assert np.load(tmp_path / "x.npy").shape == (0, 0)


def test_the_end_of_a_stream_passes_through_a_pair(tmp_path: Path) -> None:
    one = {"eof": True, "items": 2, "roots": ["/" + "a" * 5000]}
    two = {"eof": True, "items": 1, "roots": ["/b"]}
    write_pair(tmp_path / "x.npy", [*items(2), one, items()[2], two])
    found = read(tmp_path / "x.npy", eof=True)
    assert [dict(record) for record in found.records if "eof" in record] == [one, two]
    wrong = {"eof": True, "items": 9, "roots": ["/b"]}
    write_pair(tmp_path / "y.npy", [*items(2), wrong])
    assert [dict(r) for r in read(tmp_path / "y.npy", eof=True).records[2:]] == [
        wrong,
        {"eof": True, "items": 0},
    ]
    write_pair(tmp_path / "z.npy", [*items(2), {**one, "items": 2}])
    assert read(tmp_path / "z.npy").ids == ["i0", "i1"]


def test_a_commit_that_stops_between_its_renames_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    write_pair(path, items(3))
    old = path.read_bytes()
    write_pair(path, items(5))
    path.rename(part_path(path))
    path.write_bytes(old)
    assert read(path).ids == [f"i{n}" for n in range(5)]
    path.unlink()
    assert read(path).ids == [f"i{n}" for n in range(5)]
    with pytest.raises(RuntimeError), open_pair(str(path)):
        raise RuntimeError
    assert read(path).ids == [f"i{n}" for n in range(5)]
    assert names(tmp_path) == ["x.jsonl", "x.npy"]


@pytest.mark.parametrize("torn_rows", [0, 1, 33])
@pytest.mark.parametrize("torn_lines", [0, 1, 20])
def test_a_killed_run_is_resumed(tmp_path: Path, torn_rows: int, torn_lines: int) -> None:
    path, lines = tmp_path / "x.npy", tmp_path / "x.jsonl"
    with pytest.raises(RuntimeError), open_pair(str(path), resume=True) as writer:
        assert list(writer.left()) == []
        for record in items(4):
            writer.write(record)
        raise RuntimeError
    assert not path.exists()
    for part, torn in ((part_path(path), torn_rows), (part_path(lines), torn_lines)):
        part.write_bytes(part.read_bytes()[: part.stat().st_size - torn])
    with open_pair(str(path), resume=True) as writer:
        left = [record["id"] for record in writer.left()]
        whole = min(4 - -(-torn_rows // 32), 4 - -(-torn_lines // 16))
        assert left == [f"i{n}" for n in range(whole)]
        kept = min(whole, 2)
        writer.keep(kept)
        for record in items(5)[kept:]:
            writer.write(record)
    found = read(path)
    assert found.ids == [f"i{n}" for n in range(5)]
    np.testing.assert_array_equal(np.stack([record["vector"] for record in found.records]), ROWS)
    assert names(tmp_path) == ["x.jsonl", "x.npy"]


def test_two_writers_of_one_pair(tmp_path: Path) -> None:
    path = str(tmp_path / "x.npy")
    with open_pair(path) as writer:
        with pytest.raises(BusyError), open_pair(path):
            pass
        for record in items():
            writer.write(record)
    assert len(read(path).records) == 5
