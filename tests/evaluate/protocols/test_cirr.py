"""CIRR: members, the reference, the subset, the server's files."""

from __future__ import annotations

import gzip
import json
import shutil

import pytest

from mmr.errors import BadDataError, MissingInputError, UsageError
from mmr.evaluate.protocols.table import read
from mmr.evaluate.protocols.task import Options
from tests.evaluate.protocols.naive import FILES, figures, unpacked

CAPS, SPLIT = str(FILES / "cap.rc2.val.json"), str(FILES / "split.rc2.val.json")
FULL = {
    "7": ["dev/dev-1-0-img0.png", "dev/dev-8-0-img0.png", "dev/dev-1-1-img1.png"],  # the reference is first
    "9": ["dev/dev-9-0-img0.png"],
    "12": ["a", "b", "c", "d", "e", "dev/dev-6-0-img0.png"],
}
SUBSET = {
    "7/subset": ["dev-2-0-img0", "dev-1-1-img1"],
    "9/subset": ["dev-2-0-img0", "dev-9-0-img0"],  # the reference does not count
    "12/subset": ["dev-7-0-img0", "dev-1-0-img0", "dev-3-2-img1", "dev-6-0-img0"],
}


@pytest.fixture
def task():
    return read("cirr", [CAPS, SPLIT], Options())


def test_the_reference_is_no_place_and_the_subset_has_its_own_ranking(task):
    found = figures(task, FULL | SUBSET)
    assert found["full", "hit@1"] == pytest.approx(1 / 3)
    assert found["full", "hit@5"] == pytest.approx(2 / 3)  # 7 at place 2 once its reference is out
    assert found["full", "hit@10"] == found["full", "hit@50"] == 1
    assert found["subset", "R_subset@1"] == pytest.approx(1 / 3)
    assert found["subset", "R_subset@2"] == found["subset", "R_subset@3"] == pytest.approx(2 / 3)
    assert found["", "Avg"] == pytest.approx((2 / 3 + 1 / 3) / 2)


def test_without_subset_queries_the_whole_ranking_is_cut_to_the_members(task):
    whole = {"7": ["dev-8-0-img0", "dev-1-0-img0", "dev-2-0-img0", "dev-1-1-img1"], **{
        name: FULL[name] for name in ("9", "12")}}  # fmt: skip
    cut = task.fitted(whole)
    assert "not in this run: subset" in cut.said
    assert set(cut.qrels) == {"7", "9", "12"}
    found = figures(cut, whole)
    assert found["subset", "R_subset@1"] == pytest.approx(2 / 3)
    assert found["subset", "R_subset@2"] == 1
    assert found["", "Avg"] == pytest.approx((2 / 3 + 2 / 3) / 2)


def test_a_run_of_the_subset_alone_has_no_average(task):
    found = figures(task.fitted(SUBSET), SUBSET)
    assert {part for part, _ in found} == {"subset"}


def test_a_run_of_other_queries_leaves_the_task_whole(task):
    assert task.fitted({"x", "y"}) is task
    assert task.fitted(FULL | SUBSET) is task


def test_queries_name_ids_and_paths_so_that_any_index_knows_them(task):
    queries = {query["id"]: query for query in task.queries()}
    assert list(queries)[:2] == ["7", "7/subset"]
    assert queries["7"] == {
        "id": "7", "image": "dev/dev-1-0-img0.png", "text": "two of them, asleep",
        "exclude": ["dev-1-0-img0", "dev/dev-1-0-img0.png"], "part": "full",
    }  # fmt: skip
    among = queries["7/subset"]["among"]
    assert "exclude" not in queries["7/subset"]
    assert sorted(among)[:5] == [
        "dev-1-1-img1",
        "dev-2-0-img0",
        "dev-3-2-img1",
        "dev-4-0-img1",
        "dev-9-0-img0",
    ]
    assert len(among) == 10
    assert not any("dev-1-0-img0" in name for name in among)


def test_pictures_are_looked_up_in_the_folder_that_was_embedded(tmp_path):
    for name in json.loads((FILES / "split.rc2.val.json").read_text()):
        (tmp_path / "deep" / "er").mkdir(parents=True, exist_ok=True)
        (tmp_path / "deep" / "er" / f"{name}.jpg").touch()
    folder = str(tmp_path)
    query = next(iter(read("cirr", [CAPS], Options(images=folder)).queries()))
    assert query["image"] == f"{folder}/deep/er/dev-1-0-img0.jpg"
    assert query["exclude"] == ["dev-1-0-img0", f"{folder}/deep/er/dev-1-0-img0.jpg"]
    (tmp_path / "deep" / "er" / "dev-4-0-img1.jpg").unlink()
    with pytest.raises(BadDataError, match="no picture dev-4-0-img1"):
        list(read("cirr", [CAPS], Options(images=folder)).queries())
    with pytest.raises(MissingInputError, match="does not exist"):
        list(read("cirr", [CAPS], Options(images=f"{folder}/nowhere")).queries())
    (tmp_path / "dev-1-0-img0.png").touch()
    with pytest.raises(BadDataError, match="are both dev-1-0-img0"):
        list(read("cirr", [CAPS], Options(images=folder)).queries())


def test_the_submission_is_two_files_without_the_reference(task):
    full = {
        name: ["dev/dev-1-0-img0.png", *(f"dev/dev-{n}-0-img0.png" for n in (2, 5, 6, 7, 8, 9)),
               "dev-1-1-img1", "dev-3-2-img1", "dev-4-0-img1"]
        for name in ("7", "9", "12")
    }  # fmt: skip
    files = task.submission("out/s.json", iter(full.items()))
    assert list(files) == ["out/s.json", "out/s.subset.json"]
    whole, subset = (json.loads(content) for content in files.values())
    assert list(whole) == list(subset) == ["version", "metric", "7", "9", "12"]
    assert whole["version"] == subset["version"] == "rc2"
    assert (whole["metric"], subset["metric"]) == ("recall", "recall_subset")
    assert len(whole["7"]) == 9  # all of a split of ten but the reference
    assert "dev-1-0-img0" not in whole["7"]
    assert whole["9"][0] == "dev-1-0-img0"
    assert subset["7"] == ["dev-2-0-img0", "dev-9-0-img0", "dev-1-1-img1"]
    assert subset["12"] == ["dev-1-0-img0", "dev-6-0-img0", "dev-7-0-img0"]
    own = task.submission(
        "s.json", [*full.items(), ("12/subset", ["dev-4-0-img1", "dev-7-0-img0", "dev-6-0-img0"])]
    )
    assert json.loads(own["s.subset.json"])["12"] == ["dev-4-0-img1", "dev-7-0-img0", "dev-6-0-img0"]


def test_a_short_or_missing_ranking_is_no_submission(task):
    with pytest.raises(BadDataError, match="query 7 has 2 usable hits, and the server wants 9"):
        task.submission("s.json", FULL.items())


def test_files_are_told_apart_also_gzipped_and_in_a_folder(tmp_path):
    for name in (CAPS, SPLIT):
        with (
            open(name, "rb") as source,
            gzip.open(tmp_path / f"{name.rpartition('/')[2]}.gz", "wb") as target,
        ):
            shutil.copyfileobj(source, target)
    (tmp_path / "cap.rc2.test1.json").write_text("a folder means the split that is reported")
    assert len(read("cirr", [str(tmp_path)], Options()).qrels) == 6
    with pytest.raises(MissingInputError, match=r"holds none of dataset_coco\.json"):
        read("coco-5k", [str(tmp_path)], Options())


@pytest.mark.parametrize(("content", "says"), [
    ('[{"pairid": 1', "line 1 column 14: not JSON"),
    ("[]", "is no file of cirr"),
    ('[{"pairid": true, "reference": "a", "caption": "x", "img_set": {}}]', '"pairid" is true'),
    ('[{"pairid": 1, "reference": "a", "caption": "x"}]', '"img_set" is missing'),
    ('[{"pairid": 1, "reference": "a", "caption": "x", "img_set": {"members": ["b"]}}]', "must hold"),
    ('[{"pairid": 1, "reference": "a", "caption": 3, "img_set": {"members": ["a"]}}]', "is a number"),
])  # fmt: skip
def test_bad_files_are_named(tmp_path, content, says):
    path = tmp_path / "cap.json"
    path.write_text(content)
    with pytest.raises(BadDataError, match=r"cap\.json") as error:
        read("cirr", [str(path)], Options())
    assert says in str(error.value)


def test_wrong_names():
    with pytest.raises(UsageError, match="no protocol circle") as error:
        read("circle", [CAPS], Options())
    assert "cirr" in str(error.value)
    with pytest.raises(UsageError, match="--exclude-reference"):
        read("cirr", [CAPS], Options(exclude_reference=True))
    with pytest.raises(MissingInputError, match="does not exist"):
        read("cirr", ["nowhere.json"], Options())
    with pytest.raises(BadDataError, match="no captions of CIRR"):
        read("cirr", [SPLIT], Options())
    with pytest.raises(BadDataError, match="7 came before"):
        read("cirr", [CAPS, CAPS], Options())


def test_the_real_files(shared):
    folder = shared / "data" / "benchmarks" / "cirr"
    task = read("cirr", [f"{folder}/cap.rc2.val.json.gz", f"{folder}/split.rc2.val.json.gz"], Options())
    assert len(task.qrels) == 2 * 4181
    split = unpacked(folder / "split.rc2.val.json.gz")
    assert len(split) == 2297
    assert all(item in split for wanted in task.qrels.values() for item in wanted)
    first = next(iter(task.queries()))
    assert first["image"] == "dev/dev-244-0-img0.png"
    perfect = {query: list(wanted) for query, wanted in task.qrels.items()}
    assert set(figures(task, perfect).values()) == {1.0}


def test_hidden_targets_and_the_form_of_the_authors_submission(shared):
    folder = shared / "data" / "benchmarks" / "cirr"
    task = read("cirr", [f"{folder}/cap.rc2.test1.json.gz", f"{folder}/split.rc2.test1.json.gz"], Options())
    assert task.hidden
    queries = list(task.queries())
    assert len(queries) == 2 * 4148
    split = list(unpacked(folder / "split.rc2.test1.json.gz"))
    run = {one["id"]: one.get("among", split[:60])[::-1] for one in queries}
    whole, subset = task.submission("s.json", run.items()).values()
    demo = unpacked(folder / "demo.recall_subset.json.gz")
    ours = json.loads(subset)
    assert ours.keys() == demo.keys() == json.loads(whole).keys()
    assert {len(names) for key, names in ours.items() if key.isdecimal()} == {3}
    assert {len(names) for key, names in json.loads(whole).items() if key.isdecimal()} == {50}
    allowed = {one["id"]: set(one["among"]) for one in queries if "among" in one}
    assert all(set(names) <= allowed[f"{key}/subset"] for key, names in demo.items() if key.isdecimal())
    assert len(whole) < 5_000_000
