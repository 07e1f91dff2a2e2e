"""Babel-ImageNet: each language's classes alone, its pictures alone, the mean over languages."""

from __future__ import annotations

import pytest

from mmr.errors import BadDataError, UsageError
from mmr.evaluate.protocols.table import read
from mmr.evaluate.protocols.task import Options
from tests.evaluate.protocols.naive import FILES, figures

CLASSES, LABELS = str(FILES / "babel_imagenet.json"), str(FILES / "val.txt")
ONE, TWO = "ILSVRC2012_val_00000001", "ILSVRC2012_val_00000002"


@pytest.fixture
def task():
    return read("babel-imagenet", [CLASSES, LABELS], Options())


def test_only_pictures_whose_class_the_language_has(task):
    assert list(task.qrels) == [f"DE/{ONE}", f"DE/{TWO}", f"NE/{ONE}"]
    assert dict(task.qrels) == {
        f"DE/{ONE}": {"DE/65": 1},
        f"DE/{TWO}": {"DE/1": 1},
        f"NE/{ONE}": {"NE/65": 1},
    }
    assert len(task.qrels) == 3
    assert f"NE/{TWO}" not in task.qrels
    assert "XX/nothing" not in task.part


def test_accuracy_is_among_the_languages_own_classes(task):
    run = {
        f"DE/{ONE}": ["NE/65", "DE/65", "DE/1"],
        f"DE/{TWO}": ["DE/65", "DE/1"],
        f"NE/{ONE}": ["DE/1", "NE/65"],
    }
    found = figures(task, run)
    assert found == {("DE", "hit@1"): 0.5, ("NE", "hit@1"): 1.0, ("mean", "hit@1"): 0.75}


def test_one_language_alone(task):
    run = {f"NE/{ONE}": ["NE/65"]}
    fitted = task.fitted(run)
    assert list(fitted.qrels) == [f"NE/{ONE}"]
    assert fitted.among[f"NE/{ONE}"] == {"NE/65"}
    assert figures(fitted, run) == {("NE", "hit@1"): 1.0}
    assert "not in this run: DE" in fitted.said


def test_questions_and_answers_are_written(task):
    assert next(iter(task.queries())) == {"id": f"DE/{ONE}", "image": f"{ONE}.JPEG", "lang": "DE"}
    assert list(task.items()) == [
        {"id": "DE/1", "text": "Goldfisch", "lang": "DE"},
        {"id": "DE/65", "text": "Seeschlange", "lang": "DE"},
        {"id": "NE/65", "text": "समुद्री सर्प", "lang": "NE"},
    ]  # fmt: skip


def test_labels_as_json(tmp_path, task):
    path = tmp_path / "labels.json"
    path.write_text(f'{{"val/n1/{ONE}.JPEG": 65, "val/n0/{TWO}.JPEG": 1}}')
    other = read("babel-imagenet", [CLASSES, str(path)], Options())
    assert dict(other.qrels) == dict(task.qrels)
    assert next(iter(other.queries()))["image"] == f"val/n1/{ONE}.JPEG"


@pytest.mark.parametrize(("name", "content", "says"), [
    ("val.txt", "a.JPEG\n", "line 1: not a file's name"),
    ("val.txt", "a 1\n\nb x\n", "line 3: not a file's name"),
    ("val.txt", "a.JPEG 1\nx/a.png 2\n", "line 2: a came before"),
    ("b.json", '{"DE": [[1], []]}', "DE is not a list"),
    ("b.json", '{"DE": [["1"], ["a"]]}', "DE is not a list"), ("b.json", '{"DE": 3.5}', "DE is not a list"),
    ("b.json", "{}", "is no file of babel-imagenet"),
])  # fmt: skip
def test_bad_files_are_named(tmp_path, name, content, says):
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(BadDataError) as error:
        read("babel-imagenet", [str(path)], Options())
    assert says in str(error.value)


def test_both_files_are_needed():
    for paths in ([CLASSES], [LABELS]):
        with pytest.raises(UsageError, match="needs the classes of languages and the labels"):
            read("babel-imagenet", paths, Options())


def test_the_real_file(shared, tmp_path):
    labels = tmp_path / "val.txt"
    labels.write_text("".join(f"ILSVRC2012_val_{n:08d}.JPEG {n}\n" for n in range(1000)))
    path = shared / "data" / "benchmarks" / "babel-imagenet" / "babel_imagenet.json.gz"
    task = read("babel-imagenet", [str(path), str(labels)], Options())
    sizes = {}
    for query in task.qrels:
        sizes[task.part[query]] = sizes.get(task.part[query], 0) + 1
    assert len(sizes) == 93
    assert (sizes["EN"], sizes["OM"], min(sizes.values())) == (1000, 18, 18)
    assert len(task.qrels) == sum(sizes.values())
