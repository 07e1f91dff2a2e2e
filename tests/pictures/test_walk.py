"""What a walk finds, in which order, and what it says about the rest."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from mmr.errors import BadItem
from mmr.pictures.read import label, read_bytes, read_contents
from mmr.pictures.walk import Found, Walk
from tests.cli.unprivileged import unprivileged


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def make(*names: str, data: bytes = b"x") -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(data)


class Seen:
    """A walk that is over: what it found and what it said."""

    def __init__(self, *paths: str, **more) -> None:
        self.bad: list[BadItem] = []
        self.walk = Walk(reject=self.bad.append, **more)
        self.found: list[Found] = list(self.walk.find(paths))
        self.paths = [found.path for found in self.found]


def add(tar: tarfile.TarFile, name: str, data: bytes = b"x", **more) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mtime = len(data), 1_700_000_000
    for key, value in more.items():
        setattr(info, key, value)
    tar.addfile(info, io.BytesIO(data))


def test_folders_are_walked_in_the_order_of_the_bytes_of_whole_paths():
    make("p/b.jpg", "p/a/z.jpg", "p/a.jpg", "p/Z.png", "p/ä.webp", "p/a-b/c.gif", "p/a/b/c/d.JPEG")
    seen = Seen("p")
    assert seen.paths == sorted(seen.paths, key=str.encode)
    assert len(seen.paths) == 7 and not seen.bad and not seen.walk.failed
    assert seen.walk.roots == [str(Path("p").absolute())]


def test_hidden_files_and_indexes_and_other_endings_are_left_out():
    make("p/.a.jpg", "p/.git/b.jpg", "p/x.mmr/c.jpg", "p/own/d.jpg", "p/e.jpg", "p/f.txt", "p/g.TXT", "p/h")
    seen = Seen("p", skip_folders=[str(Path("p/own").absolute())])
    assert seen.paths == ["p/e.jpg"] and not seen.bad
    assert seen.walk.left_out == {".txt": 2, "no ending": 1}


def test_what_is_named_counts_whatever_it_is_called():
    make(".hidden.jpg", "plain", ".folder/a.jpg")
    assert Seen("./.hidden.jpg", "plain", ".folder//").paths == [".hidden.jpg", "plain", ".folder/a.jpg"]


def test_the_current_folder_has_no_prefix_and_the_root_folder_has_a_slash():
    make("a.jpg", "b/c.jpg")
    assert Seen(".").paths == ["a.jpg", "b/c.jpg"]
    assert Seen(str(Path.cwd())).paths[0] == f"{Path.cwd()}/a.jpg"
    assert Seen(".").found[0].absolute == f"{Path.cwd()}/a.jpg"


@pytest.mark.parametrize(
    ("include", "exclude", "expected"),
    [
        (["*.png"], [], ["p/b.png"]),
        (["*"], [], ["p/a.jpg", "p/b.png", "p/c/d.jpg", "p/e.txt"]),
        ([], ["*.png"], ["p/a.jpg", "p/c/d.jpg"]),
        ([], ["c"], ["p/a.jpg", "p/b.png"]),
        ([], ["p/c/*"], ["p/a.jpg", "p/b.png"]),
        (["*.jpg"], ["a*"], ["p/c/d.jpg"]),
    ],
)
def test_globs(include, exclude, expected):
    make("p/a.jpg", "p/b.png", "p/c/d.jpg", "p/e.txt")
    assert Seen("p", include=include, exclude=exclude).paths == expected


def test_links_to_folders_are_followed_once_and_never_in_a_circle():
    make("p/real/a.jpg", "out/b.jpg", "p/.store/c.jpg")
    for name, target in {"loop": ".", "real/up": "..", "first": "../out", "second": "../out", "a": "real",
                         "stored": ".store", "self.jpg": "self.jpg"}.items():  # fmt: skip
        Path("p", name).symlink_to(target)
    seen = Seen("p")
    assert seen.paths == ["p/first/b.jpg", "p/real/a.jpg", "p/self.jpg", "p/stored/c.jpg"]
    assert seen.found[2].size is None


def test_links_to_files_are_files_and_a_link_to_nothing_is_found_without_a_size():
    make("x.jpg", data=b"four")
    Path("p").mkdir()
    Path("p/link.jpg").symlink_to("../x.jpg")
    Path("p/dead.jpg").symlink_to("nowhere.jpg")
    seen = Seen("p")
    assert [(found.path, found.size) for found in seen.found] == [("p/dead.jpg", None), ("p/link.jpg", 4)]
    with pytest.raises(BadItem, match="does not exist"):
        read_bytes("p/dead.jpg")


def test_a_folder_named_like_a_picture_is_a_folder_and_a_pipe_is_no_picture():
    make("p/x.jpg/y.jpg")
    os.mkfifo("p/pipe.jpg")
    seen = Seen("p")
    assert seen.paths == ["p/pipe.jpg", "p/x.jpg/y.jpg"] and seen.found[0].size is None
    with pytest.raises(BadItem, match="no ordinary file"):
        read_bytes("p/pipe.jpg")
    with pytest.raises(BadItem, match="no ordinary file"):
        read_bytes("p/x.jpg")


def test_names_that_are_not_utf8_are_bad_items_and_the_others_come():
    make("p/good.jpg", "p/line\nbreak.jpg")
    Path(os.fsdecode(b"p/\xff.jpg")).write_bytes(b"x")
    Path(os.fsdecode(b"p/\xfe.txt")).write_bytes(b"x")
    seen = Seen("p")
    assert seen.paths == ["p/good.jpg", "p/line\nbreak.jpg"]
    assert [item.what for item in seen.bad] == ["its name is not UTF-8, as names in a stream must be"]
    assert "\\udcff" in seen.bad[0].where and not seen.walk.failed
    assert Seen(os.fsdecode(b"p/\xff.jpg")).walk.failed


def test_a_path_that_is_not_there_and_an_index_are_bad_items():
    make("x.mmr/catalogue.sqlite", "a.jpg")
    seen = Seen("nowhere", "a.jpg", "x.mmr")
    assert seen.paths == ["a.jpg"] and seen.walk.failed
    assert [item.what for item in seen.bad] == ["does not exist", "is an index, not a folder of pictures"]


def test_a_folder_of_a_thousand_folders_in_each_other():
    deep = Path("p")
    for _ in range(300):
        deep = deep / "dir"
    deep.mkdir(parents=True)
    make(str(deep / "a.jpg"))
    assert Seen("p").paths == [str(deep / "a.jpg")]


def test_an_unreadable_folder_is_said_and_the_rest_comes(tmp_path):
    make("p/a.jpg", "p/locked/b.jpg", "p/z.jpg")
    Path("p/locked").chmod(0)
    done = unprivileged("mmr embed p --eof --id path | cut -c1-30", tmp_path)
    Path("p/locked").chmod(0o755)
    assert "p/locked: cannot be read (permissions)" in done.stderr
    assert b'"eof"' not in done.stdout and b"p/z.jpg" in done.stdout


class TestTar:
    def tar(self, *members: str) -> None:
        with tarfile.open("t.tar", "w") as tar:
            for name in members:
                add(tar, name, name.encode())

    def test_members_come_in_the_tars_order_and_can_be_read_by_name(self):
        self.tar("z.jpg", "./b/a.png", "c.txt", ".hidden.jpg", "b/.d/x.jpg")
        seen = Seen("t.tar")
        assert seen.paths == ["t.tar#z.jpg", "t.tar#b/a.png"]
        assert seen.walk.roots == [f"{Path.cwd()}/t.tar"]
        for found in seen.found:
            by_name, by_place = read_contents(found.path), read_contents(found.path, found.place)
            assert by_name == by_place and label(by_name.data.decode()) == found.path[6:]
            assert (by_name.size, by_name.mtime) == (found.size, found.mtime) == (found.size, 1_700_000_000)

    def test_a_tar_in_a_folder_counts_too_but_is_no_root(self):
        self.tar("a.jpg")
        make("p/b.jpg")
        Path("t.tar").rename("p/t.tar")
        seen = Seen("p")
        assert seen.paths == ["p/b.jpg", "p/t.tar#a.jpg"]
        assert seen.walk.roots == [f"{Path.cwd()}/p"]

    def test_names_that_lead_elsewhere_are_only_labels(self):
        make("outside.jpg", data=b"secret")
        self.tar("../outside.jpg", "/etc/x.jpg", "a/../../b.jpg")
        seen = Seen("t.tar")
        assert seen.paths == ["t.tar#outside.jpg", "t.tar#etc/x.jpg", "t.tar#a/b.jpg"]
        assert read_bytes("t.tar#outside.jpg") == b"../outside.jpg"
        with pytest.raises(BadItem, match="no member of that name"):
            read_bytes("t.tar#../outside.jpg")

    def test_links_stand_for_what_is_before_them_in_the_tar(self):
        with tarfile.open("t.tar", "w") as tar:
            add(tar, "d/a.jpg", b"data")
            add(tar, "d/soft.jpg", type=tarfile.SYMTYPE, linkname="a.jpg", size=0)
            add(tar, "hard.jpg", type=tarfile.LNKTYPE, linkname="d/a.jpg", size=0)
            add(tar, "out.jpg", type=tarfile.SYMTYPE, linkname="../../etc/passwd", size=0)
            add(tar, "pipe.jpg", type=tarfile.FIFOTYPE, size=0)
        seen = Seen("t.tar")
        assert seen.paths == ["t.tar#d/a.jpg", "t.tar#d/soft.jpg", "t.tar#hard.jpg"]
        assert {read_bytes(path) for path in seen.paths} == {b"data"}
        assert [item.where for item in seen.bad] == ["t.tar#out.jpg", "t.tar#pipe.jpg"]

    def test_a_tar_that_is_cut_off_gives_what_is_whole_and_fails_the_walk(self):
        self.tar(*(f"{i}.jpg" for i in range(5)))
        data = Path("t.tar").read_bytes()
        Path("t.tar").write_bytes(data[: 512 * 5])
        seen = Seen("t.tar")
        assert seen.paths[:2] == ["t.tar#0.jpg", "t.tar#1.jpg"] and seen.walk.failed
        assert "as a tar" in seen.bad[-1].what

    def test_what_is_no_tar_or_a_compressed_one(self):
        make("t.tar", data=b"hello" * 200)
        with tarfile.open("c.tar", "w:gz") as tar:
            add(tar, "a.jpg")
        for name in ("t.tar", "c.tar"):
            seen = Seen(name)
            assert not seen.paths and seen.walk.failed and "tar" in seen.bad[0].what

    def test_a_file_whose_name_looks_like_a_member(self):
        make("x.tar#a.jpg", data=b"mine")
        assert Seen("x.tar#a.jpg").paths == ["x.tar#a.jpg"] and read_bytes("x.tar#a.jpg") == b"mine"


def test_a_picture_that_grows_while_it_is_read(monkeypatch):
    make("a.jpg", data=b"half")
    real = os.pread

    def growing(handle: int, count: int, offset: int) -> bytes:
        data = real(handle, count, offset)
        with open("a.jpg", "ab") as file:
            file.write(b"more")
        return data

    monkeypatch.setattr(os, "pread", growing)
    with pytest.raises(BadItem, match="changed while it was read"):
        read_contents("a.jpg")


def test_a_file_that_no_picture_can_be():
    with open("huge.jpg", "wb") as file:
        file.truncate((1 << 29) + 1)
    with pytest.raises(BadItem, match="536,870,913 bytes"):
        read_bytes("huge.jpg")
