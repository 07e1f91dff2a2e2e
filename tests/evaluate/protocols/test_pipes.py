"""Whole pipes as users write them: pictures embedded and indexed, queries written, asked and measured."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from tests.evaluate.protocols.naive import FILES


def draw(path: Path, number: int) -> None:
    """A picture unlike the others."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (32, 32), (number * 25 % 256, 255 - number * 20 % 256, number * 70 % 256)).save(path)


def figures(result) -> dict[tuple[str, str], float]:
    assert result.status == 0, result.stderr
    return {(one["group"], one["measure"]): one["value"] for one in map(json.loads, result.lines)}


@pytest.mark.parametrize("rule", ["path", "stem"])
def test_cirr(sh, tmp_path, rule):
    """Ids of files or of the benchmark: the written queries fit both."""
    for name in ("cap.rc2.val.json", "split.rc2.val.json"):
        shutil.copy(FILES / name, tmp_path)
    for number, path in enumerate(json.loads((FILES / "split.rc2.val.json").read_text()).values()):
        draw(tmp_path / "images" / path, number)
    files = "cap.rc2.val.json split.rc2.val.json"
    made = sh(
        f"mmr embed images --id {rule} | mmr index gallery.mmr && "
        f"mmr eval --protocol cirr {files} --images images --write-queries q.jsonl && "
        "mmr query gallery.mmr --from q.jsonl -k 50 > hits.jsonl"
    )
    assert made.status == 0, made.stderr
    hits = {record["id"]: [hit["id"] for hit in record["hits"]]
            for record in map(json.loads, (tmp_path / "hits.jsonl").read_text().splitlines())}  # fmt: skip
    assert {len(ids) for query, ids in hits.items() if "/" not in query} == {9}  # all but the reference
    assert {len(ids) for query, ids in hits.items() if "/" in query} == {5}  # the members but the reference
    found = figures(sh(f"mmr eval --protocol cirr {files} hits.jsonl --write-submission s.json"))
    assert found["full", "hit@10"] == 1
    assert found["all", "Avg"] == pytest.approx((found["full", "hit@5"] + found["subset", "R_subset@1"]) / 2)
    assert len(json.loads((tmp_path / "s.subset.json").read_text())["7"]) == 3


def test_captions_and_pictures_are_each_others_gallery(sh, tmp_path):
    shutil.copy(FILES / "dataset_coco.json", tmp_path)
    for number, picture in enumerate((42, 7, 300, 301, 302)):
        draw(tmp_path / "val2014" / f"COCO_val2014_{picture:012d}.jpg", number)
    found = figures(sh(
        "mmr eval --protocol coco-5k dataset_coco.json --write-queries q.jsonl && "
        "mmr embed val2014 | mmr index images.mmr && "
        "grep text-to-image q.jsonl | mmr embed | mmr index captions.mmr && "
        "{ grep text-to-image q.jsonl | mmr query images.mmr -k 10; "
        "grep image-to-text q.jsonl | mmr query captions.mmr -k 10; } | "
        "mmr eval --protocol coco-5k dataset_coco.json -"
    ))  # fmt: skip
    assert found["text-to-image", "hit@5"] == 1  # of five pictures
    assert found["image-to-text", "hit@10"] == 1  # of ten captions
    assert found["all", "rsum"] == pytest.approx(
        100 * sum(value for (group, _), value in found.items() if group != "all"))  # fmt: skip


def test_a_gallery_of_words(sh, tmp_path):
    shutil.copytree(FILES / "beir", tmp_path / "beir")
    found = figures(sh(
        "mmr eval --protocol beir beir --write-queries q.jsonl --write-gallery items.jsonl && "
        "mmr embed items.jsonl | mmr index words.mmr && "
        "mmr query words.mmr --from q.jsonl | mmr eval --protocol beir beir -"
    ))  # fmt: skip
    assert set(found) == {("all", "nDCG@10"), ("all", "R@100"), ("all", "AP@100")}
    assert found["all", "R@100"] == 0.25  # one of two for q1, none for q2


def test_rankings_cut_short_are_said(sh, tmp_path):
    shutil.copy(FILES / "gnd_tiny.pkl", tmp_path)
    line = {"id": "q_a", "hits": [{"id": "m0", "score": 1}]}
    (tmp_path / "hits.jsonl").write_text(json.dumps(line) + "\n")
    result = sh("mmr eval --protocol rop-medium gnd_tiny.pkl hits.jsonl")
    assert result.status == 0
    assert "1 ranking holds too little of the query's gallery" in result.stderr


@pytest.mark.parametrize(("line", "status", "says"), [
    ("mmr eval --protocol cirr nowhere.json hits.jsonl", 66, "does not exist"),
    ("mmr eval --protocol cirr val.json hits.jsonl", 65, "is no file of cirr"),
    ("mmr eval --protocol sirr val.json hits.jsonl", 2, "no protocol sirr"),
    ("mmr eval --protocol circo val.json hits.jsonl --exclude-reference", 2, "takes no --exclude-reference"),
    ("mmr eval --protocol circo val.json hits.jsonl --write-submission s.json", 65, "the server wants 50"),
])  # fmt: skip
def test_errors_are_sentences(sh, tmp_path, line, status, says):
    shutil.copy(FILES / "val.json", tmp_path)
    (tmp_path / "hits.jsonl").write_text('{"id": "0", "hits": [{"id": "11", "score": 1}]}\n')
    result = sh(line)
    assert (result.status, result.stdout) == (status, b"")
    assert says in result.stderr
    assert "Traceback" not in result.stderr
