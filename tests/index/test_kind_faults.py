"""Files of every kind that are cut, changed or forged: said, with what to do; nothing is ever unpickled."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mmr.errors import BadDataError
from mmr.index import open_index, upsert
from mmr.index.catalogue import TRAINED
from mmr.index.check import check, rebuild
from mmr.index.search import Wanted, search
from mmr.stream.records import Record
from tests.conftest import ROOT, program_environment
from tests.index.made import fail
from tests.index.test_kinds import SPECS, clustered, queries, records

KINDS = sorted({spec.partition(":")[0]: spec for spec in SPECS if "dtype" not in spec}.values())


@pytest.fixture(scope="module", params=KINDS)
def whole(request, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("faults") / "x.mmr"
    upsert(path, records(clustered(2, 1500)), reject=fail, kind=request.param, model="m#1")
    return path


@pytest.fixture
def copy(whole, tmp_path) -> Path:
    shutil.copytree(whole, tmp_path / "x.mmr")
    return tmp_path / "x.mmr"


def structures(path: Path) -> list[Path]:
    """The files of a kind: of the segment and, where it is trained, of the quantisers."""
    return sorted(file for file in path.iterdir() if re.fullmatch(r"(seg-\d+|trained)\.[a-z0-9]+", file.name)
                  and file.suffix != ".npy")  # fmt: skip


def test_a_cut_file_is_status_65_and_a_word_about_rebuild(copy):
    for file in structures(copy):
        held = file.read_bytes()
        for size in (0, 1, len(held) // 2, len(held) - 1):
            file.write_bytes(held[:size])
            with pytest.raises(BadDataError) as error:
                open_index(copy)
            assert file.name in str(error.value) and "--rebuild" in str(error.value)
        done = subprocess.run(
            [sys.executable, "-m", "mmr", "query", str(copy), "--all-items", "-k", "1"],
            capture_output=True, env=program_environment(), text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 65 and "--rebuild" in done.stderr and done.stdout == ""
        file.write_bytes(held)
    assert check(copy) == []


def test_flipped_bits_are_found_by_check_and_a_rebuild_mends_them(copy):
    for file in structures(copy):
        held = bytearray(file.read_bytes())
        for place in (len(held) // 3, len(held) - 1):
            held[place] ^= 4
            file.write_bytes(bytes(held))
            assert [line for line in check(copy) if file.name in line and "SHA-256" in line]
    rebuild(copy)
    assert check(copy) == []
    with open_index(copy) as index:
        assert len(search(index, queries(1), Wanted(10))[0]) == 10


@pytest.mark.parametrize("stem", ["seg", "trained"])
def test_a_file_that_says_something_else_is_damaged_and_not_followed(copy, stem):
    """Of the same size, so that opening does not see it: headers of garbage are refused by name."""
    for file in structures(copy):
        if file.name.startswith(stem):
            file.write_bytes(b"\xff" * 64 + file.read_bytes()[64:])
            with pytest.raises(BadDataError, match=r"is damaged(.|\n)*--rebuild"):
                if stem == "trained":
                    upsert(copy, records(clustered(3, 600), 5000), reject=fail, model="m#1")
                else:
                    with open_index(copy) as index:
                        search(index, queries(1), Wanted(10))
    rebuild(copy)
    assert check(copy) == []


class Forged:
    """Unpickling one leaves a file behind."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return (Path.touch, (self.mark,))


def test_nothing_is_ever_unpickled(copy, tmp_path):
    """A pickle in the place of any file is refused, and what it says is not done."""
    mark = tmp_path / "executed"
    queries_of = [Record({"id": str(i), "vector": v}) for i, v in enumerate(clustered(8, 20))]
    rebuild(copy, queries=queries_of, model="m#1")
    for pattern in ("seg-*.npy", "seg-*.[!n]*", "trained.*", "trained-queries*.npy"):
        for file in copy.glob(pattern):
            held = file.read_bytes()
            with open(file, "wb") as out:
                np.save(out, np.array([Forged(mark)] * 3, dtype=object), allow_pickle=True)
            file.write_bytes((file.read_bytes() + held)[: len(held)])
            with pytest.raises((BadDataError, ValueError)):
                upsert(copy, records(clustered(3, 600), 5000), reject=fail, model="m#1")
                rebuild(copy)
                with open_index(copy) as index:
                    search(index, queries(1), Wanted(10))
                assert check(copy) == [], "nothing read it"
                raise ValueError("made anew, unread")
            assert not mark.exists()
            file.write_bytes(held)


def test_no_module_that_reads_an_index_unpickles():
    for file in [
        file for room in ("index", "arrays", "stream") for file in (ROOT / "mmr" / room).rglob("*.py")
    ]:
        words = file.read_text(encoding="utf-8")
        assert "allow_pickle=True" not in words and not re.search(r"^\s*(import|from) c?pickle", words, re.M)
        for call in re.findall(r"np\.load\([^()]*(?:\([^()]*\)[^()]*)*\)", words):
            assert "allow_pickle=False" in call, f"{file}: {call}"


def test_quantisers_stand_under_a_segment_of_their_own(copy):
    with open_index(copy) as index:
        rows = index._rows("SELECT name FROM files WHERE segment = ?", (TRAINED,))
        assert {name for (name,) in rows} == {
            file.name for file in structures(copy) if file.name.startswith("trained")
        }
