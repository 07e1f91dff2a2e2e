"""Two writers, full disks, folders that cannot be written, damaged files, folders that move."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from mmr.errors import BadDataError, BusyError, MissingInputError, OutputError
from mmr.index import delete, open_index, upsert
from mmr.index.check import check, compact, rebuild
from mmr.index.lock import Lock
from mmr.index.reader import Index
from tests.conftest import program_environment
from tests.index.made import fail, item, lines, version_of

NOBODY = 65534
HOLD = """
import sys
from pathlib import Path
from mmr.index.lock import Lock
lock = Lock(Path("x.mmr"))
print("held", flush=True)
sys.stdin.read()
"""
DIE = """
import os, sys
from pathlib import Path
from mmr.index.write import Upserter
from tests.index.made import fail, item
upserter = Upserter(Path(sys.argv[1]), fail)
upserter.add(item("late.jpg"))
upserter.flush()
os._exit(0)
"""


def made(path: Path, count: int = 10, **more) -> Path:
    upsert(path, [item(f"{i}.jpg", **more) for i in range(count)], reject=fail)
    return path


def names(path: Path) -> set[str]:
    with open_index(path) as index:
        return {record["id"] for record in index.items()}


def as_nobody(function):
    """Run `function` in a child without root's rights; returns what it printed."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        try:
            if os.getuid() == 0:
                os.setgid(NOBODY)
                os.setuid(NOBODY)
            os.write(write, repr(function()).encode())
        except BaseException as error:
            os.write(write, f"{type(error).__name__}: {error}".encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        said = pipe.read().decode()
    os.waitpid(child, 0)
    return said


@pytest.fixture
def open_tmp(tmp_path):
    """A temporary folder that others can reach."""
    folder = tmp_path
    while folder != folder.parent and folder.stat().st_uid == os.getuid() and str(folder) != "/tmp":
        folder.chmod(folder.stat().st_mode | 0o055)
        folder = folder.parent
    return tmp_path


def test_a_second_writer_is_told_who_is_busy(tmp_path):
    path = made(tmp_path / "x.mmr")
    lock = Lock(path)
    for change in (
        lambda: made(path, 1),
        lambda: delete(path, ["1.jpg"]),
        lambda: compact(path),
        lambda: rebuild(path),
    ):
        with pytest.raises(BusyError, match=f"process {os.getpid()}"):
            change()
    lock.release()
    made(path, 1)


def test_a_second_writer_waits(tmp_path):
    path = made(tmp_path / "x.mmr")
    lock = Lock(path)
    threading.Timer(0.3, lock.release).start()
    begin = time.monotonic()
    upsert(path, [item("new.jpg")], reject=fail, wait=10)
    assert 0.2 < time.monotonic() - begin < 5
    assert "new.jpg" in names(path)


def test_two_programs_at_once(sh, tmp_path):
    (tmp_path / "a.jsonl").write_bytes(lines(item(f"a{i}.jpg") for i in range(300)))
    (tmp_path / "b.jsonl").write_bytes(lines(item(f"b{i}.jpg") for i in range(300)))
    done = sh(
        "mmr index x.mmr a.jsonl --wait 60 & first=$!; mmr index x.mmr b.jsonl --wait 60 && wait $first"
    )
    assert done.status == 0, done.stderr
    assert len(names(tmp_path / "x.mmr")) == 600
    assert check(tmp_path / "x.mmr") == []
    (tmp_path / "held.py").write_text(HOLD)
    holder = subprocess.Popen([sys.executable, "held.py"], cwd=tmp_path, stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, env=program_environment())  # fmt: skip
    assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
    busy = sh("mmr index x.mmr a.jsonl")
    assert busy.status == 75
    assert f"process {holder.pid}" in busy.stderr
    holder.communicate(b"")
    assert sh("mmr index x.mmr a.jsonl").status == 0


def test_readers_hold_nothing_that_a_writer_of_the_same_pipe_needs(sh, tmp_path):
    path = made(tmp_path / "x.mmr", 3000)
    pipe = "mmr index x.mmr --dump | mmr index x.mmr"
    done = sh(f"{pipe} && {pipe} --model m#1", timeout=60)
    assert done.status == 0, done.stderr
    assert done.stderr.count("3,000 kept") == 2
    with open_index(path) as reader:
        known = reader.known_files()
        upsert(path, [item("0.jpg", 1)], reject=fail)
        compact(path)
        assert reader.known_files() == known
        assert version_of(reader.get("0.jpg")) == 0
        reader.rest()
        assert reader.refresh()
        assert version_of(reader.get("0.jpg")) == 1


def test_a_full_disk_loses_nothing(sh, tmp_path):
    path = made(tmp_path / "x.mmr", 50)
    (tmp_path / "more.jsonl").write_bytes(lines(item(f"{i}.jpg", 1, dim=8) for i in range(4000)))
    for blocks in (8, 40, 100, 120, 200):
        done = sh(f"ulimit -f {blocks}; mmr index x.mmr more.jsonl")
        assert done.status == 74, (blocks, done.stderr)
        assert "Traceback" not in done.stderr
        assert check(path) == []
        assert len(names(path)) == 50
    assert sh("mmr index x.mmr more.jsonl").status == 0
    assert len(names(path)) == 4000
    full = sh("mmr index x.mmr --dump > /dev/full")
    assert full.status == 74
    assert "No space left" in full.stderr


def test_a_full_disk_while_a_graph_is_built(sh, tmp_path):
    path = made(tmp_path / "x.mmr", 500)
    done = sh("ulimit -f 80; mmr index x.mmr --convert hnsw:least=2")
    assert done.status == 74, done.stderr
    assert "Traceback" not in done.stderr
    assert check(path) == []
    assert sorted(file.name for file in path.glob("*seg*")) == ["seg-1.npy"]
    with open_index(path) as index:
        assert index.meta.kind == "flat", "what was not finished changed nothing"
    assert sh("mmr index x.mmr --convert hnsw:least=2").status == 0
    assert check(path) == []
    assert (path / "seg-1.hnsw").is_file()


def test_a_full_disk_at_the_first_write(sh, tmp_path):
    (tmp_path / "more.jsonl").write_bytes(lines(item(f"{i}.jpg") for i in range(4000)))
    done = sh("ulimit -f 8; mmr index new.mmr more.jsonl")
    assert done.status == 74, done.stderr
    assert sh("mmr index new.mmr more.jsonl && mmr index new.mmr --check").status == 0
    assert len(names(tmp_path / "new.mmr")) == 4000


def test_a_folder_that_cannot_be_written_can_be_read(open_tmp):
    path = made(open_tmp / "x.mmr")
    path.chmod(0o555)
    (path / "catalogue.sqlite").chmod(0o444)
    try:
        assert as_nobody(lambda: len(names(path))) == "10"
        assert as_nobody(lambda: check(path)) == "[]"
        assert "OutputError" in as_nobody(lambda: made(path, 1))
        assert "OutputError" in as_nobody(lambda: made(open_tmp / "no" / "x.mmr", 1))
        (path / "catalogue.sqlite").chmod(0o000)
        assert "MissingInputError" in as_nobody(lambda: len(names(path)))
    finally:
        path.chmod(0o755)


def test_a_journal_that_a_dead_writer_left_is_read_where_nothing_can_be_written(open_tmp):
    path = made(open_tmp / "x.mmr")
    subprocess.run([sys.executable, "-c", DIE, str(path)], env=program_environment(), check=True)
    journal = path / "catalogue.sqlite-wal"
    assert journal.stat().st_size > 0
    (path / "catalogue.sqlite-shm").unlink()
    for file in path.iterdir():
        file.chmod(0o444)
    path.chmod(0o555)
    try:
        assert as_nobody(lambda: sorted(names(path))[-1]) == "'late.jpg'"
    finally:
        path.chmod(0o755)


def test_damage_is_found(tmp_path, sh):
    path = made(tmp_path / "x.mmr")
    rebuild(path, kind="hnsw:least=2")
    vectors, graph = path / "seg-1.npy", path / "seg-1.hnsw"
    whole, links = vectors.read_bytes(), graph.read_bytes()

    vectors.write_bytes(whole[:-5] + b"\x00" + whole[-4:])
    done = sh("mmr index x.mmr --check")
    assert done.status == 1
    assert "seg-1.npy is not what was written" in done.stderr
    assert len(names(path)) == 10, "opening checks sizes only"

    vectors.write_bytes(whole[:-4])
    assert [line for line in check(path) if "seg-1.npy has" in line]
    for command in ("--list", "--info", "--dump"):
        done = sh(f"mmr index x.mmr {command}")
        assert done.status == 65
        assert "--check" in done.stderr
    vectors.unlink()
    assert sh("mmr index x.mmr --list").status == 65
    vectors.write_bytes(whole)

    graph.write_bytes(links + b"x")
    assert sh("mmr index x.mmr --list").status == 65
    assert sh("mmr index x.mmr --check").status == 1
    assert sh("mmr index x.mmr --rebuild && mmr index x.mmr --check").status == 0
    assert not graph.exists()
    assert (path / "seg-1-2.hnsw").read_bytes() == links


def test_a_damaged_catalogue_is_said_to_be_one(tmp_path, sh):
    path = made(tmp_path / "x.mmr")
    catalogue = path / "catalogue.sqlite"
    catalogue.write_bytes(b"no database at all" * 100)
    assert sh("mmr index x.mmr --check").status == 1
    done = sh("mmr index x.mmr --list")
    assert done.status == 65
    assert "damaged" in done.stderr
    assert "damaged" in check(path)[0]


def test_a_catalogue_that_is_not_ours_or_too_new(tmp_path, sh):
    path = made(tmp_path / "x.mmr")
    for statement, said in (
        ("UPDATE meta SET value = 'round' WHERE key = 'kind'", "kind round"),
        ("UPDATE meta SET value = 'flat' WHERE key = 'kind'", ""),
        ("UPDATE meta SET value = '{' WHERE key = 'params'", "does not say what it is"),
        ("UPDATE meta SET value = '{}' WHERE key = 'params'", ""),
        ("UPDATE meta SET value = 9 WHERE key = 'dim'", "does not hold 10 vectors of 9"),
        ("UPDATE meta SET value = 8 WHERE key = 'dim'", ""),
        ("UPDATE segments SET ids = '[broken'", ""),
        ("PRAGMA user_version = 99", "format 99"),
    ):
        with closing(sqlite3.connect(path / "catalogue.sqlite")) as connection:
            connection.execute(statement)
            connection.commit()
        done = sh("mmr index x.mmr --dump")
        assert done.status == (65 if said else 0), done.stderr
        assert said in done.stderr
        assert "Traceback" not in done.stderr
        if "ids" in statement:
            assert "its ids cannot be read" in sh("mmr index x.mmr --check").stderr


def test_what_is_no_index_is_left_alone(tmp_path):
    (tmp_path / "pics").mkdir()
    (tmp_path / "pics" / "a.jpg").write_bytes(b"")
    (tmp_path / "file.mmr").write_bytes(b"")
    for name in ("pics", "file.mmr"):
        with pytest.raises(BadDataError, match=name):
            made(tmp_path / name)
        with pytest.raises(BadDataError, match=name):
            open_index(tmp_path / name)
    assert [file.name for file in (tmp_path / "pics").iterdir()] == ["a.jpg"]
    (tmp_path / "empty.mmr").mkdir()
    with pytest.raises(MissingInputError):
        open_index(tmp_path / "empty.mmr")
    made(tmp_path / "empty.mmr")
    with pytest.raises(OutputError):
        made(tmp_path / "no" / "such" / "x.mmr")
    with pytest.raises(MissingInputError):
        delete(tmp_path / "none.mmr", ["a"])
    assert not (tmp_path / "none.mmr").exists()


def test_pictures_and_index_move_together(tmp_path, monkeypatch):
    home = tmp_path / "home"
    (home / "photos").mkdir(parents=True)
    far = "/far/away"
    records = [
        item("photos/a.jpg", base=str(home)),
        item("b.jpg", base=str(home / "photos")),
        item("c.jpg", base=far),
    ]
    upsert(home / "pics.mmr", records, reject=fail)
    moved = tmp_path / "moved"
    home.rename(moved)
    with open_index(moved / "pics.mmr") as index:
        assert set(index.known_files()) == {
            str(moved / "photos" / "a.jpg"), str(moved / "photos" / "b.jpg"), "/far/away/c.jpg",
        }  # fmt: skip
        places = [(1, 0), (1, 1), (1, 2)]
        monkeypatch.chdir(moved)
        assert [r["image"] for r in index.records(places, ("image",))] == [
            "photos/a.jpg", "photos/b.jpg", "/far/away/c.jpg",
        ]  # fmt: skip
        monkeypatch.chdir(tmp_path)
        assert index.records(places)[1]["image"] == "moved/photos/b.jpg"
        assert index.records(places)[1]["id"] == "b.jpg"
        assert index.get("b.jpg")["base"] == str(moved / "photos")
    assert upsert(moved / "pics.mmr", [item("photos/a.jpg", base=str(moved))], reject=fail).kept == 1


def test_files_that_vanish_while_a_reader_opens(tmp_path, monkeypatch):
    path = made(tmp_path / "x.mmr")
    made(path, 5, version=1)
    real = Index._open_files
    calls = []

    def slow(self):
        calls.append(1)
        if len(calls) == 1:
            compact(path)
        real(self)

    monkeypatch.setattr(Index, "_open_files", slow)
    with open_index(path) as index:
        assert len(calls) == 2
        assert len(list(index.items())) == 10
        assert len(index.segments()) == 1
    with open_index(path) as other:
        made(path, 3, version=2)
        compact(path)
        assert len(other.segments()) == 1
        assert {version_of(record) for record in other.items()} == {0, 1}


def test_readers_while_a_writer_writes_and_merges(tmp_path):
    """Every state that a reader sees is one that was committed: all items of a round, or all of the next."""
    path = tmp_path / "x.mmr"
    upsert(path, [item(f"{i}.jpg", 0) for i in range(40)], reject=fail)
    seen: list[set[int]] = []
    wrong: list[BaseException] = []
    done = threading.Event()

    def read() -> None:
        try:
            while not done.is_set():
                with open_index(path) as index:
                    records = list(index.items())
                    assert len(records) == index.meta.count == 40
                    live = sum(int(segment.live.sum()) for segment in index.segments())
                    assert live == 40
                    seen.append({version_of(record) for record in records})
        except BaseException as error:
            wrong.append(error)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for version in range(1, 25):
        upsert(path, [item(f"{i}.jpg", version) for i in range(40)], reject=fail)
        if version % 3 == 0:
            compact(path)
    done.set()
    for reader in readers:
        reader.join()
    assert wrong == []
    assert all(len(versions) == 1 for versions in seen)
    assert len({version for versions in seen for version in versions}) > 3
