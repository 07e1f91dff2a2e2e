"""COCO and Flickr30K: splits, five captions, folds, maps, both directions."""

from __future__ import annotations

import gzip

import pytest

from mmr.errors import BadDataError, UsageError
from mmr.evaluate.protocols.table import read
from mmr.evaluate.protocols.task import Options
from tests.evaluate.protocols.naive import FILES, figures, unpacked

COCO = str(FILES / "dataset_coco.json")
MAPS = [str(FILES / "eccv_caption_to_image.json"), str(FILES / "eccv_image_to_caption.json")]
PICTURE = "val2014/COCO_val2014_{:012d}.jpg"


def test_restval_and_a_sixth_caption_are_not_of_the_test():
    task = read("coco-5k", [COCO], Options())
    assert "caption/12" not in task.qrels  # restval
    assert "caption/17" not in task.qrels  # the sixth caption of picture 7
    assert "caption/30" not in task.qrels  # val
    assert task.qrels["caption/42"] == {"image/7": 1}  # caption 42 is not picture 42
    assert list(task.qrels["image/7"]) == [
        "caption/42",
        "caption/13",
        "caption/14",
        "caption/15",
        "caption/16",
    ]


def test_hits_are_pictures_files_or_captions_records():
    task = read("coco-5k", [COCO], Options())
    run = {query: list(wanted) for query, wanted in task.qrels.items()}
    run |= {query: [PICTURE.format(int(items[0].partition("/")[2]))] for query, items in run.items()
            if query.startswith("caption")}  # fmt: skip
    found = figures(task, run)
    assert found["text-to-image", "hit@1"] == found["image-to-text", "hit@10"] == 1
    assert found["", "rsum"] == pytest.approx(600)


def test_a_picture_is_never_a_caption_of_the_same_number():
    task = read("coco-5k", [COCO], Options())
    run = {"image/7": [PICTURE.format(42), PICTURE.format(13)], "image/42": [PICTURE.format(10)]}
    assert set(figures(task, run).values()) == {0.0}


def test_one_direction_alone_is_no_zero_for_the_other():
    task = read("coco-5k", [COCO], Options())
    run = {query: ["image/42"] for query in task.qrels if query.startswith("caption")}
    fitted = task.fitted(run)
    assert "not in this run: image-to-text" in fitted.said
    found = figures(fitted, run)
    assert set(found) == {("text-to-image", measure) for measure in ("hit@1", "hit@5", "hit@10")}
    assert found["text-to-image", "hit@1"] == pytest.approx(2 / 10)
    assert set(fitted.fields["direction"].values()) == {"text-to-image"}


def test_hit_is_any_of_the_captions():
    """Reference case 6: with five captions a picture, hit@k is not the fraction."""
    task = read("coco-5k", [COCO], Options())
    run = {"image/7": ["caption/20", "caption/21", "caption/42", "caption/13"]}
    alone = {("image-to-text", f"hit@{k}"): want / 5 for k, want in ((1, 0), (5, 1), (10, 1))}
    found = figures(task, run)
    assert {key: found[key] for key in alone} == pytest.approx(alone)


def test_folds_have_galleries_of_their_own():
    task = read("coco-1k", [COCO], Options())
    assert "5 folds of 1 pictures" in task.said
    assert task.only
    assert task.among["caption/20"] == {"image/300"}
    assert task.among["image/7"] == {f"caption/{n}" for n in (42, 13, 14, 15, 16)}
    # Whatever ranks before, each fold's only picture is its own first.
    everything = [f"image/{n}" for n in (42, 7, 300, 301, 302)]
    run = {query: everything if query.startswith("caption") else [f"caption/{n}" for n in range(50)]
           for query in task.qrels}  # fmt: skip
    assert figures(task, run)["", "rsum"] == pytest.approx(600)


def test_the_mean_is_over_folds_not_over_queries():
    task = read("coco-1k", [COCO], Options())
    run = {query: ["image/42", "image/300"] for query in task.qrels if query.startswith("caption")}
    fitted = task.fitted(run)
    # Fold 0 (2 captions of 42) and fold 2 (one of 300) are right: 2 of 5 folds, 3 of 10 captions.
    assert figures(fitted, run)["text-to-image", "hit@1"] == pytest.approx(2 / 5)


def test_written_records_are_queries_one_way_and_the_gallery_the_other():
    records = list(read("coco-1k", [COCO], Options()).queries())
    assert records[0] == {"id": "caption/10", "text": "A cat.", "direction": "text-to-image", "fold": "0"}
    assert records[-1] == {
        "id": "image/302", "image": "val2014/COCO_val2014_000000000302.jpg", "direction": "image-to-text",
        "fold": "4",
    }  # fmt: skip
    assert len(records) == 10 + 5
    assert "fold" not in next(iter(read("coco-5k", [COCO], Options()).queries()))


def test_maps_replace_the_judgements():
    task = read("coco-5k", [COCO, *MAPS], Options())
    assert task.qrels == {
        "caption/10": {"image/42": 1, "image/300": 1}, "caption/42": {"image/7": 1},
        "image/42": {f"caption/{n}": 1 for n in (10, 11, 20, 22)},
        "image/7": {"caption/42": 1, "caption/13": 1},
    }  # fmt: skip
    # Reference case 16: ranked 7, 3, 9, 5 and truth 7, 9, 5, 8.
    run = {
        "image/42": ["caption/10", "caption/3", "caption/11", "caption/20"],
        "image/7": ["caption/42", "caption/13"],
    }
    found = figures(task.fitted(run), run)
    assert found["image-to-text", "AP_R"] == pytest.approx((0.6041666666666667 + 1) / 2)
    assert found["image-to-text", "Rprec"] == pytest.approx((0.75 + 1) / 2)
    assert found["image-to-text", "hit@1"] == 1
    assert read("coco-5k", MAPS, Options()).qrels == task.qrels
    with pytest.raises(UsageError, match="maps hold no captions"):
        list(read("coco-5k", MAPS, Options()).queries())
    with pytest.raises(BadDataError, match="second map of text-to-image"):
        read("coco-5k", [MAPS[0], MAPS[0]], Options())
    with pytest.raises(UsageError, match="coco-1k has no maps"):
        read("coco-1k", [COCO, *MAPS], Options())


def test_lists_of_captions():
    lines = read("coco-5k", [str(FILES / "coco_test.jsonl")], Options())
    assert lines.qrels["image/7"] == {f"caption/{n}": 1 for n in (42, 13, 14, 15, 16)}
    blip = read("coco-5k", [str(FILES / "coco_blip_test.json")], Options())
    assert blip.qrels["image/7"] == {f"caption/{n}": 1 for n in (5, 6, 7, 8, 9)}
    assert next(r for r in blip.queries() if r["id"] == "image/7")["image"] == PICTURE.format(7)


def test_a_folder_is_the_benchmarks_own_file():
    assert read("flickr30k", [str(FILES)], Options()).qrels.keys() == {
        "caption/5", "caption/6", "caption/7", "image/1007129816", "image/1009434119"}  # fmt: skip
    assert read("coco-5k", [str(FILES)], Options()).qrels == read("coco-5k", [COCO], Options()).qrels


def test_flickr():
    task = read("flickr30k", [str(FILES / "dataset_flickr30k.json")], Options())
    assert task.qrels["caption/7"] == {"image/1009434119": 1}
    run = {"caption/7": ["flickr30k-images/1009434119.jpg"], "image/1007129816": ["caption/6"]}
    found = figures(task, run)
    assert found["text-to-image", "hit@1"] == pytest.approx(1 / 3)
    assert found["image-to-text", "hit@1"] == pytest.approx(1 / 2)


def test_pictures_are_looked_up_in_the_folder(tmp_path):
    for n in (42, 7, 300, 301, 302):
        (tmp_path / f"COCO_val2014_{n:012d}.jpg").touch()
    records = list(read("coco-5k", [COCO], Options(images=str(tmp_path))).queries())
    assert records[-1]["image"] == f"{tmp_path}/COCO_val2014_000000000302.jpg"


@pytest.mark.parametrize(("content", "says"), [
    ('{"images": [{"filename": "a.jpg", "split": "train", "sentences": []}]}', 'whose "split" is "test"'),
    ('{"images": [{"filename": "a.jpg", "sentences": []}]}', 'entry 1: "split" is missing'),
    ('{"images": [{"filename": "1.jpg", "split": "test", "sentences": []}]}', "has no captions"),
    ('[{"image": "1.jpg", "caption": ["a"], "sentids": [1, 2]}]', '1 captions, but 2 "sentids"'),
    ('[{"image": "1.jpg", "caption": ["a"]}, {"image": "x/1.jpg", "caption": ["b"]}]', "1 is there twice"),
    ('[{"image": "1.jpg", "caption": "a"}]', '"caption" is a string'),
    ('[{"image": "1.jpg", "caption": ["a"]}, 3]', "entry 2 is a number"),
    ('{"a": 1}', "is no file of coco-5k"),
    ('{\n"images": [\n{"filename": }]}', "line 3 column 14: not JSON"),
    ('{"image_id": 1, "captions": ["a"]}\n{"image_id"', "line 2 column 12: not JSON"),
])  # fmt: skip
def test_bad_files_are_named(tmp_path, content, says):
    path = tmp_path / "captions.json"
    path.write_text(content)
    with pytest.raises(BadDataError) as error:
        read("coco-5k", [str(path)], Options())
    assert says in str(error.value)


def test_bad_maps_are_named(tmp_path):
    path = tmp_path / "x_caption_to_image.json"
    for content in ('{"1": []}', '{"a": [1]}', '{"1": ["2"]}', '{"1": 2}'):
        path.write_text(content)
        with pytest.raises(BadDataError, match="not an id with a list of ids"):
            read("coco-5k", [str(path)], Options())


def test_the_real_files(shared):
    folder = shared / "data" / "benchmarks"
    coco = f"{folder}/coco-karpathy/coco5k_test.jsonl.gz"
    task = read("coco-5k", [coco], Options())
    assert len(task.qrels) == 25_000 + 5_000
    original = unpacked(f"{folder}/eccv/original_image_to_caption.json.gz")
    assert all(
        {f"caption/{n}" for n in captions} == task.qrels[f"image/{image}"].keys()
        for image, captions in original.items()
    )
    counts = {"eccv": (1261, 1332), "cxc": (5000, 24_972), "original": (5000, 25_000)}
    for name, (images, captions) in counts.items():
        maps = [f"{folder}/eccv/{name}_{way}.json.gz" for way in ("caption_to_image", "image_to_caption")]
        queries = list(read("coco-5k", [coco, *maps], Options()).qrels)
        assert sum(query.startswith("image/") for query in queries) == images
        assert sum(query.startswith("caption/") for query in queries) == captions
    folds = read("coco-1k", [coco], Options())
    assert "5 folds of 1,000" in folds.said
    with gzip.open(f"{folder}/eccv/coco_test_ids.npy.gz") as file:
        import numpy as np

        ids = np.load(file)
    for fold in range(5):
        mine = {query for query, number in folds.fields["fold"].items() if number == str(fold)}
        assert {f"caption/{n}" for n in ids[5000 * fold : 5000 * (fold + 1)]} <= mine
        assert len(mine) == 6000
    assert (
        len(read("flickr30k", [f"{folder}/coco-karpathy/flickr30k_1k_test.jsonl.gz"], Options()).qrels)
        == 6000
    )
