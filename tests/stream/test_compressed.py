"""Files that are opened for reading, gzip or not."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from mmr.errors import BadDataError, MissingInputError
from mmr.stream.compressed import is_regular, open_input

DATA = b"".join(b"line %d\n" % number for number in range(100_000))


@pytest.mark.parametrize("packed", [True, False])
def test_a_file_reads_the_same_packed_or_not_whatever_its_name(tmp_path: Path, packed: bool) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(gzip.compress(DATA) if packed else DATA)
    with open_input(str(path)) as file:
        assert file.read() == DATA
    with open_input(str(path)) as file:
        assert list(file) == DATA.splitlines(keepends=True)


def test_gzip_of_several_members_and_of_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(b"one\n") + gzip.compress(b"") + gzip.compress(b"two\n"))
    with open_input(str(path)) as file:
        assert file.read() == b"one\ntwo\n"
    path.write_bytes(gzip.compress(b""))
    with open_input(str(path)) as file:
        assert file.read() == b""


@pytest.mark.parametrize("damage", ["cut", "flipped", "header"])
def test_damaged_gzip_is_named(tmp_path: Path, damage: str) -> None:
    data = bytearray(gzip.compress(DATA))
    if damage == "cut":
        del data[-20:]
    else:
        data[len(data) // 2 if damage == "flipped" else 2] ^= 0xFF
    path = tmp_path / "a.gz"
    path.write_bytes(data)
    with pytest.raises(BadDataError, match=r"a\.gz is damaged gzip data"), open_input(str(path)) as file:
        file.read()


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="does not exist"):
        open_input(str(tmp_path / "none"))
    with pytest.raises(MissingInputError, match="is a folder"):
        open_input(str(tmp_path))
    assert not is_regular(str(tmp_path)) and not is_regular("-")


def test_standard_input(sh, tmp_path: Path) -> None:
    (tmp_path / "a.gz").write_bytes(gzip.compress(DATA))
    start = "import sys; from mmr.stream.compressed import open_input as o"
    program = f"{start}; sys.stdout.buffer.write(o('-').read())"
    assert sh(f'cat a.gz | python -c "{program}"').stdout == DATA
    assert sh(f'zcat a.gz | python -c "{program}"').stdout == DATA
    assert "standard input is closed" in sh(f'python -c "{program}" <&-').stderr
