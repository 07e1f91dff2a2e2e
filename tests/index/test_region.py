"""Hits of items with several vectors say which was found, and where in the picture that is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmr.index import delete, open_index, upsert
from mmr.index.check import compact
from mmr.index.region import region
from mmr.index.search import Wanted, search
from mmr.index.segments import as_stored
from mmr.stream.records import Record
from tests.index.made import fail, unit

DIM = 6


def item(number, boxes=True, seed=0):
    rows = unit(1000 * seed + number, 1 + number % 4, DIM)
    places = {"boxes": [[0.0, 0.0, 0.5, (1 + row) / 8] for row in range(len(rows))]} if boxes else {}
    return Record({"id": f"i{number}", "image": f"{number}.png", "vectors": rows, "model": "m#1", **places})


def naive(asked, rows):
    """The row with the greatest product with any row of the query, by a double loop."""
    best = max(
        (sum(a * b for a, b in zip(one.tolist(), row.tolist(), strict=True)), -place)
        for one in asked.astype(np.float64)
        for place, row in enumerate(rows.astype(np.float64))
    )
    return -best[1], best[0]


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 2**31), dtype=st.sampled_from(["float32", "float16", "int8"]), rows=st.integers(1, 3)
)
def test_the_best_row_is_that_of_a_double_loop(tmp_path_factory, seed, dtype, rows):
    path = tmp_path_factory.mktemp("region") / "x.mmr"
    items = [item(number, number % 5 > 0, seed) for number in range(30)]
    upsert(path, items[:20], kind=f"maxsim:dtype={dtype}", reject=fail)
    upsert(path, items[20:], reject=fail)
    delete(path, ["i7"])
    if seed % 2:
        compact(path)
    asked = Record({"id": "q", "vectors": unit(seed + 9, rows, DIM), "model": "m#1"})
    with open_index(path) as index:
        (hits,) = search(index, [asked], Wanted(k=40, fields=("image",), regions=True))
        (plain,) = search(index, [asked], Wanted(k=40, fields=("image",)))
        stored = {one["id"]: one["vectors"] for one in index.items()}
    assert len(hits) == 29 and "i7" not in {hit["id"] for hit in hits}
    assert [{k: v for k, v in hit.items() if k != "region"} for hit in hits] == plain
    for hit in hits:
        place, product = naive(asked["vectors"], stored[hit["id"]])
        number = int(hit["id"][1:])
        assert hit["region"]["row"] == place
        assert hit["region"]["similarity"] == pytest.approx(product, abs=1e-6)
        assert hit["region"].get("box") == (item(number)["boxes"][place] if number % 5 else None)
        assert "boxes" not in hit and set(hit) == {"id", "score", "image", "region"}


def test_boxes_that_are_asked_for_stay(tmp_path):
    upsert(tmp_path / "x.mmr", [item(2)], kind="maxsim", reject=fail)
    with open_index(tmp_path / "x.mmr") as index:
        wanted = Wanted(fields=("boxes",), regions=True)
        ((hit,),) = search(index, [Record({"id": "q", "vectors": item(2)["vectors"][2:]})], wanted)
    assert hit["boxes"] == item(2)["boxes"] and hit["region"]["box"] == hit["boxes"][2]
    assert hit["region"]["similarity"] == pytest.approx(1, abs=1e-3)


class Held:
    def __init__(self, rows):
        self.beside = {0: as_stored(np.asarray(rows, np.float32), "float32")}


@pytest.mark.parametrize("boxes", [None, [[0, 0, 1, 1]], "no", {"a": 1}])
def test_boxes_of_another_number_are_somebody_elses(boxes):
    found = region(Held([[1, 0], [0, 1]]), 0, {"vectors": np.array([[0, 1]], np.float32)}, {"boxes": boxes})
    assert found == {"row": 1, "similarity": 1}


def test_of_equal_rows_the_first(tmp_path):
    asked = {"vectors": np.array([[0, 1], [1, 0]], np.float32)}
    assert region(Held([[0.5, 0], [1, 0], [0, 1]]), 0, asked, {})["row"] == 1
