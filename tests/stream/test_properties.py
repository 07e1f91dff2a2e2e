"""Laws of the formats, over random records."""

from __future__ import annotations

import math
import tempfile
from array import array
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mmr.stream.order import ranked, shortest
from mmr.stream.records import default_id, normal_path
from mmr.stream.trec import decoded, encoded
from mmr.stream.write import open_writer
from tests.stream.reading import read

TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)
FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
UNKNOWN = st.dictionaries(NAMES.map(lambda name: f"x-{name}"), VALUES, max_size=4)
DIM = 3
VECTOR = st.lists(FLOATS, min_size=DIM, max_size=DIM).map(np.float32)
VECTORS = st.fixed_dictionaries(
    {}, optional={"vector": VECTOR, "vectors": st.lists(VECTOR, min_size=1, max_size=3).map(np.stack)}
)
RECORDS = st.builds(lambda name, more, arrays: {**more, "id": name, **arrays}, NAMES, UNKNOWN, VECTORS)
HITS = st.lists(
    st.fixed_dictionaries({"id": NAMES, "score": FLOATS}), max_size=8, unique_by=lambda hit: hit["id"]
)
ARRAYS = ("vector", "vectors")


def through(records: list[dict[str, Any]], name: str, form: str, **options: str) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        with open_writer(str(path), form, **options) as writer:
            for record in records:
                writer.write(record)
        found = read(path)
        assert found.bad == []
        return [{n: np.array(v) if n in ARRAYS else v for n, v in r.items()} for r in found.records]


def same(found: list[dict[str, Any]], wanted: list[dict[str, Any]]) -> None:
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        assert [n for n in one if n not in ARRAYS] == [n for n in other if n not in ARRAYS]
        assert one.keys() == other.keys()
        for field, value in other.items():
            if field in ARRAYS:
                np.testing.assert_array_equal(one[field], value)
            else:
                assert repr(one[field]) == repr(value)  # also 1 and 1.0, 0.0 and -0.0, and the order of keys


@given(st.lists(RECORDS, max_size=4), st.sampled_from(["list", "base64"]))
def test_jsonl_round_trip(records: list[dict[str, Any]], form: str) -> None:
    same(through(records, "x.jsonl", "jsonl", vector_format=form), records)


@given(st.lists(RECORDS, max_size=4), st.sampled_from(["list", "base64"]))
@settings(deadline=None)
def test_pair_round_trip(records: list[dict[str, Any]], form: str) -> None:
    same(through(records, "x.npy", "jsonl", vector_format=form), records)


@given(st.lists(VECTOR, max_size=4))
@settings(deadline=None)
def test_block_round_trip(vectors: list[np.ndarray]) -> None:
    found = through([{"id": "x", "vector": vector} for vector in vectors], "x", "npy")
    same(found, [{"id": str(row), "vector": vector} for row, vector in enumerate(vectors)])


@given(st.lists(st.tuples(NAMES, HITS), max_size=4, unique_by=lambda query: query[0]))
@settings(deadline=None)
def test_run_round_trip(queries: list[tuple[str, list[dict[str, Any]]]]) -> None:
    found = through([{"id": name, "hits": hits} for name, hits in queries], "x.run", "trec")
    wanted = [(name, ranked(hits)) for name, hits in queries if hits]
    assert [record["id"] for record in found] == [name for name, _ in wanted]
    for record, (_, hits) in zip(found, wanted, strict=True):
        assert [hit["id"] for hit in record["hits"]] == [hit["id"] for hit in hits]
        assert [np.float32(hit["score"]) for hit in record["hits"]] == [
            np.float32(hit["score"]) for hit in hits
        ]


@given(TEXT)
def test_ids_in_runs(name: str) -> None:
    assert decoded(encoded(name)) == name
    assert len(encoded(name).split()) == (1 if name else 0)
    assert len(encoded(name).encode().split()) == (1 if name else 0)


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_printed_scores_read_back(score: float) -> None:
    text = shortest(score)
    assert np.float32(float(text)) == np.float32(score)
    assert len(text.partition("e")[0].strip("-").replace(".", "").lstrip("0")) <= 9


@given(HITS, st.randoms())
def test_the_order_is_total_and_as_stated(hits: list[dict[str, Any]], random: Any) -> None:
    shuffled = list(hits)
    random.shuffle(shuffled)
    found = ranked(shuffled)
    assert found == ranked(hits)
    assert ranked(found) == found
    for one, other in pairwise(found):
        a, b = np.float32(one["score"]), np.float32(other["score"])
        assert a > b or (a == b and one["id"].encode() > other["id"].encode())


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_scores_that_float32_cannot_tell_apart_tie(scores: list[float]) -> None:
    hits = [{"id": chr(97 + n), "score": score} for n, score in enumerate(scores)]
    rounded = [{**hit, "score": array("f", [hit["score"]])[0]} for hit in hits]
    assert [hit["id"] for hit in ranked(hits)] == [hit["id"] for hit in ranked(rounded)]


def test_equal_hits_keep_their_order() -> None:
    hits = [{"id": "a", "score": 1.0, "n": n} for n in range(5)]
    assert [hit["n"] for hit in ranked(hits)] == [0, 1, 2, 3, 4]
    assert ranked([]) == []
    assert math.isinf(float(shortest(1e300)))


@given(
    st.lists(st.sampled_from(["a", "b.c", ".", "..", "", ".d"]), min_size=1, max_size=6)
    .map("/".join)
    .filter(bool)
)
def test_paths_are_normalised_once_and_for_all(path: str) -> None:
    normal = normal_path(path)
    assert normal_path(normal) == normal
    assert normal.startswith("/") == path.startswith("/")
    assert [part for part in normal.split("/") if part not in ("", ".")] == [
        part for part in path.split("/") if part not in ("", ".")
    ]
    assert normal in ("/", ".") or not {"", "."} & set(normal.lstrip("/").split("/"))


@given(VECTOR)
def test_the_default_id_does_not_depend_on_how_a_vector_is_written(vector: np.ndarray) -> None:
    from mmr.stream.records import encoded as base64

    names = {default_id({"vector": form}) for form in (vector, vector.tolist(), base64(vector))}
    assert len(names) == 1
