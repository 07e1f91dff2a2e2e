"""GeneCIS: the target is among its candidates, and equal scores do not find it."""

from __future__ import annotations

import json

import pytest

from mmr.errors import BadDataError
from mmr.evaluate.protocols.genecis import name_of
from mmr.evaluate.protocols.table import read
from mmr.evaluate.protocols.task import Options
from tests.evaluate.protocols.naive import FILES, figures

OBJECT, ATTRIBUTE = str(FILES / "focus_object.json"), str(FILES / "change_attribute.json")


@pytest.fixture
def task():
    return read("genecis", [OBJECT, ATTRIBUTE], Options())


def test_only_the_candidates_take_places(task):
    assert task.only
    assert task.among["focus_object/0"] == ("4", "5", "6", "7")
    assert task.among["focus_object/1"] == ("9", "8")  # the target stands in its own gallery once more
    run = {
        "focus_object/0": ["val2017/000000000001.jpg", "99", "000000000006.jpg", "val2017/000000000004.jpg"],
        "focus_object/1": ["9"], "change_attribute/0": ["crops/77_5_5_9_9.jpg", "crops/77_0_0_9_9.jpg"],
    }  # fmt: skip
    found = figures(task, run)
    assert [found["focus_object", f"hit@{k}"] for k in (1, 2, 3)] == [0.5, 1, 1]
    assert [found["change_attribute", f"hit@{k}"] for k in (1, 2, 3)] == [0, 1, 1]
    assert found["mean", "hit@1"] == 0.25
    assert ("mean", "hit@2") not in found


def test_equal_scores_count_against_the_target(task):
    assert task.ties == "worst"


def test_two_crops_of_one_picture_are_two_candidates():
    assert name_of("a/77_0_0_9_9.jpg") != name_of("a/77_5_5_9_9.jpg")
    assert name_of("a/b_12_77.jpg") == "b_12_77"


def test_queries(task):
    queries = list(task.queries())
    assert queries[0] == {
        "id": "focus_object/0", "image": "val2017/000000000001.jpg", "text": "wall",
        "among": [name for n in (4, 5, 6, 7) for name in (str(n), f"val2017/{n:012d}.jpg")],
        "file": "focus_object",
    }  # fmt: skip
    assert queries[2]["image"] == "2345_10_20_30_40.jpg"
    assert queries[2]["among"][:2] == ["77_0_0_9_9", "77_0_0_9_9.jpg"]


@pytest.mark.parametrize(("change", "says"), [
    ({"target": {"val_image_id": "4"}}, '"val_image_id" is a string'),
    ({"target": {"image_id": 4}}, '"instance_bbox" is missing'),
    ({"gallery": []}, "has no gallery"), ({"gallery": [3]}, '"gallery" is a number'),
    ({"condition": None}, '"condition" is null'),
])  # fmt: skip
def test_bad_files_are_named(tmp_path, change, says):
    entries = json.loads((FILES / "focus_object.json").read_text())
    entries[0] |= change
    path = tmp_path / "focus_object.json"
    path.write_text(json.dumps(entries))
    with pytest.raises(BadDataError) as error:
        read("genecis", [str(path)], Options())
    assert says in str(error.value)


def test_the_real_files(shared):
    folder = shared / "data" / "benchmarks" / "genecis"
    task = read("genecis", [str(folder)], Options())
    assert set(task.part.values()) == {"change_object", "focus_object"}
    assert len(task.qrels) == 2 * 1960
    assert sum(len(gallery) == 15 for gallery in task.among.values()) == 2 * 1960 - 1
