"""A run with -o X.npy that is killed goes on where it was, and ends as if it had never been killed."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from itertools import chain

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mmr.embed.item import Item, Wanted
from mmr.embed.resume import resumed
from mmr.stream.records import Record
from tests.conftest import program_environment
from tests.embed.made import Toy, pictures, record, run

COUNT = 60


def pair(folder):
    """The records of x.jsonl, without the sum that closes it, and the vectors of x.npy."""
    *lines, closing = [json.loads(line) for line in (folder / "x.jsonl").read_bytes().splitlines()]
    assert closing.pop("npy") and closing["eof"] is True
    return [*lines, closing], np.load(folder / "x.npy")


def command(folder):
    line = "-m mmr embed photos words.jsonl --eof --batch 4 -q -o x.npy"
    return subprocess.Popen(
        [sys.executable, *line.split()],
        cwd=folder, env=program_environment(), stderr=subprocess.DEVNULL,
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    pictures(tmp_path / "photos", COUNT)
    (tmp_path / "photos" / "0010.png").write_bytes(b"broken")
    (tmp_path / "words.jsonl").write_text('{"text":"a"}\n{"id":"nothing"}\n{"text":"b"}\n')
    return tmp_path


def killed_at_random(folder, kills: int) -> int:
    """Kill runs at random moments; what each series ends with must be what one whole run gives."""
    start = time.monotonic()
    assert command(folder).wait() == 3
    took = time.monotonic() - start
    expected, vectors = pair(folder)
    went_on = 0
    chance = random.Random(kills)
    while kills > 0:
        for name in ("x.npy", "x.jsonl"):
            (folder / name).unlink()
        while kills > 0:
            child = command(folder)
            try:
                child.wait(chance.uniform(0.2, 1) * took)
            except subprocess.TimeoutExpired:
                child.send_signal(signal.SIGKILL)
            kills -= 1
            if child.wait() != -signal.SIGKILL:
                break
            left = folder / ".x.jsonl.part"
            went_on += left.exists() and left.stat().st_size > 0
        if child.returncode == -signal.SIGKILL:
            assert command(folder).wait() == 3
        found, again = pair(folder)
        assert found == expected
        assert np.abs(again - vectors).max() <= 1e-6
        assert sorted(path.name for path in folder.iterdir()) == ["photos", "words.jsonl", "x.jsonl", "x.npy"]
    return went_on


def test_twenty_kills(folder):
    assert killed_at_random(folder, 20) >= 1


@pytest.mark.soak
def test_two_hundred_kills(folder):
    assert killed_at_random(folder, 200) >= 20


def test_what_was_written_is_not_embedded_again(sh, folder):
    assert sh("mmr embed photos -o x.npy --batch 4").status == 3
    lines = (folder / "x.jsonl").read_bytes().splitlines(keepends=True)
    (folder / ".x.jsonl.part").write_bytes(b"".join(lines[:30]) + lines[30][:20])
    (folder / ".x.npy.part").write_bytes(b"\0" + (folder / "x.npy").read_bytes()[1:-1000])
    before = np.load(folder / "x.npy")
    (folder / "x.npy").unlink()
    done = sh("mmr embed photos -o x.npy --batch 4")
    assert "going on after 30 records that an earlier run wrote" in done.stderr
    assert f"{COUNT - 1 - 30} new, 0 changed, 0 kept, 1 failed" in done.stderr and done.status == 3
    assert np.abs(np.load(folder / "x.npy") - before).max() <= 1e-6


class TestResumed:
    """The comparison by itself: what may stay, and from where the stream goes on."""

    @pytest.fixture(autouse=True)
    def here(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        pictures(tmp_path / "p", 12)
        self.folder = tmp_path / "p"

    def items(self):
        images = [Item(Record({"id": path, "image": path}), named=True) for path in self.paths()]
        words = [Item(record(line, text=f"w{line}")) for line in range(3)]
        return [*images[:6], *words, {"id": "k", "keep": True}, *images[6:]]

    def paths(self):
        return [f"p/{number:04}.png" for number in range(12)]

    def written(self, count: int, **more):
        made = run(self.items(), reject=lambda _: None, **more)
        return [{k: v for k, v in one.items() if k != "vector"} for one in made[:count]]

    def go_on(self, left, wanted=None, encoder=Toy, reject=pytest.fail):
        kept, rest = resumed(self.items(), iter(left), encoder, wanted or Wanted(), reject)
        names = [(one.record if isinstance(one, Item) else one)["id"] for one in rest]
        return kept, names

    @pytest.mark.parametrize("count", [0, 1, 6, 10, 16])
    def test_all_that_agrees_stays(self, count):
        every = [(one.record if isinstance(one, Item) else one)["id"] for one in self.items()]
        assert self.go_on(self.written(count)) == (count, every[count:])

    def test_nothing_loads_the_encoder_when_nothing_is_left(self):
        assert self.go_on([], encoder=pytest.fail)[0] == 0

    def test_from_a_changed_picture_on_all_is_new(self):
        left = self.written(16)
        Image.new("RGB", (2, 2), "red").save(self.folder / "0003.png")
        assert self.go_on(left)[0] == 3

    def test_another_model_or_other_options_stay_with_nothing(self):
        left = self.written(16)
        other = Toy()
        other.fingerprint = "456"
        assert self.go_on(left, encoder=lambda: other)[0] == 0
        forms = Wanted(templates=("a {}",))
        assert self.go_on(left, forms)[0] == 6
        assert self.go_on(self.written(16, wanted=forms), forms)[0] == 16

    def test_another_precision_is_another_vector(self):
        class Bf16(Toy):
            runs = "bf16 on cpu"

        left = self.written(16, encoder=Bf16())
        assert self.go_on(left, encoder=Bf16)[0] == 16
        assert self.go_on(left)[0] == 0

    def test_bad_items_are_reported_again_and_mended_ones_embedded(self):
        good = (self.folder / "0002.png").read_bytes()
        (self.folder / "0002.png").write_bytes(b"x")
        left, bad = self.written(16), []
        assert left[2] == {"id": "p/0002.png", "image": "p/0002.png", "keep": True}
        assert self.go_on(left, reject=bad.append)[0] == 16 and len(bad) == 1
        (self.folder / "0002.png").write_bytes(good)
        assert self.go_on(left)[0] == 2

    def test_bad_items_that_left_no_name(self):
        (self.folder / "0002.png").write_bytes(b"x")
        self.items = lambda: [Item(Record({"id": path, "image": path})) for path in self.paths()]
        bad: list = []
        left = self.written(16)
        assert len(left) == 11
        assert self.go_on(left[:5], reject=bad.append) == (5, self.paths()[6:]) and len(bad) == 1


@given(count=st.integers(0, 20), start=st.integers(0, 20))
@settings(max_examples=30, deadline=None)
def test_a_shorter_or_longer_input_keeps_what_agrees(count, start):
    items = [Item(record(line, text=f"w{line}")) for line in range(count)]
    old = [Item(record(line, text=f"w{line}")) for line in chain(range(start), [99])]
    left = [{k: v for k, v in one.items() if k != "vector"} for one in run(old)]
    kept, rest = resumed(items, iter(left), Toy, Wanted(), pytest.fail)
    assert kept == min(count, start) and len(list(rest)) == count - kept
