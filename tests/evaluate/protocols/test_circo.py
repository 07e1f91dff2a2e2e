"""CIRCO: several truths, numbers for ids, the server's file."""

from __future__ import annotations

import json

import pytest

from mmr.errors import BadDataError
from mmr.evaluate.protocols.table import read
from mmr.evaluate.protocols.task import Options
from tests.evaluate.protocols.naive import FILES, figures, unpacked

VAL = str(FILES / "val.json")


@pytest.fixture
def task():
    return read("circo", [VAL], Options())


def test_hand_worked_case_8(task):
    """Six truths, right at 1 and 3 of 5: mAP@5 is 1/3, mAP@10 5/18."""
    run = {"0": ["unlabeled2017/000000000012.jpg", "1", "000000000011.jpg", "2", "3"], "1": ["7", "21"]}
    found = figures(task, run)
    assert found["", "AP(norm=min)@5"] == pytest.approx((1 / 3 + 1 / 2) / 2)
    assert found["", "AP(norm=min)@10"] == pytest.approx((0.27777777777777773 + 1 / 2) / 2)
    assert found["addition", "AP(norm=min)@10"] == pytest.approx(5 / 18)
    assert found["cardinality", "AP(norm=min)@10"] == found["", "AP(norm=min)@10"]


def test_recall_is_of_the_target_alone(task):
    assert figures(task, {"0": ["12", "13"]})["", "hit(rel=2)@50"] == 0
    assert figures(task, {"0": ["12", "11"]})["", "hit(rel=2)@5"] == 0.5


def test_the_reference_keeps_its_place(task):
    assert not task.removed
    run = {"1": ["901", "21"]}
    assert figures(task, run)["", "AP(norm=min)@5"] == 0.25
    assert not any("exclude" in query for query in task.queries())


def test_queries(task):
    assert next(iter(task.queries())) == {
        "id": "0", "image": "unlabeled2017/000000000900.jpg", "text": "has two of them",
        "shared_concept": "a parasol",
    }  # fmt: skip


def test_the_submission_is_numbers_in_order(task):
    long = [f"u/{n:012d}.jpg" for n in range(100, 151)]
    files = task.submission("s.json", {"1": long, "0": long[::-1]}.items())
    assert json.loads(files["s.json"]) == {"0": [*range(150, 100, -1)], "1": [*range(100, 150)]}


@pytest.mark.parametrize(("hits", "says"), [
    ([str(n) for n in range(49)], "49 different hits"),
    (["a/7.jpg", *map(str, range(60))], "49 different hits"),
    (["x", *map(str, range(60))], "the hit x is no COCO picture"),
])  # fmt: skip
def test_what_the_server_would_refuse(task, hits, says):
    with pytest.raises(BadDataError, match=says):
        task.submission("s.json", {"0": hits, "1": hits}.items())


def test_every_question_must_be_answered(task):
    with pytest.raises(BadDataError, match="query 1 has 0 different hits"):
        task.submission("s.json", {"0": [str(n) for n in range(50)]}.items())


@pytest.mark.parametrize(("change", "says"), [
    ({"id": 2}, "are not 0 to 1, each once"), ({"id": "0"}, '"id" is a string'),
    ({"gt_img_ids": [12]}, "must hold the target"), ({"gt_img_ids": [11, 11]}, "no id twice"),
    ({"gt_img_ids": ["11"]}, "not a list of whole numbers"), ({"reference_img_id": None}, "is null"),
])  # fmt: skip
def test_bad_files_are_named(tmp_path, change, says):
    entries = json.loads((FILES / "val.json").read_text())
    entries[0] |= change
    path = tmp_path / "val.json"
    path.write_text(json.dumps(entries))
    with pytest.raises(BadDataError) as error:
        read("circo", [str(path)], Options())
    assert says in str(error.value)


def test_the_real_files(shared):
    folder = shared / "data" / "benchmarks" / "circo"
    task = read("circo", [f"{folder}/val.json.gz"], Options())
    assert len(task.qrels) == 220
    assert sum(map(len, task.qrels.values())) / 220 == pytest.approx(4.16, abs=0.005)
    example = unpacked(folder / "submission_val.json.gz")
    run = {query: list(map(str, ids)) for query, ids in example.items()}
    assert json.loads(task.submission("s.json", run.items())["s.json"]) == example
    found = figures(task, run)
    # The authors' definitions, written out.
    entries = {str(entry["id"]): entry for entry in unpacked(folder / "val.json.gz")}
    for k in (5, 10, 25, 50):
        total = right = 0.0
        for query, ids in example.items():
            truths, seen = set(entries[query]["gt_img_ids"]), 0
            for place, name in enumerate(ids[:k], 1):
                seen += name in truths
                total += (name in truths) * seen / place / min(k, len(truths))
            right += entries[query]["target_img_id"] in ids[:k]
        assert found["", f"AP(norm=min)@{k}"] == pytest.approx(total / 220, abs=1e-12)
        assert found["", f"hit(rel=2)@{k}"] == pytest.approx(right / 220, abs=1e-12)
    hidden = read("circo", [f"{folder}/test.json.gz"], Options())
    assert hidden.hidden
    assert len(list(hidden.queries())) == 800
