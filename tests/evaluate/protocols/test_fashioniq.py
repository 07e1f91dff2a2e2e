"""FashionIQ: galleries, both captions, the reference, the mean over categories."""

from __future__ import annotations

import pytest

from mmr.errors import BadDataError
from mmr.evaluate.protocols.table import read
from mmr.evaluate.protocols.task import Options
from tests.evaluate.protocols.naive import FILES, figures

CAPS = [str(FILES / f"cap.{category}.val.json") for category in ("dress", "shirt")]
SPLITS = [str(FILES / f"split.{category}.val.json") for category in ("dress", "shirt")]
OTHERS = [f"images/X{n}.png" for n in range(9)]


def test_the_reference_stays_unless_it_is_taken_out():
    run = {"dress/0": ["images/B00AAAAAA1.png", *OTHERS, "B00AAAAAA2.jpg"]}
    for exclude, found in ((False, 0.0), (True, 0.5)):
        task = read("fashioniq", CAPS[:1], Options(exclude_reference=exclude))
        assert figures(task, run)["dress", "hit@10"] == found
        assert ("without the reference" in task.said) == exclude
        assert all(("exclude" in query) == exclude for query in task.queries())


def test_hits_outside_the_gallery_take_no_place():
    run = {"dress/0": [*OTHERS, "images/B00AAAAAA4.png", "images/B00AAAAAA2.png"]}
    assert figures(read("fashioniq", CAPS[:1], Options()), run)["dress", "hit@10"] == 0
    assert figures(read("fashioniq", CAPS + SPLITS, Options()), run)["dress", "hit@10"] == 0.5


def test_the_union_is_smaller_than_the_split():
    split = read("fashioniq", CAPS + SPLITS, Options())
    union = read("fashioniq-union", CAPS, Options())
    assert split.among["dress/1"] == {f"B00AAAAAA{n}" for n in (1, 2, 3, 4)}
    assert union.among["dress/1"] == {f"B00AAAAAA{n}" for n in (1, 2, 3)}
    assert split.only and union.only
    assert "all that was searched" in read("fashioniq", CAPS, Options()).said


def test_the_mean_is_over_categories():
    task = read("fashioniq", CAPS, Options())
    run = {"dress/0": ["B00AAAAAA2"], "dress/1": [], "shirt/0": ["B00BBBBBB2"]}
    found = figures(task, run)
    assert found["dress", "hit@10"] == 0.5
    assert found["mean", "hit@10"] == found["mean", "hit@50"] == 0.75
    alone = task.fitted({"shirt/0"})
    assert set(figures(alone, run)) == {("shirt", "hit@10"), ("shirt", "hit@50")}


def test_queries_join_both_captions():
    task = read("fashioniq", CAPS, Options(exclude_reference=True))
    assert next(iter(task.queries())) == {
        "id": "dress/0", "image": "images/B00AAAAAA1.png", "text": "is longer and has no sleeves",
        "texts": ["is longer and has no sleeves", "has no sleeves and is longer"],
        "category": "dress", "exclude": ["B00AAAAAA1", "images/B00AAAAAA1.png"],
    }  # fmt: skip
    assert '" and "' in task.said


def test_stops_and_blanks_around_captions_go(tmp_path):
    path = tmp_path / "cap.dress.val.json"
    path.write_text('[{"candidate": "a", "target": "b", "captions": [" Is red. ", "a V-neck, not round?"]}]')
    (query,) = read("fashioniq", [str(path)], Options()).queries()
    assert query["texts"] == ["Is red and a V-neck, not round", "a V-neck, not round and Is red"]
    assert query["text"] == query["texts"][0]


@pytest.mark.parametrize(("name", "content", "says"), [
    ("cap.coat.val.json", "[]", "does not say its category"),
    ("cap.dress.val.json", "[]", "is no file of fashioniq"),
    ("cap.dress.val.json", '[{"candidate": "a", "target": "b", "captions": ["one"]}]', "1 captions, not two"),
    ("cap.dress.val.json", '[{"target": "b", "captions": ["one", "two"]}]', '"candidate" is missing'),
    ("split.dress.val.json", '["a"]', "no captions of FashionIQ"),
])  # fmt: skip
def test_bad_files_are_named(tmp_path, name, content, says):
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(BadDataError) as error:
        read("fashioniq", [str(path)], Options())
    assert says in str(error.value)


def test_a_category_once():
    with pytest.raises(BadDataError, match="dress came before"):
        read("fashioniq", [CAPS[0], CAPS[0]], Options())


def test_the_real_files(shared):
    folder = str(shared / "data" / "benchmarks" / "fashioniq")
    split, union = read("fashioniq", [folder], Options()), read("fashioniq-union", [folder], Options())
    sizes = {"dress": (3817, 2628, 2017), "shirt": (6346, 3089, 2038), "toptee": (5373, 2902, 1961)}
    for category, (whole, small, queries) in sizes.items():
        mine = [query for query, part in split.part.items() if part == category]
        assert len(mine) == queries
        assert len(split.among[mine[0]]) == whole
        assert len(union.among[mine[0]]) == small
    assert len(list(union.queries())) == sum(size[2] for size in sizes.values())
    perfect = {query: list(wanted) for query, wanted in union.qrels.items()}
    assert set(figures(union, perfect).values()) == {1.0}
