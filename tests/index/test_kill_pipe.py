"""`kill -9` into `mmr embed --skip-indexed | mmr index --sync` loses and deletes nothing."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mmr.errors import MissingInputError
from mmr.index import open_index
from mmr.index.check import check
from tests.conftest import program_environment

PICTURES = 120
SMALL_BATCHES = """
import sys
from mmr.index import intake
intake.BATCH_ITEMS = 10
from mmr.cli.main import main
sys.argv[0] = "mmr"
main()
"""


def draw(file: Path, colour: tuple[int, int, int]) -> None:
    from PIL import Image

    Image.new("RGB", (24, 24), colour).save(file)


def start(folder: Path) -> list[subprocess.Popen[bytes]]:
    """The pipe, as two processes that can die apart."""
    with open(folder / "said.txt", "wb") as said:
        run = {"cwd": folder, "env": program_environment(), "stderr": said}
        command = [sys.executable, "-m", "mmr", "embed", "pics", "--skip-indexed", "x.mmr"]
        embed = subprocess.Popen(command, stdout=subprocess.PIPE, **run)
        command = [sys.executable, "-c", SMALL_BATCHES, "index", "x.mmr", "--sync", "--max-delete", "1"]
        index = subprocess.Popen(command, stdin=embed.stdout, **run)
    assert embed.stdout is not None
    embed.stdout.close()
    return [embed, index]


def digests(path: Path) -> dict[str, str]:
    try:
        with open_index(path) as index:
            assert check(path) == []
            return {known.id: str(known.digest) for known in index.known_files().values()}
    except MissingInputError:
        return {}


@pytest.mark.parametrize("kills", [20, pytest.param(200, marks=pytest.mark.soak)])
def test_kills_in_the_pipe(tmp_path, kills):
    dice = random.Random(7)
    pics, path = tmp_path / "pics", tmp_path / "x.mmr"
    pics.mkdir()
    for number in range(PICTURES):
        draw(pics / f"{number:03d}.png", (number, 0, 0))
    longest, killed = 5.0, 0
    for turn in range(kills):
        before = digests(path)
        files = sorted(pics.iterdir())
        gone = [f"pics/{file.name}" for file in dice.sample(files, 2 if turn else 0)]
        for name in gone:
            (tmp_path / name).unlink()
        for number in range(2):
            draw(pics / f"new{turn:03d}{number}.png", (turn, number, 9))
        for file in dice.sample(sorted(pics.iterdir()), 30):
            draw(file, (dice.randrange(256), dice.randrange(256), 7))
        victims = dice.choice([[0], [1], [0, 1]])
        begin, moment = time.monotonic(), dice.uniform(0.2, longest)
        pipe = start(tmp_path)
        while time.monotonic() - begin < moment and pipe[1].poll() is None:
            time.sleep(0.02)
        alive = [victim for victim in victims if pipe[victim].poll() is None]
        for victim in alive:
            os.kill(pipe[victim].pid, signal.SIGKILL)
        status = [process.wait(60) for process in pipe]
        killed += bool(alive)
        if not alive:
            longest = (longest + time.monotonic() - begin) / 2
        after = digests(path)
        if status[1] != 0:
            lost = set(before) - set(after)
            assert lost in (set(), set(before) - {f"pics/{file.name}" for file in pics.iterdir()})
            assert not lost or status == [0, -signal.SIGKILL], "only a whole stream deletes"
        else:
            assert set(after) == {f"pics/{file.name}" for file in pics.iterdir()}
    assert killed >= kills // 4
    last = [process.wait(60) for process in start(tmp_path)]
    assert last == [0, 0], (tmp_path / "said.txt").read_text()
    assert set(digests(path)) == {f"pics/{file.name}" for file in pics.iterdir()}
    from mmr.pictures import digest

    assert digests(path) == {f"pics/{file.name}": digest(file.read_bytes()) for file in pics.iterdir()}
