"""Whatever bytes come in, the reader yields records, rejects items or raises an error of ours."""

from __future__ import annotations

import contextlib
import io
import tempfile
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mmr.errors import MmrError
from mmr.stream.records import dump
from mmr.stream.write import open_writer
from tests.stream.reading import read

FILE = io.BytesIO()
np.save(FILE, np.arange(12, dtype=np.float32).reshape(3, 4))
SEEDS = [
    FILE.getvalue(),
    b'{"id":"a","vector":[1,2],"hits":[{"id":"b","score":0.5}],"exclude":["x"],"eof":false}\n{"text":"b"}\n'
    * 2,
    b'{"id":"a","vector":"AACAPw==","bindings":{"v":[1],"t":["AACAPw=="]},"vectors":[[1,2]],"rows":1}\n',
    b"id\ttext\tsize\tvector\na\tx\t1\t[1,2]\nb\ty\t2\tAACAPw==\n",
    b"q Q0 d%20 1 0.5 mmr\nq Q0 e 2 0.25 mmr\nr Q0 d 1 1 x\n",
]
NAMES = st.sampled_from(["x", "x.jsonl", "x.tsv", "x.npy", "x.run", "x.txt"])
EDITS = st.lists(st.tuples(st.integers(0, 400), st.integers(0, 12), st.binary(max_size=6)), max_size=4)


def edited(data: bytes, edits: list[tuple[int, int, bytes]]) -> bytes:
    for start, length, new in edits:
        start %= len(data) + 1
        data = data[:start] + new + data[start + length :]
    return data


MUTANTS = st.builds(edited, st.sampled_from(SEEDS), EDITS)


def survives(folder: Path, name: str) -> None:
    for vectors in (True, False):
        with contextlib.suppress(MmrError):
            found = read(folder / name, vectors=vectors)
            assert all(isinstance(record["id"], str) and record["id"] for record in found.records)
            for record in found.records:
                dump(record)
            for item in found.bad:
                assert "\n" not in str(item) and item.record is not None
                dump(item.record)


@given(MUTANTS | st.binary(max_size=200), NAMES)
@settings(deadline=None, max_examples=400)
def test_any_file(data: bytes, name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, name).write_bytes(data)
        survives(Path(folder), name)


@given(EDITS, EDITS)
@settings(deadline=None, max_examples=200)
def test_any_pair(edits: list[tuple[int, int, bytes]], others: list[tuple[int, int, bytes]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x.npy")
        with open_writer(str(path), "jsonl") as writer:
            for n in range(3):
                writer.write({"id": str(n), "vector": np.float32([n, 1])})
            writer.write({"id": "m", "vectors": np.ones((2, 2), np.float32)})
        for half, changes in ((path, edits), (path.with_suffix(".jsonl"), others)):
            half.write_bytes(edited(half.read_bytes(), changes))
        survives(Path(folder), "x.npy")
