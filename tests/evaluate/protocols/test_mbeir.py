"""M-BEIR: five columns, hit instead of recall, ten for the two fashion sets."""

from __future__ import annotations

import pytest

from mmr.errors import BadDataError, UsageError
from mmr.evaluate.protocols.table import read
from mmr.evaluate.protocols.task import Options
from tests.evaluate.protocols.naive import FILES, figures

QRELS = str(FILES / "mbeir_mscoco_task0_test_qrels.txt")
QUERIES, POOL = (str(FILES / f"mbeir_mscoco_task0_test{end}.jsonl") for end in ("", "_cand_pool"))


def test_only_positive_judgements_are_read():
    task = read("mbeir", [QRELS], Options())
    assert task.qrels == {"9:1": {"9:100": 1, "9:101": 1}, "9:2": {"9:103": 1}, "7:1": {"7:20": 1}}
    assert task.part == {
        "9:1": "MSCOCO, text to image",
        "9:2": "MSCOCO, text to image",
        "7:1": "FashionIQ, image,text to image",
    }
    assert set(task.fields) == {"dataset", "task"}


def test_any_of_the_first_five_or_ten():
    task = read("mbeir", [QRELS], Options())
    others = [f"9:{n}" for n in range(5)]
    run = {"9:1": ["9:7", "9:101"], "9:2": [*others, "9:103"], "7:1": [*others, "7:20"]}
    found = figures(task, run)
    assert found == {
        ("MSCOCO, text to image", "hit@5"): 0.5, ("FashionIQ, image,text to image", "hit@10"): 1.0,
        ("mean", "Avg"): 0.75,
    }  # fmt: skip
    alone = task.fitted({"9:1"})
    assert set(figures(alone, run)) == {("MSCOCO, text to image", "hit@5")}


def test_queries_and_candidates():
    task = read("mbeir", [QRELS, QUERIES, POOL], Options(images="data"))
    assert list(task.queries()) == [
        {"id": "9:1", "text": "A cat.", "dataset": "MSCOCO"},
        {"id": "7:1", "image": "data/mbeir_images/fashioniq_images/a.jpg", "text": "Shorter.",
         "dataset": "FashionIQ"},
    ]  # fmt: skip
    assert list(task.items()) == [
        {"id": "9:100", "image": "data/mbeir_images/mscoco_images/val2014/1.jpg"},
        {"id": "2:5", "image": "data/mbeir_images/webqa/2.jpg", "text": "A caption."},
        {"id": "9:101", "text": "A cat sits."},
    ]  # fmt: skip
    assert read("mbeir", [QRELS], Options()).items is None
    with pytest.raises(UsageError, match="hold no queries"):
        list(read("mbeir", [QRELS], Options()).queries())


@pytest.mark.parametrize(("content", "says"), [
    ("9:1 0 9:2 1\n", "line 1: 4 columns"), ("9:1 0 9:2 1 x\n", "line 1: 5 columns"),
    ("9:1 0 9:2 1 0\n9:1 0 9:2 1 0\n", "line 2: 9:2 came before"),
    ("9:1 0 9:2 1.5 0\n", "the judgement 1.5"), ('{"id": "x"}\n', "is no file of mbeir"), ("", "no qrels"),
])  # fmt: skip
def test_bad_files_are_named(tmp_path, content, says):
    path = tmp_path / "x_qrels.txt"
    path.write_text(content)
    with pytest.raises(BadDataError) as error:
        read("mbeir", [str(path)], Options())
    assert says in str(error.value)


def test_unknown_data_sets_and_tasks_keep_their_numbers(tmp_path):
    path = tmp_path / "x_qrels.txt"
    path.write_text("12:1 0 12:2 1 11\nq 0 d 1 0\n")
    assert list(read("mbeir", [str(path)], Options()).part.values()) == [
        "data set 12, task 11",
        "data set q, text to image",
    ]
