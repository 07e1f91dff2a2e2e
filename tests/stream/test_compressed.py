"""Files that are opened for reading, gzip or not."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import numpy as np
import pytest

from mmr.errors import BadDataError, MissingInputError
from mmr.stream.compressed import is_regular, open_input
from tests.stream.reading import read

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


def npy(rows: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, rows)
    return file.getvalue()


ROWS = np.eye(3, dtype=np.float32)
RECORDS = {
    "jsonl": (b'{"id":"a","text":"x"}\n\n{"id":"b"}\n', ["a", "b"]),
    "tsv": (b"id\ttext\na\tx\nb\ty\n", ["a", "b"]),
    "run": (b"a Q0 d 1 1 x\nb Q0 d 1 1 x\n", ["a", "b"]),
    "npy": (npy(ROWS), ["0", "1", "2"]),
}


@pytest.mark.parametrize("form", RECORDS)
def test_packed_records_are_read_as_if_they_were_plain(sh, tmp_path: Path, form: str) -> None:
    data, ids = RECORDS[form]
    (tmp_path / f"x.{form}.gz").write_bytes(gzip.compress(data))
    found = read(tmp_path / f"x.{form}.gz")
    assert (found.ids, found.bad) == (ids, [])
    program = "from mmr.errors import raise_item as r; from mmr.stream.read import read_records as f"
    line = f"{program}; print([record['id'] for record in f(['-'], reject=r)])"
    for redirect in (f"< x.{form}.gz", ""):
        feed = "" if redirect else f"cat x.{form}.gz |"
        assert sh(f'{feed} python -c "{line}" {redirect}').stdout.decode() == f"{ids}\n"


def test_lines_of_packed_records_are_numbered_and_damage_is_named(tmp_path: Path) -> None:
    data = b"".join(b'{"id":"%d"}\n' % number for number in range(50_000)) + b"no\n"
    (tmp_path / "x.gz").write_bytes(gzip.compress(data))
    found = read(tmp_path / "x.gz")
    assert len(found.records) == 50_000 and found.words[0].startswith(f"{tmp_path}/x.gz line 50001: not JSON")
    (tmp_path / "x.gz").write_bytes(gzip.compress(data)[:-500])
    with pytest.raises(BadDataError, match=r"x\.gz is damaged gzip data"):
        read(tmp_path / "x.gz")
