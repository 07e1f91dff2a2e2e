"""Files that are seen whole or not at all."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest

from mmr.errors import OutputError
from mmr.stream.files import whole_file


def test_a_file_takes_its_name_when_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "a"
    target.write_text("old")
    with whole_file(target) as file:
        file.write(b"new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"
    umask = os.umask(0o22)
    os.umask(umask)
    assert target.stat().st_mode & 0o777 == 0o666 & ~umask


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, OSError(errno.EIO, "the input broke")])
def test_an_error_leaves_what_was_there(tmp_path: Path, error: BaseException) -> None:
    target = tmp_path / "a"
    target.write_text("old")
    with (
        pytest.raises(error if isinstance(error, type) else type(error)) as caught,
        whole_file(target) as file,
    ):
        file.write(b"new")
        raise error
    assert not isinstance(caught.value, OutputError)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a", "old")]


@pytest.mark.parametrize("name", ["none/a", "x" * 300, ""])
def test_a_file_that_cannot_be_made(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError, match="cannot write"), whole_file(tmp_path / name):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_named_pipe_is_written_directly(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append((tmp_path / "pipe").read_bytes()))
    reader.start()
    with whole_file(tmp_path / "pipe") as file:
        file.write(b"through")
    reader.join()
    assert read == [b"through"]
    assert (tmp_path / "pipe").is_fifo()


def test_a_full_device_is_the_writers_error_not_a_bad_name() -> None:
    with pytest.raises(OSError, match="No space left") as caught, whole_file("/dev/full") as file:
        file.write(b"x")
    assert not isinstance(caught.value, OutputError)
