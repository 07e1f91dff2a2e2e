"""`kill -9` while weighted terms and words are stored, merged and inverted: nothing is lost."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys

import orjson
import pytest

from mmr.errors import MissingInputError
from mmr.index import open_index
from mmr.index.check import check, compact
from mmr.index.search import Wanted, search
from mmr.stream.records import Record
from tests.conftest import program_environment

ITEMS, BATCH = 600, 60
# The real program with small batches, so that a short run has many commits and merges to die between.
PROGRAM = f"""
import sys
from mmr.index import intake, merge
intake.BATCH_ITEMS = {BATCH}
merge.MANY = 4
from mmr.cli.main import main
sys.argv[0] = "mmr"
main()
"""


def item(number, version):
    words = f"version v{version} item n{number} " + " ".join(f"w{number * i % 40}" for i in range(1, 9))
    return {"id": f"i{number}", "text": words, "sparse": {word: 1 + len(word) for word in set(words.split())}}


@pytest.mark.parametrize("kind", ["sparse", pytest.param("sparse:bm25", marks=pytest.mark.soak)])
def test_kills_lose_nothing(tmp_path, kind):
    dice, index, stream = random.Random(3), tmp_path / "x.mmr", tmp_path / "stream.jsonl"
    wait, killed = 1.6, 0
    for version in range(6):
        order = dice.sample(range(ITEMS), ITEMS)
        stream.write_bytes(b"".join(orjson.dumps(item(number, version)) + b"\n" for number in order))
        with open(stream, "rb") as file:
            process = subprocess.Popen(
                [sys.executable, "-c", PROGRAM, "index", str(index), "-q", "--kind", kind],
                stdin=file, env=program_environment(),
            )  # fmt: skip
        try:
            process.wait(dice.uniform(0.4 * wait, wait))
            wait *= 0.6
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            killed += 1
        assert process.wait() in (0, -signal.SIGKILL)
        try:
            assert check(index) == []
        except MissingInputError:
            continue  # nothing was committed yet
        with open_index(index) as opened:
            found = {one["id"]: one for one in opened.items()}
            for name, one in found.items():
                stored = int(one["text"].split()[1][1:])
                assert one["text"] == item(int(name[1:]), stored)["text"]
                assert kind != "sparse" or one["sparse"] == item(int(name[1:]), stored)["sparse"]
            asked = [Record(item(number, version)) for number in order[:5]]
            assert search(opened, asked, Wanted(20)) == search(opened, asked, Wanted(20, exact=True))
            before = search(opened, asked, Wanted(20))
        done = [
            found.get(f"i{number}", {}).get("text", "").startswith(f"version v{version} ") for number in order
        ]
        assert all(done[: sum(done)]), "what was committed is a beginning of the stream"
    assert killed
    compact(index)
    with open_index(index) as opened:
        assert search(opened, asked, Wanted(20)) == before and opened.meta.count == len(found)
