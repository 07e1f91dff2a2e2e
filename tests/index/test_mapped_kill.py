"""`kill -9` while an index is embedded anew, and while a map goes in or out: one state or another."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest

from mmr.index import open_index, upsert
from mmr.index.check import check
from mmr.normalize.vector_fit import fit_pairs
from mmr.normalize.vectors import write_change
from tests.conftest import program_environment
from tests.index.made import fail, lines
from tests.index.test_mapped import NEW, OLD, ask, hits, records, seen

ITEMS = 5_000
QUERIES = 4


def program(folder, *arguments, stdin="/dev/null", index="x.mmr"):
    line = [sys.executable, "-m", "mmr", "index", index, "-q", *arguments]
    with open(stdin, "rb") as file:
        return subprocess.Popen(line, cwd=folder, env=program_environment(), stdin=file,
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip


def sound(path, vectors):
    """How many items are of the new model; every item has the vector that its model gave, and is found."""
    assert check(path) == []
    with open_index(path) as index:
        held, model = index.meta.query_map, index.meta.model
        of_new = {record["id"]: record["model"] == NEW for record in index.items()}
        for segment in index.segments():
            rows = [int(name[1:]) for name in index.ids(segment.number, np.arange(segment.rows))]
            expected = vectors[1 if segment.model == NEW else 0][rows]
            assert np.array_equal(segment.vectors, expected)
    assert len(of_new) == ITEMS
    done = sum(of_new.values())
    assert (model == NEW) == (done == ITEMS) and (held is None or done < ITEMS)
    if held is not None or model == NEW:
        assert all(hits(ask(path, vectors[1][:QUERIES], NEW)))
    if model == OLD:
        found = hits(ask(path, vectors[0][:QUERIES], OLD))
        assert [one[0][0] for one in found] == [f"i{i:03}" for i in range(QUERIES)] or done
    return done


def whole_run(folder, stream):
    """Seconds that a copy of the index takes to be embedded anew, from the start of the program."""
    shutil.copytree(folder / "x.mmr", folder / "copy")
    begin = time.monotonic()
    for arguments, stdin in ((["--query-map", "up.npz"], "/dev/null"), ([], stream)):
        begin = time.monotonic()
        assert program(folder, *arguments, stdin=stdin, index="copy").wait() == 0
    return time.monotonic() - begin


def rounds(tmp_path, most):
    dice, vectors = random.Random(4), seen(5, ITEMS)
    path, stream = tmp_path / "x.mmr", tmp_path / "new.jsonl"
    source, target = (records(vectors[side][:200], model) for side, model in ((1, NEW), (0, OLD)))
    write_change(str(tmp_path / "up.npz"), fit_pairs({}, ("new", source), ("old", target), force=True))
    upsert(path, records(vectors[0], OLD), reject=fail)
    stream.write_bytes(lines(records(vectors[1], NEW)))
    killed, longest = 0, whole_run(tmp_path, stream)
    for number in range(most):
        with open_index(path) as index:
            held, model = index.meta.query_map, index.meta.model
        if model == NEW:
            break
        if held is None:
            process = program(tmp_path, "--query-map", "up.npz")
        elif number == 7:
            process = program(tmp_path, "--no-query-map")
        else:
            process = program(tmp_path, stdin=stream)
        try:
            process.wait(timeout=dice.uniform(0.5, 1) * longest)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            killed += 1
        sound(path, vectors)
    process = program(tmp_path, "--query-map", "up.npz")
    process.wait()
    process = program(tmp_path, stdin=stream)
    assert process.wait() == 0
    assert sound(path, vectors) == ITEMS
    return killed


def test_killed_runs_go_on(tmp_path):
    rounds(tmp_path, 3)


@pytest.mark.soak
def test_many_killed_runs_go_on(tmp_path):
    killed = sum(
        rounds(tmp_path / str(number), 25) for number in range(8) if not (tmp_path / str(number)).mkdir()
    )
    assert killed > 20
