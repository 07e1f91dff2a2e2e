"""Laws 2, 3 and 5 over random streams: order and ids kept, bad items counted, bytes the same at any batch."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmr.errors import BadItem, raise_item
from mmr.index import open_index, upsert
from mmr.index.answer import answer
from mmr.index.search import Wanted
from mmr.stream.read import read_records
from mmr.stream.records import Record
from mmr.stream.write import open_writer

NUMBERS = st.sampled_from([0.0, 1.0, -1.0, 0.5, 1 / 3])
VECTORS = st.lists(NUMBERS, min_size=4, max_size=4)
NAMES = st.sampled_from([f"q{n}" for n in range(6)])
LINES = st.one_of(
    st.builds(
        lambda name, vector: {"note": [name], "id": name, "model": "toy#1", "vector": vector}, NAMES, VECTORS
    ),
    st.builds(lambda name, text: {"id": name, "text": text}, NAMES, st.sampled_from(["a", "b", ""])),
    st.sampled_from(
        [{"id": "wide", "model": "toy#1", "vector": [1, 2]}, {"id": 5}, {"id": "none"}, [1], "x"]
    ),
)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of 60 items, many of them alike, so that ties and almost-ties abound."""
    path = tmp_path_factory.mktemp("laws") / "x.mmr"
    rng = np.random.default_rng(5)
    rows = rng.integers(-1, 3, (60, 4)).astype(np.float32)
    rows[rows.any(axis=1) == 0] = 1
    items = [{"id": f"i{n}", "model": "toy#1", "vector": row} for n, row in enumerate(rows)]
    upsert(path, items, reject=raise_item)
    return path


def by_length(records: Iterable[Record]) -> Iterator[Record]:
    """Stands for the encoder: words become vectors."""
    for record in records:
        if record.get("text"):
            record["vector"] = np.float32([len(record["text"]), 1, 0, 0])
        yield record


def answered(path: Path, lines: list[object], batch: int) -> tuple[bytes, list[BadItem]]:
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "q.jsonl"), Path(folder, "out.jsonl")
        source.write_text("".join(json.dumps(line) + "\n" for line in lines))
        bad: list[BadItem] = []
        size = patch("mmr.index.answer.BATCH", batch)
        with size, open_index(path) as index, open_writer(str(target), "jsonl") as writer:
            queries = read_records([str(source)], reject=bad.append)
            for record in answer(index, queries, by_length, Wanted(k=7), reject=bad.append):
                writer.write(record)
        return target.read_bytes(), bad


@given(st.lists(LINES, max_size=12), st.integers(1, 12))
@settings(deadline=None, max_examples=60)
def test_any_stream_at_any_batch_size(path: Path, lines: list[object], batch: int) -> None:
    whole, bad = answered(path, lines, 1024)
    cut, bad_of_cut = answered(path, lines, batch)
    assert cut == whole
    assert sorted(item.what for item in bad_of_cut) == sorted(item.what for item in bad)
    found = [json.loads(line) for line in whole.splitlines()]
    given_ids = [line["id"] for line in lines if isinstance(line, dict)]
    assert len({record["id"] for record in found}) == len(found)
    positions = [given_ids.index(record["id"]) for record in found]
    assert positions == sorted(positions)
    assert all(list(record)[:2] == ["note", "id"] for record in found if "note" in record)
    assert len(found) + len(bad) == len(lines)


@given(VECTORS.filter(any), st.lists(VECTORS.filter(any), max_size=6))
@settings(deadline=None, max_examples=60)
def test_an_answer_does_not_depend_on_the_other_queries(
    path: Path, one: list[float], others: list[list[float]]
) -> None:
    lines = [{"id": f"q{n}", "model": "toy#1", "vector": vector} for n, vector in enumerate([one, *others])]
    alone, _ = answered(path, lines[:1], 1024)
    among, _ = answered(path, [*lines[1:], lines[0]], 1024)
    assert among.splitlines()[-1] == alone.splitlines()[0]
    hits = json.loads(alone)["hits"]
    assert hits == sorted(hits, key=lambda hit: (hit["score"], hit["id"]), reverse=True)
